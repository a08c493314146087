//! Which objects there are: a compact table in memory.
//!
//! ```text
//! bucket → entry → entry → …      entries live in slabs of 1024, 64 bytes each; a bucket is 4 bytes
//! ```
//! At one to two buckets per entry that is 68 to 72 bytes an object, slabs never being copied when they grow. The
//! variants of a key hang in the same chain. Per (key, variant) there is one entry: the highest sequence. Which bucket
//! a key falls into depends on a secret of the process, so nobody can build URLs that pile up in one chain.
//!
//! Pure memory: no I/O, no lock, no clock.

mod amended;
mod found;
mod missing;
mod walk;

pub(crate) use amended::Place;

use super::layout::{Geometry, ObjectName, Slot};
use super::members::{Members, Placement};
use crate::object::{ObjectHead, Sequence};
use std::hash::{BuildHasher, RandomState};

const NONE: u32 = u32::MAX;
const SLAB_ENTRIES: usize = 1024;
const FIRST_BUCKETS: usize = 1024;

const PINNED: u16 = 1;
const UNVERIFIED: u16 = 2;
const VACANT: u16 = 4;
const HEAD_UNKNOWN: u16 = 8;
const AMENDED: u16 = 16;

/// What is known of an object without opening its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) slot: Slot,
    pub(crate) sequence: Sequence,
    /// Body length, bytes.
    pub(crate) length: u64,
    pub(crate) placement: Placement,
    /// Shards that are known not to be there or not to be whole: a bit for each index.
    pub(crate) missing: u16,
    /// Seconds on the store's own count of use (see `Core::use_now`).
    pub(crate) last_use: u32,
    /// Origin or mirror for quotas, 0 for none.
    pub(crate) owner: u16,
    /// Never evicted.
    pub(crate) pinned: bool,
    /// Must be verified as a whole before its first use.
    pub(crate) unverified: bool,
    /// `false` after a scan of names: owner and pin stand in the head only and are learned when the file is opened.
    pub(crate) head_known: bool,
}

impl Record {
    /// An object of a one-disk store.
    #[cfg(test)]
    pub(crate) fn on_one_disk(slot: Slot, sequence: Sequence, length: u64) -> Self {
        Self {
            slot,
            sequence,
            length,
            placement: ObjectName::on_one_disk(slot, sequence, length).placement,
            missing: 0,
            last_use: 0,
            owner: 0,
            pinned: false,
            unverified: false,
            head_known: true,
        }
    }

    pub(crate) fn name(&self) -> ObjectName {
        ObjectName {
            slot: self.slot,
            sequence: self.sequence,
            length: self.length,
            placement: self.placement,
        }
    }

    /// Whether a shard is known to be missing.
    pub(crate) fn is_missing(&self, index: u8) -> bool {
        self.missing.checked_shr(index.into()).unwrap_or(0) & 1 == 1
    }

    /// Whether so many shards are known not to be there that no disk that comes back can help.
    pub(crate) fn is_beyond_repair(&self) -> bool {
        let parity = self.placement.geometry.parity_shards();
        self.missing.count_ones() > u32::from(parity)
    }

    /// Disks of the shards that are known to be missing.
    pub(crate) fn missing_on(&self) -> Members {
        if self.missing == 0 {
            return Members::EMPTY;
        }
        let members = (0_u8..).zip(self.placement.members.iter());
        members
            .filter(|(index, _)| self.is_missing(*index))
            .map(|(_, disk)| disk)
            .collect()
    }

    /// Disks of the shards that should be there.
    pub(crate) fn present_on(&self) -> Members {
        self.placement.members.difference(self.missing_on())
    }
}

/// What became of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// The first of its kind.
    New,
    /// Took the place of an older one.
    Replaced(Record),
    /// A newer one is already there; nothing changed.
    Outdated,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    key_high: u64,
    key_low: u64,
    variant: u64,
    sequence: u64,
    length: u64,
    members: u64,
    last_use: u32,
    next: u32,
    owner: u16,
    flags: u16,
    geometry: u16,
    missing: u16,
}

const _: () = assert!(size_of::<Entry>() == 64);

/// The table.
#[derive(Debug)]
pub(crate) struct Index {
    buckets: Vec<u32>,
    slabs: Vec<Vec<Entry>>,
    vacant: u32,
    used: usize,
    secret: RandomState,
    random: u64,
    places: amended::Places,
    put_back_count: u64,
    lacking: missing::Lacking,
}

impl Index {
    pub(crate) fn new() -> Self {
        let secret = RandomState::new();
        Self {
            buckets: vec![NONE; FIRST_BUCKETS],
            slabs: Vec::new(),
            vacant: NONE,
            used: 0,
            random: secret.hash_one(0),
            places: amended::Places::default(),
            put_back_count: 0,
            lacking: missing::Lacking::default(),
            secret,
        }
    }

