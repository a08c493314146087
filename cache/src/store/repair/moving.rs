//! The retirement of a disk: every object that has a shard on it is spread anew over the other disks. So is what had
//! shards in a slot that has become vacant without that.
//!
//! ```text
//! object by object: read, verified → written under the same sequence with a new placement → fdatasync → renames
//! → the index knows the new placement → the old shards wait for a sync like those of a replaced object
//! → nothing in the index has a shard there, nobody writes one any more, no name is left → the slot is vacant
//! ```
//! The bytes, the head and the sequence stay what they are, so whatever was said of the object (an amendment, a purge)
//! is still said of it. A shard that both placements have in the same place is the same file, and stays.
//!
//! Invariants
//! - Until the new placement is durable all of the old one is there; who starts in between chooses (recovery/scan/moved.rs).
//! - An object for which there is no room is evicted rather than blocking the retirement, unless it is pinned.

use super::object::headers_of;
use super::source::Source;
use super::walk::{BATCH, Halt};
use super::{Outcome, Turn};
use crate::metrics::EvictionCause;
use crate::store::StoreError;
use crate::store::core::{Core, lock};
use crate::store::index::Record;
use crate::store::layout::{OBJECTS, ObjectName, ShardName};
use crate::store::members::{Members, Placement};
use crate::store::partial::Growing;
use crate::store::report::DiskSlot;
use crate::store::temporary::TemporaryShards;
use crate::store::writer::Spread;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Old placements that may wait for a sync, bytes of objects.
const WAITING_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// An object on its way to a new placement.
struct Move {
    record: Record,
    to: ObjectName,
    /// Shards that are where they should be already, a bit for each index.
    kept: u16,
}

impl Core {
    /// One turn of a retirement.
    pub(super) fn move_off(self: &Arc<Self>, slot: DiskSlot) {
        let turned = self.move_all(slot).and_then(|left| match left {
            0 => self.leave(slot),
            left => Err(Halt::Failed(format!("{left} objects cannot be moved now"))),
        });
        match turned {
            Ok(()) | Err(Halt::Stopped) => {}
            Err(Halt::Failed(reason)) => {
                let disk = self.folder_of(slot);
                tracing::warn!(disk, %slot, reason, "the retirement is interrupted; it goes on later");
                self.repairs
                    .change_retirement(slot, |moving| moving.turn = Turn::Postponed);
            }
        }
    }

    /// Moves what it can; how many objects are left.
    fn move_all(self: &Arc<Self>, slot: DiskSlot) -> Result<u64, Halt> {
        let (mut left, mut waiting_bytes, mut next) = (0, 0_u64, Some(0));
        while let Some(from) = next {
            let (records, following) = lock(&self.index).batch(from, BATCH);
            next = following;
            for record in records {
                if !record.placement.members.contains(slot) {
                    continue;
                }
                self.work_off_queue();
                self.make_way();
                if self.is_ending() {
                    return Err(Halt::Stopped);
                }
                if self.is_moved(&record)? {
                    self.repairs.change_retirement(slot, |moving| {
                        moving.done = moving.done.saturating_add(1);
                    });
                } else {
                    left += 1;
                }
                waiting_bytes = waiting_bytes.saturating_add(record.length);
                if waiting_bytes > WAITING_BYTES_MAX {
                    self.sync_moved()?;
                    waiting_bytes = 0;
                }
            }
        }
        self.sync_moved()?;
        Ok(left)
    }

    fn sync_moved(&self) -> Result<(), Halt> {
        let synced = self.sync_pass();
        synced.map_err(|error| Halt::Failed(error.to_string()))
    }

    /// Moves one object, or evicts it.
    fn is_moved(self: &Arc<Self>, record: &Record) -> Result<bool, Halt> {
        match self.spread_anew(record) {
            Ok(()) => {
                self.stats.moved_objects.add(1);
                Ok(true)
            }
            Err(Outcome::Whole | Outcome::Written(_)) => Ok(true),
            Err(Outcome::TooFew) if self.is_lost(record) => {
                let object = record.name().file_name();
                tracing::error!(
                    object,
                    "too little is left of an object to move it; dropped"
                );
                self.remove_object(&record.name(), EvictionCause::Corrupt);
                Ok(true)
            }
            Err(Outcome::Stopped) => Err(Halt::Stopped),
            Err(Outcome::TooFew | Outcome::Contradicted) => Ok(false),
            Err(Outcome::Later(reason)) => {
                tracing::info!(reason, "an object is not moved yet");
                Ok(false)
            }
        }
    }

