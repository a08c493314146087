//! Disks that are gone, dead or damaged while others serve.

use super::*;
use crate::events::Event;

/// What happens to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    Removed,
    Dead,
    Rotten,
}

const MISHAPS: [Mishap; 3] = [Mishap::Removed, Mishap::Dead, Mishap::Rotten];

impl Mishap {
    fn befalls(self, rig: &Rig, number: usize) {
        match self {
            Self::Removed => rig.disks[number].remove(),
            Self::Dead => rig.disks[number].die(),
            Self::Rotten => rig.rot(number),
        }
    }

    /// The disk is known by what was counted and by where it stands.
    fn is_named(self, store: &Store, number: usize) -> bool {
        let disk = store.stats().disks().remove(number);
        match self {
            Self::Removed => standing(store, number) == Standing::Out(Absence::Missing),
            Self::Dead => {
                standing(store, number) == Standing::Out(Absence::Failed) || disk.errors.get() > 0
            }
            Self::Rotten => {
                standing(store, number) == Standing::Live && disk.corrupt_blocks.get() > 0
            }
        }
    }
}

/// Objects written by an earlier process, so that nothing is open; the disks of the later one.
async fn written(disks: usize, parity: u8) -> (Rig, Vec<(u8, Bytes)>) {
    let rig = Rig::new(disks, parity);
    let store = rig.open().await;
    let filled = fill_both(&store, 1..9).await;
    store.close(CLOSE).await;
    (rig, filled)
}

async fn check_mishap(disks: usize, parity: u8, victims: &[usize], mishap: Mishap) {
    let case = format!("{disks} disks, {mishap:?} {victims:?}");
    let (rig, filled) = written(disks, parity).await;
    let store = rig.open().await;
    let mut events = store.events().subscribe();
    for victim in victims {
        mishap.befalls(&rig, *victim);
    }
    check_all(&store, &filled, &case).await;
    for victim in victims {
        assert!(
            mishap.is_named(&store, *victim),
            "{case}: {victim} is {:?}",
            standing(&store, *victim)
        );
    }
    let mut told = std::collections::BTreeSet::new();
    while let Some(event) = events.waiting() {
        match event {
            Event::DiskLost { disk, .. } | Event::Corrupt { disk, .. } => told.insert(disk),
            other => panic!("{case}: {other:?}"),
        };
    }
    for victim in victims {
        assert!(
            told.contains(&format!("memory-{victim}")),
            "{case}: {told:?}"
        );
    }
    for number in without(disks, victims) {
        let disk = store.stats().disks().remove(number);
        assert_eq!(
            disk.errors.get() + disk.corrupt_blocks.get(),
            0,
            "{case}: {number} is blamed"
        );
        assert_eq!(standing(&store, number), Standing::Live, "{case}");
    }
    check_all(&store, &filled, &case).await;
}

#[tokio::test]
async fn any_two_of_four_disks_may_fail() {
    for mishap in MISHAPS {
        for pair in pairs(4) {
            check_mishap(4, 2, &pair, mishap).await;
        }
    }
}

#[tokio::test]
async fn any_two_of_six_disks_may_fail() {
    for mishap in MISHAPS {
        for pair in pairs(6) {
            check_mishap(6, 2, &pair, mishap).await;
        }
    }
}

#[tokio::test]
async fn any_one_disk_may_fail_with_one_parity_and_with_copies() {
    for mishap in MISHAPS {
        for (disks, parity) in [(2, 2), (3, 2), (2, 1), (3, 1), (4, 1), (6, 1)] {
            for number in 0..disks {
                check_mishap(disks, parity, &[number], mishap).await;
            }
        }
        check_mishap(3, 2, &[0, 2], mishap).await;
    }
}

#[tokio::test]
async fn two_rotten_disks_are_served_from_open_handles_too() {
    for pair in pairs(4) {
        let rig = Rig::new(4, 2);
        let store = rig.open().await;
        let filled = fill_both(&store, 1..5).await;
        for victim in pair {
            rig.rot(victim);
        }
        check_all(&store, &filled, &format!("{pair:?}")).await;
        for victim in pair {
            assert!(
                Mishap::Rotten.is_named(&store, victim),
                "{pair:?}: {victim}"
            );
        }
    }
}

