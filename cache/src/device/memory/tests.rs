//! What the double promises to the tests that use it, beyond the contract of the port.

use super::*;
use crate::ports::{Device, DeviceFile};
use std::io::IoSlice;
use std::thread;

fn errno(result: io::Result<impl Sized>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn write(file: &dyn DeviceFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(&[IoSlice::new(bytes)], offset)
}

fn boot(number: u64) -> String {
    format!("boot-{number}")
}

/// A disk with one synced file.
fn disk_with(path: &str, bytes: &[u8]) -> MemoryDevice {
    let disk = MemoryDevice::new();
    write(&*disk.create(path).unwrap(), bytes, 0).unwrap();
    disk.sync_all().unwrap();
    disk
}

/// What is on the platter: nothing that was not synced.
fn platter(disk: &MemoryDevice, path: &str) -> Option<Vec<u8>> {
    let state = disk.shared.lock();
    state.durable.content(path).cloned()
}

#[test]
fn a_hanging_disk_keeps_every_call_until_it_is_released() {
    let disk = disk_with("a", b"bytes");
    let file = disk.open("a", false).unwrap();
    disk.hang();
    thread::scope(|scope| {
        let calls = [
            scope.spawn(|| disk.open("a", false).map(|_| ())),
            scope.spawn(|| disk.rename("a", "b")),
            scope.spawn(|| disk.sync_all()),
            scope.spawn(|| file.read_exact_at(&mut [0; 5], 0)),
            scope.spawn(|| file.sync_data()),
        ];
        let all_hang = disk.wait_until_hanging(5);
        let seen = (disk.hanging(), disk.boot_id().ok(), disk.bytes("a"));
        let one_ended = calls.iter().any(thread::ScopedJoinHandle::is_finished);
        // What fails now fails a call that hung, too.
        disk.add_fault(Fault {
            operation: Operation::SyncData,
            path_contains: String::new(),
            errno: libc::EIO,
            times: 1,
        });
        // Released before anything is asserted: a failing test must not wait for its threads.
        disk.release();
        assert!(all_hang && !one_ended);
        let expected = (5, Some(boot(1)), Some(b"bytes".to_vec()));
        assert_eq!(seen, expected);
        let failed = calls.map(|call| call.join().unwrap().is_err());
        // The first one may lose the race with the rename.
        assert_eq!(failed[1..], [false, false, false, true]);
    });
    assert_eq!(disk.hanging(), 0);
    disk.space().unwrap();
}

#[test]
fn a_released_call_goes_on_though_the_disk_hangs_again() {
    let disk = disk_with("a", b"bytes");
    disk.hang();
    thread::scope(|scope| {
        let call = scope.spawn(|| disk.sync_all());
        let hangs = disk.wait_until_hanging(1);
        disk.release();
        disk.hang();
        call.join().unwrap().unwrap();
        disk.release();
        assert!(hangs);
    });
}

#[test]
fn several_kinds_of_calls_can_be_held() {
    let disk = disk_with("a", b"bytes");
    disk.hold(Operation::Space);
    disk.hold(Operation::SyncAll);
    thread::scope(|scope| {
        let space = scope.spawn(|| disk.space().map(|_| ()));
        let sync = scope.spawn(|| disk.sync_all());
        let both_hang = disk.wait_until_hanging(2);
        let opened = disk.open("a", false);
        disk.release();
        assert!(both_hang && opened.is_ok());
        space.join().unwrap().unwrap();
        sync.join().unwrap().unwrap();
    });
}

#[test]
fn a_removed_disk_is_an_empty_folder_and_its_open_files_go_on() {
    let disk = disk_with("a", b"bytes");
    let file = disk.open("a", true).unwrap();
    let number = disk.file_system().unwrap();
    disk.remove();
    let refused = [
        errno(disk.open("a", false)),
        errno(disk.open_unbuffered("a")),
        errno(disk.create("b")),
        errno(disk.rename("a", "b")),
        errno(disk.unlink("a")),
        errno(disk.mkdir("folder")),
        errno(disk.read_dir("folder")),
        errno(disk.lock("owner.lock")),
    ];
    assert_eq!(refused, [Some(libc::ENOENT); 8]);
    assert!(disk.read_dir("").unwrap().is_empty());
    assert_ne!(disk.file_system().unwrap(), number);
    write(&*file, b"B", 0).unwrap();
    disk.sync_all().unwrap();
    assert_eq!(platter(&disk, "a").unwrap(), b"bytes");
    file.sync_data().unwrap();
    assert_eq!(platter(&disk, "a").unwrap(), b"Bytes");
    disk.restore();
    assert_eq!(disk.read_dir("").unwrap(), ["a"]);
    assert_eq!(disk.file_system().unwrap(), number);
}

#[test]
fn a_dead_disk_answers_everything_with_eio_until_it_is_restored() {
    let disk = disk_with("a", b"bytes");
    let file = disk.open("a", true).unwrap();
    disk.die();
    let refused = [
        errno(disk.open("a", false)),
        errno(disk.create("b")),
        errno(disk.read_dir("")),
        errno(disk.sync_all()),
        errno(disk.space()),
        errno(disk.file_system()),
        errno(file.read_exact_at(&mut [0], 0)),
        errno(write(&*file, b"x", 0)),
        errno(file.length()),
    ];
    assert_eq!(refused, [Some(libc::EIO); 9]);
    disk.restore();
    file.read_exact_at(&mut [0], 0).unwrap();
    assert_eq!(disk.bytes("a").unwrap(), b"bytes");
}

#[test]
fn damage_is_in_the_cache_and_on_the_platter() {
    type Damage = fn(&MemoryDevice) -> bool;
    let content: Vec<u8> = (0..10_000_u32).map(|at| (at % 256) as u8).collect();
    let check = |damage: Damage, changed: std::ops::Range<usize>| {
        let disk = disk_with("a", &content);
        assert!(damage(&disk));
        let found = disk.bytes("a").unwrap();
        assert_eq!(platter(&disk, "a").unwrap(), found);
        let differ = |at: &usize| found[*at] != content[*at];
        assert_eq!((0..10_000).find(differ), Some(changed.start));
        assert_eq!((0..10_000).rfind(differ), Some(changed.end - 1));
        assert_eq!(found.len(), content.len());
    };
    check(|disk| disk.flip("a", 77), 77..78);
    check(|disk| disk.flip_page("a", 5000), 4096..8192);
    check(|disk| disk.flip_page("a", 9999), 8192..10_000);
    check(|disk| disk.write_garbage("a", 10, b"\xFF\xFE"), 10..12);
    check(|disk| disk.swap_blocks("a", 1, "a", 9001, 2), 1..9003);
}

#[test]
fn damage_beyond_the_end_is_refused_and_does_nothing() {
    let disk = disk_with("a", b"bytes");
    let done = [
        disk.flip("a", 5),
        disk.flip("b", 0),
        disk.flip_page("a", 5),
        disk.flip_page("b", 0),
        disk.write_garbage("a", 3, b"123"),
        disk.swap_blocks("a", 0, "a", 3, 3),
        disk.swap_blocks("a", 0, "b", 0, 1),
    ];
    assert_eq!(done, [false; 7]);
    assert_eq!(disk.bytes("a").unwrap(), b"bytes");
}

#[test]
fn a_sync_does_not_heal_damage() {
    let disk = MemoryDevice::new();
    let file = disk.create("a").unwrap();
    write(&*file, b"bytes", 0).unwrap();
    disk.flip("a", 0);
    disk.sync_all().unwrap();
    assert_eq!(platter(&disk, "a").unwrap(), b"cytes");
}

#[test]
fn swapped_blocks_are_each_in_the_place_of_the_other() {
    let disk = disk_with("a", b"first block");
    disk.plant("b", b"other stuff");
    assert!(disk.swap_blocks("a", 0, "b", 6, 5));
    assert_eq!(disk.bytes("a").unwrap(), b"stuff block");
    assert_eq!(disk.bytes("b").unwrap(), b"other first");
}

#[test]
fn a_phantom_write_is_acknowledged_and_dropped_once() {
    let disk = disk_with("a", b"old");
    let file = disk.open("a", true).unwrap();
    disk.phantom_write("b");
    write(&*file, b"mid", 0).unwrap();
    assert_eq!(disk.bytes("a").unwrap(), b"mid");
    disk.phantom_write("a");
    write(&*file, b"longer", 0).unwrap();
    assert_eq!(disk.bytes("a").unwrap(), b"mid\0\0\0");
    write(&*file, b"longer", 0).unwrap();
    assert_eq!(disk.bytes("a").unwrap(), b"longer");
}

#[test]
fn a_group_counts_together_and_crashes_together() {
    let disks = MemoryDevice::group(3);
    let files: Vec<_> = disks.iter().map(|disk| disk.create("a").unwrap()).collect();
    assert!(disks.iter().all(|disk| disk.calls() == 3));
    disks[0].crash_at(5);
    write(&*files[0], b"whole!", 0).unwrap();
    write(&*files[1], b"torn!!", 0).unwrap_err();
    write(&*files[2], b"absent", 0).unwrap_err();
    assert!(disks.iter().all(|disk| disk.has_crashed()));
    assert!(disks[0].space().is_err());
    let names: Vec<_> = disks.iter().map(|disk| disk.name()).collect();
    assert_eq!(names, ["memory-0", "memory-1", "memory-2"]);

    let killed = MemoryDevice::survivors(&disks, Survival::Kill);
    let contents: Vec<_> = killed.iter().map(|disk| disk.bytes("a").unwrap()).collect();
    assert_eq!(contents, [&b"whole!"[..], b"tor", b""]);
    killed[2].space().unwrap();
    assert_eq!(killed[0].calls(), 1);
    assert_eq!(killed[1].boot_id().unwrap(), boot(1));
    assert_eq!(killed[1].name(), "memory-1");
}

#[test]
fn a_power_loss_is_one_boot_for_all_disks_and_another_luck_for_each() {
    let disks = MemoryDevice::group(4);
    for disk in &disks {
        write(&*disk.create("synced").unwrap(), b"kept", 0).unwrap();
        disk.sync_all().unwrap();
        disk.create("not").unwrap();
    }
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let left = MemoryDevice::survivors(&disks, Survival::PowerLoss { seed });
        for (before, disk) in disks.iter().zip(&left) {
            assert_eq!(disk.bytes("synced").unwrap(), b"kept", "seed {seed}");
            assert_eq!(disk.boot_id().unwrap(), boot(2));
            assert_eq!(disk.file_system().unwrap(), before.file_system().unwrap());
        }
        let kept: Vec<bool> = left
            .iter()
            .map(|disk| disk.bytes("not").is_some())
            .collect();
        outcomes.insert(kept);
    }
    assert!(outcomes.len() > 4, "{outcomes:?}");
}

#[test]
fn a_replacement_is_empty_and_crashes_with_its_machine() {
    let disk = disk_with("a", b"bytes");
    let replacement = disk.another("replacement");
    assert_eq!(replacement.name(), "replacement");
    assert!(replacement.read_dir("").unwrap().is_empty());
    assert_ne!(
        replacement.file_system().unwrap(),
        disk.file_system().unwrap()
    );
    disk.crash_at(disk.calls() + 1);
    assert!(replacement.space().is_err());
    assert!(disk.has_crashed());
}

#[test]
fn a_full_disk_leaves_the_others_of_its_group_alone() {
    let disks = MemoryDevice::group(2);
    disks[0].limit_bytes(3);
    for (disk, fits) in disks.iter().zip([false, true]) {
        let file = disk.create("a").unwrap();
        assert_eq!(write(&*file, b"four", 0).is_ok(), fits);
    }
}
