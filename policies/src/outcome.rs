//! How one request was answered: the single enum behind X-Cache, Cache-Status (RFC 9211), the access log and the
//! `result` label of `weir_requests_total`.

use crate::storability::NotStored;

/// The outcome of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Served from the store.
    Hit,
    /// Joined a fill that another request had started.
    Joined,
    /// Started a fill and read from it.
    Miss,
    /// A stored response was too old and was fetched anew.
    Stale,
    /// Fetched for this client alone and not stored.
    Uncached(NotStored),
    /// Fetched for this client alone because a bound (memory, disk) was reached.
    Bypass,
    /// Handed through (methods that are never cached).
    Pass,
    /// Answered by the gateway itself: own pages, OPTIONS *, 405 …
    Local,
    /// Refused by policy or syntax.
    Refused,
    /// The upstream could not answer (502, 504 …).
    Failed,
    /// only-if-cached and not cached: 504.
    NotCached,
    /// The client went away before a status was sent.
    Aborted,
}

impl Outcome {
    /// The label and log word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Joined => "joined",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Uncached(_) => "uncached",
            Self::Bypass => "bypass",
            Self::Pass => "pass",
            Self::Local => "local",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::NotCached => "not-cached",
            Self::Aborted => "aborted",
        }
    }

    /// X-Cache: `HIT` or `MISS`, `None` where no cache was involved.
    #[must_use]
    pub fn x_cache(self) -> Option<&'static str> {
        unimplemented!()
    }

    /// One Cache-Status member for cache `name`, e.g. `weir; hit; ttl=30`, `weir; fwd=uri-miss; stored; collapsed`.
    /// `ttl` for hits, `fwd_status` for forwarded ones.
    #[must_use]
    pub fn cache_status(
        self,
        name: &str,
        ttl: Option<i64>,
        fwd_status: Option<u16>,
        stored: bool,
    ) -> Option<String> {
        let _ = (name, ttl, fwd_status, stored);
        unimplemented!()
    }

    /// The squid log's result code: `TCP_HIT`, `TCP_MISS`, `TCP_REFRESH_MODIFIED`, `TCP_DENIED`, …
    #[must_use]
    pub fn squid_code(self) -> &'static str {
        unimplemented!()
    }
}
