//! What a successful unsafe request makes invalid (RFC 9111 §4.4).
//!
//! Invariant: only URLs of the target's own origin, so that no site can empty the cache of another.

#[cfg(test)]
mod tests;

use crate::redirect::{is_same_origin, reference};
use crate::target::Target;
use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, Method, StatusCode};

/// The most URLs that one response names beside its own.
const NAMED_MAX: usize = 8;

/// Safe methods beyond those of RFC 9110 (§9.2.1), as registered with IANA.
const SAFE_EXTENSIONS: [&str; 4] = ["PROPFIND", "QUERY", "REPORT", "SEARCH"];

/// The URLs to invalidate: the target, and Location and Content-Location on the same origin. Empty for safe methods
/// and for errors.
#[must_use]
pub fn targets(
    method: &Method,
    target: &Target,
    status: StatusCode,
    response: &HeaderMap,
) -> Vec<Target> {
    if is_safe(method) || !(status.is_success() || status.is_redirection()) {
        return Vec::new();
    }
    let mut targets = vec![target.clone()];
    let named = [LOCATION, CONTENT_LOCATION]
        .into_iter()
        .flat_map(|name| response.get_all(name))
        .take(NAMED_MAX);
    for reference in named {
        match reference::resolve(target, reference) {
            Ok(url) if is_same_origin(&url, target) && !targets.contains(&url) => targets.push(url),
            // What cannot be read is no key of anything stored.
            Ok(_) | Err(_) => {}
        }
    }
    targets
}

/// A method that nobody here knows may change anything.
fn is_safe(method: &Method) -> bool {
    method.is_safe() || SAFE_EXTENSIONS.contains(&method.as_str())
}
