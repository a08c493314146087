//! Files that were replaced and wait until their successors are safely on the platter.
//!
//! Removing the old file right away would lose both when the machine dies before the new one is synced. The list is
//! bounded; a full list asks its caller for a sync pass.

use super::core::lock;
use super::index::Record;
use super::layout::Slot;
use crate::object::Sequence;
use std::collections::VecDeque;
use std::sync::Mutex;

/// Files that may wait.
pub(crate) const WAITING_MAX: usize = 4096;

/// The list, in the order of replacement.
#[derive(Debug, Default)]
pub(crate) struct ReplacedFiles {
    waiting: Mutex<VecDeque<Record>>,
}

impl ReplacedFiles {
    /// Adds a file; `true` when the list is full and a sync pass is due.
    pub(crate) fn add(&self, record: Record) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.push_back(record);
        waiting.len() >= WAITING_MAX
    }

    /// Files waiting.
    pub(crate) fn len(&self) -> usize {
        lock(&self.waiting).len()
    }

    /// Whether a file with a lower sequence waits.
    pub(crate) fn has_older_than(&self, sequence: Sequence) -> bool {
        let waiting = lock(&self.waiting);
        waiting.iter().any(|record| record.sequence < sequence)
    }

    /// Takes the oldest `count` files: those that were waiting before a sync began.
    pub(crate) fn take_oldest(&self, count: usize) -> Vec<Record> {
        let mut waiting = lock(&self.waiting);
        let count = count.min(waiting.len());
        waiting.drain(..count).collect()
    }

    /// Takes the oldest file if the list is still full.
    pub(crate) fn take_excess(&self) -> Option<Record> {
        let mut waiting = lock(&self.waiting);
        (waiting.len() >= WAITING_MAX)
            .then(|| waiting.pop_front())
            .flatten()
    }

    /// Takes all files of one (key, variant).
    pub(crate) fn take(&self, slot: Slot) -> Vec<Record> {
        self.take_where(|record| record.slot == slot)
    }

    /// Takes all files of one key.
    pub(crate) fn take_key(&self, key: u128) -> Vec<Record> {
        self.take_where(|record| record.slot.key == key)
    }

    fn take_where(&self, wanted: impl Fn(&Record) -> bool) -> Vec<Record> {
        let mut waiting = lock(&self.waiting);
        let (taken, kept): (Vec<_>, Vec<_>) = waiting.drain(..).partition(wanted);
        waiting.extend(kept);
        taken
    }
}
