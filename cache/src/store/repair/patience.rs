//! When what was postponed is tried again: soon at first, then later and later. Pure.
//!
//! Invariant: work that comes in between puts nothing off, so a store that always repairs something tries again too.

use std::time::{Duration, Instant};

/// Until the first attempt; doubled each time…
const FIRST: Duration = Duration::from_secs(15);
/// … up to this: an attempt looks at all of the index, and at all names on the disk.
const LONGEST: Duration = Duration::from_secs(300);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Patience {
    pause: Duration,
    until: Option<Instant>,
}

impl Patience {
    /// How long there is still to wait; zero: now, and next time it is longer.
    pub(super) fn left(&mut self, now: Instant) -> Duration {
        let pause = self.pause.max(FIRST);
        let until = *self.until.get_or_insert(now + pause);
        let left = until.saturating_duration_since(now);
        if left.is_zero() {
            self.pause = (pause * 2).min(LONGEST);
            self.until = None;
        }
        left
    }

    /// Something has changed: soon again.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_later_and_later_whatever_happens_between_them() {
        let start = Instant::now();
        let mut patience = Patience::default();
        let mut attempts = Vec::new();
        // Somebody looks every few seconds.
        for second in (0..1200).step_by(3) {
            if patience.left(start + Duration::from_secs(second)).is_zero() {
                attempts.push(second);
            }
        }
        assert_eq!(attempts, [15, 48, 111, 234, 477, 780, 1083]);
        patience.reset();
        let now = start + Duration::from_secs(5000);
        assert_eq!(patience.left(now), FIRST);
    }
}
