//! Objects of every kind of length on every number of disks.

use super::*;
use crate::store::layout::{ObjectName, Slot};

const UNIT: usize = 64 * 1024;

/// Writes in pieces that respect no boundary.
async fn write(store: &Store, head: ObjectHead, bytes: &Bytes, is_known: bool) -> Arc<Object> {
    let length = is_known.then_some(bytes.len() as u64);
    let mut writer = store.begin(head, length).await.unwrap();
    for piece in bytes.chunks(77_777) {
        let (first, second) = piece.split_at(piece.len() / 3);
        let pieces = [first, second].map(Bytes::copy_from_slice);
        writer.append(pieces.into()).await.unwrap();
        check_partial(&writer, bytes).await;
    }
    writer.commit().await.unwrap()
}

/// The last readable bytes of what grows are those that were written.
async fn check_partial(writer: &ObjectWriter, bytes: &Bytes) {
    let readable = usize::try_from(writer.readable()).unwrap();
    let start = readable.saturating_sub(70_000);
    let read = writer.partial().read(start as u64, readable - start).await;
    if readable > 0 {
        assert_eq!(read.unwrap(), bytes.slice(start..readable));
    }
}

fn lengths(data_shards: usize) -> Vec<usize> {
    let stripe = data_shards * UNIT;
    vec![
        0,
        1,
        4095,
        4096,
        UNIT - 1,
        UNIT,
        UNIT + 1,
        stripe - 1,
        stripe,
        stripe + 1,
        stripe + data_shards * 4096 - 1,
        2 * stripe + 5,
    ]
}

/// Every file of the object is where its name says, and equally long.
fn check_files(rig: &Rig, name: &ObjectName) {
    let mut lengths = Vec::new();
    for (slot, shard) in name.shards() {
        let disk = &rig.disks[usize::from(slot.0)];
        lengths.push(disk.file_length(&shard.path()).unwrap());
    }
    assert!(
        lengths.iter().all(|length| *length == lengths[0]),
        "{lengths:?}"
    );
    let footprint = name.shard_footprint_bytes();
    assert!(lengths[0] <= footprint, "{} > {footprint}", lengths[0]);
    let members = name.placement.members;
    for number in 0..rig.disks.len() {
        let slot = DiskSlot(u8::try_from(number).unwrap());
        let of_it = |path: &&String| path.contains(&format!("-{:016x}-", name.sequence.0));
        let found = rig.objects_on(number).iter().filter(of_it).count();
        assert_eq!(found, usize::from(members.contains(slot)), "disk {number}");
    }
}

async fn check_ranges(object: &Object, bytes: &Bytes) {
    for start in (0..bytes.len()).step_by(UNIT) {
        for (offset, length) in [(start, 1), (start + 1000, 5000), (start + UNIT - 1, 2)] {
            let unit_end = (offset / UNIT_BYTES as usize + 1) * UNIT_BYTES as usize;
            let end = (offset + length).min(bytes.len()).min(unit_end);
            if offset < end {
                let read = object.read(offset as u64, end - offset).await.unwrap();
                assert_eq!(read, bytes.slice(offset..end), "{offset}..{end}");
            }
        }
    }
}

fn check_counters(rig: &Rig, store: &Store, names: &[ObjectName]) {
    for (number, disk) in store.stats().disks().iter().enumerate() {
        let slot = DiskSlot(u8::try_from(number).unwrap());
        let on_it = names
            .iter()
            .filter(|name| name.placement.members.contains(slot));
        let expected: u64 = on_it.map(ObjectName::shard_footprint_bytes).sum();
        assert_eq!(disk.stored_bytes.get(), expected, "disk {number}");
        assert_eq!(disk.filling_bytes.get(), 0, "disk {number}");
        assert_eq!(disk.unallocated_bytes.get(), 0, "disk {number}");
        assert_eq!(disk.errors.get() + disk.corrupt_blocks.get(), 0);
        assert!(files_in(&rig.disks[number], "tmp/").is_empty());
    }
    assert_eq!(store.stats().stripe_bytes.get(), 0);
    assert_eq!(store.stats().computed_units.get(), 0);
}

