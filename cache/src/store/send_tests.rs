//! Sending from the page cache, on a real file.

use crate::device::file::FileDevice;
use crate::store::tests::{body, fill, head, key, open_with};
use crate::store::*;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

async fn store_in(folder: &Path) -> Arc<Store> {
    let settings = StoreSettings {
        verify: Verify::Resident,
        ..settings_for_tests()
    };
    open_with(Arc::new(FileDevice::new(folder)), settings)
        .await
        .unwrap()
}

fn object_file(folder: &Path) -> PathBuf {
    let folders = std::fs::read_dir(folder.join("ec")).unwrap();
    let folder = folders.map(|entry| entry.unwrap().path()).next().unwrap();
    std::fs::read_dir(folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
}

/// Copies from the file to the socket as sendfile would.
fn send_to(
    socket: &UnixStream,
) -> impl FnOnce(std::os::fd::BorrowedFd<'_>, u64, usize) -> io::Result<usize> {
    move |file, offset, length| {
        let mut bytes = vec![0; length];
        std::fs::File::from(file.try_clone_to_owned()?).read_exact_at(&mut bytes, offset)?;
        let mut socket = socket;
        socket.write(&bytes)
    }
}

#[tokio::test]
async fn a_range_is_sent_only_after_this_process_has_verified_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_in(folder.path()).await;
    if !store.core.resident {
        println!("skipped: the page cache of this disk cannot be observed");
        return;
    }
    let body = body(5, 300_000);
    let object = fill(&store, head(1), &body).await.unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    assert!(matches!(
        object.send(0, 1000, send_to(&ours)),
        Sent::NotVerified
    ));
    object.read(0, 262_144).await.unwrap();
    let Sent::Bytes(sent) = object.send(10, 1000, send_to(&ours)) else {
        panic!("not sent")
    };
    let mut received = vec![0; sent];
    theirs.read_exact(&mut received).unwrap();
    assert_eq!(received, body.slice(10..10 + sent));
    assert!(
        matches!(object.send(262_144, 10, send_to(&ours)), Sent::NotVerified),
        "another unit"
    );
    let whole = object.send(262_000, 9_999_999, |_, _, length| Ok(length));
    assert!(
        matches!(whole, Sent::Bytes(144)),
        "stays inside its unit: {whole:?}"
    );
    assert!(
        matches!(object.send(300_000, 1, send_to(&ours)), Sent::NotVerified),
        "behind the end"
    );
    let full = object.send(0, 10, |_, _, _| Err(io::ErrorKind::WouldBlock.into()));
    assert!(matches!(full, Sent::WouldBlock));
    let broken = object.send(0, 10, |_, _, _| Err(io::ErrorKind::BrokenPipe.into()));
    assert!(matches!(broken, Sent::Failed(_)));
}

#[tokio::test]
async fn a_file_that_fails_below_a_send_is_read_instead() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_in(folder.path()).await;
    if !store.core.resident {
        println!("skipped: the page cache of this disk cannot be observed");
        return;
    }
    let object = fill(&store, head(1), &body(5, 1000)).await.unwrap();
    object.read(0, 1000).await.unwrap();
    let failed = object.send(0, 10, |_, _, _| {
        Err(io::Error::from_raw_os_error(libc::EIO))
    });
    assert!(matches!(failed, Sent::NotVerified), "{failed:?}");
    let again = object.send(0, 10, |_, _, length| Ok(length));
    assert!(
        matches!(again, Sent::NotVerified),
        "not before it is read: {again:?}"
    );
}

#[tokio::test]
async fn a_send_that_had_to_read_from_disk_is_checked_and_reports_rot() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_in(folder.path()).await;
    if !store.core.resident {
        println!("skipped: the page cache of this disk cannot be observed");
        return;
    }
    let object = fill(&store, head(1), &body(5, 262_144)).await.unwrap();
    object.read(0, 262_144).await.unwrap();
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(object_file(folder.path()))
        .unwrap();
    // The send itself rots the file, drops its pages and reads them back: what an eviction in between amounts to.
    let send = |_: std::os::fd::BorrowedFd<'_>, offset: u64, length: usize| {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes[..1], offset)?;
        file.write_all_at(&[bytes[0] ^ 1], offset)?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        file.read_exact_at(&mut bytes, offset)?;
        Ok(length)
    };
    assert!(matches!(object.send(0, 262_144, send), Sent::Corrupt));
    assert!(store.lookup(&key(1)).await.is_empty());
    assert_eq!(store.stats().disks()[0].corrupt_blocks.get(), 1);
    assert_eq!(store.stats().disks()[0].resend_checks.get(), 1);
}

