//! Rows 33, 41, 54, 55 and 93 of the hostile inputs, what is shared, and what a plan holds.

use super::*;
use crate::effect::{Effect, MissMode, Overlay, StoreRule};
use crate::freshness::Adjust;
use crate::rules::{ResponseConditions, RuleSpec};
use crate::target::{Form, Target};
use http::header::HeaderName;
use std::borrow::Cow;

fn resource(url: &str) -> Resource {
    let target = Target::parse(url).unwrap();
    let upstreams = vec![target.clone()];
    Resource {
        form: Form::Forward,
        upstreams,
        as_asked: url.to_owned(),
        target,
        cdn: false,
    }
}

fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
    let parse = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), value.parse().unwrap())
    };
    pairs.iter().map(parse).collect()
}

fn judged(method: &str, url: &str, pairs: &[(&str, &str)]) -> Verdict {
    judged_of(method, url, pairs, PurgeRight::Denied)
}

fn judged_of(method: &str, url: &str, pairs: &[(&str, &str)], purging: PurgeRight) -> Verdict {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    judge(
        &method,
        &fields(pairs),
        &resource(url),
        &Arc::default(),
        "weir-1",
        purging,
    )
}

fn plain(method: &str) -> Verdict {
    judged(method, "http://h/", &[])
}

#[track_caller]
fn check_refused(verdict: &Verdict, expected: Refusal) {
    assert!(
        matches!(verdict, Verdict::Refuse(refusal) if *refusal == expected),
        "{verdict:?}"
    );
}

/// The plan for a GET of `http://h/` under these rules.
fn plan(specs: Vec<RuleSpec>, pairs: &[(&str, &str)]) -> Plan {
    plan_of(&resource("http://h/"), specs, pairs)
}

fn plan_of(resource: &Resource, specs: Vec<RuleSpec>, pairs: &[(&str, &str)]) -> Plan {
    let rules = Arc::new(Rules::compile(specs).unwrap());
    let denied = PurgeRight::Denied;
    match judge(
        &Method::GET,
        &fields(pairs),
        resource,
        &rules,
        "weir-1",
        denied,
    ) {
        Verdict::Cache(plan) => plan,
        other => panic!("{other:?}"),
    }
}

fn rule(effect: Effect) -> RuleSpec {
    RuleSpec {
        name: "rule".to_owned(),
        effect,
        ..RuleSpec::default()
    }
}

fn never() -> Effect {
    Effect {
        store: StoreRule::Never,
        ..Effect::default()
    }
}

fn immutable() -> Effect {
    let adjust = Adjust {
        immutable: true,
        ..Adjust::default()
    };
    Effect {
        adjust,
        ..Effect::default()
    }
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
        assert!(matches!(plain(method), Verdict::Pass), "{method}");
    }
    for method in ["TRACE", "CONNECT"] {
        check_refused(&plain(method), Refusal::MethodNotAllowed);
    }
    for method in ["BREW", "get", "PRI"] {
        check_refused(&plain(method), Refusal::MethodUnknown);
    }
    assert_eq!(Refusal::MethodNotAllowed.status(), 405);
    assert_eq!(Refusal::MethodUnknown.status(), 501);
}

#[test]
fn row_93_purge_is_for_those_who_may() {
    check_refused(&plain("PURGE"), Refusal::PurgeNotAllowed);
    assert_eq!(Refusal::PurgeNotAllowed.status(), 403);
    assert_eq!(Refusal::PurgeNotAllowed.as_str(), "purge-not-allowed");
    let granted = |method, url, pairs| judged_of(method, url, pairs, PurgeRight::Granted);
    let via = [("via", "1.1 weir-1")];
    for url in ["http://h/", "ftp://h/", "http://169.254.169.254/"] {
        assert!(
            matches!(granted("PURGE", url, &via), Verdict::Purge),
            "{url}"
        );
    }
    assert!(matches!(
        granted("GET", "http://h/", &[]),
        Verdict::Cache(_)
    ));
    assert!(matches!(granted("DELETE", "http://h/", &[]), Verdict::Pass));
    check_refused(&granted("purge", "http://h/", &[]), Refusal::MethodUnknown);
}

