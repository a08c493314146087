//! Rows of the list of hostile cases, and of the requirements of others, that the store answers by itself.

use super::*;
use crate::device::memory::Survival;
use http::{HeaderName, HeaderValue};
use weir_policies::effect::ExpectedDigests;

fn variant(number: u32) -> ObjectHead {
    let value = number.to_string().into_bytes();
    ObjectHead {
        selection: Selection(vec![("accept".into(), Some(value))]),
        ..head(1)
    }
}

#[tokio::test]
async fn row_79_a_thousand_variants_are_capped() {
    let device: Arc<dyn Device> = Arc::new(MemoryDevice::new());
    let clock = Arc::new(ManualClock::default());
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let store = Store::open_without_timer(vec![device], settings_for_tests(), shared)
        .await
        .unwrap();
    let loved = fill(&store, variant(0), &body(1, 10)).await.unwrap();
    for number in 1..1000 {
        clock.advance(Duration::from_secs(1));
        loved.touch();
        fill(&store, variant(number), &body(1, 10)).await.unwrap();
    }
    let found = store.lookup(&key(1)).await;
    let kept: Vec<_> = found
        .iter()
        .map(|object| object.head().selection.clone())
        .collect();
    let expected: Vec<_> = (937..1000)
        .rev()
        .chain([0])
        .map(|number| variant(number).selection)
        .collect();
    assert_eq!(kept, expected, "the newest, and the one that is used");
    assert_eq!(store.stats().objects.get(), 64);
    assert_eq!(store.stats().variants_capped.get(), 936);
}

/// 64 KiB of fields: every byte a value may have, repeated names, empty values, an order that no sort keeps.
fn many_fields() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let every: Vec<u8> = (0x20..=0xff).filter(|byte| *byte != 0x7f).collect();
    for number in 0..380_usize {
        let name = format!("x-{}", (number * 37) % 101);
        let value = match number % 5 {
            0 => Vec::new(),
            _ => [number.to_string().as_bytes(), &every].concat(),
        };
        let name = HeaderName::try_from(name).unwrap();
        headers.append(name, HeaderValue::from_bytes(&value).unwrap());
    }
    headers
}

#[tokio::test]
async fn row_94_64_kib_of_fields_survive_a_restart_byte_for_byte() {
    let headers = many_fields();
    let fields: Vec<_> = headers.iter().collect();
    let bytes: usize = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    assert!(bytes >= 64 * 1024, "{bytes}");
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let stored = ObjectHead {
        headers: headers.clone(),
        ..head(1)
    };
    fill(&store, stored, &body(1, 10)).await.unwrap();
    let object = fill(&store, head(2), &body(1, 10)).await.unwrap();
    let amended = crate::object::Amendment {
        headers: headers.clone(),
        ..super::amendment::amendment(1)
    };
    store.amend(&object, amended).await.unwrap().unwrap();
    let device = Arc::new(device.surviving(Survival::Kill));
    let store = open(&device).await;
    for number in [1, 2] {
        let found = store.lookup(&key(number)).await.remove(0);
        let found: Vec<_> = found.head().headers.iter().collect();
        assert_eq!(found, fields, "{number}");
    }
}

const HELLO_MD5: [u8; 16] = [
    0x5d, 0x41, 0x40, 0x2a, 0xbc, 0x4b, 0x2a, 0x76, 0xb9, 0x71, 0x9d, 0x91, 0x10, 0x17, 0xc5, 0x92,
];

async fn verified(
    store: &Store,
    bytes: &'static [u8],
    expected: ExpectedDigests,
) -> Result<Arc<Object>, StoreError> {
    let mut writer = store.begin_verified(head(1), None, expected).await?;
    writer.append(vec![Bytes::from_static(bytes)]).await?;
    writer.commit().await
}

