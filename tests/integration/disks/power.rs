//! Power cuts on real file systems: what was only in memory is gone, and nothing that is left is torn.
//!
//! A cut is the ioctl that stops ext4 and XFS without writing their journal, then SIGKILL, a new mount, and a process
//! that finds another boot of the machine: it must not trust what it did not sync.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::watch;

use super::{KIB, ONLY_IF_CACHED, Shelf, path};
use weir_tests::client::{RawClient, forward};
use weir_tests::deadline::within;
use weir_tests::disk::{Journal, Mounted, NEEDS_LOOP};
use weir_tests::skip::skip;
use weir_tests::{Content, Ending, Gateway, Script};

const OBJECTS: usize = 60;
const CLIENTS: usize = 4;
/// Responses that end before the power does.
const ANSWERS: usize = 25;

/// Lengths around every border: of a block, of what is a copy, of a stripe.
fn length(index: usize) -> usize {
    match index % 6 {
        0 => 3,
        1 => 5 * KIB,
        2 => 64 * KIB,
        3 => 64 * KIB + 1,
        4 => 300 * KIB + index,
        _ => 1500 * KIB + index,
    }
}

/// What a request has yielded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Yield {
    /// Nothing, or a part of it: whoever asked knows.
    Incomplete,
    Miss,
    Hit,
}

/// Asks for an object, and checks every byte that comes.
async fn fetch(address: std::net::SocketAddr, shelf: &Shelf, index: usize, fields: &str) -> Yield {
    let Some(mut client) = RawClient::try_connect(address).await else {
        return Yield::Incomplete;
    };
    client.send(forward("GET", &shelf.url(index), fields)).await;
    let Ok(head) = client.try_head().await else {
        return Yield::Incomplete;
    };
    if head.status != 200 {
        return Yield::Incomplete;
    }
    let (content, mut received): (&Content, usize) = (&shelf.contents[index], 0);
    let check = |bytes: &[u8]| {
        assert!(content.holds_at(received, bytes), "object {index} is torn");
        received += bytes.len();
    };
    if client.body(&head, "GET", check).await != Ending::Length {
        return Yield::Incomplete;
    }
    assert_eq!(received, content.length(), "object {index} is cut short");
    match head.field("x-cache") {
        Some("HIT") => Yield::Hit,
        _ => Yield::Miss,
    }
}

/// Which disks lose their power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    All,
    /// These only; the gateway goes on until it is killed.
    Some(&'static [usize]),
}

struct Case {
    kind: &'static str,
    disks: usize,
    durability: &'static str,
    cut: Cut,
}

