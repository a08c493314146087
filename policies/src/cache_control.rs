//! Cache-Control as both sides write it (RFC 9111 §5.2), read leniently and without overflow.
//!
//! Invariants: delta-seconds saturate at 2^31 (§1.2.2); a duplicate directive takes the most restrictive value; an
//! unreadable `max-age`/`s-maxage` counts as 0 (stale); a field-qualified `no-cache="f"`/`private="f"` is kept apart.

use http::HeaderMap;

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
}

impl ResponseDirectives {
    /// Reads every Cache-Control field line of a response.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let _ = headers;
        unimplemented!()
    }
}

impl RequestDirectives {
    /// Reads every Cache-Control field line of a request, and Pragma.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let _ = headers;
        unimplemented!()
    }
}
