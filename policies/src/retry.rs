//! When to try an origin again, and when to leave it alone. Pure: time and chance are passed in.
//!
//! Chance is in 0..1; anything else counts as the nearest of both, and what is no number as a half.

mod breaker;
#[cfg(test)]
mod tests;

pub use breaker::Breaker;

use crate::cache_control::delta_seconds;
use crate::time::{UnixSeconds, http_date};
use http::HeaderMap;
use http::header::RETRY_AFTER;
use std::time::Duration;

/// The longest first pause.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause of all.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The longest wait that Retry-After is believed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// The pause before attempt number `attempt` (1: the first retry): exponential with full jitter, so that clients that
/// failed together do not come back together.
#[must_use]
pub fn pause(attempt: u32, chance: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let longest = PAUSE_FIRST.saturating_mul(1 << doublings).min(PAUSE_MAX);
    longest.mul_f64(fair(chance))
}

/// Retry-After as a length of time (seconds or a date, RFC 9110 §10.2.3), bounded to [`RETRY_AFTER_MAX`]. `None` when
/// no wait is asked for: no field, nothing readable, zero or a date that is past. Of several the longest.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: UnixSeconds) -> Option<Duration> {
    let waits = headers.get_all(RETRY_AFTER).iter().filter_map(|line| {
        let text = line.as_bytes().trim_ascii();
        delta_seconds(text).or_else(|| Some(http_date(text)?.since(now)))
    });
    let longest = waits.max().filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(longest).min(RETRY_AFTER_MAX))
}

/// A budget of retries: each first attempt earns a fraction of one, each retry spends one. A failing origin therefore
/// never sees more than a fifth on top of the requests it would get anyway, once a few are spent.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    /// Tenths of a retry.
    tenths: u32,
}

/// What a first attempt earns, tenths of a retry.
const EARNED_TENTHS: u32 = 2;
/// What a retry costs, tenths.
const SPENT_TENTHS: u32 = 10;
/// The most that is saved, and what is there at the start: ten retries.
const SAVED_TENTHS_MAX: u32 = 100;

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            tenths: SAVED_TENTHS_MAX,
        }
    }
}

impl RetryBudget {
    /// A first attempt was made.
    pub fn earn(&mut self) {
        self.tenths = self
            .tenths
            .saturating_add(EARNED_TENTHS)
            .min(SAVED_TENTHS_MAX);
    }

    /// Whether a retry may be made; takes it.
    pub fn spend(&mut self) -> bool {
        let left = self.tenths.checked_sub(SPENT_TENTHS);
        self.tenths = left.unwrap_or(self.tenths);
        left.is_some()
    }
}

/// `Duration::mul_f64` panics on what is not a number.
fn fair(chance: f64) -> f64 {
    if chance.is_nan() {
        0.5
    } else {
        chance.clamp(0.0, 1.0)
    }
}
