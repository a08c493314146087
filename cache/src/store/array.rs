//! The disks together: which there are, and how a call reaches several of them at once.
//!
//! ```text
//! coordinator's thread ──► one job for each disk, on that disk's own threads ──► all answers, or the disk is out
//! ```
//! A disk that hangs holds its own threads only. Nobody waits for it longer than the watch over it ([`Array::watch`])
//! needs to notice: then it is out, and the wait ends.
//!
//! With one disk there is nothing to go on without, and nothing to gain from a second thread: jobs run on the caller's,
//! as long as they take.
//!
//! Deliberately not here: what follows for objects, superblocks and purges when a disk goes out (loss.rs).

pub(crate) mod disk;
pub(crate) mod guarded;

use super::core::lock;
use super::members::Members;
use super::report::DiskSlot;
use crate::ports::Device;
use disk::{Absence, Disk, DiskFault, LOOK_AGAIN};
use guarded::GuardedDevice;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers of several disks.
pub(crate) type Answers<T> = Vec<(DiskSlot, Result<T, DiskFault>)>;

/// The disks, by slot.
#[derive(Debug)]
pub(crate) struct Array {
    disks: Mutex<Arc<Vec<Arc<Disk>>>>,
}

impl Array {
    pub(crate) fn new(mut disks: Vec<Arc<Disk>>) -> Self {
        disks.sort_by_key(|disk| disk.slot);
        Self {
            disks: Mutex::new(Arc::new(disks)),
        }
    }

    /// All that are not vacant, ascending.
    pub(crate) fn disks(&self) -> Arc<Vec<Arc<Disk>>> {
        Arc::clone(&lock(&self.disks))
    }

    pub(crate) fn get(&self, slot: DiskSlot) -> Option<Arc<Disk>> {
        let disks = self.disks();
        disks.iter().find(|disk| disk.slot == slot).cloned()
    }

    /// Puts a disk in its slot. What the index says to be there is counted as before, until it is compared.
    pub(crate) fn put(&self, disk: Arc<Disk>) {
        let mut disks = lock(&self.disks);
        if let Some(known) = disks.iter().find(|known| known.slot == disk.slot) {
            let stored = known.stats.stored_bytes.get();
            disk.stats.stored_bytes.set(stored);
        }
        let mut next: Vec<_> = disks
            .iter()
            .filter(|known| known.slot != disk.slot)
            .cloned()
            .collect();
        next.push(disk);
        next.sort_by_key(|disk| disk.slot);
        *disks = Arc::new(next);
    }

    /// Makes a slot vacant.
    pub(crate) fn remove(&self, slot: DiskSlot) {
        let mut disks = lock(&self.disks);
        let left = disks.iter().filter(|disk| disk.slot != slot);
        *disks = Arc::new(left.cloned().collect());
    }

    /// Slots that are not vacant.
    pub(crate) fn slots(&self) -> Members {
        self.disks().iter().map(|disk| disk.slot).collect()
    }

    /// Slots of the disks that are live.
    pub(crate) fn live(&self) -> Members {
        let disks = self.disks();
        let live = disks.iter().filter(|disk| disk.is_live());
        live.map(|disk| disk.slot).collect()
    }

    /// The only disk, where there is one.
    pub(crate) fn only(&self) -> Option<Arc<Disk>> {
        match self.disks().as_slice() {
            [only] => Some(Arc::clone(only)),
            _ => None,
        }
    }

    /// A name for messages about all of them.
    pub(crate) fn name(&self) -> String {
        match self.disks().as_slice() {
            [] => "no disk".to_owned(),
            [only] => only.name.clone(),
            [first, ..] => format!("{} and {} more", first.name, self.disks().len() - 1),
        }
    }

    /// Disks on which a call has been running for longer than that, and that are still waited for.
    pub(crate) fn watch(&self, longer_than: Duration) -> Vec<DiskSlot> {
        let disks = self.disks();
        let stuck = disks
            .iter()
            .filter(|disk| disk.is_readable() && disk.is_stuck(longer_than));
        stuck.map(|disk| disk.slot).collect()
    }

    /// One call on one disk that is live. Coordinator's threads only.
    pub(crate) fn on<T: Send + 'static>(
        &self,
        slot: DiskSlot,
        job: impl FnOnce(&dyn Device) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DiskFault> {
        let answers = self.on_each(vec![(slot, job)]);
        let first = answers.into_iter().next();
        first.map_or(Err(DiskFault::Out), |(_, answer)| answer)
    }

    /// One call on one disk that can be read. Coordinator's threads only.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        slot: DiskSlot,
        job: impl FnOnce(&dyn Device) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DiskFault> {
        let Some(disk) = self.get(slot) else {
            return Err(DiskFault::Out);
        };
        match self.only() {
            Some(only) => on_own_thread(&only, slot, job),
            None => disk.ask(job),
        }
    }

