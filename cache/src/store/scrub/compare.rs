//! The second opinion: whether the shards of an object, each of which fits its own checksums, fit together.
//!
//! ```text
//! stripes: the same range of all n shards → syndromes → all fine
//!                                                     → one named ──► as good as a checksum that does not fit
//!                                                     → nobody named ──► the footers' digests of all tables
//! copies:  the same range of all          → alike, or ──────────────────► the same
//! digests: one shard's table is not what all others say it is ──► that one;  else told of, and left alone
//! ```
//! Which disk's walk compares an object: the one that has its first bytes, so that each object is read by one of them
//! and all disks have equal shares. Every byte is then read twice in a deep pass, by its own disk's walk and by this
//! one; both count against the pace of whoever reads, which on average is the pace of each disk.
//!
//! An object that lacks a shard is not compared: there is nothing to spare for an opinion.

use super::super::core::Core;
use super::super::index::Record;
use super::super::layout::ObjectName;
use super::super::shard::{OpenedShard, ShardFault};
use super::super::stripe::StripeMap;
use super::super::tlv::FormatError;
use super::super::writer::digest_of;
use super::control::Interrupted;
use super::walk::{STEP_BYTES, Walk};
use crate::parity::{Coder, Verdict};
use bytes::Bytes;
use std::sync::Arc;

/// What all shards together say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opinion {
    /// They fit together.
    Alike,
    /// They would without this one.
    Against(u8),
    /// They do not.
    Unlike,
}

/// Why there is no opinion.
enum Silence {
    Interrupted,
    /// A shard could not be read.
    Fault(u8, ShardFault),
    /// Its disk has gone out.
    Absent,
}

impl From<Interrupted> for Silence {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

impl Walk {
    /// Compares all shards of an object if that is this walk's business; `false` when this one's own shard has yet to
    /// be read.
    pub(super) fn compare(
        &mut self,
        core: &Arc<Core>,
        record: &Record,
        index: u8,
    ) -> Result<bool, Interrupted> {
        let name = record.name();
        let geometry = name.placement.geometry;
        let map = StripeMap::new(geometry, name.slot.key, name.length);
        let is_whole = record.missing == 0 && core.are_live(name.placement.members);
        if geometry.disks() == 1 || map.index_of(0, 0) != index || !is_whole {
            return Ok(false);
        }
        match self.opinion(core, &name, &map) {
            Ok(Opinion::Alike) => Ok(true),
            Ok(Opinion::Against(bad)) => {
                let fault = ShardFault::Format(FormatError::Mismatch("parity"));
                self.blame(core, &name, bad, fault)?;
                Ok(true)
            }
            Ok(Opinion::Unlike) => {
                let object = name.file_name();
                tracing::error!(
                    object,
                    "the shards of an object contradict each other, and none can be named; it is left as it is"
                );
                self.control.note(|found| found.unlike_objects += 1);
                Ok(true)
            }
            Err(Silence::Interrupted) => Err(Interrupted),
            Err(Silence::Absent) => Ok(false),
            Err(Silence::Fault(bad, fault)) => {
                self.blame(core, &name, bad, fault)?;
                Ok(bad == index)
            }
        }
    }

    fn opinion(
        &mut self,
        core: &Arc<Core>,
        name: &ObjectName,
        map: &StripeMap,
    ) -> Result<Opinion, Silence> {
        let opened = self.open_each(core, name)?;
        let opinion = match name.placement.geometry.is_striped() {
            true => self.weigh_stripes(core, map, name, &opened)?,
            false => self.weigh_copies(core, name, &opened)?,
        };
        Ok(match opinion {
            Opinion::Unlike => contradicted(&opened).map_or(Opinion::Unlike, Opinion::Against),
            named => named,
        })
    }

    fn open_each(
        &mut self,
        core: &Arc<Core>,
        name: &ObjectName,
    ) -> Result<Vec<OpenedShard>, Silence> {
        let mut opened = Vec::new();
        for (slot, shard) in name.shards() {
            // Other disks are read by their own threads: a walk that waits for one of them ends when it goes out.
            let device = match slot == self.slot() {
                true => Some(Arc::clone(&self.device)),
                false => core.array.device(slot),
            };
            let is_live = core.array.live().contains(slot);
            let device = device.filter(|_| is_live).ok_or(Silence::Absent)?;
            let result = self.open(core, device.as_ref(), shard)?;
            opened.push(result.map_err(|fault| Silence::Fault(shard.index, fault))?);
        }
        Ok(opened)
    }

