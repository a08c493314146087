//! Giving the data to another process while readers go on: a binary upgrade.
//!
//! ```text
//! a pool for reading → closed as by [`super::close`]: queue run dry, checkpoint, superblock "clean", lock released
//! ```
//! From then on this process is not the owner. What its readers hold open they go on reading, also after the new owner
//! has evicted or replaced it; every other call is answered `Closed`, lookups find nothing (the index is no longer
//! true), and no call that changes the disk is made any more: bytes that turn out corrupt fail their reader, and what
//! becomes of their object is for the new owner to say. Files in tmp/ stay where they are; the new owner's start
//! removes their names, which takes nothing from who has them open.
//!
//! Invariants
//! - No read is refused on the way: the pool for reading is there before the disk's own takes no more.
//! - A change of the disk runs on the store's own pool, which is dry before the lock is released, or under
//!   [`Core::begin_removal`], which is awaited; both look here first.

use super::close;
use super::core::{Core, lock};
use super::pool::{Pool, PoolError};
use super::{Store, StoreError};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether a store has given its data away, and what reads for it since.
#[derive(Debug, Default)]
pub(super) struct Retirement {
    begun: AtomicBool,
    readers: OnceLock<Pool>,
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
        // Before anything else: whom the disk's pool sends away must find this one.
        core.start_readers();
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
        if let Some(readers) = self.core.retirement.readers.get() {
            readers.close();
        }
    }
}

impl Core {
    fn start_readers(&self) {
        let settings = &self.settings;
        match Pool::start(0, settings.threads_per_disk, settings.queue_per_disk) {
            // A second call's threads end at once.
            Ok(pool) => drop(self.retirement.readers.set(pool)),
            Err(error) => {
                tracing::error!(%error, "cannot start the threads that go on reading: running hits break off");
            }
        }
    }

    /// Runs a read of an open file on the disk's pool, or on the one that is left when the store has retired.
    pub(super) async fn on_reading_pool<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce() -> T + Clone + Send + 'static,
    ) -> Result<T, StoreError> {
        // The pool itself says when it is over; until then it reads, also of a store that is retiring.
        match self.on_pool("read", job.clone()).await {
            Err(StoreError::Closed) => {}
            settled => return settled,
        }
        let Some(readers) = self.retirement.readers.get() else {
            return Err(self.pool_error("read", PoolError::Closed));
        };
        let ran = readers.run(job).await;
        ran.map_err(|error| self.pool_error("read", error))
    }
}
