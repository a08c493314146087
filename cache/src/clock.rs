//! The two clocks: the system's, and one that only moves when a test says so.
//!
//! Wall time serves HTTP dates and provenance; everything that measures (marks, intervals, ages of use) takes
//! [`Clock::elapsed`], so a jump of the wall clock by a year moves no timer.

use crate::ports::Clock;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The clock of the machine.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Its monotonic time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one adapter that asks the system"
    )]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock for tests. Starts at a fixed wall time and at 0 elapsed.
#[derive(Debug)]
pub struct ManualClock {
    times: Mutex<Times>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    wall: SystemTime,
    elapsed: Duration,
}

impl ManualClock {
    /// Starts at `wall`.
    #[must_use]
    pub fn starting_at(wall: SystemTime) -> Self {
        Self {
            times: Mutex::new(Times {
                wall,
                elapsed: Duration::ZERO,
            }),
        }
    }

    /// Both times move by `step`.
    pub fn advance(&self, step: Duration) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.wall = times.wall.checked_add(step).unwrap_or(times.wall);
        times.elapsed = times.elapsed.saturating_add(step);
    }

    /// The wall clock is set, as an administrator or NTP would; monotonic time does not notice.
    pub fn set_wall(&self, wall: SystemTime) {
        self.times
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wall = wall;
    }

    fn times(&self) -> Times {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    /// 2026-01-01T00:00:00Z.
    fn default() -> Self {
        const YEAR_2026: Duration = Duration::from_secs(1_767_225_600);
        Self::starting_at(SystemTime::UNIX_EPOCH + YEAR_2026)
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> SystemTime {
        self.times().wall
    }

    fn elapsed(&self) -> Duration {
        self.times().elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_time_moves_only_when_told() {
        let clock = ManualClock::default();
        let before = clock.wall();
        clock.advance(Duration::from_secs(3));
        assert_eq!(clock.elapsed(), Duration::from_secs(3));
        assert_eq!(clock.wall(), before + Duration::from_secs(3));
    }

    #[test]
    fn a_wall_clock_jump_leaves_monotonic_time_alone() {
        let clock = ManualClock::default();
        clock.set_wall(SystemTime::UNIX_EPOCH);
        assert_eq!(clock.elapsed(), Duration::ZERO);
    }

    #[test]
    fn system_monotonic_time_does_not_go_back() {
        let clock = SystemClock::new();
        let first = clock.elapsed();
        assert!(clock.elapsed() >= first);
    }
}
