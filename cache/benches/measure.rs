//! What the benches of the store share: processor time, medians, and stores on folders with objects for them.
//!
//! Costs are processor time of this whole process, user and system, never seconds: a machine that is busy with
//! something else disturbs them least. What the kernel's own threads do (writing back) is not in it.
#![allow(dead_code, reason = "every bench uses its own part of it")]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use weir_cache::clock::SystemClock;
use weir_cache::device::file::FileDevice;
use weir_cache::object::ObjectHead;
use weir_cache::ports::Device;
use weir_cache::store::{Durability, Store, StoreSettings, UNIT_BYTES, Verify};
use weir_policies::freshness::Exchange;
use weir_policies::key::CacheKey;
use weir_policies::time::UnixSeconds;
use weir_policies::vary::Selection;

/// A bench ends at the first error.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// As the gateway has it by default.
const THREADS_PER_DISK: usize = 8;
const QUEUE_PER_DISK: usize = 1024;
/// How long closing a store may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(120);

/// Whether it was started by `cargo bench`, and not by `cargo test --all-targets`, which waits for nothing.
pub(crate) fn is_wanted() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// The value of `--name=value` behind `cargo bench … --`.
pub(crate) fn argument(name: &str) -> Option<String> {
    let value = |argument: String| {
        let value = argument.strip_prefix("--")?.strip_prefix(name)?;
        value.strip_prefix('=').map(str::to_owned)
    };
    std::env::args().find_map(value)
}

/// A folder that goes when the bench ends, below `--data=FOLDER` or the system's folder for such files.
pub(crate) fn data_folder() -> io::Result<TempDir> {
    match argument("data") {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
}

/// Runs the futures of a bench on this thread; the store has threads of its own.
pub(crate) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Processor time of all threads of this process so far.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What `work` costs.
pub(crate) fn cost<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<Duration> {
    let before = processor_time();
    std::hint::black_box(work()?);
    Ok(processor_time().saturating_sub(before))
}

/// As [`cost`].
pub(crate) async fn cost_of<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<Duration> {
    let before = processor_time();
    std::hint::black_box(work.await?);
    Ok(processor_time().saturating_sub(before))
}

/// 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Microseconds for each of `count`.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
pub(crate) fn micros_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}

/// Folders named 0, 1, … below `root`, made if they are not there.
pub(crate) fn folders(root: &Path, count: usize) -> io::Result<Vec<PathBuf>> {
    let folders = (0..count).map(|number| root.join(number.to_string()));
    let folders: Vec<PathBuf> = folders.collect();
    for folder in &folders {
        fs::create_dir_all(folder)?;
    }
    Ok(folders)
}

/// What a gateway would be configured with, but for the digest and the verification: every read is verified.
pub(crate) fn settings(sha256: bool) -> StoreSettings {
    StoreSettings {
        capacity_bytes: None,
        reserve_bytes: 0,
        high_watermark: 0.95,
        low_watermark: 0.93,
        durability: Durability::Relaxed,
        verify: Verify::Always,
        sha256,
        threads_per_disk: THREADS_PER_DISK,
        queue_per_disk: QUEUE_PER_DISK,
        objects_max: 10_000_000,
        parity: 2,
        disk_deadline: Duration::from_secs(300),
        scrub_interval: None,
        scrub_bytes_per_second: 1 << 30,
    }
}

/// Opens a store on folders.
pub(crate) async fn open(folders: &[PathBuf], settings: StoreSettings) -> Outcome<Arc<Store>> {
    let device = |folder: &PathBuf| Arc::new(FileDevice::new(folder)) as Arc<dyn Device>;
    let devices = folders.iter().map(device).collect();
    Ok(Store::open(devices, settings, Arc::new(SystemClock::new())).await?)
}

/// Closes it cleanly.
pub(crate) async fn close(store: Arc<Store>) {
    store.close(CLOSE_DEADLINE).await;
}

/// Keys that are spread as digests are, but over 256 folders: making all of them would take longer than the benches.
pub(crate) fn key(number: u64) -> CacheKey {
    let mut bytes = [0; 32];
    for (lane, part) in (0_u64..).zip(bytes.chunks_exact_mut(8)) {
        part.copy_from_slice(&mixed(number.wrapping_mul(4).wrapping_add(lane)).to_be_bytes());
    }
    if let Some(first) = bytes.first_mut() {
        *first &= 0x0F;
    }
    CacheKey::from_bytes(bytes)
}

/// The folders that [`key`] spreads objects over, on one disk.
pub(crate) fn object_folders() -> impl Iterator<Item = String> {
    (0..0x100).map(|number| format!("ec/{number:03x}"))
}

/// SplitMix64.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut value = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// A head like those of package mirrors.
pub(crate) fn head(key: CacheKey) -> ObjectHead {
    let url = format!("http://packages.example/pool/main/{:032x}.deb", key.short());
    let mut headers = HeaderMap::new();
    let fields = [
        (
            header::CONTENT_TYPE,
            "application/vnd.debian.binary-package",
        ),
        (header::ETAG, "\"5f3e-60a1b2c3d4e5f\""),
        (header::LAST_MODIFIED, "Tue, 02 Jan 2024 03:04:05 GMT"),
        (header::DATE, "Wed, 03 Jan 2024 03:04:05 GMT"),
        (header::CACHE_CONTROL, "max-age=86400"),
        (header::ACCEPT_RANGES, "bytes"),
    ];
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
    ObjectHead {
        key,
        selection: Selection::default(),
        url_as_asked: url.clone(),
        url,
        namespace: String::new(),
        redirects: Vec::new(),
        status: StatusCode::OK,
        headers,
        exchange: Exchange {
            requested: UnixSeconds(1_704_251_045),
            responded: UnixSeconds(1_704_251_045),
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

/// Bytes without a pattern.
pub(crate) fn body(length: usize) -> Bytes {
    let words = (0..length.div_ceil(8) as u64).flat_map(|word| mixed(word).to_le_bytes());
    words.take(length).collect()
}

/// The body in the pieces that the gateway hands to the store and to its clients.
pub(crate) fn pieces(body: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let unit = usize::try_from(UNIT_BYTES).unwrap_or(usize::MAX);
    let starts = (0..body.len()).step_by(unit);
    starts.map(move |start| body.slice(start..body.len().min(start + unit)))
}

/// Stores an object whose length is known.
pub(crate) async fn put(store: &Store, key: CacheKey, body: &Bytes) -> Outcome<()> {
    let mut writer = store.begin(head(key), Some(body.len() as u64)).await?;
    for piece in pieces(body) {
        writer.append(vec![piece]).await?;
    }
    writer.commit().await?;
    Ok(())
}

/// Reads all of an object, verified; its length.
pub(crate) async fn get(store: &Store, key: CacheKey) -> Outcome<u64> {
    let found = store.lookup(&key).await.into_iter().next();
    let object = found.ok_or("a stored object was not found")?;
    let mut offset = 0;
    while offset < object.length() {
        let left = UNIT_BYTES.min(object.length() - offset);
        let bytes = match object.read_at_hand(offset, left) {
            Some(bytes) => bytes,
            None => object.read(offset, usize::try_from(left)?).await?,
        };
        offset += std::hint::black_box(bytes).len() as u64;
    }
    Ok(offset)
}
