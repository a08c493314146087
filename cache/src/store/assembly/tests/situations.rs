//! One situation after the other: what is found, and what comes of it.

use super::Place::{Current, Missing};
use super::*;

fn stale(found: usize, common: u64) -> Place {
    Place::Stale { found, common }
}

/// Disks 0 … `disks` of a fresh pool.
fn fresh(disks: u8) -> Vec<Superblock> {
    (0..disks).map(|slot| disk(slot, disks)).collect()
}

#[test]
fn a_disk_that_is_not_there_is_missing_and_most_of_the_slots_are_a_majority() {
    let check = |disks: u8, absent: &[u8], has_majority| {
        let present: Vec<_> = fresh(disks)
            .into_iter()
            .filter(|disk| !absent.contains(&(disk.slot as u8)))
            .collect();
        let pool = pool(&ours(&present));
        assert_eq!(
            pool.has_majority, has_majority,
            "{disks} without {absent:?}"
        );
        let mut number = 0..;
        let expected: Vec<_> = (0..disks)
            .map(|slot| match absent.contains(&slot) {
                true => Missing,
                false => Current(number.next().unwrap()),
            })
            .collect();
        assert_eq!(places(&pool), expected, "{disks} without {absent:?}");
        assert_eq!(pool.strangers, []);
    };
    check(1, &[], true);
    check(2, &[], true);
    check(2, &[0], false);
    check(3, &[2], true);
    check(3, &[0, 1], false);
    check(4, &[], true);
    check(4, &[1], true);
    check(4, &[1, 3], false);
    check(6, &[0, 5], true);
    check(6, &[0, 1, 2], false);
    check(12, &[3, 4, 5], true);
    check(64, &[], true);
}

#[test]
fn a_single_disk_starts_with_its_own_numbers() {
    let mut single = disk(0, 1);
    single.doubt = (30, 40);
    assert_eq!(pool(&ours(&[single.clone()])).base, single);
    single.clean = false;
    assert_eq!(pool(&ours(&[single.clone()])).base, single);
}

#[test]
fn swapped_folders_change_nothing_but_the_numbers() {
    let [first, second, third] = [disk(0, 3), disk(1, 3), disk(2, 3)];
    let straight = pool(&ours(&[first.clone(), second.clone(), third.clone()]));
    let swapped = pool(&ours(&[third, first, second]));
    assert_eq!(swapped.base, straight.base);
    assert_eq!(places(&swapped), [Current(1), Current(2), Current(0)]);
    assert!(swapped.has_majority && swapped.strangers.is_empty());
}

#[test]
fn a_disk_that_returns_supplies_what_it_has_lived_through() {
    let mut disks = fresh(4);
    for disk in &mut disks[..3] {
        *disk = lived(disk.clone(), &[5, 6]);
    }
    let pool = pool(&ours(&disks));
    let expected = [Current(0), Current(1), Current(2), stale(3, 1)];
    assert_eq!(places(&pool), expected);
    assert_eq!(pool.base.epoch, 3);
    assert!(pool.has_majority);
}

#[test]
fn a_successor_wins_whatever_the_counts() {
    // Four of six leave; the two that are left say so. Then all are there again.
    let mut disks: Vec<_> = fresh(6)
        .into_iter()
        .map(|disk| lived(disk, &[11, 12, 13, 14]))
        .collect();
    for disk in &mut disks[..2] {
        *disk = lived(disk.clone(), &[15]);
    }
    let pool = pool(&ours(&disks));
    assert_eq!(pool.base.epoch, 6);
    assert_eq!(places(&pool)[1], Current(1));
    assert_eq!(
        places(&pool)[2..],
        [2, 3, 4, 5].map(|found| stale(found, 5))
    );
    assert!(!pool.has_majority);
}

#[test]
fn a_successor_that_the_older_ones_have_forgotten_still_wins() {
    let mut disks = fresh(5);
    let tags: Vec<u64> = (1..=90).collect();
    disks[4] = lived(disks[4].clone(), &tags);
    let pool = pool(&ours(&disks));
    assert_eq!(pool.base.epoch, 91);
    assert_eq!(places(&pool)[0], stale(0, 0));
}

