//! Where a redirect leads, and whether Weir follows it for its client (RFC 9110 §10.2.2, §15.4).
//!
//! One hop at a time. How many hops there may be, and that each target's address is judged before it is connected to,
//! is the caller's: a loop is a chain that is too long.

pub(crate) mod reference;
#[cfg(test)]
mod tests;

use crate::address::is_metadata_service;
use crate::credentials::is_credential;
use crate::freshness::{self, Adjust, Exchange, current_age};
use crate::target::{Scheme, Target};
use crate::vary::Vary;
use http::header::{COOKIE, HOST, LOCATION, ORIGIN, PROXY_AUTHORIZATION, REFERER};
use http::{HeaderMap, HeaderName, StatusCode};

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

/// Request fields that were meant for the origin they were sent to, besides credentials: what else it knows the client
/// by, and where the client came from.
const FOR_ONE_ORIGIN: [HeaderName; 6] = [
    PROXY_AUTHORIZATION,
    COOKIE,
    HOST,
    ORIGIN,
    REFERER,
    HeaderName::from_static("cookie2"),
];

/// Whether a response with this status redirects (301, 302, 303, 307, 308 with a Location).
#[must_use]
pub fn is_redirect(status: StatusCode, headers: &HeaderMap) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) && headers.contains_key(LOCATION)
}

/// The next target. A URL with userinfo counts as unreadable: credentials that an origin chose are nobody's.
///
/// # Errors
/// [`RedirectRefusal`].
pub fn next(from: &Target, headers: &HeaderMap) -> Result<Target, RedirectRefusal> {
    let mut lines = headers.get_all(LOCATION).iter();
    // Of two lines, one reader follows the first and another the last.
    let (Some(location), None) = (lines.next(), lines.next()) else {
        return Err(RedirectRefusal::Location);
    };
    let to = reference::resolve(from, location).map_err(|_| RedirectRefusal::Location)?;
    let downgraded = match (from.scheme(), to.scheme()) {
        (Scheme::Https, Scheme::Http) => true,
        (from, Scheme::Ftp) => from != Scheme::Ftp,
        _ => false,
    };
    if downgraded {
        return Err(RedirectRefusal::Downgrade);
    }
    if is_metadata_service(to.host()) {
        return Err(RedirectRefusal::MetadataService);
    }
    Ok(to)
}

/// Whether two URLs have one origin: scheme, host and port (RFC 6454 §4).
pub(crate) fn is_same_origin(one: &Target, other: &Target) -> bool {
    (one.scheme(), one.host(), one.port()) == (other.scheme(), other.host(), other.port())
}

/// The request fields for the next hop: what was meant for one origin (Authorization, Cookie, Host, …) never reaches
/// another.
#[must_use]
pub fn hop_fields(fields: &HeaderMap, from: &Target, to: &Target) -> HeaderMap {
    if is_same_origin(from, to) {
        return fields.clone();
    }
    let travels = |name: &HeaderName| !is_credential(name) && !FOR_ONE_ORIGIN.contains(name);
    let kept = fields.iter().filter(|(name, _)| travels(name));
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What one redirect response means for the object at the end of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HopBound {
    /// The object may be stored and is fresh for at most so many seconds; the least of all hops counts, and none of it
    /// under an immutable rule.
    Seconds(u64),
    /// The redirect was for this client or this moment only, and so is what it led to.
    NotStorable,
}

impl HopBound {
    /// Both hops together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Seconds(one), Self::Seconds(other)) => Self::Seconds(one.min(other)),
            _ => Self::NotStorable,
        }
    }
}

/// The bound that a redirect response puts on what it leads to: its explicit freshness (none: 0, also for the statuses
/// that allow heuristics, for nobody said for how long the name means this object) less its age. Set-Cookie is dropped
/// on the way and does not count; under an immutable rule neither does `private`, which GitHub says of every redirect
/// to an archive: the redirect is not stored, was asked for without credentials, and what it leads to speaks for itself.
#[must_use]
pub fn chain_lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    exchange: Exchange,
    adjust: Adjust,
) -> HopBound {
    let directives = freshness::directives(headers, adjust);
    let not_understood = directives.must_understand && !is_redirect(status, headers);
    if directives.no_store
        || (directives.private && !adjust.immutable)
        || not_understood
        || Vary::of(headers) == Vary::Star
    {
        return HopBound::NotStorable;
    }
    if directives.no_cache {
        return HopBound::Seconds(0);
    }
    let explicit = freshness::explicit(headers, &directives, exchange);
    let seconds = explicit.map_or(0, |lifetime| lifetime.seconds);
    let bounded = adjust.ttl_max.map_or(seconds, |most| most.min(seconds));
    let age = current_age(headers, exchange, exchange.responded);
    HopBound::Seconds(bounded.saturating_sub(age))
}
