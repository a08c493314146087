//! Objects that go while they are repaired.

use super::*;
use crate::store::array::disk::Absence;

/// What happens to an object while its repair waits for a disk.
enum Meanwhile {
    Replaced,
    Forgotten,
}

async fn check_meanwhile(what: Meanwhile, held: Operation) {
    let wide = StoreSettings {
        threads_per_disk: 3,
        ..settings(2)
    };
    let (rig, _) = filled(4, &wide, &[140_000]).await;
    let lost = shards_on(&rig.files(), &[1]);
    rig.remove(&lost).await;
    rig.note_missing(&lost);
    rig.disks[1].hold(held);
    let core = Arc::clone(&rig.store.core);
    let repair = std::thread::spawn(move || core.repair_now());
    assert!(rig.disks[1].wait_until_hanging(1));
    let store = Arc::clone(&rig.store);
    let fresh = body(9, 70_000);
    let (other, is_replaced) = (fresh.clone(), matches!(what, Meanwhile::Replaced));
    let meanwhile = tokio::spawn(async move {
        match what {
            Meanwhile::Replaced => drop(fill(&store, head(1), &other).await.unwrap()),
            Meanwhile::Forgotten => store.forget(&key(1)).await,
        }
    });
    tokio::task::yield_now().await;
    rig.disks[1].release();
    repair.join().unwrap();
    meanwhile.await.unwrap();
    rig.repair().await;
    maintain(&rig.store).await;
    let expected = is_replaced.then_some(fresh);
    assert_eq!(get(&rig.store, 1).await, expected);
    let shards = if is_replaced { 4 } else { 0 };
    assert_eq!((rig.files().len(), rig.temporary_files()), (shards, 0));
    let rig = rig.restarted().await;
    assert_eq!(get(&rig.store, 1).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_goes_while_it_is_repaired_leaves_nothing_behind() {
    for held in [Operation::Create, Operation::Write, Operation::Rename] {
        check_meanwhile(Meanwhile::Replaced, held).await;
        check_meanwhile(Meanwhile::Forgotten, held).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_aside_is_never_what_a_repair_has_written() {
    let (rig, _) = filled(4, &settings(2), &[140_000]).await;
    let before = rig.files();
    let (_, path) = shards_on(&before, &[1]).remove(0);
    assert!(rig.disks[1].flip_page(&path, 4096));
    let shard = layout::ShardName::of_path(&path).unwrap();
    let record = lock(&rig.store.core.index).record(shard.slot, shard.sequence);
    let name = record.unwrap().name();
    rig.disks[1].hold(Operation::Rename);
    let core = Arc::clone(&rig.store.core);
    let fault = shard::ShardFault::Block(0);
    let judging = std::thread::spawn(move || core.judge(&name, shard.index, &fault));
    assert!(rig.disks[1].wait_until_hanging(1));
    // It is to be repaired from now on, and a repair cannot give its file the name.
    assert_eq!(rig.missing(), 1);
    assert!(rig.store.core.removals.try_write().is_err());
    rig.disks[1].release();
    assert_eq!(judging.join().unwrap(), judge::Judged::Bad);
    rig.repair().await;
    assert_eq!(differences(&before, &rig.files()), []);
    assert_eq!(rig.missing(), 0);
}

#[tokio::test]
async fn what_lacked_too_many_shards_is_repaired_when_a_disk_is_back() {
    let rig = Rig::new(4, 1).await;
    rig.fill(1, &body(1, MIB)).await;
    let before = rig.files();
    let lost = before.keys().filter(|(disk, _)| *disk == 1).cloned();
    let lost: Vec<_> = lost.collect();
    rig.disks[0].remove();
    assert!(rig.store.core.lose(slot(0), Absence::Missing, "it is gone"));
    rig.remove(&lost).await;
    rig.note_missing(&lost);
    rig.repair().await;
    assert!(
        !rig.files().contains_key(&lost[0]),
        "it needs the other disk"
    );
    rig.disks[0].restore();
    rig.clock.advance(Duration::from_secs(700));
    maintain(&rig.store).await;
    // It is compared with the others in the background.
    let core = Arc::clone(&rig.store.core);
    let drain = tokio::task::spawn_blocking(move || core.pool.drain(CLOSE));
    assert!(drain.await.unwrap());
    assert_eq!(rig.store.core.array.live().len(), 4);
    rig.repair().await;
    assert_eq!(rig.files(), before);
}