#[test]
fn halves_that_reached_the_same_number_apart_are_never_mixed() {
    // Two of four out, purge; the other two out, the first two back, fill; all four back.
    let mut disks = fresh(4);
    for (slot, disk) in disks.iter_mut().enumerate() {
        *disk = lived(disk.clone(), &[if slot < 2 { 21 } else { 22 }]);
    }
    let check = |disks: &[Superblock], base_tag, expected: [Place; 4]| {
        let pool = pool(&ours(disks));
        assert_eq!(pool.base.lineage.newest().tag, base_tag);
        assert_eq!(places(&pool), expected);
        assert!(!pool.has_majority);
    };
    let first = [Current(0), Current(1), stale(2, 1), stale(3, 1)];
    let second = [stale(0, 1), stale(1, 1), Current(2), Current(3)];
    check(&disks, 21, first);
    disks[3].writes = 9;
    check(&disks, 22, second);
    disks[0].writes = 10;
    check(&disks, 21, first);
    disks[2] = lived(disks[2].clone(), &[23]);
    disks[3] = lived(disks[3].clone(), &[23]);
    check(&disks, 23, second);
}

#[test]
fn of_diverged_groups_a_majority_wins_over_a_higher_epoch() {
    let mut disks = fresh(6);
    for (slot, disk) in disks.iter_mut().enumerate() {
        let tags: &[u64] = if slot < 4 { &[1] } else { &[2, 3, 4] };
        *disk = lived(disk.clone(), tags);
    }
    let all = pool(&ours(&disks));
    assert!(all.has_majority);
    assert_eq!((all.base.epoch, places(&all)[5]), (2, stale(5, 1)));
    let few = pool(&ours(&disks[2..]));
    assert_eq!((few.base.epoch, few.has_majority), (4, false));
}

#[test]
fn a_retirement_that_some_disks_know_of_goes_on() {
    let mut disks = fresh(3);
    disks[1].retiring = Members::of(DiskSlot(2));
    let retiring = pool(&ours(&disks)).base.retiring;
    assert_eq!(retiring, Members::of(DiskSlot(2)));
    // The epoch with which it has ended is behind that.
    for disk in &mut disks[..2] {
        *disk = lived(disk.clone(), &[5]);
        disk.retiring = Members::EMPTY;
    }
    disks[2].retiring = Members::of(DiskSlot(2));
    assert_eq!(pool(&ours(&disks)).base.retiring, Members::EMPTY);
}

#[test]
fn numbers_that_reached_some_disks_only_claim_what_all_of_them_do() {
    let mut disks = fresh(3);
    disks[1].reserved = 2000;
    disks[1].synced = 950;
    disks[1].log = (800, 8192);
    disks[1].doubt = (10, 20);
    disks[2].doubt = (40, 50);
    let base = pool(&ours(&disks)).base;
    assert_eq!((base.reserved, base.synced), (2000, 900));
    assert_eq!((base.log, base.doubt), ((800, 4096), (10, 50)));
    assert!(!base.clean);
}

#[test]
fn an_epoch_that_a_crash_kept_from_some_disks_makes_none_of_them_stale() {
    let all: Members = (0..4).map(DiskSlot).collect();
    let stale = |disks: &[Superblock]| -> Vec<u8> {
        let found = pool(&ours(disks));
        let places = found.places.iter();
        let stale = places.filter(|(_, place)| matches!(place, Place::Stale { .. }));
        stale.map(|(slot, _)| slot.0).collect()
    };
    let mut disks = fresh(4);
    disks[1].begin_epoch(7, all);
    assert_eq!(stale(&disks), []);
    assert!(pool(&ours(&disks)).has_majority);
    disks[1].begin_epoch(8, all);
    assert_eq!(
        stale(&disks),
        [0, 2, 3],
        "one epoch later they have missed something"
    );
    let mut disks = fresh(4);
    disks[1].begin_epoch(7, all.without(DiskSlot(3)));
    assert_eq!(stale(&disks), [3], "it was out before");
}

