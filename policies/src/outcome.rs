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

    /// X-Cache: `HIT` or `MISS`, `None` where no cache was involved. One who joined a running fill missed.
    #[must_use]
    pub fn x_cache(self) -> Option<&'static str> {
        match self {
            Self::Hit => Some("HIT"),
            Self::Joined | Self::Miss | Self::Stale | Self::Uncached(_) | Self::Bypass => {
                Some("MISS")
            }
            Self::NotCached => Some("MISS"),
            Self::Pass | Self::Local | Self::Refused | Self::Failed | Self::Aborted => None,
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
        let mut member = structured_name(name);
        let mut add = |parameter: String| {
            member.push_str("; ");
            member.push_str(&parameter);
        };
        if let Some(forward) = self.forward()? {
            add(format!("fwd={forward}"));
            if let Some(status) = fwd_status {
                add(format!("fwd-status={status}"));
            }
        }
        if self == Self::Hit {
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

    /// RFC 9211 §2.2 `fwd`: `None` altogether where the cache had no part, inner `None` where nothing was forwarded.
    #[expect(
        clippy::option_option,
        reason = "no member and a member without fwd are two things"
    )]
    fn forward(self) -> Option<Option<&'static str>> {
        match self {
            Self::Hit | Self::NotCached => Some(None),
            Self::Joined | Self::Miss | Self::Failed => Some(Some("uri-miss")),
            Self::Stale => Some(Some("stale")),
            Self::Uncached(NotStored::Method) | Self::Pass => Some(Some("method")),
            Self::Uncached(_) => Some(Some("uri-miss")),
            Self::Bypass => Some(Some("bypass")),
            Self::Local | Self::Refused | Self::Aborted => None,
        }
    }

    /// RFC 9211 §2.8: a word from the same enums as the log.
    fn detail(self) -> Option<&'static str> {
        match self {
            Self::Uncached(reason) => Some(reason.as_str()),
            Self::Failed | Self::NotCached => Some(self.as_str()),
            Self::Hit | Self::Joined | Self::Miss | Self::Stale | Self::Bypass => None,
            Self::Pass | Self::Local | Self::Refused | Self::Aborted => None,
        }
    }

    /// The squid log's result code: `TCP_HIT`, `TCP_MISS`, `TCP_REFRESH_MODIFIED`, `TCP_DENIED`, …
    #[must_use]
    pub fn squid_code(self) -> &'static str {
        match self {
            Self::Hit => "TCP_HIT",
            Self::Joined => "TCP_CF_MISS",
            Self::Miss | Self::Uncached(_) | Self::Bypass | Self::Pass => "TCP_MISS",
            Self::Failed | Self::NotCached => "TCP_MISS",
            Self::Stale => "TCP_REFRESH_MODIFIED",
            Self::Local => "NONE",
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
