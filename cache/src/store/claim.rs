//! What an object being written has taken of the budget.
//!
//! Reserved before anything is checked, so that objects that begin at the same time see each other; given back when
//! the claim is dropped, whatever became of the object. Decides nothing: [`super::room`] does.

use super::array::disk::Disk;
use super::core::Core;
use super::members::Members;
use super::report::DiskSlot;
use std::sync::Arc;

/// A share of the budgets of some disks.
#[derive(Debug)]
pub(crate) struct Claim {
    disks: Vec<Arc<Disk>>,
    /// On each of them.
    bytes: u64,
    /// The part that the file systems have not been asked for yet: their free space still includes it.
    unallocated_bytes: u64,
}

impl Claim {
    /// Takes `bytes` on each of `members`, of which nothing is allocated yet.
    pub(super) fn reserve(core: &Core, members: Members, bytes: u64) -> Self {
        let disks = core.array.disks();
        let disks = disks.iter().filter(|disk| members.contains(disk.slot));
        let claim = Self {
            disks: disks.cloned().collect(),
            bytes,
            unallocated_bytes: bytes,
        };
        for disk in &claim.disks {
            disk.stats.unallocated_bytes.add(bytes);
            disk.stats.filling_bytes.add(bytes);
        }
        claim
    }

    /// The disks on which it is.
    pub(super) fn members(&self) -> Members {
        self.disks.iter().map(|disk| disk.slot).collect()
    }

    /// Gives back what was taken on one disk, which has no room for it.
    pub(super) fn leave_out(&mut self, slot: DiskSlot) {
        for disk in self.disks.extract_if(.., |disk| disk.slot == slot) {
            disk.stats
                .unallocated_bytes
                .subtract(self.unallocated_bytes);
            disk.stats.filling_bytes.subtract(self.bytes);
        }
    }

    /// The file systems have given the space: from now on it is missing from what is free.
    pub(super) fn allocated(&mut self) {
        let bytes = std::mem::take(&mut self.unallocated_bytes);
        for disk in &self.disks {
            disk.stats.unallocated_bytes.subtract(bytes);
        }
    }

    /// Claims `bytes` on each disk in total; never less than before.
    pub(super) fn grow(&mut self, bytes: u64) {
        let more = bytes.saturating_sub(self.bytes);
        for disk in &self.disks {
            disk.stats.filling_bytes.add(more);
        }
        self.bytes = self.bytes.max(bytes);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.allocated();
        for disk in &self.disks {
            disk.stats.filling_bytes.subtract(self.bytes);
        }
    }
}
