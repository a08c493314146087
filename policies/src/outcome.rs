//! How one request was answered: the single enum behind X-Cache, Cache-Status (RFC 9211), the access log and the
//! `result` label of `weir_requests_total`.

use crate::storability::NotStored;

/// The largest integer of a structured field (RFC 9651 §3.3.1).
const INTEGER_MAX: i64 = 999_999_999_999_999;

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
    /// A stored response was too old; its origin said that it still holds (304).
    Revalidated,
    /// Served too old, while it is being revalidated.
    StaleWhileRevalidate,
    /// Served too old, because its origin failed.
    StaleIfError,
    /// Not here: the client was sent to the upstream.
    Redirected,
    /// Fetched for this client alone and not stored.
    Uncached(NotStored),
    /// Fetched for this client alone because a bound (memory, disk) was reached.
    Bypass,
    /// Handed through (methods that are never cached).
    Pass,
    /// A tunnel: what went through it is for its two ends alone.
    Tunnel,
    /// Answered by the gateway itself: own pages, OPTIONS *, 405 …
    Local,
    /// PURGE by a client that may, whether anything was there or not.
    Purged,
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
            Self::Revalidated => "revalidated",
            Self::StaleWhileRevalidate => "stale-while-revalidate",
            Self::StaleIfError => "stale-if-error",
            Self::Redirected => "redirected",
            Self::Uncached(_) => "uncached",
            Self::Bypass => "bypass",
            Self::Pass => "pass",
            Self::Tunnel => "tunnel",
            Self::Local => "local",
            Self::Purged => "purged",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::NotCached => "not-cached",
            Self::Aborted => "aborted",
        }
    }

    /// X-Cache: `HIT` or `MISS`, `None` where no cache was involved. One who joined a running fill missed.
    #[must_use]
    pub fn x_cache(self) -> Option<&'static str> {
        match self {
            Self::Hit | Self::Revalidated | Self::StaleWhileRevalidate | Self::StaleIfError => {
                Some("HIT")
            }
            Self::Joined | Self::Miss | Self::Stale | Self::Uncached(_) | Self::Bypass => {
                Some("MISS")
            }
            Self::NotCached | Self::Redirected => Some("MISS"),
            Self::Pass | Self::Tunnel | Self::Local | Self::Purged | Self::Refused => None,
            Self::Failed | Self::Aborted => None,
        }
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
        if !self.involves_cache() {
            return None;
        }
        let mut member = structured_name(name);
        let mut add = |parameter: String| {
            member.push_str("; ");
            member.push_str(&parameter);
        };
        if let Some(forward) = self.forward() {
            add(format!("fwd={forward}"));
            if let Some(status) = self.status_of_the_upstream(fwd_status) {
                add(format!("fwd-status={status}"));
            }
        }
        if matches!(self, Self::Hit | Self::StaleWhileRevalidate) {
            add("hit".to_owned());
            if let Some(seconds) = ttl {
                add(format!("ttl={}", seconds.clamp(-INTEGER_MAX, INTEGER_MAX)));
            }
        }
        if stored {
            add("stored".to_owned());
        }
        if self == Self::Joined {
            add("collapsed".to_owned());
        }
        if let Some(detail) = self.detail() {
            add(format!("detail={detail}"));
        }
        Some(member)
    }

    /// RFC 9211 §2.3 `fwd-status`: what the upstream said, which the client sees as `sent` only when it is handed on.
    fn status_of_the_upstream(self, sent: Option<u16>) -> Option<u16> {
        match self {
            Self::Revalidated => Some(304),
            // It may not have said anything, and what is sent is a page of ours.
            Self::StaleIfError | Self::Failed => None,
            Self::Hit | Self::Joined | Self::Miss | Self::Stale => sent,
            Self::StaleWhileRevalidate | Self::Redirected | Self::Uncached(_) => sent,
            Self::Bypass | Self::Pass | Self::Tunnel | Self::Local | Self::Refused => sent,
            Self::Purged | Self::NotCached | Self::Aborted => sent,
        }
    }

    /// Whether the cache was asked at all.
    fn involves_cache(self) -> bool {
        !matches!(
            self,
            Self::Tunnel | Self::Local | Self::Purged | Self::Refused | Self::Aborted
        )
    }

    /// RFC 9211 §2.2 `fwd`; `None` where nothing was forwarded.
    fn forward(self) -> Option<&'static str> {
        match self {
            Self::Joined | Self::Miss | Self::Failed | Self::Redirected => Some("uri-miss"),
            Self::Stale | Self::Revalidated | Self::StaleIfError => Some("stale"),
            Self::Uncached(NotStored::Method) | Self::Pass => Some("method"),
            Self::Uncached(_) => Some("uri-miss"),
            Self::Bypass => Some("bypass"),
            Self::Hit | Self::StaleWhileRevalidate | Self::NotCached => None,
            Self::Tunnel | Self::Local | Self::Purged | Self::Refused | Self::Aborted => None,
        }
    }

    /// RFC 9211 §2.8: a word from the same enums as the log.
    fn detail(self) -> Option<&'static str> {
        match self {
            Self::Uncached(reason) => Some(reason.as_str()),
            Self::Failed | Self::NotCached | Self::Redirected => Some(self.as_str()),
            Self::StaleWhileRevalidate | Self::StaleIfError => Some(self.as_str()),
            Self::Revalidated => None,
            Self::Hit | Self::Joined | Self::Miss | Self::Stale | Self::Bypass => None,
            Self::Pass | Self::Tunnel | Self::Local | Self::Purged => None,
            Self::Refused | Self::Aborted => None,
        }
    }

    /// The squid log's result code: `TCP_HIT`, `TCP_MISS`, `TCP_REFRESH_MODIFIED`, `TCP_DENIED`, …
    #[must_use]
    pub fn squid_code(self) -> &'static str {
        match self {
            Self::Hit => "TCP_HIT",
            Self::Revalidated => "TCP_REFRESH_UNMODIFIED",
            Self::StaleWhileRevalidate | Self::StaleIfError => "TCP_STALE_HIT",
            Self::Redirected => "TCP_MISS_REDIRECT",
            Self::Joined => "TCP_CF_MISS",
            Self::Miss | Self::Uncached(_) | Self::Bypass | Self::Pass => "TCP_MISS",
            Self::Failed | Self::NotCached => "TCP_MISS",
            Self::Stale => "TCP_REFRESH_MODIFIED",
            Self::Tunnel => "TCP_TUNNEL",
            Self::Local | Self::Purged => "NONE",
            Self::Refused => "TCP_DENIED",
            Self::Aborted => "TCP_MISS_ABORTED",
        }
    }
}

