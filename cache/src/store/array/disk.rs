//! One disk of the array: its device, its threads, and whether it is relied on.
//!
//! ```text
//! live ──(fails, hangs, is gone)──► out ──(rejoin)──► live          live ──(refuses writes)──► read-only ──► …
//! ```
//! A disk that is out stays so until the array takes it back: whoever waits for it is woken, and nothing is asked of
//! it. A replacement is another `Disk` in the same slot.
//!
//! Invariant: only a live disk is written to. Whoever finds it out afterwards has written nothing that counts.

use crate::metrics::DiskStats;
use crate::ports::Device;
use crate::store::core::lock;
use crate::store::pool::{Pool, PoolError};
use crate::store::report::DiskSlot;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Why a disk is not relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    /// It is not there, or it is another one.
    Missing,
    /// It left a call unanswered for too long.
    Hung,
    /// Calls fail.
    Failed,
    /// It takes no writes; it is still read.
    ReadOnly,
    /// It is there, and what it has is not compared with the others yet.
    Returning,
}

/// What a disk is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Reads and writes.
    Live,
    /// No writes.
    Out(Absence),
}

/// Why a call on a disk has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskFault {
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The disk is out, or went out while it was waited for.
    #[error("the disk is out")]
    Out,
    /// The store ends.
    #[error("the store is closed")]
    Closed,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) slot: DiskSlot,
    pub(crate) uuid: [u8; 16],
    /// The folder as configured.
    pub(crate) name: String,
    /// `None`: the slot has a disk, and it is not here.
    device: Option<Arc<dyn Device>>,
    pool: Option<Pool>,
    pub(crate) stats: Arc<DiskStats>,
    /// Writes of its superblock so far: which of the two copies is next.
    pub(crate) superblock_writes: AtomicU64,
    /// Ranges may be sent after a look at the page cache (probed when it was attached).
    resident: AtomicBool,
    standing: AtomicU8,
    why: Mutex<String>,
    /// Changes whenever the disk goes out.
    left: watch::Sender<u64>,
    /// Read errors in a row.
    failures: AtomicU64,
}

const LIVE: u8 = 0;
const ABSENCES: [Absence; 5] = [
    Absence::Missing,
    Absence::Hung,
    Absence::Failed,
    Absence::ReadOnly,
    Absence::Returning,
];

/// Between two looks whether a disk that is waited for has gone out.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Reads that fail one after the other until the disk counts as failed.
const FAILURES_MAX: u64 = 8;

impl Disk {
    /// A disk that is there; it is out until [`Self::set_live`].
    pub(crate) fn attached(
        slot: DiskSlot,
        uuid: [u8; 16],
        device: Arc<dyn Device>,
        pool: Pool,
    ) -> Self {
        let name = device.name().to_owned();
        Self {
            device: Some(device),
            pool: Some(pool),
            ..Self::missing(slot, uuid, name, "not compared with the others yet")
        }
    }

