//! Starts with disks that are missing, swapped, foreign, empty or stale.

use super::*;
use crate::store::tests::bans::{purge, purgeable};
use weir_policies::purge::{PurgeMode, PurgeScope};
use weir_policies::target::Target;

async fn close_and_reopen(rig: &Rig, store: Arc<Store>, numbers: &[usize]) -> (Rig, Arc<Store>) {
    store.close(CLOSE).await;
    drop(store);
    let rig = rig.killed();
    let store = rig.open_some(numbers).await;
    (rig, store)
}

#[tokio::test]
async fn a_clean_start_reads_no_names_and_an_unclean_one_does() {
    for disks in [2, 4, 6] {
        let rig = Rig::new(disks, 2);
        let store = rig.open().await;
        let filled = fill_both(&store, 1..60).await;
        let killed = rig.killed();
        store.close(CLOSE).await;
        let clean = rig.killed();
        for rig in [&clean, &killed] {
            let store = rig.open().await;
            assert_eq!(store.stats().objects.get(), 59);
            check_all(&store, &filled[..4], "again").await;
            for disk in store.stats().disks() {
                assert!(disk.stored_bytes.get() > 0);
            }
        }
        // Looking at 59 folders on every disk is what a checkpoint saves.
        let calls = |rig: &Rig| rig.disks[0].calls();
        assert!(
            calls(&clean) + 59 * disks as u64 <= calls(&killed) + 20,
            "{} {}",
            calls(&clean),
            calls(&killed)
        );
        let checkpoints =
            (0..disks).filter(|number| !files_in(&clean.disks[*number], "ckpt/").is_empty());
        assert_eq!(checkpoints.count(), 0, "out of date from now on");
    }
}

#[tokio::test]
async fn any_checkpoint_will_do() {
    let rig = Rig::new(4, 2);
    let store = rig.open().await;
    let filled = fill_both(&store, 1..9).await;
    store.close(CLOSE).await;
    let kept = (0..4).filter(|number| !files_in(&rig.disks[*number], "ckpt/").is_empty());
    assert_eq!(kept.count(), 3);
    let rig = rig.killed();
    for number in 0..3 {
        for path in files_in(&rig.disks[number], "ckpt/") {
            rig.disks[number].flip(&path, 90);
        }
    }
    let store = rig.open().await;
    check_all(&store, &filled, "scanned").await;
}

#[tokio::test]
async fn the_order_of_the_folders_does_not_matter() {
    for is_clean in [true, false] {
        let rig = Rig::new(5, 2);
        let store = rig.open().await;
        let filled = fill_both(&store, 1..9).await;
        if is_clean {
            store.close(CLOSE).await;
        }
        let rig = rig.killed();
        let store = rig.open_some(&[3, 1, 4, 0, 2]).await;
        check_all(&store, &filled, "swapped").await;
        assert_eq!(store.stats().computed_units.get(), 0);
        assert_eq!(store.core.array.live().len(), 5);
        let names: Vec<String> = store
            .stats()
            .disks()
            .iter()
            .map(|disk| disk.name.clone())
            .collect();
        assert_eq!(names[3], "memory-3", "a slot keeps its disk: {names:?}");
    }
}

#[tokio::test]
async fn up_to_two_disks_may_be_missing_at_the_start() {
    for is_clean in [true, false] {
        for disks in [4, 6] {
            for missing in pairs(disks)
                .into_iter()
                .map(Vec::from)
                .chain((0..disks).map(|one| vec![one]))
            {
                let case = format!("{disks} disks without {missing:?}, clean: {is_clean}");
                let rig = Rig::new(disks, 2);
                let store = rig.open().await;
                let filled = fill_both(&store, 1..5).await;
                if is_clean {
                    store.close(CLOSE).await;
                }
                let rig = rig.killed();
                let store = rig.open_some(&without(disks, &missing)).await;
                check_all(&store, &filled, &case).await;
                let more = fill_both(&store, 5..7).await;
                store.forget(&key(1)).await;
                let (rig, store) = close_and_reopen(&rig, store, &without(disks, &[])).await;
                check_all(&store, &filled[1..], &case).await;
                check_all(&store, &more, &case).await;
                assert!(get(&store, 1).await.is_none(), "{case}: forgotten and back");
                // Whichever are missing now: all disks are equal again as far as the geometry needs it.
                assert_eq!(store.core.array.live().len(), u8::try_from(disks).unwrap());
                let (_, store) = close_and_reopen(&rig, store, &without(disks, &[])).await;
                check_all(&store, &filled[1..], &case).await;
                assert!(get(&store, 1).await.is_none(), "{case}: forgotten and back");
            }
        }
    }
}

