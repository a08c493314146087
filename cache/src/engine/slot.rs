//! The engine's store, which may come later and may be given away.
//!
//! A process that takes over from another one serves before it owns the data: until then there is nothing to find, and
//! whatever wants to store is told `Closed`, as by a store that has retired. Changes that it learns of meanwhile are
//! made up for before the first lookup finds anything.

mod missed;

use crate::object::{Amendment, ObjectHead};
use crate::store::{BanWatch, Object, ObjectWriter, Store, StoreError};
use missed::Missed;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use tokio::sync::OnceCell;
use weir_policies::effect::ExpectedDigests;
use weir_policies::key::CacheKey;
use weir_policies::target::Target;

/// A store, or the place for one. Most methods are those of [`Store`].
#[derive(Debug, Default)]
pub(super) struct StoreSlot {
    store: OnceLock<Arc<Store>>,
    /// Changes from before the store came; none are added afterwards.
    missed: Mutex<Missed>,
    /// Set when they are made up for.
    made_up: OnceCell<()>,
}

impl StoreSlot {
    pub(super) fn holding(store: Arc<Store>) -> Self {
        Self {
            store: OnceLock::from(store),
            missed: Mutex::default(),
            made_up: OnceCell::new_with(Some(())),
        }
    }

    /// The first one stays.
    pub(super) fn install(&self, store: Arc<Store>) {
        // Under the lock: who has seen no store has left a note.
        let _missed = self.missed.lock();
        if self.store.set(store).is_err() {
            tracing::error!("a second store was opened, which is a bug; the first one stays");
        }
    }

    /// A URL has changed. While the store is not here this is kept for it.
    pub(super) fn note_change(&self, target: &Target) {
        let mut missed = self.missed.lock();
        if self.get().is_none() {
            missed.note(target);
        }
    }

    /// Whether changes are not made up for.
    pub(super) fn has_missed(&self) -> bool {
        !self.missed.lock().is_empty()
    }

    /// Makes up for the changes from before the store came, or waits until somebody else has. Cancel-safe.
    pub(super) async fn make_up(&self) {
        if let Some(store) = self.get() {
            self.made_up.get_or_init(|| self.make_up_in(store)).await;
        }
    }

    async fn make_up_in(&self, store: &Store) {
        let missed = self.missed.lock().clone();
        if !missed.is_empty() {
            missed.make_up(store).await;
            *self.missed.lock() = Missed::default();
        }
    }

    pub(super) fn get(&self) -> Option<&Arc<Store>> {
        self.store.get()
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
            Some(store) => {
                self.make_up().await;
                store.lookup(key).await
            }
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
