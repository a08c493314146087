//! Disks are taken away, replaced and rebuilt under a crowd that downloads: nobody notices.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{KIB, MIB, Shelf, assert_degraded};
use crate::stage::FRESH;
use weir_tests::client::{RawClient, forward};
use weir_tests::deadline::{until, within};
use weir_tests::disk::{Mounted, NEEDS_ROOT};
use weir_tests::gateway::builder::files_below;
use weir_tests::skip::skip;
use weir_tests::{Content, Gate, Gateway, Script};

const CLIENTS: usize = 200;

/// Most clients stop after their first bytes until the disks have changed; the others go on and on.
const WAITING: usize = CLIENTS - 30;

const LENGTHS: [usize; 8] = [
    KIB,
    20 * KIB,
    64 * KIB,
    64 * KIB + 1,
    700 * KIB,
    3 * MIB,
    9 * MIB + 5,
    40 * MIB,
];

/// Large objects for a few, so that a run stays short.
const LARGE_EVERY: usize = 40;

/// Clients that all the time ask for something else: what is stored, parts of it, and what is not stored yet.
struct Crowd {
    shelf: Arc<Shelf>,
    cold: Content,
    address: std::net::SocketAddr,
    /// How many have first bytes.
    begun: watch::Sender<usize>,
    /// Lets those go on that wait.
    changed: Gate,
    /// Ends those that go on and on.
    is_finished: AtomicBool,
    downloads: AtomicUsize,
}

/// What one client asks for: a part of an object from `start` up to, not including, `end`.
struct Wish {
    url: String,
    content: Content,
    start: usize,
    end: usize,
}

impl Crowd {
    fn new(shelf: &Arc<Shelf>, gateway: &Gateway) -> Arc<Self> {
        let cold = Content::new(77, 400 * KIB);
        Arc::new(Self {
            shelf: Arc::clone(shelf),
            cold,
            address: gateway.proxy(),
            begun: watch::Sender::new(0),
            changed: Gate::new(),
            is_finished: AtomicBool::new(false),
            downloads: AtomicUsize::new(0),
        })
    }

    fn start(self: &Arc<Self>) -> Vec<JoinHandle<()>> {
        let client = |number| {
            let crowd = Arc::clone(self);
            tokio::spawn(async move { crowd.client(number).await })
        };
        (0..CLIENTS).map(client).collect()
    }

    async fn client(&self, number: usize) {
        let waits = number < WAITING;
        self.download(&self.wish(number, 0), waits, true).await;
        let mut round = 1;
        while !self.is_finished.load(Ordering::Acquire) && !waits {
            self.download(&self.wish(number, round), false, false).await;
            round += 1;
        }
    }

    /// What client `number` asks for the time `round`.
    fn wish(&self, number: usize, round: usize) -> Wish {
        let kinds = self.shelf.contents.len();
        let turn = number + round * 7;
        if turn % 4 == 3 {
            let path = format!("/cold/{number}/{round}");
            let script = Script::ok_in_halves(
                FRESH,
                &self.cold.bytes(),
                self.cold.length() / 2,
                &self.changed,
            );
            self.shelf.origin.on(&path, script);
            return Wish {
                url: self.shelf.origin.url(&path),
                content: self.cold.clone(),
                start: 0,
                end: self.cold.length(),
            };
        }
        let index = if turn.is_multiple_of(LARGE_EVERY) {
            kinds - 1
        } else {
            turn / 4 % (kinds - 1)
        };
        let content = self.shelf.contents[index].clone();
        let (start, end) = match turn % 4 {
            2 => (
                content.length() / 3,
                content.length() - content.length() / 5,
            ),
            _ => (0, content.length()),
        };
        Wish {
            url: self.shelf.url(index),
            content,
            start,
            end,
        }
    }

    async fn download(&self, wish: &Wish, waits: bool, counts: bool) {
        let Wish {
            url,
            content,
            start,
            end,
        } = wish;
        let is_part = end - start < content.length();
        let fields = match is_part {
            true => format!("Range: bytes={start}-{}\r\n", end - 1),
            false => String::new(),
        };
        let mut client = RawClient::connect(self.address).await;
        client.send(forward("GET", url, &fields)).await;
        let head = client.head().await;
        let expected = if is_part { 206 } else { 200 };
        assert_eq!(head.status, expected, "{url}: {head:?}");
        let length = (end - start).to_string();
        assert_eq!(head.field("content-length"), Some(length.as_str()), "{url}");
        let mut at = *start;
        let mut check = |bytes: &[u8]| {
            assert!(content.holds_at(at, bytes), "{url}: wrong bytes at {at}");
            at += bytes.len();
        };
        let first = client.exactly(1, &mut check).await;
        first.unwrap_or_else(|close| panic!("{url}: {close:?} before a first byte"));
        if counts {
            self.begun.send_modify(|count| *count += 1);
        }
        if waits {
            self.changed.passed("the disks have changed").await;
        }
        let rest = client.exactly(end - start - 1, &mut check).await;
        rest.unwrap_or_else(|close| panic!("{url}: {close:?} at {at} of {start}-{end}"));
        self.downloads.fetch_add(1, Ordering::Relaxed);
    }

