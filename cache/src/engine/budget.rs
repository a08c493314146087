//! One memory budget for all fills: every running fill holds a share of it for its tail and its unwritten bytes.
//!
//! While less than a quarter of the budget is taken, a fill gets a large share; later ones get a small one, so that a
//! crowd of different objects degrades to smaller writes before any of them goes uncached.

use crate::allowance::{Allowance, Taken};
use crate::store::UNIT_BYTES;
use std::sync::Arc;

/// Shares are multiples of this: the smallest body has a cost beside its bytes.
const STEP_BYTES: u64 = 1024;
/// One unit being collected, one piece beyond it, one unit of tail for readers close behind.
const LARGE_SHARE_BYTES: u64 = 3 * UNIT_BYTES;
/// A quarter of a unit collected, and a piece beyond it.
const SMALL_SHARE_BYTES: u64 = UNIT_BYTES / 4 + UNIT_BYTES;

/// The budget.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    bytes: Arc<Allowance>,
}

/// A share, given back when dropped.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    _taken: Taken,
    /// Bytes collected before they are written, at least.
    pub(crate) write_bytes: u64,
    /// Written bytes that stay in memory for readers close behind.
    pub(crate) keep_bytes: u64,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            bytes: Allowance::new(bytes),
        }
    }

    /// Another budget from now on. Shares that are out stay; there are no new ones until enough of them are back.
    pub(crate) fn resize(&self, bytes: u64) {
        self.bytes.set_most(bytes);
    }

    /// A share for a body of `length` bytes (`None`: unknown), or `None` when the budget is used up.
    pub(crate) fn take(&self, length: Option<u64>) -> Option<MemoryShare> {
        let plenty = self.bytes.taken() < self.bytes.most() / 4;
        let (share, write_bytes, keep_bytes) = if plenty {
            (LARGE_SHARE_BYTES, UNIT_BYTES, UNIT_BYTES)
        } else {
            (SMALL_SHARE_BYTES, UNIT_BYTES / 4, 0)
        };
        let share = length.map_or(share, |length| length.clamp(1, share));
        Some(MemoryShare {
            _taken: self.bytes.try_take(share.next_multiple_of(STEP_BYTES))?,
            write_bytes,
            keep_bytes,
        })
    }

    /// Bytes held by running fills.
    pub(crate) fn taken_bytes(&self) -> u64 {
        self.bytes.taken()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_up_budget_gives_nothing_and_recovers() {
        let budget = MemoryBudget::new(LARGE_SHARE_BYTES + SMALL_SHARE_BYTES);
        let first = budget.take(None).expect("a large share");
        assert_eq!(first.write_bytes, UNIT_BYTES);
        let second = budget.take(None).expect("a small share");
        assert_eq!(second.write_bytes, UNIT_BYTES / 4);
        assert!(budget.take(None).is_none());
        assert_eq!(budget.taken_bytes(), LARGE_SHARE_BYTES + SMALL_SHARE_BYTES);
        drop(first);
        assert!(budget.take(None).is_some());
    }

    #[test]
    fn a_small_body_takes_only_what_it_needs() {
        let budget = MemoryBudget::new(1 << 20);
        let _share = budget.take(Some(10)).expect("there is room");
        assert_eq!(budget.taken_bytes(), STEP_BYTES);
    }

    #[test]
    fn a_smaller_budget_leaves_shares_alone_and_gives_no_new_ones_until_they_are_back() {
        let budget = MemoryBudget::new(2 * LARGE_SHARE_BYTES);
        let first = budget.take(None).expect("a share");
        budget.resize(LARGE_SHARE_BYTES);
        assert!(budget.take(None).is_none());
        assert_eq!(budget.taken_bytes(), LARGE_SHARE_BYTES);
        drop(first);
        assert!(budget.take(None).is_some());
    }
}
