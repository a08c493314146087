//! Disks that come back, and what happens meanwhile.

use super::*;
use crate::device::memory::Operation;
use crate::events::Event;
use crate::store::array::disk::Disk;
use crate::store::core::lock;
use crate::store::pool::Pool;
use crate::store::recovery::stored_bytes;

const SLOT: DiskSlot = DiskSlot(1);

async fn opened() -> (Rig, Arc<Store>, Arc<ManualClock>, Vec<(u8, Bytes)>) {
    let rig = Rig::new(4, 2);
    let devices = rig
        .disks
        .iter()
        .map(|disk| Arc::clone(disk) as Arc<dyn Device>);
    let clock = Arc::new(ManualClock::default());
    let store = Store::open_without_timer(
        devices.collect(),
        rig.settings.clone(),
        Arc::clone(&clock) as _,
    );
    let store = store.await.unwrap();
    let filled = fill_both(&store, 1..7).await;
    maintain(&store).await;
    (rig, store, clock, filled)
}

fn lose(store: &Store) -> Arc<Disk> {
    assert!(store.core.lose(SLOT, Absence::Failed, "a cable"));
    store.core.array.get(SLOT).unwrap()
}

async fn on_pool<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&Arc<core::Core>) -> T + Send + 'static,
) -> T {
    let core = Arc::clone(&store.core);
    store.core.pool.run(move || work(&core)).await.unwrap()
}

/// A pass, and what it has begun.
async fn pass(store: &Store) {
    maintain(store).await;
    let core = Arc::clone(&store.core);
    let drained = tokio::task::spawn_blocking(move || core.pool.drain(CLOSE));
    assert!(drained.await.unwrap());
}