#[test]
fn a_pool_is_clean_only_when_all_its_current_disks_are() {
    let clean = |disks: &[Superblock]| pool(&ours(disks)).base.clean;
    let mut disks = fresh(4);
    assert!(clean(&disks) && clean(&disks[1..]));
    disks[2].clean = false;
    assert!(!clean(&disks));
    for number in [0, 1, 3] {
        disks[number].begin_epoch(1, Members::EMPTY);
    }
    assert!(clean(&disks), "a stale one has no say");
}

#[test]
fn a_disk_that_was_written_under_another_boot_puts_what_was_not_synced_in_doubt() {
    let mut disks = fresh(2);
    disks[0].boot = "earlier".into();
    disks[0].clean = false;
    assert_eq!(pool(&ours(&disks)).base.doubt, (900, 1000));
    disks[0].clean = true;
    assert_eq!(pool(&ours(&disks)).base.doubt, (0, 0));
}

#[test]
fn a_replaced_disk_that_returns_is_a_stranger() {
    let mut disks = fresh(4);
    let old = disks.remove(1);
    let mut replacement = old.clone();
    replacement.disk = uuid(50);
    disks.push(replacement);
    for disk in &mut disks {
        disk.slots[1] = Some(uuid(50));
        disk.begin_epoch(9, Members::EMPTY);
    }
    disks.push(old);
    let pool = pool(&ours(&disks));
    assert_eq!(
        places(&pool),
        [Current(0), Current(3), Current(1), Current(2)]
    );
    let [(4, reason)] = &pool.strangers[..] else {
        panic!("{:?}", pool.strangers)
    };
    assert!(reason.contains("replaced or retired"), "{reason}");
}

#[test]
fn a_retired_slot_is_no_place_and_does_not_count() {
    let mut disks = fresh(5);
    let retired = disks.remove(2);
    for disk in &mut disks {
        disk.slots[2] = None;
        disk.disks = 4;
        disk.begin_epoch(3, Members::EMPTY);
    }
    let with = |others: &[Superblock]| {
        let mut all = others.to_vec();
        all.push(retired.clone());
        pool(&ours(&all))
    };
    let whole = with(&disks);
    let slots: Vec<u8> = whole.places.iter().map(|(slot, _)| slot.0).collect();
    assert_eq!(slots, [0, 1, 3, 4]);
    assert_eq!(whole.strangers.len(), 1);
    assert!(!with(&disks[..2]).has_majority);
    assert!(with(&disks[..3]).has_majority);
}

#[test]
fn growth_that_reached_only_the_new_disk_takes_the_old_one_for_its_past() {
    // A pool from before arrays, and the disk that was added when the power went.
    let old = disk(0, 1);
    let mut added = disk(1, 2);
    added.begin_epoch(5, Members::EMPTY);
    let pool = pool(&ours(&[old, added]));
    assert_eq!(places(&pool), [stale(0, 1), Current(1)]);
    assert!(!pool.has_majority);
}

#[test]
fn growth_that_reached_only_the_old_disk_misses_the_new_one() {
    let mut old = disk(0, 2);
    old.begin_epoch(5, Members::EMPTY);
    let found = found(vec![FoundState::Ours(Box::new(old)), FoundState::Empty]);
    let pool = pool(&found);
    assert_eq!(places(&pool), [Current(0), Missing]);
    assert_eq!(pool.strangers.len(), 1);
}

