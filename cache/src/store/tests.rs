//! The store as its callers see it, on the memory double and on a real folder.
//!
//! Background work never runs by itself here: stores are opened without their timer, and tests call the passes.

mod amendment;
mod array;
mod ban_crash;
mod bans;
mod cleaning;
mod concurrency;
mod corruption;
mod crash;
mod forgetting;
mod ledger;
mod left_files;
mod limits;
mod metadata_log;
mod mirrored_log;
mod model;
mod opening;
mod repairing;
mod retiring;
mod round_trip;
mod rows;
mod scrubbing;
mod sequences;

use super::*;
use crate::clock::ManualClock;
use crate::device::memory::MemoryDevice;
use crate::metrics::EvictionCause;
use crate::ports::{Clock, Device};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::time::SystemTime;
use weir_policies::freshness::Exchange;
use weir_policies::time::UnixSeconds;
use weir_policies::vary::Selection;

pub(super) fn key(number: u8) -> CacheKey {
    CacheKey::from_bytes([number; 32])
}

pub(super) fn head(number: u8) -> ObjectHead {
    ObjectHead {
        key: key(number),
        selection: Selection::default(),
        url_as_asked: format!("http://host/{number}"),
        url: format!("http://host/{number}"),
        namespace: String::new(),
        redirects: Vec::new(),
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        exchange: Exchange {
            requested: UnixSeconds(1),
            responded: UnixSeconds(2),
        },
        upstream: None,
        origin_id: 0,
        tags: Vec::new(),
        pinned: false,
        conflict_of: None,
        lifetime_max: None,
        immutable: false,
        invalidated: false,
        stored_at: SystemTime::UNIX_EPOCH,
    }
}

/// Bytes that differ everywhere and by `seed`.
pub(super) fn body(seed: u64, length: usize) -> Bytes {
    (0..length as u64)
        .map(|n| {
            ((n.wrapping_mul(seed | 1).wrapping_mul(0x9E37_79B9) >> 13) ^ seed).to_le_bytes()[0]
        })
        .collect()
}

pub(super) async fn open_with(
    device: Arc<dyn Device>,
    settings: StoreSettings,
) -> Result<Arc<Store>, OpenError> {
    Store::open_without_timer(vec![device], settings, Arc::new(ManualClock::default())).await
}

pub(super) async fn open(device: &Arc<MemoryDevice>) -> Arc<Store> {
    open_with(Arc::clone(device) as Arc<dyn Device>, settings_for_tests())
        .await
        .unwrap()
}

/// A fill in pieces that do not respect any boundary.
pub(super) async fn fill(
    store: &Store,
    head: ObjectHead,
    body: &Bytes,
) -> Result<Arc<Object>, StoreError> {
    let mut writer = store.begin(head, Some(body.len() as u64)).await?;
    for piece in body.chunks(100_003) {
        let (first, second) = piece.split_at(piece.len() / 3);
        writer
            .append(vec![
                Bytes::copy_from_slice(first),
                Bytes::copy_from_slice(second),
            ])
            .await?;
    }
    writer.commit().await
}

pub(super) async fn read_all(object: &Object) -> Result<Bytes, StoreError> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < object.length() {
        let left = object.length() - bytes.len() as u64;
        let part = object
            .read(bytes.len() as u64, left.min(UNIT_BYTES) as usize)
            .await?;
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.into())
}

/// What a client would get: all of the newest variant, `None` for a miss.
pub(super) async fn get(store: &Store, number: u8) -> Option<Bytes> {
    let object = store.lookup(&key(number)).await.into_iter().next()?;
    Some(read_all(&object).await.unwrap())
}

pub(super) fn files_in(device: &MemoryDevice, folder: &str) -> Vec<String> {
    device
        .paths()
        .into_iter()
        .filter(|path| path.starts_with(folder))
        .collect()
}

/// Runs one maintenance pass to its end.
pub(crate) async fn maintain(store: &Store) {
    let core = Arc::clone(&store.core);
    store.core.pool.run(move || core.maintain()).await.unwrap();
}

pub(super) const CLOSE: Duration = Duration::from_secs(60);
