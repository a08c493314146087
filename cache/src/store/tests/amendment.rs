//! Amended heads: what a lookup shows, which generation they belong to.

use super::*;
use crate::device::memory::{Fault, Operation, Survival};
use crate::object::Amendment;
use http::HeaderValue;

pub(super) fn amendment(number: i64) -> Amendment {
    let mut headers = HeaderMap::new();
    headers.insert("x-version", HeaderValue::from(number));
    Amendment {
        headers,
        exchange: Exchange {
            requested: UnixSeconds(number),
            responded: UnixSeconds(number),
        },
        invalidated: false,
        pinned: false,
        lifetime_max: None,
    }
}

/// The version that a head shows; panics where its parts are of different ones. 0: as it was stored.
pub(super) fn version(object: &Object) -> i64 {
    let head = object.head();
    let Some(value) = head.headers.get("x-version") else {
        assert_eq!(head.exchange, super::head(1).exchange, "a mixture");
        return 0;
    };
    let version = value.to_str().unwrap().parse().unwrap();
    assert_eq!(head.exchange, amendment(version).exchange, "a mixture");
    version
}

#[tokio::test]
async fn an_amended_object_is_looked_up_with_its_new_head_and_its_old_bytes() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let object = fill(&store, head(1), &body(1, 70_000)).await.unwrap();
    let amended = store.amend(&object, amendment(7)).await.unwrap().unwrap();
    let found = store.lookup(&key(1)).await.remove(0);
    for object in [&amended, &found] {
        assert_eq!(object.head().headers, amendment(7).headers);
        assert_eq!(object.head().exchange, amendment(7).exchange);
        assert_eq!(object.head().url, head(1).url);
        assert_eq!(read_all(object).await.unwrap(), body(1, 70_000));
    }
    assert!(
        object.head().headers.is_empty(),
        "who held it keeps its head"
    );
}

#[tokio::test]
async fn an_amendment_never_reaches_another_generation() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let old = fill(&store, head(1), &body(1, 10)).await.unwrap();
    fill(&store, head(1), &body(2, 10)).await.unwrap();
    assert!(store.amend(&old, amendment(7)).await.unwrap().is_none());
    assert!(store.lookup(&key(1)).await[0].head().headers.is_empty());
    let current = store.lookup(&key(1)).await.remove(0);
    store.forget(&key(1)).await;
    assert!(store.amend(&current, amendment(7)).await.unwrap().is_none());
    assert!(store.lookup(&key(1)).await.is_empty());
}

#[tokio::test]
async fn amendments_survive_a_clean_restart_and_a_kill_and_follow_the_newest() {
    for clean in [true, false] {
        let device = Arc::new(MemoryDevice::new());
        let store = open(&device).await;
        for number in 1..4 {
            fill(&store, head(number), &body(1, 1000)).await.unwrap();
        }
        for (number, version) in [(1, 5), (2, 6), (1, 7)] {
            let object = store.lookup(&key(number)).await.remove(0);
            store.amend(&object, amendment(version)).await.unwrap();
        }
        if clean {
            store.close(CLOSE).await;
        }
        let device = Arc::new(device.surviving(Survival::Kill));
        let store = open(&device).await;
        for (number, expected) in [(1, 7), (2, 6), (3, 0)] {
            let found = store.lookup(&key(number)).await.remove(0);
            assert_eq!(version(&found), expected, "{number}, clean: {clean}");
            assert_eq!(read_all(&found).await.unwrap(), body(1, 1000));
        }
        assert_eq!(store.stats().log_problems.get(), 0);
        assert!(store.stats().metadata_log_bytes.get() > 64);
    }
}

#[tokio::test]
async fn a_handle_that_was_let_go_comes_back_with_the_amended_head() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let object = fill(&store, head(1), &body(1, 1000)).await.unwrap();
    store.amend(&object, amendment(5)).await.unwrap();
    store.core.handles.invalidate_all();
    assert_eq!(version(&store.lookup(&key(1)).await[0]), 5);
}

