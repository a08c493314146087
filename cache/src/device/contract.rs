//! What every disk promises; run by the real one and by the double.

use super::file::FileDevice;
use super::memory::MemoryDevice;
use crate::ports::Device;
use std::io::{ErrorKind, IoSlice};

fn check(contract: impl Fn(&dyn Device)) {
    let folder = tempfile::tempdir().unwrap();
    contract(&FileDevice::new(folder.path().join("disk")));
    // Another file system where there is one: tmpfs reserves, syncs and reads past its cache in its own way.
    if let Ok(folder) = tempfile::tempdir_in("/dev/shm") {
        contract(&FileDevice::new(folder.path().join("disk")));
    }
    contract(&MemoryDevice::new());
}

#[test]
fn written_bytes_are_read_back_from_any_offset() {
    check(|device| {
        device.mkdir("").unwrap();
        let file = device.create("a").unwrap();
        file.write_all_at(
            &[
                IoSlice::new(b"hello "),
                IoSlice::new(b""),
                IoSlice::new(b"world"),
            ],
            3,
        )
        .unwrap();
        let mut buffer = [0; 5];
        file.read_exact_at(&mut buffer, 9).unwrap();
        assert_eq!(&buffer, b"world");
        assert_eq!(file.length().unwrap(), 14);
        let again = device.open("a", false).unwrap();
        again.read_exact_at(&mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"\0\0\0he");
    });
}

#[test]
fn thousands_of_buffers_are_one_write() {
    check(|device| {
        device.mkdir("").unwrap();
        let file = device.create("a").unwrap();
        let bytes: Vec<[u8; 3]> = (0..3000_u32)
            .map(|n| [n.to_le_bytes()[0], n.to_le_bytes()[1], 7])
            .collect();
        let slices: Vec<IoSlice<'_>> = bytes.iter().map(|part| IoSlice::new(part)).collect();
        file.write_all_at(&slices, 0).unwrap();
        let mut buffer = vec![0; 9000];
        file.read_exact_at(&mut buffer, 0).unwrap();
        assert_eq!(buffer, bytes.concat());
    });
}

