//! Forgetting one generation of one variant, and nothing else.

use super::*;
use crate::device::memory::Survival;

fn variant(value: &str) -> ObjectHead {
    let selection = Selection(vec![("accept".into(), Some(value.as_bytes().to_vec()))]);
    ObjectHead {
        selection,
        ..head(1)
    }
}

async fn bodies(store: &Store) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    for object in store.lookup(&key(1)).await {
        bodies.push(read_all(&object).await.unwrap());
    }
    bodies
}

#[tokio::test]
async fn a_forgotten_variant_leaves_its_siblings_and_does_not_come_back_after_a_power_loss() {
    for seed in 0..16 {
        let device = Arc::new(MemoryDevice::new());
        let store = open(&device).await;
        // The first generation is synced, so it is there again when only the second one is forgotten.
        fill(&store, variant("a"), &body(1, 10)).await.unwrap();
        fill(&store, variant("b"), &body(2, 10)).await.unwrap();
        maintain(&store).await;
        let reader = fill(&store, variant("a"), &body(3, 10)).await.unwrap();
        store.forget_variant(&reader).await;
        assert_eq!(bodies(&store).await, [body(2, 10)]);
        assert_eq!(files_in(&device, "ec/").len(), 1);
        assert_eq!(read_all(&reader).await.unwrap(), body(3, 10));
        assert_eq!(store.core.replaced.len(), 0);
        let after = Arc::new(device.surviving(Survival::PowerLoss { seed }));
        let store = open(&after).await;
        assert_eq!(bodies(&store).await, [body(2, 10)], "seed {seed}");
    }
}

#[tokio::test]
async fn a_newer_generation_of_a_forgotten_one_stays_and_what_it_waits_for_too() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let old = fill(&store, variant("a"), &body(1, 10)).await.unwrap();
    fill(&store, variant("a"), &body(2, 10)).await.unwrap();
    let files = files_in(&device, "ec/");
    store.forget_variant(&old).await;
    assert_eq!(bodies(&store).await, [body(2, 10)]);
    assert_eq!(files_in(&device, "ec/"), files);
}

#[tokio::test]
async fn forgetting_twice_or_under_an_older_head_is_the_same() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let object = fill(&store, variant("a"), &body(1, 10)).await.unwrap();
    let amendment = super::amendment::amendment(1);
    store.amend(&object, amendment).await.unwrap().unwrap();
    for _ in 0..2 {
        store.forget_variant(&object).await;
        assert!(bodies(&store).await.is_empty());
        assert!(files_in(&device, "ec/").is_empty());
        assert_eq!(store.stats().disks()[0].stored_bytes.get(), 0);
    }
}

#[tokio::test]
async fn what_was_evicted_and_then_forgotten_does_not_come_back_after_a_power_loss() {
    for seed in 0..16 {
        let device = Arc::new(MemoryDevice::new());
        let store = open(&device).await;
        fill(&store, head(1), &body(1, 10)).await.unwrap();
        maintain(&store).await;
        let core = Arc::clone(&store.core);
        let evict = move || core.evict(EvictionCause::Watermark, None, 1);
        assert!(store.core.pool.run(evict).await.unwrap().is_some());
        store.forget(&key(1)).await;
        let after = Arc::new(device.surviving(Survival::PowerLoss { seed }));
        let store = open(&after).await;
        assert_eq!(get(&store, 1).await, None, "seed {seed}");
    }
}
