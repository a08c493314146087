//! `[fill]`: fetching objects into the store while clients read along.

use super::check::{Check, quoted};
use super::size::{ByteBound, ByteSize};
use super::span::TimeSpan;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;
use std::time::Duration;

/// `[fill]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FillConfig {
    /// Memory of all fills together.
    pub(crate) memory: ByteSize,
    /// What becomes of a fill that nobody waits for any more.
    pub(crate) on_abandon: OnAbandon,
    /// How long a range waits for its bytes.
    pub(crate) range_wait: TimeSpan,
    /// How long a failure answers for the next ones.
    pub(crate) hold_down: TimeSpan,
    /// Fills at once.
    pub(crate) flights: u64,
    /// Clients reading from fills at once.
    pub(crate) readers: u64,
    /// For one fill.
    pub(crate) total_time: TimeSpan,
    /// Slowest fill, bytes a second.
    pub(crate) min_rate: ByteBound,
    /// Attempts after the first one.
    pub(crate) retries: u64,
    /// Redirects followed for one response.
    pub(crate) redirects: u64,
    /// How long a stale response may stand in for a failing origin.
    pub(crate) stale_for: TimeSpan,
}

/// What becomes of a fill when its last reader has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnAbandon {
    /// It is completed: the next client finds it.
    Finish,
    /// It is dropped.
    Stop,
}

impl Default for FillConfig {
    fn default() -> Self {
        Self {
            memory: ByteSize::from_bytes(256 << 20),
            on_abandon: OnAbandon::Finish,
            range_wait: TimeSpan::from_secs(10),
            hold_down: TimeSpan::from_secs(1),
            flights: 4096,
            readers: 65_536,
            total_time: TimeSpan::from_secs(24 * 60 * 60),
            // An origin that stalls is caught by `[upstream] stall_timeout`; a slow one is only slow.
            min_rate: ByteBound::NONE,
            retries: 3,
            redirects: 5,
            stale_for: TimeSpan::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// `[fill]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FillSettings {
    /// Bytes of memory of all fills together.
    pub(crate) memory_bytes: usize,
    /// When the last reader has left.
    pub(crate) on_abandon: OnAbandon,
    /// How long a range waits for its bytes; zero: not at all.
    pub(crate) range_wait: Duration,
    /// How long a failure answers for the next requests; zero: not at all.
    pub(crate) hold_down: Duration,
    /// Fills at once.
    pub(crate) flights_max: usize,
    /// Clients reading from fills at once.
    pub(crate) readers_max: usize,
    /// For one fill from its start to its commit.
    pub(crate) total_time_max: Duration,
    /// Bytes a second below which a fill is given up; `None`: never.
    pub(crate) rate_min: Option<NonZeroU64>,
    /// Attempts after the first one.
    pub(crate) retries_max: u32,
    /// Redirects followed for one response.
    pub(crate) redirects_max: usize,
    /// How long a stale response may stand in for a failing origin, where nobody says otherwise.
    pub(crate) stale_for: Duration,
}

/// Least `memory`: a handful of stripe units, without which even a single fill could not move.
const MEMORY_MIN: ByteSize = ByteSize::from_bytes(4 << 20);
/// Most `memory`: beyond any machine; guards against a unit too many.
const MEMORY_MAX: ByteSize = ByteSize::from_bytes(1 << 40);

impl FillConfig {
    /// Checks every key.
    pub(super) fn check(&self, check: &mut Check<'_>) -> FillSettings {
        let mut section = check.section("fill");
        let settings = FillSettings {
            memory_bytes: section.bytes("memory", self.memory, MEMORY_MIN..=MEMORY_MAX),
            on_abandon: self.on_abandon,
            range_wait: self.range_wait.get(),
            hold_down: self.hold_down.get(),
            flights_max: section.count("flights", self.flights, 1..=1_000_000),
            readers_max: section.count("readers", self.readers, 1..=10_000_000),
            total_time_max: section.positive("total_time", self.total_time),
            rate_min: self.min_rate.get().and_then(NonZeroU64::new),
            retries_max: u32::try_from(section.count("retries", self.retries, 0..=100))
                .unwrap_or(u32::MAX),
            redirects_max: section.count("redirects", self.redirects, 0..=20),
            stale_for: self.stale_for.get(),
        };
        // While a failure is held down every request for the URL fails: an hour would be an outage of our own making.
        if self.hold_down > HOLD_DOWN_MAX {
            let reason = format!("must be at most \"{HOLD_DOWN_MAX}\"");
            section.refuse("hold_down", quoted(self.hold_down), reason);
        }
        settings
    }
}

/// Most `hold_down`.
const HOLD_DOWN_MAX: TimeSpan = TimeSpan::from_secs(5 * 60);
