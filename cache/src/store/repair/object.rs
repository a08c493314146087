//! One object gets the shards that it lacks.
//!
//! ```text
//! missing, and on a live disk → room reserved → tmp/<…> created → stripe by stripe: read, computed, written
//! → the table compared with what the others know of it → footer → fdatasync → rename → (strict: fsync of the folder)
//! → the index's missing bit cleared
//! ```
//! Invariants
//! - A computed shard becomes visible only when its table is what all other shards say it is: an end-to-end proof.
//! - A computed shard has a name only when its bytes are on the platter, whatever the durability: the doubt after a power
//!   loss covers new sequences, and this one is old.
//! - Nothing is removed between the last look at the index and the clearing of the bit, so a shard of an object that
//!   is gone gets no name.
//! - What was written is byte by byte what was lost.

use super::Outcome;
use super::source::{Facts, Source, Units};
use crate::object::Sequence;
use crate::ports::DeviceFile;
use crate::store::StoreError;
use crate::store::checksum::BlockHasher;
use crate::store::core::{Core, lock};
use crate::store::footer::{Footer, footer_start};
use crate::store::header::Header;
use crate::store::index::Record;
use crate::store::layout::{ObjectName, Slot};
use crate::store::members::Members;
use crate::store::temporary::TemporaryShards;
use crate::store::writer::digest_of;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The shards of one object that are being computed.
struct Renewal {
    name: ObjectName,
    indices: Vec<u8>,
    files: TemporaryShards,
    data_start: u64,
    hashers: Vec<BlockHasher>,
    tables: Vec<Vec<u64>>,
}

impl Core {
    /// Writes what this generation lacks on disks that are live. The repairing thread only.
    pub(super) fn repair(self: &Arc<Self>, slot: Slot, sequence: Sequence) -> Outcome {
        let Some(record) = lock(&self.index).record(slot, sequence) else {
            return Outcome::Whole;
        };
        let live = self.array.live();
        let wanted = record.missing_on().intersection(live);
        let indices = wanted.iter();
        let indices: Vec<u8> = indices
            .filter_map(|disk| record.placement.members.index_of(disk))
            .collect();
        if indices.is_empty() {
            return Outcome::Whole;
        }
        match self.renew(&record, wanted, indices) {
            Ok(written) => {
                self.stats.repaired_shards.add(written.len().into());
                Outcome::Written(written)
            }
            Err(outcome) => outcome,
        }
    }

    fn renew(
        self: &Arc<Self>,
        record: &Record,
        wanted: Members,
        indices: Vec<u8>,
    ) -> Result<Members, Outcome> {
        let name = record.name();
        let mut source = Source::open(self, record)?;
        let mut claim = self.reserve(wanted, name.shard_footprint_bytes(), wanted.len())?;
        let mut renewal = Renewal::begin(self, &source, indices)?;
        claim.allocated();
        let written = renewal.complete(self, &mut source);
        if written.is_err() {
            renewal.files.remove();
        }
        written
    }
}

impl Renewal {
    fn begin(core: &Arc<Core>, source: &Source, indices: Vec<u8>) -> Result<Self, Outcome> {
        let (name, facts) = (source.name, &source.facts);
        let headers = headers_of(core, &name, facts, &indices)?;
        let data_start = headers.first().map_or(0, |(_, bytes)| bytes.len() as u64);
        let hasher = |index: &u8| BlockHasher::new(name.shard(*index).identity());
        Ok(Self {
            hashers: indices.iter().map(hasher).collect(),
            tables: vec![Vec::new(); indices.len()],
            files: TemporaryShards::renew(core, &name, 1, headers)?,
            name,
            indices,
            data_start,
        })
    }

    /// From the first stripe to the names; the disks that have one now.
    fn complete(&mut self, core: &Core, source: &mut Source) -> Result<Members, Outcome> {
        for stripe in 0..source.map.stripes() {
            if core.is_ending() {
                return Err(Outcome::Stopped);
            }
            let units = source.stripe(core, stripe)?;
            let computed = source.computed(stripe, &units, &self.indices)?;
            self.write(source.map.stripe_start(stripe).1, computed)?;
        }
        self.finish(core, source)?;
        self.publish(core)
    }

    fn write(&mut self, offset: u64, units: Units) -> Result<(), Outcome> {
        let tables = self.hashers.iter_mut().zip(&mut self.tables);
        for ((_, bytes), (hasher, table)) in units.iter().zip(tables) {
            hasher.update(bytes, table);
        }
        let bytes = units.first().map_or(0, |(_, bytes)| bytes.len() as u64);
        let write = write_each(units);
        let at = self.data_start.saturating_add(offset);
        Ok(self.files.write("repair", at, bytes, write)?)
    }