/// With three gone most objects cannot be read: a miss or an error, never a wrong byte. They are back when the disks
/// are.
async fn check_three(disks: usize, mishap: Mishap) {
    for first in 0..disks {
        let victims = [first, (first + 1) % disks, (first + 2) % disks];
        let case = format!("{disks} disks, {mishap:?} {victims:?}");
        let (rig, filled) = written(disks, 2).await;
        let store = rig.open().await;
        let kept: Vec<_> = (0..disks).map(|number| rig.objects_on(number)).collect();
        for victim in victims {
            mishap.befalls(&rig, victim);
        }
        for _ in 0..3 {
            for (number, bytes) in &filled {
                if let Ok(Some(found)) = try_get(&store, *number).await {
                    assert!(found == *bytes, "{case}: {number}");
                }
            }
        }
        for number in without(disks, &victims) {
            assert_eq!(
                rig.objects_on(number),
                kept[number],
                "{case}: disk {number}"
            );
        }
        store.close(CLOSE).await;
        for victim in victims {
            rig.disks[victim].restore();
        }
        let rig = rig.killed();
        let store = rig.open().await;
        check_all(&store, &filled, &format!("{case}, back")).await;
    }
}

#[tokio::test]
async fn three_disks_that_vanish_take_nothing_with_them() {
    for disks in [4, 6] {
        check_three(disks, Mishap::Removed).await;
    }
}

#[tokio::test]
async fn three_disks_that_die_take_nothing_with_them() {
    for disks in [4, 6] {
        check_three(disks, Mishap::Dead).await;
    }
}

/// Writes while some are out; reads them back, and again with and without the lost ones.
async fn check_writes(disks: usize, parity: u8, victims: &[usize], mishap: Mishap) {
    let case = format!("{disks} disks, parity {parity}, {mishap:?} {victims:?}");
    let rig = Rig::new(disks, parity);
    let store = rig.open().await;
    let before = fill_both(&store, 1..5).await;
    for victim in victims {
        mishap.befalls(&rig, *victim);
    }
    let after = fill_both(&store, 5..9).await;
    let replaced = fill_both(&store, 1..2).await;
    check_all(&store, &after, &case).await;
    check_all(&store, &before, &case).await;
    for victim in victims {
        assert!(
            matches!(standing(&store, *victim), Standing::Out(_)),
            "{case}"
        );
    }
    store.close(CLOSE).await;
    for victim in victims {
        rig.disks[*victim].restore();
    }
    for numbers in [without(disks, victims), without(disks, &[])] {
        let rig = rig.killed();
        let store = rig.open_some(&numbers).await;
        for filled in [&before, &after, &replaced] {
            check_all(&store, filled, &format!("{case}, again with {numbers:?}")).await;
        }
    }
}

#[tokio::test]
async fn writes_go_on_while_disks_are_out() {
    for mishap in [Mishap::Removed, Mishap::Dead] {
        for pair in pairs(4) {
            check_writes(4, 2, &pair, mishap).await;
        }
        for pair in [[0, 1], [2, 5], [3, 4]] {
            check_writes(6, 2, &pair, mishap).await;
        }
        for number in 0..4 {
            check_writes(4, 1, &[number], mishap).await;
            check_writes(6, 2, &[number], mishap).await;
        }
        check_writes(2, 2, &[0], mishap).await;
        check_writes(3, 2, &[0, 1], mishap).await;
    }
}

#[tokio::test]
async fn three_of_six_out_is_too_few_to_store_and_five_of_eight_are_enough() {
    for (disks, is_enough) in [(6, false), (8, true)] {
        let rig = Rig::new(disks, 2);
        let store = rig.open().await;
        for number in 0..3 {
            rig.disks[number].die();
        }
        // Whoever is under way when the disks go may fail; that they are out is known afterwards.
        fill(&store, head(1), &body(1, LARGE)).await.ok();
        let again = fill(&store, head(2), &body(2, LARGE)).await;
        assert_eq!(again.is_ok(), is_enough, "{disks}: {again:?}");
        if is_enough {
            assert_eq!(try_get(&store, 2).await.unwrap(), Some(body(2, LARGE)));
            let name = *again.unwrap().name();
            assert_eq!(name.placement.geometry.disks(), 5);
            assert_eq!(name.placement.geometry.data_shards(), 3);
        }
        // Copies need one disk.
        let small = fill(&store, head(3), &body(3, SMALL)).await;
        assert!(small.is_ok(), "{small:?}");
        assert_eq!(try_get(&store, 3).await.unwrap(), Some(body(3, SMALL)));
        assert_eq!(store.stats().stripe_bytes.get(), 0);
        for number in 3..disks {
            assert_eq!(store.stats().disks()[number].filling_bytes.get(), 0);
        }
    }
}
