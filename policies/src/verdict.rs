//! What to do with one request: the last pure step before anything moves.

#[cfg(test)]
mod tests;

use crate::address::is_metadata_service;
use crate::cache_control::RequestDirectives;
use crate::effect::{Effect, StoreRule};
use crate::freshness::Adjust;
use crate::hop;
use crate::rules::Rules;
use crate::target::{Form, Resource, Scheme};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, Method};
use std::sync::Arc;

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
            Self::MetadataService => 403,
        }
    }
}

/// How a cacheable request is to be treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// May lead or join a shared fill: no Authorization, no Cookie, no request no-store, no rule against it.
    pub shared: bool,
    /// What the rules say.
    pub effect: Arc<Effect>,
    /// What rules and the mirror say of freshness.
    pub adjust: Adjust,
    /// Redirects are followed for the client.
    pub follows: bool,
    /// Cookies are not sent upstream: archives are the same for everybody.
    pub drop_cookie: bool,
    /// The origin is asked for the bytes as they are, without a content coding.
    pub identity_only: bool,
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
    let class = classify(method);
    match class {
        MethodClass::Refused => return Verdict::Refuse(Refusal::MethodNotAllowed),
        MethodClass::Unknown => return Verdict::Refuse(Refusal::MethodUnknown),
        MethodClass::Cached | MethodClass::Passed => {}
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
    Verdict::Cache(plan(headers, resource, rules))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MethodClass {
    Cached,
    Passed,
    Refused,
    Unknown,
}

fn classify(method: &Method) -> MethodClass {
    match method.as_str() {
        "GET" | "HEAD" => MethodClass::Cached,
        "TRACE" | "CONNECT" => MethodClass::Refused,
        "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH" => MethodClass::Passed,
        // RFC 4918, 3253, 3648, 5323, 5789, 4791: WebDAV and what Subversion needs of it.
        "PROPFIND" | "PROPPATCH" | "MKCOL" | "COPY" | "MOVE" | "LOCK" | "UNLOCK" | "SEARCH"
        | "REPORT" | "ACL" | "CHECKIN" | "CHECKOUT" | "UNCHECKOUT" | "MERGE" | "MKACTIVITY"
        | "MKWORKSPACE" | "UPDATE" | "LABEL" | "VERSION-CONTROL" | "BASELINE-CONTROL"
        | "ORDERPATCH" | "MKCALENDAR" => MethodClass::Passed,
        _ => MethodClass::Unknown,
    }
}

/// A body of GET or HEAD changes nothing here (RFC 9110 §9.3.1): it has no part in the key and is never sent upstream.
fn plan(headers: &HeaderMap, resource: &Resource, rules: &Rules) -> Plan {
    let directives = RequestDirectives::of(headers);
    let effect = rules.effect(resource);
    let personal = headers.contains_key(AUTHORIZATION) || headers.contains_key(COOKIE);
    Plan {
        shared: !personal && !directives.no_store && effect.store != StoreRule::Never,
        adjust: effect.adjust,
        follows: effect
            .follow_redirects
            .unwrap_or(matches!(resource.form, Form::Download | Form::Path)),
        drop_cookie: effect.adjust.immutable,
        identity_only: effect.adjust.immutable,
        effect,
        directives,
    }
}
