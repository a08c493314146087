//! Disks that go out, and what the others must know before anybody relies on it.
//!
//! ```text
//! a call fails, hangs, finds another disk → out at once → (before anything that it misses is acknowledged) a new epoch
//! in the superblocks of those that are left, synced
//! ```
//! A disk with an older epoch may only supply what the others know, so nothing that was purged or replaced while it was
//! out comes back with it.
//!
//! The last disk is never given up: it fails calls instead. Nor is one given up for being slow when the others cannot
//! make up for it: a machine that is slow as a whole is slow, not broken.

use super::StoreError;
use super::array::absence;
use super::array::disk::{Absence, Disk, DiskFault};
use super::core::{Core, lock};
use super::recovery::Recovered;
use super::report::DiskSlot;
use super::sequence::{COUNTER_BITS, RESERVE_AT_ONCE};
use super::superblock::Superblock;
use crate::events::Event;
use crate::object::Sequence;
use crate::ports::Device;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What of the losses the others do not know yet.
#[derive(Debug)]
pub(super) struct Losses {
    /// Losses so far, and how many of them the others know of.
    count: AtomicU64,
    settled: AtomicU64,
    /// Held while it is settled: whoever comes second finds it done.
    settling: Mutex<()>,
    /// Held while it is decided whether a disk can be done without: not two at once. A leaf of the lock order.
    losing: Mutex<()>,
    /// What was stored before this sequence is asked about before its use, because the disks that are here cannot rule
    /// out that others know better; 0 for nothing.
    doubted: AtomicU64,
    /// Unless something was written down about it since: in a record above this number.
    doubted_number: u64,
    /// Some generations are misses because too few of their shards are here.
    unseen: AtomicBool,
    /// The first sequence of this run.
    first: Sequence,
    /// Of the superblocks, for who must not wait for their lock.
    epoch: AtomicU64,
}

impl Losses {
    pub(super) fn new(recovered: &Recovered, has_majority: bool) -> Self {
        let next = recovered.next;
        Self {
            count: AtomicU64::new(recovered.is_incomplete.into()),
            settled: AtomicU64::new(0),
            settling: Mutex::default(),
            losing: Mutex::default(),
            doubted: AtomicU64::new(if has_majority { 0 } else { next }),
            doubted_number: recovered.log.next_number.saturating_sub(1),
            unseen: AtomicBool::new(recovered.has_unseen),
            first: Sequence(next),
            epoch: AtomicU64::new(recovered.superblock.epoch),
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// A disk has gone out, or may have an epoch that it must not count with.
    pub(super) fn note(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether the others know of all disks that are out.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire) == self.count.load(Ordering::Acquire)
    }

    /// Whether what was stored before is asked about before its use.
    pub(super) fn is_doubting(&self) -> bool {
        self.doubted.load(Ordering::Acquire) != 0
    }

    pub(super) fn has_unseen(&self) -> bool {
        self.unseen.load(Ordering::Acquire)
    }

    /// Whether it was stored by an earlier run.
    pub(super) fn is_from_before(&self, sequence: Sequence) -> bool {
        sequence < self.first
    }

    /// All disks have been seen.
    pub(super) fn see_all(&self) {
        self.unseen.store(false, Ordering::Release);
    }

    /// Whether an object must be asked about, immutable or not; `number` is that of its newest record, 0 for none.
    pub(super) fn doubts(&self, sequence: Sequence, number: u64) -> bool {
        sequence.0 < self.doubted.load(Ordering::Acquire) && number <= self.doubted_number
    }

    /// Nothing is doubted any more.
    pub(super) fn trust(&self) {
        self.doubted.store(0, Ordering::Release);
    }
}

impl Core {
    /// Takes a disk out; `false` when it is out already or cannot be done without.
    pub(super) fn lose(&self, slot: DiskSlot, absence: Absence, why: &str) -> bool {
        let Some(disk) = self.array.get(slot) else {
            return false;
        };
        if !self.take_out(&disk, absence, why) {
            return false;
        }
        self.log.mirror.drop_replica(slot);
        tracing::error!(
            disk = disk.name,
            %slot,
            why,
            "a disk is out; what it has is computed from the others. See `weir disks`"
        );
        self.events.emit(Event::DiskLost {
            disk: disk.name.clone(),
            slot,
            reason: why.to_owned(),
        });
        true
    }

    fn take_out(&self, disk: &Disk, absence: Absence, why: &str) -> bool {
        let _one = lock(&self.losses.losing);
        let live = self.array.live();
        if !live.contains(disk.slot) || live.len() <= 1 {
            return false;
        }
        let lost = self.array.slots().len() - live.len();
        if absence == Absence::Hung && lost >= self.policy.parity {
            tracing::warn!(
                disk = disk.name,
                slot = %disk.slot,
                "the disk does not answer, and too many others are out to go on without it"
            );
            return false;
        }
        // Counted before, so that nobody who finds it out takes it for settled, and after, so that an epoch which still
        // reaches it in between is not the last one.
        self.losses.note();
        let was_live = disk.set_out(absence, why);
        // What was measured last may be of the file system below its mount point.
        disk.stats.budget_bytes.set(0);
        self.losses.note();
        was_live
    }