    /// Objects.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// All variants of a key, newest first.
    pub(crate) fn find(&self, key: u128) -> Vec<Record> {
        let mut found: Vec<Record> = self
            .chain(key)
            .filter_map(|id| self.entry(id))
            .map(Entry::record)
            .filter(|record| record.slot.key == key)
            .collect();
        found.sort_by_key(|record| std::cmp::Reverse(record.sequence));
        found
    }

    /// Adds an object; the highest sequence of its (key, variant) wins.
    pub(crate) fn insert(&mut self, record: Record) -> Inserted {
        let known = self.position(record.slot);
        if let Some((id, entry)) = known.and_then(|id| Some((id, self.entry_mut(id)?))) {
            let old = entry.record();
            if old.sequence >= record.sequence {
                return Inserted::Outdated;
            }
            let next = entry.next;
            *entry = Entry::of(&record, next);
            self.lacking.forget(&old);
            self.lacking.note(&record);
            // What was said of the old generation is not true of the new one.
            self.places.take(id);
            return Inserted::Replaced(old);
        }
        if self.used >= self.buckets.len() {
            self.grow();
        }
        let bucket = self.bucket(record.slot.key);
        let first = self.buckets.get(bucket).copied().unwrap_or(NONE);
        let id = self.settle(Entry::of(&record, first));
        if let Some(head) = self.buckets.get_mut(bucket) {
            *head = id;
        }
        self.used += 1;
        self.lacking.note(&record);
        Inserted::New
    }

    /// Removes an object unless a newer one has taken its place, and with it the place of its amendment.
    pub(crate) fn take(
        &mut self,
        slot: Slot,
        sequence: Sequence,
    ) -> Option<(Record, Option<Place>)> {
        let id = self.position(slot)?;
        let removed = *self
            .entry(id)
            .filter(|entry| entry.sequence == sequence.0)?;
        let bucket = self.bucket(slot.key);
        let before = self
            .chain(slot.key)
            .find(|other| self.entry(*other).is_some_and(|entry| entry.next == id));
        match before.and_then(|other| self.entry_mut(other)) {
            Some(entry) => entry.next = removed.next,
            None => *self.buckets.get_mut(bucket)? = removed.next,
        }
        let vacant = self.vacant;
        let entry = self.entry_mut(id)?;
        entry.flags = VACANT;
        entry.next = vacant;
        self.vacant = id;
        self.used -= 1;
        self.lacking.forget(&removed.record());
        Some((removed.record(), self.places.take(id)))
    }

    /// Notes a use; never goes back.
    pub(crate) fn set_last_use(&mut self, slot: Slot, last_use: u32) {
        if let Some(entry) = self.position(slot).and_then(|id| self.entry_mut(id)) {
            entry.last_use = entry.last_use.max(last_use);
        }
    }

    /// Notes that an object was verified as a whole.
    pub(crate) fn set_verified(&mut self, slot: Slot, sequence: Sequence) {
        let entry = self.position(slot).and_then(|id| self.entry_mut(id));
        if let Some(entry) = entry.filter(|entry| entry.sequence == sequence.0) {
            entry.flags &= !UNVERIFIED;
        }
    }

    /// Notes what the head of an object says, as it was stored.
    pub(crate) fn learn(&mut self, slot: Slot, sequence: Sequence, head: &ObjectHead) {
        let entry = self.position(slot).and_then(|id| self.entry_mut(id));
        if let Some(entry) = entry.filter(|entry| entry.sequence == sequence.0) {
            entry.owner = head.origin_id;
            entry.flags &= !HEAD_UNKNOWN;
            if entry.flags & AMENDED != 0 {
                return; // the amendment has said what is pinned
            }
            entry.flags &= !PINNED;
            if head.pinned {
                entry.flags |= PINNED;
            }
        }
    }

    /// Whether this very generation is there.
    pub(crate) fn contains(&self, slot: Slot, sequence: Sequence) -> bool {
        let entry = self.position(slot).and_then(|id| self.entry(id));
        entry.is_some_and(|entry| entry.sequence == sequence.0)
    }

    /// Up to `count` objects from anywhere that may be evicted and have a shard on one of these disks.
    pub(crate) fn sample(&mut self, count: usize, on: Members) -> Vec<Record> {
        let places = self.slabs.iter().map(Vec::len).sum::<usize>() as u64;
        let mut found = Vec::with_capacity(count);
        // Half of the places may be vacant or pinned before the walk below is needed.
        for _ in 0..count.saturating_mul(4) {
            if places == 0 || found.len() == count {
                break;
            }
            let id = u32::try_from(self.next_random() % places).unwrap_or(NONE);
            found.extend(
                self.entry(id)
                    .filter(|entry| entry.is_evictable(on))
                    .map(Entry::record),
            );
        }
        if found.is_empty() {
            found.extend(
                self.entries()
                    .filter(|entry| entry.is_evictable(on))
                    .take(count)
                    .map(Entry::record),
            );
        }
        found
    }

