//! Rows 33, 41, 54 and 55 of the hostile inputs, and what is shared.

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
    let shared = |pairs: &[(&str, &str)]| match judged("GET", "http://h/", pairs, &Rules::default())
    {
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
