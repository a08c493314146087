//! Budgets and bounds: eviction, full disks, read-only disks, failed syncs, the bound of the index.

use super::*;
use crate::device::memory::{Fault, Operation};

const MIB: u64 = 1024 * 1024;

async fn small(capacity_bytes: u64) -> (Arc<MemoryDevice>, Arc<Store>) {
    let device = Arc::new(MemoryDevice::new());
    let settings = StoreSettings {
        capacity_bytes: Some(capacity_bytes),
        sha256: false,
        ..settings_for_tests()
    };
    let store = open_with(Arc::clone(&device) as Arc<dyn Device>, settings)
        .await
        .unwrap();
    (device, store)
}

#[tokio::test]
async fn the_store_stays_below_its_high_watermark() {
    let (_, store) = small(4 * MIB).await;
    for number in 0..40 {
        fill(&store, head(number), &body(1, 300_000)).await.unwrap();
        assert!(
            store.stats().disks()[0].stored_bytes.get() <= 4 * MIB * 8 / 10,
            "{number}"
        );
    }
    assert_eq!(get(&store, 39).await, Some(body(1, 300_000)));
    assert!(store.stats().removed_bytes(EvictionCause::Watermark) > 0);
}

#[tokio::test]
async fn maintenance_goes_down_to_the_low_watermark() {
    let (device, store) = small(4 * MIB).await;
    for number in 0..9 {
        fill(&store, head(number), &body(1, 300_000)).await.unwrap();
    }
    // Another program takes space: the budget shrinks below what is stored.
    device.limit_bytes(4 * MIB);
    device.plant("foreign", &vec![1; usize::try_from(MIB).unwrap()]);
    maintain(&store).await;
    let budget = store.stats().disks()[0].budget_bytes.get();
    assert!(budget < 4 * MIB);
    assert!(store.stats().disks()[0].stored_bytes.get() <= budget * 78 / 100 + 1);
    assert!(store.stats().objects.get() > 3);
}

#[tokio::test]
async fn what_was_used_last_stays() {
    let device: Arc<dyn Device> = Arc::new(MemoryDevice::new());
    let clock = Arc::new(ManualClock::default());
    let settings = StoreSettings {
        capacity_bytes: Some(4 * MIB),
        ..settings_for_tests()
    };
    let store =
        Store::open_without_timer(vec![device], settings, Arc::clone(&clock) as Arc<dyn Clock>)
            .await
            .unwrap();
    let loved = fill(&store, head(0), &body(1, 300_000)).await.unwrap();
    for number in 1..30 {
        clock.advance(Duration::from_secs(10));
        loved.touch();
        fill(&store, head(number), &body(1, 300_000)).await.unwrap();
    }
    assert_eq!(get(&store, 0).await, Some(body(1, 300_000)));
    assert_eq!(get(&store, 1).await, None);
}

#[tokio::test]
async fn a_pinned_object_stays_and_a_store_of_pinned_objects_is_full() {
    let (_, store) = small(MIB).await;
    for number in 0..2 {
        fill(
            &store,
            ObjectHead {
                pinned: true,
                ..head(number)
            },
            &body(1, 300_000),
        )
        .await
        .unwrap();
    }
    assert!(matches!(
        store.begin(head(5), Some(500_000)).await,
        Err(StoreError::Full { .. })
    ));
    assert_eq!(get(&store, 0).await, Some(body(1, 300_000)));
}

#[tokio::test]
async fn an_object_that_can_never_fit_is_refused_before_anything_is_evicted() {
    let (device, store) = small(4 * MIB).await;
    fill(&store, head(1), &body(1, 1000)).await.unwrap();
    let files = device.paths();
    assert!(matches!(
        store.begin(head(2), Some(5 * MIB)).await,
        Err(StoreError::Full { .. })
    ));
    assert_eq!(device.paths(), files);
    assert_eq!(get(&store, 1).await, Some(body(1, 1000)));
}

#[tokio::test]
async fn a_full_disk_evicts_for_a_body_of_unknown_length() {
    let (device, store) = small(100 * MIB).await;
    for number in 0..8 {
        fill(&store, head(number), &body(1, 500_000)).await.unwrap();
    }
    device.limit_bytes(5 * MIB);
    let mut writer = store.begin(head(50), None).await.unwrap();
    for _ in 0..6 {
        writer.append(vec![body(2, 250_000)]).await.unwrap();
    }
    writer.commit().await.unwrap();
    assert_eq!(store.lookup(&key(50)).await[0].length(), 1_500_000);
}

