//! References in Location and Content-Location, resolved against the URL they came from (RFC 3986 §5.2).
//!
//! The result goes through [`Target::parse`], so that it is as normal, and read in one way only, as a client's own URL.

use crate::target::{TARGET_BYTES_MAX, Target, TargetError};
use http::HeaderValue;

/// The URL that `reference` names, seen from `base`. The fragment is dropped: it never belongs to a request.
///
/// Spaces and 8-bit characters, which origins write into Location although no URL may have them, are escaped; in a
/// host that makes it unreadable, which is right.
pub(crate) fn resolve(base: &Target, reference: &HeaderValue) -> Result<Target, TargetError> {
    let bytes = reference.as_bytes().trim_ascii();
    if bytes.len() > TARGET_BYTES_MAX {
        return Err(TargetError::TooLong(TARGET_BYTES_MAX));
    }
    let escaped = escaped(bytes);
    let text = escaped.split('#').next().unwrap_or_default();
    let origin = || format!("{}://{}", base.scheme().as_str(), base.authority());
    let url = if has_scheme(text) {
        text.to_owned()
    } else if text.starts_with("//") {
        format!("{}:{text}", base.scheme().as_str())
    } else if text.starts_with('/') {
        format!("{}{text}", origin())
    } else if text.is_empty() {
        return Ok(base.clone());
    } else if text.starts_with('?') {
        format!("{}{}{text}", origin(), base.path())
    } else {
        let folder = base
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{}{folder}/{text}", origin())
    };
    Target::parse(&url)
}

/// §4.2: a colon in the first segment ends a scheme, or what should have been one: a relative path may not have it.
fn has_scheme(text: &str) -> bool {
    let end = text.find(['/', '?']).unwrap_or(text.len());
    text.get(..end).is_some_and(|first| first.contains(':'))
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if *byte == b' ' || !byte.is_ascii() {
            text.push_str(&format!("%{byte:02X}"));
        } else {
            text.push(char::from(*byte));
        }
    }
    text
}