    async fn all_have_begun(&self) {
        let mut begun = self.begun.subscribe();
        let all = begun.wait_for(|count| *count >= CLIENTS);
        within("first bytes for everybody", all)
            .await
            .expect("ours");
    }

    fn finish(&self) {
        self.is_finished.store(true, Ordering::Release);
    }
}

/// How a disk is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Unmounted,
    Emptied,
}

impl Loss {
    async fn befall(self, disk: &mut Mounted) {
        match self {
            Self::Unmounted => disk.unplug(),
            Self::Emptied => empty(disk.path()).await,
        }
    }

    /// Checks that nothing was written to the folder where a disk was mounted.
    fn assert_left_alone(self, disk: &Mounted) {
        if self == Self::Unmounted {
            let folder = disk.path();
            let left: Vec<_> = std::fs::read_dir(folder).expect("reads").collect();
            let files = files_below(folder);
            assert!(left.is_empty(), "written: {left:?}, {files:?}");
        }
    }
}

/// Removes what is in a folder, while others may be writing there.
async fn empty(folder: &Path) {
    let entries = std::fs::read_dir(folder).expect("reads");
    for entry in entries.flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let is_gone = async || {
            match is_folder {
                true => std::fs::remove_dir_all(&path).ok(),
                false => std::fs::remove_file(&path).ok(),
            };
            !path.exists()
        };
        until(&format!("{} is gone", path.display()), is_gone).await;
    }
}

async fn two_disks_are_lost_and_one_is_replaced(loss: Loss) {
    let (Some(mut disks), Some(new)) =
        (Mounted::several_in_memory(6, 128), Mounted::in_memory(128))
    else {
        return skip(NEEDS_ROOT);
    };
    let folders: Vec<PathBuf> = disks.iter().map(|disk| disk.path().to_owned()).collect();
    let builder = Gateway::builder().set("store.reserve", "4MiB");
    let mut gateway = builder.disks_at(folders.clone()).start().await;
    let shelf = Arc::new(Shelf::new(&LENGTHS).await);
    shelf.fill(&gateway).await;
    let crowd = Crowd::new(&shelf, &gateway);
    let clients = crowd.start();
    crowd.all_have_begun().await;

    for slot in [1, 4] {
        loss.befall(&mut disks[slot]).await;
    }
    crowd.changed.open();
    for slot in [1, 4] {
        let folder = folders[slot].display().to_string();
        gateway.says(&["ERROR", "a disk is out", &folder]).await;
    }
    assert_degraded(&gateway).await;
    let seen = gateway.disks().await;
    assert_eq!(
        seen.states(),
        ["live", "out", "live", "live", "out", "live"]
    );
    assert_eq!(seen.state(), "degraded");

    let folder = new.path().display().to_string();
    let words = ["disks", "replace", "4", &folder, "--wait"];
    gateway.weir(words).await.assert_code(0);
    let seen = gateway.disks().await;
    assert_eq!(
        seen.states(),
        ["live", "out", "live", "live", "live", "live"]
    );
    assert_eq!(seen.count(4, "missing_shards"), 0, "{seen:?}");
    loss.befall(&mut disks[0]).await;
    gateway.disk_becomes(0, "out").await;
    crowd.finish();
    for client in join_all(clients).await {
        client.expect("nobody notices");
    }
    gateway.settled().await;
    shelf.assert_all_hits(&gateway).await;
    eprintln!("{} downloads", crowd.downloads.load(Ordering::Relaxed));
    gateway.expect_log("a disk is out");
    gateway.finish_with_warnings().await;
    for slot in [0, 1, 4] {
        loss.assert_left_alone(&disks[slot]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_downloads_survive_two_unmounted_disks_a_replacement_and_a_third_loss() {
    two_disks_are_lost_and_one_is_replaced(Loss::Unmounted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_downloads_survive_two_emptied_disks_a_replacement_and_a_third_loss() {
    two_disks_are_lost_and_one_is_replaced(Loss::Emptied).await;
}
