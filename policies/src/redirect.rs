//! Where a redirect leads, and whether Weir follows it for its client (RFC 9110 §10.2.2, §15.4).

use crate::target::Target;
use http::{HeaderMap, StatusCode};

/// Why a redirect is not followed. Each is said to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RedirectRefusal {
    /// No Location, several, or one that is no URL.
    Location,
    /// https to http, or anything to ftp.
    Downgrade,
    /// The name of a cloud's metadata service.
    MetadataService,
}

/// Whether a response with this status redirects (301, 302, 303, 307, 308 with a Location).
#[must_use]
pub fn is_redirect(status: StatusCode, headers: &HeaderMap) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
        && headers.contains_key(http::header::LOCATION)
}

/// The next target.
///
/// # Errors
/// [`RedirectRefusal`].
pub fn next(from: &Target, headers: &HeaderMap) -> Result<Target, RedirectRefusal> {
    let _ = (from, headers);
    Err(RedirectRefusal::Location)
}

/// The request fields for the next hop: Authorization, Cookie and Host never cross origins.
#[must_use]
pub fn hop_fields(fields: &HeaderMap, from: &Target, to: &Target) -> HeaderMap {
    let _ = (from, to);
    fields.clone()
}
