//! A committed object as its readers hold it.
//!
//! Holds its file open: replacing, evicting or forgetting the object takes nothing away from who is reading it.
//! Everything it returns was compared with its checksums in this very call; only [`super::send`] trusts an earlier one.
//! Reads go through the pool, except of small objects that are in memory.
//!
//! Cancellation: dropping the future of a read leaves a job behind whose result nobody takes.

use super::core::Core;
use super::fetch::{Fetched, Origin};
use super::layout::ObjectName;
use super::marks::Marks;
use super::shards::Shards;
use super::{StoreError, UNIT_BYTES};
use crate::object::{Digests, ObjectHead, Sequence};
use bytes::Bytes;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Objects up to this length are cheaper read and verified again than sent without being copied, bytes.
const AT_HAND_BYTES_MAX: u64 = 16 * 1024;

/// One committed object, open for reading. Stays readable while it is held, also after it was replaced or evicted.
#[derive(Debug)]
pub struct Object {
    pub(super) core: Weak<Core>,
    pub(super) shards: Arc<Shards>,
    pub(super) marks: Arc<Marks>,
    /// Shared by all heads of this generation.
    last_use: Arc<AtomicU32>,
    /// The head as it was amended; `None`: as it was stored.
    amended: Option<ObjectHead>,
    /// Number of the record that says so, 0 for none.
    pub(super) amendment: u64,
    /// Number of the ban up to which it was looked at.
    checked: AtomicU64,
}

impl Object {
    pub(super) fn new(core: &Arc<Core>, shards: Shards, last_use: u32) -> Self {
        let marks = Arc::new(Marks::for_length(shards.name.length));
        Self {
            core: Arc::downgrade(core),
            shards: Arc::new(shards),
            marks,
            last_use: Arc::new(AtomicU32::new(last_use)),
            amended: None,
            amendment: 0,
            checked: AtomicU64::new(0),
        }
    }

    /// The same object under another head; file, checksums, marks and last use stay shared.
    pub(super) fn under(&self, head: ObjectHead, amendment: u64) -> Self {
        Self {
            core: Weak::clone(&self.core),
            shards: Arc::clone(&self.shards),
            marks: Arc::clone(&self.marks),
            last_use: Arc::clone(&self.last_use),
            amended: Some(head),
            amendment,
            checked: AtomicU64::new(0),
        }
    }

    /// The head, as it was last amended.
    #[must_use]
    pub fn head(&self) -> &ObjectHead {
        self.amended.as_ref().unwrap_or(&self.shards.head)
    }

    /// Body length, bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.shards.name.length
    }

    /// Digests.
    #[must_use]
    pub fn digests(&self) -> &Digests {
        &self.shards.digests
    }

    /// Which generation it is, and where.
    pub(super) fn name(&self) -> &ObjectName {
        &self.shards.name
    }

    /// Its sequence.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.shards.name.sequence
    }

    /// Reads and verifies `length` (at most [`UNIT_BYTES`], not crossing a unit boundary) bytes at `offset`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] also drops the object from the index and counts it.
    pub async fn read(&self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        let core = self.core.upgrade().ok_or(StoreError::Closed)?;
        if !is_inside_one_unit(offset, length, self.length()) {
            let source = io::Error::new(
                io::ErrorKind::InvalidInput,
                "range crosses a unit or the end",
            );
            return Err(core.store_error("read", source));
        }
        let unit = offset / UNIT_BYTES;
        let fetched = core.fetch(&self.shards, offset, length as u64).await;
        let Fetched { bytes, from } = fetched.inspect_err(|_| self.marks.clear(unit))?;
        let unit_end = self
            .length()
            .min(unit.saturating_add(1).saturating_mul(UNIT_BYTES));
        let covers_unit =
            offset.is_multiple_of(UNIT_BYTES) && offset.saturating_add(length as u64) == unit_end;
        match from {
            // The files where the bytes lie may be bad: nothing is sent from them.
            Origin::Others => self.marks.clear(unit),
            Origin::TheirPlace if covers_unit => self.marks.set(unit, core.clock.elapsed()),
            Origin::TheirPlace => {}
        }
        Ok(bytes)
    }

    /// As [`Self::read`] for a range that is small and in memory: at once, on the caller's thread. `None`: it is not,
    /// or something is wrong with it; [`Self::read`] finds out.
    #[must_use]
    pub fn read_at_hand(&self, offset: u64, length: u64) -> Option<Bytes> {
        let is_small = length <= AT_HAND_BYTES_MAX && self.length() <= AT_HAND_BYTES_MAX;
        let length = usize::try_from(length).ok().filter(|_| is_small)?;
        let mut open = self.shards.candidates();
        open.find_map(|index| self.shards.opened(index)?.read_resident(offset, length))
    }

    /// Marks a use for the eviction order. Cheap: no lock, no I/O.
    pub fn touch(&self) {
        if let Some(core) = self.core.upgrade() {
            self.last_use.fetch_max(core.use_now(), Ordering::Relaxed);
        }
    }

    /// Up to which ban it was looked at.
    pub(super) fn checked(&self) -> u64 {
        self.checked.load(Ordering::Acquire)
    }

    pub(super) fn set_checked(&self, ban: u64) {
        self.checked.fetch_max(ban, Ordering::AcqRel);
    }

    pub(super) fn last_use(&self) -> u32 {
        self.last_use.load(Ordering::Relaxed)
    }

    /// Files that the handle holds open.
    pub(super) fn open_files(&self) -> usize {
        self.shards.open_files()
    }

    /// What the handle holds in memory besides a constant, bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.shards.checksums() * 8 + self.marks.len() * 4
    }
}

fn is_inside_one_unit(offset: u64, length: usize, total: u64) -> bool {
    let Some(until) = offset.checked_add(length as u64) else {
        return false;
    };
    until <= total && (length == 0 || offset / UNIT_BYTES == (until - 1) / UNIT_BYTES)
}
