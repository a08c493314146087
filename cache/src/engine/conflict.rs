//! Changed bytes behind an immutable URL: the two objects side by side, and what an operator decides about them.
//!
//! The original stays in its entry and is served. The changed object waits under [`Entry::conflict_key`], with
//! `conflict_of` naming the sequence it contradicts, until it is accepted or rejected. Detecting and storing it is the
//! fill's part.
//!
//! Invariant: the entry holds the original or the accepted object at every moment, also across a crash. The changed
//! object is copied, verified, into a new object that takes the original's place by its higher sequence; only then is
//! the conflict forgotten. What a crash in between leaves is a conflict between equal bytes, which the next decision
//! removes.

use super::sources::without_query;
use super::{Engine, Entry};
use crate::object::{ObjectHead, Sequence};
use crate::store::{BanWatch, Object, Store, StoreError, UNIT_BYTES};
use bytes::Bytes;
use std::sync::Arc;
use weir_policies::effect::ExpectedDigests;
use weir_policies::target::Target;

/// Two objects that claim to be the same.
#[derive(Debug, Clone)]
pub struct Conflict {
    /// Where the original is.
    pub entry: Entry,
    /// What is served; `None` when it is gone (evicted, purged).
    pub original: Option<Arc<Object>>,
    /// What the upstream sent later.
    pub changed: Arc<Object>,
}

/// What became of an accepted conflict.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Where it is served from now on.
    pub entry: Entry,
    /// The object that is served from now on.
    pub object: Arc<Object>,
    /// What it took the place of.
    pub replaced: Option<Sequence>,
}

/// Why a conflict could not be decided; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ConflictError {
    /// Nothing contradicts what is stored.
    #[error("there is no conflict for this URL")]
    None,
    /// The changed object could not be read or stored.
    #[error("the changed object cannot take the original's place: {0}")]
    Store(#[from] StoreError),
    /// Something newer came into the entry while the changed object was copied.
    #[error("something newer was stored meanwhile: look at the conflict again")]
    Overtaken,
}

impl Engine {
    /// All conflicts of `target`: one an entry and variant.
    pub async fn conflicts(&self, target: &Target) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        for entry in Entry::ALL {
            let changed = self.store.lookup(&entry.conflict_key(target)).await;
            if changed.is_empty() {
                continue;
            }
            let present = self.store.lookup(&entry.key(target)).await;
            conflicts.extend(changed.into_iter().map(|changed| Conflict {
                entry,
                original: original_of(changed.head(), &present),
                changed,
            }));
        }
        conflicts
    }

    /// The changed objects of `target` become what is served; the conflicts are forgotten.
    ///
    /// # Errors
    /// [`ConflictError`]. Of several conflicts the earlier ones may have been accepted; the rest is as before.
    pub async fn accept_conflicts(&self, target: &Target) -> Result<Vec<Accepted>, ConflictError> {
        let watch = Arc::new(self.store.opened()?.watch(&target.to_string()));
        let conflicts = self.conflicts(target).await;
        if conflicts.is_empty() {
            return Err(ConflictError::None);
        }
        let mut accepted = Vec::with_capacity(conflicts.len());
        for conflict in conflicts {
            let decided = self.accept(target, conflict, &watch).await?;
            tracing::info!(
                url = without_query(&target.to_string()),
                entry = decided.entry.as_str(),
                sequence = decided.object.sequence().0,
                replaced = decided.replaced.map(|replaced| replaced.0),
                "conflict accepted: the changed object is served from now on"
            );
            accepted.push(decided);
        }
        self.forget_conflicts(target).await;
        Ok(accepted)
    }

    /// The originals stay; the changed objects are forgotten and returned, which keeps them readable. The origin is not
    /// asked about these URLs again for a day, or until a restart: it would say the same.
    ///
    /// # Errors
    /// [`ConflictError::None`].
    pub async fn reject_conflicts(&self, target: &Target) -> Result<Vec<Conflict>, ConflictError> {
        let conflicts = self.conflicts(target).await;
        if conflicts.is_empty() {
            return Err(ConflictError::None);
        }
        for conflict in &conflicts {
            self.rejected
                .insert(conflict.entry.conflict_key(target), ());
        }
        self.forget_conflicts(target).await;
        for conflict in &conflicts {
            tracing::info!(
                url = without_query(&target.to_string()),
                entry = conflict.entry.as_str(),
                rejected = conflict.changed.sequence().0,
                "conflict rejected: the original stays"
            );
        }
        Ok(conflicts)
    }

    async fn accept(
        &self,
        target: &Target,
        conflict: Conflict,
        watch: &Arc<BanWatch>,
    ) -> Result<Accepted, ConflictError> {
        let Conflict {
            entry,
            original,
            changed,
        } = conflict;
        if let Some(original) = &original
            && same_bytes(original, &changed).await?
        {
            // Accepted before, and interrupted ahead of forgetting the conflict.
            return Ok(Accepted {
                entry,
                object: Arc::clone(original),
                replaced: None,
            });
        }
        let head = ObjectHead {
            key: entry.key(target),
            namespace: String::new(),
            conflict_of: None,
            // Whoever wanted the original kept wants its successor kept.
            pinned: changed.head().pinned || original.as_ref().is_some_and(|o| o.head().pinned),
            ..changed.head().clone()
        };
        let store = self.store.opened()?;
        let object = copy(store, &changed, head, Arc::clone(watch)).await?;
        if !is_in_place(store, &object).await {
            return Err(ConflictError::Overtaken);
        }
        let replaced = original.map(|original| original.sequence());
        Ok(Accepted {
            entry,
            object,
            replaced,
        })
    }

    async fn forget_conflicts(&self, target: &Target) {
        for entry in Entry::ALL {
            self.store.forget(&entry.conflict_key(target)).await;
        }
    }
}

