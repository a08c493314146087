//! More disks and fewer of them, while clients are served; what the commands advise is what the next start needs.

use std::path::{Path, PathBuf};

use super::{LENGTHS, Shelf, Stored, advised, shards, take_away};
use weir_tests::{Content, Gateway, Script};

/// A new empty folder.
fn folder(gateway: &Gateway, name: &str) -> PathBuf {
    let folder = gateway.home().folder().join(name);
    std::fs::create_dir(&folder).expect("creates");
    folder
}

/// Adds a disk; what is advised.
async fn add(gateway: &Gateway, name: &str) -> Vec<PathBuf> {
    let folder = folder(gateway, name);
    let run = gateway
        .weir(["disks", "add", &folder.display().to_string()])
        .await;
    let advised = advised(&run.assert_code(0).text());
    assert_eq!(advised.last(), Some(&folder));
    advised
}

/// Has other objects stored, and checks that this disk has a part of some.
async fn stores_on(shelf: &mut Shelf, gateway: &Gateway, disk: &Path) {
    for (seed, length) in (1000..).zip(LENGTHS) {
        let index = shelf.contents.len();
        let content = Content::new(seed, length);
        let script = Script::ok(crate::stage::FRESH, &content.bytes());
        shelf.origin.on(&super::path(index), script);
        shelf.contents.push(content);
    }
    shelf.fill(gateway).await;
    assert!(!shards(disk).is_empty(), "{} is not used", disk.display());
}

#[tokio::test]
async fn a_pool_grows_from_one_disk_to_four_and_any_two_may_then_be_lost() {
    let Stored { gateway, mut shelf } = Stored::on(1).await;
    let mut disks = Vec::new();
    for count in 2..=4 {
        disks = add(&gateway, &format!("more{count}")).await;
        assert_eq!(disks.len(), count);
        shelf.assert_all_hits(&gateway).await;
        stores_on(&mut shelf, &gateway, &disks[count - 1]).await;
    }
    assert_eq!(gateway.disks().await.slots(), [0, 1, 2, 3]);
    let home = gateway.home();
    gateway.finish_with_warnings().await;

    home.set_disks(&disks);
    let mut gateway = home.start().await;
    shelf.assert_all_hits(&gateway).await;
    let state = gateway.disks().await;
    assert_eq!(state.states(), ["live"; 4]);
    // What was stored on four disks survives any two.
    shelf.contents = shelf.contents.split_off(LENGTHS.len() * 3);
    let moved: Vec<String> = (0..shelf.contents.len())
        .map(|index| super::path(LENGTHS.len() * 3 + index))
        .collect();
    for slot in [0, 2] {
        take_away(&disks[slot]);
        gateway.disk_becomes(slot, "out").await;
    }
    let asked = shelf.origin.requests();
    for (path, content) in moved.iter().zip(&shelf.contents) {
        let response = gateway.get(&shelf.origin.url(path)).await;
        response.assert_is(200, &content.bytes());
        assert!(response.is_hit(), "{path}: {:?}", response.head);
    }
    assert_eq!(shelf.origin.requests(), asked);
    gateway.expect_log("a disk is out");
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_retired_disk_is_empty_and_not_missed() {
    let Stored { gateway, shelf } = Stored::on(6).await;
    let run = gateway.weir(["disks", "retire", "2", "--wait"]).await;
    let disks = advised(&run.assert_code(0).text());
    let retired = gateway.home().disks()[2].clone();
    assert_eq!(disks.len(), 5);
    assert!(!disks.contains(&retired));
    let seen = gateway.disks().await;
    assert_eq!(seen.slots(), [0, 1, 3, 4, 5]);
    assert_eq!(seen.state(), "healthy", "{seen:?}");
    shelf.assert_all_hits(&gateway).await;
    let home = gateway.home();
    gateway.finish_with_warnings().await;

    home.set_disks(&disks);
    std::fs::remove_dir_all(&retired).expect("is taken away");
    let mut gateway = home.start().await;
    shelf.assert_all_hits(&gateway).await;
    assert_eq!(gateway.disks().await.state(), "healthy");
    for slot in [0, 4] {
        take_away(&home.disks()[slot]);
    }
    for place in [0, 3] {
        gateway.disk_becomes(place, "out").await;
    }
    shelf.assert_all_hits(&gateway).await;
    gateway.expect_log("a disk is out");
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_replacement_is_what_the_next_start_needs() {
    let Stored { mut gateway, shelf } = Stored::on(4).await;
    let home = gateway.home();
    let away = take_away(&home.disks()[1]);
    gateway.disk_becomes(1, "out").await;
    let new = folder(&gateway, "new").display().to_string();
    let run = gateway
        .weir(["disks", "replace", "1", &new, "--wait"])
        .await;
    let disks = advised(&run.assert_code(0).text());
    gateway.all_healthy().await;
    gateway.expect_log("a disk is out");
    gateway.finish_with_warnings().await;

    // The old disk is nobody any more.
    home.set_disks(&[disks, vec![away.clone()]].concat());
    let before = shards(&away);
    let mut gateway = home.start().await;
    gateway
        .says(&[
            "a configured folder is not used",
            &away.display().to_string(),
        ])
        .await;
    shelf.assert_all_hits(&gateway).await;
    assert_eq!(gateway.disks().await.state(), "healthy");
    gateway.expect_log("a configured folder is not used");
    gateway.finish().await;
    assert_eq!(shards(&away), before, "a stranger was touched");
}

#[tokio::test]
async fn commands_that_make_no_sense_change_nothing() {
    let Stored { gateway, shelf } = Stored::on(4).await;
    let home = gateway.home();
    let own = home.disks()[3].display().to_string();
    let full = folder(&gateway, "full");
    std::fs::write(full.join("letter.txt"), "mine").expect("writes");
    let full = full.display().to_string();
    let empty = folder(&gateway, "empty").display().to_string();
    let absent = home.folder().join("absent").display().to_string();
    let check = async |words: &[&str], reason: &str| {
        let run = gateway.weir([&["disks"], words].concat()).await;
        assert_eq!(run.code, Some(1), "{words:?}: {}", run.text());
        assert!(run.stderr.contains(reason), "{words:?}: {}", run.stderr);
    };
    check(&["replace", "1", &empty], "in use").await;
    check(&["replace", "9", &empty], "9").await;
    check(&["add", &own], "disk in slot 3").await;
    check(&["add", &full], "letter.txt").await;
    check(&["add", &absent], "mount").await;
    check(&["retire", "9"], "9").await;
    check(&["accept", "--yes"], "all disks are there").await;
    let seen = gateway.disks().await;
    assert_eq!(seen.slots(), [0, 1, 2, 3]);
    assert_eq!(seen.state(), "healthy");
    shelf.assert_all_hits(&gateway).await;
    gateway.finish().await;
}
