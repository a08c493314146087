//! What the engine is told at its start, and again by [`Engine::reconfigure`](super::Engine::reconfigure).

use std::num::NonZeroU64;
use std::time::Duration;

/// What happens to a fill when its last reader has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAbandon {
    /// It goes on: the object will be asked for again.
    Finish,
    /// It stops.
    Stop,
}

/// Checked settings of the engine.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Memory of all fills together, bytes.
    pub memory_bytes: u64,
    /// What to do when nobody reads.
    pub on_abandon: OnAbandon,
    /// How long a failure answers those who ask again.
    pub hold_down: Duration,
    /// Fills at once.
    pub flights_max: usize,
    /// Readers of all fills together.
    pub readers_max: usize,
    /// The longest a fill may take.
    pub total_time: Duration,
    /// Redirects followed for one response.
    pub redirects_max: usize,
    /// Attempts after the first one: to get an answer, and to resume a body without getting a byte further.
    pub retries_max: u32,
    /// A range that a running fill would reach later than this is fetched by itself; zero: never.
    pub range_wait: Duration,
    /// Bytes a second below which a fill is given up.
    pub rate_min: Option<NonZeroU64>,
}
