//! The most recent bytes of a growing object, in memory.
//!
//! Pieces are shared as they came, without a copy, except small ones: those are gathered, so that an origin that
//! sends one byte a chunk costs neither a piece for each byte nor a walk over them.
//!
//! Invariants: pieces are gapless and never empty; finding a position is logarithmic in their number.

use bytes::Bytes;
use std::collections::VecDeque;

/// Pieces below this size are copied together, bytes.
const SMALL_BYTES: usize = 4 * 1024;
/// The most that is gathered in one piece, bytes.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    pieces: VecDeque<Piece>,
    end: u64,
}

#[derive(Debug)]
struct Piece {
    start: u64,
    bytes: Held,
}

#[derive(Debug)]
enum Held {
    Shared(Bytes),
    Gathered(Vec<u8>),
}

impl Piece {
    fn length(&self) -> usize {
        match &self.bytes {
            Held::Shared(bytes) => bytes.len(),
            Held::Gathered(bytes) => bytes.len(),
        }
    }

    fn end(&self) -> u64 {
        self.start + self.length() as u64
    }
}

impl Tail {
    /// The first byte that is held; `end` when none is.
    pub(crate) fn start(&self) -> u64 {
        self.pieces.front().map_or(self.end, |piece| piece.start)
    }

    /// One past the last byte ever appended.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn append(&mut self, piece: Bytes) {
        let (start, length) = (self.end, piece.len());
        self.end += length as u64;
        if length >= SMALL_BYTES {
            return self.pieces.push_back(Piece {
                start,
                bytes: Held::Shared(piece),
            });
        }
        match self.pieces.back_mut() {
            Some(Piece {
                bytes: Held::Gathered(gathered),
                ..
            }) if gathered.len() + length <= GATHERED_BYTES_MAX => {
                gathered.extend_from_slice(&piece);
            }
            _ if length > 0 => {
                self.pieces.push_back(Piece {
                    start,
                    bytes: Held::Gathered(piece.to_vec()),
                });
            }
            _ => {}
        }
    }

    /// Up to `length_max` bytes at `position`, which must be held.
    pub(crate) fn read(&self, position: u64, length_max: usize) -> Option<Bytes> {
        let index = self.pieces.partition_point(|piece| piece.end() <= position);
        let piece = self.pieces.get(index)?;
        let skip = usize::try_from(position.checked_sub(piece.start)?).ok()?;
        let until = piece.length().min(skip.saturating_add(length_max));
        match &piece.bytes {
            Held::Shared(bytes) => Some(bytes.slice(skip..until)),
            Held::Gathered(bytes) => bytes.get(skip..until).map(Bytes::copy_from_slice),
        }
    }

    /// Lets go of whole pieces below `floor`.
    pub(crate) fn drop_below(&mut self, floor: u64) {
        while self
            .pieces
            .front()
            .is_some_and(|piece| piece.end() <= floor)
        {
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn single_bytes_are_gathered() {
        let mut tail = Tail::default();
        for _ in 0..GATHERED_BYTES_MAX + 1 {
            tail.append(Bytes::from_static(b"x"));
        }
        assert_eq!(tail.pieces.len(), 2);
        assert_eq!(
            tail.read(5, usize::MAX).map(|bytes| bytes.len()),
            Some(GATHERED_BYTES_MAX - 5)
        );
    }

    proptest! {
        #[test]
        fn what_was_appended_is_read_back(
            lengths in prop::collection::vec(0_usize..9000, 1..40),
            floor in 0_u64..100_000,
            step in 1_usize..70_000,
        ) {
            let mut tail = Tail::default();
            let mut all = Vec::new();
            for (number, length) in lengths.into_iter().enumerate() {
                let piece: Vec<u8> = (0..length).map(|at| (at * 31 + number) as u8).collect();
                all.extend_from_slice(&piece);
                tail.append(Bytes::from(piece));
            }
            prop_assert_eq!(tail.end(), all.len() as u64);
            tail.drop_below(floor);
            prop_assert!(tail.start() <= floor || tail.start() == tail.end());
            let mut position = tail.start();
            while position < tail.end() {
                let read = tail.read(position, step).expect("is held");
                prop_assert!(!read.is_empty() && read.len() <= step);
                prop_assert_eq!(&read[..], &all[position as usize..position as usize + read.len()]);
                position += read.len() as u64;
            }
            prop_assert!(tail.read(tail.end(), step).is_none());
            if let Some(before) = tail.start().checked_sub(1) {
                prop_assert!(tail.read(before, step).is_none());
            }
        }
    }
}