    /// Whether too little of an object is left whatever comes back. What could not be read a moment ago may have been on
    /// a disk that is back by now: only what the index says counts.
    fn is_lost(&self, record: &Record) -> bool {
        let now = lock(&self.index).record(record.slot, record.sequence);
        now.is_some_and(|now| now.is_beyond_repair() && !self.may_come_back(&now))
    }

    fn spread_anew(self: &Arc<Self>, record: &Record) -> Result<(), Outcome> {
        // It may have been moved, replaced or repaired since it was listed.
        let now = lock(&self.index).record(record.slot, record.sequence);
        let record = now.ok_or(Outcome::Whole)?;
        if !self.are_any_retiring(record.placement.members) {
            return Ok(());
        }
        let slots = self.slots_to_fill();
        let live = self.array.live().intersection(slots);
        let key = record.slot.key;
        let placed = self.policy.place(key, Some(record.length), slots, live);
        let placement =
            placed.ok_or_else(|| Outcome::Later("too few disks are left".to_owned()))?;
        let moving = Move::new(record, placement);
        let mut source = Source::open(self, &record)?;
        let wanted = moving.wanted().intersection(live);
        let mut claim = match self.reserve(wanted, moving.to.shard_footprint_bytes(), wanted.len())
        {
            Err(StoreError::Full { .. }) => return self.evict_instead(&record, &source),
            other => other?,
        };
        let headers = headers_of(self, &moving.to, &source.facts, &moving.indices())?;
        let data_start = headers.first().map_or(0, |(_, bytes)| bytes.len() as u64);
        let needed = usize::from(placement.geometry.data_shards());
        let needed = needed.saturating_sub(usize::try_from(moving.kept.count_ones()).unwrap_or(0));
        let files = TemporaryShards::renew(self, &moving.to, needed, headers)?;
        claim.allocated();
        let growing = Growing::new(self);
        let mut spread = Spread::new(self, &growing, moving.to, files, claim, data_start)?;
        let moved = moving.complete(self, &mut source, &mut spread);
        if moved.is_err() {
            spread.files.remove();
        }
        moved
    }

    fn copy(&self, source: &mut Source, spread: &mut Spread) -> Result<(), Outcome> {
        for stripe in 0..source.map.stripes() {
            if self.is_ending() {
                return Err(Outcome::Stopped);
            }
            let units = source.stripe(self, stripe)?;
            let pieces = source.data(stripe, &units)?;
            let bytes = source.map.data_bytes(stripe);
            spread.write(pieces, source.map.stripe_start(stripe).0, bytes)?;
        }
        Ok(())
    }

    fn evict_instead(&self, record: &Record, source: &Source) -> Result<(), Outcome> {
        let mut index = lock(&self.index);
        index.learn(record.slot, record.sequence, &source.facts.head);
        let is_pinned = index.is_pinned(record.slot, record.sequence);
        drop(index);
        if is_pinned {
            return Err(Outcome::Later("no room for a pinned object".to_owned()));
        }
        self.remove_object(&record.name(), EvictionCause::Watermark);
        Err(Outcome::Whole)
    }

    /// Nothing in the index has a shard on the disk any more: its slot becomes vacant.
    fn leave(&self, slot: DiskSlot) -> Result<(), Halt> {
        let _one = lock(&self.changing);
        if !self.is_retiring(slot) {
            return Ok(()); // another disk has taken its place
        }
        self.sweep_off(slot)?;
        let retired = self.retired(slot);
        retired.map_err(|error| Halt::Failed(error.to_string()))?;
        self.end_retirement(slot);
        Ok(())
    }