/// A token where the name is one, else a string (RFC 9651 §3.3.3, §3.3.4); what neither may hold becomes `_`.
fn structured_name(name: &str) -> String {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*');
    if starts && name.bytes().all(letters) {
        return name.to_owned();
    }
    let printable = |character: char| match character {
        ' '..='~' => character,
        _ => '_',
    };
    let text: String = name.chars().map(printable).collect();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: Outcome, expected: Option<&str>) {
        let line = outcome.cache_status("weir", Some(30), Some(200), false);
        assert_eq!(line.as_deref(), expected, "{outcome:?}");
    }

    #[test]
    fn cache_status_names_what_happened() {
        check(Outcome::Hit, Some("weir; hit; ttl=30"));
        check(
            Outcome::Joined,
            Some("weir; fwd=uri-miss; fwd-status=200; collapsed"),
        );
        check(Outcome::Miss, Some("weir; fwd=uri-miss; fwd-status=200"));
        check(Outcome::Stale, Some("weir; fwd=stale; fwd-status=200"));
        check(
            Outcome::Uncached(NotStored::Private),
            Some("weir; fwd=uri-miss; fwd-status=200; detail=private"),
        );
        check(
            Outcome::Uncached(NotStored::Method),
            Some("weir; fwd=method; fwd-status=200; detail=method"),
        );
        check(
            Outcome::Revalidated,
            Some("weir; fwd=stale; fwd-status=304"),
        );
        check(
            Outcome::StaleIfError,
            Some("weir; fwd=stale; detail=stale-if-error"),
        );
        check(Outcome::Bypass, Some("weir; fwd=bypass; fwd-status=200"));
        check(Outcome::Pass, Some("weir; fwd=method; fwd-status=200"));
        check(Outcome::NotCached, Some("weir; detail=not-cached"));
        check(Outcome::Failed, Some("weir; fwd=uri-miss; detail=failed"));
        check(Outcome::Tunnel, None);
        check(Outcome::Local, None);
        check(Outcome::Purged, None);
        check(Outcome::Refused, None);
        check(Outcome::Aborted, None);
    }

    #[test]
    fn stored_stands_before_collapsed() {
        let line = Outcome::Joined.cache_status("weir", None, None, true);
        assert_eq!(
            line.as_deref(),
            Some("weir; fwd=uri-miss; stored; collapsed")
        );
    }

    #[test]
    fn a_name_that_is_no_token_becomes_a_string() {
        let line = |name: &str| Outcome::Hit.cache_status(name, None, None, false).unwrap();
        assert_eq!(line("weir.example"), "weir.example; hit");
        assert_eq!(line("1st \"node\\"), "\"1st \\\"node\\\\\"; hit");
        assert_eq!(line("a\r\nb;c"), "\"a__b;c\"; hit");
        assert_eq!(line(""), "\"\"; hit");
    }

    #[test]
    fn x_cache_is_silent_where_no_cache_took_part() {
        assert_eq!(Outcome::Hit.x_cache(), Some("HIT"));
        assert_eq!(Outcome::Joined.x_cache(), Some("MISS"));
        assert_eq!(Outcome::Pass.x_cache(), None);
        assert_eq!(Outcome::Refused.x_cache(), None);
    }
}
