//! What goes in comes out: sizes, ranges, variants, growing objects, replacement, forgetting, reopening.

use super::*;
use crate::device::file::FileDevice;

async fn check_sizes(device: Arc<dyn Device>) {
    let store = open_with(Arc::clone(&device), settings_for_tests())
        .await
        .unwrap();
    let sizes = [
        0, 1, 4095, 4096, 65_536, 65_537, 262_144, 262_145, 1_000_003,
    ];
    for (number, size) in (0..).zip(sizes) {
        let body = body(size as u64, size);
        let object = fill(&store, head(number), &body).await.unwrap();
        assert_eq!(object.digests().sha256.map(hex), Some(sha256_of(&body)));
        assert_eq!(get(&store, number).await.as_ref(), Some(&body), "{size}");
    }
    store.close(CLOSE).await;
    drop(store);
    let store = open_with(device, settings_for_tests()).await.unwrap();
    assert_eq!(store.stats().objects.get(), sizes.len() as u64);
    for (number, size) in (0..).zip(sizes) {
        assert_eq!(
            get(&store, number).await,
            Some(body(size as u64, size)),
            "{size} after reopening"
        );
    }
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256_of(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex(sha2::Sha256::digest(bytes).into())
}

#[tokio::test]
async fn objects_of_every_size_come_back_also_after_reopening() {
    check_sizes(Arc::new(MemoryDevice::new())).await;
    let folder = tempfile::tempdir().unwrap();
    check_sizes(Arc::new(FileDevice::new(folder.path().join("data")))).await;
}

#[tokio::test]
async fn any_range_inside_a_unit_is_served() {
    let store = open(&Arc::new(MemoryDevice::new())).await;
    let body = body(3, 600_000);
    let object = fill(&store, head(1), &body).await.unwrap();
    for (offset, length) in [
        (0, 1),
        (65_535, 2),
        (262_143, 1),
        (262_144, 262_144),
        (599_999, 1),
        (524_288, 75_712),
        (7, 0),
    ] {
        let read = object.read(offset as u64, length).await.unwrap();
        assert_eq!(
            read,
            body.slice(offset..offset + length),
            "{offset}+{length}"
        );
    }
    for (offset, length) in [(262_143, 2), (599_999, 2), (u64::MAX, 1), (600_001, 0)] {
        assert!(
            object.read(offset, length).await.is_err(),
            "{offset}+{length}"
        );
    }
    assert_eq!(
        get(&store, 1).await,
        Some(body),
        "a wrong question harms nothing"
    );
}

#[tokio::test]
async fn a_warm_lookup_answers_without_waiting_and_without_io() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    fill(&store, head(1), &body(1, 100)).await.unwrap();
    let calls = device.calls();
    let wanted = key(1);
    let lookup = store.lookup(&wanted);
    tokio::pin!(lookup);
    let std::task::Poll::Ready(found) = futures::poll!(lookup) else {
        panic!("it waited")
    };
    assert_eq!(found.len(), 1);
    assert!(store.lookup(&key(2)).await.is_empty());
    assert_eq!(device.calls(), calls);
}

#[tokio::test]
async fn another_key_with_the_same_128_bits_is_a_miss() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    fill(&store, head(1), &body(1, 100)).await.unwrap();
    let mut twin = [1; 32];
    twin[31] = 2;
    assert!(store.lookup(&CacheKey::from_bytes(twin)).await.is_empty());
    assert_eq!(store.lookup(&key(1)).await.len(), 1);
}

#[tokio::test]
async fn variants_live_side_by_side_newest_first() {
    let store = open(&Arc::new(MemoryDevice::new())).await;
    let selection =
        |value: &str| Selection(vec![("accept".into(), Some(value.as_bytes().to_vec()))]);
    for value in ["a", "b"] {
        let head = ObjectHead {
            selection: selection(value),
            ..head(1)
        };
        fill(&store, head, &Bytes::copy_from_slice(value.as_bytes()))
            .await
            .unwrap();
    }
    let found = store.lookup(&key(1)).await;
    assert_eq!(found.len(), 2);
    assert_eq!(read_all(&found[0]).await.unwrap(), "b");
    assert_eq!(found[1].head().selection, selection("a"));
}

#[tokio::test]
async fn a_growing_object_serves_its_whole_blocks() {
    let store = open(&Arc::new(MemoryDevice::new())).await;
    let body = body(9, 200_000);
    let mut writer = store.begin(head(1), None).await.unwrap();
    let partial = writer.partial();
    assert_eq!(writer.readable(), 0);
    writer.append(vec![body.slice(..100_000)]).await.unwrap();
    assert_eq!(writer.readable(), BLOCK_BYTES);
    assert_eq!(partial.read(10, 1000).await.unwrap(), body.slice(10..1010));
    assert!(
        partial.read(BLOCK_BYTES - 1, 2).await.is_err(),
        "the tail block stays with the caller"
    );
    writer.append(vec![body.slice(100_000..)]).await.unwrap();
    assert_eq!(writer.readable(), 3 * BLOCK_BYTES);
    assert!(
        store.lookup(&key(1)).await.is_empty(),
        "not a hit before its commit"
    );
    writer.commit().await.unwrap();
    assert_eq!(
        partial.read(196_608, 3392).await.unwrap(),
        body.slice(196_608..)
    );
    assert_eq!(get(&store, 1).await, Some(body));
}

