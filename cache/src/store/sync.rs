//! What happens every few seconds: sync, the synced sequence, replaced files, leftovers, eviction. And how a new
//! object enters the store, because that decides what the next sync may remove.
//!
//! ```text
//! settled sequence and waiting files noted → syncfs → superblock (synced, itself synced) → replaced files removed
//! ```
//! Only what was committed before the syncfs began is claimed. A failed sync is never repeated on the same data: the
//! system may have dropped the pages and would answer success the second time. From then on nothing is claimed.

use super::core::{Core, lock};
use super::index::{Inserted, Record};
use super::layout::ShardName;
use super::reader::Object;
use super::shard::Shard;
use super::{Durability, StoreError};
use crate::events::Event;
use crate::metrics::EvictionCause;
use crate::object::Sequence;
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
        self.remove_leftovers();
        if let Err(error) = self.sync_pass() {
            tracing::error!(disk = self.device.name(), %error, "sync failed; nothing is claimed as durable any more");
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
        self.synced("syncfs", self.device.sync_all())?;
        if self.suspect.load(Ordering::Acquire) {
            return Ok(()); // another thread was told that something was lost, and this one was not
        }
        let claimed = self.update_superblock(|superblock| {
            superblock.synced = superblock.synced.max(settled);
            superblock.log = superblock.log.max(log);
        });
        if claimed.is_err() {
            self.unsynced.store(true, Ordering::Release);
        }
        claimed?;
        self.disk().syncs.add(1);
        for old in self.replaced.take_oldest(waiting) {
            self.unlink_counted(&old, EvictionCause::Replaced);
        }
        self.stats.replaced_waiting.set(self.replaced.len() as u64);
        Ok(())
    }

    /// The result of a sync; a failure makes the disk suspect for good.
    pub(super) fn synced(
        &self,
        operation: &'static str,
        result: io::Result<()>,
    ) -> Result<(), StoreError> {
        result.map_err(|error| {
            if !self.suspect.swap(true, Ordering::AcqRel) {
                let disk = self.device.name().to_owned();
                self.events.emit(Event::StoreSuspect { disk });
            }
            self.disk_error(operation, error)
        })
    }

    /// The next sequence, reserved durably.
    pub(super) fn take_sequence(&self) -> Result<Sequence, StoreError> {
        self.sequences
            .take(|end| self.update_superblock(|superblock| superblock.reserved = end))
    }

    pub(super) fn update_superblock(
        &self,
        change: impl FnOnce(&mut super::superblock::Superblock),
    ) -> Result<(), StoreError> {
        let mut superblock = lock(&self.superblock);
        let mut next = superblock.clone();
        change(&mut next);
        next.store(self.device.as_ref())
            .map_err(|error| self.disk_error("write superblock", error))?;
        *superblock = next;
        Ok(())
    }

    /// Enters a renamed object into index and handles. What it replaces waits for a sync, or goes at once when its
    /// successor is already on the platter.
    pub(super) fn admit(self: &Arc<Self>, shard: Shard) -> Arc<Object> {
        let now = self.use_now();
        let name = shard.name;
        let record = Record {
            slot: name.slot,
            sequence: name.sequence,
            length: name.length,
            last_use: now,
            owner: shard.head.origin_id,
            pinned: shard.head.pinned,
            unverified: false,
            head_known: true,
        };
        let object = Arc::new(Object::new(self, shard, now));
        // After the rename: a pass that began before it has not covered it.
        self.unsynced.store(true, Ordering::Release);
        self.respect_bound();
        let inserted = lock(&self.index).insert(record);
        self.count_stored(name.length);
        match inserted {
            Inserted::New => self.limit_variants(name.slot.key),
            Inserted::Replaced(old) => self.retire(&old),
            Inserted::Outdated => {
                self.unlink_counted(&name, EvictionCause::Replaced);
                return object;
            }
        }
        self.keep_handle(&object);
        object
    }

    fn respect_bound(&self) {
        while lock(&self.index).len() >= self.settings.objects_max.max(1) {
            if self.evict_one(EvictionCause::ObjectsMax).is_none() {
                return;
            }
        }
    }

    fn retire(&self, old: &Record) {
        self.handles.invalidate(&(old.slot, old.sequence));
        let name = ShardName::on_one_disk(old.slot, old.sequence, old.length);
        if self.settings.durability == Durability::Strict {
            self.unlink_counted(&name, EvictionCause::Replaced);
            return;
        }
        if self.replaced.add(name) {
            self.stats.replaced_bound_hits.add(1);
            if self.sync_pass().is_err() || self.suspect.load(Ordering::Acquire) {
                // It stays on the disk. Noted, so that no ban ends and no store counts as clean as long as it does.
                if let Some(oldest) = self.replaced.take_excess() {
                    self.bans.note_left(&oldest.path());
                }
            }
        }
        self.stats.replaced_waiting.set(self.replaced.len() as u64);
    }

    /// Removes the files that no counter knows and that could not be removed at once.
    pub(super) fn remove_leftovers(&self) {
        for path in std::mem::take(&mut *lock(&self.leftovers)) {
            self.unlink_uncounted(&path);
        }
    }

    /// Removes a file that no counter knows.
    pub(super) fn unlink_uncounted(&self, path: &str) {
        match self.device.unlink(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(disk = self.device.name(), path, %error, "cannot remove a file");
                if ShardName::of_path(path).is_some() {
                    self.bans.note_left(path);
                }
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Starts the thread that asks for a pass every [`SYNC_INTERVAL`]. It ends with the store, whose `Sender` it watches.
pub(super) fn start_timer(core: Weak<Core>, stop: Receiver<()>) -> io::Result<()> {
    let tick = move || {
        while stop.recv_timeout(SYNC_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let Some(core) = core.upgrade() else { return };
            core.request_maintenance();
        }
    };
    thread::Builder::new()
        .name("weir-sync".to_owned())
        .spawn(tick)
        .map(drop)
}
