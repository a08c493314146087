//! What is counted of each disk: bytes in use, bytes promised, and what it may hold.

use super::array::disk::Disk;
use super::budget::{Budget, Usage};
use super::core::{Core, lock};
use super::index::Record;
use super::members::Members;
use crate::metrics::EvictionCause;
use std::io;
use std::sync::Arc;

impl Core {
    /// Files and bytes in use on a disk, those being written included.
    pub(crate) fn usage(&self, disk: &Disk) -> Usage {
        let stats = &disk.stats;
        let bytes = stats
            .stored_bytes
            .get()
            .saturating_add(stats.filling_bytes.get())
            .saturating_add(self.stats.metadata_log_bytes.get())
            .saturating_sub(stats.leaving_bytes.get());
        Usage {
            bytes,
            files: lock(&self.index).len() as u64,
        }
    }

    /// The budgets of the live ones among these disks, as of now.
    pub(crate) fn budgets(&self, members: Members) -> Vec<(Arc<Disk>, io::Result<Budget>)> {
        let disks = self.array.disks();
        let live = disks
            .iter()
            .filter(|disk| disk.is_live() && members.contains(disk.slot));
        let asked = live.map(|disk| {
            // What is only claimed would count twice: as our own, and as free. Read before the free space, so that an
            // allocation in between makes the budget smaller and never larger.
            let mut usage = self.usage(disk);
            let unallocated = disk.stats.unallocated_bytes.get();
            // What is leaving is not free yet, but will be.
            let leaving = disk.stats.leaving_bytes.get();
            usage.bytes = usage
                .bytes
                .saturating_sub(unallocated)
                .saturating_add(leaving);
            (Arc::clone(disk), usage)
        });
        let (asked, usages): (Vec<_>, Vec<_>) = asked.unzip();
        let jobs = asked.iter().map(|disk| {
            let space = |device: &dyn crate::ports::Device| device.space();
            (disk.slot, space)
        });
        let spaces = self.array.on_each(jobs.collect());
        let share = self.capacity_share();
        let measured = asked.into_iter().zip(usages).zip(spaces);
        measured
            .map(|((disk, usage), (_, space))| {
                let space = space.map_err(|fault| io::Error::other(fault.to_string()));
                let budget = space.map(|space| Budget::of(&self.settings, share, usage, space));
                if let Ok(budget) = &budget
                    && disk.is_live()
                {
                    disk.stats.budget_bytes.set(budget.bytes);
                }
                (disk, budget)
            })
            .collect()
    }

    /// What the configured capacity leaves for each disk, bytes.
    pub(crate) fn capacity_share(&self) -> Option<u64> {
        let disks = self.array.disks().len().max(1) as u64;
        self.settings.capacity_bytes.map(|bytes| bytes / disks)
    }

    /// What is being evicted makes room already: whoever else needs some need not evict as much again.
    pub(crate) fn note_leaving(&self, records: &[Record]) -> Leaving {
        let mut leaving = Leaving::default();
        for disk in self.array.disks().iter() {
            let on_it = records
                .iter()
                .filter(|record| record.present_on().contains(disk.slot));
            let bytes = on_it.map(|record| record.name().shard_footprint_bytes());
            let bytes = bytes.sum();
            disk.stats.leaving_bytes.add(bytes);
            leaving.0.push((Arc::clone(disk), bytes));
        }
        leaving
    }

    /// Counts an object that became part of the store.
    pub(crate) fn count_stored(&self, record: &Record) {
        self.change_stored(record, |gauge, bytes| gauge.add(bytes));
    }

    /// Counts an object whose files are gone.
    pub(crate) fn count_removed(&self, record: &Record, cause: EvictionCause) {
        self.change_stored(record, |gauge, bytes| gauge.subtract(bytes));
        self.stats
            .count_removed(cause, record.name().footprint_bytes());
    }

    fn change_stored(&self, record: &Record, change: impl Fn(&crate::metrics::Gauge, u64)) {
        let (present, bytes) = (record.present_on(), record.name().shard_footprint_bytes());
        let disks = self.array.disks();
        for disk in disks.iter().filter(|disk| present.contains(disk.slot)) {
            change(&disk.stats.stored_bytes, bytes);
        }
        self.stats.objects.set(lock(&self.index).len() as u64);
    }
}

/// Bytes on some disks that are being removed, and still counted as stored; counted back when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Leaving(Vec<(Arc<Disk>, u64)>);

impl Drop for Leaving {
    fn drop(&mut self) {
        for (disk, bytes) in &self.0 {
            disk.stats.leaving_bytes.subtract(*bytes);
        }
    }
}
