//! What part of a representation answers this request: preconditions first, then ranges (RFC 9110 §13.2.2).

use crate::front::Request;
use http::{HeaderMap, Method, StatusCode};
use weir_policies::conditional::{self, Precondition};
use weir_policies::range::{self, ByteRange, Ranges};

/// The answer's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selected {
    /// Everything, with the status of the representation.
    Whole,
    /// 206 with one part.
    Part(ByteRange),
    /// 206 multipart/byteranges.
    Parts(Vec<ByteRange>),
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    Unsatisfiable,
}

/// Selects. `length` is `None` while a fill of unknown length runs: ranges are ignored then (RFC 9110 §14.2 allows it).
pub(crate) fn select(
    request: &Request,
    status: StatusCode,
    fields: &HeaderMap,
    length: Option<u64>,
) -> Selected {
    if !status.is_success() {
        return Selected::Whole;
    }
    match conditional::evaluate(&request.headers, fields) {
        Precondition::NotModified => return Selected::NotModified,
        Precondition::Failed => return Selected::PreconditionFailed,
        Precondition::Proceed => {}
    }
    let ranges_apply = request.method == Method::GET && status == StatusCode::OK;
    let (true, Some(length)) = (ranges_apply, length) else {
        return Selected::Whole;
    };
    if !request.headers.contains_key(http::header::RANGE)
        || !conditional::if_range_holds(&request.headers, fields)
    {
        return Selected::Whole;
    }
    match range::resolve(&request.headers, length) {
        Ranges::Whole => Selected::Whole,
        Ranges::Single(part) => Selected::Part(part),
        Ranges::Multi(parts) => Selected::Parts(parts),
        Ranges::Unsatisfiable => Selected::Unsatisfiable,
    }
}
