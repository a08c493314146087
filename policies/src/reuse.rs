//! May this stored response answer that request (RFC 9111 §4)? Pure; used for stored objects and for running
//! fills alike, so that joining a fill follows exactly the rules of a hit.

#[cfg(test)]
mod tests;

use crate::cache_control::{DELTA_SECONDS_MAX, RequestDirectives, ResponseDirectives};
use crate::freshness::{Adjust, Exchange, Lifetime, current_age, directives, lifetime};
use crate::storability::forbidden;
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
    /// Matches but must be revalidated first.
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
    /// It says no-store or private by now: what was learned after it was stored (§3.2) took the permission back.
    Forbidden,
    /// Its lifetime is over.
    Expired,
    /// It was invalidated: an unsafe request succeeded (RFC 9111 §4.4), or an operator asked for it.
    Invalidated,
    /// The response says no-cache.
    ResponseNoCache,
    /// The request says no-cache, max-age or min-fresh.
    RequestDirective,
}

/// Decides for one candidate.
///
/// What an operator imported is always fresh, invalidated or not: the bytes are pinned, and an unsafe request to its
/// origin changes nothing about them.
#[must_use]
pub fn decide(
    request: &HeaderMap,
    asked: &RequestDirectives,
    stored: &Stored<'_>,
    adjust: Adjust,
    now: UnixSeconds,
) -> Reuse {
    if !stored.selection.matches(request) {
        return Reuse::Mismatch;
    }
    let age = current_age(stored.headers, stored.exchange, now);
    if stored.immutable {
        let ttl = signed(DELTA_SECONDS_MAX);
        return Reuse::Fresh { age, ttl };
    }
    let said = directives(stored.headers, adjust);
    let ttl = signed(lifetime_of(stored, adjust).seconds).saturating_sub(signed(age));
    match objection(asked, &said, stored, adjust, age, ttl) {
        None => Reuse::Fresh { age, ttl },
        Some(why) => Reuse::Stale {
            age,
            why,
            may: stale_use(asked, &said, why, adjust, age, ttl),
        },
    }
}

/// The lifetime, no longer than the redirects that led here allow: unless a rule says that the name never changes.
fn lifetime_of(stored: &Stored<'_>, adjust: Adjust) -> Lifetime {
    let mut found = lifetime(stored.status, stored.headers, stored.exchange, adjust);
    if let Some(bound) = stored.lifetime_max.filter(|_| !adjust.immutable) {
        found.seconds = found.seconds.min(bound);
    }
    found
}

/// Why it may not be served as it is, the reason that cannot be argued with first.
fn objection(
    asked: &RequestDirectives,
    said: &ResponseDirectives,
    stored: &Stored<'_>,
    adjust: Adjust,
    age: u64,
    ttl: i64,
) -> Option<StaleReason> {
    if forbidden(stored.status, said).is_some() {
        return Some(StaleReason::Forbidden);
    }
    if stored.invalidated {
        return Some(StaleReason::Invalidated);
    }
    if said.no_cache {
        return Some(StaleReason::ResponseNoCache);
    }
    // §4.2: fresh while the lifetime is greater than the age.
    if ttl <= 0 && !stale_is_wanted(asked, said, ttl) {
        return Some(StaleReason::Expired);
    }
    let content = adjust.immutable || satisfies(asked, age, ttl);
    (!content).then_some(StaleReason::RequestDirective)
}

/// What a response that is not fresh enough is still good for (RFC 5861, §4.2.4).
///
/// An invalidated one (§4.4) is good for nothing, but under an immutable rule: there its bytes are still the right
/// ones, and if the origin has others by now, that is a conflict and no reason to have none.
///
/// A request's no-cache, max-age and min-fresh rule out an answer before the origin was asked, but not one after the
/// origin failed: they say what the client prefers (§5.2.1), §4.2.4 lists only directives of the response as
/// prohibitions, and package managers write `no-cache` into every request, so that they would lose the cache exactly
/// when it is the only source left.
fn stale_use(
    asked: &RequestDirectives,
    said: &ResponseDirectives,
    why: StaleReason,
    adjust: Adjust,
    age: u64,
    ttl: i64,
) -> StaleUse {
    let distrusted = match why {
        // Whoever may POST to a URL must not be able to take a file that never changes away from everybody.
        StaleReason::Invalidated => !adjust.immutable || said.no_cache,
        StaleReason::Forbidden | StaleReason::ResponseNoCache => true,
        StaleReason::Expired | StaleReason::RequestDirective => false,
    };
    let staleness = if ttl > 0 { 0 } else { ttl.unsigned_abs() };
    // A fresh response is not stale: what forbids stale ones says nothing of it.
    if distrusted || (ttl <= 0 && forbids_stale(said)) {
        return StaleUse::default();
    }
    // A window of 0 is none, also within the second in which a response has expired.
    let within = |bound: Option<u64>| bound.is_some_and(|bound| bound > 0 && staleness <= bound);
    let lingering = adjust.immutable || within(said.stale_while_revalidate);
    let for_errors = said.stale_if_error.or(adjust.stale_for);
    StaleUse {
        while_revalidating: lingering && (adjust.immutable || satisfies_stale(asked, age)),
        on_error: ttl > 0 || lingering || within(for_errors) || within(asked.stale_if_error),
    }
}

/// §5.2.2.2, §5.2.2.8, and §5.2.2.10, by which `s-maxage` means proxy-revalidate too. RFC 5861 does not lift it: an
/// origin that writes `s-maxage=60, stale-while-revalidate=60` has forbidden what it allows, and §4.2.4 says which wins.
fn forbids_stale(said: &ResponseDirectives) -> bool {
    said.must_revalidate || said.proxy_revalidate || said.s_maxage.is_some()
}

/// §5.2.1.2, and the response directives that forbid it.
fn stale_is_wanted(asked: &RequestDirectives, said: &ResponseDirectives, ttl: i64) -> bool {
    let staleness = ttl.unsigned_abs();
    !forbids_stale(said) && asked.max_stale.is_some_and(|bound| staleness <= bound)
}

/// §5.2.1.1, §5.2.1.3, §5.2.1.4. `max-age=0` is how clients (apt, pip) ask for validation: within the second in which
/// a response arrived its age is 0 as well, and they still mean it.
fn satisfies(asked: &RequestDirectives, age: u64, ttl: i64) -> bool {
    let lasting = asked.min_fresh.is_none_or(|bound| ttl >= signed(bound));
    young_enough(asked, age) && lasting
}

/// A stale response lasts no second longer, so min-fresh rules it out altogether.
fn satisfies_stale(asked: &RequestDirectives, age: u64) -> bool {
    young_enough(asked, age) && asked.min_fresh.is_none()
}

fn young_enough(asked: &RequestDirectives, age: u64) -> bool {
    let young = asked.max_age.is_none_or(|bound| age <= bound && bound > 0);
    !asked.no_cache && young
}

fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
