//! Which objects were amended, and where their records stand.
//!
//! The place lives and dies with the entry, under the same lock: whoever takes an object out of the index takes its
//! amendment with it. One place per amended object, nothing for the others.

use super::{AMENDED, Index, Inserted, PINNED, Record};
use crate::object::Sequence;
use crate::store::layout::Slot;
use std::collections::{BTreeMap, HashMap};

/// Where the newest record of an object stands in the metadata log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which file.
    pub(crate) log: Sequence,
    /// Number of the record.
    pub(crate) number: u64,
    /// Where it begins, bytes.
    pub(crate) offset: u32,
    /// What it takes, bytes.
    pub(crate) bytes: u32,
}

/// Places by the number of the index entry.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_entry: HashMap<u32, Place>,
    live_bytes: BTreeMap<Sequence, u64>,
}

impl Places {
    fn set(&mut self, id: u32, place: Place) {
        self.take(id);
        let live = self.live_bytes.entry(place.log).or_default();
        *live = live.saturating_add(u64::from(place.bytes));
        self.by_entry.insert(id, place);
    }

    pub(super) fn take(&mut self, id: u32) -> Option<Place> {
        let place = self.by_entry.remove(&id)?;
        if let Some(live) = self.live_bytes.get_mut(&place.log) {
            *live = live.saturating_sub(u64::from(place.bytes));
            if *live == 0 {
                self.live_bytes.remove(&place.log);
            }
        }
        Some(place)
    }
}

impl Index {
    /// Where this generation was amended last.
    pub(crate) fn place(&self, slot: Slot, sequence: Sequence) -> Option<Place> {
        let id = self.generation(slot, sequence)?;
        self.places.by_entry.get(&id).copied()
    }

    /// Notes an amendment; `false` when this generation is not there, or was amended later.
    pub(crate) fn amend(
        &mut self,
        slot: Slot,
        sequence: Sequence,
        place: Place,
        pinned: bool,
    ) -> bool {
        let Some(id) = self.generation(slot, sequence) else {
            return false;
        };
        let known = self.places.by_entry.get(&id);
        if known.is_some_and(|known| known.number > place.number) {
            return false;
        }
        self.places.set(id, place);
        if let Some(entry) = self.entry_mut(id) {
            entry.flags |= AMENDED;
            entry.flags &= !PINNED;
            if pinned {
                entry.flags |= PINNED;
            }
        }
        true
    }

    /// The record was copied; `false` when another one counts by now.
    pub(crate) fn relocate(
        &mut self,
        slot: Slot,
        sequence: Sequence,
        from: Place,
        to: Place,
    ) -> bool {
        let found = self.generation(slot, sequence);
        let Some(id) = found.filter(|id| self.places.by_entry.get(id) == Some(&from)) else {
            return false;
        };
        self.places.set(id, to);
        true
    }

    /// Bytes of records in one file that still count.
    pub(crate) fn live_log_bytes(&self, log: Sequence) -> u64 {
        self.places.live_bytes.get(&log).copied().unwrap_or(0)
    }

    /// Puts back what [`Index::take`] took, as it was.
    pub(crate) fn put_back(&mut self, record: Record, place: Option<Place>) -> Inserted {
        let inserted = self.insert(record);
        self.put_back_count = self.put_back_count.saturating_add(1);
        if inserted == Inserted::New
            && let Some(place) = place
        {
            self.amend(record.slot, record.sequence, place, record.pinned);
        }
        inserted
    }

    /// Whether an object may be evicted, as far as is known.
    pub(crate) fn is_pinned(&self, slot: Slot, sequence: Sequence) -> bool {
        let entry = self
            .generation(slot, sequence)
            .and_then(|id| self.entry(id));
        entry.is_some_and(|entry| entry.flags & PINNED != 0)
    }

    pub(super) fn generation(&self, slot: Slot, sequence: Sequence) -> Option<u32> {
        self.position(slot).filter(|id| {
            self.entry(*id)
                .is_some_and(|entry| entry.sequence == sequence.0)
        })
    }
}
