//! May this stored response answer that request (RFC 9111 §4)? Pure; used for stored objects and for running
//! fills alike, so that joining a fill follows exactly the rules of a hit.

use crate::cache_control::RequestDirectives;
use crate::freshness::{Adjust, Exchange};
use crate::time::UnixSeconds;
use crate::vary::Selection;
use http::{HeaderMap, StatusCode};

/// What is known of a stored (or arriving) response.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: &'a HeaderMap,
    /// When it was fetched.
    pub exchange: Exchange,
    /// What selected it.
    pub selection: &'a Selection,
}

/// The answer for one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// May be served now; age in seconds for the Age field, and the seconds it stays fresh (negative: stale but
    /// allowed by max-stale).
    Fresh {
        /// `current_age`, seconds
        age: u64,
        /// seconds of freshness left
        ttl: i64,
    },
    /// Matches but must be revalidated (for now: refetched) first.
    Stale {
        /// `current_age`, seconds
        age: u64,
        /// why
        why: StaleReason,
    },
    /// Another representation: the selecting fields differ.
    Mismatch,
}

/// Why a matching response may not be served as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleReason {
    /// Its lifetime is over.
    Expired,
    /// The response says no-cache.
    ResponseNoCache,
    /// The request says no-cache, max-age or min-fresh.
    RequestDirective,
}

/// Decides for one candidate. A rule's `immutable` is handled by the caller.
#[must_use]
pub fn decide(
    request: &HeaderMap,
    directives: &RequestDirectives,
    stored: &Stored<'_>,
    adjust: Adjust,
    now: UnixSeconds,
) -> Reuse {
    let _ = (request, directives, stored, adjust, now);
    unimplemented!()
}
