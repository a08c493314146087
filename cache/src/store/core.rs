//! What all parts of a running store share: the disk, the index, the open handles and the numbers.
//!
//! Lock order, outermost first; while one is held only those behind it may be taken:
//!
//! 1. the state of one object writer
//! 2. the `sweep` of `bans`
//! 3. the writer of `log`
//! 4. `removals`, for reading, to remove something. [`Core::await_removals`] waits for it with at most the `sweep` held
//! 5. `sequences`, which call into the superblock for more numbers
//! 6. `superblock`
//! 7. leaves: `index`, `replaced`, `leftovers`, the rest of `bans` and of `log`, the queue of `amending`. No lock and
//!    no handle is touched while one of them is held: the handle cache calls back into the index when it lets go.
//!
//! No guard lives across an await, and device calls are made on the disk's pool, or before it runs and after it ran
//! dry; the one exception is the recheck after a send, which drops what is corrupt on a thread of its own.

use super::amend::Amending;
use super::ban::Bans;
use super::budget::{Budget, Usage};
use super::handles::Handles;
use super::index::{Index, Place, Record};
use super::layout::{QUARANTINE, ShardName, Slot, footprint_bytes};
use super::log::MetadataLog;
use super::pool::{Pool, PoolError};
use super::reader::Object;
use super::replaced::ReplacedFiles;
use super::retire::Retirement;
use super::sequence::Sequences;
use super::shard::ShardFault;
use super::superblock::Superblock;
use super::{BLOCK_BYTES, StoreError, StoreSettings, UNIT_BYTES};
use crate::events::{Event, Events, without_query};
use crate::metrics::{DiskStats, EvictionCause, Gauge, StoreStats};
use crate::ports::{Clock, Device};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use weir_policies::key::CacheKey;

/// Corrupt files kept for inspection.
const QUARANTINE_FILES_MAX: u32 = 8;
/// Larger corrupt files are removed at once, bytes.
const QUARANTINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The shared state.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: StoreSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) device: Arc<dyn Device>,
    pub(crate) pool: Pool,
    pub(crate) pool_id: [u8; 16],
    pub(crate) superblock: Mutex<Superblock>,
    pub(crate) sequences: Sequences,
    pub(crate) index: Arc<Mutex<Index>>,
    pub(crate) handles: Handles,
    pub(crate) replaced: ReplacedFiles,
    pub(crate) log: MetadataLog,
    pub(crate) amending: Amending,
    pub(crate) bans: Arc<Bans>,
    /// Files that no counter knows and that could not be removed at once.
    pub(crate) leftovers: Mutex<Vec<String>>,
    /// The part of the claims that still counts as free on the disk.
    pub(crate) unallocated_bytes: Gauge,
    pub(crate) stats: Arc<StoreStats>,
    pub(crate) events: Events,
    /// Count of use at the start; see [`Self::use_now`].
    pub(crate) use_base: u32,
    /// Ranges may be sent after a look at the page cache (probed at the start).
    pub(crate) resident: bool,
    /// A sync failed: what the system dropped then is unknown, so nothing is claimed as synced any more.
    pub(crate) suspect: AtomicBool,
    /// Something was committed since the last sync.
    pub(crate) unsynced: AtomicBool,
    pub(crate) maintaining: AtomicBool,
    pub(crate) quarantined: AtomicU32,
    /// Requests to forget so far; an entry is not put back across one.
    pub(crate) forgets: AtomicU64,
    /// Held for reading from taking an entry out of the index until its file is removed or the entry is back, for
    /// writing by who must know that no removal is half done.
    pub(crate) removals: RwLock<()>,
    pub(super) retirement: Retirement,
}

