//! Which stored parts of a representation cover a wanted range, and what is missing.
//!
//! Pure interval arithmetic: that all parts have one strong validator is settled before they are listed here.

use super::ByteRange;

/// A piece of the wanted range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Piece {
    /// These bytes lie in the part with this number (in the order given).
    Held {
        /// Which part.
        part: usize,
        /// Bytes of the representation, not of the part.
        range: ByteRange,
    },
    /// These bytes lie in no part.
    Missing(ByteRange),
}

impl Piece {
    /// Its bytes of the representation.
    #[must_use]
    pub fn range(&self) -> ByteRange {
        match *self {
            Self::Held { range, .. } | Self::Missing(range) => range,
        }
    }
}

/// The wanted range as pieces in ascending order that touch each other and cover it exactly, as few held ones as
/// possible. Parts may overlap and come in any order; empty ones are of no use.
#[must_use]
pub fn pieces(parts: &[ByteRange], wanted: ByteRange) -> Vec<Piece> {
    let mut sorted: Vec<(usize, ByteRange)> = parts
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, part)| part.start < part.end)
        .collect();
    sorted.sort_unstable_by_key(|(number, part)| (part.start, *number));
    let mut remaining = sorted.into_iter().peekable();
    let mut farthest: Option<(usize, ByteRange)> = None;
    let mut pieces = Vec::new();
    let mut at = wanted.start;
    while at < wanted.end {
        // Of all parts that begin here or before, the one that reaches farthest.
        while let Some(part) = remaining.next_if(|(_, part)| part.start <= at) {
            if farthest.is_none_or(|(_, best)| best.end < part.1.end) {
                farthest = Some(part);
            }
        }
        let piece = match farthest.filter(|(_, part)| part.end > at) {
            Some((part, held)) => Piece::Held {
                part,
                range: ByteRange {
                    start: at,
                    end: held.end.min(wanted.end),
                },
            },
            None => {
                let next = remaining.peek().map_or(wanted.end, |(_, part)| part.start);
                Piece::Missing(ByteRange {
                    start: at,
                    end: next.min(wanted.end),
                })
            }
        };
        at = piece.range().end;
        pieces.push(piece);
    }
    pieces
}

/// What has to be fetched so that `parts` cover `wanted`: disjoint, ascending, never empty; none when all is there.
#[must_use]
pub fn missing(parts: &[ByteRange], wanted: ByteRange) -> Vec<ByteRange> {
    let gap = |piece: Piece| match piece {
        Piece::Missing(range) => Some(range),
        Piece::Held { .. } => None,
    };
    pieces(parts, wanted).into_iter().filter_map(gap).collect()
}
