//! One generation under two placements: somebody was spreading it anew when the process or the machine died.
//!
//! Rule: of the shards that read as they were written, those count that fit one placement, and of the placements the one
//! that lacks least. The files of the other one go, but only once there is enough of the first to read the object.
//!
//! Whichever it is, the bytes are the same: a shard's name says which part of which generation it is under which
//! geometry, and its checksums prove it. Two placements of one geometry differ only in the disks, so their files may
//! even be mixed, as long as the order of the indexes is that of the slots. Every byte is read, because the sequence
//! is an old one: nothing else tells what was not synced.

use super::{FoundShard, Generation, Scan};
use crate::object::Sequence;
use crate::store::layout::Geometry;
use crate::store::members::Members;
use crate::store::report::DiskSlot;
use std::collections::BTreeMap;

/// The last slot of a pool.
const SLOT_MAX: u8 = 63;

impl Scan<'_> {
    /// Leaves one placement of every generation.
    pub(super) fn with_one_placement(&mut self, generations: Vec<Generation>) -> Vec<Generation> {
        let mut by_sequence: BTreeMap<(Sequence, u64), Vec<Generation>> = BTreeMap::new();
        for generation in generations {
            let name = generation.name;
            let same = by_sequence.entry((name.sequence, name.length)).or_default();
            same.push(generation);
        }
        let placed = by_sequence.into_values();
        placed
            .filter_map(|placements| match placements.as_slice() {
                [only] if only.is_consistent() => placements.into_iter().next(),
                _ => self.choose(placements),
            })
            .collect()
    }

    fn choose(&mut self, placements: Vec<Generation>) -> Option<Generation> {
        let found: Vec<FoundShard> = placements
            .iter()
            .flat_map(|placement| placement.shards.iter().copied())
            .collect();
        let candidates = placements.iter().map(|placement| {
            let mut whole = placement.shards.clone();
            whole.retain(|(disk, shard)| self.is_whole(*disk, *shard));
            Generation {
                name: placement.name,
                shards: fitting(&whole, placement.geometry()),
            }
        });
        let best = candidates.min_by_key(|candidate| {
            let lacking = usize::from(candidate.geometry().disks());
            let lacking = lacking.saturating_sub(candidate.shards.len());
            (!candidate.is_enough(), lacking, candidate.name.geometry.0)
        })?;
        if best.is_enough() {
            let others = found.into_iter();
            let others: Vec<_> = others
                .filter(|shard| !best.shards.contains(shard))
                .collect();
            self.remove(&others);
        }
        Some(best)
    }
}

impl Generation {
    fn is_enough(&self) -> bool {
        self.shards.len() >= self.needed()
    }

    fn is_consistent(&self) -> bool {
        let found = self.shards.iter().map(|(disk, name)| (name.index, *disk));
        let found: Vec<(u8, DiskSlot)> = found.collect();
        Members::assign(&found, self.geometry(), &[]).is_some()
    }
}

/// As many of these shards as fit one placement: the indexes in the order of the slots, with room for those in between.
fn fitting(found: &[FoundShard], geometry: Geometry) -> Vec<FoundShard> {
    let mut found = found.to_vec();
    found.sort_by_key(|(disk, name)| (*disk, name.index));
    // For each shard the longest row of shards that ends with it.
    let mut rows: Vec<Vec<FoundShard>> = Vec::with_capacity(found.len());
    for shard in &found {
        if !has_room_around(*shard, geometry) {
            continue;
        }
        let before = rows.iter().filter(|row| {
            let last = row.last();
            last.is_some_and(|last| follows(*last, *shard))
        });
        let mut row = before
            .max_by_key(|row| row.len())
            .cloned()
            .unwrap_or_default();
        row.push(*shard);
        rows.push(row);
    }
    rows.into_iter().max_by_key(Vec::len).unwrap_or_default()
}

/// Whether the shards with lower indexes have slots below, and those with higher ones above.
fn has_room_around((disk, name): FoundShard, geometry: Geometry) -> bool {
    let above = geometry.disks().saturating_sub(1);
    let above = above.saturating_sub(name.index);
    disk.0 >= name.index && SLOT_MAX.saturating_sub(disk.0) >= above
}

fn follows(before: FoundShard, after: FoundShard) -> bool {
    let slots = after.0.0.checked_sub(before.0.0);
    let indexes = after.1.index.checked_sub(before.1.index);
    match (slots, indexes) {
        (Some(slots), Some(indexes)) => indexes > 0 && slots >= indexes,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::layout::{ShardName, Slot};

    fn shard(index: u8, disk: u8) -> FoundShard {
        let slot = Slot { key: 1, variant: 0 };
        let name = ShardName {
            slot,
            sequence: Sequence(1),
            geometry: Geometry::copies(3),
            index,
            length: 5,
        };
        (DiskSlot(disk), name)
    }

    fn check(found: &[(u8, u8)], expected: &[(u8, u8)]) {
        let list = |list: &[(u8, u8)]| -> Vec<FoundShard> {
            list.iter()
                .map(|(index, disk)| shard(*index, *disk))
                .collect()
        };
        let fits = fitting(&list(found), Geometry::copies(3));
        assert_eq!(fits, list(expected), "{found:?}");
    }

    #[test]
    fn the_largest_part_that_fits_one_placement_counts() {
        check(&[], &[]);
        check(&[(0, 0), (1, 1), (2, 2)], &[(0, 0), (1, 1), (2, 2)]);
        // From 0, 1, 2 to 1, 2, 4: all of the new placement, and what is left of the old one.
        let new = [(0, 1), (1, 2), (2, 4)];
        check(&[(0, 0), (0, 1), (1, 2), (2, 4)], &new);
        check(&[(1, 1), (0, 1), (1, 2), (2, 4)], &new);
        // All of the old one, and what there is of the new one.
        check(&[(0, 0), (1, 1), (2, 2), (2, 4)], &[(0, 0), (1, 1), (2, 4)]);
        // No room for what lies between or before.
        check(&[(0, 3), (2, 4)], &[(2, 4)]);
        check(&[(1, 0)], &[]);
    }
}
