//! Taking objects away because somebody asked, not because room is needed.
//!
//! ```text
//! counted → files that wait for their successors removed → entries taken, files removed → fsync of the folder
//! ```
//! Counted first: an eviction that fails meanwhile does not put its object back.

use super::Store;
use super::core::{Core, lock};
use super::layout::ShardName;
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
        if let Err(error) = forgotten {
            tracing::warn!(%error, "cannot forget an object");
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