#[test]
fn ftp_is_not_served_yet() {
    let verdict = judged("GET", "ftp://h/", &[]);
    check_refused(&verdict, Refusal::SchemeNotServed(Scheme::Ftp));
}

#[test]
fn rows_54_and_55_a_loop_is_refused_for_every_method() {
    for method in ["GET", "POST"] {
        for seen in [("via", "1.1 weir-1"), ("cdn-loop", "weir-1")] {
            check_refused(&judged(method, "http://h/", &[seen]), Refusal::Loop);
        }
    }
    let other = judged("POST", "http://h/", &[("via", "1.1 weir-2")]);
    assert!(matches!(other, Verdict::Pass), "{other:?}");
}

#[test]
fn what_is_personal_is_not_shared() {
    let shared = |pairs: &[(&str, &str)]| plan(Vec::new(), pairs).shared;
    assert!(shared(&[
        ("cache-control", "no-cache"),
        ("range", "bytes=0-1")
    ]));
    assert!(!shared(&[("authorization", "Basic x")]));
    assert!(!shared(&[("x-jfrog-art-api", "key")]));
    assert!(!shared(&[("cookie", "a=b")]));
    assert!(!shared(&[("cache-control", "no-store")]));
}

#[test]
fn an_archive_is_shared_without_the_cookie() {
    let check = |pairs: &[(&str, &str)], shared: bool, drop_cookie: bool| {
        let plan = plan(vec![rule(immutable())], pairs);
        assert_eq!(
            (plan.shared, plan.drop_cookie),
            (shared, drop_cookie),
            "{pairs:?}"
        );
    };
    check(&[], true, false);
    check(&[("cookie", "a=b")], true, true);
    // Whoever says who they are gets what is theirs, cookie included.
    check(
        &[("cookie", "a=b"), ("authorization", "Basic x")],
        false,
        false,
    );
    check(&[("x-jfrog-art-api", "key")], false, false);
    check(
        &[("cookie", "a=b"), ("cache-control", "no-store")],
        false,
        false,
    );
}

#[test]
fn rules_and_directives_are_in_the_plan() {
    let adjust = Adjust {
        ttl_default: Some(5),
        ..Adjust::default()
    };
    let effect = Effect { adjust, ..never() };
    let plan = plan(vec![rule(effect)], &[("cache-control", "max-age=7")]);
    assert!(!plan.shared);
    assert_eq!(plan.effect.rule.as_deref(), Some("rule"));
    assert_eq!(plan.adjust, adjust);
    assert_eq!(plan.directives.max_age, Some(7));
    assert!(plan.rules.is_none(), "no rule needs the response");
}

#[test]
fn a_mirror_may_act_for_its_origin() {
    let mut resource = resource("http://h/");
    resource.cdn = true;
    assert!(plan_of(&resource, Vec::new(), &[]).adjust.cdn);
    resource.cdn = false;
    assert!(!plan_of(&resource, Vec::new(), &[]).adjust.cdn);
}

#[test]
fn only_archives_are_asked_for_unencoded() {
    let check = |url: &str, effect: Effect, expected: bool| {
        let plan = plan_of(&resource(url), vec![rule(effect)], &[]);
        assert_eq!(plan.identity_only, expected, "{url}");
    };
    check("http://h/a.tar.gz", immutable(), true);
    check("http://h/app.js", immutable(), false);
    check("http://h/a.tar.gz", Effect::default(), false);
}

#[test]
fn redirects_are_followed_as_form_and_rule_say() {
    let check = |form: Form, rule_says: Option<bool>, expected: bool| {
        let mut resource = resource("http://h/");
        resource.form = form;
        let effect = Effect {
            follow_redirects: rule_says,
            ..Effect::default()
        };
        let plan = plan_of(&resource, vec![rule(effect)], &[]);
        assert_eq!(plan.follows, expected, "{form:?} {rule_says:?}");
    };
    for (form, by_form) in [
        (Form::Forward, false),
        (Form::Mirror, false),
        (Form::Download, true),
        (Form::Path, true),
    ] {
        check(form, None, by_form);
        check(form, Some(true), true);
        check(form, Some(false), false);
    }
}