#[tokio::test]
async fn with_three_missing_objects_miss_and_come_back() {
    for is_clean in [true, false] {
        let rig = Rig::new(6, 2);
        let store = rig.open().await;
        let filled = fill_both(&store, 1..9).await;
        if is_clean {
            store.close(CLOSE).await;
        }
        let rig = rig.killed();
        let store = rig.open_some(&[1, 3, 5]).await;
        for (number, bytes) in &filled {
            if let Ok(Some(found)) = try_get(&store, *number).await {
                assert!(found == *bytes);
            }
        }
        maintain(&store).await;
        let (_, store) = close_and_reopen(&rig, store, &without(6, &[])).await;
        for (number, bytes) in &filled {
            // Large ones have shards on all disks, and those that are current know of them.
            let found = try_get(&store, *number).await.unwrap();
            assert!(
                found.as_ref() == Some(bytes) || (found.is_none() && number % 2 == 0),
                "clean {is_clean}: {number}: {:?}",
                found.map(|found| found.len())
            );
        }
    }
}

#[tokio::test]
async fn foreign_and_empty_folders_are_left_alone() {
    let other = Rig::new(1, 2);
    let store = other.open().await;
    fill(&store, head(1), &body(9, 100)).await.unwrap();
    store.close(CLOSE).await;
    let rig = Rig::new(4, 2);
    let store = rig.open().await;
    let filled = fill_both(&store, 1..5).await;
    store.close(CLOSE).await;
    let mut rig = rig.killed();
    rig.disks[1] = Arc::clone(&other.killed().disks[0]);
    rig.disks[2] = rig.disks[0].another("empty");
    let files = rig.objects_on(1);
    let store = rig.open().await;
    check_all(&store, &filled, "two others").await;
    assert_eq!(standing(&store, 1), Standing::Out(Absence::Missing));
    assert_eq!(standing(&store, 2), Standing::Out(Absence::Missing));
    fill_both(&store, 5..7).await;
    store.close(CLOSE).await;
    assert_eq!(rig.objects_on(1), files);
    assert!(rig.objects_on(2).is_empty());
    assert!(
        files_in(&rig.disks[2], "super").is_empty(),
        "an empty folder is not taken"
    );
}

/// Replaces, purges and evicts while some disks are out, all of which they must not undo.
async fn check_stale(disks: usize, out: &[usize], mode: PurgeMode) {
    let case = format!("{disks} disks, {out:?} out, {mode:?}");
    let rig = Rig::new(disks, 2);
    let store = rig.open().await;
    for number in 1..7 {
        let length = if number % 2 == 0 { SMALL } else { LARGE };
        fill(&store, purgeable(number), &body(number.into(), length))
            .await
            .unwrap();
    }
    let present = without(disks, out);
    let (rig, store) = close_and_reopen(&rig, store, &present).await;
    // 1 by its URL, 2 by hand; 3 and 6 are replaced, 5 and 4 stay.
    let scope = PurgeScope::url(&Target::parse("http://host/a/1").unwrap());
    purge(&store, &scope, mode).await.unwrap();
    store.forget(&key(2)).await;
    let replaced = [(3, body(30, LARGE)), (6, body(60, SMALL))];
    for (number, bytes) in &replaced {
        fill(&store, purgeable(*number), bytes).await.unwrap();
    }
    for _ in 0..2 {
        maintain(&store).await;
    }
    let kept = [(5, body(5, LARGE)), (4, body(4, SMALL))];
    let mut rig = rig;
    let mut store = store;
    for round in 0..3 {
        let numbers = if round == 0 {
            present.clone()
        } else {
            without(disks, &[])
        };
        // A kill now and then: no checkpoint.
        if round == 1 {
            rig = rig.killed();
            store = rig.open_some(&numbers).await;
        } else {
            (rig, store) = close_and_reopen(&rig, store, &numbers).await;
        }
        let case = format!("{case}, start {round}");
        check_all(&store, &replaced, &case).await;
        check_all(&store, &kept, &case).await;
        assert!(get(&store, 2).await.is_none(), "{case}: forgotten and back");
        let first = store.lookup(&key(1)).await;
        match mode {
            PurgeMode::Remove => assert!(first.is_empty(), "{case}: purged and back"),
            PurgeMode::Stale => assert!(first[0].head().invalidated, "{case}: not marked any more"),
        }
        maintain(&store).await;
    }
}

#[tokio::test]
async fn nothing_that_was_purged_or_replaced_comes_back_with_a_stale_disk() {
    for mode in [PurgeMode::Remove, PurgeMode::Stale] {
        for pair in pairs(4) {
            check_stale(4, &pair, mode).await;
        }
        for out in [&[0][..], &[1], &[2], &[3]] {
            check_stale(4, out, mode).await;
            check_stale(6, out, mode).await;
        }
        for out in [[0, 1], [1, 2], [0, 5], [2, 4]] {
            check_stale(6, &out, mode).await;
        }
        check_stale(3, &[0], mode).await;
        check_stale(3, &[1, 2], mode).await;
        check_stale(2, &[0], mode).await;
        check_stale(2, &[1], mode).await;
    }
}

