//! What all parts of a running store share: the disks, the index, the open handles and the numbers.
//!
//! Lock order, outermost first; while one is held only those behind it may be taken:
//!
//! 1. the state of one object writer
//! 2. the `sweep` of `bans`
//! 3. the writer of `log`
//! 4. `removals`, for reading, to remove something. [`Core::await_removals`] waits for it with at most the `sweep` held
//! 5. the reservation of `sequences`, which calls into the superblock for more numbers
//! 6. `superblock`
//! 7. leaves: `index`, the state of `sequences`, `replaced`, `leftovers`, `unlinked`, the rest of `bans` and of `log`, the
//!    queue of `amending`. No lock and
//!    no handle is touched while one of them is held: the handle cache calls back into the index when it lets go.
//!
//! No guard lives across an await. What concerns several disks, or changes one, is worked out on the coordinator's pool
//! (`pool`), which reaches the disks through the array; reads go to the pool of their disk at once. The one exception is
//! the recheck after a send, which drops what is corrupt on a thread of its own.

use super::StoreError;
use super::amend::Amending;
use super::array::Array;
use super::array::disk::DiskFault;
use super::ban::Bans;
use super::handles::Handles;
use super::health::Health;
use super::index::{Index, Place, Record};
use super::layout::{ObjectName, ShardName};
use super::log::MetadataLog;
use super::loss::Losses;
use super::members::Policy;
use super::pool::{Pool, PoolError};
use super::reader::Object;
use super::repair::Repairs;
use super::replaced::ReplacedFiles;
use super::report::DiskSlot;
use super::retire::Retirement;
use super::scrub::Scrubbing;
use super::sequence::Sequences;
use super::shard::ShardFault;
use super::superblock::Superblock;
use super::unlinked::Unlinked;
use super::{BLOCK_BYTES, StoreSettings, UNIT_BYTES};
use crate::events::{Event, Events};
use crate::metrics::StoreStats;
use crate::ports::Clock;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use weir_policies::key::CacheKey;