#[tokio::test]
async fn a_disk_filled_by_others_refuses_and_goes_on_serving() {
    let (device, store) = small(100 * MIB).await;
    let kept = fill(&store, head(1), &body(1, 1000)).await.unwrap();
    device.plant("foreign", &[0; 100_000]);
    device.limit_bytes(110_000);
    assert!(matches!(
        store.begin(head(2), Some(MIB)).await,
        Err(StoreError::Full { .. })
    ));
    assert_eq!(read_all(&kept).await.unwrap(), body(1, 1000));
    assert!(store.stats().disks()[0].full.get() > 0);
}

#[tokio::test]
async fn a_read_only_disk_refuses_writes_keeps_its_index_and_serves() {
    let (device, store) = small(MIB).await;
    fill(&store, head(1), &body(1, 600_000)).await.unwrap();
    device.remount_read_only();
    assert!(store.begin(head(2), Some(600_000)).await.is_err());
    maintain(&store).await;
    assert_eq!(get(&store, 1).await, Some(body(1, 600_000)));
    store.close(CLOSE).await;
}

#[tokio::test]
async fn few_inodes_left_evict_too() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    for number in 0..20 {
        fill(&store, head(number), &body(1, 10)).await.unwrap();
    }
    device.limit_inodes(24);
    maintain(&store).await;
    assert!(
        store.stats().objects.get() <= 18,
        "{}",
        store.stats().objects.get()
    );
    assert!(store.stats().removed_bytes(EvictionCause::Inodes) > 0);
}

#[tokio::test]
async fn the_index_keeps_its_bound() {
    let device = Arc::new(MemoryDevice::new());
    let settings = StoreSettings {
        objects_max: 5,
        ..settings_for_tests()
    };
    let store = open_with(Arc::clone(&device) as Arc<dyn Device>, settings)
        .await
        .unwrap();
    for number in 0..20 {
        fill(&store, head(number), &body(1, 10)).await.unwrap();
    }
    assert_eq!(store.stats().objects.get(), 5);
    assert_eq!(files_in(&device, "ec/").len(), 5);
    assert!(store.stats().removed_bytes(EvictionCause::ObjectsMax) > 0);
}

fn variant(number: u32) -> ObjectHead {
    let value = number.to_string().into_bytes();
    ObjectHead {
        selection: Selection(vec![("accept".into(), Some(value))]),
        pinned: number == 0,
        ..head(1)
    }
}

#[tokio::test]
async fn the_oldest_variants_of_a_key_make_room_for_new_ones() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    fill(&store, head(2), &body(1, 10)).await.unwrap();
    for number in 0..60 {
        fill(&store, variant(number), &body(1, 10)).await.unwrap();
    }
    // The first one is pinned, which a start after a kill does not know before it opens the file.
    let device = Arc::new(device.surviving(crate::device::memory::Survival::Kill));
    let store = open(&device).await;
    for number in 60..70 {
        fill(&store, variant(number), &body(1, 10)).await.unwrap();
    }
    let found = store.lookup(&key(1)).await;
    let kept: Vec<_> = found
        .iter()
        .map(|object| object.head().selection.clone())
        .collect();
    let expected: Vec<_> = (7..70)
        .rev()
        .chain([0])
        .map(|number| variant(number).selection)
        .collect();
    assert_eq!(kept, expected);
    assert_eq!(files_in(&device, "ec/").len(), 65);
    assert_eq!(store.stats().objects.get(), 65);
    assert!(store.stats().removed_bytes(EvictionCause::Variants) > 0);
    assert!(get(&store, 2).await.is_some(), "another key is not touched");
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_claimed_and_nothing_replaced_is_removed() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    fill(&store, head(1), &body(1, 10)).await.unwrap();
    device.add_fault(Fault {
        operation: Operation::SyncAll,
        path_contains: String::new(),
        errno: libc::EIO,
        times: 1,
    });
    fill(&store, head(1), &body(2, 10)).await.unwrap();
    maintain(&store).await;
    maintain(&store).await;
    assert_eq!(files_in(&device, "ec/").len(), 2);
    assert_eq!(store.stats().disks()[0].syncs.get(), 0);
    assert_eq!(get(&store, 1).await, Some(body(2, 10)));
}

