//! Copies of a file that differ, made equal.

use super::super::mirror::ReplicaLoss;
use super::super::record::{DOUBT, Record};
use super::*;
use crate::device::memory::{Fault, MemoryDevice, Operation, Survival};
use crate::ports::Device;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Mutex;

const POOL: [u8; 16] = [7; 16];
const LOG: Sequence = Sequence(0xab);

/// A file of records with these numbers and payloads of these lengths, and where each record begins.
fn file(records: &[(u64, usize)]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = segment::encode_header(POOL, LOG);
    let mut starts = Vec::new();
    for (number, length) in records {
        let at = bytes.len();
        starts.push(at);
        let payload = vec![number.to_le_bytes()[0]; *length];
        let record = Record {
            kind: DOUBT,
            number: *number,
            payload: &payload,
        };
        record.encode(LOG, at as u64, &mut bytes).unwrap();
    }
    (bytes, starts)
}

fn with_flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[at] ^= 1;
    flipped
}

fn check(case: &str, copies: &[&[u8]], expected: &[u8]) {
    for turn in 0..copies.len() {
        let mut turned = copies.to_vec();
        turned.rotate_left(turn);
        assert!(
            merged(&turned, POOL, LOG) == expected,
            "{case}, turn {turn}"
        );
    }
}

#[test]
fn what_one_copy_has_whole_all_of_them_have() {
    let (whole, at) = file(&[(1, 10), (2, 100), (3, 7), (4, 50)]);
    let flip = |place: usize| with_flip(&whole, place);
    check("equal", &[&whole, &whole], &whole);
    check(
        "torn",
        &[&whole[..at[3] + 9], &whole[..at[1] + 1], &whole],
        &whole,
    );
    check(
        "torn everywhere",
        &[&whole[..at[3] + 9], &whole[..at[1] + 1]],
        &whole[..at[3]],
    );
    check("one bit", &[&flip(at[1] + 40), &whole], &whole);
    check(
        "each is damaged elsewhere",
        &[&flip(at[0]), &flip(at[1] + 40), &flip(at[2] + 20)],
        &whole,
    );
    check("a bad header", &[&flip(3), &flip(at[2])], &whole);
    check("an empty one", &[&[], &whole], &whole);
    check("a half header", &[&whole[..32], &whole], &whole);
    check(
        "a torn tail of zeros",
        &[&whole, &[&whole[..at[3]], &[0; 40][..]].concat()],
        &whole,
    );
}

#[test]
fn what_nobody_has_stays_a_gap_and_nothing_stays_behind_the_last_record() {
    let (whole, at) = file(&[(1, 10), (2, 100), (3, 7)]);
    let (one, two) = (with_flip(&whole, at[1] + 40), with_flip(&whole, at[1] + 41));
    let content = merged(&[&one, &two], POOL, LOG);
    assert_eq!(content, one, "the gap keeps its place");
    let beyond = [&whole[..], &[1; 24]].concat();
    check("behind the end", &[&beyond, &whole], &whole);
    let bad = with_flip(&whole, 5);
    assert_eq!(
        merged(&[&bad, &bad], POOL, LOG),
        bad,
        "no header is invented"
    );
    assert_eq!(
        merged(&[&whole[..20], &whole[..40]], POOL, LOG),
        &whole[..40]
    );
}

#[test]
fn of_two_records_at_one_place_the_newer_one_counts() {
    let (old, _) = file(&[(1, 10), (2, 100)]);
    let (new, _) = file(&[(1, 10), (3, 20), (4, 20)]);
    check("an undone cut", &[&old, &new], &new);
}

/// As long as each record is whole somewhere, all of them are found.
#[test]
fn any_damage_that_leaves_one_whole_copy_of_each_record_is_undone() {
    for seed in 0..300 {
        let mut random = SmallRng::seed_from_u64(seed);
        let lengths: Vec<(u64, usize)> = (1..random.random_range(2..12))
            .map(|number| (number, random.random_range(0..300)))
            .collect();
        let (whole, mut bounds) = file(&lengths);
        bounds.push(whole.len());
        let mut copies = vec![whole.clone(); 3];
        for record in bounds.windows(2) {
            let spared = random.random_range(0..3);
            for (number, copy) in copies.iter_mut().enumerate() {
                if number != spared && random.random_bool(0.5) {
                    copy[random.random_range(record[0]..record[1])] ^=
                        1 << random.random_range(0..8);
                }
            }
        }
        let copies: Vec<&[u8]> = copies.iter().map(Vec::as_slice).collect();
        assert!(merged(&copies, POOL, LOG) == whole, "seed {seed}");
    }
}

/// Who was lost.
#[derive(Debug, Default)]
pub(in crate::store::log) struct Lost(pub(in crate::store::log) Mutex<Vec<u8>>);

impl ReplicaLoss for Lost {
    fn lost(&self, slot: DiskSlot, _: &'static str, _: &io::Error) {
        self.0.lock().unwrap().push(slot.0);
    }
}

/// A disk for each copy; `None`: it does not have the file.
fn disks(copies: &[Option<&[u8]>]) -> Vec<Arc<MemoryDevice>> {
    let disks = copies.iter().map(|copy| {
        let disk = Arc::new(MemoryDevice::new());
        disk.mkdir(segment::LOG).unwrap();
        disk.sync_all().unwrap();
        if let Some(bytes) = copy {
            disk.plant(&segment::path(LOG), bytes);
        }
        disk
    });
    disks.collect()
}

