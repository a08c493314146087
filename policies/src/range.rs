//! Range requests (RFC 9110 §14): which bytes of a representation of known length are wanted.

use http::HeaderMap;

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
/// unknown length answer. `None` for suffix, multi or absent ranges.
#[must_use]
pub fn explicit_start(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let _ = headers;
    unimplemented!()
}

/// Resolves Range against a representation of `length` bytes. If-Range has been judged by the caller.
#[must_use]
pub fn resolve(headers: &HeaderMap, length: u64) -> Ranges {
    let _ = (headers, length);
    unimplemented!()
}