    /// A disk that is not there.
    pub(crate) fn missing(slot: DiskSlot, uuid: [u8; 16], name: String, why: &str) -> Self {
        Self {
            slot,
            uuid,
            stats: Arc::new(DiskStats::named(slot, &name)),
            name,
            device: None,
            pool: None,
            superblock_writes: AtomicU64::new(0),
            resident: AtomicBool::new(false),
            standing: AtomicU8::new(1),
            why: Mutex::new(why.to_owned()),
            left: watch::Sender::new(0),
            failures: AtomicU64::new(0),
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Acquire) {
            LIVE => Standing::Live,
            out => Standing::Out(
                ABSENCES
                    .get(usize::from(out - 1))
                    .copied()
                    .unwrap_or(Absence::Missing),
            ),
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.standing() == Standing::Live
    }

    /// Whether reading from it makes sense: what it returns is verified anyway.
    pub(crate) fn is_readable(&self) -> bool {
        self.device.is_some()
            && matches!(
                self.standing(),
                Standing::Live | Standing::Out(Absence::ReadOnly | Absence::Failed)
            )
    }

    /// Whether ranges may be sent after a look at the page cache.
    pub(crate) fn is_resident(&self) -> bool {
        self.resident.load(Ordering::Relaxed)
    }

    pub(crate) fn set_resident(&self, resident: bool) {
        self.resident.store(resident, Ordering::Relaxed);
    }

    /// Why it is out, in words; empty while it is live.
    pub(crate) fn why(&self) -> String {
        if self.is_live() {
            return String::new();
        }
        lock(&self.why).clone()
    }

    /// Relied on from now on.
    pub(crate) fn set_live(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.standing.store(LIVE, Ordering::Release);
    }

    /// Takes it out; `false` when it was out already. Wakes everybody who waits for it.
    pub(crate) fn set_out(&self, absence: Absence, why: &str) -> bool {
        let place = ABSENCES.iter().position(|listed| *listed == absence);
        let word = u8::try_from(place.unwrap_or(0)).unwrap_or(0) + 1;
        let before = self.standing.swap(word, Ordering::AcqRel);
        why.clone_into(&mut lock(&self.why));
        self.left.send_modify(|times| *times += 1);
        before == LIVE
    }

    /// The device, whatever the disk's standing.
    pub(crate) fn device(&self) -> Option<&Arc<dyn Device>> {
        self.device.as_ref()
    }

    /// A read worked, or did not; `true`: too many in a row did not.
    pub(crate) fn note_read(&self, worked: bool) -> bool {
        if worked {
            if self.failures.load(Ordering::Relaxed) > 0 {
                self.failures.store(0, Ordering::Relaxed);
            }
            return false;
        }
        self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX
    }

    /// Whether a job has been running for longer than that without progress.
    pub(crate) fn is_stuck(&self, longer_than: Duration) -> bool {
        self.pool
            .as_ref()
            .is_some_and(|pool| pool.has_run_longer_than(longer_than))
    }

    /// Hands a job to the disk's threads without waiting. Bounded by the threads that call it: each waits for what it
    /// has handed over before it hands over more to the same disk.
    pub(crate) fn submit(
        &self,
        job: impl FnOnce(&dyn Device) + Send + 'static,
    ) -> Result<(), DiskFault> {
        let (Some(device), Some(pool)) = (&self.device, &self.pool) else {
            return Err(DiskFault::Out);
        };
        let device = Arc::clone(device);
        pool.push(move || job(device.as_ref()))
            .map_err(|_| DiskFault::Closed)
    }

    /// Runs a job on the disk's threads and waits, blocking, until it ends or the disk can not be read any more.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&dyn Device) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DiskFault> {
        if !self.is_readable() {
            return Err(DiskFault::Out);
        }
        let (sender, receiver) = sync_channel(1);
        // Nobody listens any more when the disk was given up.
        self.submit(move |device| drop(sender.send(job(device))))?;
        loop {
            match receiver.recv_timeout(LOOK_AGAIN) {
                Ok(result) => return Ok(result?),
                Err(RecvTimeoutError::Timeout) if self.is_readable() => {}
                Err(RecvTimeoutError::Timeout) => return Err(DiskFault::Out),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("a disk job panicked").into());
                }
            }
        }
    }

    /// As [`Self::ask`], whatever the disk's standing, and as long as no job on the disk is without progress for
    /// `patience`: for looks at a disk that is out.
    pub(crate) fn try_ask<T: Send + 'static>(
        &self,
        patience: Duration,
        job: impl FnOnce(&dyn Device) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DiskFault> {
        let (sender, receiver) = sync_channel(1);
        self.submit(move |device| drop(sender.send(job(device))))?;
        loop {
            match receiver.recv_timeout(LOOK_AGAIN) {
                Ok(result) => return Ok(result?),
                Err(RecvTimeoutError::Timeout) if !self.is_stuck(patience) => {}
                Err(_) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        }
    }

    /// Runs a job on the disk's threads; gives up waiting when the disk goes out.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&dyn Device) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DiskFault> {
        let (Some(device), Some(pool)) = (&self.device, &self.pool) else {
            return Err(DiskFault::Out);
        };
        let mut left = self.left.subscribe();
        if !self.is_readable() {
            return Err(DiskFault::Out);
        }
        if pool.is_full() {
            self.stats.pool_waits.add(1);
        }
        let device = Arc::clone(device);
        let mut running = pin!(pool.run(move || job(device.as_ref())));
        loop {
            tokio::select! {
                biased;
                ran = &mut running => return match ran {
                    Ok(result) => Ok(result?),
                    Err(PoolError::Closed) => Err(DiskFault::Closed),
                    Err(error) => Err(DiskFault::Io(io::Error::other(error.as_str()))),
                },
                // One that went out and still can be read gives its answer.
                _ = left.changed() => if !self.is_readable() {
                    return Err(DiskFault::Out);
                },
            }
        }
    }

    /// Waits, blocking, until no job runs; `false` at the deadline.
    pub(crate) fn drain(&self, deadline: Duration) -> bool {
        self.pool.as_ref().is_none_or(|pool| pool.drain(deadline))
    }

    /// Whether callers wait for its threads.
    pub(crate) fn is_busy(&self) -> bool {
        self.pool.as_ref().is_some_and(Pool::is_full)
    }

    /// Takes no jobs any more.
    pub(crate) fn close(&self) {
        if let Some(pool) = &self.pool {
            pool.close();
        }
    }

    /// Gives the lock of its folder back.
    pub(crate) fn unlock(&self) {
        if let Some(device) = &self.device {
            device.unlock();
        }
    }
}
