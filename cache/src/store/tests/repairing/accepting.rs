//! Disks that an operator goes on without: what they had is no longer protected, until it is spread over the others.

use super::*;
use crate::store::array::disk::Absence;
use crate::store::report::ArrayState;

const LENGTHS: [usize; 5] = [0, 300, 65_537, 300_000, 1_000_000];

/// Objects whose members are not all of the pool.
fn homeless(rig: &Rig) -> usize {
    let slots = rig.store.core.array.slots();
    let index = lock(&rig.store.core.index);
    let records = index.records();
    records
        .filter(|record| !record.placement.members.difference(slots).is_empty())
        .count()
}

async fn accepted(disks: usize, absent: &[usize]) -> (Rig, Vec<(u8, Bytes)>) {
    let (rig, bodies) = filled(disks, &settings(2), &LENGTHS).await;
    for number in absent {
        rig.disks[*number].die();
        assert!(rig.store.core.lose(slot(*number), Absence::Failed, "dead"));
    }
    rig.store.accept_disks().await.unwrap();
    (rig, bodies)
}

/// Everything is as well protected as so many disks can.
async fn check_protected(rig: &Rig, bodies: &[(u8, Bytes)], case: &str) {
    rig.repair().await;
    let report = rig.store.disks();
    assert_eq!(report.underprotected_objects, 0, "{case}");
    assert_eq!(report.state, ArrayState::Healthy, "{case}");
    assert_eq!((homeless(rig), rig.missing()), (0, 0), "{case}");
    assert!(!rig.store.core.are_any_retiring(members::Members::ALL));
    check_bodies(&rig.store, bodies, case).await;
}

async fn check_acceptance(disks: usize, absent: &[usize]) {
    let case = format!("{absent:?} of {disks}");
    let (rig, bodies) = accepted(disks, absent).await;
    let report = rig.store.disks();
    let lacking = homeless(&rig) as u64;
    assert!(lacking > 0, "{case}");
    assert_eq!(report.underprotected_objects, lacking, "{case}");
    assert_eq!(report.state, ArrayState::Degraded, "{case}");
    check_bodies(&rig.store, &bodies, &case).await;
    check_protected(&rig, &bodies, &case).await;
    let rig = rig.restarted().await;
    check_protected(&rig, &bodies, &format!("{case}, again")).await;
}

#[tokio::test]
async fn what_accepted_disks_had_is_counted_and_spread_over_the_others() {
    for (disks, absent) in [
        (2, &[0][..]),
        (3, &[1]),
        (4, &[3]),
        (4, &[0, 2]),
        (5, &[2]),
        (6, &[4, 5]),
        (13, &[3, 7]),
    ] {
        check_acceptance(disks, absent).await;
    }
}

#[tokio::test]
async fn what_a_restart_interrupts_of_it_goes_on() {
    for is_clean in [true, false] {
        for (disks, absent) in [(4, &[3][..]), (4, &[0, 2]), (5, &[2]), (13, &[3, 7])] {
            let case = format!("{absent:?} of {disks}, clean: {is_clean}");
            let (rig, bodies) = accepted(disks, absent).await;
            let lacking = rig.store.disks().underprotected_objects;
            if is_clean {
                rig.store.close(CLOSE).await;
            }
            let rig = rig.restarted().await;
            let report = rig.store.disks();
            assert_eq!(report.underprotected_objects, lacking, "{case}");
            check_protected(&rig, &bodies, &case).await;
        }
    }
}

#[tokio::test]
async fn a_disk_that_is_added_in_a_vacant_slot_gets_what_is_lacking() {
    let (rig, bodies) = accepted(5, &[2]).await;
    let fresh = rig.disks[0].another("fresh");
    assert_eq!(rig.store.add_disk(fresh).await, Ok(slot(2)));
    assert!(!rig.store.core.is_retiring(slot(2)));
    check_protected(&rig, &bodies, "added").await;
    assert_eq!(rig.store.core.array.live().len(), 5);
}

#[tokio::test]
async fn what_is_being_written_meanwhile_is_spread_over_the_others_too() {
    let rig = Rig::new(4, 2).await;
    rig.disks[3].die();
    assert!(rig.store.core.lose(slot(3), Absence::Failed, "dead"));
    let body = body(1, 300_000);
    let mut writer = rig.store.begin(head(1), None).await.unwrap();
    writer.append(vec![body.slice(..200_000)]).await.unwrap();
    rig.store.accept_disks().await.unwrap();
    // Its turn comes before the writer's: it waits for it.
    rig.repair().await;
    writer.append(vec![body.slice(200_000..)]).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(homeless(&rig), 1);
    rig.store.core.request_rebuild(slot(0));
    check_protected(&rig, &[(1, body)], "committed").await;
}
