//! Two jobs at once: held calls of the disk bring two threads to the same place, no clock is involved.

use super::*;
use crate::device::memory::{Fault, Operation};

const THREADS: usize = 2;

async fn open_two_threads(device: &Arc<MemoryDevice>, capacity_bytes: Option<u64>) -> Arc<Store> {
    let settings = StoreSettings {
        capacity_bytes,
        threads_per_disk: THREADS,
        sha256: false,
        ..settings_for_tests()
    };
    open_with(Arc::clone(device) as Arc<dyn Device>, settings)
        .await
        .unwrap()
}

/// Waits until the disk has seen so many calls, or `done` says that no more will come.
pub(super) async fn reached(device: &MemoryDevice, calls: u64, done: impl Fn() -> bool) {
    while device.calls() < calls && !done() {
        tokio::task::yield_now().await;
    }
}

pub(super) fn evict(store: &Store) -> tokio::task::JoinHandle<Option<u64>> {
    let core = Arc::clone(&store.core);
    tokio::spawn(async move {
        let job = Arc::clone(&core);
        core.pool
            .run(move || job.evict(EvictionCause::NoSpace, None, 1))
            .await
            .unwrap()
    })
}

#[tokio::test]
async fn a_victim_of_two_threads_is_freed_once_and_not_found_meanwhile() {
    let device = Arc::new(MemoryDevice::new());
    let store = open_two_threads(&device, None).await;
    fill(&store, head(1), &body(1, 1000)).await.unwrap();
    let stored = store.stats().disks()[0].stored_bytes.get();
    let calls = device.calls();
    device.hold(Operation::Unlink);
    let first = evict(&store);
    reached(&device, calls + 1, || false).await;
    let second = evict(&store);
    reached(&device, calls + 2, || second.is_finished()).await;
    let found = lock(&store.core.index).find(key(1).short());
    device.release();
    let freed = [first.await.unwrap(), second.await.unwrap()];
    assert_eq!(freed.into_iter().flatten().sum::<u64>(), stored);
    assert!(found.is_empty(), "found while its file was being removed");
    assert_eq!(store.stats().removed_bytes(EvictionCause::NoSpace), stored);
    assert_eq!(store.stats().disks()[0].stored_bytes.get(), 0);
}

#[tokio::test]
async fn what_was_forgotten_while_its_eviction_failed_does_not_come_back() {
    let device = Arc::new(MemoryDevice::new());
    let store = open_two_threads(&device, None).await;
    fill(&store, head(1), &body(1, 1000)).await.unwrap();
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
    let forgetting = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.forget(&key(1)).await })
    };
    reached(&device, calls + 2, || forgetting.is_finished()).await;
    device.release();
    forgetting.await.unwrap();
    assert_eq!(eviction.await.unwrap(), None);
    assert!(store.lookup(&key(1)).await.is_empty());
    maintain(&store).await;
    assert!(files_in(&device, "ec/").is_empty());
    assert_eq!(store.stats().disks()[0].stored_bytes.get(), 0);
}

#[tokio::test]
async fn objects_that_begin_at_once_never_claim_more_than_the_budget() {
    let mib = 1024 * 1024;
    for (capacity_bytes, limit_bytes) in [(Some(4 * mib), 100 * mib), (None, 4 * mib)] {
        let device = Arc::new(MemoryDevice::new());
        let store = open_two_threads(&device, capacity_bytes).await;
        device.limit_bytes(limit_bytes);
        let calls = device.calls();
        device.hold(Operation::Space);
        let begin = |number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.begin(head(number), Some(3 * mib)).await })
        };
        let begun = [begin(1), begin(2)];
        reached(&device, calls + 2, || false).await;
        device.release();
        let mut writers = Vec::new();
        for begun in begun {
            match begun.await.unwrap() {
                Ok(writer) => writers.push(writer),
                Err(error) => assert!(matches!(error, StoreError::Full { .. }), "{error}"),
            }
        }
        assert!(writers.len() <= 1, "two of 3 MiB fit into 4 MiB");
        let claimed = store.stats().disks()[0].filling_bytes.get();
        assert!(claimed <= 4 * mib, "{claimed}");
        for writer in writers {
            writer.abandon().await;
        }
        let alone = store.begin(head(3), Some(3 * mib)).await;
        assert!(alone.is_ok(), "a refused object keeps its claim");
    }
}

#[tokio::test]
async fn an_amendment_that_loses_against_a_request_to_forget_leaves_nothing() {
    let device = Arc::new(MemoryDevice::new());
    let store = open_two_threads(&device, None).await;
    let object = fill(&store, head(1), &body(1, 1000)).await.unwrap();
    let amendment = super::amendment::amendment(1);
    // The log file is there already: the next write is the record.
    store.amend(&object, amendment.clone()).await.unwrap();
    let calls = device.calls();
    device.hold(Operation::Write);
    let amending = {
        let (store, object) = (Arc::clone(&store), Arc::clone(&object));
        tokio::spawn(async move { store.amend(&object, amendment).await })
    };
    reached(&device, calls + 1, || false).await;
    store.forget(&key(1)).await;
    device.release();
    assert!(amending.await.unwrap().unwrap().is_none());
    assert!(store.lookup(&key(1)).await.is_empty());
    store.core.handles.run_pending_tasks();
    assert_eq!(store.core.handles.entry_count(), 0);
    let (log, _) = store.core.log.end();
    let live = lock(&store.core.index).live_log_bytes(crate::object::Sequence(log));
    assert_eq!(live, 0, "its records are dead");
}

#[tokio::test]
async fn amendments_at_once_are_all_kept_in_one_order() {
    let device = Arc::new(MemoryDevice::new());
    let store = open_two_threads(&device, None).await;
    let object = fill(&store, head(1), &body(1, 1000)).await.unwrap();
    let mut amending = Vec::new();
    for number in 1..20 {
        let (store, object) = (Arc::clone(&store), Arc::clone(&object));
        let amendment = super::amendment::amendment(number);
        amending.push(tokio::spawn(async move {
            store.amend(&object, amendment).await.unwrap().unwrap()
        }));
    }
    let mut last = object;
    for amending in amending {
        let amended = amending.await.unwrap();
        if amended.amendment > last.amendment {
            last = amended;
        }
    }
    let version = super::amendment::version(&last);
    let found = store.lookup(&key(1)).await.remove(0);
    assert_eq!(super::amendment::version(&found), version);
    let device = Arc::new(device.surviving(crate::device::memory::Survival::Kill));
    let store = open(&device).await;
    let found = store.lookup(&key(1)).await.remove(0);
    assert_eq!(super::amendment::version(&found), version);
}
