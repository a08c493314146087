//! The local store: objects as verified files on one or more disks. One disk so far; the format is the final one.
//!
//! Reading order: [`layout`] (names) → [`header`], [`footer`], [`superblock`] (bytes, each with its diagram) →
//! [`writer`] (how an object comes in) → [`sync`] (when it is durable, what happens to its predecessor) → [`core`], [`handles`]
//! and [`reader`] (how it goes out) → [`send`] (without being copied) → [`room`] (what makes place) → [`recovery`] and
//! [`close`] (how a store begins and ends) → [`amend`] and [`log`] (how a head changes afterwards).
//!
//! Invariants
//! - No byte is returned that was not compared with its checksum; [`send`] says what counts as compared there.
//! - A file is visible only whole, and still proves nothing: its trailer is checked whenever it is opened.
//! - A sequence is never used twice, also not after a crash.
//! - All device calls are made on the disk's own bounded pool; no lock is held across an await.
//! - A full, read-only or failing disk makes calls fail, never the process.

mod amend;
mod budget;
mod checkpoint;
mod checksum;
mod claim;
mod close;
mod core;
mod digest;
mod fields;
mod footer;
mod handles;
mod header;
mod index;
mod layout;
mod log;
mod marks;
mod partial;
mod pool;
mod reader;
mod recovery;
mod replaced;
mod room;
mod send;
mod sequence;
mod shard;
mod superblock;
mod sync;
mod temporary;
mod tlv;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub use partial::PartialObject;
pub use reader::Object;
pub use send::Sent;
pub use writer::ObjectWriter;

use self::core::{Core, lock};
use crate::metrics::{EvictionCause, Gauge, StoreStats};
use crate::object::ObjectHead;
use crate::ports::{Clock, Device};
use handles::handle_cache;
use index::Index;
use layout::ShardName;
use pool::Pool;
use recovery::Recovered;
use sequence::Sequences;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use weir_policies::effect::ExpectedDigests;
use weir_policies::key::CacheKey;

/// Bytes per checksum.
pub const BLOCK_BYTES: u64 = 64 * 1024;
/// Bytes per read, write and verification mark: one stripe unit.
pub const UNIT_BYTES: u64 = 256 * 1024;

/// When a commit counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// syncfs every 5 s.
    Relaxed,
    /// fdatasync, rename, directory fsync, for every object.
    Strict,
}

/// When bytes are verified on the way to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Once per `VERIFY_INTERVAL` while they stay resident in the page cache.
    Resident,
    /// Every time.
    Always,
}

/// Checked settings of the store.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Upper bound of own bytes, `None`: whatever the disk has.
    pub capacity_bytes: Option<u64>,
    /// Free space left to others, bytes.
    pub reserve_bytes: u64,
    /// Eviction starts at this share of the budget…
    pub high_watermark: f64,
    /// … and stops at this one.
    pub low_watermark: f64,
    /// Durability.
    pub durability: Durability,
    /// Verification.
    pub verify: Verify,
    /// sha256 of every object.
    pub sha256: bool,
    /// Threads of each disk's pool.
    pub threads_per_disk: usize,
    /// Jobs waiting for each disk's pool before callers wait.
    pub queue_per_disk: usize,
    /// Upper bound of index entries.
    pub objects_max: usize,
}

