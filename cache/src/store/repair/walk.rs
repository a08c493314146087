//! The rebuild of a disk.
//!
//! ```text
//! objects that are open (in use) → all of the index, in its order → the names on the disk compared with the index
//!        ▲                                                                        │ something is not there
//!        └────────────────────────────────────────────────────────────────────────┘
//! ```
//! It is done when a round has found nothing to do. What cannot be computed because disks are out waits for them;
//! what can never be computed again is told of once and stays as it is.

use super::{Generation, Outcome, Turn};
use crate::events::Event;
use crate::ports::Device;
use crate::store::array::disk::DiskFault;
use crate::store::core::{Core, lock};
use crate::store::index::Record;
use crate::store::layout::{OBJECTS, ShardName};
use crate::store::report::DiskSlot;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// Places of the index looked at under one lock.
pub(super) const BATCH: usize = 1024;
/// Rounds of one turn at most; what is found missing then waits for the next turn.
const ROUNDS_MAX: u32 = 8;
/// The folders are compared in so many parts, by their first digit: the names of one part are in memory at a time.
const PARTS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
];

/// What one round through the index came to.
#[derive(Debug, Default)]
struct Round {
    written: u64,
    /// Objects with too few shards whatever comes back.
    lost: u64,
    /// Objects that may be repaired later.
    postponed: u64,
}

/// Why a round did not come to its end.
pub(super) enum Halt {
    Stopped,
    /// In words.
    Failed(String),
}

impl Core {
    /// Shards that a disk lacks, as far as is known.
    pub(in crate::store) fn missing_on(&self, slot: DiskSlot) -> u64 {
        let mut missing = 0;
        self.each_record(|record| missing += u64::from(record.missing_on().contains(slot)));
        missing
    }

    /// Looks at all records, a few under one lock.
    pub(super) fn each_record(&self, mut look: impl FnMut(&Record)) {
        let mut next = Some(0);
        while let Some(from) = next {
            let (records, following) = lock(&self.index).batch(from, BATCH);
            records.iter().for_each(&mut look);
            next = following;
        }
    }

    /// One turn of a rebuild.
    pub(super) fn rebuild(self: &Arc<Self>, slot: DiskSlot) {
        let turned = self.rounds(slot);
        match turned {
            Ok(round) if round.postponed == 0 => self.rebuilt(slot, &round),
            Ok(round) => {
                let (disk, objects) = (self.folder_of(slot), round.postponed);
                tracing::info!(disk, %slot, objects, "the rebuild waits: some objects cannot be repaired now");
                self.repairs
                    .change(slot, |rebuild| rebuild.turn = Turn::Postponed);
            }
            Err(Halt::Stopped) => {}
            Err(Halt::Failed(reason)) => {
                let disk = self.folder_of(slot);
                tracing::warn!(disk, %slot, reason, "the rebuild is interrupted; it goes on later");
                self.repairs
                    .change(slot, |rebuild| rebuild.turn = Turn::Postponed);
            }
        }
    }

    fn rounds(self: &Arc<Self>, slot: DiskSlot) -> Result<Round, Halt> {
        let mut round = Round::default();
        for _ in 0..ROUNDS_MAX {
            if !self.array.live().contains(slot) {
                return Err(Halt::Failed("the disk is out".to_owned()));
            }
            let missing = self.missing_on(slot);
            self.repairs.change(slot, |rebuild| {
                rebuild.total = rebuild.done.saturating_add(missing);
            });
            round = self.round(slot)?;
            let found = self.recount(slot)?;
            if found == 0 && round.written == 0 {
                return Ok(round);
            }
        }
        round.postponed = round.postponed.max(1);
        Ok(round)
    }

    fn round(self: &Arc<Self>, slot: DiskSlot) -> Result<Round, Halt> {
        let mut round = Round::default();
        let open: Vec<Generation> = self.handles.iter().map(|(key, _)| *key).collect();
        for (key, sequence) in open {
            let record = lock(&self.index).record(key, sequence);
            if let Some(record) = record {
                self.step(slot, &record, &mut round)?;
            }
        }
        // What was in use and cannot be repaired is met again below.
        (round.lost, round.postponed) = (0, 0);
        let mut next = Some(0);
        while let Some(from) = next {
            let (records, following) = lock(&self.index).batch(from, BATCH);
            for record in &records {
                self.step(slot, record, &mut round)?;
            }
            next = following;
        }
        Ok(round)
    }

    fn step(
        self: &Arc<Self>,
        slot: DiskSlot,
        record: &Record,
        round: &mut Round,
    ) -> Result<(), Halt> {
        if !record.missing_on().contains(slot) {
            return Ok(());
        }
        self.work_off_queue();
        self.make_way();
        if self.is_ending() {
            return Err(Halt::Stopped);
        }
        let outcome = self.repair(record.slot, record.sequence);
        self.note(&outcome);
        match outcome {
            Outcome::Whole => {}
            Outcome::Written(_) => round.written += 1,
            Outcome::TooFew if !self.may_come_back(record) => round.lost += 1,
            Outcome::Contradicted => round.lost += 1,
            Outcome::TooFew => round.postponed += 1,
            Outcome::Later(reason) => {
                if !self.array.live().contains(slot) {
                    return Err(Halt::Failed(reason));
                }
                tracing::debug!(reason, "an object is not repaired yet");
                round.postponed += 1;
            }
            Outcome::Stopped => return Err(Halt::Stopped),
        }
        Ok(())
    }

