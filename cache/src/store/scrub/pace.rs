//! How fast a scrub may read: a token bucket on monotonic time, one for each disk.
//!
//! Kept as the time from which on the next read is allowed, which is the same bucket without a level to refill: a read
//! of b bytes moves that time on by b ÷ rate, and what was not used for longer than [`CREDIT`] is forfeited, so that a
//! scrub that waited for something else never catches up in one burst.
//!
//! Pure: whoever asks brings the time and does the waiting.

use std::time::Duration;

/// Time that was not read in and still counts.
const CREDIT: Duration = Duration::from_secs(1);
const NANOSECONDS: u128 = 1_000_000_000;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    bytes_per_second: u64,
    /// When the next read may begin.
    next: Duration,
}

impl Pace {
    /// `bytes_per_second`: of one disk; 0 counts as 1, which is as good as never.
    pub(super) fn new(bytes_per_second: u64, now: Duration) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            next: now,
        }
    }

    /// Takes the tokens of a read of so many bytes. The time from which on it may be done.
    pub(super) fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        let start = self.next.max(now.saturating_sub(CREDIT));
        self.next = start.saturating_add(self.cost(bytes));
        start
    }

    fn cost(&self, bytes: u64) -> Duration {
        let nanoseconds = u128::from(bytes) * NANOSECONDS / u128::from(self.bytes_per_second);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::ports::Clock;

    /// Reads as long as nothing has to be waited for; how many bytes that were.
    fn burst(pace: &mut Pace, step: u64, now: Duration) -> u64 {
        let reads = (0..100).take_while(|_| pace.take(step, now) <= now);
        reads.count() as u64 * step
    }

    #[test]
    fn a_minute_of_reading_is_a_minute_of_the_rate() {
        let clock = ManualClock::default();
        let mut pace = Pace::new(1000, clock.elapsed());
        let mut read = 0;
        while clock.elapsed() < Duration::from_secs(60) {
            let wait = pace.take(100, clock.elapsed());
            clock.advance(wait.saturating_sub(clock.elapsed()));
            read += 100;
        }
        assert_eq!(read, 60_100, "the first read is free");
    }

    #[test]
    fn time_that_was_not_read_in_is_worth_a_second_at_most() {
        let mut pace = Pace::new(1000, Duration::ZERO);
        let late = Duration::from_secs(3600);
        assert_eq!(burst(&mut pace, 100, late), 1100);
    }

    #[test]
    fn any_rate_is_survived() {
        let hour = Duration::from_secs(3600);
        let mut unpaced = Pace::new(u64::MAX, hour);
        for _ in 0..1000 {
            assert!(unpaced.take(1 << 30, hour) <= hour);
        }
        let mut standing = Pace::new(0, hour);
        assert_eq!(standing.take(u64::MAX, hour), hour);
        assert!(standing.take(1, hour) > hour * 1_000_000);
    }
}
