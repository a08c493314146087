//! Bytes that are not what was written are never returned, are counted, and the object becomes a miss.

use super::*;
use crate::device::memory::{Fault, Operation, Survival};

/// Commits one object, rots one byte of its file, and asks a fresh process for it.
async fn check_flip(size: usize, offset: impl Fn(u64) -> u64, what: &str) {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    fill(&store, head(1), &body(1, size)).await.unwrap();
    let path = files_in(&device, "ec/").remove(0);
    let device = Arc::new(device.surviving(Survival::Kill));
    assert!(
        device.flip(&path, offset(device.file_length(&path).unwrap())),
        "{what}"
    );
    let store = open(&device).await;
    if let Some(object) = store.lookup(&key(1)).await.first() {
        let error = read_all(object).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{what}: {error}"
        );
    }
    assert!(store.lookup(&key(1)).await.is_empty(), "{what}");
    assert_eq!(store.stats().disks()[0].corrupt_objects.get(), 1, "{what}");
    assert_eq!(store.stats().objects.get(), 0, "{what}");
    assert_eq!(store.stats().disks()[0].stored_bytes.get(), 0, "{what}");
    assert!(files_in(&device, "ec/").is_empty(), "{what}");
    assert_eq!(files_in(&device, "quarantine/").len(), 1, "{what}");
    fill(&store, head(1), &body(1, size)).await.unwrap();
    assert_eq!(get(&store, 1).await, Some(body(1, size)), "{what}: heals");
}

#[tokio::test]
async fn a_flipped_bit_in_any_region_is_caught_counted_and_healed() {
    check_flip(100_000, |_| 0, "magic").await;
    check_flip(100_000, |_| 100, "header fields").await;
    check_flip(100_000, |_| 4095, "header padding").await;
    check_flip(100_000, |_| 4096, "first byte").await;
    check_flip(100_000, |_| 4096 + 99_999, "last byte").await;
    check_flip(100_000, |_| 4096 + 102_400, "checksum table").await;
    check_flip(100_000, |length| length - 70, "footer fields").await;
    check_flip(100_000, |length| length - 30, "trailer").await;
    check_flip(100_000, |length| length - 1, "end of the trailer").await;
    check_flip(0, |length| length - 1, "trailer of an empty object").await;
}

#[tokio::test]
async fn rot_after_the_object_was_opened_is_caught_on_every_read() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let object = fill(&store, head(1), &body(1, 600_000)).await.unwrap();
    read_all(&object).await.unwrap();
    let path = files_in(&device, "ec/").remove(0);
    assert!(device.flip(&path, 4096 + 300_000));
    assert!(
        object.read(0, 262_144).await.is_ok(),
        "other units are fine"
    );
    let error = object.read(262_144, 262_144).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Corrupt { block: 4, .. }),
        "{error}"
    );
    assert!(store.lookup(&key(1)).await.is_empty());
    assert_eq!(store.stats().disks()[0].corrupt_blocks.get(), 1);
}

#[tokio::test]
async fn rot_in_a_growing_object_is_never_served_nor_committed() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let mut writer = store.begin(head(1), None).await.unwrap();
    writer.append(vec![body(1, 130_000)]).await.unwrap();
    let path = files_in(&device, "tmp/").remove(0);
    assert!(device.flip(&path, 4096 + 5));
    assert!(matches!(
        writer.partial().read(0, 10).await,
        Err(StoreError::Corrupt { block: 0, .. })
    ));
    assert!(writer.commit().await.is_err());
    assert!(store.lookup(&key(1)).await.is_empty());
}

#[tokio::test]
async fn a_file_under_the_name_of_another_object_is_not_believed() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    fill(&store, head(1), &body(1, 1000)).await.unwrap();
    let path = files_in(&device, "ec/").remove(0);
    let bytes = device.bytes(&path).unwrap();
    let device = Arc::new(device.surviving(Survival::Kill));
    for digit in ["f", "e"] {
        let name = path.replace("0101010101010101-", &format!("010101010101010{digit}-"));
        device.plant(&name, &bytes);
    }
    let store = open(&device).await;
    let mut twin = [1; 32];
    twin[15] = 0x0f;
    assert!(store.lookup(&CacheKey::from_bytes(twin)).await.is_empty());
    assert_eq!(get(&store, 1).await, Some(body(1, 1000)));
}

#[tokio::test]
async fn an_unreadable_disk_block_makes_the_object_a_miss() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let object = fill(&store, head(1), &body(1, 1000)).await.unwrap();
    let fault = Fault {
        operation: Operation::Read,
        path_contains: "ec/".into(),
        errno: libc::EIO,
        times: 1,
    };
    device.add_fault(fault);
    assert!(matches!(
        object.read(0, 10).await,
        Err(StoreError::Disk { .. })
    ));
    assert!(store.lookup(&key(1)).await.is_empty());
    assert_eq!(store.stats().disks()[0].errors.get(), 1);
}

#[tokio::test]
async fn a_deleted_file_is_a_miss_and_too_many_open_files_are_not() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    for number in [1, 2] {
        fill(&store, head(number), &body(1, 1000)).await.unwrap();
    }
    let device = Arc::new(device.surviving(Survival::Kill));
    let deleted = files_in(&device, "ec/010").remove(0);
    device.unlink(&deleted).unwrap();
    let store = open(&device).await;
    assert!(store.lookup(&key(1)).await.is_empty());
    assert_eq!(store.stats().objects.get(), 1);
    device.add_fault(Fault {
        operation: Operation::Open,
        path_contains: "ec/".into(),
        errno: libc::EMFILE,
        times: 2,
    });
    assert!(store.lookup(&key(2)).await.is_empty());
    assert_eq!(
        get(&store, 2).await,
        Some(body(1, 1000)),
        "it comes back when files can be opened again"
    );
}
