//! Answers that are fit for nobody: larger than their rule allows, or to something that was not asked.

use crate::ports::{Framing, OriginError, OriginResponse};
use http::header::{
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{HeaderMap, StatusCode};
use weir_policies::range::ContentRange;
use weir_policies::target::Target;
use weir_policies::verdict::Plan;

/// A 304 without a condition in the request has nothing to speak of (RFC 9110 §15.4.5).
const UNASKED_304: &str = "304 although nothing was asked on a condition";
/// A part that nobody asked for is of no use to anybody (RFC 9110 §15.3.7).
const UNASKED_206: &str = "206 although no range was asked for";

/// Whether a response announces more than its rule allows.
pub(super) fn too_large(
    plan: &Plan,
    response: &OriginResponse,
    source: &Target,
) -> Option<OriginError> {
    let limit = plan.effect.size_max?;
    let length = match (ContentRange::of(&response.headers), response.framing) {
        (Some(ContentRange::Part { total, .. }), _) => total,
        (_, Framing::Length(length)) => Some(length),
        _ => None,
    };
    let too_large = length.is_some_and(|length| length > limit);
    too_large.then(|| OriginError::TooLarge(source.authority(), limit))
}

/// What is wrong with an answer to something that was not asked, by the fields that were sent.
pub(super) fn unasked(status: StatusCode, sent: &HeaderMap) -> Option<&'static str> {
    match status {
        StatusCode::NOT_MODIFIED if !has_conditions(sent) => Some(UNASKED_304),
        StatusCode::PARTIAL_CONTENT if !sent.contains_key(RANGE) => Some(UNASKED_206),
        _ => None,
    }
}

pub(super) fn has_conditions(headers: &HeaderMap) -> bool {
    [
        IF_RANGE,
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
    ]
    .iter()
    .any(|name| headers.contains_key(name))
}
