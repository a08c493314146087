//! Several disks: any two may die, lie, hang or come back late; what is served is right, and the disk is named.
//!
//! Most tests keep their disks in folders of one temporary folder; those that unmount, fill or cut off a disk use real
//! file systems and need root.

mod crowd;
mod flips;
mod growing;
mod huge;
mod limits;
mod missing;
mod power;
mod purging;
mod scrubbing;
mod telling;

use std::path::{Path, PathBuf};

use crate::stage::FRESH;
use weir_tests::gateway::builder::files_below;
use weir_tests::gateway::{Builder, Home};
use weir_tests::{Content, Gateway, Origin, Script};

const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;

/// Copies, the largest copy, the smallest stripe, a short tail, several stripes, and the large unit.
const LENGTHS: [usize; 7] = [
    1,
    KIB,
    64 * KIB,
    64 * KIB + 1,
    300 * KIB + 7,
    MIB,
    5 * MIB + 321,
];

/// An origin with one object of each length.
struct Shelf {
    origin: Origin,
    contents: Vec<Content>,
}

impl Shelf {
    async fn new(lengths: &[usize]) -> Self {
        let origin = Origin::start().await;
        let contents: Vec<Content> = (1_u64..)
            .zip(lengths)
            .map(|(seed, length)| Content::new(seed, *length))
            .collect();
        for (index, content) in contents.iter().enumerate() {
            origin.on(&path(index), Script::ok(FRESH, &content.bytes()));
        }
        Self { origin, contents }
    }

    fn url(&self, index: usize) -> String {
        self.origin.url(&path(index))
    }

    /// Has every object stored.
    async fn fill(&self, gateway: &Gateway) {
        self.serve(gateway).await;
        gateway.settled().await;
    }

    /// Gets every object, from wherever, and checks every byte.
    async fn serve(&self, gateway: &Gateway) {
        for (index, content) in self.contents.iter().enumerate() {
            let response = gateway.get(&self.url(index)).await;
            response.assert_is(200, &content.bytes());
        }
    }

    /// Checks that the store has every object, and the right bytes of it.
    async fn assert_all_hits(&self, gateway: &Gateway) {
        let asked = self.origin.requests();
        for (index, content) in self.contents.iter().enumerate() {
            let response = gateway.get(&self.url(index)).await;
            response.assert_is(200, &content.bytes());
            let length = content.length();
            assert!(response.is_hit(), "{length} bytes: {:?}", response.head);
        }
        assert_eq!(self.origin.requests(), asked, "the origin was asked");
    }

    /// Checks that the store has no object any more; each is then stored again.
    async fn assert_all_missed(&self, gateway: &Gateway) {
        gateway.settled().await;
        for (index, content) in self.contents.iter().enumerate() {
            let response = gateway.get(&self.url(index)).await;
            response.assert_is(200, &content.bytes());
            let length = content.length();
            assert!(!response.is_hit(), "{length} bytes: {:?}", response.head);
        }
        gateway.settled().await;
    }
}

fn path(index: usize) -> String {
    format!("/shelf/{index}")
}

/// A gateway on disks, and a shelf that it has stored.
struct Stored {
    gateway: Gateway,
    shelf: Shelf,
}

impl Stored {
    /// On so many folders.
    async fn on(disks: usize) -> Self {
        Self::with(Gateway::builder().disks(disks)).await
    }

    async fn with(builder: Builder) -> Self {
        let shelf = Shelf::new(&LENGTHS).await;
        let gateway = builder.start().await;
        shelf.fill(&gateway).await;
        Self { gateway, shelf }
    }

    fn disk(&self, slot: usize) -> PathBuf {
        self.gateway.home().disks()[slot].clone()
    }

    /// Ends the gateway in good order, and hands back what outlives it.
    async fn stopped(self) -> (std::sync::Arc<Home>, Shelf) {
        let home = self.gateway.home();
        self.gateway.finish().await;
        (home, self.shelf)
    }
}

/// Asks as long as the store has nothing to say, without asking the origin.
const ONLY_IF_CACHED: &str = "Cache-Control: only-if-cached\r\n";

/// Files of objects on a disk.
fn shards(disk: &Path) -> Vec<PathBuf> {
    let mut files = files_below(&disk.join("ec"));
    files.sort();
    files
}

/// The file of the object of this length on a disk, where it has one.
fn shard(disk: &Path, length: usize) -> Option<PathBuf> {
    let ending = format!("-{length:x}.s");
    let mut files = shards(disk).into_iter();
    files.find(|file| file.display().to_string().ends_with(&ending))
}

/// Puts a folder out of the way, as a disk that is not mounted; where it is then.
fn take_away(disk: &Path) -> PathBuf {
    let mut away = disk.to_owned().into_os_string();
    away.push(".away");
    let away = PathBuf::from(away);
    std::fs::rename(disk, &away).expect("moves");
    away
}

/// The reverse of [`take_away`].
fn bring_back(disk: &Path) {
    let mut away = disk.to_owned().into_os_string();
    away.push(".away");
    // What has taken its place meanwhile holds nothing that anybody needs.
    if disk.exists() {
        std::fs::remove_dir_all(disk).expect("removes");
    }
    std::fs::rename(away, disk).expect("moves");
}

/// Checks what `/readyz` says of disks.
async fn assert_degraded(gateway: &Gateway) {
    // It looks at the store once a second.
    let is_degraded = async || {
        let ready = gateway.get_admin("/readyz").await;
        assert_eq!(ready.status(), 200, "{}", ready.text_whole());
        ready.text_whole().contains("degraded: ")
    };
    weir_tests::deadline::until("/readyz says degraded", is_degraded).await;
}

/// The disks of a home, which the gateway gets, are these folders after a command.
fn advised(text: &str) -> Vec<PathBuf> {
    let (_, toml) = text.split_once("[store]\n").expect("a hint");
    let line = toml.lines().next().expect("disks = […]");
    let table: toml::Table = toml::from_str(line).expect("TOML");
    let disks = table["disks"].as_array().expect("a list").iter();
    disks
        .map(|disk| PathBuf::from(disk.as_str().expect("a path")))
        .collect()
}