    /// Whether a disk of the object is out and may have what is lacking.
    pub(super) fn may_come_back(&self, record: &Record) -> bool {
        let members = record.placement.members;
        let out = members
            .intersection(self.array.slots())
            .difference(self.array.live());
        !out.is_empty()
    }

    fn rebuilt(&self, slot: DiskSlot, round: &Round) {
        let removed = lock(&self.repairs.shared.state).rebuilds.remove(&slot);
        let shards = removed.map_or(0, |rebuild| rebuild.done);
        let disk = self.folder_of(slot);
        if round.lost > 0 {
            let objects = round.lost;
            tracing::error!(
                disk,
                %slot,
                objects,
                "too little is left of some objects to compute what a disk lacks of them; they stay as they are"
            );
        }
        tracing::info!(disk, %slot, shards, "a disk has everything that it should have");
        if shards > 0 {
            self.events.emit(Event::RebuildDone { disk, slot, shards });
        }
    }

    /// Compares the names on a disk with the index; how many shards were found missing that nobody knew of.
    fn recount(&self, slot: DiskSlot) -> Result<u64, Halt> {
        let mut found = 0;
        let folders = self.names_in(slot, OBJECTS.to_owned())?;
        for part in PARTS {
            // What was committed by now has its names; what comes later may not.
            let settled = self.sequences.settled();
            let mut names = BTreeSet::new();
            for folder in folders.iter().filter(|folder| folder.starts_with(part)) {
                if self.is_ending() {
                    return Err(Halt::Stopped);
                }
                let files = self.names_in(slot, format!("{OBJECTS}/{folder}"))?;
                names.extend(
                    files
                        .iter()
                        .filter_map(|file| ShardName::parse(file))
                        .map(place_of),
                );
            }
            let digit = u128::from(part.to_digit(16).unwrap_or(0));
            let mut lacking = Vec::new();
            self.each_record(|record| {
                let is_here = record.slot.key >> 124 == digit
                    && record.sequence.0 < settled
                    && record.present_on().contains(slot);
                let shard = shard_on(record, slot).filter(|_| is_here);
                if shard.is_some_and(|shard| !names.contains(&place_of(shard))) {
                    lacking.push(*record);
                }
            });
            for record in lacking {
                found += u64::from(self.is_lacking(slot, &record)?);
            }
        }
        Ok(found)
    }

    pub(super) fn names_in(&self, slot: DiskSlot, folder: String) -> Result<Vec<String>, Halt> {
        let names = self
            .array
            .ask(slot, move |device: &dyn Device| device.read_dir(&folder));
        match names {
            Ok(names) => Ok(names),
            Err(DiskFault::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(DiskFault::Closed) => Err(Halt::Stopped),
            Err(fault) => Err(Halt::Failed(fault.to_string())),
        }
    }

    /// Whether a file is not there although the index says so; noted then.
    fn is_lacking(&self, slot: DiskSlot, record: &Record) -> Result<bool, Halt> {
        let Some(shard) = shard_on(record, slot) else {
            return Ok(false);
        };
        let path = shard.path();
        let open = move |device: &dyn Device| device.open(&path, false).map(drop);
        match self.array.ask(slot, open) {
            Err(DiskFault::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(DiskFault::Closed) => return Err(Halt::Stopped),
            Err(fault) => return Err(Halt::Failed(fault.to_string())),
            Ok(()) => return Ok(false),
        }
        let mut index = lock(&self.index);
        let now = index.record(record.slot, record.sequence);
        let is_new = now.is_some_and(|now| {
            now.placement == record.placement && now.present_on().contains(slot)
        });
        if is_new {
            index.set_missing(record.slot, record.sequence, shard.index);
        }
        drop(index);
        if is_new && let Some(disk) = self.array.get(slot) {
            let bytes = record.name().shard_footprint_bytes();
            disk.stats.stored_bytes.subtract(bytes);
        }
        Ok(is_new)
    }
}

/// The shard of an object that is on a disk.
pub(super) fn shard_on(record: &Record, slot: DiskSlot) -> Option<ShardName> {
    let index = record.placement.members.index_of(slot)?;
    Some(record.name().shard(index))
}

/// What tells files in one folder apart.
fn place_of(shard: ShardName) -> (u128, u64, u64, u16, u8) {
    let (slot, sequence) = (shard.slot, shard.sequence.0);
    (
        slot.key,
        slot.variant,
        sequence,
        shard.geometry.0,
        shard.index,
    )
}
