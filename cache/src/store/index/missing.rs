//! Which shards of which objects are known to be missing, and how many that are.

use super::{Entry, Index, Record};
use crate::object::Sequence;
use crate::store::layout::Slot;
use crate::store::members::Placement;
use crate::store::report::DiskSlot;

/// Slots there are.
const SLOTS: usize = 64;

/// Counts of what is missing.
#[derive(Debug)]
pub(super) struct Lacking {
    objects: u64,
    shards: [u64; SLOTS],
}

impl Default for Lacking {
    fn default() -> Self {
        Self {
            objects: 0,
            shards: [0; SLOTS],
        }
    }
}

impl Lacking {
    pub(super) fn note(&mut self, record: &Record) {
        self.change(record, |count| count.saturating_add(1));
    }

    pub(super) fn forget(&mut self, record: &Record) {
        self.change(record, |count| count.saturating_sub(1));
    }

    fn change(&mut self, record: &Record, change: impl Fn(u64) -> u64) {
        if record.missing == 0 {
            return;
        }
        self.objects = change(self.objects);
        for slot in record.missing_on().iter() {
            if let Some(count) = self.shards.get_mut(usize::from(slot.0)) {
                *count = change(*count);
            }
        }
    }
}

impl Index {
    /// What is known of this very generation.
    pub(crate) fn record(&self, slot: Slot, sequence: Sequence) -> Option<Record> {
        let id = self.generation(slot, sequence)?;
        self.entry(id).map(Entry::record)
    }

    /// The shards of a generation that are missing; `None` when it is not there.
    pub(crate) fn missing(&self, slot: Slot, sequence: Sequence) -> Option<u16> {
        let id = self.generation(slot, sequence)?;
        self.entry(id).map(|entry| entry.missing)
    }

    /// Objects that lack a shard.
    pub(crate) fn lacking_objects(&self) -> u64 {
        self.lacking.objects
    }

    /// Shards that a disk lacks.
    pub(crate) fn lacking_shards(&self, slot: DiskSlot) -> u64 {
        let count = self.lacking.shards.get(usize::from(slot.0));
        count.copied().unwrap_or(0)
    }

    /// Notes that a shard is not there or not whole.
    pub(crate) fn set_missing(&mut self, slot: Slot, sequence: Sequence, index: u8) {
        self.change_missing(slot, sequence, None, |missing| missing | bit(index));
    }

    /// As [`Self::set_missing`], unless the generation was spread anew since.
    pub(crate) fn set_missing_of(&mut self, record: &Record, index: u8) {
        let (slot, sequence) = (record.slot, record.sequence);
        self.change_missing(slot, sequence, Some(record.placement), |missing| {
            missing | bit(index)
        });
    }

    /// Notes whether a shard of exactly this placement is there; whether it was missing before, `None` when this
    /// generation is not there under this placement.
    pub(crate) fn change_presence(
        &mut self,
        record: &Record,
        index: u8,
        is_there: bool,
    ) -> Option<bool> {
        let (slot, sequence) = (record.slot, record.sequence);
        let before = self.record(slot, sequence)?;
        let placement = Some(record.placement);
        let is_known = self.change_missing(slot, sequence, placement, |missing| match is_there {
            true => missing & !bit(index),
            false => missing | bit(index),
        });
        is_known.then(|| before.is_missing(index))
    }

    /// Notes that a generation was spread anew; the record as it was, `None` when it is not there under this placement.
    pub(crate) fn move_to(
        &mut self,
        from: &Record,
        placement: Placement,
        missing: u16,
    ) -> Option<Record> {
        let id = self.generation(from.slot, from.sequence)?;
        let entry = self.entry_mut(id)?;
        let old = entry.record();
        if old.placement != from.placement {
            return None;
        }
        entry.geometry = placement.geometry.0;
        entry.members = placement.members.0;
        entry.missing = missing;
        let new = entry.record();
        self.lacking.forget(&old);
        self.lacking.note(&new);
        Some(old)
    }

    /// Notes that a shard of exactly this placement is there; `false` when this generation is not.
    pub(crate) fn set_present(
        &mut self,
        slot: Slot,
        sequence: Sequence,
        placement: Placement,
        index: u8,
    ) -> bool {
        self.change_missing(slot, sequence, Some(placement), |missing| {
            missing & !bit(index)
        })
    }

    fn change_missing(
        &mut self,
        slot: Slot,
        sequence: Sequence,
        placement: Option<Placement>,
        change: impl FnOnce(u16) -> u16,
    ) -> bool {
        let id = self.generation(slot, sequence);
        let Some(entry) = id.and_then(|id| self.entry_mut(id)) else {
            return false;
        };
        let before = entry.record();
        if placement.is_some_and(|placement| placement != before.placement) {
            return false;
        }
        entry.missing = change(before.missing);
        let after = entry.record();
        self.lacking.forget(&before);
        self.lacking.note(&after);
        true
    }
}

fn bit(index: u8) -> u16 {
    1_u16.checked_shl(index.into()).unwrap_or(0)
}