#[tokio::test]
async fn row_96_a_body_with_another_digest_is_quarantined_and_never_seen() {
    let device = Arc::new(MemoryDevice::new());
    let settings = StoreSettings {
        sha256: false,
        ..settings_for_tests()
    };
    let store = open_with(Arc::clone(&device) as Arc<dyn Device>, settings)
        .await
        .unwrap();
    let md5 = ExpectedDigests {
        md5: Some(HELLO_MD5),
        sha256: None,
    };
    let error = verified(&store, b"hellO", md5).await.unwrap_err();
    let StoreError::Digest { expected, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(expected, "md5:5d41402abc4b2a76b9719d911017c592");
    assert!(store.lookup(&key(1)).await.is_empty());
    assert_eq!(store.stats().digest_mismatches.get(), 1);
    assert_eq!(files_in(&device, "quarantine/").len(), 1);
    assert!(files_in(&device, "tmp/").is_empty() && files_in(&device, "ec/").is_empty());
    assert_eq!(store.stats().disks()[0].filling_bytes.get(), 0);

    let object = verified(&store, b"hello", md5).await.unwrap();
    assert_eq!(object.digests().md5, Some(HELLO_MD5));
    assert_eq!(object.digests().sha256, None, "nobody asked for it");
    let device = Arc::new(device.surviving(Survival::Kill));
    let store = open(&device).await;
    let found = store.lookup(&key(1)).await.remove(0);
    assert_eq!(
        found.digests().md5,
        Some(HELLO_MD5),
        "it stands in the file"
    );
}

#[tokio::test]
async fn a_wrong_sha256_is_refused_although_digests_are_off_and_replaces_nothing() {
    let device = Arc::new(MemoryDevice::new());
    let settings = StoreSettings {
        sha256: false,
        ..settings_for_tests()
    };
    let store = open_with(Arc::clone(&device) as Arc<dyn Device>, settings)
        .await
        .unwrap();
    fill(&store, head(1), &body(1, 10)).await.unwrap();
    for _ in 0..20 {
        let sha256 = ExpectedDigests {
            sha256: Some([7; 32]),
            md5: None,
        };
        let refused = verified(&store, b"hello", sha256).await;
        assert!(matches!(refused, Err(StoreError::Digest { .. })));
    }
    assert_eq!(get(&store, 1).await, Some(body(1, 10)));
    assert_eq!(files_in(&device, "quarantine/").len(), 8, "bounded");
    assert!(files_in(&device, "tmp/").is_empty());
}

#[tokio::test]
async fn the_digest_of_what_was_appended_is_known_before_the_commit() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let bytes = body(1, 100_000);
    let original = fill(&store, head(1), &bytes).await.unwrap();
    let mut writer = store.begin(head(1), None).await.unwrap();
    for piece in [bytes.slice(..60_000), bytes.slice(60_000..)] {
        assert_ne!(writer.sha256_so_far(), original.digests().sha256);
        writer.append(vec![piece]).await.unwrap();
    }
    assert_eq!(writer.sha256_so_far(), original.digests().sha256);
    assert!(writer.sha256_so_far().is_some());
    let again = writer.commit().await.unwrap();
    assert_eq!(again.digests(), original.digests());
}

#[tokio::test]
async fn cp_10_a_missing_file_is_dropped_and_handled_as_a_miss() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let object = fill(&store, head(1), &body(1, 1000)).await.unwrap();
    store
        .amend(&object, super::amendment::amendment(1))
        .await
        .unwrap();
    drop(object);
    device.unlink(&files_in(&device, "ec/").remove(0)).unwrap();
    store.core.handles.invalidate_all();
    assert!(store.lookup(&key(1)).await.is_empty());
    assert_eq!(store.stats().objects.get(), 0);
    assert_eq!(store.stats().disks()[0].stored_bytes.get(), 0);
    fill(&store, head(1), &body(2, 1000)).await.unwrap();
    assert_eq!(get(&store, 1).await, Some(body(2, 1000)));
    let found = store.lookup(&key(1)).await.remove(0);
    assert!(
        found.head().headers.is_empty(),
        "the amendment went with it"
    );
}
