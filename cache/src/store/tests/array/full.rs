//! Disks without room, and disks that take no writes.

use super::*;
use crate::device::memory::{Fault, Operation};
use crate::events::Event;

/// Says it has room, and has none when it is asked for it.
fn refuse_room(rig: &Rig, number: usize) {
    for operation in [Operation::Create, Operation::Allocate, Operation::Write] {
        rig.disks[number].add_fault(Fault {
            operation,
            path_contains: "tmp/".to_owned(),
            errno: libc::ENOSPC,
            times: u64::MAX,
        });
    }
}

fn limit(rig: &Rig, number: usize) {
    // Superblocks and the log fit.
    rig.disks[number].limit_bytes(64 * 1024);
}

/// Fills with a known and an unknown length.
async fn fill_any(store: &Store, number: u8, bytes: &Bytes) -> Result<(), StoreError> {
    let mut writer = store.begin(head(number), None).await?;
    for piece in bytes.chunks(33_333) {
        writer.append(vec![Bytes::copy_from_slice(piece)]).await?;
    }
    writer.commit().await?;
    fill(store, head(number + 1), bytes).await.map(drop)
}

async fn check_full(disks: usize, victims: &[usize], make_full: fn(&Rig, usize)) {
    let case = format!("{disks} disks, {victims:?}");
    let rig = Rig::new(disks, 2);
    let store = rig.open().await;
    let mut events = store.events().subscribe();
    for victim in victims {
        make_full(&rig, *victim);
    }
    let bytes = body(1, 900_001);
    fill_any(&store, 1, &bytes)
        .await
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    for number in [1, 2] {
        let found = try_get(&store, number).await.unwrap();
        assert!(
            found.as_ref() == Some(&bytes),
            "{case}: {number}: {:?}",
            found.map(|found| found.len())
        );
    }
    let mut full = std::collections::BTreeSet::new();
    while let Some(event) = events.waiting() {
        if let Event::DiskFull { disk } = event {
            full.insert(disk);
        }
    }
    for number in 0..disks {
        let is_victim = victims.contains(&number);
        assert_eq!(standing(&store, number), Standing::Live, "{case}: {number}");
        assert_eq!(
            full.contains(&format!("memory-{number}")),
            is_victim,
            "{case}: {number}"
        );
        assert_eq!(
            rig.objects_on(number).len(),
            if is_victim { 0 } else { 2 },
            "{case}: {number}"
        );
        let disk = store.stats().disks().remove(number);
        assert_eq!(
            disk.filling_bytes.get() + disk.unallocated_bytes.get(),
            0,
            "{case}"
        );
        assert_eq!(disk.stored_bytes.get() > 0, !is_victim, "{case}: {number}");
        assert_eq!(disk.corrupt_blocks.get(), 0, "{case}: {number}");
    }
    maintain(&store).await;
    for number in 0..disks {
        assert!(
            files_in(&rig.disks[number], "tmp/").is_empty(),
            "{case}: {number}"
        );
    }
    store.close(CLOSE).await;
    let store = rig.killed().open().await;
    for number in [1, 2] {
        assert!(
            try_get(&store, number).await.unwrap().as_ref() == Some(&bytes),
            "{case}, again"
        );
    }
}

#[tokio::test]
async fn a_disk_without_room_costs_its_shard_and_nothing_else() {
    for make_full in [limit, refuse_room] {
        for victims in [&[0][..], &[3], &[1, 2], &[0, 5]] {
            check_full(6, victims, make_full).await;
        }
        check_full(4, &[0, 3], make_full).await;
        check_full(3, &[1, 2], make_full).await;
        check_full(2, &[0], make_full).await;
    }
}

#[tokio::test]
async fn three_of_six_disks_without_room_are_full() {
    for make_full in [limit, refuse_room] {
        let rig = Rig::new(6, 2);
        let store = rig.open().await;
        for number in [0, 2, 4] {
            make_full(&rig, number);
        }
        for length in [Some(900_000), None] {
            let filled = async {
                let mut writer = store.begin(head(1), length).await?;
                writer.append(vec![body(1, 900_000)]).await?;
                writer.commit().await
            };
            let refused = filled.await;
            assert!(
                matches!(refused, Err(StoreError::Full { .. })),
                "{refused:?}"
            );
        }
        maintain(&store).await;
        for number in 0..6 {
            assert_eq!(standing(&store, number), Standing::Live);
            assert!(files_in(&rig.disks[number], "tmp/").is_empty(), "{number}");
            assert!(rig.objects_on(number).is_empty());
            assert_eq!(store.stats().disks()[number].filling_bytes.get(), 0);
        }
        assert_eq!(store.stats().stripe_bytes.get(), 0);
    }
}