/// What was found under a name.
pub(crate) enum Opened {
    /// A readable object.
    Object(Arc<Object>),
    /// Not usable now, or not any more.
    Nothing,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// To be held while an object is removed. Not to be nested: a waiting [`Self::await_removals`] comes first.
    pub(crate) fn begin_removal(&self) -> RwLockReadGuard<'_, ()> {
        self.removals.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when all removals that had begun are over. Not under the lock of the log's writer, which evicts.
    pub(crate) fn await_removals(&self) {
        drop(
            self.removals
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Seconds on the store's own count of use: monotonic, continued over restarts, untouched by the wall clock.
    pub(crate) fn use_now(&self) -> u32 {
        let seconds = u32::try_from(self.clock.elapsed().as_secs()).unwrap_or(u32::MAX);
        self.use_base.saturating_add(seconds)
    }

    pub(crate) fn disk(&self) -> &DiskStats {
        // One disk: `Store::open` makes exactly one entry.
        static NO_DISK: std::sync::LazyLock<DiskStats> =
            std::sync::LazyLock::new(DiskStats::default);
        self.stats.disks.first().unwrap_or(&NO_DISK)
    }

    /// An error of the system in the store's words; counted.
    pub(crate) fn disk_error(&self, operation: &'static str, source: io::Error) -> StoreError {
        let disk = self.device.name().to_owned();
        if is_no_space(&source) {
            return self.full();
        }
        self.disk().errors.add(1);
        StoreError::Disk {
            disk,
            operation,
            source,
        }
    }

    /// The disk refuses a write for want of room; counted and told.
    pub(crate) fn full(&self) -> StoreError {
        self.disk().full.add(1);
        let disk = self.device.name().to_owned();
        self.events.emit(Event::DiskFull { disk: disk.clone() });
        StoreError::Full { disk }
    }

    /// Tells of damage that was found.
    pub(crate) fn tell_corrupt(&self, object: String, url: Option<&str>) {
        self.events.emit(Event::Corrupt {
            disk: self.device.name().to_owned(),
            object,
            url: url.map(|url| without_query(url).to_owned()),
        });
    }

    /// As [`Self::tell_corrupt`], of what is known about objects besides their files.
    pub(crate) fn tell_log_damage(&self) {
        self.tell_corrupt("the metadata log".to_owned(), None);
    }

    pub(crate) fn pool_error(&self, operation: &'static str, error: PoolError) -> StoreError {
        match error {
            PoolError::Closed => StoreError::Closed,
            PoolError::Panicked => {
                self.disk_error(operation, io::Error::other("a disk job panicked"))
            }
            PoolError::Full => self.disk_error(operation, io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Runs a job on the disk's pool.
    pub(crate) async fn on_pool<T: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.pool.is_full() {
            self.disk().pool_waits.add(1);
        }
        self.pool
            .run(job)
            .await
            .map_err(|error| self.pool_error(operation, error))
    }

    /// Files and bytes in use, those being written included.
    pub(crate) fn usage(&self) -> Usage {
        let disk = self.disk();
        let bytes = disk
            .stored_bytes
            .get()
            .saturating_add(disk.filling_bytes.get())
            .saturating_add(self.stats.metadata_log_bytes.get());
        Usage {
            bytes,
            files: lock(&self.index).len() as u64,
        }
    }

    /// The budget as of now.
    pub(crate) fn budget(&self) -> io::Result<Budget> {
        let mut usage = self.usage();
        // What is only claimed would count twice: as our own, and as free. Read before the free space, so that an
        // allocation in between makes the budget smaller and never larger.
        let unallocated = self.unallocated_bytes.get();
        usage.bytes = usage.bytes.saturating_sub(unallocated);
        let budget = Budget::of(&self.settings, usage, self.device.space()?);
        self.disk().budget_bytes.set(budget.bytes);
        Ok(budget)
    }

    /// Counts an object that became part of the store.
    pub(crate) fn count_stored(&self, length: u64) {
        self.disk().stored_bytes.add(footprint_bytes(length));
        self.stats.objects.set(lock(&self.index).len() as u64);
    }

    /// Counts an object whose file is gone.
    pub(crate) fn count_removed(&self, length: u64, cause: EvictionCause) {
        let bytes = footprint_bytes(length);
        self.disk().stored_bytes.subtract(bytes);
        self.stats.count_removed(cause, bytes);
        self.stats.objects.set(lock(&self.index).len() as u64);
    }

    /// Opens what is not open yet. Pool only.
    pub(crate) fn open_all(
        self: &Arc<Self>,
        key: &CacheKey,
        records: &[Record],
    ) -> Vec<Arc<Object>> {
        let mut found = Vec::with_capacity(records.len());
        for record in records {
            if let Opened::Object(object) = self.open(record)
                && object.head().key == *key
            {
                found.push(object);
            }
        }
        found
    }

    pub(super) fn open(self: &Arc<Self>, record: &Record) -> Opened {
        let handle = (record.slot, record.sequence);
        if let Some(object) = self.handles.get(&handle) {
            return self
                .under_bans(object)
                .map_or(Opened::Nothing, Opened::Object);
        }
        let name = ShardName::on_one_disk(record.slot, record.sequence, record.length);
        let opened = self.open_shard(name);
        let checked = opened.and_then(|shard| {
            if record.unverified {
                shard.verify_all()?;
                lock(&self.index).set_verified(record.slot, record.sequence);
            }
            Ok(shard)
        });
        match checked {
            Ok(shard) => {
                lock(&self.index).learn(record.slot, record.sequence, &shard.head);
                let object = self.with_current_head(Object::new(self, shard, record.last_use));
                let object = Arc::new(object);
                self.keep_handle(&object);
                self.under_bans(object)
                    .map_or(Opened::Nothing, Opened::Object)
            }
            Err(fault) => {
                self.judge(&name, &fault);
                Opened::Nothing
            }
        }
    }

    /// Draws the consequence of a file that could not be opened or read.
    pub(crate) fn judge(&self, name: &ShardName, fault: &ShardFault) {
        let disk = self.device.name();
        let file = name.file_name();
        match fault {
            _ if self.retirement.has_begun() => {
                let error = fault.to_string();
                tracing::warn!(
                    disk,
                    file,
                    error,
                    "a reader is cut off; the object is another process's by now"
                );
            }
            ShardFault::Io(error) if is_passing(error) => {
                self.disk().errors.add(1);
                tracing::warn!(disk, file, %error, "object left out for now");
            }
            ShardFault::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                // Without an entry it was evicted or replaced between the lookup and the opening.
                if self.drop_entry(name) {
                    tracing::warn!(
                        disk,
                        file,
                        "the file of an object is gone; it is a miss now"
                    );
                    self.count_removed(name.length, EvictionCause::Corrupt);
                }
            }
            ShardFault::Io(_) | ShardFault::Format(_) | ShardFault::Block(_) => {
                let error = fault.to_string();
                tracing::warn!(disk, file, error, "object is not what was written; dropped");
                if matches!(fault, ShardFault::Io(_)) {
                    self.disk().errors.add(1);
                }
                self.disk().corrupt_blocks.add(1);
                self.drop_corrupt(name);
            }
        }
    }

    /// Takes an object out of index and handles; `true` when it was there.
    pub(crate) fn drop_entry(&self, name: &ShardName) -> bool {
        self.take_entry(name).is_some()
    }

    /// As [`Self::drop_entry`], for who may want to put it back.
    pub(crate) fn take_entry(&self, name: &ShardName) -> Option<(Record, Option<Place>)> {
        let removed = lock(&self.index).take(name.slot, name.sequence);
        self.handles.invalidate(&(name.slot, name.sequence));
        removed
    }

    /// Drops an object that did not read as written; a few small ones are kept for inspection. Any thread that may
    /// block (pool, or the rare recheck after a send).
    pub(crate) fn drop_corrupt(&self, name: &ShardName) {
        let _removal = self.begin_removal();
        let open = self.handles.get(&(name.slot, name.sequence));
        // Looked at under the guard: who retires waits for it.
        if self.retirement.has_begun() || !self.drop_entry(name) {
            return; // not ours any more; or replaced, evicted or dropped meanwhile
        }
        let url = open.as_ref().map(|object| object.head().url.as_str());
        self.tell_corrupt(name.path(), url);
        self.disk().corrupt_objects.add(1);
        self.count_removed(name.length, EvictionCause::Corrupt);
        self.remove_replaced(name.slot);
        if !self.quarantine(&name.path(), name)
            && let Err(error) = self.device.unlink(&name.path())
        {
            tracing::warn!(disk = self.device.name(), %error, "cannot remove a corrupt object");
            self.bans.note_left(&name.path());
        }
    }

    /// Moves a file that is not what it should be to quarantine/; `false`: it is too large, there are enough, or the
    /// disk refuses.
    pub(crate) fn quarantine(&self, path: &str, name: &ShardName) -> bool {
        let file = format!("{QUARANTINE}/{}", name.file_name());
        let is_kept =
            self.has_room_in_quarantine(name.length) && self.device.rename(path, &file).is_ok();
        if is_kept {
            let disk = self.device.name();
            tracing::info!(
                disk,
                file,
                "kept for inspection: bytes that are not as they should be"
            );
        }
        is_kept
    }

    /// Whether one more file of so many bytes may be kept; counts it.
    pub(crate) fn has_room_in_quarantine(&self, bytes: u64) -> bool {
        bytes <= QUARANTINE_BYTES_MAX
            && self.quarantined.fetch_add(1, Ordering::Relaxed) < QUARANTINE_FILES_MAX
    }

    /// Removes the files that an object of this slot has replaced: without it they must not come back.
    pub(crate) fn remove_replaced(&self, slot: Slot) {
        for old in self.replaced.take(slot) {
            self.unlink_counted(&old, EvictionCause::Replaced);
        }
    }

    /// Removes a file that is not in the index any more; `false` when it is still there.
    pub(crate) fn unlink_counted(&self, name: &ShardName, cause: EvictionCause) -> bool {
        match self.device.unlink(&name.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.disk().errors.add(1);
                tracing::warn!(disk = self.device.name(), %error, "cannot remove an object");
                self.bans.note_left(&name.path());
                false
            }
            Ok(()) | Err(_) => {
                self.count_removed(name.length, cause);
                true
            }
        }
    }

    /// The error for a read that failed.
    pub(crate) fn read_error(
        &self,
        name: &ShardName,
        offset: u64,
        fault: ShardFault,
    ) -> StoreError {
        let (disk, object) = (self.device.name().to_owned(), name.file_name());
        match fault {
            ShardFault::Io(source) => StoreError::Disk {
                disk,
                operation: "read",
                source,
            },
            ShardFault::Block(block) => StoreError::Corrupt {
                disk,
                block,
                object,
            },
            ShardFault::Format(_) => StoreError::Corrupt {
                disk,
                block: offset / BLOCK_BYTES,
                object,
            },
        }
    }
}

/// Errors that say nothing about the file: too many open files, out of memory, interrupted, no permission, or a
/// caller's mistake.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EINTR | libc::EAGAIN)
    ) || matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied
    )
}

/// Whether eviction may help.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
        || matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
}

const _: () = assert!(UNIT_BYTES.is_multiple_of(BLOCK_BYTES));
