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

impl RedirectRefusal {
    /// In a sentence.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Location => "without a usable Location",
            Self::Downgrade => "to a weaker scheme",
            Self::MetadataService => "to a metadata service",
        }
    }
}

/// What redirects say of storing what is behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChainBound {
    /// Nothing: there were none.
    #[default]
    None,
    /// Not fresher than this, seconds.
    Seconds(u64),
    /// Not to be stored.
    NotStorable,
}

impl ChainBound {
    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::NotStorable, _) | (_, Self::NotStorable) => Self::NotStorable,
            (Self::None, other) => other,
            (known, Self::None) => known,
            (Self::Seconds(one), Self::Seconds(two)) => Self::Seconds(one.min(two)),
        }
    }
}

/// What one redirect says of storing what is behind it.
#[must_use]
pub fn chain_bound(
    status: StatusCode,
    headers: &HeaderMap,
    exchange: crate::freshness::Exchange,
    adjust: crate::freshness::Adjust,
) -> ChainBound {
    let _ = (status, headers, exchange, adjust);
    ChainBound::Seconds(0)
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