#[tokio::test]
async fn a_dropped_page_is_not_sent_and_a_read_of_rotten_bytes_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_in(folder.path()).await;
    if !store.core.resident {
        println!("skipped: the page cache of this disk cannot be observed");
        return;
    }
    let object = fill(&store, head(1), &body(5, 262_144)).await.unwrap();
    object.read(0, 262_144).await.unwrap();
    let file = std::fs::File::options()
        .write(true)
        .open(object_file(folder.path()))
        .unwrap();
    file.write_all_at(&[0xAA, 0x55], 4096 + 70_000).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    assert!(matches!(
        object.send(0, 262_144, |_, _, length| Ok(length)),
        Sent::NotVerified
    ));
    assert!(matches!(
        object.read(0, 262_144).await,
        Err(StoreError::Corrupt { block: 1, .. })
    ));
}

#[tokio::test]
async fn verify_always_never_sends_unread_bytes_and_catches_rot_after_a_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(
        Arc::new(FileDevice::new(folder.path())),
        settings_for_tests(),
    )
    .await
    .unwrap();
    let object = fill(&store, head(1), &body(5, 100_000)).await.unwrap();
    object.read(0, 100_000).await.unwrap();
    assert!(matches!(
        object.send(0, 100, |_, _, length| Ok(length)),
        Sent::NotVerified
    ));
    let file = std::fs::File::options()
        .write(true)
        .open(object_file(folder.path()))
        .unwrap();
    file.write_all_at(&[0xAA, 0x55], 4096 + 70_000).unwrap();
    assert!(matches!(
        object.read(0, 100_000).await,
        Err(StoreError::Corrupt { block: 1, .. })
    ));
}

#[tokio::test]
async fn what_is_small_and_in_memory_is_read_at_once_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_in(folder.path()).await;
    let body = body(6, 16 * 1024);
    let object = fill(&store, head(1), &body).await.unwrap();
    let read = object.read_at_hand(100, 200);
    if read.is_none() && !store.core.resident {
        println!("skipped: this disk does not say what is in memory");
        return;
    }
    assert_eq!(read.as_deref(), body.get(100..300), "just written");
    assert_eq!(object.read_at_hand(0, 16 * 1024).as_deref(), Some(&*body));
    assert_eq!(object.read_at_hand(0, 0).as_deref(), Some(&b""[..]));
    assert!(object.read_at_hand(1, 16 * 1024).is_none(), "past the end");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(object_file(folder.path()));
    file.unwrap().write_all_at(b"x", 4096 + 9000).unwrap();
    assert!(object.read_at_hand(0, 10).is_none(), "its block is another");
    let read = object.read(0, 10).await;
    assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
}

#[tokio::test]
async fn what_is_larger_is_not_read_at_hand() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_in(folder.path()).await;
    let object = fill(&store, head(1), &body(7, 16 * 1024 + 1)).await;
    assert!(object.unwrap().read_at_hand(0, 10).is_none());
}

#[tokio::test]
async fn nothing_is_sent_from_a_shard_that_another_disk_has_made_up_for() {
    for disks in [2, 6] {
        let folder = tempfile::tempdir().unwrap();
        let folders: Vec<PathBuf> = (0..disks)
            .map(|disk| folder.path().join(disk.to_string()))
            .collect();
        let devices = folders
            .iter()
            .map(|folder| Arc::new(FileDevice::new(folder)) as Arc<dyn crate::ports::Device>);
        let settings = StoreSettings {
            verify: Verify::Resident,
            ..settings_for_tests()
        };
        let clock = Arc::new(crate::clock::ManualClock::default());
        let store = Store::open_without_timer(devices.collect(), settings, clock)
            .await
            .unwrap();
        if !store.core.resident {
            println!("skipped: the page cache of this disk cannot be observed");
            return;
        }
        let body = body(5, 262_144);
        let object = fill(&store, head(1), &body).await.unwrap();
        object.read(0, 262_144).await.unwrap();
        assert!(
            matches!(
                object.send(0, 10, |_, _, length| Ok(length)),
                Sent::Bytes(10)
            ),
            "{disks}"
        );
        // The file that the first bytes are sent from.
        let first = object.shards.candidates().next().unwrap();
        let disk = usize::from(object.shards.disk(first).unwrap().0);
        rot(&object_file(&folders[disk]), 4096 + 100);
        assert_eq!(object.read(0, 262_144).await.unwrap(), body, "{disks}");
        for object in [object, store.lookup(&key(1)).await.remove(0)] {
            let sent = object.send(0, 10, |_, _, length| Ok(length));
            assert!(matches!(sent, Sent::NotVerified), "{disks}: {sent:?}");
            assert_eq!(object.read(0, 262_144).await.unwrap(), body, "{disks}");
            let sent = object.send(0, 10, |_, _, length| Ok(length));
            assert!(matches!(sent, Sent::NotVerified), "{disks}: {sent:?}");
        }
    }
}

fn rot(file: &Path, offset: u64) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(file)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    file.sync_all().unwrap();
}
