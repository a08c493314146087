//! Going through all entries in bounded steps, while others come and go.
//!
//! An entry keeps its place from its insertion to its removal, replacement included; so whatever stays is seen exactly
//! once. What was taken out and put back may be missed or seen twice: [`Index::put_back_count`] tells.

use super::{Entry, Index, Record, VACANT};

impl Index {
    /// The entries of `count` places from `from` on, and where to go on; `None` at the end.
    pub(crate) fn batch(&self, from: u32, count: usize) -> (Vec<Record>, Option<u32>) {
        let mut found = Vec::with_capacity(count);
        let mut at = from;
        for _ in 0..count {
            let Some(entry) = self.entry(at) else {
                return (found, None);
            };
            found.extend((entry.flags & VACANT == 0).then(|| Entry::record(entry)));
            let Some(next) = at.checked_add(1) else {
                return (found, None);
            };
            at = next;
        }
        let next = self.entry(at).is_some().then_some(at);
        (found, next)
    }

    /// How many entries were put back so far.
    pub(crate) fn put_back_count(&self) -> u64 {
        self.put_back_count
    }
}
