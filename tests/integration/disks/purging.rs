//! What was purged while disks were out stays purged, whoever comes back, and when.

use super::{LENGTHS, Stored, bring_back, take_away};
use weir_tests::Gateway;

async fn purge_everything(stored: &Stored) {
    let all = stored.shelf.origin.url("/shelf/*");
    let run = stored.gateway.weir(["purge", &all]).await;
    run.assert_code(0);
}

/// Takes disks away while the gateway runs, and waits until it knows.
async fn lose(gateway: &Gateway, slots: &[usize]) {
    let home = gateway.home();
    for slot in slots {
        take_away(&home.disks()[*slot]);
    }
    for slot in slots {
        gateway.disk_becomes(*slot, "out").await;
    }
}

#[tokio::test]
async fn a_disk_that_was_out_during_a_purge_brings_nothing_back() {
    let mut stored = Stored::on(6).await;
    lose(&stored.gateway, &[1, 4]).await;
    purge_everything(&stored).await;
    let home = stored.gateway.home();
    for slot in [1, 4] {
        bring_back(&home.disks()[slot]);
    }
    stored.gateway.all_healthy().await;
    stored.shelf.assert_all_missed(&stored.gateway).await;
    stored.shelf.assert_all_hits(&stored.gateway).await;
    stored.gateway.expect_log("a disk is out");
    stored.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_disk_that_was_out_during_a_purge_brings_nothing_back_after_a_restart() {
    let mut stored = Stored::on(6).await;
    lose(&stored.gateway, &[0, 3]).await;
    purge_everything(&stored).await;
    stored.gateway.expect_log("a disk is out");
    stored.gateway.expect_log(" WARN ");
    let (home, shelf) = stored.stopped().await;
    for slot in [0, 3] {
        bring_back(&home.disks()[slot]);
    }
    let gateway = home.start().await;
    shelf.assert_all_missed(&gateway).await;
    gateway.all_healthy().await;
    shelf.assert_all_hits(&gateway).await;
    gateway.finish_with_warnings().await;
}

/// Sequence (b) of the design: two halves of a pool that never saw each other.
#[tokio::test]
async fn a_purge_that_one_half_saw_is_not_undone_by_the_other() {
    let mut stored = Stored::on(4).await;
    lose(&stored.gateway, &[2, 3]).await;
    purge_everything(&stored).await;
    stored.gateway.expect_log("a disk is out");
    stored.gateway.expect_log(" WARN ");
    let (home, shelf) = stored.stopped().await;
    for slot in [0, 1] {
        take_away(&home.disks()[slot]);
    }
    for slot in [2, 3] {
        bring_back(&home.disks()[slot]);
    }
    // These two know nothing of the purge, and know that they may not: the origin is asked, which has no validators.
    let mut gateway = home.start().await;
    assert!(!gateway.disks().await.has_majority());
    for (index, content) in shelf.contents.iter().enumerate() {
        let asked = shelf.origin.requests();
        let response = gateway.get(&shelf.url(index)).await;
        response.assert_is(200, &content.bytes());
        assert_eq!(shelf.origin.requests(), asked + 1, "object {index}");
    }
    gateway.settled().await;
    gateway.expect_log(" ERROR ");
    gateway.finish_with_warnings().await;
    for slot in [0, 1] {
        bring_back(&home.disks()[slot]);
    }
    let mut gateway = home.start().await;
    for (index, content) in shelf.contents.iter().enumerate() {
        let response = gateway.get(&shelf.url(index)).await;
        response.assert_is(200, &content.bytes());
    }
    gateway.settled().await;
    shelf.assert_all_hits(&gateway).await;
    gateway.expect_log(" ERROR ");
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn what_was_replaced_while_a_disk_was_out_does_not_come_back() {
    let mut stored = Stored::on(4).await;
    lose(&stored.gateway, &[1]).await;
    purge_everything(&stored).await;
    let newer = super::Shelf::new(&LENGTHS.map(|length| length + 1)).await;
    for (index, content) in newer.contents.iter().enumerate() {
        let script = weir_tests::Script::ok(crate::stage::FRESH, &content.bytes());
        stored.shelf.origin.on(&super::path(index), script);
    }
    stored.shelf.contents.clone_from(&newer.contents);
    stored.shelf.fill(&stored.gateway).await;
    bring_back(&stored.disk(1));
    stored.gateway.all_healthy().await;
    stored.shelf.assert_all_hits(&stored.gateway).await;
    // The disk that was out is needed now.
    lose(&stored.gateway, &[0, 2]).await;
    stored.shelf.assert_all_hits(&stored.gateway).await;
    stored.gateway.expect_log("a disk is out");
    stored.gateway.finish_with_warnings().await;
}
