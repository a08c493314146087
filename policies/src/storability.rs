//! Whether a response may be stored by a shared cache (RFC 9111 §3) and by this one.

use crate::freshness::{Adjust, Exchange};
use http::{HeaderMap, Method, StatusCode};

/// The answer, with the reason that log, metric and Cache-Status share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Storability {
    /// May be stored and shared.
    Store,
    /// May not.
    Refuse(NotStored),
}

/// Why a response was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotStored {
    /// Only GET responses are stored.
    Method,
    /// Not a final status we store: 200 203 204 301 308 404 410, others only with explicit freshness (never 206, 304).
    Status,
    /// `no-store` in request or response, or must-understand with an unknown status.
    NoStore,
    /// `private`.
    Private,
    /// Authorization without public, s-maxage or must-revalidate (§3.5).
    Authorization,
    /// Set-Cookie without explicit shared freshness (`public` or `s-maxage`).
    SetCookie,
    /// `Vary: *`.
    VaryStar,
    /// Nothing says how long it would be fresh and no validator could ever revive it.
    NoFreshness,
    /// Request had a Cookie and the response does not say it may be shared.
    Cookie,
    /// Its end is only known by the closing of the connection, which proves nothing (RFC 9112 §8).
    Framing,
    /// A rule said `store = "never"`.
    Rule,
    /// A header block too large to keep.
    HeadTooLarge,
}

impl NotStored {
    /// The word for log, metric and Cache-Status detail.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Status => "status",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::VaryStar => "vary-star",
            Self::NoFreshness => "no-freshness",
            Self::Cookie => "cookie",
            Self::Framing => "framing",
            Self::Rule => "rule",
            Self::HeadTooLarge => "head-too-large",
        }
    }
}

/// Judges one exchange.
#[must_use]
pub fn judge(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    exchange: Exchange,
    adjust: Adjust,
) -> Storability {
    let _ = (method, request, status, response, exchange, adjust);
    unimplemented!()
}

/// The fields of a response that go into the store (RFC 9111 §3.1): no hop-by-hop fields, no fields that
/// `private="…"` or `no-cache="…"` name, no Age duplicates (the original value is kept apart by the caller's clock).
#[must_use]
pub fn storable_fields(response: &HeaderMap) -> HeaderMap {
    let _ = response;
    unimplemented!()
}
