//! Making room: eviction before a write, on ENOSPC, at the bounds of the index and of a key, and in the background.
//!
//! Sampled LRU: of sixteen random objects the one used longest ago goes first (ties: the oldest sequence). Pinned
//! objects are never offered. The budget is measured once per pass, so that files which readers still hold open do
//! not make a pass evict everything.

use super::StoreError;
use super::budget::{Budget, Pressure, share};
use super::claim::Claim;
use super::core::{Core, is_no_space, lock};
use super::index::{Inserted, Place, Record};
use super::layout::{ShardName, footprint_bytes};
use crate::metrics::EvictionCause;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Objects compared for each eviction.
const SAMPLE: usize = 16;
/// Variants of one key: a lookup opens them all, and whoever chooses request headers chooses how many there are.
const VARIANTS_MAX: usize = 64;

impl Core {
    /// Reserves `bytes` for a new object, evicting if necessary. Pool only.
    ///
    /// Reserved first and checked afterwards: of several that begin at once, those fit that fit together. What can
    /// never fit is refused before it makes others evict.
    pub(super) fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Claim, StoreError> {
        let budget = self.measured_budget()?;
        if bytes > share(budget.bytes, self.settings.high_watermark) {
            return Err(self.too_large(bytes));
        }
        let claim = Claim::reserve(self, bytes);
        self.fit_into(&budget)?;
        Ok(claim)
    }

    fn measured_budget(&self) -> Result<Budget, StoreError> {
        self.budget()
            .map_err(|error| self.disk_error("statvfs", error))
    }

    /// Evicts what is above the high watermark; an error when what cannot be evicted exceeds the budget.
    fn fit_into(self: &Arc<Self>, budget: &Budget) -> Result<(), StoreError> {
        let limit = share(budget.bytes, self.settings.high_watermark);
        while self.usage().bytes > limit {
            if self.evict_one(EvictionCause::Watermark).is_none() {
                break;
            }
        }
        let usage = self.usage();
        if usage.bytes > budget.bytes {
            return Err(self.full());
        }
        if budget.pressure(usage, self.settings.high_watermark) != Pressure::None {
            self.request_maintenance();
        }
        Ok(())
    }

    /// Called as objects grow: against the budget as it was last measured, so that most calls cost nothing. Pool only.
    pub(super) fn stay_within_budget(self: &Arc<Self>) -> Result<(), StoreError> {
        let measured = self.disk().budget_bytes.get();
        if self.usage().bytes <= share(measured, self.settings.high_watermark) {
            return Ok(());
        }
        self.fit_into(&self.measured_budget()?)
    }

    /// Runs a write; when the file system is full, evicts what `bytes` need and tries once more. Pool only.
    pub(super) fn with_room<T>(
        &self,
        bytes: u64,
        operation: &'static str,
        write: impl Fn() -> io::Result<T>,
    ) -> Result<T, StoreError> {
        match write() {
            Err(error) if is_no_space(&error) => {
                let mut freed = 0_u64;
                // Twice as much: other writers are waiting for the same space.
                while freed < bytes.saturating_mul(2) {
                    let Some(more) = self.evict_one(EvictionCause::NoSpace) else {
                        break;
                    };
                    freed = freed.saturating_add(more);
                }
                write().map_err(|error| self.disk_error(operation, error))
            }
            other => other.map_err(|error| self.disk_error(operation, error)),
        }
    }

    /// Evicts down to the low watermark when the high one is exceeded. Pool only.
    pub(super) fn evict_to_low_watermark(&self) {
        let Ok(budget) = self.budget() else { return };
        if budget.pressure(self.usage(), self.settings.high_watermark) == Pressure::None {
            return;
        }
        loop {
            let cause = match budget.pressure(self.usage(), self.settings.low_watermark) {
                Pressure::None => return,
                Pressure::Bytes => EvictionCause::Watermark,
                Pressure::Files => EvictionCause::Inodes,
            };
            if self.evict_one(cause).is_none() {
                return;
            }
        }
    }