#[test]
fn folders_that_are_not_taken_are_told_with_what_to_do() {
    let check = |state: FoundState, disks: u8, text: &str| {
        let present = [0, 1, 2].map(|slot| FoundState::Ours(Box::new(disk(slot, disks))));
        let found = found([state].into_iter().chain(present).collect());
        let pool = pool(&found);
        let [(0, reason)] = &pool.strangers[..] else {
            panic!("{text}: {:?}", pool.strangers)
        };
        assert!(reason.contains(text), "{reason}");
        let expected = [Current(1), Current(2), Current(3), Missing];
        assert_eq!(places(&pool), expected[..usize::from(disks)], "{text}");
    };
    let mut foreign = disk(3, 4);
    foreign.pool = [8; 16];
    let mut copy = disk(1, 4);
    copy.writes = 3;
    check(FoundState::Ours(Box::new(foreign)), 4, "another pool");
    check(FoundState::Ours(Box::new(copy)), 4, "a copy");
    check(FoundState::Empty, 4, "mount the disk");
    check(FoundState::Empty, 3, "disks add");
    check(FoundState::Foreign("thesis.tex".into()), 4, "thesis.tex");
    check(FoundState::Unreadable("EIO".into()), 4, "EIO");
}

#[test]
fn of_two_copies_of_a_disk_the_one_written_last_counts() {
    let [first, mut second] = [disk(0, 2), disk(0, 2)];
    let check = |disks: &[Superblock], taken| {
        assert_eq!(places(&pool(&ours(disks))), [Current(taken), Missing]);
    };
    check(&[first.clone(), second.clone()], 0);
    second.writes = 5;
    check(&[first, second], 1);
}

#[test]
fn of_two_pools_the_one_with_more_disks_counts_then_the_first() {
    let of = |pool: u8, slot: u8| Superblock {
        pool: [pool; 16],
        disk: [pool + slot; 16],
        slots: (0..3).map(|slot| Some([pool + slot; 16])).collect(),
        ..disk(slot, 3)
    };
    let chosen = |disks: &[Superblock]| pool(&ours(disks)).base.pool[0];
    assert_eq!(chosen(&[of(40, 0), of(20, 1), of(20, 2)]), 20);
    assert_eq!(chosen(&[of(40, 0), of(20, 1)]), 40);
    assert_eq!(chosen(&[of(20, 0), of(40, 1)]), 20);
}

#[test]
fn empty_folders_alone_are_formatted() {
    for count in [1, 2, 64] {
        let found = found((0..count).map(|_| FoundState::Empty).collect());
        assert_eq!(assemble(&found, 2).unwrap(), Assembly::Format);
    }
    let text = refused(&found((0..65).map(|_| FoundState::Empty).collect()));
    assert!(text.contains("at most 64"), "{text}");
    assert!(refused(&[]).contains("name one folder"));
}

#[test]
fn without_any_disk_of_ours_every_reason_is_told() {
    let foreign = || FoundState::Foreign("the folder holds other data (a.txt)".into());
    let unreadable = || FoundState::Unreadable("cannot read the folder: EIO".into());
    let only = refused(&found(vec![foreign()]));
    assert_eq!(only, "/disk0: the folder holds other data (a.txt)");
    let text = refused(&found(vec![foreign(), FoundState::Empty, unreadable()]));
    for part in [
        "/disk0, /disk1, /disk2: ",
        "a.txt",
        "/disk1: empty",
        "EIO",
        "mount the disks",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_disk_that_another_process_owns_ends_the_start() {
    let mut all = ours(&fresh(2));
    all.extend(found(vec![FoundState::Owned(99)]));
    let text = refused(&all);
    assert!(text.contains("in use by process 99"), "{text}");
}

#[test]
fn another_parity_is_told_and_the_stored_one_stays() {
    let check = |disks: u8, configured, expected| {
        let Assembly::Pool(pool) = assemble(&ours(&fresh(disks)), configured).unwrap() else {
            panic!("would format")
        };
        assert_eq!((pool.parity, pool.base.parity), (expected, 2));
    };
    let changed = ParityChoice::Changed {
        stored: 2,
        configured: 1,
    };
    check(4, 2, ParityChoice::AsStored);
    check(4, 1, changed);
    check(1, 1, ParityChoice::AsStored);
}