    /// The same range of all shards, by index.
    fn read_each(
        &mut self,
        core: &Arc<Core>,
        opened: &[OpenedShard],
        offset: u64,
        bytes: u64,
    ) -> Result<Vec<Bytes>, Silence> {
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut parts = Vec::with_capacity(opened.len());
        for OpenedShard { shard, .. } in opened {
            self.core()?;
            self.allow(core, bytes)?;
            let part = shard.read(offset, length);
            parts.push(part.map_err(|fault| Silence::Fault(shard.name.index, fault))?);
        }
        Ok(parts)
    }

    fn weigh_stripes(
        &mut self,
        core: &Arc<Core>,
        map: &StripeMap,
        name: &ObjectName,
        opened: &[OpenedShard],
    ) -> Result<Opinion, Silence> {
        let geometry = name.placement.geometry;
        let coder = geometry
            .codec()
            .and_then(|codec| Coder::new(codec, geometry.data_shards().into()).ok());
        let coder = coder.ok_or(Silence::Absent)?;
        let mut opinion = Opinion::Alike;
        for stripe in 0..map.stripes() {
            let (_, offset) = map.stripe_start(stripe);
            let parts = self.read_each(core, opened, offset, map.unit_bytes(stripe))?;
            let by_role: Vec<&[u8]> = (0..geometry.disks())
                .filter_map(|role| parts.get(usize::from(map.index_of(role, stripe))))
                .map(|part| part.as_ref())
                .collect();
            let verdict = coder.locate(&by_role).unwrap_or(Verdict::Unlocatable);
            let found = match verdict {
                Verdict::Consistent => Opinion::Alike,
                Verdict::OneBad { role } => u8::try_from(role).map_or(Opinion::Unlike, |role| {
                    Opinion::Against(map.index_of(role, stripe))
                }),
                Verdict::Unlocatable => Opinion::Unlike,
            };
            opinion = together(opinion, found);
        }
        Ok(opinion)
    }

    fn weigh_copies(
        &mut self,
        core: &Arc<Core>,
        name: &ObjectName,
        opened: &[OpenedShard],
    ) -> Result<Opinion, Silence> {
        let mut opinion = Opinion::Alike;
        let mut offset = 0;
        while offset < name.length {
            let bytes = STEP_BYTES.min(name.length - offset);
            let parts = self.read_each(core, opened, offset, bytes)?;
            if parts.windows(2).any(|pair| pair.first() != pair.last()) {
                opinion = Opinion::Unlike;
            }
            offset += bytes;
        }
        Ok(opinion)
    }
}

/// One contradiction is enough to trust no name: two liars in different stripes are more than a name can tell.
fn together(so_far: Opinion, found: Opinion) -> Opinion {
    match (so_far, found) {
        (so_far, Opinion::Alike) => so_far,
        (Opinion::Alike, found) => found,
        (Opinion::Against(one), Opinion::Against(other)) if one == other => so_far,
        _ => Opinion::Unlike,
    }
}

/// The one shard whose checksums are not what all others say they are.
fn contradicted(opened: &[OpenedShard]) -> Option<u8> {
    let mut accused = opened.iter().filter(|one| {
        let own = digest_of(&one.shard.table);
        let index = usize::from(one.shard.name.index);
        let others = opened
            .iter()
            .filter(|other| other.shard.name.index != one.shard.name.index);
        let mut says = others.filter_map(|other| other.table_digests.get(index));
        says.clone().count() > 0 && says.all(|digest| *digest != own)
    });
    match (accused.next(), accused.next()) {
        (Some(one), None) => Some(one.shard.name.index),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_contradiction_is_enough_to_trust_no_name() {
        use Opinion::{Against, Alike, Unlike};
        let check = |so_far, found, expected| assert_eq!(together(so_far, found), expected);
        check(Alike, Alike, Alike);
        check(Alike, Against(2), Against(2));
        check(Against(2), Alike, Against(2));
        check(Against(2), Against(2), Against(2));
        check(Against(2), Against(3), Unlike);
        check(Against(2), Unlike, Unlike);
        check(Unlike, Alike, Unlike);
        check(Unlike, Against(2), Unlike);
    }
}
