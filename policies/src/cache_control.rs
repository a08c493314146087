//! Cache-Control as both sides write it (RFC 9111 §5.2), read leniently and without overflow.
//!
//! Invariants: delta-seconds saturate at 2^31 (§1.2.2); a duplicate directive takes the most restrictive value; an
//! unreadable `max-age`/`s-maxage` counts as 0 (stale); a field-qualified `no-cache="f"`/`private="f"` is kept apart.
//! Where the text is broken or endless, the more restrictive reading wins.

mod targeted;
#[cfg(test)]
mod tests;
mod tokens;

use http::header::{CACHE_CONTROL, HeaderName, PRAGMA};
use http::{HeaderMap, HeaderValue};
use tokens::{Directive, directives};

/// §1.2.2: what larger numbers count as, seconds (2^31).
pub const DELTA_SECONDS_MAX: u64 = 1 << 31;

/// The most directives that are read; a head with more is treated as `no-store`.
const DIRECTIVES_MAX: usize = 128;

/// RFC 9213 §3.1
const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// Fields that a qualified `no-cache` or `private` may not take away alone: without them the rest would be read as
/// fresher, or as other bytes, than it is. Naming one counts as the unqualified directive.
const INSEPARABLE: [&str; 9] = [
    "age",
    "cache-control",
    "content-encoding",
    "content-length",
    "date",
    "etag",
    "expires",
    "last-modified",
    "vary",
];

/// Directives of a response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseDirectives {
    /// §5.2.2.5
    pub no_store: bool,
    /// §5.2.2.4, without field names
    pub no_cache: bool,
    /// Field names of `no-cache="…"`, lower-case
    pub no_cache_fields: Vec<String>,
    /// §5.2.2.7, without field names
    pub private: bool,
    /// Field names of `private="…"`, lower-case
    pub private_fields: Vec<String>,
    /// §5.2.2.9
    pub public: bool,
    /// §5.2.2.2
    pub must_revalidate: bool,
    /// §5.2.2.8
    pub proxy_revalidate: bool,
    /// §5.2.2.3
    pub must_understand: bool,
    /// §5.2.2.6
    pub no_transform: bool,
    /// RFC 8246
    pub immutable: bool,
    /// §5.2.2.1, seconds
    pub max_age: Option<u64>,
    /// §5.2.2.10, seconds
    pub s_maxage: Option<u64>,
    /// RFC 5861 §3, seconds
    pub stale_while_revalidate: Option<u64>,
    /// RFC 5861 §4, seconds
    pub stale_if_error: Option<u64>,
    /// Read from CDN-Cache-Control: neither Cache-Control nor Expires counts beside it (RFC 9213 §2.2)
    pub targeted: bool,
}

/// Directives of a request. `Pragma: no-cache` counts as `no_cache` when there is no Cache-Control (§5.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestDirectives {
    /// §5.2.1.4
    pub no_cache: bool,
    /// §5.2.1.5
    pub no_store: bool,
    /// §5.2.1.7
    pub only_if_cached: bool,
    /// §5.2.1.1, seconds
    pub max_age: Option<u64>,
    /// §5.2.1.3, seconds
    pub min_fresh: Option<u64>,
    /// §5.2.1.2: `Some(u64::MAX)` when it had no value
    pub max_stale: Option<u64>,
    /// RFC 5861 §4, seconds
    pub stale_if_error: Option<u64>,
}

