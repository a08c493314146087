//! Making room: eviction before a write, on ENOSPC, at the bounds of the index and of a key, and in the background.
//!
//! Sampled LRU: of sixteen random objects the one used longest ago goes first (ties: the oldest sequence). Pinned
//! objects are never offered. The budget is measured once per pass, so that files which readers still hold open do
//! not make a pass evict everything.

use super::StoreError;
use super::array::disk::Disk;
use super::budget::{Budget, Pressure, share};
use super::claim::Claim;
use super::core::{Core, is_no_space, lock};
use super::index::{Inserted, Place, Record};
use super::layout::ObjectName;
use super::members::{COPIED_OBJECT_BYTES_MAX, Members};
use super::report::DiskSlot;
use crate::metrics::EvictionCause;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLockReadGuard};

/// Objects compared for each eviction.
const SAMPLE: usize = 16;
/// Objects evicted at once, at most: nobody finds them any more, and their files are still there.
const BATCH: usize = 64;
/// What takes so little on a disk is reserved by the budgets as they were last measured: to measure would cost more
/// than it could be wrong by.
const SMALL_BYTES: u64 = 2 * COPIED_OBJECT_BYTES_MAX;
/// Variants of one key: a lookup opens them all, and whoever chooses request headers chooses how many there are.
const VARIANTS_MAX: usize = 64;

impl Core {
    /// Reserves `bytes` on each of these disks for a new object, evicting if necessary. Pool only.
    ///
    /// A disk without room is left out as long as `needed` others have some. Reserved first and checked afterwards: of
    /// several that begin at once, those fit that fit together. What can never fit is refused before it makes others
    /// evict.
    pub(super) fn reserve(
        self: &Arc<Self>,
        members: Members,
        bytes: u64,
        needed: u8,
    ) -> Result<Claim, StoreError> {
        if bytes <= SMALL_BYTES {
            let claim = Claim::reserve(self, members, bytes);
            if self.are_within_budgets(members) {
                return Ok(claim);
            }
        }
        let mut budgets = self.measured_budgets(members)?;
        let is_too_small = |(_, budget): &mut (_, Budget)| {
            bytes > share(budget.bytes, self.settings.high_watermark)
        };
        let too_small = budgets.extract_if(.., is_too_small);
        let too_small: Members = too_small.map(|(disk, _)| disk.slot).collect();
        let mut left = members.difference(too_small);
        for slot in too_small.iter() {
            let error = self.too_large(slot, bytes);
            if left.len() < needed {
                return Err(error);
            }
        }
        let mut claim = Claim::reserve(self, left, bytes);
        for slot in self.fit_into(&budgets).iter() {
            left = left.without(slot);
            let error = self.full(slot);
            if left.len() < needed {
                return Err(error);
            }
            claim.leave_out(slot);
        }
        Ok(claim)
    }

    /// The budgets of the disks that can say what they have; an error when none of them can.
    fn measured_budgets(&self, members: Members) -> Result<Vec<(Arc<Disk>, Budget)>, StoreError> {
        let mut measured = Vec::new();
        let mut error = None;
        for (disk, budget) in self.budgets(members) {
            match budget {
                Ok(budget) => measured.push((disk, budget)),
                Err(source) => error = Some(self.disk_error(disk.slot, "statvfs", source)),
            }
        }
        match error {
            Some(error) if measured.is_empty() => Err(error),
            _ => Ok(measured),
        }
    }

    /// Evicts what is above the high watermark; the disks on which what cannot be evicted exceeds the budget.
    fn fit_into(self: &Arc<Self>, budgets: &[(Arc<Disk>, Budget)]) -> Members {
        let mut full = Members::EMPTY;
        for (disk, budget) in budgets {
            let limit = share(budget.bytes, self.settings.high_watermark);
            loop {
                let excess = self.usage(disk).bytes.saturating_sub(limit);
                let cause = EvictionCause::Watermark;
                if excess == 0 || self.evict(cause, Some(disk.slot), excess).is_none() {
                    break;
                }
            }
            let usage = self.usage(disk);
            if usage.bytes > budget.bytes {
                full = full.with(disk.slot);
            } else if budget.pressure(usage, self.settings.high_watermark) != Pressure::None {
                self.request_maintenance();
            }
        }
        full
    }

