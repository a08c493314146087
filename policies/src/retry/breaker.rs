//! The circuit breaker of one origin.
//!
//! Closed, until failures come in a row; open, for a time that grows each time; half-open, for one request that finds
//! out. Answers to requests that went out before it opened change nothing: the probe decides.

use super::fair;
use std::time::Duration;

/// So many failures in a row open it.
const FAILURES_MAX: u32 = 5;
/// The shortest time open.
const OPEN_MIN: Duration = Duration::from_secs(1);
/// The longest time open.
const OPEN_MAX: Duration = Duration::from_secs(30);
/// The longest an origin may ask to be left alone: a whole hour of Retry-After is for its clients to decide.
const TOLD_MAX: Duration = Duration::from_secs(60);
/// What the others are told while a probe is out.
const PROBE_EXPECTED: Duration = Duration::from_secs(1);
/// After so long without a result a probe is given up and the next request may be one: its task may be gone.
const PROBE_PATIENCE: Duration = Duration::from_secs(30);

/// The circuit breaker of one origin. Times are monotonic, since any fixed moment.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    state: State,
    /// How often it opened since the origin last answered.
    openings: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Duration,
    },
    /// A probe is out.
    HalfOpen {
        until: Duration,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether a request may go out now. Half-open lets one through at a time; whoever was let through says how it
    /// went by [`Breaker::succeeded`], [`Breaker::failed`] or [`Breaker::told_to_wait`].
    ///
    /// # Errors
    /// For how long not.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        match self.state {
            State::Open { until } if now < until => Err(until.saturating_sub(now)),
            // The probe is expected back at any moment; its patience is for one that never comes.
            State::HalfOpen { until } if now < until => {
                Err(until.saturating_sub(now).min(PROBE_EXPECTED))
            }
            State::Open { .. } | State::HalfOpen { .. } => {
                let until = now.saturating_add(PROBE_PATIENCE);
                self.state = State::HalfOpen { until };
                Ok(())
            }
            State::Closed { .. } => Ok(()),
        }
    }

    /// The origin answered.
    pub fn succeeded(&mut self) {
        match self.state {
            State::Closed { .. } | State::HalfOpen { .. } => *self = Self::default(),
            State::Open { .. } => {}
        }
    }

    /// The origin failed. `chance` is in 0..1.
    pub fn failed(&mut self, now: Duration, chance: f64) {
        match self.state {
            State::Closed { failures } if failures.saturating_add(1) < FAILURES_MAX => {
                let failures = failures.saturating_add(1);
                self.state = State::Closed { failures };
            }
            State::Closed { .. } | State::HalfOpen { .. } => {
                let until = now.saturating_add(self.time_open(chance));
                self.openings = self.openings.saturating_add(1);
                self.state = State::Open { until };
            }
            State::Open { .. } => {}
        }
    }

    /// The origin asked to be left alone (429 or 503 with Retry-After).
    pub fn told_to_wait(&mut self, now: Duration, wait: Duration) {
        let told = now.saturating_add(wait.min(TOLD_MAX));
        let until = match self.state {
            State::Open { until } => until.max(told),
            State::Closed { .. } | State::HalfOpen { .. } => told,
        };
        self.state = State::Open { until };
    }

    /// Doubles each time; the upper half of it is up to chance.
    fn time_open(&self, chance: f64) -> Duration {
        let longest = OPEN_MIN
            .saturating_mul(2 << self.openings.min(8))
            .min(OPEN_MAX);
        let half = longest / 2;
        half.saturating_add(half.mul_f64(fair(chance)))
    }
}
