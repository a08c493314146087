//! Looking at everything that is stored, a batch of the index at a time.
//!
//! Heads are read from their files unless they are open, nothing is kept open for it, and no use is noted. What a
//! purge covers is not shown.

use super::ban::Verdict;
use super::core::{Core, lock};
use super::index::Record;
use super::{Store, StoreError};
use crate::object::{ObjectHead, Sequence};
use std::sync::Arc;

/// A place in a walk through the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SurveyCursor(u32);

impl SurveyCursor {
    /// Places of the index looked at for one page, at most.
    pub const LIMIT_MAX: usize = 4096;
}

/// One stored object, as the survey finds it.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// Its head, as it was last amended.
    pub head: ObjectHead,
    /// Body, bytes.
    pub length: u64,
    /// Its sequence.
    pub sequence: Sequence,
    /// Since its last use, seconds.
    pub unused_for: u64,
}

impl Store {
    /// The objects at the next `limit` places of the index, and where to go on.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn survey(
        &self,
        cursor: SurveyCursor,
        limit: usize,
    ) -> Result<(Vec<Surveyed>, Option<SurveyCursor>), StoreError> {
        let core = Arc::clone(&self.core);
        let limit = limit.clamp(1, SurveyCursor::LIMIT_MAX);
        let look = move || {
            let (records, next) = lock(&core.index).batch(cursor.0, limit);
            let found = records.iter().filter_map(|record| core.look(record));
            (found.collect(), next.map(SurveyCursor))
        };
        self.core.on_pool("survey", look).await
    }

    /// Objects that are known to be pinned.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn pinned(&self) -> Result<u64, StoreError> {
        let core = Arc::clone(&self.core);
        self.core
            .on_pool("survey", move || core.count_pinned())
            .await
    }
}

impl Core {
    /// Pool only.
    fn look(&self, record: &Record) -> Option<Surveyed> {
        let stored = self.stored_head(record)??;
        let (head, amendment) = self.amended_head(&stored, record.slot, record.sequence);
        let mut head = head.unwrap_or(stored);
        let (verdict, _) = self.bans.judge(&head, record.sequence, amendment, 0);
        match verdict {
            Verdict::Removed => return None,
            Verdict::Stale => head.invalidated = true,
            Verdict::Allowed => {}
        }
        let unused_for = self.use_now().saturating_sub(self.last_use(record));
        Some(Surveyed {
            head,
            length: record.length,
            sequence: record.sequence,
            unused_for: unused_for.into(),
        })
    }

    fn count_pinned(&self) -> u64 {
        let (mut pinned, mut next) = (0_u64, Some(0));
        while let Some(from) = next {
            let (records, following) = lock(&self.index).batch(from, SurveyCursor::LIMIT_MAX);
            let counted = records.iter().filter(|record| record.pinned).count();
            pinned = pinned.saturating_add(counted as u64);
            next = following;
        }
        pinned
    }
}
