//! Which disks an object is on, and the choice of them for a new one.
//!
//! An object's shards lie on its members in ascending order of the slots: a bitmap and the geometry say where every
//! shard is, and the index of a shard is the rank of its slot among the bits.
//!
//! Invariants
//! - A choice depends on nothing but its arguments, so that it comes out the same after a restart.
//! - A placement has exactly as many members as its geometry has disks, and at least as many of them live as it has
//!   data shards: what is stored can be read.
//! - Where there are more disks than an object needs, they are chosen by rendezvous hash: a disk that comes or goes
//!   changes at most one member of an object.

use super::BLOCK_BYTES;
use super::geometry::{DISKS_MAX, Geometry, StripeUnit};
use super::report::DiskSlot;
use crate::parity::{Codec, DATA_SHARDS_MAX, ParityShards};
use twox_hash::XxHash3_64;

/// Slots of a pool.
const SLOTS_MAX: u8 = 64;
/// Objects up to this length are stored as copies, bytes: reading and writing one of them costs one call per disk.
pub(crate) const COPIED_OBJECT_BYTES_MAX: u64 = BLOCK_BYTES;

/// A set of slots. Slots beyond 63, which no pool has, are in no set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Members(pub(crate) u64);

impl Members {
    /// No slot.
    pub(crate) const EMPTY: Self = Self(0);
    /// Every slot.
    pub(crate) const ALL: Self = Self(u64::MAX);

    /// One.
    pub(crate) fn of(slot: DiskSlot) -> Self {
        Self::EMPTY.with(slot)
    }

    /// Whether the slot is in it.
    pub(crate) fn contains(self, slot: DiskSlot) -> bool {
        self.0 & bit(slot) != 0
    }

    /// With this slot too.
    #[must_use]
    pub(crate) fn with(self, slot: DiskSlot) -> Self {
        Self(self.0 | bit(slot))
    }

    /// Without this slot.
    #[must_use]
    pub(crate) fn without(self, slot: DiskSlot) -> Self {
        Self(self.0 & !bit(slot))
    }

    /// What is in either.
    #[must_use]
    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub(crate) fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this one only.
    #[must_use]
    pub(crate) fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it has no slot.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Number of slots.
    pub(crate) fn len(self) -> u8 {
        count(self.0)
    }

    /// Ascending.
    pub(crate) fn iter(self) -> impl Iterator<Item = DiskSlot> + Clone {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let slot = lowest(left)?;
            left &= left - 1;
            Some(slot)
        })
    }

    /// The index of the shard on this slot; `None` if there is none.
    pub(crate) fn index_of(self, slot: DiskSlot) -> Option<u8> {
        self.contains(slot).then(|| count(self.0 & (bit(slot) - 1)))
    }

    /// The slot of the shard with this index; `None` if there are not so many.
    pub(crate) fn slot_at(self, index: u8) -> Option<DiskSlot> {
        self.iter().nth(usize::from(index))
    }

    /// The first `n` in ascending order, or all.
    fn first(self, n: u8) -> Self {
        self.iter().take(usize::from(n)).collect()
    }

    /// Those strictly between two slots; `None` stands for the end of the pool.
    fn between(self, after: Option<DiskSlot>, before: Option<DiskSlot>) -> Self {
        let above = after.map_or(u64::MAX, |slot| !(bit(slot) | (bit(slot) - 1)));
        let below = before.map_or(u64::MAX, |slot| bit(slot) - 1);
        Self(self.0 & above & below)
    }
}

impl FromIterator<DiskSlot> for Members {
    fn from_iter<T: IntoIterator<Item = DiskSlot>>(slots: T) -> Self {
        slots.into_iter().fold(Self::EMPTY, Self::with)
    }
}

fn bit(slot: DiskSlot) -> u64 {
    1_u64.checked_shl(u32::from(slot.0)).unwrap_or(0)
}

fn count(bits: u64) -> u8 {
    u8::try_from(bits.count_ones()).unwrap_or(SLOTS_MAX)
}

fn lowest(bits: u64) -> Option<DiskSlot> {
    let slot = u8::try_from(bits.trailing_zeros()).ok()?;
    (slot < SLOTS_MAX).then_some(DiskSlot(slot))
}

impl Members {
    /// The members of an object of which a scan has found only some shards, as (index, slot).
    ///
    /// The shards that were not found are put on slots of the first of these sets as far as their order allows it,
    /// then of the next, and last on any slot. The likeliest owner of a shard that was not seen is a disk that was
    /// not seen, so a good order is: disks that are out, then the other disks of the pool.
    ///
    /// `None` if the shards contradict each other: an index twice or beyond the geometry, an order of slots that is not
    /// the order of the indexes, or too little room between two of them.
    pub(crate) fn assign(
        found: &[(u8, DiskSlot)],
        geometry: Geometry,
        preferences: &[Self],
    ) -> Option<Self> {
        let mut found = found.to_vec();
        found.sort_unstable();
        let mut members = Self::EMPTY;
        let mut last: Option<DiskSlot> = None;
        for (index, slot) in found {
            let lacking = index.checked_sub(members.len())?;
            let is_in_order = last.is_none_or(|last| last < slot);
            if !is_in_order || slot.0 >= SLOTS_MAX {
                return None;
            }
            members = members.union(fill(lacking, last, Some(slot), preferences)?);
            members = members.with(slot);
            last = Some(slot);
        }
        let lacking = geometry.disks().checked_sub(members.len())?;
        Some(members.union(fill(lacking, last, None, preferences)?))
    }
}

