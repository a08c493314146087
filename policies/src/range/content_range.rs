//! Content-Range of a response (RFC 9110 §14.4), read strictly: bytes are put where it says.

use super::ByteRange;
use http::HeaderMap;
use http::header::CONTENT_RANGE;

/// What a response says of its place in the representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentRange {
    /// `bytes first-last/total`, of a 206; the range lies within the total. `None`: `*`, the total is not known.
    Part {
        /// The bytes of this response.
        range: ByteRange,
        /// Bytes of the whole representation.
        total: Option<u64>,
    },
    /// `bytes */total`, of a 416.
    Unsatisfied {
        /// Bytes of the whole representation.
        total: u64,
    },
}

impl ContentRange {
    /// The one Content-Range of a response; `None` when there is none, there are several, or it says nothing that
    /// could be true. A multipart 206 has it in its parts and not in its head.
    #[must_use]
    pub fn of(response: &HeaderMap) -> Option<Self> {
        let mut lines = response.get_all(CONTENT_RANGE).iter();
        let line = lines.next()?;
        if lines.next().is_some() {
            return None;
        }
        Self::parse(line.as_bytes().trim_ascii())
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let (unit, rest) = value.split_at_checked(b"bytes ".len())?;
        if !unit.eq_ignore_ascii_case(b"bytes ") {
            return None;
        }
        let (range, total) = split_once(rest, b'/')?;
        if range == b"*" {
            let total = exact(total)?;
            return Some(Self::Unsatisfied { total });
        }
        let (first, last) = split_once(range, b'-')?;
        let (start, last) = (exact(first)?, exact(last)?);
        let end = last.checked_add(1)?;
        let total = match total {
            b"*" => None,
            digits => Some(exact(digits)?),
        };
        let true_to_itself = start < end && total.is_none_or(|total| end <= total);
        let range = ByteRange { start, end };
        true_to_itself.then_some(Self::Part { range, total })
    }
}

fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Digits only; unlike in a request, a number that does not fit is no number.
fn exact(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}
