//! What operators are told of their disks: of a loss, a return, damage, and the end of a rebuild.

use super::flips::becomes;
use super::{MIB, Stored, bring_back, shard, take_away};
use crate::damage::flip_a_bit;
use crate::notifying::{body, hook, posting_to};
use weir_tests::Origin;

/// Waits for a post of a kind about a disk.
async fn told(hook: &Origin, kind: &str, disk: &str) {
    let kind = format!("\"kind\":\"{kind}\"");
    let is_it = |body: String| body.contains(&kind) && body.contains(disk);
    let what = format!("{kind} of {disk}");
    hook.wait_for(&what, |record| {
        record.requests.iter().any(|seen| is_it(body(seen)))
    })
    .await;
}

#[tokio::test]
async fn losses_returns_damage_and_the_end_of_a_rebuild_are_told() {
    let hook = hook().await;
    let stored = Stored::with(posting_to(&hook).disks(6)).await;
    let home = stored.gateway.home();
    let name = |slot: usize| home.disks()[slot].display().to_string();

    take_away(&home.disks()[1]);
    told(&hook, "disk-lost", &name(1)).await;
    bring_back(&home.disks()[1]);
    told(&hook, "disk-back", &name(1)).await;
    stored.gateway.all_healthy().await;

    let file = shard(&home.disks()[2], MIB).expect("a shard on every disk");
    let whole = std::fs::read(&file).expect("reads");
    flip_a_bit(&file);
    stored.gateway.weir(["scrub", "start"]).await.assert_code(0);
    told(&hook, "corrupt", &name(2)).await;
    becomes(&file, &whole).await;

    take_away(&home.disks()[3]);
    stored.gateway.disk_becomes(3, "out").await;
    let new = home.folder().join("new");
    std::fs::create_dir(&new).expect("creates");
    let new = new.display().to_string();
    let words = ["disks", "replace", "3", &new, "--wait"];
    stored.gateway.weir(words).await.assert_code(0);
    told(&hook, "rebuild-done", &new).await;
    stored.shelf.assert_all_hits(&stored.gateway).await;
    let Stored { mut gateway, .. } = stored;
    gateway.expect_log("a disk is out");
    gateway.finish_with_warnings().await;
}