impl ResponseDirectives {
    /// Reads every Cache-Control field line of a response.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut read = Self::default();
        for (count, directive) in lines(headers).enumerate() {
            if count == DIRECTIVES_MAX {
                read.no_store = true;
                break;
            }
            read.add(&directive);
        }
        read
    }

    /// Reads CDN-Cache-Control, where Weir acts for the origin (RFC 9213). `None` when there is none that is valid:
    /// Cache-Control counts then.
    #[must_use]
    pub fn of_cdn(headers: &HeaderMap) -> Option<Self> {
        let lines = headers.get_all(CDN_CACHE_CONTROL).iter();
        let field = lines
            .map(HeaderValue::as_bytes)
            .collect::<Vec<_>>()
            .join(&b","[..]);
        let directives = targeted::dictionary(&field)?;
        let mut read = Self {
            targeted: true,
            ..Self::default()
        };
        for directive in &directives {
            read.add(directive);
        }
        Some(read)
    }

    fn add(&mut self, directive: &Directive<'_>) {
        match directive.name.as_str() {
            "no-store" => self.no_store = true,
            "no-cache" => qualified(directive, &mut self.no_cache, &mut self.no_cache_fields),
            "private" => qualified(directive, &mut self.private, &mut self.private_fields),
            "public" => self.public = true,
            "must-revalidate" => self.must_revalidate = true,
            "proxy-revalidate" => self.proxy_revalidate = true,
            "must-understand" => self.must_understand = true,
            "no-transform" => self.no_transform = true,
            "immutable" => self.immutable = true,
            "max-age" => least(&mut self.max_age, Some(seconds_or_zero(directive))),
            "s-maxage" => least(&mut self.s_maxage, Some(seconds_or_zero(directive))),
            "stale-while-revalidate" => {
                least(&mut self.stale_while_revalidate, seconds(directive));
            }
            "stale-if-error" => least(&mut self.stale_if_error, seconds(directive)),
            // §5.2.3: extensions that are not understood are ignored.
            _ => {}
        }
    }
}

impl RequestDirectives {
    /// Reads every Cache-Control field line of a request, and Pragma.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut read = Self::default();
        if !headers.contains_key(CACHE_CONTROL) {
            read.no_cache = pragma_no_cache(headers);
        }
        for (count, directive) in lines(headers).enumerate() {
            if count == DIRECTIVES_MAX {
                read.no_store = true;
                break;
            }
            read.add(&directive);
        }
        read
    }

    fn add(&mut self, directive: &Directive<'_>) {
        match directive.name.as_str() {
            "no-cache" => self.no_cache = true,
            "no-store" => self.no_store = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => least(&mut self.max_age, Some(seconds_or_zero(directive))),
            "min-fresh" => self.min_fresh = self.min_fresh.max(seconds(directive)),
            "max-stale" if directive.value.is_none() => least(&mut self.max_stale, Some(u64::MAX)),
            "max-stale" => least(&mut self.max_stale, seconds(directive)),
            "stale-if-error" => least(&mut self.stale_if_error, seconds(directive)),
            _ => {}
        }
    }
}

/// Digits only; saturates at [`DELTA_SECONDS_MAX`]. Also reads Age, which has the same grammar.
pub(crate) fn delta_seconds(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(
            sum.saturating_mul(10)
                .saturating_add(digit)
                .min(DELTA_SECONDS_MAX),
        )
    })
}

fn lines(headers: &HeaderMap) -> impl Iterator<Item = Directive<'_>> {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .flat_map(|line| directives(line.as_bytes()))
}

fn seconds(directive: &Directive<'_>) -> Option<u64> {
    directive.value.as_deref().and_then(delta_seconds)
}

/// For the lifetimes, where not understanding means not fresh (§4.2.1).
fn seconds_or_zero(directive: &Directive<'_>) -> u64 {
    seconds(directive).unwrap_or(0)
}

/// Keeps the smaller of what was said so far and `value`; what could not be read says nothing.
fn least(known: &mut Option<u64>, value: Option<u64>) {
    *known = match (*known, value) {
        (Some(known), Some(value)) => Some(known.min(value)),
        (known, value) => known.or(value),
    };
}

/// `private` or `private="a, b"`. A list that names nothing readable, or something inseparable, is the whole response.
fn qualified(directive: &Directive<'_>, all: &mut bool, fields: &mut Vec<String>) {
    let value = directive.value.as_deref().unwrap_or_default();
    let members = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let names: Result<Vec<HeaderName>, _> = members
        .filter(|member| !member.is_empty())
        .map(HeaderName::from_bytes)
        .collect();
    match names {
        Ok(names) if !names.is_empty() => {
            *all |= names
                .iter()
                .any(|name| INSEPARABLE.contains(&name.as_str()));
            fields.extend(names.iter().map(|name| name.as_str().to_owned()));
        }
        Ok(_) | Err(_) => *all = true,
    }
}

/// §5.4: what HTTP/1.0 clients say instead.
fn pragma_no_cache(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(PRAGMA);
    lines
        .iter()
        .flat_map(|line| directives(line.as_bytes()))
        .any(|said| said.name == "no-cache")
}
