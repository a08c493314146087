//! What an object being written has taken of the budget.
//!
//! Reserved before anything is checked, so that objects that begin at the same time see each other; given back when
//! the claim is dropped, whatever became of the object. Decides nothing: [`super::room`] does.

use super::core::Core;
use std::sync::Arc;

/// A share of the budget.
#[derive(Debug)]
pub(crate) struct Claim {
    core: Arc<Core>,
    bytes: u64,
    /// The part that the file system has not been asked for yet: its free space still includes it.
    unallocated_bytes: u64,
}

impl Claim {
    /// Takes `bytes`, of which nothing is allocated yet.
    pub(super) fn reserve(core: &Arc<Core>, bytes: u64) -> Self {
        core.unallocated_bytes.add(bytes);
        core.disk().filling_bytes.add(bytes);
        Self {
            core: Arc::clone(core),
            bytes,
            unallocated_bytes: bytes,
        }
    }

    /// The file system has given the space: from now on it is missing from what is free.
    pub(super) fn allocated(&mut self) {
        let bytes = std::mem::take(&mut self.unallocated_bytes);
        self.core.unallocated_bytes.subtract(bytes);
    }

    /// Claims `bytes` in total; never less than before.
    pub(super) fn grow(&mut self, bytes: u64) {
        let more = bytes.saturating_sub(self.bytes);
        self.core.disk().filling_bytes.add(more);
        self.bytes = self.bytes.max(bytes);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.allocated();
        self.core.disk().filling_bytes.subtract(self.bytes);
    }
}