#[tokio::test]
async fn a_pin_by_amendment_holds_after_a_kill_and_a_pin_taken_back_does_not() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let pinned = ObjectHead {
        pinned: true,
        ..head(2)
    };
    for head in [head(1), pinned] {
        let object = fill(&store, head, &body(1, 100)).await.unwrap();
        let turned = Amendment {
            pinned: !object.head().pinned,
            ..amendment(3)
        };
        store.amend(&object, turned).await.unwrap();
    }
    let device = Arc::new(device.surviving(Survival::Kill));
    let store = open(&device).await;
    let core = Arc::clone(&store.core);
    let evict = move || {
        while core.evict(EvictionCause::NoSpace, None, 1).is_some() {}
    };
    store.core.pool.run(evict).await.unwrap();
    assert!(get(&store, 1).await.is_some(), "pinned later");
    assert!(get(&store, 2).await.is_none(), "its pin was taken back");
}

#[tokio::test]
async fn an_invalidation_or_a_pin_that_nobody_has_seen_is_not_taken_back() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let early = fill(&store, head(1), &body(1, 100)).await.unwrap();
    let marks = Amendment {
        invalidated: true,
        pinned: true,
        ..amendment(3)
    };
    let marked = store.amend(&early, marks).await.unwrap().unwrap();
    // A revalidation that began before ends after.
    let late = store.amend(&early, amendment(4)).await.unwrap().unwrap();
    assert_eq!(version(&late), 4);
    assert!(late.head().invalidated && late.head().pinned);
    let stale = store.amend(&marked, amendment(5)).await.unwrap().unwrap();
    assert!(stale.head().invalidated, "it has not seen the last one");
    let known = store.lookup(&key(1)).await.remove(0);
    let cleared = store.amend(&known, amendment(6)).await.unwrap().unwrap();
    assert!(!cleared.head().invalidated && !cleared.head().pinned);
}

#[tokio::test]
async fn the_last_bound_of_the_lifetime_counts_also_where_it_is_none_and_after_a_kill() {
    let bounds = [Some(60), Some(3600), Some(0), None, Some(u64::MAX)];
    for last in 0..bounds.len() {
        let device = Arc::new(MemoryDevice::new());
        let store = open(&device).await;
        let stored = ObjectHead {
            lifetime_max: Some(100),
            ..head(1)
        };
        let mut object = fill(&store, stored, &body(1, 100)).await.unwrap();
        for lifetime_max in bounds.into_iter().take(last + 1) {
            let amendment = Amendment {
                lifetime_max,
                ..amendment(3)
            };
            object = store.amend(&object, amendment).await.unwrap().unwrap();
        }
        assert_eq!(object.head().lifetime_max, bounds[last]);
        let device = Arc::new(device.surviving(Survival::Kill));
        let store = open(&device).await;
        let found = store.lookup(&key(1)).await.remove(0);
        assert_eq!(found.head().lifetime_max, bounds[last], "after a kill");
    }
}

#[tokio::test]
async fn an_amendment_that_cannot_be_written_changes_nothing_now_or_later() {
    for (operation, durability) in [
        (Operation::Write, Durability::Relaxed),
        (Operation::SyncData, Durability::Strict),
    ] {
        let device = Arc::new(MemoryDevice::new());
        let settings = StoreSettings {
            durability,
            ..settings_for_tests()
        };
        let store = open_with(Arc::clone(&device) as Arc<dyn Device>, settings)
            .await
            .unwrap();
        let object = fill(&store, head(1), &body(1, 100)).await.unwrap();
        let object = store.amend(&object, amendment(1)).await.unwrap().unwrap();
        device.add_fault(Fault {
            operation,
            path_contains: "log/".into(),
            errno: libc::EIO,
            times: 1,
        });
        assert!(store.amend(&object, amendment(2)).await.is_err());
        assert_eq!(version(&store.lookup(&key(1)).await[0]), 1);
        let after = Arc::new(device.surviving(Survival::Kill));
        let later = open(&after).await;
        assert_eq!(version(&later.lookup(&key(1)).await[0]), 1, "{operation:?}");
        // The log goes on.
        let amended = store.amend(&object, amendment(3)).await.unwrap().unwrap();
        assert_eq!(version(&amended), 3);
    }
}
