//! What to do with one request: the last pure step before anything moves.

use crate::cache_control::RequestDirectives;
use crate::freshness::Adjust;
use crate::hop;
use crate::rules::{Rules, StoreRule};
use crate::target::{Resource, Scheme};
use http::header::{AUTHORIZATION, COOKIE};
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
    let class = classify(method);
    match class {
        MethodClass::Refused => return Verdict::Refuse(Refusal::MethodNotAllowed),
        MethodClass::Unknown => return Verdict::Refuse(Refusal::MethodUnknown),
        MethodClass::Cached | MethodClass::Passed => {}
    }
    let scheme = resource.target.scheme();
    if scheme == Scheme::Ftp {
        return Verdict::Refuse(Refusal::SchemeNotServed(scheme));
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
        store: effect.store,
        adjust: effect.adjust,
        directives,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleSpec;
    use crate::target::{Form, Target};
    use http::header::HeaderName;

    fn resource(url: &str) -> Resource {
        let target = Target::parse(url).unwrap();
        let upstreams = vec![target.clone()];
        Resource {
            form: Form::Forward,
            upstreams,
            as_asked: url.to_owned(),
            target,
        }
    }

    fn judged(method: &str, url: &str, pairs: &[(&str, &str)], rules: &Rules) -> Verdict {
        let parse = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), value.parse().unwrap())
        };
        let headers: HeaderMap = pairs.iter().map(parse).collect();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        judge(&method, &headers, &resource(url), rules, "weir-1")
    }

    fn plain(method: &str) -> Verdict {
        judged(method, "http://h/", &[], &Rules::default())
    }

    #[test]
    fn rows_33_and_41_methods_are_known_refused_or_unknown() {
        for method in ["GET", "HEAD"] {
            assert!(
                matches!(plain(method), Verdict::Cache(Plan { shared: true, .. })),
                "{method}"
            );
        }
        for method in [
            "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "MKCOL",
        ] {
            assert_eq!(plain(method), Verdict::Pass, "{method}");
        }
        for method in ["TRACE", "CONNECT"] {
            assert_eq!(
                plain(method),
                Verdict::Refuse(Refusal::MethodNotAllowed),
                "{method}"
            );
        }
        for method in ["BREW", "get", "PRI"] {
            assert_eq!(
                plain(method),
                Verdict::Refuse(Refusal::MethodUnknown),
                "{method}"
            );
        }
        assert_eq!(Refusal::MethodNotAllowed.status(), 405);
        assert_eq!(Refusal::MethodUnknown.status(), 501);
    }

    #[test]
    fn ftp_is_not_served_yet() {
        let verdict = judged("GET", "ftp://h/", &[], &Rules::default());
        assert_eq!(
            verdict,
            Verdict::Refuse(Refusal::SchemeNotServed(Scheme::Ftp))
        );
    }

    #[test]
    fn rows_54_and_55_a_loop_is_refused_for_every_method() {
        for method in ["GET", "POST"] {
            for seen in [("via", "1.1 weir-1"), ("cdn-loop", "weir-1")] {
                let verdict = judged(method, "http://h/", &[seen], &Rules::default());
                assert_eq!(verdict, Verdict::Refuse(Refusal::Loop), "{method} {seen:?}");
            }
        }
        let other = judged(
            "POST",
            "http://h/",
            &[("via", "1.1 weir-2")],
            &Rules::default(),
        );
        assert_eq!(other, Verdict::Pass);
    }

    #[test]
    fn what_is_personal_is_not_shared() {
        let shared =
            |pairs: &[(&str, &str)]| match judged("GET", "http://h/", pairs, &Rules::default()) {
                Verdict::Cache(plan) => plan.shared,
                other => panic!("{other:?}"),
            };
        assert!(shared(&[
            ("cache-control", "no-cache"),
            ("range", "bytes=0-1")
        ]));
        assert!(!shared(&[("authorization", "Basic x")]));
        assert!(!shared(&[("cookie", "a=b")]));
        assert!(!shared(&[("cache-control", "no-store")]));
    }

    #[test]
    fn rules_and_directives_are_in_the_plan() {
        let adjust = Adjust {
            ttl_default: Some(5),
            ttl_max: None,
        };
        let rule = RuleSpec {
            name: "never".to_owned(),
            store: StoreRule::Never,
            adjust,
            ..RuleSpec::default()
        };
        let rules = Rules::compile(vec![rule]).unwrap();
        let verdict = judged(
            "HEAD",
            "http://h/",
            &[("cache-control", "max-age=7")],
            &rules,
        );
        let directives = RequestDirectives {
            max_age: Some(7),
            ..RequestDirectives::default()
        };
        let plan = Plan {
            shared: false,
            store: StoreRule::Never,
            adjust,
            directives,
        };
        assert_eq!(verdict, Verdict::Cache(plan));
    }
}
