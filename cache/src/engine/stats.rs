//! What the engine counts. Plain atomics: the floor above exports them under the metric names.

use crate::metrics::{Counter, Gauge};

/// The engine's counters.
#[derive(Debug, Default)]
pub struct EngineStats {
    /// Fills running now.
    pub fills_active: Gauge,
    /// Bytes that fills have read from upstreams.
    pub fill_bytes: Counter,
    /// Fills that ended without a committed object after their head had arrived.
    pub fills_abandoned: Counter,
    /// Requests that joined a running fill.
    pub joined: Counter,
    /// Fills that the memory budget turned into uncached streams.
    pub bound_memory: Counter,
    /// Fetches that the bound on running fills turned into uncached streams.
    pub bound_flights: Counter,
    /// Requests refused because a fill had too many readers.
    pub bound_readers: Counter,
    /// Fills that a full or failing store turned into uncached streams.
    pub store_refused: Counter,
    /// Ranges that were fetched by themselves because a fill was too far from them.
    pub far_ranges: Counter,
    /// Objects that were put together from parts.
    pub combined: Counter,
    /// Broken bodies that were continued.
    pub fills_resumed: Counter,
    /// Attempts to get an answer after the first one.
    pub retries: Counter,
    /// Conditional fetches that found the stored object still holding.
    pub revalidated: Counter,
    /// Objects that were marked after a successful unsafe request.
    pub invalidated: Counter,
    /// Immutable objects whose origin now has other bytes.
    pub conflicts: Counter,
    /// Objects whose digest was not the expected one.
    pub digest_mismatches: Counter,
    /// Requests answered by the failure that a moment ago answered others.
    pub held_down: Counter,
}
