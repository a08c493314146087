//! Shards whose checksums fit and whose bytes are wrong: what the parity, the copies and the digests say.

use super::super::super::checksum::ShardIdentity;
use super::super::super::footer::Footer;
use super::super::super::layout::ShardName;
use super::super::super::shard::Shard;
use super::*;

/// What the footer of a crafted shard says of the tables of all shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digests {
    /// What was written.
    AsWritten,
    /// Nothing.
    Absent,
}

/// Writes a shard anew with a footer that fits, after `change` was done to its data.
fn craft(store: &Store, disk: &MemoryDevice, path: &str, digests: Digests, change: fn(&mut [u8])) {
    let name = ShardName::of_path(path).unwrap();
    let opened = Shard::open(disk, store.core.pool_id, name).unwrap();
    let start = usize::try_from(opened.shard.data_start).unwrap();
    let length = usize::try_from(name.data_bytes()).unwrap();
    let mut bytes = disk.bytes(path).unwrap();
    change(&mut bytes[start..start + length]);
    let identity: ShardIdentity = name.identity();
    let blocks = bytes[start..start + length].chunks(BLOCK_BYTES as usize);
    let table = (0_u64..).zip(blocks);
    let footer = Footer {
        table: table
            .map(|(block, bytes)| identity.checksum(block, bytes))
            .collect(),
        length: name.data_bytes(),
        digests: opened.digests,
        table_digests: match digests {
            Digests::AsWritten => opened.table_digests,
            Digests::Absent => Vec::new(),
        },
    };
    bytes.truncate(start + length.next_multiple_of(4096));
    bytes.extend_from_slice(&footer.encode(identity, opened.shard.data_start));
    disk.plant(path, &bytes);
}

fn change_a_few(data: &mut [u8]) {
    for byte in data.iter_mut().skip(70).step_by(9).take(40) {
        *byte ^= 0x5a;
    }
}

/// One object, and a liar among its shards.
async fn with_a_liar(
    disks: usize,
    liars: &[usize],
    length: usize,
    parity: u8,
    digests: Digests,
) -> (Disks, Arc<Store>) {
    let settings = StoreSettings {
        parity,
        ..settings_for_tests()
    };
    let disks = MemoryDevice::group(disks);
    let store = open_disks(&disks, settings).await;
    fill(&store, head(1), &body(1, length)).await.unwrap();
    for (at, disk) in disks.iter().enumerate() {
        let change = match liars.contains(&at) {
            true => change_a_few,
            false => |_: &mut [u8]| {},
        };
        craft(&store, disk, &path_on(disk, 1), digests, change);
    }
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(store.scrub().bad_shards, 0, "the checksums fit");
    (disks, store)
}

#[tokio::test]
async fn the_syndrome_names_the_liar() {
    for count in [4, 6] {
        for liar in 0..count {
            let what = format!("{liar} of {count}");
            let (disks, store) = with_a_liar(count, &[liar], LENGTH, 2, Digests::Absent).await;
            let mut events = store.events().subscribe();
            store.core.scrub_now(ScrubDepth::Parity);
            assert_eq!(store.scrub().bad_shards, 1, "{what}");
            assert_eq!(store.scrub().depth, ScrubDepth::Parity);
            assert_eq!(missing(&store, 1), 1 << liar, "{what}");
            assert_eq!(corrupt_blocks(&store), ones(count, &[liar]), "{what}");
            let name = disks[liar].name().to_owned();
            assert_eq!(corrupt_disks(&mut events), [name], "{what}");
            assert_eq!(get(&store, 1).await, Some(body(1, LENGTH)), "{what}");
        }
    }
}

async fn check_unlike(disks: usize, liars: &[usize], length: usize, parity: u8) {
    let what = format!("{liars:?} of {disks}, {length} bytes, parity {parity}");
    let (_disks, store) = with_a_liar(disks, liars, length, parity, Digests::Absent).await;
    let mut events = store.events().subscribe();
    store.core.scrub_now(ScrubDepth::Parity);
    let found = store.core.scrub_findings();
    let seen = (found.unlike_objects, found.bad_shards);
    assert_eq!(seen, (1, 0), "{what}");
    assert_eq!(missing(&store, 1), 0, "{what}: left as it is");
    assert_eq!(events.waiting(), None, "{what}");
}

#[tokio::test]
async fn contradictions_that_name_nobody_are_told_and_left_alone() {
    check_unlike(6, &[1, 4], LENGTH, 2).await;
    check_unlike(4, &[2], LENGTH, 1).await;
    check_unlike(2, &[1], 1000, 2).await;
    check_unlike(3, &[0], 1000, 2).await;
    check_unlike(3, &[2], LENGTH, 2).await;
}

async fn check_named(disks: usize, liar: usize, length: usize, parity: u8) {
    let what = format!("{liar} of {disks}, {length} bytes, parity {parity}");
    let (_disks, store) = with_a_liar(disks, &[liar], length, parity, Digests::AsWritten).await;
    store.core.scrub_now(ScrubDepth::Parity);
    let found = store.core.scrub_findings();
    let seen = (found.unlike_objects, found.bad_shards);
    assert_eq!(seen, (0, 1), "{what}");
    assert_eq!(missing(&store, 1), 1 << liar, "{what}");
    assert_eq!(get(&store, 1).await, Some(body(1, length)), "{what}");
}

#[tokio::test]
async fn the_digests_of_the_others_name_the_liar_where_no_syndrome_does() {
    check_named(4, 2, LENGTH, 1).await;
    check_named(2, 0, 1000, 2).await;
    check_named(2, 1, LENGTH, 2).await;
    check_named(3, 1, 1000, 2).await;
}

#[tokio::test]
async fn a_shard_that_fails_its_checksum_is_named_once_in_a_deep_pass() {
    for at in 0..6 {
        let (disks, store) = filled(6, 3, settings_for_tests()).await;
        assert!(disks[at].flip(&path_on(&disks[at], 2), 4096 + 70_000));
        store.core.scrub_now(ScrubDepth::Parity);
        assert_eq!(store.scrub().bad_shards, 1, "{at}");
        assert_eq!(missing(&store, 2), 1 << at);
        assert_eq!(corrupt_blocks(&store), ones(6, &[at]));
    }
}

#[tokio::test]
async fn an_object_that_lacks_a_shard_is_read_and_not_compared() {
    let (disks, store) = with_a_liar(6, &[1], LENGTH, 2, Digests::Absent).await;
    disks[5].unlink(&path_on(&disks[5], 1)).unwrap();
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(missing(&store, 1), 1 << 5);
    store.core.scrub_now(ScrubDepth::Parity);
    let found = store.core.scrub_findings();
    assert_eq!((found.unlike_objects, found.bad_shards), (0, 1));
}
