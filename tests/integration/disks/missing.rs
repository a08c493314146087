//! Disks that are not there at the start, are in each other's place, or are somebody else's.

use std::path::{Path, PathBuf};

use super::{LENGTHS, ONLY_IF_CACHED, Stored, assert_degraded, bring_back, shards, take_away};
use weir_tests::gateway::builder::files_below;

/// Everything below the disks that are there, with its length.
fn files(disks: &[PathBuf]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = disks.iter().flat_map(|disk| shards(disk)).collect();
    files.sort();
    files
}

async fn up_to_two_of_six_may_be_missing(missing: &[usize]) {
    let stored = Stored::on(6).await;
    let (home, shelf) = stored.stopped().await;
    for slot in missing {
        take_away(&home.disks()[*slot]);
    }
    let mut gateway = home.start().await;
    shelf.assert_all_hits(&gateway).await;
    let seen = gateway.disks().await;
    for slot in 0..6 {
        let expected = if missing.contains(&slot) {
            "out"
        } else {
            "live"
        };
        assert_eq!(seen.states()[slot], expected, "{seen:?}");
    }
    let cold = weir_tests::Content::new(99, 700_000);
    let script = weir_tests::Script::ok(crate::stage::FRESH, &cold.bytes());
    shelf.origin.on("/cold", script);
    let url = shelf.origin.url("/cold");
    gateway.get(&url).await.assert_is(200, &cold.bytes());
    gateway.settled().await;
    let again = gateway.get_with(&url, ONLY_IF_CACHED).await;
    again.assert_is(200, &cold.bytes());
    if missing.is_empty() {
        assert_eq!(seen.state(), "healthy");
        gateway.finish().await;
        return;
    }
    assert_eq!(seen.state(), "degraded");
    assert_degraded(&gateway).await;
    gateway.expect_log("a disk is missing");
    gateway.expect_log("a configured folder is not used");
    for slot in missing {
        bring_back(&home.disks()[*slot]);
    }
    gateway.all_healthy().await;
    shelf.assert_all_hits(&gateway).await;
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn with_all_disks_everything_is_there_after_a_restart() {
    up_to_two_of_six_may_be_missing(&[]).await;
}

#[tokio::test]
async fn with_one_of_six_missing_at_the_start_everything_is_there() {
    up_to_two_of_six_may_be_missing(&[3]).await;
}

#[tokio::test]
async fn with_two_of_six_missing_at_the_start_everything_is_there() {
    up_to_two_of_six_may_be_missing(&[0, 5]).await;
}

#[tokio::test]
async fn with_three_of_six_missing_objects_miss_and_nothing_is_deleted() {
    let stored = Stored::on(6).await;
    let (home, shelf) = stored.stopped().await;
    let missing = [0, 2, 4];
    for slot in missing {
        take_away(&home.disks()[slot]);
    }
    let left = [1, 3, 5].map(|slot| home.disks()[slot].clone());
    let before = files(&left);
    let mut gateway = home.start().await;
    assert_eq!(gateway.disks().await.state(), "failed");
    shelf.serve(&gateway).await;
    gateway.settled().await;
    let after = files(&left);
    let deleted: Vec<&PathBuf> = before.iter().filter(|file| !after.contains(file)).collect();
    assert!(deleted.is_empty(), "{deleted:#?}");
    let ready = gateway.get_admin("/readyz").await;
    assert_eq!(ready.status(), 503, "{}", ready.text_whole());
    for slot in missing {
        bring_back(&home.disks()[slot]);
    }
    gateway.all_healthy().await;
    shelf.assert_all_hits(&gateway).await;
    gateway.expect_log(" ERROR ");
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn disks_may_change_their_folders_and_their_order() {
    let stored = Stored::on(4).await;
    let (home, shelf) = stored.stopped().await;
    let disks = home.disks().to_vec();
    let elsewhere = home.folder().join("elsewhere");
    std::fs::rename(&disks[2], &elsewhere).expect("moves");
    home.set_disks(&[
        disks[3].clone(),
        elsewhere.clone(),
        disks[0].clone(),
        disks[1].clone(),
    ]);
    let gateway = home.start().await;
    shelf.assert_all_hits(&gateway).await;
    let seen = gateway.disks().await;
    assert_eq!(seen.state(), "healthy");
    let expected = [&disks[0], &disks[1], &elsewhere, &disks[3]];
    assert_eq!(
        seen.folders(),
        expected.map(|disk| disk.to_str().expect("text"))
    );
    gateway.finish().await;
}

/// Names and bytes of everything below a folder but the lock file, which is taken to look.
fn fingerprint(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all: Vec<_> = files_below(folder)
        .into_iter()
        .map(|file| (file.clone(), std::fs::read(&file).unwrap_or_default()))
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_disk_of_another_pool_is_left_alone_and_named() {
    let stored = Stored::on(4).await;
    let (home, shelf) = stored.stopped().await;
    let (strange, other) = Stored::on(4).await.stopped().await;
    let mut disks = home.disks().to_vec();
    disks[1] = strange.disks()[1].clone();
    home.set_disks(&disks);
    let before = fingerprint(&disks[1]);
    let mut gateway = home.start().await;
    let foreign = disks[1].display().to_string();
    gateway
        .says(&["ERROR", "a configured folder is not used", &foreign])
        .await;
    shelf.assert_all_hits(&gateway).await;
    assert_eq!(gateway.disks().await.state(), "degraded");
    gateway.expect_log("a configured folder is not used");
    gateway.expect_log("a disk is missing");
    gateway.finish().await;
    assert!(
        fingerprint(&disks[1]) == before,
        "a foreign disk was touched"
    );
    let gateway = strange.start().await;
    other.assert_all_hits(&gateway).await;
    gateway.finish().await;
}

#[tokio::test]
async fn an_empty_folder_in_place_of_a_disk_is_not_formatted() {
    let stored = Stored::on(4).await;
    let (home, shelf) = stored.stopped().await;
    let lost = home.disks()[2].clone();
    take_away(&lost);
    std::fs::create_dir(&lost).expect("creates");
    let mut gateway = home.start().await;
    let folder = lost.display().to_string();
    gateway
        .says(&["ERROR", "a configured folder is not used", &folder])
        .await;
    shelf.assert_all_hits(&gateway).await;
    let superblock = lost.join("super.A");
    assert!(!superblock.exists(), "formatted");
    gateway.expect_log("a configured folder is not used");
    gateway.expect_log("a disk is missing");
    gateway.finish().await;
    assert!(!superblock.exists(), "formatted at the end");
    assert!(shards(&lost).is_empty(), "written to");
}

#[tokio::test]
async fn half_of_the_disks_ask_the_origin_first_until_they_are_accepted() {
    let stored = Stored::on(4).await;
    let (home, shelf) = stored.stopped().await;
    for slot in [1, 2] {
        take_away(&home.disks()[slot]);
    }
    let mut gateway = home.start().await;
    let seen = gateway.disks().await;
    assert!(!seen.has_majority(), "{seen:?}");
    assert_degraded(&gateway).await;
    for (index, content) in shelf.contents.iter().enumerate() {
        let asked = shelf.origin.requests();
        let response = gateway.get(&shelf.url(index)).await;
        response.assert_is(200, &content.bytes());
        assert_eq!(
            shelf.origin.requests(),
            asked + 1,
            "{} bytes",
            LENGTHS[index]
        );
        // What was asked about since is trusted; one of them, so that the others can be looked at later.
        if index == 2 {
            break;
        }
    }
    gateway.settled().await;
    let unsure = gateway.weir(["disks", "accept"]).await;
    assert_eq!(unsure.code, Some(2), "{}", unsure.stderr);
    gateway
        .weir(["disks", "accept", "--yes"])
        .await
        .assert_code(0);
    let seen = gateway.disks().await;
    assert!(seen.has_majority(), "{seen:?}");
    shelf.assert_all_hits(&gateway).await;
    // Those that were missing are strangers from now on, and not touched.
    let away = take_back(&home, &[1, 2]);
    gateway.expect_log(" ERROR ");
    gateway.finish_with_warnings().await;
    let before: Vec<_> = away.iter().map(|disk| shards(disk)).collect();
    let mut gateway = home.start().await;
    shelf.assert_all_hits(&gateway).await;
    let after: Vec<_> = away.iter().map(|disk| shards(disk)).collect();
    assert_eq!(before, after, "a stranger was touched");
    gateway.expect_log(" ERROR ");
    gateway.finish_with_warnings().await;
}

fn take_back(home: &weir_tests::gateway::Home, slots: &[usize]) -> Vec<PathBuf> {
    let disks = slots.iter().map(|slot| home.disks()[*slot].clone());
    disks.inspect(|disk| bring_back(disk)).collect()
}

#[tokio::test]
async fn without_any_disk_that_it_knows_it_does_not_start() {
    let stored = Stored::on(4).await;
    let (home, _) = stored.stopped().await;
    for disk in home.disks() {
        take_away(disk);
    }
    let (first, rest) = home.disks().split_first().expect("disks");
    std::fs::create_dir(first).expect("creates");
    std::fs::write(first.join("letter.txt"), "not a disk").expect("writes");
    for disk in rest {
        std::fs::create_dir(disk).expect("creates");
    }
    let run = home.start_in_vain().await;
    run.assert_code(1);
    assert!(run.stderr.contains("letter.txt"), "{}", run.stderr);
    assert_eq!(files_below(first).len(), 1);
}
