//! Range requests (RFC 9110 §14): which bytes of a representation of known length are wanted.
//!
//! Invariants: resolved ranges lie within the representation, are never empty and never overlap; numbers saturate.
//! What cannot be read one way only is no range request: the whole representation is a right answer to every GET.

mod content_range;
mod parts;
#[cfg(test)]
mod tests;

pub use content_range::ContentRange;
pub use parts::{Piece, missing, pieces};

use http::HeaderMap;
use http::header::RANGE;

/// The most ranges one request may name; above that it gets everything.
pub const RANGES_MAX: usize = 1024;

/// One satisfiable range, `first..=last` as a half-open pair; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// What a GET with this Range asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ranges {
    /// No Range, another unit, malformed, too many (> 1,024) or covering everything senselessly: 200.
    Whole,
    /// 206 with Content-Range.
    Single(ByteRange),
    /// 206 multipart/byteranges; coalesced (overlapping or adjacent merged), in the order asked.
    Multi(Vec<ByteRange>),
    /// 416 with `Content-Range: bytes */length`.
    Unsatisfiable,
}

/// The first byte that a Range field needs, if it is a single range with an explicit start: lets a running fill of
/// unknown length answer. The second number is one past the last byte wanted, `None` for `first-`. `None` altogether
/// for suffix, multi, absent or malformed ranges.
#[must_use]
pub fn explicit_start(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    match *specs(headers)?.as_slice() {
        [Spec::From(start)] => Some((start, None)),
        [Spec::Between(start, last)] => Some((start, Some(last.saturating_add(1)))),
        _ => None,
    }
}

/// Resolves Range against a representation of `length` bytes. If-Range has been judged by the caller.
#[must_use]
pub fn resolve(headers: &HeaderMap, length: u64) -> Ranges {
    let Some(specs) = specs(headers) else {
        return Ranges::Whole;
    };
    // Nothing of an empty representation can be put into a Content-Range.
    if length == 0 && specs.iter().any(|spec| matches!(spec, Spec::Suffix(1..))) {
        return Ranges::Whole;
    }
    let satisfiable = specs
        .into_iter()
        .filter_map(|spec| spec.within(length))
        .collect();
    let mut ranges = coalesced(satisfiable);
    match ranges.len() {
        0 => Ranges::Unsatisfiable,
        1 => ranges.pop().map_or(Ranges::Unsatisfiable, Ranges::Single),
        _ => Ranges::Multi(ranges),
    }
}

/// One range as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// `first-`
    From(u64),
    /// `first-last`, both inclusive, first ≤ last
    Between(u64, u64),
    /// `-length`
    Suffix(u64),
}

impl Spec {
    fn parse(text: &[u8]) -> Option<Self> {
        let dash = text.iter().position(|byte| *byte == b'-')?;
        let (first, rest) = text.split_at_checked(dash)?;
        let last = rest.get(1..)?;
        match (first.is_empty(), last.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Self::Suffix(number(last)?)),
            (false, true) => Some(Self::From(number(first)?)),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// The bytes it names in a representation of `length`; `None` when it is unsatisfiable (§14.1.2).
    fn within(self, length: u64) -> Option<ByteRange> {
        let (start, end) = match self {
            Self::From(start) => (start, length),
            Self::Between(start, last) => (start, last.saturating_add(1).min(length)),
            Self::Suffix(bytes) => (length.saturating_sub(bytes), length),
        };
        (start < end).then_some(ByteRange { start, end })
    }
}

/// The ranges of the one Range line; `None` when there is none to be honored.
fn specs(headers: &HeaderMap) -> Option<Vec<Spec>> {
    let mut lines = headers.get_all(RANGE).iter();
    let line = lines.next()?;
    if lines.next().is_some() {
        return None;
    }
    let (unit, set) = line
        .as_bytes()
        .trim_ascii()
        .split_at_checked(b"bytes=".len())?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let members = set.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let mut specs = Vec::new();
    for member in members.filter(|member| !member.is_empty()) {
        if specs.len() == RANGES_MAX {
            return None;
        }
        specs.push(Spec::parse(member)?);
    }
    (!specs.is_empty()).then_some(specs)
}

/// Decimal digits only; what does not fit is as good as endless.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    })
}

/// Merges what overlaps or touches; each result stands where its first part was asked.
fn coalesced(ranges: Vec<ByteRange>) -> Vec<ByteRange> {
    let mut sorted: Vec<(usize, ByteRange)> = ranges.into_iter().enumerate().collect();
    sorted.sort_unstable_by_key(|(asked, range)| (range.start, *asked));
    let mut merged: Vec<(usize, ByteRange)> = Vec::with_capacity(sorted.len());
    for (asked, range) in sorted {
        match merged.last_mut() {
            Some((first, before)) if range.start <= before.end => {
                before.end = before.end.max(range.end);
                *first = asked.min(*first);
            }
            _ => merged.push((asked, range)),
        }
    }
    merged.sort_unstable_by_key(|(asked, _)| *asked);
    merged.into_iter().map(|(_, range)| range).collect()
}