/// What may go wrong in the store. Expected outcomes (absent, stale) are not errors.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room, after eviction was tried.
    #[error("no space on {disk}")]
    Full {
        /// The disk.
        disk: String,
    },
    /// The disk failed.
    #[error("{disk}: {operation} failed: {source}")]
    Disk {
        /// The disk.
        disk: String,
        /// What was tried.
        operation: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// Stored bytes are not what was written. The object has been dropped.
    #[error("{disk}: corrupt block {block} of object {object}")]
    Corrupt {
        /// The disk.
        disk: String,
        /// Number of the 64 KiB block.
        block: u64,
        /// File name.
        object: String,
    },
    /// The body is not what was published. Nothing was committed; the bytes are in quarantine/ as long as that has room.
    #[error("{object} has {found} instead of {expected}")]
    Digest {
        /// File name.
        object: String,
        /// `sha256:` or `md5:` and hex digits.
        expected: String,
        /// In the same form.
        found: String,
    },
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// Why a store cannot be opened; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process owns the data.
    #[error("{disk} is in use by process {pid}: stop it, or use another data folder")]
    Owned {
        /// The disk.
        disk: String,
        /// Who owns it, as it says itself.
        pid: u32,
    },
    /// Not a folder of ours, or not readable or writable.
    #[error("{disk}: {reason}")]
    Unusable {
        /// The disk.
        disk: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// The store.
#[derive(Debug)]
pub struct Store {
    core: Arc<Core>,
    /// Dropping it ends the timer.
    timer: Mutex<Option<SyncSender<()>>>,
}

impl Store {
    /// Opens (or formats) the disks, recovers, and starts the background work.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        devices: Vec<Arc<dyn Device>>,
        settings: StoreSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let store = Self::open_without_timer(devices, settings, clock).await?;
        let (sender, receiver) = sync_channel(1);
        sync::start_timer(Arc::downgrade(&store.core), receiver).map_err(|error| {
            unusable(
                store.core.device.name(),
                format!("cannot start a thread: {error}"),
            )
        })?;
        *lock(&store.timer) = Some(sender);
        Ok(store)
    }

    /// As [`Self::open`], but nothing happens by itself: tests decide when to sync.
    async fn open_without_timer(
        devices: Vec<Arc<dyn Device>>,
        settings: StoreSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let device = only_device(devices)?;
        let disk = device.name().to_owned();
        let pool = Pool::start(0, settings.threads_per_disk, settings.queue_per_disk).map_err(
            |error| {
                unusable(
                    &disk,
                    format!("cannot start the threads of the disk: {error}"),
                )
            },
        )?;
        let (job_device, job_settings) = (Arc::clone(&device), settings.clone());
        let start = move || {
            let recovered = recovery::recover(job_device.as_ref(), &job_settings)?;
            Ok((
                recovered,
                observe_page_cache(job_device.as_ref(), &job_settings),
            ))
        };
        let (recovered, resident) = pool
            .run(start)
            .await
            .unwrap_or_else(|_| Err(unusable(&disk, "recovery panicked".to_owned())))?;
        let core = Arc::new(assemble(device, pool, settings, clock, recovered, resident));
        Ok(Arc::new(Self {
            core,
            timer: Mutex::new(None),
        }))
    }

    /// Every committed variant of `key`, newest first, opened (handles are cached). Unreadable ones are dropped from
    /// the index, counted, and left out.
    ///
    /// Does not wait for anything when all variants are open already.
    pub async fn lookup(&self, key: &CacheKey) -> Vec<Arc<Object>> {
        let records = lock(&self.core.index).find(key.short());
        if let Some(found) = self.core.warm(key, &records) {
            return found;
        }
        let (core, key) = (Arc::clone(&self.core), *key);
        self.core
            .on_pool("open", move || core.open_all(&key, &records))
            .await
            .unwrap_or_default()
    }

    /// Starts an object: reserves the room, takes its sequence, creates the file and writes the head.
    ///
    /// # Errors
    /// [`StoreError::Full`] before anything was written when `length` does not fit.
    pub async fn begin(
        &self,
        head: ObjectHead,
        length: Option<u64>,
    ) -> Result<ObjectWriter, StoreError> {
        self.begin_verified(head, length, ExpectedDigests::default())
            .await
    }

    /// As [`Self::begin`]; the commit refuses a body with other digests before any trailer is written. What is expected
    /// is computed and stored, whatever the settings say.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn begin_verified(
        &self,
        head: ObjectHead,
        length: Option<u64>,
        expected: ExpectedDigests,
    ) -> Result<ObjectWriter, StoreError> {
        let core = Arc::clone(&self.core);
        let begin = move || ObjectWriter::begin(&core, head, length, expected);
        self.core.on_pool("begin", begin).await?
    }

    /// Forgets every variant of `key` and unlinks it. Open readers keep their files.
    ///
    /// When it returns the names are gone from the platter as well, unless the disk fails (which is logged).
    pub async fn forget(&self, key: &CacheKey) {
        let (core, key) = (Arc::clone(&self.core), key.short());
        let forgotten = self.core.on_pool("forget", move || core.forget(key)).await;
        if let Err(error) = forgotten {
            tracing::warn!(%error, "cannot forget an object");
        }
    }

    /// Writes the checkpoint, marks the store clean, stops the pools. Afterwards everything answers `Closed`.
    pub async fn close(&self, deadline: Duration) {
        lock(&self.timer).take();
        close::close(&self.core, deadline).await;
    }

    /// What is wrong with the store, in a sentence; `None` while it is well.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let disk = self.core.device.name();
        let is_suspect = self.core.suspect.load(Ordering::Acquire);
        let advice =
            "what was stored since may not survive a power loss; check the disk and restart";
        is_suspect.then(|| format!("{disk}: a sync failed: {advice}"))
    }

    /// The random id of this pool of disks, the same after a restart.
    #[must_use]
    pub fn pool_id(&self) -> &[u8; 16] {
        &self.core.pool_id
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<StoreStats> {
        &self.core.stats
    }
}