fn mirror_of(disks: &[Arc<MemoryDevice>]) -> (Arc<Mirror>, Arc<Lost>) {
    let lost = Arc::new(Lost::default());
    let replicas = (0..).zip(disks);
    let replicas = replicas
        .map(|(slot, disk)| (DiskSlot(slot), Arc::clone(disk) as Arc<dyn Device>))
        .collect();
    let loss = Arc::clone(&lost) as Arc<dyn ReplicaLoss>;
    (Mirror::new(replicas, loss), lost)
}

fn flaws(repairs: &[Repair]) -> Vec<(u8, Flaw)> {
    repairs
        .iter()
        .map(|repair| (repair.slot.0, repair.flaw))
        .collect()
}

#[test]
fn afterwards_all_disks_have_the_same_bytes_and_each_flaw_is_named() {
    let (whole, at) = file(&[(1, 10), (2, 100), (3, 7)]);
    let (torn, bad) = (&whole[..at[2] + 5], with_flip(&whole, at[1] + 40));
    let check = |copies: [Option<&[u8]>; 3], expected: &[(u8, Flaw)]| {
        let disks = disks(&copies);
        let (mirror, lost) = mirror_of(&disks);
        assert_eq!(flaws(&reconcile(&mirror, POOL).unwrap()), expected);
        for disk in &disks {
            // Also for a machine that dies right now.
            let after = disk.surviving(Survival::PowerLoss { seed: 1 });
            assert_eq!(after.bytes(&segment::path(LOG)).unwrap(), whole);
            assert_eq!(disk.paths().len(), 1, "nothing is left over");
        }
        assert_eq!(reconcile(&mirror, POOL).unwrap(), [], "once is enough");
        assert!(lost.0.lock().unwrap().is_empty());
    };
    check([Some(&whole), Some(&whole), Some(&whole)], &[]);
    check(
        [None, Some(&whole), None],
        &[(0, Flaw::Absent), (2, Flaw::Absent)],
    );
    check(
        [Some(torn), Some(&whole), Some(&[])],
        &[(0, Flaw::Torn), (2, Flaw::Torn)],
    );
    check(
        [Some(torn), Some(&bad), Some(&whole)],
        &[(0, Flaw::Torn), (1, Flaw::Damaged)],
    );
}

#[test]
fn a_copy_that_cannot_be_read_is_replaced_and_one_bad_place_costs_one_piece() {
    let (whole, _) = file(&[(1, 10), (2, 100_000), (3, 7)]);
    let read_fails = |times| Fault {
        operation: Operation::Read,
        path_contains: String::new(),
        errno: libc::EIO,
        times,
    };
    let two = disks(&[Some(&whole), Some(&whole)]);
    two[0].add_fault(read_fails(2)); // all of it, then its first piece
    let (mirror, _) = mirror_of(&two);
    assert_eq!(
        flaws(&reconcile(&mirror, POOL).unwrap()),
        [(0, Flaw::Damaged)]
    );
    assert_eq!(two[0].bytes(&segment::path(LOG)).unwrap(), whole);

    let huge = vec![0; 64 * 1024 * 1024 + 1];
    let two = disks(&[Some(&huge), Some(&whole)]);
    let (mirror, _) = mirror_of(&two);
    assert_eq!(
        flaws(&reconcile(&mirror, POOL).unwrap()),
        [(0, Flaw::Unreadable)]
    );
    assert_eq!(two[0].bytes(&segment::path(LOG)).unwrap(), whole);

    let two = disks(&[Some(&huge), None]);
    let (mirror, _) = mirror_of(&two);
    assert_eq!(
        reconcile(&mirror, POOL).unwrap(),
        [],
        "the replay is to find it"
    );
    assert_eq!(mirror.read_dir(segment::LOG).unwrap().len(), 1);
}

#[test]
fn a_disk_that_takes_no_copy_or_cannot_be_listed_is_lost() {
    let (whole, _) = file(&[(1, 10)]);
    for operation in [
        Operation::Write,
        Operation::Rename,
        Operation::SyncData,
        Operation::ReadFolder,
    ] {
        for errno in [libc::EIO, libc::ENOSPC] {
            let disks = disks(&[Some(&whole[..70]), Some(&whole), Some(&whole)]);
            disks[0].add_fault(Fault {
                operation,
                path_contains: String::new(),
                errno,
                times: 9,
            });
            let (mirror, lost) = mirror_of(&disks);
            reconcile(&mirror, POOL).unwrap();
            assert_eq!(*lost.0.lock().unwrap(), [0], "{operation:?}");
            assert_eq!(mirror.replicas(), [DiskSlot(1), DiskSlot(2)]);
        }
    }
}

/// A copy is as before or as it should be, wherever its disk or the machine dies.
#[test]
fn a_crash_while_copies_are_written_loses_nothing() {
    let (whole, at) = file(&[(1, 10), (2, 100), (3, 7)]);
    let (one, two) = (with_flip(&whole, at[0]), with_flip(&whole, at[1]));
    for call in 1..40 {
        let before = disks(&[Some(&one), Some(&two)]);
        before[1].crash_at(before[1].calls() + call);
        let (mirror, _) = mirror_of(&before);
        reconcile(&mirror, POOL).unwrap();
        let is_through = !before[1].has_crashed();
        for seed in 0..8 {
            let survival = Survival::PowerLoss { seed };
            let after: Vec<_> = before
                .iter()
                .map(|disk| Arc::new(disk.surviving(survival)))
                .collect();
            let (mirror, _) = mirror_of(&after);
            reconcile(&mirror, POOL).unwrap();
            for disk in &after {
                assert_eq!(
                    disk.bytes(&segment::path(LOG)).unwrap(),
                    whole,
                    "call {call}, seed {seed}"
                );
            }
        }
        if is_through {
            assert!(call > 8, "{call}");
            return;
        }
    }
    panic!("it never ran through");
}
