//! Sets of slots, the choice of disks at every pattern of losses, and members of which a scan saw only some.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const SMALL: Option<u64> = Some(64 * 1024);
const LARGE: Option<u64> = Some(64 * 1024 + 1);
const HUGE: Option<u64> = Some(20 << 30);
const POLICIES: [Policy; 2] = [Policy { parity: 1 }, Policy { parity: 2 }];

fn members(slots: impl IntoIterator<Item = u8>) -> Members {
    slots.into_iter().map(DiskSlot).collect()
}

/// A pool of so many disks, with vacant slots between them.
fn pool(disks: u8) -> Members {
    members((0..disks).map(|disk| 3 * disk + disk % 2))
}

/// The disks of a pool that a pattern of bits leaves.
fn live(slots: Members, pattern: u64) -> Members {
    slots
        .iter()
        .enumerate()
        .filter(|(place, _)| pattern >> place & 1 == 1)
        .map(|(_, slot)| slot)
        .collect()
}

#[test]
fn a_slot_that_no_pool_has_is_in_no_set() {
    let slots = members([64, 200, 255]);
    assert_eq!(slots, Members::EMPTY);
    assert!(!Members(u64::MAX).contains(DiskSlot(64)));
    assert_eq!(Members(u64::MAX).index_of(DiskSlot(64)), None);
    assert_eq!(Members(u64::MAX).without(DiskSlot(64)).len(), 64);
    assert_eq!(Members(u64::MAX).slot_at(63), Some(DiskSlot(63)));
    assert_eq!(Members(u64::MAX).slot_at(64), None);
}

/// What the rules say: (number of disks, data shards) of a new object.
fn expected(parity: u8, disks: u8, live: u8, length: Option<u64>) -> Option<(u8, u8)> {
    let widest = 10 + parity;
    if live == 0 {
        None
    } else if disks <= parity + 1 {
        Some((disks, 1))
    } else if length == SMALL {
        Some((parity + 1, 1))
    } else if live + parity >= disks.min(widest) {
        Some((disks.min(widest), disks.min(widest) - parity))
    } else if live >= parity + 2 {
        Some((live, live - parity))
    } else {
        None
    }
}

/// The rules at one loss, and that what is placed can be read.
fn check_placed(policy: Policy, slots: Members, live: Members, length: Option<u64>) {
    let what = (policy, slots, live, length);
    let placed = policy.place(77, length, slots, live);
    let shape = placed.map(|placed| (placed.geometry.disks(), placed.geometry.data_shards()));
    let rules = expected(policy.parity, slots.len(), live.len(), length);
    assert_eq!(shape, rules, "{what:x?}");
    let Some(Placement { geometry, members }) = placed else {
        return;
    };
    let live_members = members.intersection(live).len();
    assert!(geometry.is_valid(), "{what:x?}");
    assert_eq!(members.len(), geometry.disks(), "{what:x?}");
    assert!(members.difference(slots).is_empty(), "{what:x?}");
    assert!(live_members >= geometry.data_shards(), "{what:x?}");
    // No disk that is out has the place of a live one.
    assert_eq!(live_members, live.len().min(geometry.disks()), "{what:x?}");
    assert_eq!(placed, policy.place(77, length, slots, live), "{what:x?}");
}

#[test]
fn every_loss_of_up_to_14_disks_is_placed_by_the_rules() {
    for disks in 0..=14 {
        for pattern in 0..1 << disks {
            let slots = pool(disks);
            for policy in POLICIES {
                for length in [SMALL, LARGE, None] {
                    check_placed(policy, slots, live(slots, pattern), length);
                }
            }
        }
    }
}

#[test]
fn the_geometry_of_a_healthy_array_is_the_design_s() {
    let check = |parity, disks, length, geometry| {
        let slots = pool(disks);
        let placed = Policy { parity }.place(1, length, slots, slots).unwrap();
        assert_eq!(placed.geometry.0, geometry, "{parity} {disks} {length:?}");
    };
    check(2, 1, HUGE, 0x0006);
    check(2, 2, HUGE, 0x0106);
    check(2, 3, HUGE, 0x0206);
    check(2, 4, HUGE, 0x1316);
    check(2, 4, SMALL, 0x0206);
    check(2, 4, LARGE, 0x1314);
    check(2, 4, None, 0x1314);
    check(2, 12, HUGE, 0x1b96);
    check(2, 20, HUGE, 0x1b96);
    check(1, 2, HUGE, 0x0106);
    check(1, 3, SMALL, 0x0106);
    check(1, 3, HUGE, 0x2216);
    check(1, 11, HUGE, 0x2a96);
    check(1, 12, HUGE, 0x2a96);
}