/// The object that `changed` contradicts: by its sequence, else what has its place now.
fn original_of(changed: &ObjectHead, present: &[Arc<Object>]) -> Option<Arc<Object>> {
    let by_sequence = present
        .iter()
        .find(|object| Some(object.sequence()) == changed.conflict_of);
    let by_selection = || {
        present
            .iter()
            .find(|object| object.head().selection == changed.selection)
    };
    by_sequence.or_else(by_selection).cloned()
}

/// Whether a lookup of its key finds `object`: something newer may have come first.
pub(super) async fn is_in_place(store: &Store, object: &Object) -> bool {
    let present = store.lookup(&object.head().key).await;
    present
        .iter()
        .any(|present| present.sequence() == object.sequence())
}

/// Writes the bytes of `from` as a new object with `head`. A copy that fails or is cancelled leaves nothing.
async fn copy(
    store: &Store,
    from: &Object,
    head: ObjectHead,
    watch: Arc<BanWatch>,
) -> Result<Arc<Object>, StoreError> {
    let expected = ExpectedDigests::default();
    let mut writer = store
        .begin_watched(head, Some(from.length()), expected, watch)
        .await?;
    let mut at = 0;
    while at < from.length() {
        let piece = unit(from, at).await?;
        at = at.saturating_add(piece.len() as u64);
        writer.append(vec![piece]).await?;
    }
    writer.commit().await
}

/// Whether two objects have the same body: by sha256 where both have it, else by reading both.
///
/// # Errors
/// [`StoreError`] when one cannot be read.
pub async fn same_bytes(one: &Object, other: &Object) -> Result<bool, StoreError> {
    if one.length() != other.length() {
        return Ok(false);
    }
    if let (Some(one), Some(other)) = (one.digests().sha256, other.digests().sha256) {
        return Ok(one == other);
    }
    let mut at = 0;
    while at < one.length() {
        let (left, right) = (unit(one, at).await?, unit(other, at).await?);
        if left != right {
            return Ok(false);
        }
        at = at.saturating_add(left.len() as u64);
    }
    Ok(true)
}

/// The unit at `at`, a multiple of [`UNIT_BYTES`] below the length. Verified.
pub(super) async fn unit(object: &Object, at: u64) -> Result<Bytes, StoreError> {
    let length = object.length().saturating_sub(at).min(UNIT_BYTES);
    object
        .read(at, usize::try_from(length).unwrap_or(usize::MAX))
        .await
}