    /// Proves what was computed, and writes the footers.
    fn finish(&mut self, core: &Core, source: &Source) -> Result<(), Outcome> {
        let (name, facts) = (self.name, &source.facts);
        let length = name.shard(0).data_bytes();
        let mut footers = Units::new();
        let tables = self.hashers.iter_mut().zip(&mut self.tables);
        for (index, (hasher, table)) in self.indices.iter().zip(tables) {
            table.extend(hasher.finish());
            let expected = facts.table_digests.get(usize::from(*index));
            if expected != Some(&digest_of(table)) {
                return Err(core.refuse(&name, *index));
            }
            let footer = Footer {
                table: std::mem::take(table),
                length,
                digests: facts.digests.clone(),
                table_digests: facts.table_digests.clone(),
            };
            let bytes = footer.encode(name.shard(*index).identity(), self.data_start);
            footers.push((*index, bytes.into()));
        }
        let bytes = footers.first().map_or(0, |(_, bytes)| bytes.len() as u64);
        let at = footer_start(self.data_start, length);
        Ok(self
            .files
            .write("write footer", at, bytes, write_each(footers))?)
    }

    /// Gives the files their names, where this very placement still counts; the disks that have one now.
    fn publish(&mut self, core: &Core) -> Result<Members, Outcome> {
        self.files.make_durable()?;
        let (name, renewing) = (self.name, core.begin_renewal());
        if core.is_ending() {
            return Err(Outcome::Stopped);
        }
        let record = lock(&core.index).record(name.slot, name.sequence);
        if record.is_none_or(|record| record.placement != name.placement) {
            return Err(Outcome::Whole);
        }
        self.files
            .give_names_as_they_are(|index| name.shard(index))?;
        // After the rename: a pass that began before it has not covered it.
        core.unsynced.store(true, Ordering::Release);
        let written = self.files.members();
        let is_there = core.set_present(&name, written);
        drop(renewing);
        if !is_there {
            // It was replaced, which waits for nobody.
            let shards = name.shards().filter(|(disk, _)| written.contains(*disk));
            let paths: Vec<_> = shards.map(|(disk, shard)| (disk, shard.path())).collect();
            core.remove_files(&paths);
            return Err(Outcome::Whole);
        }
        // Those who look it up from now on open the new ones.
        core.handles.invalidate(&(name.slot, name.sequence));
        Ok(written)
    }
}

impl Core {
    /// Notes that these disks have their shards; `false` when the generation is gone.
    fn set_present(&self, name: &ObjectName, written: Members) -> bool {
        let disks = self.array.disks();
        let disks = disks.iter().filter(|disk| written.contains(disk.slot));
        let bytes = name.shard_footprint_bytes();
        // Counted first: who removes it right afterwards subtracts it.
        disks
            .clone()
            .for_each(|disk| disk.stats.stored_bytes.add(bytes));
        let mut index = lock(&self.index);
        let is_there = written
            .iter()
            .filter_map(|disk| name.placement.members.index_of(disk))
            .all(|shard| index.set_present(name.slot, name.sequence, name.placement, shard));
        drop(index);
        if !is_there {
            disks.for_each(|disk| disk.stats.stored_bytes.subtract(bytes));
        }
        is_there
    }

    fn refuse(&self, name: &ObjectName, index: u8) -> Outcome {
        self.stats.contradicted_shards.add(1);
        let (disk, file) = (self.disk_of(name, index), name.shard(index).file_name());
        tracing::error!(
            disk,
            file,
            "a computed shard is not what the other shards know of it; it was not written"
        );
        Outcome::Contradicted
    }
}

/// The headers of some shards of an object, by index.
pub(super) fn headers_of(
    core: &Core,
    name: &ObjectName,
    facts: &Facts,
    indices: &[u8],
) -> Result<Vec<(u8, Vec<u8>)>, Outcome> {
    let mut header = Header {
        pool: core.pool_id,
        identity: name.shard(0).identity(),
        geometry: name.placement.geometry,
        length: facts.length_promised,
        head: facts.head.clone(),
        unknown: facts.unknown.clone(),
    };
    let mut headers = Vec::with_capacity(indices.len());
    for index in indices {
        header.identity = name.shard(*index).identity();
        let bytes = header.encode();
        let bytes = bytes.map_err(|error| Outcome::Later(error.to_string()))?;
        headers.push((*index, bytes));
    }
    Ok(headers)
}

/// Writes to each file what is meant for it.
fn write_each(
    units: Units,
) -> impl Fn(u8, &dyn DeviceFile, u64) -> io::Result<()> + Clone + Send + 'static {
    let units = Arc::new(units);
    move |index, file, at| {
        let unit = units.iter().find(|(wanted, _)| *wanted == index);
        let (_, bytes) = unit.ok_or(io::ErrorKind::InvalidInput)?;
        file.write_all_at(&[IoSlice::new(bytes)], at)
    }
}

impl From<StoreError> for Outcome {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Closed => Self::Stopped,
            other => Self::Later(other.to_string()),
        }
    }
}
