//! Taking objects away because somebody asked, not because room is needed.
//!
//! ```text
//! counted → files that wait for their successors removed → fsync of the folder → entries taken, files removed → what
//! no index knows removed → fsync
//! ```
//! The first fsync is for older files, removed just now or since the last sync: a power failure must not bring one of
//! them back in place of what is removed here.
//!
//! Counted first: an eviction that fails meanwhile does not put its object back.

use super::core::{Core, lock};
use super::index::Record;
use super::layout::{ObjectName, folder_of};
use super::members::Members;
use super::{Object, Store, StoreError};
use crate::metrics::EvictionCause;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weir_policies::key::CacheKey;

impl Store {
    /// Forgets every variant of `key` and unlinks it. Open readers keep their files.
    ///
    /// When it returns the names are gone from the platter as well, unless the disk fails (which is logged).
    pub async fn forget(&self, key: &CacheKey) {
        let (core, key) = (Arc::clone(&self.core), key.short());
        let forgotten = self.core.on_pool("forget", move || core.forget(key)).await;
        match forgotten {
            Ok(()) => {}
            Err(StoreError::Closed) => tracing::debug!("not forgotten: the store is closed"),
            Err(error) => tracing::warn!(%error, "cannot forget an object"),
        }
    }

    /// As [`Self::forget`], but only this very generation of this variant. Its siblings stay, and so does a newer
    /// generation that has taken its place.
    pub async fn forget_variant(&self, object: &Arc<Object>) {
        let (core, name) = (Arc::clone(&self.core), *object.name());
        let forget = move || core.forget_generation(&name);
        if let Err(error) = self.core.on_pool("forget", forget).await {
            tracing::warn!(%error, "cannot forget a variant of an object");
        }
    }
}

impl Core {
    /// Pool only.
    fn forget(&self, key: u128) {
        let _removal = self.begin_removal();
        // Before the index is read: what is being evicted now must not be put back behind our back.
        self.forgets.fetch_add(1, Ordering::AcqRel);
        // The older files first: a crash in between must not bring them back.
        for old in self.replaced.take_key(key) {
            self.unlink_counted(&old, EvictionCause::Replaced);
        }
        let records = lock(&self.index).find(key);
        self.sync_older(&records);
        for record in &records {
            // What it says by now of what is missing is what is counted.
            if let Some((now, _)) = self.take_entry(&record.name()) {
                self.unlink_counted(&now, EvictionCause::Forgotten);
            }
        }
        // What could not be removed before: a failure notes it again.
        self.remove_files(&self.bans.take_left_of(key));
        self.remove_unseen(key, |name| name.slot.key == key);
        // Also where nothing was found.
        self.sync_unlinked(key);
    }

    /// Pool only.
    fn forget_generation(&self, name: &ObjectName) {
        let _removal = self.begin_removal();
        self.forgets.fetch_add(1, Ordering::AcqRel);
        let Some((record, _)) = self.take_entry(name) else {
            return self.sync_unlinked(name.slot.key); // replaced, evicted or forgotten meanwhile
        };
        // The older files first, as above; only now, because they are nobody's business but of who took the entry.
        self.remove_replaced(name.slot);
        self.sync_older(&[record]);
        self.unlink_counted(&record, EvictionCause::Forgotten);
        self.sync_removal(&[record]);
    }

    /// Brings onto the platter that older generations are gone, also those that a sync pass has removed a moment ago. They
    /// may have been on any disk.
    fn sync_older(&self, records: &[Record]) {
        self.sync_folder_of(records, Members::ALL);
    }

    fn sync_removal(&self, records: &[Record]) {
        let members = records.iter().fold(Members::EMPTY, |members, record| {
            members.union(record.placement.members)
        });
        self.sync_folder_of(records, members);
    }

    /// The files of one key are in one folder of each disk.
    fn sync_folder_of(&self, records: &[Record], members: Members) {
        if let Some(first) = records.first() {
            self.sync_folder(&folder_of(first.slot.key), members);
        }
    }

    /// What is not found may have been evicted a moment ago, and the power bring it back. Costs nothing where nothing was
    /// removed since the last sync.
    fn sync_unlinked(&self, key: u128) {
        let folder = folder_of(key);
        if self.unlinked.contains(&folder) {
            self.sync_folder(&folder, Members::ALL);
        }
    }

    fn sync_folder(&self, folder: &str, members: Members) {
        let synced = self.sync_folders(members, folder);
        // The sync may have been what found a disk out.
        if let Err(error) = synced.and_then(|()| self.settle_losses()) {
            tracing::warn!(%error, "a forgotten object may come back after a power failure");
        }
    }
}
