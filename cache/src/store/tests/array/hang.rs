//! A disk that hangs holds up nobody longer than its deadline.

use super::*;
use std::time::Duration;

/// Runs the watch over the disks until the future is done. Real time, because the disks' threads are real; nothing is
/// judged by it.
async fn while_watched<T>(store: &Arc<Store>, work: impl Future<Output = T>) -> T {
    let watch = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            store.core.watch_disks();
        }
    };
    tokio::select! {
        done = work => done,
        () = watch => unreachable!("the watch never ends"),
    }
}

fn rig(disks: usize) -> Rig {
    let mut rig = Rig::new(disks, 2);
    rig.settings.disk_deadline = Duration::from_millis(150);
    rig
}

#[tokio::test]
async fn readers_get_their_bytes_while_a_disk_hangs() {
    for disks in [2, 3, 4, 6] {
        for number in 0..disks {
            let rig = rig(disks);
            let store = rig.open().await;
            let filled = fill_both(&store, 1..5).await;
            rig.disks[number].hang();
            let case = format!("{disks} disks, {number} hangs");
            while_watched(&store, check_all(&store, &filled, &case)).await;
            rig.disks[number].release();
            check_all(&store, &filled, &case).await;
        }
    }
}

#[tokio::test]
async fn writers_finish_while_two_disks_hang_and_nothing_breaks_when_they_go_on() {
    for pair in [[0, 1], [1, 3], [2, 3]] {
        let rig = rig(4);
        let store = rig.open().await;
        let before = fill_both(&store, 1..3).await;
        let mut writer = store.begin(head(7), None).await.unwrap();
        let bytes = body(7, 500_000);
        writer.append(vec![bytes.slice(..200_000)]).await.unwrap();
        for number in pair {
            rig.disks[number].hang();
        }
        let rest = async {
            writer.append(vec![bytes.slice(200_000..)]).await.unwrap();
            writer.commit().await.unwrap();
            fill_both(&store, 3..5).await
        };
        let after = while_watched(&store, rest).await;
        for number in pair {
            let hung = Standing::Out(Absence::Hung);
            assert_eq!(standing(&store, number), hung, "{pair:?}: {number}");
        }
        for filled in [&before, &after, &vec![(7, bytes.clone())]] {
            while_watched(&store, check_all(&store, filled, "hanging")).await;
        }
        for number in pair {
            rig.disks[number].release();
        }
        for filled in [&before, &after, &vec![(7, bytes.clone())]] {
            check_all(&store, filled, "released").await;
        }
        store.close(CLOSE).await;
        let rig = rig.killed();
        let store = rig.open().await;
        for filled in [&before, &after, &vec![(7, bytes.clone())]] {
            check_all(&store, filled, "again").await;
        }
    }
}

#[tokio::test]
async fn forgetting_purging_and_maintenance_go_on_while_a_disk_hangs() {
    let rig = rig(4);
    let store = rig.open().await;
    let filled = fill_both(&store, 1..5).await;
    rig.disks[2].hang();
    let work = async {
        store.forget(&key(1)).await;
        store.forget(&key(2)).await;
        maintain(&store).await;
    };
    while_watched(&store, work).await;
    rig.disks[2].release();
    check_all(&store, &filled[2..], "left").await;
    store.close(CLOSE).await;
    let store = rig.killed().open().await;
    check_all(&store, &filled[2..], "again").await;
    assert!(get(&store, 1).await.is_none() && get(&store, 2).await.is_none());
}

#[tokio::test]
async fn a_hung_disk_does_not_hold_up_the_end_nor_make_it_unclean() {
    let rig = rig(4);
    let store = rig.open().await;
    let filled = fill_both(&store, 1..5).await;
    rig.disks[1].hang();
    store.close(CLOSE).await;
    assert_eq!(standing(&store, 1), Standing::Out(Absence::Hung));
    rig.disks[1].release();
    drop(store);
    let rig = rig.killed();
    let calls = |rig: &Rig| rig.disks[0].calls();
    let before = calls(&rig);
    let store = rig.open_some(&[0, 2, 3]).await;
    assert!(calls(&rig) - before < 300, "no checkpoint was used");
    check_all(&store, &filled, "without it").await;
}

#[tokio::test]
async fn a_machine_that_is_slow_as_a_whole_is_waited_for() {
    let rig = rig(4);
    let store = rig.open().await;
    let filled = fill_both(&store, 1..3).await;
    for disk in &rig.disks {
        disk.hang();
    }
    let read = check_all(&store, &filled, "slow");
    let released = async {
        for disk in &rig.disks[..3] {
            let disk = Arc::clone(disk);
            let waiting = tokio::task::spawn_blocking(move || disk.hanging());
            waiting.await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
        for disk in &rig.disks {
            disk.release();
        }
    };
    while_watched(&store, async { tokio::join!(read, released) }).await;
    let live = store.core.array.live();
    assert!(live.len() >= 2, "{live:?}");
}

#[tokio::test]
async fn a_disk_that_is_only_read_any_more_and_then_hangs_is_given_up_as_well() {
    let rig = rig(4);
    let store = rig.open().await;
    let filled = fill_both(&store, 1..3).await;
    rig.disks[1].remount_read_only();
    let more = fill_both(&store, 3..5).await;
    assert_eq!(standing(&store, 1), Standing::Out(Absence::ReadOnly));
    store.core.handles.invalidate_all();
    rig.disks[1].hang();
    while_watched(&store, async {
        check_all(&store, &filled, "from before").await;
        check_all(&store, &more, "from since").await;
    })
    .await;
    assert_eq!(standing(&store, 1), Standing::Out(Absence::Hung));
    rig.disks[1].release();
}

#[tokio::test]
async fn a_disk_that_hangs_while_a_store_begins_is_left_out() {
    use crate::device::memory::Operation;
    // Nothing is written before the disks have been looked at and locked.
    for held in [Operation::Write, Operation::SyncData, Operation::Length] {
        let rig = rig(4);
        let store = rig.open().await;
        let filled = fill_both(&store, 1..3).await;
        let rig = rig.killed();
        drop(store);
        rig.disks[2].hold(held);
        let store = rig.open().await;
        let case = format!("{held:?}");
        while_watched(&store, check_all(&store, &filled, &case)).await;
        rig.disks[2].release();
    }
}
