//! How old a stored response is and how long it stays fresh (RFC 9111 §4.2), and what rules add to that.
//!
//! Everything that reads a response's directives under a rule reads them through [`directives`], so that storing,
//! freshness and reuse never disagree on what was overridden or on which field counts.

#[cfg(test)]
mod tests;

use crate::cache_control::{DELTA_SECONDS_MAX, ResponseDirectives, delta_seconds};
use crate::time::{DateField, UnixSeconds};
use http::header::{AGE, DATE, EXPIRES, LAST_MODIFIED, SET_COOKIE};
use http::{HeaderMap, StatusCode};

/// The longest heuristic lifetime, seconds: a week. RFC 9111 §4.2.2 leaves it open; a file that has not changed for
/// ten weeks rarely changes in the next one, and a wrong guess heals within it.
pub const HEURISTIC_SECONDS_MAX: u64 = 7 * 24 * 60 * 60;

/// How far an origin's clock may run ahead before its dates are no basis for a lifetime, seconds.
const CLOCK_SKEW_SECONDS_MAX: i64 = 60;

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
    /// `s-maxage` or `max-age` of CDN-Cache-Control
    Cdn,
    /// The rule's `ttl_default`, where the origin was silent
    Rule,
    /// The rule's `ttl_min`: what was said was shorter
    RuleMin,
    /// The rule's `ttl_max`: what was said was longer
    RuleMax,
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
    /// Lower bound, seconds; never over no-store, private or Set-Cookie.
    pub ttl_min: Option<u64>,
    /// Upper bound, seconds.
    pub ttl_max: Option<u64>,
    /// How long a stale response may answer while the origin fails, where nobody says otherwise, seconds.
    pub stale_for: Option<u64>,
    /// No request forces a revalidation, and once stale it is served while it is revalidated.
    pub immutable: bool,
    /// Weir acts for the origin: CDN-Cache-Control counts (RFC 9213).
    pub cdn: bool,
    /// What of the standard is set aside.
    pub overrides: Overrides,
}

/// Reasons not to store or share that a rule sets aside, each by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// Response `no-store`.
    pub no_store: bool,
    /// Response `no-cache`.
    pub no_cache: bool,
    /// Response `private`.
    pub private: bool,
    /// Set-Cookie.
    pub set_cookie: bool,
}

/// The directives that count for this cache: those of CDN-Cache-Control where Weir acts for the origin and the field is
/// there and valid, else those of Cache-Control, without what the rule sets aside.
#[must_use]
pub fn directives(headers: &HeaderMap, adjust: Adjust) -> ResponseDirectives {
    let targeted = adjust.cdn.then(|| ResponseDirectives::of_cdn(headers));
    let mut directives = targeted
        .flatten()
        .unwrap_or_else(|| ResponseDirectives::of(headers));
    directives.no_store &= !adjust.overrides.no_store;
    directives.no_cache &= !adjust.overrides.no_cache;
    directives.private &= !adjust.overrides.private;
    directives
}

/// The freshness lifetime of a response for a shared cache (§4.2.1). For a part (206) pass 200, as which it is stored.
#[must_use]
pub fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    exchange: Exchange,
    adjust: Adjust,
) -> Lifetime {
    let directives = directives(headers, adjust);
    let lifetime = explicit(headers, &directives, exchange)
        .or_else(|| by_rule(status, adjust))
        .or_else(|| heuristic(status, headers, &directives, exchange))
        .unwrap_or(Lifetime {
            seconds: 0,
            source: LifetimeSource::None,
        });
    let may_rise = status == StatusCode::OK && may_be_prolonged(headers, &directives, adjust);
    bounded(lifetime, adjust, adjust.ttl_min.filter(|_| may_rise))
}

/// `ttl_min` before `ttl_max`: where a rule contradicts itself, the shorter life does less harm.
fn bounded(mut lifetime: Lifetime, adjust: Adjust, least: Option<u64>) -> Lifetime {
    if let Some(least) = least.filter(|least| *least > lifetime.seconds) {
        lifetime = Lifetime {
            seconds: least,
            source: LifetimeSource::RuleMin,
        };
    }
    if let Some(most) = adjust.ttl_max.filter(|most| *most < lifetime.seconds) {
        lifetime = Lifetime {
            seconds: most,
            source: LifetimeSource::RuleMax,
        };
    }
    lifetime
}