fn missing(store: &Store) -> u64 {
    lock(&store.core.index).lacking_shards(SLOT)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_is_not_replaced_while_it_is_compared() {
    let (rig, store, _, filled) = opened().await;
    let disk = lose(&store);
    // The last thing before its names count as known.
    rig.disks[1].hold(Operation::SyncAll);
    let core = Arc::clone(&store.core);
    let returning = std::thread::spawn(move || core.try_now(&disk));
    assert!(rig.disks[1].wait_until_hanging(1));
    assert!(store.core.changing.try_lock().is_err());
    let (changing, fresh) = (Arc::clone(&store), rig.disks[0].another("fresh"));
    let replaced = tokio::spawn(async move { changing.replace_disk(SLOT, fresh).await });
    tokio::task::yield_now().await;
    rig.disks[1].release();
    returning.join().unwrap();
    let replaced = replaced.await.unwrap();
    assert!(replaced.is_err(), "it is back: {replaced:?}");
    assert_eq!(standing(&store, 1), Standing::Live);
    assert_eq!(missing(&store), 0);
    check_all(&store, &filled, "back").await;
}

#[tokio::test]
async fn a_disk_that_was_replaced_does_not_return() {
    let (rig, store, _, filled) = opened().await;
    let old = lose(&store);
    let device = Arc::clone(&rig.disks[1]) as Arc<dyn Device>;
    let late = Disk::attached(
        SLOT,
        old.uuid,
        device,
        Pool::start("weir-late", 1, 1).unwrap(),
    );
    let fresh = rig.disks[0].another("fresh");
    store.replace_disk(SLOT, fresh).await.unwrap();
    let lacking = missing(&store);
    assert!(lacking > 0);
    let late = Arc::new(late);
    let returning = Arc::clone(&late);
    let returned = on_pool(&store, move |core| core.rejoin(&returning)).await;
    assert!(returned.is_err());
    assert!(!late.is_live());
    assert_eq!(missing(&store), lacking);
    check_all(&store, &filled, "replaced").await;
}

#[tokio::test]
async fn who_was_well_for_long_is_soon_tried_again() {
    let (rig, store, clock, _) = opened().await;
    for _ in 0..7 {
        lose(&store);
        clock.advance(Duration::from_secs(600));
        pass(&store).await;
        assert_eq!(standing(&store, 1), Standing::Live);
    }
    // One that comes and goes is not.
    lose(&store);
    clock.advance(Duration::from_secs(6));
    pass(&store).await;
    assert_eq!(standing(&store, 1), Standing::Out(Absence::Failed));
    clock.advance(Duration::from_secs(600));
    pass(&store).await;
    assert_eq!(standing(&store, 1), Standing::Live);
    clock.advance(Duration::from_secs(3600));
    rig.disks[1].die();
    lose(&store);
    pass(&store).await;
    rig.disks[1].restore();
    clock.advance(Duration::from_secs(6));
    pass(&store).await;
    assert_eq!(standing(&store, 1), Standing::Live);
}

#[tokio::test]
async fn a_rebuild_of_nothing_is_not_told_of() {
    let (_rig, store, _, _) = opened().await;
    let mut events = store.events().subscribe();
    lose(&store);
    pass(&store).await;
    on_pool(&store, core::Core::repair_now).await;
    let told: Vec<_> = std::iter::from_fn(|| events.waiting()).collect();
    let is_expected =
        |event: &Event| matches!(event, Event::DiskLost { .. } | Event::DiskBack { .. });
    assert!(told.len() == 2 && told.iter().all(is_expected), "{told:?}");
    assert_eq!(store.core.rebuild_progress(SLOT), None);
}

#[tokio::test]
async fn a_disk_that_is_out_has_no_budget() {
    let (rig, store, _, _) = opened().await;
    assert!(store.disks().disks[1].budget_bytes > 0);
    rig.disks[1].remove();
    pass(&store).await;
    let report = store.disks();
    assert_eq!(standing(&store, 1), Standing::Out(Absence::Missing));
    assert_eq!(report.disks[1].budget_bytes, 0);
    assert!(report.disks[0].budget_bytes > 0);
    rig.disks[1].restore();
    on_pool(&store, |core| core.try_now(&core.array.get(SLOT).unwrap())).await;
    pass(&store).await;
    assert!(store.disks().disks[1].budget_bytes > 0);
}

/// What is counted of each disk is what the index says.
fn check_accounts(store: &Store, case: &str) {
    let expected = stored_bytes(&lock(&store.core.index));
    for disk in store.core.array.disks().iter() {
        let counted = disk.stats.stored_bytes.get();
        let expected = expected.get(&disk.slot).copied().unwrap_or(0);
        assert_eq!(counted, expected, "{case}: {}", disk.slot);
    }
}

#[tokio::test]
async fn the_accounts_are_right_whatever_happens_to_a_disk() {
    let (rig, store, clock, _) = opened().await;
    check_accounts(&store, "filled");
    lose(&store);
    fill_both(&store, 1..3).await;
    fill_both(&store, 7..9).await;
    store.forget(&key(4)).await;
    // What was replaced is gone.
    on_pool(&store, |core| core.sync_pass()).await.unwrap();
    check_accounts(&store, "out");
    clock.advance(Duration::from_secs(700));
    pass(&store).await;
    check_accounts(&store, "back");
    on_pool(&store, core::Core::repair_now).await;
    check_accounts(&store, "repaired");
    lose(&store);
    let fresh = rig.disks[0].another("fresh");
    store.replace_disk(SLOT, fresh).await.unwrap();
    check_accounts(&store, "replaced");
    on_pool(&store, core::Core::repair_now).await;
    check_accounts(&store, "rebuilt");
    // A disk that was not there at the start.
    store.close(CLOSE).await;
    let rig = rig.killed();
    let store = rig.open_some(&[0, 2, 3]).await;
    check_accounts(&store, "without it");
}

#[tokio::test]
async fn a_replaced_object_that_cannot_be_removed_is_not_counted() {
    let device = Arc::new(MemoryDevice::new());
    let store = crate::store::tests::open(&device).await;
    let first = fill(&store, head(1), &body(1, LARGE)).await.unwrap();
    device.add_fault(crate::device::memory::Fault {
        operation: Operation::Unlink,
        path_contains: first.name().path(),
        errno: libc::EIO,
        times: u64::MAX,
    });
    drop(first);
    fill(&store, head(1), &body(2, SMALL)).await.unwrap();
    maintain(&store).await;
    check_accounts(&store, "left");
}
