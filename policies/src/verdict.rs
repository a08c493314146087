//! What to do with one request: the last pure step before anything moves.
//!
//! Reading order: [`Verdict`] → [`judge`] → [`Plan`] (how a request for the cache is to be treated).

mod plan;
#[cfg(test)]
mod tests;

pub use plan::Plan;

use crate::address::is_metadata_service;
use crate::hop;
use crate::rules::Rules;
use crate::target::{Resource, Scheme};
use http::{HeaderMap, Method};
use std::sync::Arc;

/// The verdict. Tunnels are judged by [`crate::tunnel`].
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Answer with an error page.
    Refuse(Refusal),
    /// Hand the request through without the cache.
    Pass,
    /// Look it up, fill on a miss.
    Cache(Plan),
    /// Remove what is stored for it. Never forwarded.
    Purge,
}

/// Whether a client may remove what is stored: what is stored is everybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PurgeRight {
    /// It may.
    Granted,
    /// It may not.
    Denied,
}

/// Why a request is refused. Each maps to one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// 501: ftp, for now.
    SchemeNotServed(Scheme),
    /// 405: TRACE. CONNECT never comes here: it asks for no resource (see `tunnel`).
    MethodNotAllowed,
    /// 501: a method Weir does not know.
    MethodUnknown,
    /// 403: PURGE by a client that may not.
    PurgeNotAllowed,
    /// 508: Via or CDN-Loop names this node.
    Loop,
    /// 403: the name of a cloud's metadata service, whatever it resolves to.
    MetadataService,
}

impl Refusal {
    /// The word for log and metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SchemeNotServed(_) => "scheme",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::MethodUnknown => "method-unknown",
            Self::PurgeNotAllowed => "purge-not-allowed",
            Self::Loop => "loop",
            Self::MetadataService => "metadata-service",
        }
    }

    /// The status of the error page.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::SchemeNotServed(_) | Self::MethodUnknown => 501,
            Self::MethodNotAllowed => 405,
            Self::Loop => 508,
            Self::MetadataService | Self::PurgeNotAllowed => 403,
        }
    }
}

/// Judges a request. `node` is the name in Via, `purging` what its client may. Known methods: GET HEAD POST PUT DELETE OPTIONS PATCH and WebDAV's.
#[must_use]
pub fn judge(
    method: &Method,
    headers: &HeaderMap,
    resource: &Resource,
    rules: &Arc<Rules>,
    node: &str,
    purging: PurgeRight,
) -> Verdict {
    let class = classify(method);
    match (class, purging) {
        (MethodClass::Refused(refusal), _) => return Verdict::Refuse(refusal),
        (MethodClass::Purge, PurgeRight::Denied) => {
            return Verdict::Refuse(Refusal::PurgeNotAllowed);
        }
        // It goes nowhere: whether its upstreams may be asked is no question.
        (MethodClass::Purge, PurgeRight::Granted) => return Verdict::Purge,
        (MethodClass::Cached | MethodClass::Passed, _) => {}
    }
    // Where the bytes come from counts; `target` may be no more than a mirror's lasting name.
    for upstream in &resource.upstreams {
        if upstream.scheme() == Scheme::Ftp {
            return Verdict::Refuse(Refusal::SchemeNotServed(Scheme::Ftp));
        }
        if is_metadata_service(upstream.host()) {
            return Verdict::Refuse(Refusal::MetadataService);
        }
    }
    if hop::has_looped(headers, node) {
        return Verdict::Refuse(Refusal::Loop);
    }
    if class == MethodClass::Passed {
        return Verdict::Pass;
    }
    Verdict::Cache(Plan::of(headers, resource, rules))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MethodClass {
    Cached,
    Passed,
    Purge,
    Refused(Refusal),
}

fn classify(method: &Method) -> MethodClass {
    match method.as_str() {
        "GET" | "HEAD" => MethodClass::Cached,
        "TRACE" | "CONNECT" => MethodClass::Refused(Refusal::MethodNotAllowed),
        "PURGE" => MethodClass::Purge,
        "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH" => MethodClass::Passed,
        // RFC 4918, 3253, 3648, 5323, 5789, 4791: WebDAV and what Subversion needs of it.
        "PROPFIND" | "PROPPATCH" | "MKCOL" | "COPY" | "MOVE" | "LOCK" | "UNLOCK" | "SEARCH"
        | "REPORT" | "ACL" | "CHECKIN" | "CHECKOUT" | "UNCHECKOUT" | "MERGE" | "MKACTIVITY"
        | "MKWORKSPACE" | "UPDATE" | "LABEL" | "VERSION-CONTROL" | "BASELINE-CONTROL"
        | "ORDERPATCH" | "MKCALENDAR" => MethodClass::Passed,
        _ => MethodClass::Refused(Refusal::MethodUnknown),
    }
}
