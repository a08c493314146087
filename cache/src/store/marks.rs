//! When each unit of an object was last verified by this process.
//!
//! Coarse monotonic seconds plus one in 32 bits, 0 for never: 4 bytes for 256 KiB, read and written without a lock.

use super::UNIT_BYTES;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A mark older than this is none.
pub(crate) const VERIFY_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Marks of one open object.
#[derive(Debug)]
pub(crate) struct Marks {
    units: Box<[AtomicU32]>,
}

impl Marks {
    /// No unit of a body of `length` bytes is verified.
    pub(crate) fn for_length(length: u64) -> Self {
        let units = usize::try_from(length.div_ceil(UNIT_BYTES)).unwrap_or(0);
        Self {
            units: (0..units).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// Units.
    pub(crate) fn len(&self) -> usize {
        self.units.len()
    }

    /// The unit was verified at `elapsed`.
    pub(crate) fn set(&self, unit: u64, elapsed: Duration) {
        self.store(unit, seconds(elapsed));
    }

    /// Nothing is known of the unit.
    pub(crate) fn clear(&self, unit: u64) {
        self.store(unit, 0);
    }

    /// Whether the unit was verified less than [`VERIFY_INTERVAL`] before `elapsed`.
    pub(crate) fn is_fresh(&self, unit: u64, elapsed: Duration) -> bool {
        let mark = self
            .place(unit)
            .map_or(0, |mark| mark.load(Ordering::Acquire));
        mark != 0 && u64::from(seconds(elapsed).saturating_sub(mark)) < VERIFY_INTERVAL.as_secs()
    }

    fn store(&self, unit: u64, value: u32) {
        if let Some(mark) = self.place(unit) {
            mark.store(value, Ordering::Release);
        }
    }

    fn place(&self, unit: u64) -> Option<&AtomicU32> {
        usize::try_from(unit)
            .ok()
            .and_then(|unit| self.units.get(unit))
    }
}

fn seconds(elapsed: Duration) -> u32 {
    u32::try_from(elapsed.as_secs())
        .unwrap_or(u32::MAX - 1)
        .saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_holds_for_the_interval() {
        let marks = Marks::for_length(UNIT_BYTES + 1);
        let start = Duration::from_secs(100);
        assert!(!marks.is_fresh(0, start));
        marks.set(1, start);
        assert!(!marks.is_fresh(0, start));
        assert!(marks.is_fresh(1, start));
        assert!(marks.is_fresh(1, start + VERIFY_INTERVAL - Duration::from_secs(1)));
        assert!(!marks.is_fresh(1, start + VERIFY_INTERVAL));
        marks.clear(1);
        assert!(!marks.is_fresh(1, start));
    }

    #[test]
    fn a_unit_that_does_not_exist_is_never_fresh() {
        let marks = Marks::for_length(0);
        marks.set(0, Duration::ZERO);
        assert!(!marks.is_fresh(0, Duration::ZERO));
    }
}
