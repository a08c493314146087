//! What happens every few seconds: sync, the synced sequence, replaced files, leftovers, eviction. And how a new
//! object enters the store, because that decides what the next sync may remove.
//!
//! ```text
//! settled sequence and waiting files noted → syncfs → superblock (synced, itself synced) → replaced files removed
//! ```
//! Only what was committed before the syncfs began is claimed. A failed sync is never repeated on the same data: the
//! system may have dropped the pages and would answer success the second time. From then on nothing is claimed.

use super::array::disk::{Absence, DiskFault};
use super::core::{Core, lock};
use super::index::{Inserted, Record};
use super::members::Members;
use super::pool::be_patient;
use super::reader::Object;
use super::report::DiskSlot;
use super::shards::Shards;
use super::superblock::Superblock;
use super::{Durability, StoreError};
use crate::events::Event;
use crate::metrics::EvictionCause;
use crate::object::Sequence;
use crate::ports::Device;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// Time between two passes.
pub(crate) const SYNC_INTERVAL: Duration = Duration::from_secs(5);

impl Core {
    /// One pass. Pool only.
    pub(super) fn maintain(self: &Arc<Self>) {
        self.look_at_disks();
        self.remove_leftovers();
        if let Err(error) = self.sync_pass() {
            tracing::error!(disk = self.name(), %error, "sync failed; nothing is claimed as durable any more");
        }
        self.sweep_bans();
        self.clean_log();
        self.evict_to_low_watermark();
    }

    /// Syncs what was committed and removes what it replaced.
    pub(super) fn sync_pass(&self) -> Result<(), StoreError> {
        if self.suspect.load(Ordering::Acquire) || !self.unsynced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let settled = self.sequences.settled();
        let waiting = self.replaced.len();
        let log = self.log.end();
        let unlinked = self.unlinked.last();
        self.sync_disks()?;
        if self.suspect.load(Ordering::Acquire) {
            return Ok(()); // another thread was told that something was lost, and this one was not
        }
        self.unlinked.synced(unlinked);
        let claimed = self.update_superblock(|superblock| {
            superblock.synced = superblock.synced.max(settled);
            superblock.log = superblock.log.max(log);
        });
        if claimed.is_err() {
            self.unsynced.store(true, Ordering::Release);
        }
        claimed?;
        for disk in self.array.disks().iter().filter(|disk| disk.is_live()) {
            disk.stats.syncs.add(1);
        }
        for old in self.replaced.take_oldest(waiting) {
            self.unlink_counted(&old, EvictionCause::Replaced);
        }
        self.stats.replaced_waiting.set(self.replaced.len() as u64);
        Ok(())
    }

    /// Syncs the file systems of all live disks. One that fails is out: the system may have dropped what it was given,
    /// and would answer success the second time. An error when that was the last one.
    pub(super) fn sync_disks(&self) -> Result<(), StoreError> {
        let disks = self.array.disks();
        let live = disks.iter().filter(|disk| disk.is_live());
        let jobs = live.map(|disk| {
            let uuid = disk.uuid;
            let sync = move |device: &dyn Device| {
                sync_all(device)?;
                // Of a folder that is not mounted any more the file system below is synced, and that says nothing.
                if Superblock::is_of(device, uuid) {
                    Ok(())
                } else {
                    Err(io::Error::new(io::ErrorKind::NotFound, "the disk is gone"))
                }
            };
            (disk.slot, sync)
        });
        self.sync_each("syncfs", jobs.collect())
    }

    /// Syncs a folder on some disks; as [`Self::sync_disks`].
    pub(super) fn sync_folders(&self, members: Members, folder: &str) -> Result<(), StoreError> {
        let members = members.intersection(self.array.live());
        let jobs = members.iter().map(|slot| {
            let folder = folder.to_owned();
            let sync = move |device: &dyn Device| match device.sync_dir(&folder) {
                // Nothing was ever stored there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            };
            (slot, sync)
        });
        self.sync_each("fsync of a folder", jobs.collect())
    }

    fn sync_each<J>(
        &self,
        operation: &'static str,
        jobs: Vec<(DiskSlot, J)>,
    ) -> Result<(), StoreError>
    where
        J: FnOnce(&dyn Device) -> io::Result<()> + Send + 'static,
    {
        for (slot, answer) in self.array.on_each(jobs) {
            let Err(fault) = answer else { continue };
            match fault {
                // Nothing was dropped: it may be back for the next pass.
                DiskFault::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                    if !self.lose(slot, Absence::Missing, "it is not there any more") {
                        return Err(self.disk_error(slot, operation, error));
                    }
                }
                DiskFault::Io(error) if !self.lose(slot, Absence::Failed, "a sync failed") => {
                    return self.synced(operation, Err(error));
                }
                DiskFault::Io(_) | DiskFault::Out => {}
                DiskFault::Closed => return Err(StoreError::Closed),
            }
        }
        Ok(())
    }