#[tokio::test]
async fn epochs_begin_when_disks_are_missing_and_only_then() {
    let rig = Rig::new(4, 2);
    let store = rig.open().await;
    let epoch = |store: &Store| lock(&store.core.superblock).epoch;
    assert_eq!(epoch(&store), 1);
    let (rig, store) = close_and_reopen(&rig, store, &[0, 1, 2, 3]).await;
    assert_eq!(epoch(&store), 1);
    let (rig, store) = close_and_reopen(&rig, store, &[0, 1, 2]).await;
    assert_eq!(epoch(&store), 2);
    assert!(store.core.sequences.next() >> 48 == 2);
    let (rig, store) = close_and_reopen(&rig, store, &[0, 1, 2, 3]).await;
    assert_eq!(epoch(&store), 2, "all are there");
    assert_eq!(store.core.array.live().len(), 4);
    rig.disks[3].die();
    fill(&store, head(1), &body(1, LARGE)).await.unwrap();
    assert_eq!(epoch(&store), 3, "a disk was lost on the way");
}

#[tokio::test]
async fn without_a_majority_everything_is_asked_about_first() {
    let cases: [(usize, &[usize]); 4] = [(4, &[0, 1]), (4, &[2, 3]), (2, &[1]), (3, &[0])];
    for (disks, present) in cases {
        let case = format!("{present:?} of {disks}");
        let rig = Rig::new(disks, 2);
        let store = rig.open().await;
        for (number, immutable) in [(1, true), (2, false), (3, true)] {
            let mut head = head(number);
            head.immutable = immutable;
            let length = if number == 3 { LARGE } else { SMALL };
            fill(&store, head, &body(number.into(), length))
                .await
                .unwrap();
        }
        let (rig, store) = close_and_reopen(&rig, store, present).await;
        let mut found = 0;
        for number in 1..4 {
            for object in store.lookup(&key(number)).await {
                assert!(object.head().invalidated, "{case}: {number}");
                found += 1;
            }
        }
        assert!(found >= 2, "{case}: {found}");
        let fresh = fill(&store, head(4), &body(4, SMALL)).await.unwrap();
        assert!(!fresh.head().invalidated, "{case}: what is new is known");
        assert!(!store.lookup(&key(4)).await[0].head().invalidated);
        let (_, store) = close_and_reopen(&rig, store, present).await;
        for object in store.lookup(&key(1)).await {
            assert!(object.head().invalidated, "{case}: again");
        }
    }
}

/// N = 4: two out, purge; the other two out, the first two back, refill; all four back.
#[tokio::test]
async fn halves_that_lived_apart_do_not_bring_back_what_either_has_purged() {
    for first in [[2, 3], [0, 1]] {
        let other = without(4, &first);
        let rig = Rig::new(4, 2);
        let store = rig.open().await;
        for number in 1..4 {
            fill(&store, purgeable(number), &body(number.into(), LARGE))
                .await
                .unwrap();
        }
        let (rig, store) = close_and_reopen(&rig, store, &other).await;
        for name in ["a/1", "a/2"] {
            let target = Target::parse(&format!("http://host/{name}")).unwrap();
            store
                .ban(
                    &PurgeScope::url(&target),
                    PurgeMode::Remove,
                    &[key(1), key(2)],
                )
                .await
                .unwrap();
        }
        for _ in 0..2 {
            maintain(&store).await;
        }
        let (rig, store) = close_and_reopen(&rig, store, &first).await;
        for object in store.lookup(&key(1)).await {
            assert!(object.head().invalidated, "{first:?}: unaware of the purge");
        }
        fill(&store, purgeable(1), &body(100, LARGE)).await.unwrap();
        maintain(&store).await;
        // Of two halves the one with more epochs counts: the one that knows of no purge.
        let (rig, store) = close_and_reopen(&rig, store, &first).await;
        let (mut rig, mut store) = close_and_reopen(&rig, store, &[0, 1, 2, 3]).await;
        for start in 0..3 {
            for object in store.lookup(&key(1)).await {
                let bytes = read_all(&object).await.unwrap();
                let is_asked = object.head().invalidated;
                assert!(
                    bytes == body(100, LARGE) || is_asked,
                    "{first:?}, start {start}: purged and back"
                );
            }
            for object in store.lookup(&key(2)).await {
                let is_asked = object.head().invalidated;
                assert!(is_asked, "{first:?}, start {start}: purged and back");
            }
            (rig, store) = close_and_reopen(&rig, store, &[0, 1, 2, 3]).await;
        }
    }
}
