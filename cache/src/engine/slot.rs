//! The engine's store, which may come later and may be given away.
//!
//! A process that takes over from another one serves before it owns the data: until then there is nothing to find, and
//! whatever wants to store is told `Closed`, as by a store that has retired.

use crate::object::{Amendment, ObjectHead};
use crate::store::{BanWatch, Object, ObjectWriter, Store, StoreError};
use std::sync::{Arc, OnceLock};
use weir_policies::effect::ExpectedDigests;
use weir_policies::key::CacheKey;

/// A store, or the place for one. The methods are those of [`Store`].
#[derive(Debug, Default)]
pub(super) struct StoreSlot(OnceLock<Arc<Store>>);

impl StoreSlot {
    pub(super) fn holding(store: Arc<Store>) -> Self {
        Self(OnceLock::from(store))
    }

    /// The first one stays.
    pub(super) fn install(&self, store: Arc<Store>) {
        if self.0.set(store).is_err() {
            tracing::error!("a second store was opened, which is a bug; the first one stays");
        }
    }

    pub(super) fn get(&self) -> Option<&Arc<Store>> {
        self.0.get()
    }

    /// The store, for who cannot do without.
    pub(super) fn opened(&self) -> Result<&Arc<Store>, StoreError> {
        self.get().ok_or(StoreError::Closed)
    }

    /// Whether anything can be stored here now.
    pub(super) fn is_ours(&self) -> bool {
        self.get().is_some_and(|store| !store.has_retired())
    }

    pub(super) async fn lookup(&self, key: &CacheKey) -> Vec<Arc<Object>> {
        match self.get() {
            Some(store) => store.lookup(key).await,
            None => Vec::new(),
        }
    }

    pub(super) async fn begin(
        &self,
        head: ObjectHead,
        length: Option<u64>,
    ) -> Result<ObjectWriter, StoreError> {
        self.opened()?.begin(head, length).await
    }

    /// To be taken before an upstream is asked. `None`: not ours yet, and what is purged meanwhile nobody tells us.
    pub(super) fn watch(&self, url: &str) -> Option<Arc<BanWatch>> {
        self.get().map(|store| Arc::new(store.watch(url)))
    }

    /// What was asked for without a watch is never stored, also when the store has come meanwhile.
    pub(super) async fn begin_watched(
        &self,
        head: ObjectHead,
        length: Option<u64>,
        expected: ExpectedDigests,
        watch: Option<Arc<BanWatch>>,
    ) -> Result<ObjectWriter, StoreError> {
        let watch = watch.ok_or(StoreError::Closed)?;
        let store = self.opened()?;
        store.begin_watched(head, length, expected, watch).await
    }

    pub(super) fn is_purged(&self, object: &Object) -> bool {
        self.get().is_some_and(|store| store.is_purged(object))
    }

    pub(super) async fn amend(
        &self,
        object: &Arc<Object>,
        amendment: Amendment,
    ) -> Result<Option<Arc<Object>>, StoreError> {
        self.opened()?.amend(object, amendment).await
    }

    pub(super) async fn forget(&self, key: &CacheKey) {
        if let Some(store) = self.get() {
            store.forget(key).await;
        }
    }
}
