//! Preconditions of a client's GET or HEAD against the selected representation (RFC 9110 §13).

use http::HeaderMap;

/// What the preconditions say, in the order of §13.2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Go on (and look at Range).
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since (ignored beside If-None-Match).
#[must_use]
pub fn evaluate(request: &HeaderMap, response: &HeaderMap) -> Precondition {
    let _ = (request, response);
    unimplemented!()
}

/// Whether Range may be honoured: no If-Range, or it matches by strong ETag or exact date (§13.1.5).
#[must_use]
pub fn if_range_holds(request: &HeaderMap, response: &HeaderMap) -> bool {
    let _ = (request, response);
    unimplemented!()
}

/// The fields of a 304 (RFC 9110 §15.4.5): ETag, Date, Cache-Control, Content-Location, Expires, Vary, Last-Modified.
#[must_use]
pub fn not_modified_fields(response: &HeaderMap) -> HeaderMap {
    let _ = response;
    unimplemented!()
}
