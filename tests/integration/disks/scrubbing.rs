//! Bits that turn where nobody reads: a scrub finds them, by hand or by itself, and they are repaired.

use serde_json::Value;

use super::flips::becomes;
use super::{MIB, Stored, shard, shards};
use crate::damage::flip_a_bit;
use weir_tests::Gateway;
use weir_tests::deadline::{eventually, until};

async fn scrub(gateway: &Gateway, words: &[&str]) -> String {
    let run = gateway.weir([&["scrub"], words].concat()).await;
    run.assert_code(0).text()
}

async fn status(gateway: &Gateway) -> Value {
    let text = scrub(gateway, &["status", "--json"]).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Waits for the end of a pass.
async fn passed(gateway: &Gateway) -> Value {
    let idle = async || {
        let status = status(gateway).await;
        (status["state"] == "idle").then_some(status)
    };
    eventually("the scrub has passed", idle).await
}

#[tokio::test]
async fn a_bit_that_turned_in_a_shard_that_nobody_reads_is_found_and_repaired() {
    let Stored { gateway, shelf } = Stored::on(6).await;
    let mut flipped = Vec::new();
    // On every disk one, of objects of all kinds: never more than one shard of an object.
    for (slot, content) in shelf.contents[1..].iter().enumerate() {
        let disk = gateway.home().disks()[slot].clone();
        let Some(file) = shard(&disk, content.length()) else {
            continue;
        };
        let whole = std::fs::read(&file).expect("reads");
        flip_a_bit(&file);
        flipped.push((disk.display().to_string(), file, whole));
    }
    assert!(flipped.len() >= 3, "{flipped:?}");
    let asked = shelf.origin.requests();
    scrub(&gateway, &["start"]).await;
    for (disk, file, whole) in &flipped {
        becomes(file, whole).await;
        gateway
            .says(&["a shard is not what was written", disk])
            .await;
        let name = format!("weir_store_corrupt_blocks_total{{disk=\"{disk}\"}}");
        assert!(gateway.metric(&name).await >= 1.0, "{disk} is counted");
    }
    let status = passed(&gateway).await;
    let bad = status["bad_shards"].as_u64().expect("a number");
    assert_eq!(bad, flipped.len() as u64, "{status}");
    gateway.all_healthy().await;
    shelf.assert_all_hits(&gateway).await;
    assert_eq!(shelf.origin.requests(), asked);
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_shard_that_somebody_removed_is_found_and_made_again() {
    let Stored { gateway, shelf } = Stored::on(4).await;
    let file = shard(&gateway.home().disks()[2], MIB).expect("a shard on every disk");
    let whole = std::fs::read(&file).expect("reads");
    std::fs::remove_file(&file).expect("removes");
    scrub(&gateway, &["start", "--deep"]).await;
    becomes(&file, &whole).await;
    passed(&gateway).await;
    gateway.all_healthy().await;
    shelf.assert_all_hits(&gateway).await;
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn on_one_disk_what_is_bad_is_dropped_and_fetched_again() {
    let Stored { gateway, shelf } = Stored::on(1).await;
    let disk = gateway.home().disks()[0].clone();
    let file = shard(&disk, MIB).expect("a file");
    flip_a_bit(&file);
    let before = shards(&disk).len();
    scrub(&gateway, &["start"]).await;
    passed(&gateway).await;
    until("it is dropped", async || shards(&disk).len() < before).await;
    let asked = shelf.origin.requests();
    shelf.serve(&gateway).await;
    assert_eq!(shelf.origin.requests(), asked + 1, "only the bad one");
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_paused_scrub_stays_paused_over_a_restart_and_goes_on() {
    let builder = Gateway::builder().disks(4).set("store.scrub_rate", "64KiB");
    let Stored { gateway, shelf } = Stored::with(builder).await;
    scrub(&gateway, &["start"]).await;
    assert_eq!(status(&gateway).await["state"], "running");
    let text = scrub(&gateway, &["pause"]).await;
    assert!(text.contains("paused"), "{text}");
    let home = gateway.home();
    gateway.finish().await;
    home.set("store.scrub_rate", "1GiB");
    let gateway = home.start().await;
    assert_eq!(status(&gateway).await["state"], "paused");
    scrub(&gateway, &["start"]).await;
    let status = passed(&gateway).await;
    assert_eq!(status["bad_shards"], 0, "{status}");
    assert!(!status["seconds_since_last_pass"].is_null(), "{status}");
    shelf.assert_all_hits(&gateway).await;
    gateway.finish().await;
}
