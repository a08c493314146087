//! Moving everything off a disk, and crashes on the way.

use super::crashing::crash_everywhere;
use super::*;
use crate::store::array::disk::Absence;

async fn check_retirement(disks: usize, parity: u8, retired: usize, lengths: &[usize]) {
    let case = format!("{retired} of {disks}, parity {parity}");
    let (rig, bodies) = filled(disks, &settings(parity), lengths).await;
    rig.store.core.request_retirement(slot(retired));
    assert!(rig.store.core.is_retiring(slot(retired)), "{case}");
    // What is stored from now on goes elsewhere.
    let fresh = body(200, 200_000);
    rig.fill(200, &fresh).await;
    let on_it = shards_on(&rig.files(), &[retired]);
    assert!(
        on_it
            .iter()
            .all(|(_, path)| !path.contains(&format!("/{:032x}", key(200).short()))),
        "{case}"
    );
    rig.repair().await;
    assert_eq!(shards_on(&rig.files(), &[retired]), [], "{case}");
    assert_eq!(
        rig.store.core.rebuild_progress(slot(retired)),
        None,
        "{case}"
    );
    assert_eq!((rig.missing(), rig.temporary_files()), (0, 0), "{case}");
    check_bodies(&rig.store, &bodies, &case).await;
    assert_eq!(get(&rig.store, 200).await, Some(fresh.clone()), "{case}");
    let (files, stored) = (rig.files(), rig.stored());
    let rig = rig.restarted().await;
    assert_eq!(
        differences(&files, &rig.files()),
        [],
        "{case}: a scan finds the same"
    );
    assert_eq!(rig.stored(), stored, "{case}");
    check_bodies(&rig.store, &bodies, &case).await;
}

#[tokio::test]
async fn a_retired_disk_has_nothing_left() {
    let lengths = [0, 1, 65_536, 65_537, 300_000, 5_000_000];
    for retired in 0..5 {
        check_retirement(5, 2, retired, &lengths).await;
    }
    check_retirement(4, 2, 1, &lengths).await;
    check_retirement(3, 2, 0, &lengths).await;
    check_retirement(4, 1, 3, &lengths).await;
}

#[tokio::test]
async fn a_disk_of_a_wide_array_is_retired_although_the_geometry_stays() {
    check_retirement(14, 2, 5, &[100, 65_537, 300_000, 1_000_000]).await;
}

fn retire_first(rig: &Rig) {
    rig.store.core.request_retirement(slot(0));
}

#[tokio::test]
async fn a_crash_at_any_call_of_a_retirement_loses_nothing() {
    crash_everywhere(5, &settings(2), &[300, 140_000], retire_first).await;
    crash_everywhere(4, &settings(2), &[300, 140_000], retire_first).await;
}

#[tokio::test]
async fn a_crash_at_any_call_of_a_strict_retirement_loses_nothing() {
    let strict = StoreSettings {
        durability: Durability::Strict,
        ..settings(2)
    };
    crash_everywhere(4, &strict, &[300, 140_000], retire_first).await;
}

#[tokio::test]
async fn a_retirement_goes_on_after_a_restart() {
    for is_clean in [true, false] {
        let (rig, bodies) = filled(5, &settings(2), &[300, 65_537, 300_000]).await;
        rig.store.retire_disk(slot(2)).await.unwrap();
        if is_clean {
            rig.store.close(CLOSE).await;
        }
        let rig = rig.restarted().await;
        assert!(rig.store.core.is_retiring(slot(2)), "clean: {is_clean}");
        rig.fill(200, &body(200, 200_000)).await;
        rig.repair().await;
        assert!(!rig.store.core.array.slots().contains(slot(2)));
        assert_eq!(shards_on(&rig.files(), &[2]), [], "clean: {is_clean}");
        check_bodies(&rig.store, &bodies, "moved").await;
        // Another one in the slot is not meant.
        let added = rig.disks[0].another("another");
        assert_eq!(rig.store.add_disk(added).await, Ok(slot(2)));
        assert!(!rig.store.core.is_retiring(slot(2)));
        let rig = rig.restarted().await;
        assert!(!rig.store.core.is_retiring(slot(2)), "clean: {is_clean}");
        check_bodies(&rig.store, &bodies, "again").await;
    }
}

#[tokio::test]
async fn a_disk_that_replaces_a_retiring_one_stays() {
    let (rig, bodies) = filled(5, &settings(2), &[300, 65_537, 300_000]).await;
    rig.store.retire_disk(slot(1)).await.unwrap();
    rig.disks[1].die();
    assert!(rig.store.core.lose(slot(1), Absence::Failed, "dead"));
    let fresh = rig.disks[0].another("fresh");
    rig.store.replace_disk(slot(1), fresh).await.unwrap();
    assert!(!rig.store.core.is_retiring(slot(1)));
    rig.repair().await;
    assert!(rig.store.core.array.live().contains(slot(1)));
    assert_eq!(rig.missing(), 0);
    check_bodies(&rig.store, &bodies, "replaced").await;
}