#[test]
fn reading_past_the_end_says_so() {
    check(|device| {
        device.mkdir("").unwrap();
        let file = device.create("a").unwrap();
        file.write_all_at(&[IoSlice::new(b"abc")], 0).unwrap();
        let error = file.read_exact_at(&mut [0; 4], 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn create_refuses_an_existing_name_and_open_an_absent_one() {
    check(|device| {
        device.mkdir("").unwrap();
        device.create("a").unwrap();
        assert_eq!(
            device.create("a").unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!(
            device.open("b", false).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(
            device.open("b", true).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(device.unlink("b").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(
            device.create("absent/a").unwrap_err().kind(),
            ErrorKind::NotFound
        );
    });
}

#[test]
fn rename_replaces_and_needs_the_target_folder() {
    check(|device| {
        device.mkdir("").unwrap();
        for (name, text) in [("old", b"old"), ("new", b"new")] {
            device
                .create(name)
                .unwrap()
                .write_all_at(&[IoSlice::new(text)], 0)
                .unwrap();
        }
        assert_eq!(
            device.rename("new", "x/y").unwrap_err().kind(),
            ErrorKind::NotFound
        );
        device.rename("new", "old").unwrap();
        let mut buffer = [0; 3];
        device
            .open("old", false)
            .unwrap()
            .read_exact_at(&mut buffer, 0)
            .unwrap();
        assert_eq!(&buffer, b"new");
        assert_eq!(device.read_dir("").unwrap(), ["old"]);
    });
}

#[test]
fn an_unbuffered_read_finds_what_was_written_at_any_offset_and_length() {
    let content: Vec<u8> = (0..20_001_u32).map(|at| (at % 253) as u8).collect();
    check(|device| {
        device.mkdir("").unwrap();
        let file = device.create("a").unwrap();
        file.write_all_at(&[IoSlice::new(&content)], 0).unwrap();
        let unbuffered = device.open_unbuffered("a").unwrap();
        for (offset, length) in [
            (0, 1),
            (0, 4096),
            (4096, 4096),
            (4095, 2),
            (1, 20_000),
            (20_000, 1),
            (16_384, 3617),
            (0, 20_001),
        ] {
            let mut buffer = vec![0; length];
            unbuffered
                .read_exact_at(&mut buffer, offset as u64)
                .unwrap();
            assert_eq!(buffer, content[offset..offset + length], "{offset}");
        }
        assert_eq!(unbuffered.length().unwrap(), 20_001);
        assert!(!unbuffered.read_resident_at(&mut [0], 0));
    });
}

#[test]
fn an_unbuffered_read_knows_the_end_and_absent_files() {
    check(|device| {
        device.mkdir("").unwrap();
        let error = device.open_unbuffered("a").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let file = device.create("a").unwrap();
        let unbuffered = device.open_unbuffered("a").unwrap();
        for (length, bytes) in [(0, 1), (4096, 4097), (5000, 5001)] {
            file.truncate(length).unwrap();
            let error = unbuffered
                .read_exact_at(&mut vec![0; bytes], 0)
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{length}");
        }
    });
}

#[test]
fn an_unbuffered_read_sees_later_writes_and_outlives_the_name() {
    check(|device| {
        device.mkdir("").unwrap();
        let file = device.create("a").unwrap();
        file.write_all_at(&[IoSlice::new(b"before")], 0).unwrap();
        let unbuffered = device.open_unbuffered("a").unwrap();
        let mut buffer = [0; 6];
        unbuffered.read_exact_at(&mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"before");
        file.write_all_at(&[IoSlice::new(b"behind")], 0).unwrap();
        device.unlink("a").unwrap();
        unbuffered.read_exact_at(&mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"behind");
    });
}

#[test]
fn a_file_system_has_one_number() {
    check(|device| {
        device.mkdir("").unwrap();
        let number = device.file_system().unwrap();
        device.mkdir("folder").unwrap();
        assert_eq!(device.file_system().unwrap(), number);
    });
}

#[test]
fn two_folders_of_one_file_system_are_told_by_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let disks = ["one", "two"].map(|name| FileDevice::new(folder.path().join(name)));
    let error = disks[0].file_system().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let numbers = disks.map(|disk| {
        disk.mkdir("").unwrap();
        disk.file_system().unwrap()
    });
    assert_eq!(numbers[0], numbers[1]);

    let (one, two) = (MemoryDevice::new(), MemoryDevice::new());
    assert_ne!(one.file_system().unwrap(), two.file_system().unwrap());
    two.set_file_system(one.file_system().unwrap());
    assert_eq!(one.file_system().unwrap(), two.file_system().unwrap());
}

#[test]
fn an_unlinked_file_stays_readable_while_it_is_open() {
    check(|device| {
        device.mkdir("").unwrap();
        let file = device.create("a").unwrap();
        file.write_all_at(&[IoSlice::new(b"abc")], 0).unwrap();
        device.unlink("a").unwrap();
        let mut buffer = [0; 3];
        file.read_exact_at(&mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"abc");
        assert!(device.read_dir("").unwrap().is_empty());
    });
}

#[test]
fn folders_are_made_once_and_listed_with_files() {
    check(|device| {
        device.mkdir("").unwrap();
        device.mkdir("ec").unwrap();
        device.mkdir("ec").unwrap();
        device.mkdir("ec/abc").unwrap();
        device.create("ec/f").unwrap();
        let mut names = device.read_dir("ec").unwrap();
        names.sort();
        assert_eq!(names, ["abc", "f"]);
        assert_eq!(
            device.read_dir("nowhere").unwrap_err().kind(),
            ErrorKind::NotFound
        );
    });
}

#[test]
fn a_file_is_no_folder_and_a_folder_no_file() {
    check(|device| {
        device.mkdir("").unwrap();
        device.create("file").unwrap();
        device.mkdir("folder").unwrap();
        assert_eq!(
            device.read_dir("file").unwrap_err().kind(),
            ErrorKind::NotADirectory
        );
        assert_eq!(
            device.unlink("folder").unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
    });
}

#[test]
fn reserving_space_leaves_the_length_alone_and_truncate_changes_it() {
    check(|device| {
        device.mkdir("").unwrap();
        let file = device.create("a").unwrap();
        file.allocate(0).unwrap();
        file.allocate(100_000).unwrap();
        assert_eq!(file.length().unwrap(), 0);
        file.truncate(10).unwrap();
        assert_eq!(file.length().unwrap(), 10);
    });
}

#[test]
fn the_lock_has_one_owner_until_it_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (
        FileDevice::new(folder.path()),
        FileDevice::new(folder.path()),
    );
    assert!(one.lock("owner.lock").unwrap());
    assert!(!two.lock("owner.lock").unwrap());
    one.unlock();
    assert!(two.lock("owner.lock").unwrap());

    let memory = MemoryDevice::new();
    assert!(memory.lock("owner.lock").unwrap());
    assert!(!memory.lock("owner.lock").unwrap());
    memory.unlock();
    assert!(memory.lock("owner.lock").unwrap());
}

#[test]
fn syncs_space_and_boot_id_answer() {
    check(|device| {
        device.mkdir("").unwrap();
        let file = device.create("a").unwrap();
        file.sync_data().unwrap();
        device.sync_dir("").unwrap();
        device.sync_all().unwrap();
        let space = device.space().unwrap();
        assert!(space.free_bytes > 0 && space.free_bytes <= space.total_bytes);
        assert!(!device.boot_id().unwrap().is_empty());
        assert!(!device.name().is_empty());
    });
}

#[test]
fn a_path_never_leaves_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let device = FileDevice::new(folder.path());
    for path in ["../x", "/etc/x", "a/../../x", "./x"] {
        assert_eq!(
            device.create(path).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{path}"
        );
        assert_eq!(
            device.open_unbuffered(path).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{path}"
        );
    }
}