    /// Makes sure that nothing is left on the disk, and nobody is about to put something there.
    fn sweep_off(&self, slot: DiskSlot) -> Result<(), Halt> {
        let until = lock(&self.repairs.shared.state)
            .retirements
            .get(&slot)
            .map_or(0, |(_, until)| *until);
        if self.sequences.settled() < until {
            let reason = "objects are still being written to it".to_owned();
            return Err(Halt::Failed(reason));
        }
        let mut left = 0_u64;
        self.each_record(|record| left += u64::from(record.placement.members.contains(slot)));
        if left > 0 {
            return Err(Halt::Failed(format!("{left} objects are still on it")));
        }
        if self.losses.has_unseen() && self.array.slots().contains(slot) {
            let reason =
                "it may have shards of objects that are out of sight while other disks are out";
            return Err(Halt::Failed(reason.to_owned()));
        }
        if self.array.live().contains(slot) {
            self.remove_strays(slot)?;
        }
        Ok(())
    }

    /// Removes the shards on a disk that nothing in the index has there.
    fn remove_strays(&self, slot: DiskSlot) -> Result<(), Halt> {
        for folder in self.names_in(slot, OBJECTS.to_owned())? {
            let files = self.names_in(slot, format!("{OBJECTS}/{folder}"))?;
            let shards = files.iter().filter_map(|file| ShardName::parse(file));
            let strays: Vec<_> = shards.map(|shard| (slot, shard.path())).collect();
            if !strays.is_empty() && !self.remove_files(&strays) {
                return Err(Halt::Failed("a file cannot be removed".to_owned()));
            }
        }
        Ok(())
    }
}

impl Move {
    fn new(record: Record, placement: Placement) -> Self {
        let to = ObjectName {
            placement,
            ..record.name()
        };
        let old = record.placement;
        let is_kept = |index: u8| {
            let disk = placement.members.slot_at(index);
            old.geometry == placement.geometry
                && disk.is_some()
                && disk == old.members.slot_at(index)
                && !record.is_missing(index)
        };
        let kept = (0..placement.geometry.disks()).filter(|index| is_kept(*index));
        let kept = kept.fold(0, |bits, index| bits | bit(index));
        Self { record, to, kept }
    }

    /// Shards that are to be written.
    fn indices(&self) -> Vec<u8> {
        let all = 0..self.to.placement.geometry.disks();
        all.filter(|index| self.kept & bit(*index) == 0).collect()
    }

    /// Disks of the shards that are to be written.
    fn wanted(&self) -> Members {
        let indices = self.indices().into_iter();
        indices
            .filter_map(|index| self.to.placement.members.slot_at(index))
            .collect()
    }

    /// From the first stripe to the new placement in the index.
    fn complete(
        &self,
        core: &Core,
        source: &mut Source,
        spread: &mut Spread,
    ) -> Result<(), Outcome> {
        core.copy(source, spread)?;
        let tables = spread.finish(self.to.length)?;
        spread.write_footers(&self.to, &tables, &source.facts.digests)?;
        self.publish(core, spread)
    }

    /// Gives the files their names, where this very placement still counts, and lets the old ones go.
    fn publish(&self, core: &Core, spread: &mut Spread) -> Result<(), Outcome> {
        spread.files.make_durable()?;
        let renewing = core.begin_renewal();
        if core.is_ending() {
            return Err(Outcome::Stopped);
        }
        let (to, old) = (self.to, self.record);
        let now = lock(&core.index).record(old.slot, old.sequence);
        if now.is_none_or(|now| now.placement != old.placement) {
            return Err(Outcome::Whole);
        }
        spread
            .files
            .give_names_as_they_are(|index| to.shard(index))?;
        core.unsynced.store(true, Ordering::Release);
        let missing = spread.files.lost() & !self.kept;
        let known = core.settle_losses();
        let moved = known.as_ref().ok().and_then(|()| {
            let mut index = lock(&core.index);
            let old = index.move_to(&old, to.placement, missing)?;
            Some((old, index.record(old.slot, old.sequence)?))
        });
        drop(renewing);
        let Some((before, after)) = moved else {
            let written = self.wanted();
            let shards = to.shards().filter(|(disk, _)| written.contains(*disk));
            let paths: Vec<_> = shards.map(|(disk, shard)| (disk, shard.path())).collect();
            core.remove_files(&paths);
            known?;
            return Err(Outcome::Whole);
        };
        core.count_stored(&after);
        core.retire(before);
        if missing != 0 {
            core.queue_repair(&to);
        }
        Ok(())
    }
}

fn bit(index: u8) -> u16 {
    1_u16.checked_shl(index.into()).unwrap_or(0)
}
