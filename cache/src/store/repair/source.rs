//! The bytes of a stored object, stripe by stripe, from as many of its shards as are needed.
//!
//! ```text
//! shards that are not missing → as many opened as there is data → a stripe: the same range of each, verified
//!                                    └ one fails: judged, another one takes its place
//! ```
//! Bounded: one stripe in memory. What is returned was compared with its checksums a moment before. Nobody's use of
//! the object is noted, and its handle is left alone.

use super::Outcome;
use crate::object::{Digests, ObjectHead};
use crate::parity::{Coder, Shard as Role};
use crate::ports::Device;
use crate::store::array::disk::DiskFault;
use crate::store::core::Core;
use crate::store::index::Record;
use crate::store::layout::ObjectName;
use crate::store::shard::{OpenedShard, Shard, ShardFault};
use crate::store::stripe::StripeMap;
use crate::store::tlv::UnknownField;
use bytes::Bytes;
use std::io;
use std::sync::Arc;

/// What all shards of an object say alike.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// As it was stored.
    pub(super) head: ObjectHead,
    pub(super) digests: Digests,
    /// By index.
    pub(super) table_digests: Vec<u128>,
    pub(super) length_promised: Option<u64>,
    pub(super) unknown: Vec<UnknownField>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: ObjectName,
    pub(super) map: StripeMap,
    pub(super) facts: Facts,
    coder: Option<Coder>,
    /// Those that are read.
    opened: Vec<Arc<Shard>>,
    /// Those that were not tried yet.
    spare: Vec<u8>,
}

/// Units of one stripe, with the index of each.
pub(super) type Units = Vec<(u8, Bytes)>;

impl Source {
    /// Opens as many shards as are needed. The repairing thread only.
    pub(super) fn open(core: &Core, record: &Record) -> Result<Self, Outcome> {
        let name = record.name();
        let geometry = name.placement.geometry;
        let coder = geometry
            .codec()
            .map(|codec| Coder::new(codec, geometry.data_shards().into()))
            .transpose()
            .map_err(|error| Outcome::Later(error.to_string()))?;
        let present = (0..geometry.disks()).filter(|index| !record.is_missing(*index));
        let mut spare: Vec<u8> = present.collect();
        let mut opened = Vec::new();
        let facts = fill(core, &name, &mut opened, &mut spare)?;
        Ok(Self {
            name,
            map: StripeMap::new(geometry, name.slot.key, name.length),
            facts: facts.ok_or(Outcome::TooFew)?,
            coder,
            opened,
            spare,
        })
    }

    /// As many units of a stripe as there is data.
    pub(super) fn stripe(&mut self, core: &Core, stripe: u64) -> Result<Units, Outcome> {
        let (_, offset) = self.map.stripe_start(stripe);
        let length = usize::try_from(self.map.unit_bytes(stripe)).unwrap_or(0);
        let mut units = Units::new();
        loop {
            let waiting = self.opened.iter();
            let waiting = waiting.filter(|shard| {
                let index = shard.name.index;
                units.iter().all(|(read, _)| *read != index)
            });
            let jobs = waiting.map(|shard| {
                let reading = Arc::clone(shard);
                (shard.name.index, move |_: &dyn Device| {
                    Ok(reading.read(offset, length))
                })
            });
            let jobs: Vec<_> = jobs.collect();
            if jobs.is_empty() {
                return Ok(units);
            }
            for (index, answer) in ask_each(core, &self.name, jobs)? {
                match answer {
                    Some(Ok(bytes)) => units.push((index, bytes)),
                    fault => {
                        self.opened.retain(|shard| shard.name.index != index);
                        blame(core, &self.name, index, fault)?;
                    }
                }
            }
            fill(core, &self.name, &mut self.opened, &mut self.spare)?;
        }
    }

    /// The units of a stripe that have these indices, from those that were read.
    pub(super) fn computed(
        &self,
        stripe: u64,
        units: &Units,
        wanted: &[u8],
    ) -> Result<Units, Outcome> {
        let Some(coder) = &self.coder else {
            let copy = units.first().map(|(_, bytes)| bytes.clone());
            let copy = copy.unwrap_or_default();
            return Ok(wanted.iter().map(|index| (*index, copy.clone())).collect());
        };
        let length = usize::try_from(self.map.unit_bytes(stripe)).unwrap_or(0);
        let mut buffers: Vec<Vec<u8>> = wanted.iter().map(|_| vec![0; length]).collect();
        let disks = self.name.placement.geometry.disks();
        let mut roles: Vec<Role<'_>> = (0..disks).map(|_| Role::Absent).collect();
        for (index, bytes) in units {
            let role = usize::from(self.map.role_of(*index, stripe));
            if let Some(place) = roles.get_mut(role) {
                *place = Role::Present(bytes);
            }
        }
        for (index, buffer) in wanted.iter().zip(&mut buffers) {
            let role = usize::from(self.map.role_of(*index, stripe));
            if let Some(place) = roles.get_mut(role) {
                *place = Role::Wanted(buffer);
            }
        }
        let computed = coder.reconstruct(&mut roles);
        drop(roles);
        computed.map_err(|error| Outcome::Later(error.to_string()))?;
        let buffers = buffers.into_iter().map(Bytes::from);
        Ok(wanted.iter().copied().zip(buffers).collect())
    }