#[tokio::test]
async fn a_strict_commit_that_cannot_be_synced_is_not_visible() {
    let device = Arc::new(MemoryDevice::new());
    let settings = StoreSettings {
        durability: Durability::Strict,
        ..settings_for_tests()
    };
    let store = open_with(Arc::clone(&device) as Arc<dyn Device>, settings)
        .await
        .unwrap();
    for operation in [Operation::SyncData, Operation::SyncFolder] {
        device.add_fault(Fault {
            operation,
            path_contains: String::new(),
            errno: libc::EIO,
            times: 1,
        });
        assert!(
            fill(&store, head(1), &body(1, 10)).await.is_err(),
            "{operation:?}"
        );
        assert!(store.lookup(&key(1)).await.is_empty());
        maintain(&store).await;
        assert!(files_in(&device, "ec/").is_empty() && files_in(&device, "tmp/").is_empty());
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_stops_at_the_budget() {
    let (_, store) = small(4 * MIB).await;
    let mut writer = store.begin(head(1), None).await.unwrap();
    let mut appended = 0;
    let error = loop {
        match writer.append(vec![body(1, 250_000)]).await {
            Ok(()) => appended += 250_000,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!((3 * MIB..=4 * MIB).contains(&appended), "{appended}");
}

#[tokio::test]
async fn a_pin_is_respected_after_a_restart_that_only_read_names() {
    let (device, store) = small(4 * MIB).await;
    fill(
        &store,
        ObjectHead {
            pinned: true,
            ..head(0)
        },
        &body(7, 300_000),
    )
    .await
    .unwrap();
    let device = Arc::new(device.surviving(crate::device::memory::Survival::Kill));
    let settings = StoreSettings {
        capacity_bytes: Some(4 * MIB),
        ..settings_for_tests()
    };
    let store = open_with(Arc::clone(&device) as Arc<dyn Device>, settings)
        .await
        .unwrap();
    for number in 1..40 {
        fill(&store, head(number), &body(1, 300_000)).await.unwrap();
    }
    assert_eq!(get(&store, 0).await, Some(body(7, 300_000)));
}

#[tokio::test]
async fn too_many_open_files_cost_the_idle_handles_and_not_the_request() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    for number in 1..20 {
        fill(&store, head(number), &body(1, 1000)).await.unwrap();
    }
    for errno in [libc::EMFILE, libc::ENFILE] {
        store.core.handles.invalidate_all();
        let held = store.lookup(&key(1)).await.remove(0);
        for operation in [Operation::Open, Operation::Create] {
            device.add_fault(Fault {
                operation,
                path_contains: String::new(),
                errno,
                times: 1,
            });
        }
        assert_eq!(get(&store, 2).await, Some(body(1, 1000)));
        fill(&store, head(30), &body(2, 1000)).await.unwrap();
        assert_eq!(store.core.handles.entry_count(), 1, "only the last one");
        assert_eq!(read_all(&held).await.unwrap(), body(1, 1000));
    }
}

#[tokio::test]
async fn a_head_is_read_before_its_removal_begins() {
    let (device, store) = small(4 * MIB).await;
    fill(&store, head(1), &body(1, 1000)).await.unwrap();
    let device = Arc::new(device.surviving(crate::device::memory::Survival::Kill));
    let store_again = open(&device).await;
    drop(store);
    // Only its name is known: whether it is pinned stands in its head.
    device.hold(Operation::Read);
    let core = Arc::clone(&store_again.core);
    let evicting = std::thread::spawn(move || core.evict(EvictionCause::Watermark, None, 1));
    assert!(device.wait_until_hanging(1));
    store_again.core.await_removals();
    device.release();
    assert!(evicting.join().unwrap().is_some());
    assert_eq!(store_again.stats().objects.get(), 0);
}

#[tokio::test]
async fn files_that_one_disk_of_three_does_not_remove_cost_that_disk_and_no_object() {
    let disks = MemoryDevice::group(3);
    let devices = disks.iter().map(|disk| Arc::clone(disk) as Arc<dyn Device>);
    let clock = Arc::new(ManualClock::default());
    let opened = Store::open_without_timer(devices.collect(), settings_for_tests(), clock).await;
    let store = opened.unwrap();
    for number in 0..20 {
        fill(&store, head(number), &body(1, 1000)).await.unwrap();
    }
    disks[1].add_fault(Fault {
        operation: Operation::Unlink,
        path_contains: "ec/".into(),
        errno: libc::EIO,
        times: u64::MAX,
    });
    let core = Arc::clone(&store.core);
    let evict = move || core.evict(EvictionCause::Watermark, None, 50_000);
    let freed = store.core.on_pool("evict", evict).await.unwrap();
    assert!(freed.is_some_and(|freed| freed >= 50_000));
    assert_eq!(store.core.array.live().len(), 2);
    let left = lock(&store.core.index).len();
    assert!((10..20).contains(&left), "{left} are left");
    for disk in [0, 2] {
        assert_eq!(files_in(&disks[disk], "ec/").len(), left);
    }
    assert_eq!(store.core.array.disks()[0].stats.leaving_bytes.get(), 0);
}
