//! Changing what is known of a stored object without touching its bytes.

use super::core::Core;
use super::core::lock;
use super::{Object, Store, StoreError};
use crate::object::Amendment;
use std::sync::Arc;

impl Store {
    /// Amends this very generation and makes it durable as far as [`super::Durability`] says. `None` when another
    /// generation has taken its place meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has changed.
    pub async fn amend(
        &self,
        object: &Arc<Object>,
        amendment: Amendment,
    ) -> Result<Option<Arc<Object>>, StoreError> {
        let (core, object) = (Arc::clone(&self.core), Arc::clone(object));
        self.core
            .on_pool("amend", move || core.amend(&object, amendment))
            .await
    }
}

impl Core {
    /// Pool only.
    fn amend(&self, object: &Arc<Object>, amendment: Amendment) -> Option<Arc<Object>> {
        let (slot, sequence) = (object.shard.name.slot, object.sequence());
        let pinned = amendment.pinned;
        if !lock(&self.index).set_pinned(slot, sequence, pinned) {
            return None;
        }
        let amended = Arc::new(object.amended(amendment));
        self.keep_handle(&amended);
        Some(amended)
    }
}