    /// A write on a disk had no result: the disk is out if that says so.
    pub(super) fn note_failed_write(
        &self,
        slot: DiskSlot,
        operation: &'static str,
        fault: &DiskFault,
    ) {
        let DiskFault::Io(error) = fault else {
            return;
        };
        if let Some(absence) = absence(error) {
            self.lose(slot, absence, &format!("{operation} failed: {error}"));
        } else if error.kind() == io::ErrorKind::NotFound {
            // Of a folder that is not mounted any more nothing is found.
            self.is_still_there(slot, error);
        }
    }

    /// Takes out the disks that leave a call unanswered for too long. Any thread: nothing is waited for.
    pub(super) fn watch_disks(&self) {
        let deadline = self.settings.disk_deadline;
        for slot in self.array.watch(deadline) {
            let why = format!("it left a call unanswered for {} s", deadline.as_secs_f32());
            match self.array.get(slot) {
                Some(disk) if !disk.is_live() => {
                    // It was still read.
                    disk.set_out(Absence::Hung, &why);
                }
                Some(_) => {
                    self.lose(slot, Absence::Hung, &why);
                }
                None => {}
            }
        }
    }

    /// Returns when all disks that are left know which are out. Pool only.
    pub(super) fn settle_losses(&self) -> Result<(), StoreError> {
        if self.losses.is_settled() {
            return Ok(());
        }
        let _settling = lock(&self.losses.settling);
        while !self.losses.is_settled() {
            // Read before the epoch is written: a loss in between is another one.
            let count = self.losses.count.load(Ordering::Acquire);
            self.begin_epoch(|_| {})?;
            self.losses.settled.store(count, Ordering::Release);
        }
        Ok(())
    }

    /// A new epoch, on all disks that are live, with a change that comes with it. Pool only.
    pub(super) fn begin_epoch(
        &self,
        change: impl FnOnce(&mut Superblock),
    ) -> Result<(), StoreError> {
        let mut tag = [0; 8];
        getrandom::fill(&mut tag).map_err(|error| {
            self.store_error("begin an epoch", io::Error::other(error.to_string()))
        })?;
        let mut first = 0;
        self.update_superblock(|superblock| {
            change(superblock);
            superblock.begin_epoch(u64::from_le_bytes(tag), self.array.live());
            first = (superblock.epoch << COUNTER_BITS) | 1;
            let reserved = first.saturating_add(RESERVE_AT_ONCE);
            superblock.reserved = superblock.reserved.max(reserved);
        })?;
        let end = first.saturating_add(RESERVE_AT_ONCE);
        self.sequences.go_on_at(first, end);
        Ok(())
    }

    /// Changes what all superblocks say, and writes them to the disks that are live. A disk that does not take it is
    /// out; an error when none did.
    pub(super) fn update_superblock(
        &self,
        change: impl FnOnce(&mut Superblock),
    ) -> Result<(), StoreError> {
        let mut superblock = lock(&self.superblock);
        let mut next = superblock.clone();
        change(&mut next);
        self.write_superblocks(&next)?;
        self.losses.epoch.store(next.epoch, Ordering::Relaxed);
        *superblock = next;
        Ok(())
    }

    /// Writes one superblock to every live disk, each under its own name.
    pub(super) fn write_superblocks(&self, superblock: &Superblock) -> Result<(), StoreError> {
        let disks = self.array.disks();
        let jobs = disks.iter().filter(|disk| disk.is_live()).map(|disk| {
            let writes = disk.superblock_writes.fetch_add(1, Ordering::AcqRel);
            let mut own = superblock.on_disk(disk.slot, disk.uuid, writes);
            (disk.slot, move |device: &dyn Device| own.store(device))
        });
        let mut error = None;
        let mut written = 0;
        for (slot, answer) in self.array.on_each(jobs.collect()) {
            match answer {
                Ok(()) => written += 1,
                Err(fault) => {
                    // Whatever the reason: it must not count with what it has.
                    let why = format!("its superblock cannot be written: {fault}");
                    self.lose(slot, reason_of(&fault), &why);
                    error = Some(self.fault_error(slot, "write superblock", fault));
                }
            }
        }
        match error {
            Some(error) if written == 0 => Err(error),
            _ if written == 0 => {
                let source = io::Error::other("no disk is live");
                Err(self.store_error("write superblock", source))
            }
            _ => Ok(()),
        }
    }
}

/// What a disk whose superblock cannot be written is good for.
fn reason_of(fault: &DiskFault) -> Absence {
    match fault {
        DiskFault::Io(error) => absence(error).unwrap_or(Absence::Failed),
        DiskFault::Out | DiskFault::Closed => Absence::Failed,
    }
}