    /// The result of a sync that no other disk makes up for; a failure makes the store suspect for good.
    pub(super) fn synced(
        &self,
        operation: &'static str,
        result: io::Result<()>,
    ) -> Result<(), StoreError> {
        result.map_err(|error| {
            self.note_failed_sync();
            self.store_error(operation, error)
        })
    }

    pub(super) fn note_failed_sync(&self) {
        if !self.suspect.swap(true, Ordering::AcqRel) {
            let disk = self.name();
            self.events.emit(Event::StoreSuspect { disk });
        }
    }

    /// The next sequence, reserved durably.
    pub(super) fn take_sequence(&self) -> Result<Sequence, StoreError> {
        // Never less than an epoch that began meanwhile has reserved.
        self.sequences.take(|end| {
            self.update_superblock(|superblock| superblock.reserved = superblock.reserved.max(end))
        })
    }

    /// Enters a renamed object into index and handles. What it replaces waits for a sync, or goes at once when its
    /// successor is already on the platter.
    pub(super) fn admit(self: &Arc<Self>, shards: Shards, missing: u16) -> Arc<Object> {
        let now = self.use_now();
        let name = shards.name;
        let record = Record {
            slot: name.slot,
            sequence: name.sequence,
            length: name.length,
            placement: name.placement,
            missing,
            last_use: now,
            owner: shards.head.origin_id,
            pinned: shards.head.pinned,
            unverified: false,
            head_known: true,
        };
        let object = Arc::new(Object::new(self, shards, now));
        // After the rename: a pass that began before it has not covered it.
        self.unsynced.store(true, Ordering::Release);
        self.respect_bound();
        let inserted = lock(&self.index).insert(record);
        self.count_stored(&record);
        match inserted {
            Inserted::New => {
                // What takes the place of something that nobody sees may be gone again when the others are back.
                self.remove_unseen(name.slot.key, |other| {
                    other.slot == name.slot && other.sequence < name.sequence
                });
                self.limit_variants(name.slot.key);
            }
            Inserted::Replaced(old) => self.retire(old),
            Inserted::Outdated => {
                self.unlink_counted(&record, EvictionCause::Replaced);
                return object;
            }
        }
        self.keep_handle(&object);
        if missing != 0 {
            self.queue_repair(&name);
        }
        object
    }

    fn respect_bound(&self) {
        while lock(&self.index).len() >= self.settings.objects_max.max(1) {
            if self.evict(EvictionCause::ObjectsMax, None, 1).is_none() {
                return;
            }
        }
    }

    /// What has a successor goes, now or with the next sync.
    pub(super) fn retire(&self, old: Record) {
        self.handles.invalidate(&(old.slot, old.sequence));
        if self.settings.durability == Durability::Strict {
            self.unlink_counted(&old, EvictionCause::Replaced);
            // What takes the place of an object may be evicted at any moment, and must not bring it back.
            let folder = old.name().shard(0).folder();
            if let Err(error) = self.sync_folders(old.placement.members, &folder) {
                tracing::warn!(%error, "a replaced object may come back after a power failure");
            }
            return;
        }
        if self.replaced.add(old) {
            self.stats.replaced_bound_hits.add(1);
            if self.sync_pass().is_err() || self.suspect.load(Ordering::Acquire) {
                // It stays on the disk. Noted, so that no ban ends and no store counts as clean as long as it does.
                if let Some(oldest) = self.replaced.take_excess() {
                    for (disk, shard) in oldest.name().shards() {
                        self.bans.note_left(disk, &shard.path());
                    }
                }
            }
        }
        self.stats.replaced_waiting.set(self.replaced.len() as u64);
    }
}

/// One job: everything that a file system was given.
pub(super) fn sync_all(device: &dyn Device) -> io::Result<()> {
    be_patient();
    device.sync_all()
}

/// A disk that hangs is noticed a quarter of its deadline late at most.
pub(super) fn watch_interval(core: &Core) -> Duration {
    let watched = (core.settings.disk_deadline / 4).max(Duration::from_millis(10));
    match core.array.only() {
        Some(_) => SYNC_INTERVAL,
        None => watched.min(SYNC_INTERVAL),
    }
}

/// Starts the thread that watches the disks, and asks for a pass every [`SYNC_INTERVAL`]. It ends with the store, whose
/// `Sender` it watches.
pub(super) fn start_timer(core: Weak<Core>, stop: Receiver<()>) -> io::Result<()> {
    let tick = move || {
        let mut waited = Duration::ZERO;
        loop {
            let Some(pause) = core.upgrade().map(|core| watch_interval(&core)) else {
                return;
            };
            if stop.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                if let Some(core) = core.upgrade() {
                    core.repairs.stop(); // also where a store is dropped without being closed
                }
                return;
            }
            let Some(core) = core.upgrade() else { return };
            core.watch_disks();
            waited += pause;
            if waited >= SYNC_INTERVAL {
                waited = Duration::ZERO;
                core.request_maintenance();
            }
        }
    };
    thread::Builder::new()
        .name("weir-sync".to_owned())
        .spawn(tick)
        .map(drop)
}
