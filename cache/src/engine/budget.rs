//! One memory budget for all fills: every running fill holds a share of it for its tail and its unwritten bytes.
//!
//! While less than a quarter of the budget is taken, a fill gets a large share; later ones get a small one, so that a
//! crowd of different objects degrades to smaller writes before any of them goes uncached.

use crate::store::UNIT_BYTES;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Semaphore permits count KiB, so that any budget up to 4 TiB fits.
const PERMIT_BYTES: u64 = 1024;
/// One unit being collected, one piece beyond it, one unit of tail for readers close behind.
const LARGE_SHARE_BYTES: u64 = 3 * UNIT_BYTES;
/// A quarter of a unit collected, and a piece beyond it.
const SMALL_SHARE_BYTES: u64 = UNIT_BYTES / 4 + UNIT_BYTES;

/// The budget.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    free: Arc<Semaphore>,
    permits: usize,
}

/// A share, given back when dropped.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    _permit: OwnedSemaphorePermit,
    /// Bytes collected before they are written, at least.
    pub(crate) write_bytes: u64,
    /// Written bytes that stay in memory for readers close behind.
    pub(crate) keep_bytes: u64,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: u64) -> Self {
        let permits = usize::try_from(bytes / PERMIT_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        let permits = permits.min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(permits)),
            permits,
        }
    }

    /// A share for a body of `length` bytes (`None`: unknown), or `None` when the budget is used up.
    pub(crate) fn take(&self, length: Option<u64>) -> Option<MemoryShare> {
        let plenty = self.free.available_permits() > self.permits / 4 * 3;
        let (share, write_bytes, keep_bytes) = if plenty {
            (LARGE_SHARE_BYTES, UNIT_BYTES, UNIT_BYTES)
        } else {
            (SMALL_SHARE_BYTES, UNIT_BYTES / 4, 0)
        };
        let share = length.map_or(share, |length| length.clamp(1, share));
        let permits = u32::try_from(share.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.free)
            .try_acquire_many_owned(permits)
            .ok()?;
        Some(MemoryShare {
            _permit: permit,
            write_bytes,
            keep_bytes,
        })
    }

    /// Bytes held by running fills.
    pub(crate) fn taken_bytes(&self) -> u64 {
        (self.permits - self.free.available_permits().min(self.permits)) as u64 * PERMIT_BYTES
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
        assert_eq!(budget.taken_bytes(), PERMIT_BYTES);
    }
}
