//! How old a stored response is and how long it stays fresh (RFC 9111 §4.2).

use crate::time::UnixSeconds;
use http::{HeaderMap, StatusCode};

/// When the request left and the response head arrived, by our clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// §4.2.3 request_time
    pub requested: UnixSeconds,
    /// §4.2.3 response_time
    pub responded: UnixSeconds,
}

/// Where a lifetime comes from; shown by `explain` later, and decides which stale uses are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifetimeSource {
    /// `s-maxage`
    SMaxAge,
    /// `max-age`
    MaxAge,
    /// `Expires` − `Date`
    Expires,
    /// 10 % of `Date` − `Last-Modified` (§4.2.2)
    Heuristic,
    /// The rule's `ttl_default`, where the origin was silent
    Rule,
    /// Nothing said anything: 0
    None,
}

/// A freshness lifetime, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// Seconds.
    pub seconds: u64,
    /// Its source.
    pub source: LifetimeSource,
}

/// What rules add to the standard. `None` everywhere is the standard itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Adjust {
    /// Lifetime where the origin is silent (before heuristics), seconds.
    pub ttl_default: Option<u64>,
    /// Upper bound, seconds.
    pub ttl_max: Option<u64>,
}

/// The freshness lifetime of a response for a shared cache (§4.2.1).
#[must_use]
pub fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    exchange: Exchange,
    adjust: Adjust,
) -> Lifetime {
    let _ = (status, headers, exchange, adjust);
    unimplemented!()
}

/// `current_age` in seconds (§4.2.3): upstream Age, apparent age, delay and resident time.
#[must_use]
pub fn current_age(headers: &HeaderMap, exchange: Exchange, now: UnixSeconds) -> u64 {
    let _ = (headers, exchange, now);
    unimplemented!()
}
