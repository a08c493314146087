//! What the engine counts. Plain atomics: the floor above exports them under the metric names.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter or gauge.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, amount: u64) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }
}

/// The engine's counters.
#[derive(Debug, Default)]
pub struct EngineStats {
    /// Fills running now.
    pub fills_active: Count,
    /// Bytes that fills have read from upstreams.
    pub fill_bytes: Count,
    /// Fills that ended without a committed object after their head had arrived.
    pub fills_abandoned: Count,
    /// Requests that joined a running fill.
    pub joined: Count,
    /// Fills that the memory budget turned into uncached streams.
    pub bound_memory: Count,
    /// Fetches that the bound on running fills turned into uncached streams.
    pub bound_flights: Count,
    /// Requests refused because a fill had too many readers.
    pub bound_readers: Count,
    /// Fills that a full or failing store turned into uncached streams.
    pub store_refused: Count,
    /// Requests answered by the failure that a moment ago answered others.
    pub held_down: Count,
}
