//! Disks that take nothing any more, because they are full or read-only, and one that does not answer.

use std::path::{Path, PathBuf};

use super::{LENGTHS, Shelf, assert_degraded};
use weir_tests::disk::{Mounted, NEEDS_LOOP, NEEDS_ROOT};
use weir_tests::skip::skip;
use weir_tests::{Content, Gateway, Script};

use crate::stage::FRESH;

fn folders(disks: &[Mounted]) -> Vec<PathBuf> {
    disks.iter().map(|disk| disk.path().to_owned()).collect()
}

/// Disks on loop devices.
fn in_files(folder: &Path, count: usize) -> Option<Vec<Mounted>> {
    let disk = |number| Mounted::in_file(folder, &format!("{number}.img"), "ext4", 64);
    (0..count).map(disk).collect()
}

/// Checks that objects are stored that were not before.
async fn stores_more(shelf: &Shelf, gateway: &Gateway, name: &str) {
    for seed in 0..4_u64 {
        let content = Content::new(seed, 900_000);
        let path = format!("/{name}/{seed}");
        shelf.origin.on(&path, Script::ok(FRESH, &content.bytes()));
        let url = shelf.origin.url(&path);
        gateway.get(&url).await.assert_is(200, &content.bytes());
        gateway.settled().await;
        let again = gateway.get(&url).await;
        again.assert_is(200, &content.bytes());
        assert!(again.is_hit(), "{path} is not stored: {:?}", again.head);
    }
}

#[tokio::test]
async fn one_full_disk_of_four_stops_nothing() {
    let Some(disks) = Mounted::several_in_memory(4, 64) else {
        return skip(NEEDS_ROOT);
    };
    let builder = Gateway::builder().set("store.reserve", "1MiB");
    let mut gateway = builder.disks_at(folders(&disks)).start().await;
    let shelf = Shelf::new(&LENGTHS).await;
    shelf.fill(&gateway).await;
    let filler = disks[2].fill();
    for seed in 0..6_u64 {
        let content = Content::new(seed, 2_000_000);
        let path = format!("/while-full/{seed}");
        shelf.origin.on(&path, Script::ok(FRESH, &content.bytes()));
        let url = shelf.origin.url(&path);
        for _ in 0..2 {
            gateway.get(&url).await.assert_is(200, &content.bytes());
        }
    }
    shelf.serve(&gateway).await;
    // What found no room on it has a shard less, and gets that when there was room for a few minutes.
    std::fs::remove_file(filler).expect("makes room");
    stores_more(&shelf, &gateway, "after").await;
    gateway.expect_log(" ERROR ");
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_disk_that_becomes_read_only_is_read_and_no_longer_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disks) = in_files(folder.path(), 4) else {
        return skip(NEEDS_LOOP);
    };
    let builder = Gateway::builder().set("store.reserve", "1MiB");
    let mut gateway = builder.disks_at(folders(&disks)).start().await;
    let shelf = Shelf::new(&LENGTHS).await;
    shelf.fill(&gateway).await;
    if let Err(reason) = disks[1].fail() {
        gateway.finish().await;
        return skip(&reason);
    }
    stores_more(&shelf, &gateway, "read-only").await;
    let name = disks[1].path().display().to_string();
    gateway.says(&["ERROR", "a disk is out", &name]).await;
    gateway.disk_becomes(1, "read-only").await;
    assert_degraded(&gateway).await;
    shelf.assert_all_hits(&gateway).await;
    gateway.expect_log("a disk is out");
    gateway.expect_log(" ERROR ");
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_disk_that_answers_no_write_is_left_out_until_it_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut disks) = in_files(folder.path(), 4) else {
        return skip(NEEDS_LOOP);
    };
    let builder = Gateway::builder()
        .set("store.reserve", "1MiB")
        // The other three share a device with whatever else the machine does, and must not be taken for hung ones.
        .set("store.disk_deadline", "3s");
    let mut gateway = builder.disks_at(folders(&disks)).start().await;
    let shelf = Shelf::new(&LENGTHS).await;
    shelf.fill(&gateway).await;
    if let Err(reason) = disks[3].hang() {
        gateway.finish().await;
        return skip(&reason);
    }
    stores_more(&shelf, &gateway, "while-hanging").await;
    let name = disks[3].path().display().to_string();
    gateway
        .says(&["ERROR", "a disk is out", &name, "unanswered"])
        .await;
    assert_degraded(&gateway).await;
    shelf.assert_all_hits(&gateway).await;
    disks[3].wake();
    gateway.all_healthy().await;
    shelf.assert_all_hits(&gateway).await;
    gateway.expect_log(" ERROR ");
    gateway.finish_with_warnings().await;
}
