//! How much the store may use, and how much it must give back. Pure arithmetic.
//!
//! `budget = min(capacity, own bytes + free − reserve)`: other programs shrink the budget, but the watermarks stay
//! shares of it, so a disk that fills up elsewhere makes the cache give way early instead of failing late.

use super::StoreSettings;
use crate::ports::Space;

/// Inodes left to others: one in a hundred.
const INODE_RESERVE_SHARE: u64 = 100;

/// What the store uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes of committed objects and of those being written.
    pub(crate) bytes: u64,
    /// Files.
    pub(crate) files: u64,
}

/// What it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) bytes: u64,
    /// `None`: the file system has no such limit.
    pub(crate) files: Option<u64>,
}

/// What must be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// Nothing.
    None,
    /// Bytes.
    Bytes,
    /// Inodes.
    Files,
}

impl Budget {
    /// Of one disk; `capacity_bytes`: its share of what the operator allows.
    pub(crate) fn of(
        settings: &StoreSettings,
        capacity_bytes: Option<u64>,
        usage: Usage,
        space: Space,
    ) -> Self {
        let reachable = usage
            .bytes
            .saturating_add(space.free_bytes)
            .saturating_sub(settings.reserve_bytes);
        let reserve = space.total_inodes / INODE_RESERVE_SHARE;
        let files = usage
            .files
            .saturating_add(space.free_inodes)
            .saturating_sub(reserve);
        Self {
            bytes: capacity_bytes.unwrap_or(u64::MAX).min(reachable),
            files: (space.total_inodes > 0).then_some(files),
        }
    }

    /// Whether `usage` is above this share of the budget.
    pub(crate) fn pressure(&self, usage: Usage, watermark: f64) -> Pressure {
        if usage.bytes > share(self.bytes, watermark) {
            Pressure::Bytes
        } else if self
            .files
            .is_some_and(|files| usage.files > share(files, watermark))
        {
            Pressure::Files
        } else {
            Pressure::None
        }
    }
}

/// A share of an amount, in millionths, without floating-point bytes.
pub(crate) fn share(amount: u64, watermark: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0..=1_000_000 first"
    )]
    let millionths = (watermark * 1e6).clamp(0.0, 1e6) as u128;
    u64::try_from(u128::from(amount) * millionths / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::settings_for_tests;

    fn check(usage: u64, free: u64, capacity: Option<u64>, reserve: u64, expected: u64) {
        let settings = StoreSettings {
            reserve_bytes: reserve,
            ..settings_for_tests()
        };
        let space = Space {
            total_bytes: 1000,
            free_bytes: free,
            total_inodes: 0,
            free_inodes: 0,
        };
        let budget = Budget::of(
            &settings,
            capacity,
            Usage {
                bytes: usage,
                files: 0,
            },
            space,
        );
        assert_eq!(
            budget,
            Budget {
                bytes: expected,
                files: None
            }
        );
    }

    #[test]
    fn the_budget_is_the_capacity_or_what_the_disk_has_left() {
        check(300, 500, None, 100, 700);
        check(300, 500, Some(400), 100, 400);
        check(300, 50, Some(400), 100, 250);
        check(0, 50, None, 100, 0);
    }

    #[test]
    fn pressure_starts_above_the_watermark() {
        let budget = Budget {
            bytes: 1000,
            files: Some(100),
        };
        let pressure = |bytes, files| budget.pressure(Usage { bytes, files }, 0.8);
        assert_eq!(pressure(800, 80), Pressure::None);
        assert_eq!(pressure(801, 80), Pressure::Bytes);
        assert_eq!(pressure(800, 81), Pressure::Files);
    }

    #[test]
    fn a_share_survives_absurd_watermarks() {
        assert_eq!(share(u64::MAX, 2.0), u64::MAX);
        assert_eq!(share(1000, f64::NAN), 0);
        assert_eq!(share(1000, -1.0), 0);
    }
}