/// The shared state.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: StoreSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) array: Array,
    /// Where new objects go.
    pub(crate) policy: Policy,
    /// The coordinator's: whatever concerns several disks is worked out here.
    pub(crate) pool: Pool,
    pub(crate) pool_id: [u8; 16],
    /// What all disks' superblocks say alike.
    pub(crate) superblock: Mutex<Superblock>,
    pub(crate) sequences: Sequences,
    pub(crate) index: Arc<Mutex<Index>>,
    pub(crate) handles: Handles,
    pub(crate) replaced: ReplacedFiles,
    pub(crate) log: MetadataLog,
    pub(crate) amending: Amending,
    pub(crate) bans: Arc<Bans>,
    /// Files that no counter knows and that could not be removed at once.
    pub(crate) leftovers: Mutex<Vec<(DiskSlot, String)>>,
    /// Folders from which something was removed since the last sync.
    pub(crate) unlinked: Unlinked,
    pub(crate) stats: Arc<StoreStats>,
    pub(crate) events: Events,
    /// Count of use at the start; see [`Self::use_now`].
    pub(crate) use_base: u32,
    /// Ranges may be sent after a look at the page cache (probed at the start).
    pub(crate) resident: bool,
    /// A sync of the last disk failed: what the system dropped then is unknown, so nothing is claimed as synced any
    /// more.
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
    /// Which disks were lost, and what of that the others do not know yet.
    pub(super) losses: Losses,
    /// Objects that lack a shard.
    pub(super) repairs: Repairs,
    pub(super) scrubbing: Scrubbing,
    /// What looks at the disks have seen.
    pub(super) health: Health,
    /// Held while the table of disks changes, and while a disk that comes back is compared; comes before every other
    /// lock.
    pub(super) changing: Mutex<()>,
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

    /// To be held while shards of a stored object get their names: nothing is being removed meanwhile, so that what
    /// was removed is not there again afterwards. Not within [`Self::begin_removal`], and nothing is removed under it.
    pub(crate) fn begin_renewal(&self) -> RwLockWriteGuard<'_, ()> {
        self.removals
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds on the store's own count of use: monotonic, continued over restarts, untouched by the wall clock.
    pub(crate) fn use_now(&self) -> u32 {
        let seconds = u32::try_from(self.clock.elapsed().as_secs()).unwrap_or(u32::MAX);
        self.use_base.saturating_add(seconds)
    }

    /// A name for messages about the store as a whole: its folder, where there is one.
    pub(crate) fn name(&self) -> String {
        self.array.name()
    }

    /// The folder of a disk, for messages.
    pub(crate) fn folder_of(&self, slot: DiskSlot) -> String {
        let disk = self.array.get(slot);
        disk.map_or_else(|| format!("slot {slot}"), |disk| disk.name.clone())
    }

    /// An error of the system in the store's words; counted for its disk.
    pub(crate) fn disk_error(
        &self,
        slot: DiskSlot,
        operation: &'static str,
        source: io::Error,
    ) -> StoreError {
        if is_no_space(&source) {
            return self.full(slot);
        }
        if let Some(disk) = self.array.get(slot) {
            disk.stats.errors.add(1);
        }
        StoreError::Disk {
            disk: self.folder_of(slot),
            operation,
            source,
        }
    }

    /// As [`Self::disk_error`], where no disk can be blamed more than another.
    pub(crate) fn store_error(&self, operation: &'static str, source: io::Error) -> StoreError {
        if let Some(only) = self.array.only() {
            return self.disk_error(only.slot, operation, source);
        }
        StoreError::Disk {
            disk: self.name(),
            operation,
            source,
        }
    }

    /// A call on a disk had no result.
    pub(crate) fn fault_error(
        &self,
        slot: DiskSlot,
        operation: &'static str,
        fault: DiskFault,
    ) -> StoreError {
        match fault {
            DiskFault::Io(source) => self.disk_error(slot, operation, source),
            DiskFault::Closed => StoreError::Closed,
            DiskFault::Out => StoreError::Disk {
                disk: self.folder_of(slot),
                operation,
                source: io::Error::other("the disk is out"),
            },
        }
    }

    /// A disk refuses a write for want of room; counted and told.
    pub(crate) fn full(&self, slot: DiskSlot) -> StoreError {
        if let Some(disk) = self.array.get(slot) {
            disk.stats.full.add(1);
        }
        let disk = self.folder_of(slot);
        self.events.emit(Event::DiskFull { disk: disk.clone() });
        StoreError::Full { disk }
    }

    pub(crate) fn pool_error(&self, operation: &'static str, error: PoolError) -> StoreError {
        match error {
            PoolError::Closed => StoreError::Closed,
            PoolError::Panicked => {
                self.store_error(operation, io::Error::other("a disk job panicked"))
            }
            PoolError::Full => self.store_error(operation, io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Runs a job on the coordinator's pool.
    pub(crate) async fn on_pool<T: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.pool.is_full() {
            self.stats.pool_waits.add(1);
        }
        self.pool
            .run(job)
            .await
            .map_err(|error| self.pool_error(operation, error))
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
        let opened = self.open_shards(record);
        let Some(shards) = opened.filter(|shards| !record.unverified || self.is_whole(shards))
        else {
            return Opened::Nothing;
        };
        if record.unverified {
            lock(&self.index).set_verified(record.slot, record.sequence);
        }
        lock(&self.index).learn(record.slot, record.sequence, &shards.head);
        let object = self.with_current_head(Object::new(self, shards, record.last_use));
        let object = Arc::new(object);
        self.keep_handle(&object);
        self.under_bans(object)
            .map_or(Opened::Nothing, Opened::Object)
    }

    /// Takes an object out of index and handles: what was known of it, `None` when it was not there.
    pub(crate) fn take_entry(&self, name: &ObjectName) -> Option<(Record, Option<Place>)> {
        let removed = lock(&self.index).take(name.slot, name.sequence);
        self.handles.invalidate(&(name.slot, name.sequence));
        removed
    }

    /// The error for a read that failed.
    pub(crate) fn read_error(
        &self,
        shard: &ShardName,
        disk: String,
        offset: u64,
        fault: ShardFault,
    ) -> StoreError {
        let object = shard.file_name();
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
pub(crate) fn is_passing(error: &io::Error) -> bool {
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
