//! A crash at every device call of a repair, by kill and by power loss.

use super::*;

/// The disks after a crash at every call of something that is done to a store.
pub(super) async fn crash_everywhere(
    disks: usize,
    settings: &StoreSettings,
    lengths: &[usize],
    prepare: impl Fn(&Rig),
) {
    for call in 1..CALLS_MAX {
        let (rig, bodies) = filled(disks, settings, lengths).await;
        prepare(&rig);
        rig.disks[0].crash_at(rig.disks[0].calls() + call);
        rig.repair().await;
        let has_crashed = rig.disks[0].has_crashed();
        let survivals = [
            Survival::Kill,
            Survival::PowerLoss { seed: call },
            Survival::PowerLoss {
                seed: call + CALLS_MAX,
            },
        ];
        for survival in survivals {
            let case = format!("{survival:?} at call {call}");
            let after = MemoryDevice::survivors(&rig.disks, survival);
            let after = Rig::with(after, settings.clone()).await;
            assert_eq!(after.temporary_files(), 0, "{case}");
            check_bodies(&after.store, &bodies, &case).await;
            after.repair().await;
            check_bodies(&after.store, &bodies, &case).await;
            // What was torn is found when it is read.
            after.repair().await;
            assert_eq!(after.missing(), 0, "{case}");
        }
        if !has_crashed {
            assert!(call > 20, "only {call} calls");
            return;
        }
    }
    panic!("it never ran through");
}

fn lose_two(rig: &Rig) {
    let lost = shards_on(&rig.files(), &[0, 2]);
    for (disk, path) in &lost {
        rig.disks[*disk].unlink(path).unwrap();
        rig.disks[*disk].sync_all().unwrap();
    }
    rig.note_missing(&lost);
}

#[tokio::test]
async fn a_crash_at_any_call_of_a_repair_loses_nothing() {
    crash_everywhere(4, &settings(2), &[300, 140_000], lose_two).await;
}

#[tokio::test]
async fn a_crash_at_any_call_of_a_strict_repair_loses_nothing() {
    let strict = StoreSettings {
        durability: Durability::Strict,
        ..settings(2)
    };
    crash_everywhere(4, &strict, &[300, 140_000], lose_two).await;
}

/// After a power loss at any call, every file that has its name is whole: its sequence is an old one, so that no start
/// would look.
async fn check_named(disks: usize, lengths: &[usize], prepare: impl Fn(&Rig)) {
    for call in 1..CALLS_MAX {
        let (rig, _) = filled(disks, &settings(2), lengths).await;
        prepare(&rig);
        rig.disks[0].crash_at(rig.disks[0].calls() + call);
        rig.repair().await;
        for seed in [call, call + CALLS_MAX] {
            let after = MemoryDevice::survivors(&rig.disks, Survival::PowerLoss { seed });
            for (number, disk) in after.iter().enumerate() {
                for path in files_in(disk, "ec/") {
                    let name = layout::ShardName::of_path(&path).unwrap();
                    let opened = shard::Shard::open(disk.as_ref(), rig.store.core.pool_id, name);
                    let whole = opened.and_then(|opened| opened.shard.verify_all());
                    assert!(
                        whole.is_ok(),
                        "call {call}, seed {seed}, disk {number}: {path}"
                    );
                }
            }
        }
        if !rig.disks[0].has_crashed() {
            assert!(call > 20, "only {call} calls");
            return;
        }
    }
    panic!("it never ran through");
}

#[tokio::test]
async fn what_a_repair_gives_a_name_is_on_the_platter() {
    check_named(4, &[300, 140_000], lose_two).await;
}

#[tokio::test]
async fn what_a_retirement_gives_a_name_is_on_the_platter() {
    check_named(5, &[300, 140_000], |rig| {
        rig.store.core.request_retirement(slot(0));
    })
    .await;
}