    /// Everything, in no order.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.entries()
            .filter(|entry| entry.flags & VACANT == 0)
            .map(Entry::record)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slabs.iter().flatten()
    }

    fn bucket(&self, key: u128) -> usize {
        let mask = self.buckets.len().saturating_sub(1) as u64;
        usize::try_from(self.secret.hash_one(key) & mask).unwrap_or(0)
    }

    fn chain(&self, key: u128) -> impl Iterator<Item = u32> + '_ {
        let first = self.buckets.get(self.bucket(key)).copied();
        let known = |id: &u32| *id != NONE;
        std::iter::successors(first.filter(known), move |id| {
            self.entry(*id).map(|entry| entry.next).filter(known)
        })
    }

    fn position(&self, slot: Slot) -> Option<u32> {
        self.chain(slot.key)
            .find(|id| self.entry(*id).is_some_and(|entry| entry.slot() == slot))
    }

    fn entry(&self, id: u32) -> Option<&Entry> {
        let id = usize::try_from(id).ok()?;
        self.slabs.get(id / SLAB_ENTRIES)?.get(id % SLAB_ENTRIES)
    }

    fn entry_mut(&mut self, id: u32) -> Option<&mut Entry> {
        let id = usize::try_from(id).ok()?;
        self.slabs
            .get_mut(id / SLAB_ENTRIES)?
            .get_mut(id % SLAB_ENTRIES)
    }

    fn settle(&mut self, entry: Entry) -> u32 {
        let vacant = self.vacant;
        if let Some(slot) = self.entry_mut(vacant) {
            let next = slot.next;
            *slot = entry;
            self.vacant = next;
            return vacant;
        }
        if self
            .slabs
            .last()
            .is_none_or(|slab| slab.len() == SLAB_ENTRIES)
        {
            self.slabs.push(Vec::with_capacity(SLAB_ENTRIES));
        }
        let before = self.slabs.len().saturating_sub(1) * SLAB_ENTRIES;
        let Some(slab) = self.slabs.last_mut() else {
            return NONE;
        };
        slab.push(entry);
        u32::try_from(before + slab.len() - 1).unwrap_or(NONE)
    }

    fn grow(&mut self) {
        self.buckets = vec![NONE; self.buckets.len() * 2];
        let places = self.slabs.iter().map(Vec::len).sum::<usize>();
        for id in (0..places).filter_map(|id| u32::try_from(id).ok()) {
            let Some(entry) = self.entry(id).filter(|entry| entry.flags & VACANT == 0) else {
                continue;
            };
            let bucket = self.bucket(entry.slot().key);
            let Some(head) = self.buckets.get_mut(bucket) else {
                continue;
            };
            let next = std::mem::replace(head, id);
            if let Some(entry) = self.entry_mut(id) {
                entry.next = next;
            }
        }
    }

    /// Xorshift: the choice of a sample needs to be cheap, not secret.
    fn next_random(&mut self) -> u64 {
        let mut value = self.random | 1;
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
        self.random = value;
        value >> 1
    }
}

impl Entry {
    fn of(record: &Record, next: u32) -> Self {
        let [high, low] = halves(record.slot.key);
        let pinned = if record.pinned { PINNED } else { 0 };
        let unverified = if record.unverified { UNVERIFIED } else { 0 };
        let head_unknown = if record.head_known { 0 } else { HEAD_UNKNOWN };
        Self {
            key_high: high,
            key_low: low,
            variant: record.slot.variant,
            sequence: record.sequence.0,
            length: record.length,
            members: record.placement.members.0,
            last_use: record.last_use,
            next,
            owner: record.owner,
            flags: pinned | unverified | head_unknown,
            geometry: record.placement.geometry.0,
            missing: record.missing,
        }
    }

    fn slot(&self) -> Slot {
        let key = (u128::from(self.key_high) << 64) | u128::from(self.key_low);
        Slot {
            key,
            variant: self.variant,
        }
    }

    fn record(&self) -> Record {
        Record {
            slot: self.slot(),
            sequence: Sequence(self.sequence),
            length: self.length,
            placement: Placement {
                geometry: Geometry(self.geometry),
                members: Members(self.members),
            },
            missing: self.missing,
            last_use: self.last_use,
            owner: self.owner,
            pinned: self.flags & PINNED != 0,
            unverified: self.flags & UNVERIFIED != 0,
            head_known: self.flags & HEAD_UNKNOWN == 0,
        }
    }

    fn is_evictable(&self, on: Members) -> bool {
        self.flags & (VACANT | PINNED) == 0
            && self.members & on.0 != 0
            // Removing it frees nothing where its shard is missing.
            && (self.missing == 0 || !self.record().present_on().intersection(on).is_empty())
    }
}

/// Two halves instead of a u128, whose alignment would cost 8 bytes an entry.
fn halves(key: u128) -> [u64; 2] {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the halves are cut on purpose"
    )]
    [(key >> 64) as u64, key as u64]
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
