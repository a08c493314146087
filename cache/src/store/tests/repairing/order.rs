//! In which order a disk is rebuilt.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_use_is_rebuilt_first() {
    let wide = StoreSettings {
        threads_per_disk: 3,
        ..settings(2)
    };
    let (rig, _) = filled(4, &wide, &[100_000; 12]).await;
    rig.remove(&shards_on(&rig.files(), &[1])).await;
    // Nothing is open after a start, and nothing waits in the queue.
    let rig = rig.restarted().await;
    assert_eq!(rig.missing(), 12);
    let last = lock(&rig.store.core.index).records().last().unwrap();
    let used = (1..=12).find(|number| key(*number).short() == last.slot.key);
    assert!(get(&rig.store, used.unwrap()).await.is_some());

    rig.disks[1].hold(Operation::Rename);
    let core = Arc::clone(&rig.store.core);
    let repair = std::thread::spawn(move || core.repair_now());
    assert!(rig.disks[1].wait_until_hanging(1));
    let begun = files_in(&rig.disks[1], "tmp/");
    let sequences = begun
        .iter()
        .map(|path| layout::temporary_sequence(path.trim_start_matches("tmp/")));
    assert_eq!(sequences.collect::<Vec<_>>(), [Some(last.sequence)]);
    rig.disks[1].release();
    repair.join().unwrap();
    assert_eq!(rig.missing(), 0);
}