#[test]
fn a_live_disk_that_the_pool_does_not_have_is_not_used() {
    let slots = members([1, 2, 3, 4]);
    let placed = POLICIES[1].place(1, HUGE, slots, Members(u64::MAX));
    assert_eq!(placed.unwrap().members, slots);
    assert_eq!(POLICIES[1].place(1, HUGE, slots, members([0, 5])), None);
}

#[test]
fn a_choice_is_the_same_for_ever() {
    let slots = members(0..20);
    let small = POLICIES[1].place(0xABCD, SMALL, slots, slots).unwrap();
    let large = POLICIES[1].place(0xABCD, LARGE, slots, slots).unwrap();
    // As it came out first: the hash and the order of its input must not change under a store.
    assert_eq!((small.members.0, large.members.0), (0x510, 0x43D7D));
}

#[test]
fn a_disk_that_leaves_or_comes_changes_at_most_one_member() {
    let slots = members(0..20);
    for key in 0..200 {
        for (length, policy) in [(SMALL, POLICIES[0]), (LARGE, POLICIES[1])] {
            let place = |live| policy.place(key, length, slots, live).unwrap().members;
            let all = place(slots);
            for gone in slots.iter() {
                let rest = place(slots.without(gone));
                let moved = u8::from(all.contains(gone));
                assert_eq!(all.difference(rest).len(), moved, "key {key}");
                assert_eq!(rest.difference(all).len(), moved, "key {key}");
            }
        }
    }
}

#[test]
fn every_disk_of_a_wide_array_gets_its_share() {
    let slots = members((0..20).map(|disk| 3 * disk));
    for (length, shards) in [(SMALL, 3), (LARGE, 12)] {
        let mut counts = [0_u32; 64];
        for key in 0..4000_u128 {
            let placed = POLICIES[1].place(key << 64 | key, length, slots, slots);
            for slot in placed.unwrap().members.iter() {
                counts[usize::from(slot.0)] += 1;
            }
        }
        let fair = 4000 * shards / 20;
        for slot in slots.iter() {
            let count = counts[usize::from(slot.0)];
            assert!(count.abs_diff(fair) < fair / 5, "{slot}: {count} of {fair}");
        }
    }
}

#[test]
fn shards_that_contradict_each_other_are_no_object() {
    let geometry = Geometry::copies(4);
    let check = |found: &[(u8, u8)], is_object| {
        let found: Vec<_> = found
            .iter()
            .map(|(i, slot)| (*i, DiskSlot(*slot)))
            .collect();
        let assigned = Members::assign(&found, geometry, &[members(0..8)]);
        assert_eq!(assigned.is_some(), is_object, "{found:?}");
    };
    check(&[], true);
    check(&[(0, 0), (1, 1), (2, 2), (3, 3)], true);
    check(&[(3, 60), (0, 5)], true);
    check(&[(1, 4), (1, 5)], false);
    check(&[(1, 4), (1, 4)], false);
    check(&[(1, 4), (2, 4)], false);
    check(&[(1, 5), (2, 4)], false);
    check(&[(0, 5), (2, 6)], false);
    check(&[(0, 5), (2, 7)], true);
    check(&[(1, 0)], false);
    check(&[(2, 63)], false);
    check(&[(3, 63)], true);
    check(&[(4, 63)], false);
    check(&[(200, 255)], false);
    check(&[(3, 64)], false);
}