#[tokio::test]
async fn a_disk_that_fills_up_while_an_object_grows_loses_its_shard() {
    let rig = Rig::new(6, 2);
    let store = rig.open().await;
    let bytes = body(1, 2_000_001);
    let mut writer = store.begin(head(1), None).await.unwrap();
    for (number, piece) in bytes.chunks(100_000).enumerate() {
        writer
            .append(vec![Bytes::copy_from_slice(piece)])
            .await
            .unwrap();
        if number == 7 {
            rig.disks[2].limit_bytes(70_000);
        }
        let readable = writer.readable();
        let start = readable.saturating_sub(200_000);
        let length = usize::try_from(readable - start).unwrap();
        if length > 0 {
            let read = writer.partial().read(start, length).await.unwrap();
            assert!(
                read == bytes
                    .slice(usize::try_from(start).unwrap()..usize::try_from(readable).unwrap())
            );
        }
    }
    writer.commit().await.unwrap();
    assert!(try_get(&store, 1).await.unwrap() == Some(bytes));
    assert_eq!(standing(&store, 2), Standing::Live);
    assert_eq!(
        store.stats().disks()[2].corrupt_blocks.get(),
        0,
        "nobody looked for what was not written"
    );
    assert!(rig.objects_on(2).is_empty());
}

#[tokio::test]
async fn a_small_disk_decides_how_much_is_kept() {
    let rig = Rig::new(4, 2);
    let store = rig.open().await;
    rig.disks[1].limit_bytes(2_000_000);
    for number in 0..30 {
        fill(&store, head(number), &body(number.into(), 400_000))
            .await
            .unwrap();
    }
    let stored = store
        .stats()
        .disks()
        .iter()
        .map(|disk| disk.stored_bytes.get())
        .collect::<Vec<_>>();
    assert!(stored.iter().all(|bytes| *bytes <= 2_000_000), "{stored:?}");
    assert!(
        store.stats().objects.get() >= 5,
        "{}",
        store.stats().objects.get()
    );
    for number in 27..30 {
        assert_eq!(
            try_get(&store, number).await.unwrap(),
            Some(body(number.into(), 400_000))
        );
    }
}

#[tokio::test]
async fn a_disk_gone_read_only_is_read_and_not_written() {
    for (disks, number) in [(2, 0), (4, 1), (6, 5)] {
        let rig = Rig::new(disks, 2);
        let store = rig.open().await;
        let before = fill_both(&store, 1..5).await;
        rig.disks[number].remount_read_only();
        let after = fill_both(&store, 5..9).await;
        let case = format!("{disks} disks, {number}");
        assert_eq!(
            standing(&store, number),
            Standing::Out(Absence::ReadOnly),
            "{case}"
        );
        let computed = store.stats().computed_units.get();
        check_all(&store, &before, &case).await;
        assert_eq!(
            store.stats().computed_units.get(),
            computed,
            "{case}: it is not read"
        );
        check_all(&store, &after, &case).await;
        store.forget(&key(1)).await;
        store.close(CLOSE).await;
        let store = rig.killed().open().await;
        check_all(&store, &before[1..], &case).await;
        check_all(&store, &after, &case).await;
        assert!(get(&store, 1).await.is_none(), "{case}: forgotten and back");
    }
}

#[tokio::test]
async fn an_object_that_too_few_disks_can_name_leaves_no_file() {
    for durability in [Durability::Relaxed, Durability::Strict] {
        let mut rig = Rig::new(4, 2);
        rig.settings.durability = durability;
        let store = rig.open().await;
        for number in 1..4 {
            rig.disks[number].add_fault(Fault {
                operation: Operation::Rename,
                path_contains: String::new(),
                errno: libc::EINVAL,
                times: u64::MAX,
            });
        }
        let filled = fill(&store, head(1), &body(1, LARGE)).await;
        assert!(filled.is_err(), "{durability:?}");
        maintain(&store).await;
        for number in 0..4 {
            assert_eq!(rig.objects_on(number), [""; 0], "{durability:?}: {number}");
            assert_eq!(files_in(&rig.disks[number], "tmp/"), [""; 0]);
        }
    }
}
