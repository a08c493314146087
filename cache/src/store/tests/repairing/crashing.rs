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