    /// The disk as a device of its own.
    pub(crate) fn device(&self, slot: DiskSlot) -> Option<Arc<dyn Device>> {
        let disk = self.get(slot)?;
        match self.only() {
            Some(only) => only.device().cloned(),
            None => Some(Arc::new(GuardedDevice::new(disk))),
        }
    }

    /// One job for each of several disks, all at once; returns when each has answered or is out. Answers come in the
    /// order of the jobs. Coordinator's threads only.
    pub(crate) fn on_each<T, J>(&self, jobs: Vec<(DiskSlot, J)>) -> Answers<T>
    where
        T: Send + 'static,
        J: FnOnce(&dyn Device) -> io::Result<T> + Send + 'static,
    {
        if let Some(only) = self.only() {
            return jobs
                .into_iter()
                .map(|(slot, job)| (slot, on_own_thread(&only, slot, job)))
                .collect();
        }
        self.fan_out(jobs)
    }

    fn fan_out<T, J>(&self, jobs: Vec<(DiskSlot, J)>) -> Answers<T>
    where
        T: Send + 'static,
        J: FnOnce(&dyn Device) -> io::Result<T> + Send + 'static,
    {
        let disks = self.disks();
        let (sender, receiver) = sync_channel(jobs.len().max(1));
        let mut waiting = Vec::with_capacity(jobs.len());
        let mut answers: Vec<(DiskSlot, Option<Result<T, DiskFault>>)> = Vec::new();
        for (place, (slot, job)) in jobs.into_iter().enumerate() {
            let disk = disks.iter().find(|disk| disk.slot == slot).cloned();
            let sender = sender.clone();
            let submitted = match &disk {
                Some(disk) if disk.is_live() => disk.submit(move |device| {
                    // Nobody listens any more when the disk was given up.
                    sender.send((place, job(device))).ok();
                }),
                _ => Err(DiskFault::Out),
            };
            match (submitted, disk) {
                (Ok(()), Some(disk)) => {
                    waiting.push((place, disk));
                    answers.push((slot, None));
                }
                (Err(fault), _) => answers.push((slot, Some(Err(fault)))),
                (Ok(()), None) => answers.push((slot, Some(Err(DiskFault::Out)))),
            }
        }
        drop(sender);
        while !waiting.is_empty() {
            match receiver.recv_timeout(LOOK_AGAIN) {
                Ok((place, result)) => {
                    waiting.retain(|(waited, _)| *waited != place);
                    settle(&mut answers, place, result.map_err(DiskFault::Io));
                }
                Err(RecvTimeoutError::Timeout) => {
                    for (place, _) in waiting.extract_if(.., |(_, disk)| !disk.is_live()) {
                        settle(&mut answers, place, Err(DiskFault::Out));
                    }
                }
                // A job panicked: its sender is gone without an answer.
                Err(RecvTimeoutError::Disconnected) => {
                    for (place, _) in waiting.drain(..) {
                        let error = io::Error::other("a disk job panicked");
                        settle(&mut answers, place, Err(error.into()));
                    }
                }
            }
        }
        let settled = answers.into_iter();
        settled
            .map(|(slot, answer)| (slot, answer.unwrap_or(Err(DiskFault::Out))))
            .collect()
    }

    /// Takes no reads any more either.
    pub(crate) fn close(&self) {
        for disk in self.disks().iter() {
            disk.close();
        }
    }

    /// Gives all folders back.
    pub(crate) fn unlock(&self) {
        for disk in self.disks().iter() {
            disk.unlock();
        }
    }
}

fn settle<T>(
    answers: &mut [(DiskSlot, Option<Result<T, DiskFault>>)],
    place: usize,
    result: Result<T, DiskFault>,
) {
    if let Some((_, answer)) = answers.get_mut(place) {
        *answer = Some(result);
    }
}

fn on_own_thread<T>(
    only: &Disk,
    slot: DiskSlot,
    job: impl FnOnce(&dyn Device) -> io::Result<T>,
) -> Result<T, DiskFault> {
    match only.device() {
        Some(device) if only.slot == slot => Ok(job(device.as_ref())?),
        _ => Err(DiskFault::Out),
    }
}

/// Which absence an error of a write tells of; `None`: none, the file or the room is at fault.
pub(crate) fn absence(error: &io::Error) -> Option<Absence> {
    match error.raw_os_error() {
        Some(libc::EROFS) => Some(Absence::ReadOnly),
        Some(
            libc::ENOSPC | libc::EDQUOT | libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EINTR
            // A file has gone, perhaps while the disk was away: whether the disk is there is looked at by itself.
            | libc::ENOENT
            | libc::EINVAL,
        ) => None,
        _ => Some(Absence::Failed),
    }
}
