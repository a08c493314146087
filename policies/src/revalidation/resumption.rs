//! Whether bytes that come later continue those that came before (RFC 9110 §8.8, §15.3.7).

use super::same_lines;
use crate::conditional::entity_tag::EntityTag;
use crate::freshness::Exchange;
use crate::range::ContentRange;
use crate::time::DateField;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, DATE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, StatusCode};

/// How much older than a request a Last-Modified must be to be strong where no Date of the origin's own clock is there
/// to compare it with, seconds.
const CLOCK_SKEW_SECONDS_MAX: u64 = 60;

/// The strong validator that binds parts of one representation together (RFC 9110 §8.8.1): a strong ETag, else a
/// Last-Modified that is at least a second older than Date. As it is written into If-Range.
///
/// Where there is a weak ETag there is none: the origin says that it does not promise the same bytes again, and a date
/// that goes by seconds cannot know better.
#[must_use]
pub fn strong_validator(headers: &HeaderMap, exchange: Exchange) -> Option<HeaderValue> {
    if headers.contains_key(ETAG) {
        let tag = EntityTag::of(headers)?;
        let binds = tag.is_strong() && tag.is_well_formed();
        return binds.then(|| headers.get(ETAG).cloned()).flatten();
    }
    let modified = DateField::of(headers, LAST_MODIFIED).at()?;
    let strong = match DateField::of(headers, DATE) {
        DateField::At(date) => date.since(modified) >= 1,
        DateField::Absent => exchange.requested.since(modified) >= CLOCK_SKEW_SECONDS_MAX,
        DateField::Invalid => false,
    };
    strong
        .then(|| headers.get(LAST_MODIFIED).cloned())
        .flatten()
}

/// What an answer to `Range: bytes=from-` with If-Range is good for while a body is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumption {
    /// 206 that continues exactly there: same total, same strong validator, same Content-Encoding. It may end before
    /// the total does.
    Continues,
    /// 200 of the same representation (same strong validator and length): skip what is here already.
    Repeats,
    /// 416 whose total says that everything is here.
    Complete,
    /// 200 of another representation: a new object.
    Replaced,
    /// Anything else: of no use.
    Useless,
}

/// Judges an answer to a request that resumes at `from`. `total`: the length of the body where it was known. `begun`
/// are the fields of the response that broke off, which had a [`strong_validator`].
#[must_use]
pub fn resumption(
    begun: &HeaderMap,
    total: Option<u64>,
    from: u64,
    status: StatusCode,
    answer: &HeaderMap,
) -> Resumption {
    match status.as_u16() {
        206 if continues(begun, total, from, answer) => Resumption::Continues,
        200 if repeats(begun, total, answer) => Resumption::Repeats,
        200 => Resumption::Replaced,
        416 if is_complete(begun, total, from, answer) => Resumption::Complete,
        _ => Resumption::Useless,
    }
}

/// A total of `*` proves nothing, also where none was known before. Content-Encoding may be left out of an answer to
/// If-Range (§15.3.7), but not differ.
fn continues(begun: &HeaderMap, total: Option<u64>, from: u64, answer: &HeaderMap) -> bool {
    let Some(ContentRange::Part {
        range,
        total: Some(said),
    }) = ContentRange::of(answer)
    else {
        return false;
    };
    let same_coding =
        !answer.contains_key(CONTENT_ENCODING) || same_lines(begun, answer, &CONTENT_ENCODING);
    range.start == from
        && total.is_none_or(|total| total == said)
        && same_coding
        && compare(begun, answer) == Comparison::Same
}

/// Without a Content-Length the strong validator alone says that the bytes are the same.
fn repeats(begun: &HeaderMap, total: Option<u64>, answer: &HeaderMap) -> bool {
    let same_length = match (total, answer.get(CONTENT_LENGTH)) {
        (Some(total), Some(length)) => length.as_bytes() == total.to_string().as_bytes(),
        _ => true,
    };
    same_length
        && same_lines(begun, answer, &CONTENT_ENCODING)
        && compare(begun, answer) == Comparison::Same
}

/// Only a body of unknown length can have ended where it seems to have broken off. A 416 need not repeat the validator
/// (If-Range has held, or it would have been a 200), but may not name another.
fn is_complete(begun: &HeaderMap, total: Option<u64>, from: u64, answer: &HeaderMap) -> bool {
    total.is_none_or(|total| total == from)
        && ContentRange::of(answer) == Some(ContentRange::Unsatisfied { total: from })
        && compare(begun, answer) != Comparison::Different
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Same,
    Different,
    /// The answer has no validator that the first response had too.
    Silent,
}

/// Whether two responses have one strong validator.
///
/// §15.3.7.3 combines parts only "if they all share the same strong validator", and §15.3.7 obliges a 206 to repeat the
/// ETag. An answer that leaves it out is not rejected when its Last-Modified is the same, for the condition was the
/// ETag, and it was answered by a 206. One that repeats nothing at all is: there are servers that know Range and have
/// never heard of If-Range, and of those it would be the only sign.
fn compare(begun: &HeaderMap, answer: &HeaderMap) -> Comparison {
    let same = |equal: bool| match equal {
        true => Comparison::Same,
        false => Comparison::Different,
    };
    let modified = |headers: &HeaderMap| DateField::of(headers, LAST_MODIFIED).at();
    match (EntityTag::of(begun), EntityTag::of(answer)) {
        (Some(begun), Some(answer)) => same(begun.matches_strongly(&answer)),
        // A weak tag binds nothing, and the dates beside it no more than that.
        (Some(begun), None) if !begun.is_strong() => Comparison::Different,
        (_, tag) => match (modified(begun), modified(answer)) {
            (Some(begun), Some(answer)) => {
                same(begun == answer && tag.is_none_or(|tag| tag.is_strong()))
            }
            _ => Comparison::Silent,
        },
    }
}
