//! Counters of the store: plain numbers that the proxy exports under their public names.
//!
//! Kept apart from any metrics library, so that counting is one relaxed add and tests read them directly.

use crate::store::report::DiskSlot;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Reads.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Adds.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Subtracts; stops at 0.
    pub fn subtract(&self, amount: u64) {
        let update = |value: u64| Some(value.saturating_sub(amount));
        // The closure never answers None, so this cannot fail.
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update)
            .ok();
    }

    /// Sets.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Reads.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why stored bytes were removed; the words are the metric's `cause` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvictionCause {
    /// Own bytes reached the high watermark of the budget.
    Watermark,
    /// The file system had no room for a write.
    NoSpace,
    /// The index reached its bound.
    ObjectsMax,
    /// The file system runs out of inodes.
    Inodes,
    /// Its key had too many variants.
    Variants,
    /// A newer object took its place.
    Replaced,
    /// It was corrupt or unreadable.
    Corrupt,
    /// Somebody asked to forget it.
    Forgotten,
    /// A purge covers it.
    Purged,
}

impl EvictionCause {
    /// All causes, in the order of the counters.
    pub const ALL: [Self; 9] = [
        Self::Watermark,
        Self::NoSpace,
        Self::ObjectsMax,
        Self::Inodes,
        Self::Variants,
        Self::Replaced,
        Self::Corrupt,
        Self::Forgotten,
        Self::Purged,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Watermark => "watermark",
            Self::NoSpace => "no-space",
            Self::ObjectsMax => "objects-max",
            Self::Inodes => "inodes",
            Self::Variants => "variants",
            Self::Replaced => "replaced",
            Self::Corrupt => "corrupt",
            Self::Forgotten => "forgotten",
            Self::Purged => "purged",
        }
    }
}

/// Counters of one disk.
#[derive(Debug, Default)]
pub struct DiskStats {
    /// The folder as configured: the `disk` label.
    pub name: String,
    /// Bytes of committed objects, headers and checksums included.
    pub stored_bytes: Gauge,
    /// Its slot in the pool.
    pub slot: u8,
    /// Bytes promised to objects that are being written.
    pub filling_bytes: Gauge,
    /// Of the committed objects those that are being evicted at this moment.
    pub leaving_bytes: Gauge,
    /// The part of them that still counts as free on the disk.
    pub(crate) unallocated_bytes: Gauge,
    /// What the store may use, from the last look at the disk.
    pub budget_bytes: Gauge,
    /// Blocks whose checksum did not fit.
    pub corrupt_blocks: Counter,
    /// Objects dropped because they could not be read as written.
    pub corrupt_objects: Counter,
    /// Calls that failed with an error of the system, out of space aside.
    pub errors: Counter,
    /// Writes refused for want of space, after eviction was tried.
    pub full: Counter,
    /// Sync passes that succeeded.
    pub syncs: Counter,
    /// Jobs that had to wait for a place in the pool's queue.
    pub pool_waits: Counter,
    /// Sends that read from the disk although the range was resident a moment before; each was verified again.
    pub resend_checks: Counter,
}

impl DiskStats {
    /// Of the disk in this slot and folder.
    pub(crate) fn named(slot: DiskSlot, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            slot: slot.0,
            ..Self::default()
        }
    }
}

/// Counters of the store.
#[derive(Debug, Default)]
pub struct StoreStats {
    disks: Mutex<Vec<Arc<DiskStats>>>,
    /// Jobs that had to wait for a place in the queue of the coordinator's pool.
    pub pool_waits: Counter,
    /// Memory for stripes that are being collected.
    pub stripe_bytes: Gauge,
    /// Units that were computed from others because theirs could not be read.
    pub computed_units: Counter,
    /// Shards that were computed and written anew.
    pub repaired_shards: Counter,
    /// Shards that were computed and were not what the others know of them; they were not written.
    pub contradicted_shards: Counter,
    /// Objects that lack a shard and found no place in the queue; they are found by a walk.
    pub repair_queue_full: Counter,
    /// Objects that were spread anew because one of their disks is being retired.
    pub moved_objects: Counter,
    /// Committed objects.
    pub objects: Gauge,
    /// Replaced files that wait for the next sync before they are removed.
    pub replaced_waiting: Gauge,
    /// Bound hits: replaced files removed before a sync because too many waited.
    pub replaced_bound_hits: Counter,
    /// Bodies refused at their commit because their digest is not the expected one.
    pub digest_mismatches: Counter,
    /// Variants removed because their key had too many.
    pub variants_capped: Counter,
    /// Bytes of the metadata log.
    pub metadata_log_bytes: Gauge,
    /// Objects whose head was amended.
    pub amendments: Counter,
    /// Damaged or unreadable parts of the metadata log, and records of kinds that must be understood and are not.
    pub log_problems: Counter,
    /// Purges that are remembered because something that they cover may still be there or on its way.
    pub bans: Gauge,
    /// Objects that purges have removed or marked; their bytes are those removed for [`EvictionCause::Purged`].
    pub purged_objects: Counter,
    removed_bytes: [Counter; EvictionCause::ALL.len()],
}

impl StoreStats {
    /// One for each disk, by slot.
    #[must_use]
    pub fn disks(&self) -> Vec<Arc<DiskStats>> {
        self.lock().clone()
    }

    /// These are the disks from now on.
    pub(crate) fn set_disks(&self, disks: impl Iterator<Item = Arc<DiskStats>>) {
        *self.lock() = disks.collect();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<DiskStats>>> {
        self.disks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes removed for a cause.
    #[must_use]
    pub fn removed_bytes(&self, cause: EvictionCause) -> u64 {
        self.removed_counter(cause).map_or(0, Counter::get)
    }

    pub(crate) fn count_removed(&self, cause: EvictionCause, bytes: u64) {
        if let Some(counter) = self.removed_counter(cause) {
            counter.add(bytes);
        }
    }

    fn removed_counter(&self, cause: EvictionCause) -> Option<&Counter> {
        let place = EvictionCause::ALL
            .iter()
            .position(|listed| *listed == cause)?;
        self.removed_bytes.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_counter_and_label() {
        let stats = StoreStats::default();
        for (place, cause) in (1_u64..).zip(EvictionCause::ALL) {
            stats.count_removed(cause, place);
        }
        for (place, cause) in (1_u64..).zip(EvictionCause::ALL) {
            assert_eq!(stats.removed_bytes(cause), place, "{}", cause.as_str());
        }
    }

    #[test]
    fn a_gauge_stops_at_zero() {
        let gauge = Gauge::default();
        gauge.add(2);
        gauge.subtract(5);
        assert_eq!(gauge.get(), 0);
    }
}