    /// Called as objects grow: against the budgets as they were last measured, so that most calls cost nothing. Returns
    /// the disks that have no room even so. Pool only.
    pub(super) fn stay_within_budget(
        self: &Arc<Self>,
        members: Members,
    ) -> Result<Members, StoreError> {
        if self.are_within_budgets(members) {
            return Ok(Members::EMPTY);
        }
        Ok(self.fit_into(&self.measured_budgets(members)?))
    }

    /// By the budgets as they were last measured, at the latest in the last maintenance pass.
    fn are_within_budgets(&self, members: Members) -> bool {
        let disks = self.array.disks();
        let mut concerned = disks
            .iter()
            .filter(|disk| disk.is_live() && members.contains(disk.slot));
        concerned.all(|disk| {
            let measured = disk.stats.budget_bytes.get();
            self.usage(disk).bytes <= share(measured, self.settings.high_watermark)
        })
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
                self.make_room(bytes, None);
                write().map_err(|error| self.store_error(operation, error))
            }
            other => other.map_err(|error| self.store_error(operation, error)),
        }
    }

    /// Evicts what so many bytes on a disk need; on any, where none is named. Pool only.
    pub(super) fn make_room(&self, bytes: u64, on: Option<DiskSlot>) {
        let mut freed = 0_u64;
        // Twice as much: other writers are waiting for the same space.
        let wanted = bytes.saturating_mul(2);
        while freed < wanted {
            let Some(more) = self.evict(EvictionCause::NoSpace, on, wanted - freed) else {
                break;
            };
            freed = freed.saturating_add(more);
        }
    }

    /// Evicts down to the low watermark when the high one is exceeded. Pool only.
    pub(super) fn evict_to_low_watermark(&self) {
        for (disk, budget) in self.budgets(self.array.live()) {
            if let Ok(budget) = budget {
                self.evict_below(&disk, &budget);
            }
        }
    }

    fn evict_below(&self, disk: &Disk, budget: &Budget) {
        if budget.pressure(self.usage(disk), self.settings.high_watermark) == Pressure::None {
            return;
        }
        let low = self.settings.low_watermark;
        loop {
            let usage = self.usage(disk);
            let excess = usage.bytes.saturating_sub(share(budget.bytes, low));
            let (cause, wanted) = match budget.pressure(usage, low) {
                Pressure::None => return,
                Pressure::Bytes => (EvictionCause::Watermark, excess),
                Pressure::Files => (EvictionCause::Inodes, 1),
            };
            if self.evict(cause, Some(disk.slot), wanted).is_none() {
                return;
            }
        }
    }

    /// Evicts objects that have a shard on this disk, or any, until `wanted` bytes are free on each of their disks, but
    /// no more of them at once than [`BATCH`]: every disk removes its files in one job. Bytes freed, 0 when other
    /// threads were faster, or `None` when there is nothing to evict or a disk refuses.
    pub(super) fn evict(
        &self,
        cause: EvictionCause,
        on: Option<DiskSlot>,
        wanted: u64,
    ) -> Option<u64> {
        let victims = self.victims(on, wanted);
        if victims.is_empty() {
            return None;
        }
        let removal = self.begin_removal();
        let forgets = self.forgets.load(Ordering::Acquire);
        let taken = victims.iter().filter_map(|name| self.take_entry(name));
        self.remove_taken(&removal, taken.collect(), forgets, cause)
    }

    /// What is to go next for so many bytes. To learn whether an object is pinned its head may have to be read, and
    /// judged: not within a removal.
    fn victims(&self, on: Option<DiskSlot>, wanted: u64) -> Vec<ObjectName> {
        let (mut victims, mut bytes) = (Vec::new(), 0_u64);
        while bytes < wanted.max(1) && victims.len() < BATCH {
            let Some(victim) = self.victim(on, &victims) else {
                break;
            };
            let name = victim.name();
            if !victim.head_known && self.learn_is_pinned(&victim) {
                // It will not be offered again.
                continue;
            }
            bytes = bytes.saturating_add(name.shard_footprint_bytes());
            victims.push(name);
        }
        victims
    }

    /// Of some that have a shard on this disk, or of any, the one that was used longest ago and is not chosen yet.
    fn victim(&self, on: Option<DiskSlot>, chosen: &[ObjectName]) -> Option<Record> {
        let wanted = on.map_or(Members::ALL, Members::of);
        let sample = lock(&self.index).sample(SAMPLE, wanted);
        let others = sample
            .into_iter()
            .filter(|record| !chosen.contains(&record.name()));
        others.min_by_key(|record| (self.last_use(record), record.sequence))
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
            record.pinned = self.learn_is_pinned(record);
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

    /// Takes an object out of the index, then removes its file; results as for [`Self::evict`].
    ///
    /// The entry goes first: only the thread that took it frees and counts, and no lookup finds an entry whose file is
    /// gone. When the disk refuses, the entry comes back, so that a disk gone read-only keeps what it can still serve.
    pub(super) fn remove_object(&self, name: &ObjectName, cause: EvictionCause) -> Option<u64> {
        let removal = self.begin_removal();
        let forgets = self.forgets.load(Ordering::Acquire);
        let Some(entry) = self.take_entry(name) else {
            return Some(0);
        };
        self.remove_taken(&removal, vec![entry], forgets, cause)
    }

    /// Removes the files of objects whose entries were taken when so many requests to forget had come.
    fn remove_taken(
        &self,
        _removal: &RwLockReadGuard<'_, ()>,
        taken: Vec<(Record, Option<Place>)>,
        forgets: u64,
        cause: EvictionCause,
    ) -> Option<u64> {
        for (record, _) in &taken {
            self.remove_replaced(record.slot);
        }
        let records: Vec<Record> = taken.iter().map(|(record, _)| *record).collect();
        let _leaving = self.note_leaving(&records);
        let gone = self.remove_all_shards(&records);
        let (mut freed, mut has_refused) = (0_u64, false);
        for ((record, place), is_gone) in taken.into_iter().zip(gone) {
            if is_gone {
                self.count_removed(&record, cause);
                freed = freed.saturating_add(record.name().shard_footprint_bytes());
                continue;
            }
            has_refused = true;
            if !self.put_back(record, place, forgets) {
                // Nobody will find it again: its files go with the next maintenance pass.
                self.count_removed(&record, cause);
                let shards = record.name().shards();
                lock(&self.leftovers).extend(shards.map(|(disk, shard)| (disk, shard.path())));
            }
        }
        (!has_refused).then_some(freed)
    }

    /// `false` when a newer object has the place, or when the entry was perhaps missed by a request to forget it.
    fn put_back(&self, record: Record, place: Option<Place>, forgets: u64) -> bool {
        let mut index = lock(&self.index);
        // Under the lock: a request that starts after this look finds the entry.
        self.forgets.load(Ordering::Acquire) == forgets
            && index.put_back(record, place) == Inserted::New
    }

    /// Reads the head of an object that only its name is known of. One that cannot be read may go.
    fn learn_is_pinned(&self, record: &Record) -> bool {
        let Some(Some(head)) = self.stored_head(record) else {
            return false;
        };
        let mut index = lock(&self.index);
        index.learn(record.slot, record.sequence, &head);
        index.is_pinned(record.slot, record.sequence)
    }

    /// The use that the open handle knows of, else the one in the index.
    pub(super) fn last_use(&self, record: &Record) -> u32 {
        let open = self.handles.get(&(record.slot, record.sequence));
        open.map_or(record.last_use, |object| {
            object.last_use().max(record.last_use)
        })
    }

    /// An object that would not fit into the empty store as it is configured says nothing about the disk.
    fn too_large(&self, slot: DiskSlot, bytes: u64) -> StoreError {
        let capacity = self.capacity_share().unwrap_or(u64::MAX);
        if bytes <= share(capacity, self.settings.high_watermark) {
            return self.full(slot);
        }
        if let Some(disk) = self.array.get(slot) {
            disk.stats.full.add(1);
        }
        StoreError::Full {
            disk: self.folder_of(slot),
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
