//! The metadata log while one of its files is being cleaned: the steps are called apart, and something happens between.

use super::amendment::{amendment, version};
use super::concurrency::{evict, reached};
use super::metadata_log::large;
use super::*;
use crate::device::memory::{Fault, Operation, Survival};
use crate::object::Amendment;

/// A store whose only log file pays to be cleaned, and an object with its newest record in there.
async fn with_victim(
    device: &Arc<MemoryDevice>,
    settings: StoreSettings,
) -> (Arc<Store>, Arc<Object>) {
    let device = Arc::clone(device) as Arc<dyn Device>;
    let store = open_with(device, settings).await.unwrap();
    let mut object = fill(&store, head(1), &body(1, 100)).await.unwrap();
    for number in 1..4 {
        object = store.amend(&object, large(number)).await.unwrap().unwrap();
    }
    object = store.amend(&object, amendment(4)).await.unwrap().unwrap();
    (store, object)
}

async fn clean(store: &Store, log: crate::object::Sequence) -> Result<(), StoreError> {
    let core = Arc::clone(&store.core);
    let clean = move || core.clean_file(log);
    store.core.pool.run(clean).await.unwrap()
}

#[tokio::test]
async fn what_is_amended_between_choosing_a_file_and_cleaning_it_is_copied_too() {
    let device = Arc::new(MemoryDevice::new());
    let (store, object) = with_victim(&device, settings_for_tests()).await;
    let log = store.core.log_victim().unwrap();
    let taken_back = Amendment {
        invalidated: true,
        ..amendment(5)
    };
    store.amend(&object, taken_back).await.unwrap().unwrap();
    clean(&store, log).await.unwrap();
    assert!(!files_in(&device, "log/").contains(&log::segment::path(log)));
    store.core.handles.invalidate_all();
    let restarted = open(&Arc::new(device.surviving(Survival::Kill))).await;
    for (when, store) in [("before", &store), ("after", &restarted)] {
        let found = store.lookup(&key(1)).await.remove(0);
        assert!(found.head().invalidated, "{when} a restart");
        assert_eq!(version(&found), 5, "{when} a restart");
        assert_eq!(store.stats().log_problems.get(), 0, "{when} a restart");
    }
}

#[tokio::test]
async fn what_made_a_record_dead_is_on_the_platter_before_the_record_is_gone() {
    for seed in 0..32 {
        let device = Arc::new(MemoryDevice::new());
        let (store, object) = with_victim(&device, settings_for_tests()).await;
        let taken_back = Amendment {
            invalidated: true,
            ..large(5)
        };
        store.amend(&object, taken_back).await.unwrap().unwrap();
        let core = Arc::clone(&store.core);
        store
            .core
            .pool
            .run(move || core.sync_pass())
            .await
            .unwrap()
            .unwrap();
        // Replaced behind the sync: after a power failure the old generation may be back.
        fill(&store, head(1), &body(2, 100)).await.unwrap();
        let log = store.core.log_victim().unwrap();
        clean(&store, log).await.unwrap();
        let after = Arc::new(device.surviving(Survival::PowerLoss { seed }));
        let store = open(&after).await;
        for found in store.lookup(&key(1)).await {
            let is_old = read_all(&found).await.unwrap() == body(1, 100);
            assert_eq!(found.head().invalidated, is_old, "seed {seed}");
        }
    }
}

#[tokio::test]
async fn after_a_sync_that_failed_for_somebody_else_no_log_file_is_removed() {
    let device = Arc::new(MemoryDevice::new());
    let (store, _) = with_victim(&device, settings_for_tests()).await;
    let log = store.core.log_victim().unwrap();
    // It would succeed here as well: the system tells of a failure once.
    store.core.suspect.store(true, Ordering::Release);
    clean(&store, log).await.unwrap_err();
    assert!(files_in(&device, "log/").contains(&log::segment::path(log)));
}

#[tokio::test]
async fn a_file_stays_while_a_removal_that_may_be_taken_back_is_half_done() {
    let device = Arc::new(MemoryDevice::new());
    let settings = StoreSettings {
        threads_per_disk: 2,
        ..settings_for_tests()
    };
    let (store, _) = with_victim(&device, settings).await;
    let log = store.core.log_victim().unwrap();
    device.add_fault(Fault {
        operation: Operation::Unlink,
        path_contains: "ec/".into(),
        errno: libc::EIO,
        times: 1,
    });
    let calls = device.calls();
    device.hold(Operation::Unlink);
    let eviction = evict(&store);
    reached(&device, calls + 1, || false).await;
    let cleaning = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { clean(&store, log).await })
    };
    // Until it waits for the eviction, or has gone on without.
    let is_there = || lock(&store.core.log.segments).contains_key(&log);
    while is_there() && store.core.removals.try_read().is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(is_there(), "gone while its object may come back");
    device.release();
    assert_eq!(eviction.await.unwrap(), None, "the disk has refused");
    cleaning.await.unwrap().unwrap();
    let found = store.lookup(&key(1)).await.remove(0);
    assert_eq!(version(&found), 4);
    assert_eq!(store.stats().log_problems.get(), 0);
    // It is not in the way of the next one.
    maintain(&store).await;
    assert!(!is_there());
    store.core.handles.invalidate_all();
    assert_eq!(version(&store.lookup(&key(1)).await[0]), 4);
}