/// `ttl_min` never prolongs what the origin did not want shared or used unasked. Set-Cookie stands for that only where
/// the standard would not share it either, so that the answer is the same before and after the store has dropped it.
fn may_be_prolonged(headers: &HeaderMap, directives: &ResponseDirectives, adjust: Adjust) -> bool {
    let shared = directives.public || directives.s_maxage.is_some() || adjust.overrides.set_cookie;
    let personal = headers.contains_key(SET_COOKIE) && !shared;
    !(directives.no_store || directives.private || directives.no_cache || personal)
}

/// `current_age` in seconds (§4.2.3): upstream Age, apparent age, delay and resident time.
#[must_use]
pub fn current_age(headers: &HeaderMap, exchange: Exchange, now: UnixSeconds) -> u64 {
    let apparent = match DateField::of(headers, DATE) {
        DateField::At(date) => exchange.responded.since(date),
        DateField::Absent | DateField::Invalid => 0,
    };
    let delay = exchange.responded.since(exchange.requested);
    let corrected = age_field(headers).saturating_add(delay);
    apparent
        .max(corrected)
        .saturating_add(now.since(exchange.responded))
}

/// Statuses whose responses may be stored without explicit freshness: those of RFC 9110 §15.1 that Weir stores.
///
/// Of that list 405, 414 and 501 are missing: a single hostile request can provoke them (an odd method, an endless
/// target), and whoever asks next would get them too. 300 is missing because nobody follows it, 206 because parts are
/// judged on their own.
pub(crate) fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 301 | 308 | 404 | 410)
}

/// What the origin says itself, in the order of §4.2.1 for a shared cache.
pub(crate) fn explicit(
    headers: &HeaderMap,
    directives: &ResponseDirectives,
    exchange: Exchange,
) -> Option<Lifetime> {
    let by_directive =
        |seconds: Option<u64>, source| seconds.map(|seconds| Lifetime { seconds, source });
    let (shared, any) = match directives.targeted {
        true => (LifetimeSource::Cdn, LifetimeSource::Cdn),
        false => (LifetimeSource::SMaxAge, LifetimeSource::MaxAge),
    };
    let said =
        by_directive(directives.s_maxage, shared).or_else(|| by_directive(directives.max_age, any));
    if said.is_some() || directives.targeted {
        return said;
    }
    let seconds = match DateField::of(headers, EXPIRES) {
        DateField::Absent => return None,
        // §5.3: `0` and every other unreadable date are in the past.
        DateField::Invalid => 0,
        DateField::At(expires) => match trusted_date(headers, exchange) {
            Some(date) => expires.since(date).min(DELTA_SECONDS_MAX),
            None => 0,
        },
    };
    Some(Lifetime {
        seconds,
        source: LifetimeSource::Expires,
    })
}

/// `Date`, or the arrival where there is none; `None` when it lies in the future and says nothing.
fn trusted_date(headers: &HeaderMap, exchange: Exchange) -> Option<UnixSeconds> {
    let date = DateField::of(headers, DATE)
        .at()
        .unwrap_or(exchange.responded);
    let latest = exchange.responded.0.saturating_add(CLOCK_SKEW_SECONDS_MAX);
    (date.0 <= latest).then_some(date)
}

/// A rule fills the origin's silence for what the standard would let anyone guess about, never for an error page.
fn by_rule(status: StatusCode, adjust: Adjust) -> Option<Lifetime> {
    let seconds = adjust
        .ttl_default
        .filter(|_| is_heuristically_cacheable(status))?;
    Some(Lifetime {
        seconds,
        source: LifetimeSource::Rule,
    })
}

/// §4.2.2: a tenth of the time since the last change; `public` opens it to other statuses.
fn heuristic(
    status: StatusCode,
    headers: &HeaderMap,
    directives: &ResponseDirectives,
    exchange: Exchange,
) -> Option<Lifetime> {
    if !is_heuristically_cacheable(status) && !directives.public {
        return None;
    }
    let modified = DateField::of(headers, LAST_MODIFIED).at()?;
    let date = trusted_date(headers, exchange)?;
    let seconds = (date.since(modified) / 10).min(HEURISTIC_SECONDS_MAX);
    Some(Lifetime {
        seconds,
        source: LifetimeSource::Heuristic,
    })
}

/// §5.1: the first member of the first line; one that is not a number is ignored, a huge one saturates.
fn age_field(headers: &HeaderMap) -> u64 {
    let Some(value) = headers.get(AGE) else {
        return 0;
    };
    let first = value
        .as_bytes()
        .split(|byte| *byte == b',')
        .next()
        .unwrap_or_default();
    delta_seconds(first.trim_ascii())
        .unwrap_or(0)
        .min(DELTA_SECONDS_MAX)
}
