//! A walk through everything that is stored, and its numbers: for `weir ls`, `weir stat` and dry runs.
//!
//! In pages, because there may be millions: each costs a bounded time under the lock of the index and one read for
//! each object that is not open. No use is counted and no handle is kept. Pacing and giving up are the caller's.

use super::{Engine, Entry};
use crate::metrics::DiskStats;
use crate::object::{ObjectHead, Sequence};
use crate::store::{StoreError, SurveyCursor, Surveyed};
use http::{StatusCode, header};
use std::time::SystemTime;
use weir_policies::key::CacheKey;
use weir_policies::purge::PurgeScope;
use weir_policies::target::Target;

/// What kind of entry an object is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// What the URL itself answered.
    Plain,
    /// What was found behind its redirects.
    Followed,
    /// Bytes that contradict an immutable original.
    Conflict,
    /// A range of it.
    Part,
}

/// One stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Normal URL.
    pub url: String,
    /// Where it is.
    pub entry: EntryKind,
    /// Status of the response.
    pub status: StatusCode,
    /// Body, bytes.
    pub length: u64,
    /// Its sequence.
    pub sequence: Sequence,
    /// Wall clock at the start of its fill.
    pub stored_at: SystemTime,
    /// Since its last use, seconds.
    pub unused_for: u64,
    /// Never evicted.
    pub pinned: bool,
    /// Imported by an operator.
    pub immutable: bool,
    /// Not to be used without asking its origin.
    pub invalidated: bool,
    /// Surrogate-Key and Cache-Tag.
    pub tags: Vec<String>,
    /// Of the response, where it is text.
    pub content_type: Option<String>,
}

/// Some of what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In no order; may be empty although more follow.
    pub listed: Vec<Listed>,
    /// Where to go on; `None` at the end.
    pub next: Option<SurveyCursor>,
}

/// The numbers of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inventory {
    /// Committed objects.
    pub objects: u64,
    /// What they take, bytes.
    pub stored_bytes: u64,
    /// Promised to fills that run, bytes.
    pub filling_bytes: u64,
    /// What the store may use, bytes, from the last look at the disk.
    pub budget_bytes: u64,
    /// Objects that are known to be pinned.
    pub pinned: u64,
    /// Fills that run.
    pub fills: u64,
    /// Purges that are being worked off.
    pub bans_pending: u64,
}

impl Listed {
    /// Whether a purge of this scope concerns it.
    #[must_use]
    pub fn is_covered_by(&self, scope: &PurgeScope) -> bool {
        scope.covers(&self.url, &self.tags)
    }
}

impl Engine {
    /// The next page of a walk through everything that is stored: `None` begins it, `limit` bounds the work of one page
    /// (at most [`SurveyCursor::LIMIT_MAX`]). What stays during the whole walk is seen exactly once.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn survey(
        &self,
        cursor: Option<SurveyCursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let store = self.store.opened()?;
        let (found, next) = store.survey(cursor.unwrap_or_default(), limit).await?;
        let listed = found.into_iter().map(Listed::of).collect();
        Ok(Page { listed, next })
    }

    /// The numbers of the store.
    pub async fn inventory(&self) -> Inventory {
        let Some(store) = self.store.get() else {
            return Inventory::default();
        };
        let stats = store.stats();
        let of_disks =
            |bytes: fn(&DiskStats) -> u64| stats.disks().iter().map(|disk| bytes(disk)).sum();
        Inventory {
            objects: stats.objects.get(),
            stored_bytes: of_disks(|disk| disk.stored_bytes.get()),
            filling_bytes: of_disks(|disk| disk.filling_bytes.get()),
            budget_bytes: of_disks(|disk| disk.budget_bytes.get()),
            pinned: store.pinned().await.unwrap_or(0),
            fills: self.stats.fills_active.get(),
            bans_pending: stats.bans.get(),
        }
    }
}

impl Listed {
    fn of(found: Surveyed) -> Self {
        let head = found.head;
        let content_type = head.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        Self {
            entry: kind_of(&head),
            content_type: content_type.map(str::to_owned),
            url: head.url,
            status: head.status,
            length: found.length,
            sequence: found.sequence,
            stored_at: head.stored_at,
            unused_for: found.unused_for,
            pinned: head.pinned,
            immutable: head.immutable,
            invalidated: head.invalidated,
            tags: head.tags,
        }
    }
}

/// By its key: the namespace alone does not tell the two entries of a URL apart.
fn kind_of(head: &ObjectHead) -> EntryKind {
    let is = |key: fn(Entry, &Target) -> CacheKey, target: &Target| {
        let mut keys = Entry::ALL.into_iter().map(|entry| key(entry, target));
        keys.any(|key| key == head.key)
    };
    match Target::parse(&head.url) {
        Ok(target) if Entry::Followed.key(&target) == head.key => EntryKind::Followed,
        Ok(target) if is(Entry::conflict_key, &target) => EntryKind::Conflict,
        Ok(target) if is(Entry::parts_key, &target) => EntryKind::Part,
        Ok(_) | Err(_) => EntryKind::Plain,
    }
}
