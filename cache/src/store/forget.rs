//! Taking objects away because somebody asked, not because room is needed.
//!
//! ```text
//! counted → files that wait for their successors removed → entries taken, files removed → fsync of the folder
//! ```
//! Counted first: an eviction that fails meanwhile does not put its object back.

use super::core::{Core, lock};
use super::layout::ShardName;
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
        let (core, name) = (Arc::clone(&self.core), object.shard.name);
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
        let older = self.replaced.take_key(key);
        for old in &older {
            self.unlink_counted(old, EvictionCause::Replaced);
        }
        let records = lock(&self.index).find(key);
        for record in &records {
            let name = record.name();
            if self.drop_entry(&name) {
                self.unlink_counted(&name, EvictionCause::Forgotten);
            }
        }
        if let Some(record) = records.first() {
            self.sync_removal(&record.name());
        }
    }

    /// Pool only.
    fn forget_generation(&self, name: &ShardName) {
        let _removal = self.begin_removal();
        self.forgets.fetch_add(1, Ordering::AcqRel);
        if !self.drop_entry(name) {
            return; // replaced, evicted or forgotten meanwhile
        }
        // The older files first, as above; only now, because they are nobody's business but of who took the entry.
        self.remove_replaced(name.slot);
        self.unlink_counted(name, EvictionCause::Forgotten);
        self.sync_removal(name);
    }

    fn sync_removal(&self, name: &ShardName) {
        let synced = self.device.sync_dir(&name.folder());
        if let Err(error) = self.synced("fsync of a folder", synced) {
            tracing::warn!(%error, "a forgotten object may come back after a power failure");
        }
    }
}
