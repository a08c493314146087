//! The local store: objects as verified files on one or more disks.

use crate::object::{Digests, ObjectHead, Sequence};
use crate::ports::{Clock, Device};
use bytes::Bytes;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;
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
    _private: (),
}

/// One committed object, open for reading. Stays readable while it is held, also after it was replaced or evicted.
#[derive(Debug)]
pub struct Object {
    _private: (),
}

/// One object being written.
#[derive(Debug)]
pub struct ObjectWriter {
    _private: (),
}

/// Reads the part of a growing object that has been written. Clones are cheap.
#[derive(Debug, Clone)]
pub struct PartialObject {
    _private: (),
}

/// What became of an attempt to send stored bytes without copying them.
#[derive(Debug)]
pub enum Sent {
    /// So many bytes went out of a verified, resident range.
    Bytes(usize),
    /// The receiver cannot take more now.
    WouldBlock,
    /// These bytes must be read (and verified) first: [`Object::read`].
    NotVerified,
    /// What was just sent is not what was stored: the connection must be aborted. The object has been dropped.
    Corrupt,
    /// The receiver failed.
    Failed(io::Error),
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
        let _ = (devices, settings, clock);
        unimplemented!()
    }

    /// Every committed variant of `key`, newest first, opened (handles are cached). Unreadable ones are dropped from the index,
    /// counted, and left out.
    pub async fn lookup(&self, key: &CacheKey) -> Vec<Arc<Object>> {
        let _ = key;
        unimplemented!()
    }

    /// Starts an object: takes its sequence, checks the room, creates the file and writes the head.
    ///
    /// # Errors
    /// [`StoreError::Full`] before anything was written when `length` does not fit.
    pub async fn begin(
        &self,
        head: ObjectHead,
        length: Option<u64>,
    ) -> Result<ObjectWriter, StoreError> {
        let _ = (head, length);
        unimplemented!()
    }

    /// Forgets every variant of `key` and unlinks it. Open readers keep their files.
    pub async fn forget(&self, key: &CacheKey) {
        let _ = key;
        unimplemented!()
    }

    /// Writes the checkpoint, marks the store clean, stops the pools. Afterwards everything answers `Closed`.
    pub async fn close(&self, deadline: Duration) {
        let _ = deadline;
        unimplemented!()
    }
}

impl ObjectWriter {
    /// Its sequence.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        unimplemented!()
    }

    /// Appends pieces: hashes, digests and writes them in one job of the disk's pool. Returns when written.
    ///
    /// # Errors
    /// After an error the writer can only be dropped.
    pub async fn append(&mut self, pieces: Vec<Bytes>) -> Result<(), StoreError> {
        let _ = pieces;
        unimplemented!()
    }

    /// Bytes that [`PartialObject::read`] can serve: whole verified blocks on disk (the tail block stays with the caller).
    #[must_use]
    pub fn readable(&self) -> u64 {
        unimplemented!()
    }

    /// A reader of the written part.
    #[must_use]
    pub fn partial(&self) -> PartialObject {
        unimplemented!()
    }

    /// Footer, trailer, rename, index. The object becomes a hit when this returns, and not before.
    ///
    /// # Errors
    /// On error nothing is visible and the file is removed.
    pub async fn commit(self) -> Result<Arc<Object>, StoreError> {
        unimplemented!()
    }
}
// Dropping an ObjectWriter that was not committed removes its file (in the pool, best effort; start-up cleans the rest).

impl PartialObject {
    /// Reads and verifies up to `length` (at most [`UNIT_BYTES`]) bytes at `offset`; all of it must be below `readable`.
    ///
    /// # Errors
    /// [`StoreError`]; the bytes are never returned unverified.
    pub async fn read(&self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        let _ = (offset, length);
        unimplemented!()
    }
}

impl Object {
    /// The head.
    #[must_use]
    pub fn head(&self) -> &ObjectHead {
        unimplemented!()
    }

    /// Body length, bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        unimplemented!()
    }

    /// Digests.
    #[must_use]
    pub fn digests(&self) -> &Digests {
        unimplemented!()
    }

    /// Its sequence.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        unimplemented!()
    }

    /// Reads and verifies `length` (at most [`UNIT_BYTES`], not crossing a unit boundary) bytes at `offset`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] also drops the object from the index and counts it.
    pub async fn read(&self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        let _ = (offset, length);
        unimplemented!()
    }

    /// Sends from a verified, resident range without blocking the caller. `send(file, file_offset, length)` is called at most
    /// once with a length up to `length` that stays inside one unit; it does the sendfile.
    pub fn send(
        &self,
        offset: u64,
        length: usize,
        send: impl FnOnce(BorrowedFd<'_>, u64, usize) -> io::Result<usize>,
    ) -> Sent {
        let _ = (offset, length, send);
        unimplemented!()
    }

    /// Marks a use for the eviction order. Cheap: no lock, no I/O.
    pub fn touch(&self) {
        unimplemented!()
    }
}
