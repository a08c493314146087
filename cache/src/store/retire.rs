//! Giving the data to another process while readers go on: a binary upgrade.
//!
//! ```text
//! closed as by [`super::close`]: queue run dry, checkpoint, superblock "clean", locks released; the disks' own pools go on
//! ```
//! From then on this process is not the owner. What its readers hold open they go on reading, also after the new owner
//! has evicted or replaced it; every other call is answered `Closed`, lookups find nothing (the index is no longer
//! true), and no call that changes the disk is made any more: bytes that turn out corrupt fail their reader, and what
//! becomes of their object is for the new owner to say. Files in tmp/ stay where they are; the new owner's start
//! removes their names, which takes nothing from who has them open.
//!
//! Invariants
//! - No read is refused on the way: reads never pass through the coordinator's pool, unless something is wrong.
//! - A change of the disk runs on the coordinator's pool, which is dry before the lock is released, or under
//!   [`Core::begin_removal`], which is awaited; both look here first.

use super::Store;
use super::close;
use super::core::lock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether a store has given its data away.
#[derive(Debug, Default)]
pub(super) struct Retirement {
    begun: AtomicBool,
}

impl Retirement {
    /// Nothing may be changed on the disk once this was `true`, but for what its last checkpoint takes.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }
}

impl Store {
    /// Writes the checkpoint, marks the store clean and gives its lock back. Afterwards open objects and partial ones
    /// are still readable, and everything else answers `Closed`.
    ///
    /// A disk that does not finish by the `deadline` keeps its lock until this process ends. Not cancel-safe: once it
    /// has begun it goes on.
    pub async fn retire(&self, deadline: Duration) {
        let core = &self.core;
        if core.retirement.begun.swap(true, Ordering::AcqRel) {
            return;
        }
        lock(&self.timer).take();
        close::close(core, deadline).await;
    }

    /// Whether the data was given away: nothing is stored here any more.
    #[must_use]
    pub fn has_retired(&self) -> bool {
        self.core.retirement.has_begun()
    }

    /// Lets the reads that run end; new ones are answered `Closed`.
    pub(super) fn end_reading(&self) {
        self.core.array.close();
    }
}
