//! Which epochs a disk has lived through, so that two lives with the same numbers are told apart.
//!
//! An epoch is a number and a random tag. Two halves of a pool that ran apart may both have reached epoch 6; their
//! tags differ, and what they share ends at the last epoch where the tags agree.
//!
//! ```text
//! 0   8  epoch, u64 LE  ┐ up to 64 times, ascending, the newest last
//! 8   8  tag, u64 LE    ┘
//! ```
//! Invariants: never empty, epochs strictly ascending, at most [`MARKS_MAX`]. A disk from before arrays counts as one
//! epoch with tag 0; so does the first epoch of a new pool, where the uuid of the pool tells enough.
//!
//! What lies further back than the bound is forgotten: [`Lineage::follows`] then takes an older epoch for one of its
//! own, and [`Lineage::last_in_common`] knows of nothing in common. Both err on the side of not believing old shards.

use crate::store::tlv::{Cursor, FormatError};

/// Epochs that are remembered.
pub(crate) const MARKS_MAX: usize = 64;

/// One epoch of one life of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochMark {
    pub(crate) epoch: u64,
    /// Random; 0 in the first epoch of a pool.
    pub(crate) tag: u64,
}

/// The epochs up to the present one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lineage {
    /// Ascending, at most one less than [`MARKS_MAX`].
    earlier: Vec<EpochMark>,
    newest: EpochMark,
}

impl Lineage {
    /// The lineage of a new pool, or of a disk whose superblock knows none.
    pub(crate) fn starting(epoch: u64) -> Self {
        Self {
            earlier: Vec::new(),
            newest: EpochMark { epoch, tag: 0 },
        }
    }

    /// From here on it is `epoch`. Marks with this or a later number go: a lineage ascends.
    pub(crate) fn begin(&mut self, epoch: u64, tag: u64) {
        self.earlier.push(self.newest);
        self.earlier.retain(|mark| mark.epoch < epoch);
        let forgotten = self.earlier.len().saturating_sub(MARKS_MAX - 1);
        self.earlier.drain(..forgotten);
        self.newest = EpochMark { epoch, tag };
    }

    /// The present epoch.
    pub(crate) fn newest(&self) -> EpochMark {
        self.newest
    }

    /// The epoch before the present one.
    pub(crate) fn before_newest(&self) -> Option<EpochMark> {
        self.earlier.last().copied()
    }

    /// The highest epoch that both have lived through together.
    pub(crate) fn last_in_common(&self, other: &Self) -> Option<u64> {
        let shared = self.marks().filter(|mark| other.has(**mark));
        shared.map(|mark| mark.epoch).max()
    }

    /// Whether `mark` is a past epoch of this one, or so old that this one no longer knows.
    pub(crate) fn follows(&self, mark: EpochMark) -> bool {
        let is_forgotten =
            self.earlier.len() + 1 >= MARKS_MAX && self.marks().all(|kept| kept.epoch > mark.epoch);
        is_forgotten || self.earlier.contains(&mark)
    }

    fn has(&self, mark: EpochMark) -> bool {
        self.newest == mark || self.earlier.contains(&mark)
    }

    fn marks(&self) -> impl Iterator<Item = &EpochMark> {
        self.earlier.iter().chain([&self.newest])
    }

    /// Marks in it, 1 to [`MARKS_MAX`].
    pub(super) fn count(&self) -> u8 {
        u8::try_from(self.earlier.len() + 1).unwrap_or(u8::MAX)
    }

    pub(super) fn encode_into(&self, bytes: &mut Vec<u8>) {
        for mark in self.marks() {
            bytes.extend_from_slice(&mark.epoch.to_le_bytes());
            bytes.extend_from_slice(&mark.tag.to_le_bytes());
        }
    }

    pub(super) fn decode(cursor: &mut Cursor<'_>, count: u8) -> Result<Self, FormatError> {
        if usize::from(count) > MARKS_MAX {
            return Err(FormatError::Malformed("lineage"));
        }
        let mut marks = Vec::new();
        for _ in 0..count {
            let (epoch, tag) = (cursor.u64()?, cursor.u64()?);
            marks.push(EpochMark { epoch, tag });
        }
        let ascends = marks.is_sorted_by(|one, next| one.epoch < next.epoch);
        let newest = marks.pop().filter(|_| ascends);
        Ok(Self {
            newest: newest.ok_or(FormatError::Malformed("lineage"))?,
            earlier: marks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(marks: &[(u64, u64)]) -> Lineage {
        let mut lineage = Lineage::starting(1);
        for (epoch, tag) in marks {
            lineage.begin(*epoch, *tag);
        }
        lineage
    }

    #[test]
    fn lives_with_the_same_number_and_another_tag_are_told_apart() {
        let check = |one: &[(u64, u64)], other: &[(u64, u64)], expected| {
            let (one, other) = (lineage(one), lineage(other));
            assert_eq!(one.last_in_common(&other), expected);
            assert_eq!(other.last_in_common(&one), expected);
        };
        check(&[], &[], Some(1));
        check(&[(2, 7)], &[], Some(1));
        check(&[(2, 7)], &[(2, 7)], Some(2));
        check(&[(2, 7), (3, 8)], &[(2, 7), (3, 9)], Some(2));
        check(
            &[(2, 7), (3, 8), (4, 1)],
            &[(2, 7), (3, 9), (4, 1)],
            Some(4),
        );
        check(&[(2, 7), (6, 8)], &[(2, 5), (6, 9)], Some(1));
        let strangers = (Lineage::starting(1), Lineage::starting(2));
        assert_eq!(strangers.0.last_in_common(&strangers.1), None);
    }

    #[test]
    fn only_an_own_past_is_followed() {
        let mark = |epoch, tag| EpochMark { epoch, tag };
        let now = lineage(&[(2, 7), (4, 8)]);
        assert!(now.follows(mark(1, 0)) && now.follows(mark(2, 7)));
        for not in [mark(4, 8), mark(2, 8), mark(3, 0), mark(0, 0), mark(5, 1)] {
            assert!(!now.follows(not), "{not:?}");
        }
    }

    #[test]
    fn the_oldest_are_forgotten_and_then_count_as_followed() {
        let mut now = lineage(&[]);
        for epoch in 2..=64 {
            now.begin(epoch, epoch * 3);
        }
        assert_eq!(now.count(), 64);
        assert_eq!(now.last_in_common(&lineage(&[])), Some(1));
        let elsewhere = EpochMark { epoch: 1, tag: 9 };
        assert!(!now.follows(elsewhere), "nothing was forgotten yet");
        now.begin(65, 1);
        assert_eq!(now.count(), 64);
        assert_eq!(now.last_in_common(&lineage(&[])), None);
        assert!(now.follows(elsewhere));
        assert!(!now.follows(EpochMark { epoch: 2, tag: 1 }));
    }

    #[test]
    fn an_epoch_that_is_begun_again_replaces_what_was_there() {
        let mut now = lineage(&[(2, 7), (3, 8), (4, 9)]);
        now.begin(3, 1);
        assert_eq!(now, lineage(&[(2, 7), (3, 1)]));
    }
}
