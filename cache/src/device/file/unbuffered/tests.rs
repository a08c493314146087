//! Both ways past the page cache read the same bytes, whatever the file system of the machine supports.

use super::*;
use rustix::io::ReadWriteFlags;
use std::os::fd::AsRawFd;

const PAGES: usize = 700;

/// Odd, so that no end of a page looks like another; not a multiple of anything.
fn content() -> Vec<u8> {
    let length = PAGES * ALIGNMENT_BYTES + 1234;
    (0..length)
        .map(|at| (at % 251) as u8 ^ (at >> 12) as u8)
        .collect()
}

/// The same file both ways.
fn both_ways(test: impl Fn(&UnbufferedFile, &[u8])) {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = (folder.path().join("shard"), content());
    std::fs::write(&path, &bytes).unwrap();
    test(&UnbufferedFile::open(&path).unwrap(), &bytes);
    test(
        &UnbufferedFile::past_the_cache(File::open(&path).unwrap()),
        &bytes,
    );
}

#[test]
fn any_offset_and_length_reads_the_bytes_of_the_file() {
    let length = content().len();
    let ranges = [
        (0, 1),
        (0, 4096),
        (4095, 2),
        (4096, 8192),
        (1, PIECE_BYTES),
        (0, PIECE_BYTES),
        (4095, PIECE_BYTES + 4097),
        (0, length),
        (777, length - 777),
        (length - 1, 1),
        (length - 1234, 1234),
        (length - 5000, 5000),
        (17, 0),
    ];
    both_ways(|file, bytes| {
        for (offset, length) in ranges {
            let mut buffer = vec![0xEE; length];
            file.read_exact_at(&mut buffer, offset as u64).unwrap();
            assert!(
                buffer == bytes[offset..offset + length],
                "{offset}+{length} {file:?}"
            );
        }
    });
}

#[test]
fn the_end_of_the_file_is_told_from_everything_else() {
    both_ways(|file, bytes| {
        let direct = file.direct.load(Ordering::SeqCst);
        let length = bytes.len();
        for (offset, wanted) in [(0, length + 1), (length, 1), (length - 1, 2), (1 << 40, 9)] {
            let mut buffer = vec![0; wanted];
            let error = file.read_exact_at(&mut buffer, offset as u64).unwrap_err();
            assert!(is_end(&error), "{offset}+{wanted} {error}");
        }
        assert_eq!(file.direct.load(Ordering::SeqCst), direct);
    });
}

#[test]
fn a_refusal_at_a_read_is_followed_by_the_other_way_for_good() {
    both_ways(|file, bytes| {
        file.give_up_direct().unwrap();
        let flags = rustix::fs::fcntl_getfl(&file.file).unwrap();
        assert!(!flags.contains(OFlags::DIRECT));
        let mut buffer = vec![0; 5000];
        file.read_exact_at(&mut buffer, 3).unwrap();
        assert_eq!(buffer, bytes[3..5003]);
    });
}

#[test]
fn such_a_file_is_not_written() {
    both_ways(|file, bytes| {
        let kinds = [
            file.write_all_at(&[io::IoSlice::new(b"x")], 0),
            file.allocate(1),
            file.truncate(0),
            file.sync_data(),
        ];
        for result in kinds {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::Unsupported);
        }
        assert!(file.descriptor().is_none());
        assert_eq!(file.length().unwrap(), bytes.len() as u64);
    });
}

/// Whether the first page and the last one are in the page cache, as far as the kernel tells.
fn is_resident(file: &File, length: usize) -> bool {
    let at = |offset: u64| {
        let mut byte = [0];
        let mut buffers = [io::IoSliceMut::new(&mut byte)];
        rustix::io::preadv2(file, &mut buffers, offset, ReadWriteFlags::NOWAIT) == Ok(1)
    };
    at(0) || at(length as u64 - 1)
}

#[test]
fn neither_way_leaves_pages_in_the_cache() {
    both_ways(|file, bytes| {
        let name = format!("/proc/self/fd/{}", file.file.as_raw_fd());
        let cached = File::open(name).unwrap();
        let mut buffer = vec![0; bytes.len()];
        cached.sync_all().unwrap();
        cached.read_exact_at(&mut buffer, 0).unwrap();
        let is_told = is_resident(&cached, bytes.len());
        rustix::fs::fadvise(&cached, 0, None, Advice::DontNeed).unwrap();
        if !is_told || is_resident(&cached, bytes.len()) {
            println!("not tested: this file system does not tell, or does not let go of pages");
            return;
        }
        cached.read_exact_at(&mut buffer, 0).unwrap();
        file.read_exact_at(&mut buffer, 0).unwrap();
        if !file.direct.load(Ordering::SeqCst) {
            assert!(!is_resident(&cached, bytes.len()));
        }
        rustix::fs::fadvise(&cached, 0, None, Advice::DontNeed).unwrap();
        // A page that some other processor is about to list cannot be dropped at that moment.
        let leaves_nothing = (0..100).any(|_| {
            file.read_exact_at(&mut buffer, 0).unwrap();
            !is_resident(&cached, bytes.len())
        });
        assert!(leaves_nothing, "{file:?}");
        assert!(buffer == bytes);
    });
}