    /// The bytes of the object in a stripe, in their order.
    pub(super) fn data(&self, stripe: u64, units: &Units) -> Result<Vec<Bytes>, Outcome> {
        let data_shards = self.name.placement.geometry.data_shards();
        let roles = (0..data_shards).map(|role| self.map.index_of(role, stripe));
        let indices: Vec<u8> = roles.collect();
        let read = |index: u8| units.iter().find(|(read, _)| *read == index);
        let lacking = indices.iter().copied();
        let lacking: Vec<u8> = lacking.filter(|index| read(*index).is_none()).collect();
        let computed = match lacking.as_slice() {
            [] => Units::new(),
            lacking => self.computed(stripe, units, lacking)?,
        };
        let mut left = usize::try_from(self.map.data_bytes(stripe)).unwrap_or(0);
        let mut data = Vec::with_capacity(indices.len());
        for index in indices {
            let unit = read(index).or_else(|| computed.iter().find(|(other, _)| *other == index));
            let bytes = unit.map(|(_, bytes)| bytes.clone()).unwrap_or_default();
            let bytes = bytes.slice(..left.min(bytes.len()));
            left -= bytes.len();
            data.push(bytes);
        }
        Ok(data)
    }
}

/// Opens spare shards until there are enough; what the last one that was opened says.
fn fill(
    core: &Core,
    name: &ObjectName,
    opened: &mut Vec<Arc<Shard>>,
    spare: &mut Vec<u8>,
) -> Result<Option<Facts>, Outcome> {
    let needed = usize::from(name.placement.geometry.data_shards());
    let mut facts = None;
    while opened.len() < needed {
        let lacking = needed - opened.len();
        let next: Vec<u8> = spare.drain(..lacking.min(spare.len())).collect();
        if next.is_empty() {
            return Err(Outcome::TooFew);
        }
        let pool = core.pool_id;
        let jobs = next.into_iter().map(|index| {
            let shard = name.shard(index);
            (index, move |device: &dyn Device| {
                Ok(Shard::open(device, pool, shard))
            })
        });
        for (index, answer) in ask_each(core, name, jobs.collect())? {
            match answer {
                Some(Ok(found)) => {
                    facts = Some(facts_of(&found));
                    opened.push(Arc::new(found.shard));
                }
                Some(Err(fault)) => blame::<()>(core, name, index, Some(Err(fault)))?,
                None => {}
            }
        }
    }
    Ok(facts)
}

fn facts_of(found: &OpenedShard) -> Facts {
    Facts {
        head: found.head.clone(),
        digests: found.digests.clone(),
        table_digests: found.table_digests.clone(),
        length_promised: found.length_promised,
        unknown: found.unknown.clone(),
    }
}

/// What follows from a shard that gave nothing; an error where that says nothing of the shard.
fn blame<T>(
    core: &Core,
    name: &ObjectName,
    index: u8,
    answer: Option<Result<T, ShardFault>>,
) -> Result<(), Outcome> {
    let Some(Err(fault)) = answer else {
        return Ok(());
    };
    core.judge(name, index, &fault);
    if core.is_passing(&fault) {
        return Err(Outcome::Later(fault.to_string()));
    }
    Ok(())
}

/// Answers by index; `None`: the disk is out.
type ShardAnswers<T> = Vec<(u8, Option<Result<T, ShardFault>>)>;

/// Asks the disks of some shards: all that are live at once, those that are only read one by one.
fn ask_each<T, J>(
    core: &Core,
    name: &ObjectName,
    jobs: Vec<(u8, J)>,
) -> Result<ShardAnswers<T>, Outcome>
where
    T: Send + 'static,
    J: FnOnce(&dyn Device) -> io::Result<Result<T, ShardFault>> + Send + 'static,
{
    let live = core.array.live();
    let disk = |index: u8| name.placement.members.slot_at(index);
    let (at_once, others): (Vec<_>, Vec<_>) = jobs
        .into_iter()
        .filter_map(|(index, job)| Some((index, disk(index)?, job)))
        .partition(|(_, disk, _)| live.contains(*disk));
    let (indices, jobs): (Vec<u8>, Vec<_>) = at_once
        .into_iter()
        .map(|(index, disk, job)| (index, (disk, job)))
        .unzip();
    let answers = core.array.on_each(jobs).into_iter();
    let mut answers: Vec<_> = indices
        .into_iter()
        .zip(answers.map(|(_, answer)| answer))
        .collect();
    answers.extend(
        others
            .into_iter()
            .map(|(index, disk, job)| (index, core.array.ask(disk, job))),
    );
    let settled = answers.into_iter().map(|(index, answer)| match answer {
        Ok(answer) => Ok((index, Some(answer))),
        Err(DiskFault::Io(error)) => Ok((index, Some(Err(error.into())))),
        Err(DiskFault::Out) => Ok((index, None)),
        Err(DiskFault::Closed) => Err(Outcome::Stopped),
    });
    settled.collect()
}