/// So many slots between two others.
fn fill(
    wanted: u8,
    after: Option<DiskSlot>,
    before: Option<DiskSlot>,
    preferences: &[Members],
) -> Option<Members> {
    let every = Members(u64::MAX);
    let mut chosen = Members::EMPTY;
    for preferred in preferences.iter().chain([&every]) {
        let free = preferred.between(after, before).difference(chosen);
        chosen = chosen.union(free.first(wanted - chosen.len()));
    }
    (chosen.len() == wanted).then_some(chosen)
}

/// Where a new object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placement {
    /// How it is spread.
    pub(crate) geometry: Geometry,
    /// Over which disks; some of them may be out, and their shards are missing then.
    pub(crate) members: Members,
}

/// How new objects are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Disks that may be lost: 1 or 2. Any other number stands for 2, so that a mistake costs room, not objects.
    pub(crate) parity: u8,
}

impl Policy {
    /// Where an object of this key and length goes; `None` for the length means that it is not known yet, and the
    /// object is spread like a large one.
    ///
    /// `slots` are all that are not vacant, `live` those that can be written. `None`: too few are live to store it.
    pub(crate) fn place(
        self,
        key: u128,
        length: Option<u64>,
        slots: Members,
        live: Members,
    ) -> Option<Placement> {
        let live = live.intersection(slots);
        let copies = self.parity_shards() + 1;
        if live.is_empty() {
            return None;
        }
        if slots.len() <= copies {
            return Some(Placement {
                geometry: Geometry::copies(slots.len()),
                members: slots,
            });
        }
        if length.is_some_and(|length| length <= COPIED_OBJECT_BYTES_MAX) {
            return Some(Placement {
                geometry: Geometry::copies(copies),
                members: choose(key, copies, slots, live),
            });
        }
        self.stripe(key, StripeUnit::for_length(length), slots, live)
    }

    /// As wide as the pool allows, or over what is left of it.
    fn stripe(
        self,
        key: u128,
        unit: StripeUnit,
        slots: Members,
        live: Members,
    ) -> Option<Placement> {
        let parity_shards = self.parity_shards();
        let wide = slots.len().min(self.disks_max());
        if live.len() + parity_shards >= wide {
            return Some(Placement {
                geometry: Geometry::striped(self.codec(), wide, unit),
                members: choose(key, wide, slots, live),
            });
        }
        (live.len() >= parity_shards + 2).then(|| Placement {
            geometry: Geometry::striped(self.codec(), live.len(), unit),
            members: live,
        })
    }

    fn codec(self) -> Codec {
        match self.parity {
            1 => Codec::ReedSolomon(ParityShards::ONE),
            _ => Codec::PQ,
        }
    }

    fn parity_shards(self) -> u8 {
        if self.parity == 1 { 1 } else { 2 }
    }

    /// One disk less than [`DISKS_MAX`] with one parity: codes have at most [`DATA_SHARDS_MAX`] data shards.
    fn disks_max(self) -> u8 {
        let data_shards_max = u8::try_from(DATA_SHARDS_MAX).unwrap_or(u8::MAX);
        DISKS_MAX.min(data_shards_max.saturating_add(self.parity_shards()))
    }
}

/// So many slots for a key: live ones, and others only where there are too few of them.
fn choose(key: u128, wanted: u8, slots: Members, live: Members) -> Members {
    let chosen = highest(key, wanted, live);
    let lacking = wanted - chosen.len();
    chosen.union(highest(key, lacking, slots.difference(live)))
}

/// The slots with the highest scores for a key.
fn highest(key: u128, wanted: u8, among: Members) -> Members {
    if among.len() <= wanted {
        return among;
    }
    let mut scored: Vec<_> = among.iter().map(|slot| (score(key, slot), slot)).collect();
    scored.sort_unstable_by(|one, other| other.cmp(one));
    scored
        .into_iter()
        .take(usize::from(wanted))
        .map(|(_, slot)| slot)
        .collect()
}

/// XXH3-64 of key and slot.
fn score(key: u128, slot: DiskSlot) -> u64 {
    let mut bytes = [0_u8; 17];
    let (of_key, of_slot) = bytes.split_at_mut(16);
    of_key.copy_from_slice(&key.to_le_bytes());
    of_slot.fill(slot.0);
    XxHash3_64::oneshot(&bytes)
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