impl Core {
    /// Pool only.
    fn forget(&self, key: u128) {
        let _removal = self.begin_removal();
        // Before the index is read: what is being evicted now must not be put back behind our back.
        self.forgets.fetch_add(1, Ordering::AcqRel);
        // The older files first: a crash in between must not bring them back.
        let older = self.replaced.take_key(key);
        for old in &older {
            self.unlink_counted(old, EvictionCause::Replaced);
        }
        let records = lock(&self.index).find(key);
        for record in &records {
            let name = ShardName::on_one_disk(record.slot, record.sequence, record.length);
            if self.drop_entry(&name) {
                self.unlink_counted(&name, EvictionCause::Forgotten);
            }
        }
        if let Some(record) = records.first() {
            let name = ShardName::on_one_disk(record.slot, record.sequence, record.length);
            if let Err(error) =
                self.synced("fsync of a folder", self.device.sync_dir(&name.folder()))
            {
                tracing::warn!(%error, "a forgotten object may come back after a power failure");
            }
        }
    }
}

fn only_device(devices: Vec<Arc<dyn Device>>) -> Result<Arc<dyn Device>, OpenError> {
    let names: Vec<&str> = devices.iter().map(|device| device.name()).collect();
    let names = names.join(", ");
    let mut devices = devices.into_iter();
    match (devices.next(), devices.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(unusable(
            "store",
            "no disk is configured; name one folder".to_owned(),
        )),
        (Some(_), Some(_)) => Err(unusable(
            &names,
            "several disks are not yet available; name one folder".to_owned(),
        )),
    }
}

/// Whether ranges may be sent after a look at the page cache; says once why not.
fn observe_page_cache(device: &dyn Device, settings: &StoreSettings) -> bool {
    if settings.verify == Verify::Always {
        return false;
    }
    match send::probe(device) {
        Ok(()) => true,
        Err(reason) => {
            tracing::info!(
                disk = device.name(),
                reason,
                "every read is verified (verify = \"always\")"
            );
            false
        }
    }
}

fn assemble(
    device: Arc<dyn Device>,
    pool: Pool,
    settings: StoreSettings,
    clock: Arc<dyn Clock>,
    recovered: Recovered,
    resident: bool,
) -> Core {
    let stats = Arc::new(StoreStats::new(&[device.name()]));
    if let Some(disk) = stats.disks.first() {
        disk.stored_bytes.set(recovered.stored_bytes);
    }
    stats.objects.set(recovered.index.len() as u64);
    stats.metadata_log_bytes.set(recovered.log.bytes());
    stats.log_problems.add(recovered.log.problems);
    let index: Arc<Mutex<Index>> = Arc::new(Mutex::new(recovered.index));
    // The count of use continues where the last run ended, whatever the clock shows.
    let elapsed = u32::try_from(clock.elapsed().as_secs()).unwrap_or(u32::MAX);
    Core {
        settings,
        clock,
        device,
        pool,
        pool_id: recovered.superblock.pool,
        sequences: Sequences::new(recovered.next, recovered.superblock.reserved),
        superblock: Mutex::new(recovered.superblock),
        handles: handle_cache(&index),
        index,
        replaced: replaced::ReplacedFiles::default(),
        log: log::MetadataLog::new(recovered.log),
        amending: amend::Amending::default(),
        leftovers: Mutex::default(),
        unallocated_bytes: Gauge::default(),
        stats,
        use_base: recovered.use_base.saturating_sub(elapsed),
        resident,
        suspect: AtomicBool::new(false),
        unsynced: AtomicBool::new(true),
        maintaining: AtomicBool::new(false),
        quarantined: AtomicU32::new(recovered.quarantined),
        forgets: AtomicU64::new(0),
        removals: RwLock::default(),
    }
}

fn unusable(disk: &str, reason: String) -> OpenError {
    OpenError::Unusable {
        disk: disk.to_owned(),
        reason,
    }
}

/// Settings that tests change from: small, strict about nothing.
#[cfg(test)]
pub(crate) fn settings_for_tests() -> StoreSettings {
    StoreSettings {
        capacity_bytes: None,
        reserve_bytes: 0,
        high_watermark: 0.8,
        low_watermark: 0.78,
        durability: Durability::Relaxed,
        verify: Verify::Always,
        sha256: true,
        threads_per_disk: 1,
        queue_per_disk: 16,
        objects_max: 10_000,
    }
}