fn expected_members(store: &Store, rig: &Rig, key: u128, length: Option<u64>) -> Members {
    let all: Members = (0..rig.disks.len())
        .map(|number| DiskSlot(u8::try_from(number).unwrap()))
        .collect();
    store
        .core
        .policy
        .place(key, length, all, all)
        .unwrap()
        .members
}

async fn check_rig(disks: usize, parity: u8, lengths: &[usize]) {
    let rig = Rig::new(disks, parity);
    let store = rig.open().await;
    let mut kept = Vec::new();
    let cases = lengths
        .iter()
        .flat_map(|length| [(*length, true), (*length, false)]);
    for (number, (length, is_known)) in (0_u8..).zip(cases) {
        let bytes = body(u64::from(number) + 1, length);
        let object = write(&store, head(number), &bytes, is_known).await;
        let name = *object.name();
        assert_eq!(name.length, length as u64);
        let told = (is_known || length <= UNIT).then_some(length as u64);
        let members = expected_members(&store, &rig, name.slot.key, told);
        assert_eq!(name.placement.members, members, "{disks} disks, {length}");
        check_files(&rig, &name);
        assert!(read_all(&object).await.unwrap() == bytes);
        check_ranges(&object, &bytes).await;
        kept.push((number, bytes, name));
    }
    let names: Vec<_> = kept.iter().map(|(_, _, name)| *name).collect();
    check_counters(&rig, &store, &names);
    store.close(CLOSE).await;
    let store = rig.open().await;
    for (number, bytes, name) in &kept {
        let found = store.lookup(&key(*number)).await.remove(0);
        assert_eq!(found.name(), name);
        assert!(
            read_all(&found).await.unwrap() == *bytes,
            "{disks} disks, {name:?}"
        );
    }
    check_counters(&rig, &store, &names);
    for (number, ..) in &kept {
        store.forget(&key(*number)).await;
    }
    check_counters(&rig, &store, &[]);
    assert!((0..disks).all(|number| rig.objects_on(number).is_empty()));
}

#[tokio::test]
async fn every_length_goes_in_and_out_of_two_to_seven_disks() {
    for disks in 2..=7 {
        check_rig(disks, 2, &lengths(disks.saturating_sub(2).max(2))).await;
    }
}

#[tokio::test]
async fn every_length_goes_in_and_out_of_many_disks() {
    for disks in [8, 10, 12, 14] {
        check_rig(disks, 2, &lengths(disks.min(12) - 2)).await;
    }
}

#[tokio::test]
async fn every_length_goes_in_and_out_with_one_parity() {
    for disks in [2, 3, 4, 6, 14] {
        check_rig(disks, 1, &lengths((disks - 1).clamp(2, 10))).await;
    }
}

#[tokio::test]
async fn large_objects_have_large_units() {
    let large = 4 * 1024 * 1024;
    check_rig(4, 2, &[large - 1, large, large + 1]).await;
    check_rig(6, 2, &[10_000_001]).await;
}

#[tokio::test]
async fn digests_are_kept_and_found_again() {
    let mut rig = Rig::new(5, 2);
    rig.settings.sha256 = true;
    let store = rig.open().await;
    let bytes = body(1, LARGE);
    let digests = fill(&store, head(1), &bytes)
        .await
        .unwrap()
        .digests()
        .clone();
    assert!(digests.sha256.is_some());
    let rig = rig.killed();
    let found = rig.open().await.lookup(&key(1)).await.remove(0);
    assert_eq!(*found.digests(), digests);
}

#[tokio::test]
async fn a_dropped_writer_leaves_nothing_on_any_disk() {
    let rig = Rig::new(6, 2);
    let store = rig.open().await;
    for length in [Some(LARGE as u64), None] {
        let mut writer = store.begin(head(1), length).await.unwrap();
        writer.append(vec![body(1, 290_000)]).await.unwrap();
        writer.abandon().await;
    }
    check_counters(&rig, &store, &[]);
    let slot = Slot {
        key: key(1).short(),
        variant: 0,
    };
    assert!(lock(&store.core.index).find(slot.key).is_empty());
}
