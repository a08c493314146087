//! May this stored response answer that request (RFC 9111 §4)? Pure; used for stored objects and for running
//! fills alike, so that joining a fill follows exactly the rules of a hit.

#[cfg(test)]
mod tests;

use crate::cache_control::{RequestDirectives, ResponseDirectives};
use crate::freshness::{Adjust, Exchange, current_age, lifetime};
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
    /// It was marked as not to be used without asking the origin (an unsafe request succeeded, a soft purge).
    pub invalidated: bool,
    /// It never changes, whatever its fields say (imported by an operator).
    pub immutable: bool,
    /// Upper bound of its lifetime from the redirects that led to it, seconds.
    pub lifetime_max: Option<u64>,
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
        /// What it may be used for all the same.
        may: StaleUse,
    },
    /// Another representation: the selecting fields differ.
    Mismatch,
}

/// What a stale response may be used for (RFC 5861, RFC 9111 §4.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StaleUse {
    /// Served now while it is revalidated behind the client's back.
    pub while_revalidating: bool,
    /// Served when the origin fails.
    pub on_error: bool,
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
    if !stored.selection.matches(request) {
        return Reuse::Mismatch;
    }
    let response = ResponseDirectives::of(stored.headers);
    let age = current_age(stored.headers, stored.exchange, now);
    if response.no_cache {
        return Reuse::Stale {
            age,
            why: StaleReason::ResponseNoCache,
            may: StaleUse::default(),
        };
    }
    let lifetime = lifetime(stored.status, stored.headers, stored.exchange, adjust);
    let ttl = signed(lifetime.seconds).saturating_sub(signed(age));
    // §4.2: fresh while the lifetime is greater than the age.
    if ttl <= 0 && !stale_is_wanted(directives, &response, ttl) {
        return Reuse::Stale {
            age,
            why: StaleReason::Expired,
            may: StaleUse::default(),
        };
    }
    if !satisfies(directives, age, ttl) {
        return Reuse::Stale {
            age,
            why: StaleReason::RequestDirective,
            may: StaleUse::default(),
        };
    }
    Reuse::Fresh { age, ttl }
}

/// §5.2.1.2, and the response directives that forbid it (§5.2.2.2, §5.2.2.8, §5.2.2.10).
fn stale_is_wanted(request: &RequestDirectives, response: &ResponseDirectives, ttl: i64) -> bool {
    let forbidden =
        response.must_revalidate || response.proxy_revalidate || response.s_maxage.is_some();
    let staleness = ttl.unsigned_abs();
    !forbidden && request.max_stale.is_some_and(|bound| staleness <= bound)
}

/// §5.2.1.1, §5.2.1.3, §5.2.1.4. `max-age=0` is how clients (apt, pip) ask for validation: within the second in which
/// a response arrived its age is 0 as well, and they still mean it.
fn satisfies(request: &RequestDirectives, age: u64, ttl: i64) -> bool {
    let young = request
        .max_age
        .is_none_or(|bound| age <= bound && bound > 0);
    let lasting = request.min_fresh.is_none_or(|bound| ttl >= signed(bound));
    !request.no_cache && young && lasting
}

fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