/// A rule for responses of at least 100 bytes.
fn large(effect: Effect) -> RuleSpec {
    let response = ResponseConditions {
        size_min: Some(100),
        ..ResponseConditions::default()
    };
    RuleSpec {
        response,
        name: "large".to_owned(),
        ..rule(effect)
    }
}

#[test]
fn a_response_refines_the_plan() {
    let asked = resource("http://h/");
    let (small, huge) = (
        fields(&[("content-length", "99")]),
        fields(&[("content-length", "100")]),
    );
    let plan = plan(vec![large(never()), rule(immutable())], &[]);
    assert!(plan.rules.is_some());
    assert!(matches!(plan.refined(&asked, &small), Cow::Borrowed(_)));
    let refined = plan.refined(&asked, &huge);
    assert_eq!(refined.effect.rule.as_deref(), Some("large"));
    assert!(plan.shared && !refined.shared);
    assert!(plan.adjust.immutable && !refined.adjust.immutable);
}

#[test]
fn a_response_never_gives_back_what_was_personal() {
    let asked = resource("http://h/");
    let huge = fields(&[("content-length", "100")]);
    for (rest, pairs) in [
        (never(), [].as_slice()),
        (Effect::default(), &[("cookie", "a=b")]),
        (immutable(), &[("authorization", "Basic x")]),
    ] {
        let plan = plan(vec![large(immutable()), rule(rest)], pairs);
        let refined = plan.refined(&asked, &huge);
        assert_eq!(refined.effect.rule.as_deref(), Some("large"));
        assert!(!refined.shared, "{pairs:?}");
    }
}

#[test]
fn without_rules_about_responses_nothing_is_copied() {
    let plan = plan(vec![rule(immutable())], &[]);
    let refined = plan.refined(
        &resource("http://h/"),
        &fields(&[("content-length", "100")]),
    );
    assert!(matches!(refined, Cow::Borrowed(_)));
}

#[test]
fn what_is_laid_over_a_plan_survives_its_refinement() {
    let asked = resource("http://h/");
    let (small, huge) = (
        fields(&[("content-length", "99")]),
        fields(&[("content-length", "100")]),
    );
    let overlay = Overlay {
        miss: Some(MissMode::RedirectAndFetch),
        size_max: Some(1000),
        ..Overlay::default()
    };
    let plan = plan(vec![large(immutable()), rule(Effect::default())], &[]).overlaid(overlay);
    let check = |plan: &Plan, rule: &str| {
        let effect = &plan.effect;
        assert_eq!(effect.rule.as_deref(), Some(rule));
        assert_eq!(effect.size_max, Some(1000));
        assert_eq!(effect.miss, MissMode::RedirectAndFetch);
        assert!(plan.shared);
    };
    check(&plan, "rule");
    let same = plan.refined(&asked, &small);
    assert!(matches!(same, Cow::Borrowed(_)));
    let refined = plan.refined(&asked, &huge).into_owned();
    check(&refined, "large");
    assert!(refined.adjust.immutable);
    // A second source may answer differently.
    check(&refined.refined(&asked, &small), "rule");
}

#[test]
fn what_an_overlay_forbids_no_response_allows() {
    let asked = resource("http://h/");
    let overlay = Overlay {
        store: StoreRule::Never,
        ..Overlay::default()
    };
    let plan = plan(vec![large(immutable())], &[]).overlaid(overlay);
    assert!(!plan.shared);
    let refined = plan.refined(&asked, &fields(&[("content-length", "100")]));
    assert_eq!(refined.effect.rule.as_deref(), Some("large"));
    assert_eq!(refined.effect.store, StoreRule::Never);
    assert!(!refined.shared);
}