    /// Evicts one object; bytes freed, 0 when another thread was faster, or `None` when there is nothing to evict or
    /// the disk refuses.
    pub(super) fn evict_one(&self, cause: EvictionCause) -> Option<u64> {
        let sample = lock(&self.index).sample(SAMPLE);
        let victim = sample
            .into_iter()
            .min_by_key(|record| (self.last_use(record), record.sequence))?;
        let name = victim.name();
        if !victim.head_known && self.learn_is_pinned(&name) {
            // Nothing freed, but no reason to stop: it will not be offered again.
            return Some(0);
        }
        self.remove_object(&name, cause)
    }

    /// Removes the variants of a key beyond the bound, the one used longest ago first; the newest stays, and pinned
    /// ones go only when nothing else is left. Pool only.
    pub(super) fn limit_variants(&self, key: u128) {
        let mut variants = lock(&self.index).find(key);
        let excess = variants.len().saturating_sub(VARIANTS_MAX);
        if excess == 0 {
            return;
        }
        let newest = variants.first().map(|newest| newest.sequence);
        for record in variants.iter_mut().filter(|record| !record.head_known) {
            record.pinned = self.learn_is_pinned(&record.name());
        }
        variants.sort_by_cached_key(|record| {
            let is_newest = Some(record.sequence) == newest;
            let last_use = self.last_use(record);
            (is_newest, record.pinned, last_use, record.sequence)
        });
        for record in variants.iter().take(excess) {
            let removed = self.remove_object(&record.name(), EvictionCause::Variants);
            match removed {
                None => return,
                Some(0) => {}
                Some(_) => self.stats.variants_capped.add(1),
            }
        }
    }

    /// Takes an object out of the index, then removes its file; results as for [`Self::evict_one`].
    ///
    /// The entry goes first: only the thread that took it frees and counts, and no lookup finds an entry whose file is
    /// gone. When the disk refuses, the entry comes back, so that a disk gone read-only keeps what it can still serve.
    pub(super) fn remove_object(&self, name: &ShardName, cause: EvictionCause) -> Option<u64> {
        let _removal = self.begin_removal();
        let forgets = self.forgets.load(Ordering::Acquire);
        let Some((record, place)) = self.take_entry(name) else {
            return Some(0);
        };
        self.remove_replaced(name.slot);
        if self.unlink_counted(name, cause) {
            return Some(footprint_bytes(name.length));
        }
        if !self.put_back(record, place, forgets) {
            // Nobody will find it again: its file goes with the next maintenance pass.
            self.count_removed(name.length, cause);
            lock(&self.leftovers).push(name.path());
        }
        None
    }

    /// `false` when a newer object has the place, or when the entry was perhaps missed by a request to forget it.
    fn put_back(&self, record: Record, place: Option<Place>, forgets: u64) -> bool {
        let mut index = lock(&self.index);
        // Under the lock: a request that starts after this look finds the entry.
        self.forgets.load(Ordering::Acquire) == forgets
            && index.put_back(record, place) == Inserted::New
    }

    /// Reads the head of an object that only its name is known of. One that cannot be read may go.
    fn learn_is_pinned(&self, name: &ShardName) -> bool {
        let Ok(shard) = self.open_shard(*name) else {
            return false;
        };
        let mut index = lock(&self.index);
        index.learn(name.slot, name.sequence, &shard.head);
        index.is_pinned(name.slot, name.sequence)
    }

    /// The use that the open handle knows of, else the one in the index.
    pub(super) fn last_use(&self, record: &Record) -> u32 {
        let open = self.handles.get(&(record.slot, record.sequence));
        open.map_or(record.last_use, |object| {
            object.last_use().max(record.last_use)
        })
    }

    /// An object that would not fit into the empty store as it is configured says nothing about the disk.
    fn too_large(&self, bytes: u64) -> StoreError {
        let capacity = self.settings.capacity_bytes.unwrap_or(u64::MAX);
        if bytes <= share(capacity, self.settings.high_watermark) {
            return self.full();
        }
        self.disk().full.add(1);
        StoreError::Full {
            disk: self.device.name().to_owned(),
        }
    }

    /// Asks for a maintenance pass; at most one waits or runs.
    pub(super) fn request_maintenance(self: &Arc<Self>) {
        if self.maintaining.swap(true, Ordering::AcqRel) {
            return;
        }
        let core = Arc::clone(self);
        let submitted = self.pool.try_submit(move || {
            core.maintaining.store(false, Ordering::Release);
            core.maintain();
        });
        if submitted.is_err() {
            self.maintaining.store(false, Ordering::Release);
        }
    }
}
