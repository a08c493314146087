//! What a scrub finds, on the memory double: damage, and nothing where there is none.
//!
//! Passes run on the test's thread ([`crate::store::core::Core::scrub_now`]); nothing begins by itself.

mod course;
mod deep;
mod watched;

use super::*;
use crate::device::file::FileDevice;
use crate::device::memory::{Fault, Operation};
use crate::events::Event;
use crate::store::report::{ScrubDepth, ScrubState};

/// Large enough for stripes: four units and a tail on six disks.
const LENGTH: usize = 300_000;

type Disks = Vec<Arc<MemoryDevice>>;

pub(super) async fn open_disks(disks: &Disks, settings: StoreSettings) -> Arc<Store> {
    let devices = disks.iter().map(|disk| Arc::clone(disk) as Arc<dyn Device>);
    let clock = Arc::new(ManualClock::default());
    Store::open_without_timer(devices.collect(), settings, clock)
        .await
        .unwrap()
}

/// So many disks with the objects 1 … `objects`.
pub(super) async fn filled(
    disks: usize,
    objects: u8,
    settings: StoreSettings,
) -> (Disks, Arc<Store>) {
    let disks = MemoryDevice::group(disks);
    let store = open_disks(&disks, settings).await;
    for number in 1..=objects {
        fill(&store, head(number), &body(number.into(), LENGTH))
            .await
            .unwrap();
    }
    (disks, store)
}

/// The file of an object on a disk.
fn path_on(disk: &MemoryDevice, number: u8) -> String {
    let folder = format!("ec/{:03x}", u16::from(number) << 4 | u16::from(number >> 4));
    files_in(disk, &folder).remove(0)
}

fn missing(store: &Store, number: u8) -> u16 {
    let records = lock(&store.core.index).find(key(number).short());
    records[0].missing
}

fn corrupt_blocks(store: &Store) -> Vec<u64> {
    let disks = store.stats().disks();
    disks.iter().map(|disk| disk.corrupt_blocks.get()).collect()
}

/// One at the places of these disks.
fn ones(disks: usize, at: &[usize]) -> Vec<u64> {
    (0..disks).map(|disk| at.contains(&disk).into()).collect()
}

/// Names of the disks that events of damage tell of.
fn corrupt_disks(stream: &mut crate::events::EventStream) -> Vec<String> {
    let events = std::iter::from_fn(|| stream.waiting());
    events
        .filter_map(|event| match event {
            Event::Corrupt { disk, .. } => Some(disk),
            _ => None,
        })
        .collect()
}

async fn check_found(disks: usize, at: usize, place: impl Fn(u64) -> u64, what: &str) {
    let what = format!("{what} on disk {at} of {disks}");
    let (memory, store) = filled(disks, 2, settings_for_tests()).await;
    let mut events = store.events().subscribe();
    let path = path_on(&memory[at], 2);
    let length = memory[at].file_length(&path).unwrap();
    assert!(memory[at].flip(&path, place(length)), "{what}");
    store.core.scrub_now(ScrubDepth::Blocks);
    let report = store.scrub();
    assert_eq!(report.bad_shards, 1, "{what}");
    assert_eq!(report.state, ScrubState::Idle, "{what}");
    assert_eq!(corrupt_blocks(&store), ones(disks, &[at]), "{what}");
    let name = memory[at].name().to_owned();
    assert_eq!(corrupt_disks(&mut events), [name], "{what}");
    assert_eq!(missing(&store, 2), 1 << at, "{what}");
    assert_eq!(missing(&store, 1), 0, "{what}");
    assert_eq!(get(&store, 2).await, Some(body(2, LENGTH)), "{what}");
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(store.scrub().bad_shards, 1, "{what}: told once");
    assert_eq!(corrupt_blocks(&store), ones(disks, &[at]), "{what}");
}

#[tokio::test]
async fn one_flipped_bit_is_found_and_its_disk_is_named() {
    for disks in [4, 6] {
        // Data or parity, each disk is some of it.
        for at in 0..disks {
            check_found(disks, at, |_| 4096 + 5, "data").await;
        }
        check_found(disks, 1, |_| 100, "header").await;
        check_found(disks, 2, |_| 4095, "header padding").await;
        check_found(disks, 3, |length| length - 30, "trailer").await;
        check_found(disks, 0, |length| length - 70, "footer fields").await;
    }
}

#[tokio::test]
async fn damage_that_a_reader_would_never_meet_is_found() {
    // What was read and cached a moment ago, and a parity that no healthy read asks for.
    let (disks, store) = filled(4, 1, settings_for_tests()).await;
    for at in [0, 2] {
        let path = path_on(&disks[at], 1);
        assert!(disks[at].flip(&path, 4096 + 70_000));
    }
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(store.scrub().bad_shards, 2);
    assert_eq!(missing(&store, 1), 0b101);
    assert_eq!(corrupt_blocks(&store), ones(4, &[0, 2]));
    assert_eq!(get(&store, 1).await, Some(body(1, LENGTH)));
}

