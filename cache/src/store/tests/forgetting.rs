//! Forgetting one generation of one variant, and nothing else.

use super::*;
use crate::device::memory::Survival;
use crate::store::core::lock;

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
    for disks in [1, 3, 4] {
        for seed in 0..16 {
            let disks = MemoryDevice::group(disks);
            let store = open_group(&disks, 2).await;
            fill(&store, head(1), &body(1, 10)).await.unwrap();
            maintain(&store).await;
            let core = Arc::clone(&store.core);
            let evict = move || core.evict(EvictionCause::Watermark, None, 1);
            assert!(store.core.on_pool("evict", evict).await.unwrap().is_some());
            store.forget(&key(1)).await;
            let after = MemoryDevice::survivors(&disks, Survival::PowerLoss { seed });
            let store = open_group(&after, 2).await;
            assert!(bodies(&store).await.is_empty(), "seed {seed}");
        }
    }
}

/// Five of six shards are needed, and two disks are not there.
#[tokio::test]
async fn what_too_few_disks_are_here_for_is_forgotten_all_the_same() {
    let disks = MemoryDevice::group(6);
    let store = open_group(&disks, 1).await;
    for number in [1, 2] {
        let body = body(number.into(), 300_000);
        fill(&store, head(number), &body).await.unwrap();
    }
    maintain(&store).await;
    let disks = MemoryDevice::survivors(&disks, Survival::Kill);
    disks[1].remove();
    disks[4].remove();
    let store = open_group(&disks, 1).await;
    assert!(get(&store, 1).await.is_none() && get(&store, 2).await.is_none());
    store.forget(&key(1)).await;
    let disks = MemoryDevice::survivors(&disks, Survival::PowerLoss { seed: 1 });
    let store = open_group(&disks, 1).await;
    assert!(get(&store, 1).await.is_none(), "it was forgotten");
    assert_eq!(get(&store, 2).await, Some(body(2, 300_000)));
}

/// Six of eight shards are needed, and three disks are not there.
#[tokio::test]
async fn what_was_replaced_unseen_stays_away_when_its_successor_is_evicted() {
    let disks = MemoryDevice::group(8);
    let store = open_group(&disks, 2).await;
    fill(&store, head(1), &body(1, 300_000)).await.unwrap();
    maintain(&store).await;
    let disks = MemoryDevice::survivors(&disks, Survival::Kill);
    for gone in &disks[5..] {
        gone.remove();
    }
    let store = open_group(&disks, 2).await;
    assert!(get(&store, 1).await.is_none());
    fill(&store, head(1), &body(2, 200_000)).await.unwrap();
    maintain(&store).await;
    assert!(get(&store, 1).await.is_some());
    let core = Arc::clone(&store.core);
    let evict = move || core.evict(EvictionCause::Watermark, None, 1);
    assert!(store.core.on_pool("evict", evict).await.unwrap().is_some());
    maintain(&store).await;
    let disks = MemoryDevice::survivors(&disks, Survival::Kill);
    let store = open_group(&disks, 2).await;
    assert_eq!(store.core.array.live().len(), 8);
    assert!(get(&store, 1).await.is_none(), "it was replaced");
}

async fn open_group(disks: &[Arc<MemoryDevice>], parity: u8) -> Arc<Store> {
    let devices = disks.iter().map(|disk| Arc::clone(disk) as _);
    let clock = Arc::new(ManualClock::default());
    let settings = StoreSettings {
        parity,
        ..settings_for_tests()
    };
    let opened = Store::open_without_timer(devices.collect(), settings, clock).await;
    opened.unwrap()
}

#[tokio::test]
async fn what_is_evicted_while_a_disk_has_gone_unnoticed_leaves_nothing_behind_in_the_index() {
    for gone in 0..3 {
        let disks = MemoryDevice::group(3);
        let store = open_group(&disks, 2).await;
        fill(&store, head(1), &body(1, 10)).await.unwrap();
        disks[gone].remove();
        let core = Arc::clone(&store.core);
        let evict = move || core.evict(EvictionCause::Watermark, None, 1);
        let evicted = store.core.on_pool("evict", evict).await.unwrap();
        assert!(evicted.is_some(), "disk {gone}");
        assert_eq!(lock(&store.core.index).len(), 0, "disk {gone}");
        assert_eq!(store.core.array.live().len(), 2, "disk {gone}");
    }
}
