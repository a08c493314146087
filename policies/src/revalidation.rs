//! Asking an origin whether a stored response still holds, and merging what it says (RFC 9111 §4.3).

use crate::freshness::Exchange;
use http::{HeaderMap, StatusCode};

/// The conditions for a stored response: If-None-Match, If-Modified-Since. Empty when it has no validator.
#[must_use]
pub fn conditions(stored: &HeaderMap) -> HeaderMap {
    let _ = stored;
    HeaderMap::new()
}

/// What a 304 does to the stored response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// It holds; these are its fields from now on (§3.2).
    Updated(HeaderMap),
    /// The 304 speaks of another representation: drop the stored one and ask without conditions.
    Other,
}

/// Merges a 304 into the stored fields.
#[must_use]
pub fn merge(stored: &HeaderMap, not_modified: &HeaderMap) -> Merge {
    let _ = not_modified;
    Merge::Updated(stored.clone())
}

/// What a HEAD response says of a stored GET response (§4.3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshening {
    /// The same representation: these are its fields from now on.
    Updated(HeaderMap),
    /// Another one: the stored response is stale from now on.
    Outdated,
    /// Nothing can be told.
    Nothing,
}

/// Compares a HEAD response with the stored one (§4.3.5).
#[must_use]
pub fn freshen(
    stored: &HeaderMap,
    stored_length: u64,
    status: StatusCode,
    head: &HeaderMap,
) -> Freshening {
    let _ = (stored, stored_length, status, head);
    Freshening::Nothing
}

/// The strong validator that binds parts of one representation together (RFC 9110 §8.8.1): a strong ETag, else a
/// Last-Modified that is at least a second older than Date. As it is written into If-Range.
#[must_use]
pub fn strong_validator(headers: &HeaderMap, exchange: Exchange) -> Option<http::HeaderValue> {
    let _ = (headers, exchange);
    None
}

/// What an answer to `Range: bytes=from-` with If-Range is good for while a body is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumption {
    /// 206 that continues exactly there: same total, same strong validator, same Content-Encoding.
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

/// Judges an answer to a request that resumes at `from`. `total`: the length of the body where it was known.
#[must_use]
pub fn resumption(
    begun: &HeaderMap,
    total: Option<u64>,
    from: u64,
    status: StatusCode,
    answer: &HeaderMap,
) -> Resumption {
    let _ = (begun, total, from, status, answer);
    Resumption::Useless
}