#[tokio::test]
async fn with_one_disk_a_damaged_object_is_dropped() {
    let (disks, store) = filled(1, 3, settings_for_tests()).await;
    assert!(disks[0].flip(&path_on(&disks[0], 2), 4096));
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(store.scrub().bad_shards, 1);
    assert_eq!(store.stats().objects.get(), 2);
    assert_eq!(get(&store, 2).await, None);
    assert_eq!(get(&store, 3).await, Some(body(3, LENGTH)));
}

#[tokio::test]
async fn nothing_is_reported_where_nothing_is_bad() {
    for disks in [1, 2, 3, 4, 6] {
        for depth in [ScrubDepth::Blocks, ScrubDepth::Parity] {
            let (_disks, store) = filled(disks, 3, settings_for_tests()).await;
            fill(&store, head(9), &body(9, 1000)).await.unwrap();
            fill(&store, head(10), &body(9, 0)).await.unwrap();
            let mut events = store.events().subscribe();
            store.core.scrub_now(depth);
            let found = store.core.scrub_findings();
            let small = disks.min(3);
            let expected = 3 * disks + 2 * small;
            assert_eq!(found.files, expected as u64, "{disks} {depth:?}");
            assert!(found.read_bytes > 0);
            let bad = (found.bad_shards, found.unread_files, found.unlike_objects);
            assert_eq!(bad, (0, 0, 0), "{disks} {depth:?}");
            assert_eq!(found.stray_files, 0, "{disks} {depth:?}");
            assert_eq!(corrupt_blocks(&store), ones(disks, &[]));
            assert_eq!(events.waiting(), None);
            assert_eq!(store.scrub().since_last_pass, Some(Duration::ZERO));
        }
    }
}

#[tokio::test]
async fn a_file_that_is_gone_is_found() {
    let (disks, store) = filled(4, 2, settings_for_tests()).await;
    disks[3].unlink(&path_on(&disks[3], 1)).unwrap();
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(store.scrub().bad_shards, 1);
    assert_eq!(missing(&store, 1), 1 << 3);
    assert_eq!(missing(&store, 2), 0);
}

#[tokio::test]
async fn a_disk_that_is_gone_is_out_and_no_shard_is_blamed() {
    let (disks, store) = filled(4, 2, settings_for_tests()).await;
    disks[1].remove();
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(store.scrub().bad_shards, 0);
    assert_eq!((missing(&store, 1), missing(&store, 2)), (0, 0));
    assert_eq!(store.core.array.live().len(), 3);
    assert_eq!(store.scrub().state, ScrubState::Idle);
}

#[tokio::test]
async fn files_that_nobody_knows_are_counted_and_stay() {
    let (disks, store) = filled(4, 1, settings_for_tests()).await;
    let path = path_on(&disks[2], 1);
    let bytes = disks[2].bytes(&path).unwrap();
    let other_generation = path.replacen("-0001", "-0077", 1);
    let strays = [other_generation.as_str(), "ec/010/notes.txt"];
    for stray in strays {
        disks[2].plant(stray, &bytes);
    }
    store.core.scrub_now(ScrubDepth::Blocks);
    let found = store.core.scrub_findings();
    assert_eq!((found.stray_files, found.bad_shards), (2, 0));
    for stray in strays {
        assert_eq!(disks[2].bytes(stray).as_deref(), Some(bytes.as_slice()));
    }
}

#[tokio::test]
async fn a_fault_that_says_nothing_is_looked_at_again() {
    let check = async |errno, times, unread, bad| {
        let (disks, store) = filled(4, 2, settings_for_tests()).await;
        disks[0].add_fault(Fault {
            operation: Operation::OpenUnbuffered,
            path_contains: path_on(&disks[0], 1),
            errno,
            times,
        });
        store.core.scrub_now(ScrubDepth::Blocks);
        let found = store.core.scrub_findings();
        let seen = (found.unread_files, found.bad_shards);
        assert_eq!(seen, (unread, bad), "errno {errno}, {times} times");
        assert_eq!(missing(&store, 1), u16::try_from(bad).unwrap());
    };
    check(libc::EMFILE, 1, 0, 0).await;
    check(libc::EMFILE, 2, 1, 0).await;
    check(libc::EIO, 1, 0, 1).await;
}

#[tokio::test]
async fn real_files_are_read_past_the_page_cache() {
    let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let devices = folders
        .iter()
        .map(|folder| Arc::new(FileDevice::new(folder.path())) as Arc<dyn Device>);
    let clock = Arc::new(ManualClock::default());
    let store = Store::open_without_timer(devices.collect(), settings_for_tests(), clock)
        .await
        .unwrap();
    let object = fill(&store, head(1), &body(1, LENGTH)).await.unwrap();
    let path = folders[2].path().join(object.name().shard(2).path());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    store.core.scrub_now(ScrubDepth::Parity);
    assert_eq!(store.scrub().bad_shards, 1);
    assert_eq!(missing(&store, 1), 1 << 2);
    assert_eq!(get(&store, 1).await, Some(body(1, LENGTH)));
}