#[tokio::test]
async fn a_body_of_another_length_than_promised_is_not_committed() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let mut writer = store.begin(head(1), Some(11)).await.unwrap();
    writer
        .append(vec![Bytes::from_static(b"0123456789")])
        .await
        .unwrap();
    assert!(writer.commit().await.is_err());
    assert!(store.lookup(&key(1)).await.is_empty());
    store.close(CLOSE).await;
    assert!(files_in(&device, "tmp").is_empty() && files_in(&device, "ec").is_empty());
}

#[tokio::test]
async fn a_dropped_writer_leaves_nothing() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    for (length, appended, files) in [
        (Some(200_000), 500, 1),
        (None, 100_000, 1),
        (Some(1000), 500, 0),
        (None, 500, 0),
    ] {
        let mut writer = store.begin(head(1), length).await.unwrap();
        writer.append(vec![body(1, appended)]).await.unwrap();
        // A small one has none before its commit.
        assert_eq!(files_in(&device, "tmp").len(), files);
        drop(writer);
        maintain(&store).await;
        assert!(files_in(&device, "tmp").is_empty());
        assert_eq!(store.stats().disks()[0].filling_bytes.get(), 0);
    }
}

#[tokio::test]
async fn an_abandoned_append_stops_the_writer() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let mut writer = store.begin(head(1), None).await.unwrap();
    device.hold(crate::device::memory::Operation::Write);
    {
        let append = writer.append(vec![body(1, 100_000)]);
        tokio::pin!(append);
        assert!(futures::poll!(append).is_pending());
    }
    device.release();
    assert!(writer.append(vec![body(1, 10)]).await.is_err());
    assert!(writer.commit().await.is_err());
}

#[tokio::test]
async fn a_replaced_object_stays_with_its_readers_and_its_file_until_the_next_sync() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let (old, new) = (body(1, 300_000), body(2, 1000));
    let reader = fill(&store, head(1), &old).await.unwrap();
    fill(&store, head(1), &new).await.unwrap();
    assert_eq!(get(&store, 1).await.as_ref(), Some(&new));
    assert_eq!(store.lookup(&key(1)).await.len(), 1);
    assert_eq!(files_in(&device, "ec/").len(), 2);
    maintain(&store).await;
    assert_eq!(files_in(&device, "ec/").len(), 1);
    assert_eq!(read_all(&reader).await.unwrap(), old);
    assert_eq!(
        store.stats().disks()[0].stored_bytes.get(),
        layout::Geometry::ONE_DISK.footprint_bytes(1000)
    );
}

#[tokio::test]
async fn strict_durability_replaces_at_once() {
    let device = Arc::new(MemoryDevice::new());
    let settings = StoreSettings {
        durability: Durability::Strict,
        ..settings_for_tests()
    };
    let store = open_with(Arc::clone(&device) as Arc<dyn Device>, settings)
        .await
        .unwrap();
    fill(&store, head(1), &body(1, 10)).await.unwrap();
    fill(&store, head(1), &body(2, 10)).await.unwrap();
    assert_eq!(files_in(&device, "ec/").len(), 1);
    assert_eq!(get(&store, 1).await, Some(body(2, 10)));
}

#[tokio::test]
async fn a_late_commit_of_an_older_sequence_does_not_win() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let mut late = store.begin(head(1), None).await.unwrap();
    fill(&store, head(1), &body(2, 20)).await.unwrap();
    late.append(vec![body(1, 10)]).await.unwrap();
    let object = late.commit().await.unwrap();
    assert_eq!(
        read_all(&object).await.unwrap(),
        body(1, 10),
        "its own readers still get it"
    );
    assert_eq!(get(&store, 1).await, Some(body(2, 20)));
    assert_eq!(files_in(&device, "ec/").len(), 1);
}

#[tokio::test]
async fn a_forgotten_object_is_gone_with_all_its_files() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    fill(&store, head(1), &body(1, 10)).await.unwrap();
    let reader = fill(&store, head(1), &body(2, 10)).await.unwrap();
    fill(&store, head(2), &body(3, 10)).await.unwrap();
    store.forget(&key(1)).await;
    assert!(store.lookup(&key(1)).await.is_empty());
    assert_eq!(files_in(&device, "ec/").len(), 1);
    assert_eq!(read_all(&reader).await.unwrap(), body(2, 10));
    let after = Arc::new(device.surviving(crate::device::memory::Survival::Kill));
    assert!(open(&after).await.lookup(&key(1)).await.is_empty());
}

#[tokio::test]
async fn a_closed_store_answers_closed() {
    let store = open(&Arc::new(MemoryDevice::new())).await;
    let object = fill(&store, head(1), &body(1, 10)).await.unwrap();
    let small = store.begin(head(2), None).await.unwrap();
    let mut large = store.begin(head(2), Some(200_000)).await.unwrap();
    store.close(CLOSE).await;
    assert!(matches!(object.read(0, 1).await, Err(StoreError::Closed)));
    assert!(matches!(
        large.append(vec![body(1, 1)]).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(small.commit().await, Err(StoreError::Closed)));
    assert!(matches!(
        store.begin(head(3), None).await,
        Err(StoreError::Closed)
    ));
}
