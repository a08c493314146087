//! From the shards of an object that were found on disks to what is known of it.

use super::Record;
use crate::store::layout::ShardName;
use crate::store::members::{Members, Placement};
use crate::store::report::DiskSlot;

impl Record {
    /// The object of which these shards were found, as (index, slot); `None` where they contradict each other. `slots`
    /// are those of the pool, `live` those of them whose names were read.
    ///
    /// A shard that was not found is missing, unless a disk that is out may have it. One that no slot of the pool has room
    /// for was on a disk that is not of the pool any more.
    pub(crate) fn found(
        name: &ShardName,
        shards: &[(u8, DiskSlot)],
        slots: Members,
        live: Members,
    ) -> Option<Self> {
        let out = slots.difference(live);
        let members = Members::assign(shards, name.geometry, &[out, slots])?;
        let here: Members = shards.iter().map(|(_, disk)| *disk).collect();
        let missing = (0_u32..)
            .zip(members.iter())
            .filter(|(_, disk)| !here.union(out).contains(*disk))
            .fold(0, |bits, (index, _)| {
                bits | 1_u16.checked_shl(index).unwrap_or(0)
            });
        Some(Self {
            slot: name.slot,
            sequence: name.sequence,
            length: name.length,
            placement: Placement {
                geometry: name.geometry,
                members,
            },
            missing,
            last_use: 0,
            owner: 0,
            pinned: false,
            unverified: false,
            head_known: false,
        })
    }
}