/// Has clients fill the store, cuts the power in the middle; the objects that the store had by then.
async fn fill_until_the_power_fails(
    gateway: &Gateway,
    shelf: &Arc<Shelf>,
    disks: &[Mounted],
    cut: Cut,
) -> Result<BTreeSet<usize>, String> {
    let answers = Arc::new(watch::Sender::new(0_usize));
    let address = gateway.proxy();
    let client = |number: usize| {
        let (shelf, answers) = (Arc::clone(shelf), Arc::clone(&answers));
        tokio::spawn(async move {
            for index in (number..OBJECTS).step_by(CLIENTS) {
                fetch(address, &shelf, index, "").await;
                answers.send_modify(|count| *count += 1);
            }
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    let mut count = answers.subscribe();
    within("some answers", count.wait_for(|count| *count >= ANSWERS))
        .await
        .expect("clients run");
    // What comes from the store now was committed before the cut.
    let mut stored = BTreeSet::new();
    for index in 0..ANSWERS {
        if fetch(address, shelf, index, ONLY_IF_CACHED).await == Yield::Hit {
            stored.insert(index);
        }
    }
    let slots: Vec<usize> = match cut {
        Cut::All => (0..disks.len()).collect(),
        Cut::Some(slots) => slots.to_vec(),
    };
    for slot in slots {
        disks[slot].cut_power(Journal::Lost)?;
    }
    for client in join_all(clients).await {
        client.expect("nobody saw a wrong byte");
    }
    Ok(stored)
}

async fn nothing_is_torn_by_a_power_cut(case: Case) {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = |number| Mounted::in_file(folder.path(), &format!("{number}.img"), case.kind, 320);
    let Some(mut disks) = (0..case.disks).map(disk).collect::<Option<Vec<_>>>() else {
        return skip(&format!("{}: {NEEDS_LOOP}", case.kind));
    };
    let data = disks.iter().map(|disk| disk.path().join("data"));
    let data: Vec<PathBuf> = data.collect();
    let home = Gateway::builder()
        .set("store.reserve", "1MiB")
        .set("store.durability", case.durability)
        .disks_at(data)
        .home();
    let lengths: Vec<usize> = (0..OBJECTS).map(length).collect();
    let shelf = Arc::new(Shelf::new(&lengths).await);
    home.boot_anew();
    let gateway = home.start().await;
    let stored = fill_until_the_power_fails(&gateway, &shelf, &disks, case.cut).await;
    gateway.kill().await;
    let stored = match stored {
        Ok(stored) => stored,
        Err(reason) => return skip(&reason),
    };
    for disk in &mut disks {
        disk.start_again().await;
    }
    home.boot_anew();
    let mut gateway = home.start().await;
    let mut hits = BTreeSet::new();
    for index in 0..OBJECTS {
        let fetched = fetch(gateway.proxy(), &shelf, index, ONLY_IF_CACHED).await;
        if fetched == Yield::Hit {
            hits.insert(index);
        }
    }
    eprintln!("{} stored before, {} after", stored.len(), hits.len());
    if case.durability == "strict" || case.cut != Cut::All {
        let lost: Vec<&usize> = stored.difference(&hits).collect();
        assert!(lost.is_empty(), "stored before the cut and lost: {lost:?}");
    }
    for index in 0..OBJECTS {
        let content = &shelf.contents[index];
        let response = gateway.get(&shelf.url(index)).await;
        response.assert_is(200, &content.bytes());
    }
    gateway.settled().await;
    gateway.all_healthy().await;
    shelf.assert_all_hits(&gateway).await;
    if let Cut::Some(_) = case.cut {
        // Those that had no power are as good as the others now.
        for slot in [0, 2] {
            disks[slot].cut_power(Journal::Lost).expect("as before");
            gateway.disk_becomes(slot, "out").await;
        }
        shelf.assert_all_hits(&gateway).await;
    }
    if case.disks > 1 {
        // The cut of one after the other begins epochs on those that are left, and some disks are not missed.
        gateway.expect_log("most of the disks are missing");
        gateway.expect_log("a disk is out");
    }
    gateway.finish_with_warnings().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_relaxed_disk_forgets_and_does_not_lie() {
    let case = Case {
        kind: "ext4",
        disks: 1,
        durability: "relaxed",
        cut: Cut::All,
    };
    nothing_is_torn_by_a_power_cut(case).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_strict_disk_keeps_what_it_had() {
    let case = Case {
        kind: "ext4",
        disks: 1,
        durability: "strict",
        cut: Cut::All,
    };
    nothing_is_torn_by_a_power_cut(case).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_strict_disk_with_xfs_keeps_what_it_had() {
    let case = Case {
        kind: "xfs",
        disks: 1,
        durability: "strict",
        cut: Cut::All,
    };
    nothing_is_torn_by_a_power_cut(case).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_relaxed_disks_forget_and_do_not_lie() {
    let case = Case {
        kind: "ext4",
        disks: 6,
        durability: "relaxed",
        cut: Cut::All,
    };
    nothing_is_torn_by_a_power_cut(case).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_strict_disks_keep_what_they_had() {
    let case = Case {
        kind: "ext4",
        disks: 6,
        durability: "strict",
        cut: Cut::All,
    };
    nothing_is_torn_by_a_power_cut(case).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_six_disks_that_lose_their_power_lose_nothing() {
    let case = Case {
        kind: "ext4",
        disks: 6,
        durability: "relaxed",
        cut: Cut::Some(&[1, 4]),
    };
    nothing_is_torn_by_a_power_cut(case).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_comes_back_after_a_power_cut_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = |number| Mounted::in_file(folder.path(), &format!("{number}.img"), "ext4", 64);
    let Some(mut disks) = (0..6).map(disk).collect::<Option<Vec<_>>>() else {
        return skip(NEEDS_LOOP);
    };
    let folders = disks.iter().map(|disk| disk.path().to_owned());
    let builder = Gateway::builder().set("store.reserve", "1MiB");
    let mut gateway = builder.disks_at(folders).start().await;
    let lengths: Vec<usize> = (0..OBJECTS / 2).map(length).collect();
    let shelf = Shelf::new(&lengths).await;
    shelf.fill(&gateway).await;
    if let Err(reason) = disks[1].cut_power(Journal::Written) {
        gateway.finish_with_warnings().await;
        return skip(&reason);
    }
    gateway.disk_becomes(1, "out").await;
    disks[1].reconnect();
    gateway.all_healthy().await;
    for slot in [0, 2] {
        disks[slot].unplug();
        gateway.disk_becomes(slot, "out").await;
    }
    shelf.assert_all_hits(&gateway).await;
    gateway.expect_log("a disk is out");
    gateway.finish_with_warnings().await;
}

/// Before the gateway has noticed anything, a hit of what it holds in memory is right as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_without_power_are_left_out_while_clients_are_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = |number| Mounted::in_file(folder.path(), &format!("{number}.img"), "ext4", 64);
    let Some(disks) = (0..4).map(disk).collect::<Option<Vec<_>>>() else {
        return skip(NEEDS_LOOP);
    };
    let folders = disks.iter().map(|disk| disk.path().to_owned());
    let builder = Gateway::builder().set("store.reserve", "1MiB");
    let mut gateway = builder.disks_at(folders).start().await;
    let shelf = Shelf::new(&super::LENGTHS).await;
    shelf.fill(&gateway).await;
    for disk in &disks[..2] {
        if let Err(reason) = disk.cut_power(Journal::Lost) {
            gateway.finish_with_warnings().await;
            return skip(&reason);
        }
    }
    shelf.assert_all_hits(&gateway).await;
    for slot in [0, 1] {
        gateway.disk_becomes(slot, "out").await;
    }
    let script = Script::ok(crate::stage::FRESH, &shelf.contents[4].bytes());
    let fresh = path(99);
    shelf.origin.on(&fresh, script);
    let url = shelf.origin.url(&fresh);
    for _ in 0..2 {
        let response = gateway.get(&url).await;
        response.assert_is(200, &shelf.contents[4].bytes());
    }
    gateway.expect_log(" ERROR ");
    gateway.finish_with_warnings().await;
}