#[test]
fn shards_that_were_not_seen_are_looked_for_where_nobody_looked() {
    let found = [(1, DiskSlot(3))];
    let assign = |preferences: &[Members]| {
        Members::assign(&found, Geometry::copies(3), preferences).unwrap()
    };
    let (out, pool) = (members([1, 5]), members(0..6));
    assert_eq!(assign(&[out, pool]), members([1, 3, 5]));
    assert_eq!(assign(&[members([5]), pool]), members([0, 3, 5]));
    // A pool that has since lost its slots behind the third.
    assert_eq!(assign(&[members([2, 3])]), members([2, 3, 4]));
}

/// A set of 1 to 12 slots and those of its shards that a scan has seen.
fn seen() -> impl Strategy<Value = (Members, Vec<(u8, DiskSlot)>)> {
    (prop::collection::btree_set(0_u8..64, 1..=12), any::<u16>()).prop_map(|(slots, seen)| {
        let truth = members(slots);
        let found = (0_u8..).zip(truth.iter());
        let found = found.filter(|(index, _)| seen >> index & 1 == 1);
        (truth, found.collect())
    })
}

proptest! {
    #[test]
    fn sets_are_sets(slots in prop::collection::btree_set(0_u8..64, 0..64), other: u64, one in 0_u8..64) {
        let set = members(slots.clone());
        let model = |members: Members| members.iter().map(|slot| slot.0).collect::<BTreeSet<_>>();
        let others = model(Members(other));
        prop_assert_eq!(&model(set), &slots);
        prop_assert_eq!(usize::from(set.len()), slots.len());
        prop_assert_eq!(set.is_empty(), slots.is_empty());
        prop_assert_eq!(set.contains(DiskSlot(one)), slots.contains(&one));
        prop_assert_eq!(model(set.union(Members(other))), &slots | &others);
        prop_assert_eq!(model(set.intersection(Members(other))), &slots & &others);
        prop_assert_eq!(model(set.difference(Members(other))), &slots - &others);
        prop_assert_eq!(model(set.with(DiskSlot(one))), &slots | &BTreeSet::from([one]));
        prop_assert_eq!(model(set.without(DiskSlot(one))), &slots - &BTreeSet::from([one]));
        for (index, slot) in (0_u8..).zip(&slots) {
            prop_assert_eq!(set.index_of(DiskSlot(*slot)), Some(index));
            prop_assert_eq!(set.slot_at(index), Some(DiskSlot(*slot)));
        }
        prop_assert_eq!(set.index_of(DiskSlot(one)).is_some(), slots.contains(&one));
        prop_assert_eq!(set.slot_at(set.len()), None);
    }

    #[test]
    fn the_true_members_are_found_again_if_they_are_preferred((truth, found) in seen(), noise: u64) {
        let geometry = Geometry::copies(truth.len());
        let assigned = Members::assign(&found, geometry, &[truth, Members(noise)]);
        prop_assert_eq!(assigned, Some(truth));
    }

    #[test]
    fn what_was_seen_always_keeps_its_index((truth, found) in seen(), pool: u64) {
        let geometry = Geometry::copies(truth.len());
        let assigned = Members::assign(&found, geometry, &[Members(pool)]).unwrap();
        prop_assert_eq!(assigned.len(), truth.len());
        for (index, slot) in found {
            prop_assert_eq!(assigned.index_of(slot), Some(index));
        }
    }

    #[test]
    fn members_are_refused_exactly_if_there_are_none(
        found in prop::collection::vec((0_u8..8, 0_u8..64), 0..4), disks in 1_u8..=8,
    ) {
        let shards: Vec<_> = found.iter().map(|(i, slot)| (*i, DiskSlot(*slot))).collect();
        let assigned = Members::assign(&shards, Geometry::copies(disks), &[Members(0xFFF)]);
        // Each index has at least as many slots below and above its own as there are indexes, and so have any two.
        let fits = |(index, slot): (u8, u8)| index < disks && slot >= index && 64 - slot >= disks - index;
        let alone = found.iter().all(|shard| fits(*shard));
        let mut sorted = found;
        sorted.sort_unstable();
        let together = sorted.windows(2).all(|pair| {
            pair[0].0 < pair[1].0 && pair[1].1.checked_sub(pair[0].1) >= Some(pair[1].0 - pair[0].0)
        });
        prop_assert_eq!(assigned.is_some(), alone && together);
    }
}
