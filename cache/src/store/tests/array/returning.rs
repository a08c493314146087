//! Disks that come back, and what happens meanwhile.

use super::*;
use crate::device::memory::Operation;
use crate::store::array::disk::Disk;
use crate::store::core::lock;
use crate::store::pool::Pool;

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
    let late = Disk::attached(SLOT, old.uuid, device, Pool::start(1, 1, 1).unwrap());
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
