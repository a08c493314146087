//! The local store: objects as verified files on one or more disks, of which any two may be lost.
//!
//! Reading order: [`geometry`], [`members`] and [`stripe`] (where bytes lie) → [`layout`] (names) → [`header`], [`footer`],
//! [`superblock`] (bytes, each with its diagram) → [`array`] (the disks) → [`writer`], [`stripes`] and [`temporary`] (how an
//! object comes in) → [`sync`] (when it is durable, what happens to its predecessor) → [`core`], [`handles`], [`reader`],
//! [`shards`] and [`fetch`] (how it goes out) → [`judge`] (what follows from a bad shard), [`repair`] and [`scrub`] →
//! [`send`] (without being copied) → [`room`] (what makes place), [`removal`] and [`forget`] → [`examine`], [`assembly`],
//! [`open`], [`recovery`], [`close`] and [`retire`] (how a store begins and ends) → [`loss`], [`health`] and [`rejoin`]
//! (disks that come and go), [`operate`] (what an operator does with them) → [`amend`] and [`log`] (how a head changes
//! afterwards) → [`ban`] (what was purged) and [`survey`] (what there is).
//!
//! Invariants
//! - No byte is returned that was not compared with its checksum; [`send`] says what counts as compared there.
//! - A file is visible only whole, and still proves nothing: its trailer is checked whenever it is opened.
//! - A sequence is never used twice, also not after a crash.
//! - All device calls are made on bounded pools, never on a caller's thread; no lock is held across an await.
//! - A full, read-only, failing or hanging disk makes its own calls fail; the others make up for it, or the call fails,
//!   never the process.
//! - Nothing that a disk has missed is acknowledged before the others are sure to know that it has.

mod accounts;
mod amend;
mod array;
mod assembly;
mod ban;
mod budget;
mod checkpoint;
mod checksum;
mod claim;
mod close;
mod core;
pub(crate) mod digest;
mod examine;
mod fetch;
mod fields;
mod footer;
mod forget;
mod geometry;
mod handles;
mod header;
mod health;
mod index;
mod judge;
mod layout;
mod log;
mod loss;
mod marks;
mod members;
mod open;
mod operate;
mod partial;
mod pool;
mod reader;
mod recovery;
mod rejoin;
mod removal;
mod repair;
mod replaced;
pub mod report;
mod retire;
mod room;
mod scrub;
mod send;
mod sequence;
mod shard;
mod shards;
mod stripe;
mod stripes;
mod superblock;
mod survey;
mod sync;
mod temporary;
mod tlv;
mod unlinked;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub use ban::BanWatch;
pub use ban::settle::{BanError, Banned};
pub use partial::PartialObject;
pub use reader::Object;
pub use send::Sent;
pub use survey::{SurveyCursor, Surveyed};
pub use writer::ObjectWriter;

use self::core::{Core, lock};
use crate::events::Events;
use crate::metrics::StoreStats;
use crate::object::ObjectHead;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
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
    /// Disks that may be lost at the same time without losing an object: 1 or 2. Fewer disks than it takes keep as many
    /// copies as there are disks.
    pub parity: u8,
    /// How long a disk may leave every call unanswered before it is left out. One disk alone is waited for.
    pub disk_deadline: Duration,
    /// From the end of one scrub of everything to the beginning of the next; `None`: only when somebody asks for it.
    pub scrub_interval: Option<Duration>,
    /// Most that the scrub reads of each disk, bytes a second.
    pub scrub_bytes_per_second: u64,
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
    /// The body is not what was published. Nothing was committed; the bytes are in quarantine/ as long as that has
    /// room.
    #[error("{object} has {found} instead of {expected}")]
    Digest {
        /// File name.
        object: String,
        /// `sha256:` or `md5:` and hex digits.
        expected: String,
        /// In the same form.
        found: String,
    },
    /// A purge that came since it was asked for covers it. Nothing was committed; the bytes are as expected.
    #[error("purged while it was on its way")]
    Purged,
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
    /// Every committed variant of `key`, newest first, opened (handles are cached). Unreadable ones are dropped from
    /// the index, counted, and left out.
    ///
    /// Does not wait for anything when all variants are open already. A store that has retired finds nothing.
    pub async fn lookup(&self, key: &CacheKey) -> Vec<Arc<Object>> {
        if self.has_retired() {
            return Vec::new();
        }
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

    /// Starts an object: takes its sequence, and of a large one reserves the room, creates the files and writes the
    /// head. A small one is kept in memory until it is committed, and meets a full or broken disk there.
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
        let watch = Arc::new(self.watch(&head.url));
        self.begin_watched(head, length, expected, watch).await
    }

    /// As [`Self::begin_verified`], for something that was asked for when `watch` was taken: no later purge is missed.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn begin_watched(
        &self,
        head: ObjectHead,
        length: Option<u64>,
        expected: ExpectedDigests,
        watch: Arc<BanWatch>,
    ) -> Result<ObjectWriter, StoreError> {
        let beginning = writer::Beginning {
            head,
            length,
            expected,
            watch,
        };
        if let Some(writer) = ObjectWriter::begin_small(&self.core, &beginning) {
            return Ok(writer);
        }
        let core = Arc::clone(&self.core);
        let begin = move || ObjectWriter::begin(&core, beginning);
        self.core.on_pool("begin", begin).await?
    }

    /// Writes the checkpoint, marks the store clean, stops the pools. Afterwards everything answers `Closed`. Of a
    /// store that has retired only the reads are left to end.
    pub async fn close(&self, deadline: Duration) {
        if self.has_retired() {
            return self.end_reading();
        }
        lock(&self.timer).take();
        close::close(&self.core, deadline).await;
    }

    /// What is wrong with the store, in a sentence; `None` while it is well.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let disk = self.core.name();
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

    /// Where the store, and whoever works on it, tells of what an operator wants to know.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.core.events
    }

    /// Emits what the start has found damaged, for those who could not subscribe before it.
    pub fn tell_findings(&self) {
        if self.core.stats.log_problems.get() > 0 {
            self.core.tell_log_damage();
        }
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<StoreStats> {
        &self.core.stats
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
        parity: 2,
        disk_deadline: Duration::from_secs(300),
        scrub_interval: None,
        // A clock that stands still never gives a paced scrub another byte.
        scrub_bytes_per_second: u64::MAX,
    }
}
