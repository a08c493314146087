//! What to do with one request: the last pure step before anything moves.

use crate::cache_control::RequestDirectives;
use crate::freshness::Adjust;
use crate::rules::{Rules, StoreRule};
use crate::target::{Resource, Scheme};
use http::{HeaderMap, Method};

/// The verdict. Tunnel and Redirect come with their features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Answer with an error page.
    Refuse(Refusal),
    /// Hand the request through without the cache.
    Pass,
    /// Look it up, fill on a miss.
    Cache(Plan),
}

/// Why a request is refused. Each maps to one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// 501: ftp, for now.
    SchemeNotServed(Scheme),
    /// 405: TRACE, CONNECT (for now).
    MethodNotAllowed,
    /// 501: a method Weir does not know.
    MethodUnknown,
    /// 508: Via or CDN-Loop names this node.
    Loop,
}

impl Refusal {
    /// The word for log and metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SchemeNotServed(_) => "scheme",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::MethodUnknown => "method-unknown",
            Self::Loop => "loop",
        }
    }

    /// The status of the error page.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::SchemeNotServed(_) | Self::MethodUnknown => 501,
            Self::MethodNotAllowed => 405,
            Self::Loop => 508,
        }
    }
}

/// How a cacheable request is to be treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// May lead or join a shared fill: no Authorization, no Cookie, no request no-store, no rule against it.
    pub shared: bool,
    /// What a rule says of storing.
    pub store: StoreRule,
    /// What a rule says of freshness.
    pub adjust: Adjust,
    /// The request's own directives.
    pub directives: RequestDirectives,
}

/// Judges a request. `node` is the name in Via. Known methods: GET HEAD POST PUT DELETE OPTIONS PATCH and WebDAV's.
#[must_use]
pub fn judge(
    method: &Method,
    headers: &HeaderMap,
    resource: &Resource,
    rules: &Rules,
    node: &str,
) -> Verdict {
    let _ = (method, headers, resource, rules, node);
    unimplemented!()
}
