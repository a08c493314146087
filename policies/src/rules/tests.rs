//! Which rule speaks for which resource.

use super::glob::{GLOB_BYTES_MAX, GLOBS_MAX};
use super::*;
use crate::effect::StoreRule;
use crate::freshness::Adjust;
use crate::target::Target;

fn resource(form: Form, url: &str) -> Resource {
    let target = Target::parse(url).unwrap();
    Resource {
        form,
        upstreams: vec![target.clone()],
        as_asked: url.to_owned(),
        target,
        cdn: false,
    }
}

fn spec(name: &str) -> RuleSpec {
    RuleSpec {
        name: name.to_owned(),
        ..RuleSpec::default()
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// Whether a rule with these conditions speaks for the forward request of `url`.
fn matches(rule: &RuleSpec, url: &str) -> bool {
    let rules = Rules::compile(vec![rule.clone()]).unwrap();
    rules.effect(&resource(Form::Forward, url)).rule.is_some()
}

fn check(rule: &RuleSpec, matching: &[&str], others: &[&str]) {
    for url in matching {
        assert!(matches(rule, url), "{url}");
    }
    for url in others {
        assert!(!matches(rule, url), "{url}");
    }
}

fn effect(adjust: Adjust) -> Effect {
    Effect {
        adjust,
        ..Effect::default()
    }
}

fn fresh(seconds: u64) -> Effect {
    effect(Adjust {
        ttl_min: Some(seconds),
        ..Adjust::default()
    })
}

#[test]
fn without_rules_the_standard_speaks() {
    let rules = Rules::default();
    let standard = rules.effect(&resource(Form::Path, "http://h/"));
    assert_eq!(*standard, Effect::default());
    assert!(!rules.look_at_responses());
}

#[test]
fn the_first_match_wins() {
    let first = RuleSpec {
        host: texts(&["a.example"]),
        effect: fresh(5),
        ..spec("first")
    };
    let second = RuleSpec {
        effect: Effect {
            store: StoreRule::Never,
            ..Effect::default()
        },
        ..spec("second")
    };
    let rules = Rules::compile(vec![first, second]).unwrap();
    let effect = |url| rules.effect(&resource(Form::Forward, url));
    let expected = Effect {
        rule: Some("first".to_owned()),
        ..fresh(5)
    };
    assert_eq!(*effect("http://a.example/"), expected);
    assert_eq!(effect("http://b.example/").rule.as_deref(), Some("second"));
    assert_eq!(effect("http://b.example/").store, StoreRule::Never);
}

#[test]
fn a_rule_about_responses_waits_for_the_response() {
    let large = RuleSpec {
        response: ResponseConditions {
            size_min: Some(100),
            ..ResponseConditions::default()
        },
        effect: fresh(5),
        host: texts(&["h"]),
        ..spec("large")
    };
    let rules = Rules::compile(vec![large, spec("rest")]).unwrap();
    assert!(rules.look_at_responses());
    let asked = resource(Form::Forward, "http://h/");
    let elsewhere = resource(Form::Forward, "http://i/");
    let of = |length| ResponseFacts {
        length,
        media_type: None,
    };
    let waiting = |resource| rules.waiting(resource).collect::<Vec<_>>();
    assert_eq!(waiting(&asked), ["large"]);
    assert!(waiting(&elsewhere).is_empty());
    let name = |effect: Arc<Effect>| effect.rule.clone().unwrap();
    assert_eq!(name(rules.effect(&asked)), "rest");
    for (resource, length, expected) in [
        (&asked, Some(100), "large"),
        (&asked, Some(99), "rest"),
        (&asked, None, "rest"),
        (&elsewhere, Some(100), "rest"),
    ] {
        let effect = rules.effect_of_response(resource, &of(length));
        assert_eq!(name(effect), expected, "{length:?} {}", resource.target);
    }
}

#[test]
fn host_globs_span_labels_and_ignore_case() {
    let rule = RuleSpec {
        host: texts(&["*.Debian.org", "h"]),
        ..spec("r")
    };
    check(
        &rule,
        &[
            "http://deb.debian.org/",
            "http://a.b.debian.org/",
            "http://H/",
        ],
        &[
            "http://debian.org/",
            "http://xdebian.org/",
            "http://debian.org.evil/",
        ],
    );
}

#[test]
fn path_globs_know_slashes_and_see_no_query() {
    let rule = RuleSpec {
        path: texts(&["**/dists/**", "/pool/*.deb"]),
        ..spec("r")
    };
    check(
        &rule,
        &[
            "http://h/debian/dists/x/Release",
            "http://h/dists/x",
            "http://h/pool/a.deb?q",
        ],
        &[
            "http://h/pool/a/b.deb",
            "http://h/x?/dists/y",
            "http://h/distsx/y",
        ],
    );
}

#[test]
fn extensions_may_be_compound_and_ignore_case() {
    let rule = RuleSpec {
        extension: texts(&["tar.gz", "deb"]),
        ..spec("r")
    };
    check(
        &rule,
        &[
            "http://h/a.tar.gz",
            "http://h/a.DEB",
            "http://h/b/a.1.deb?x",
        ],
        &[
            "http://h/a.gz",
            "http://h/.deb",
            "http://h/deb",
            "http://h/a.deb/b",
            "http://h/?a.deb",
        ],
    );
}

#[test]
fn all_conditions_must_hold() {
    let rule = RuleSpec {
        form: vec![Form::Download],
        scheme: vec![Scheme::Https],
        host: texts(&["h"]),
        ..spec("r")
    };
    let rules = Rules::compile(vec![rule]).unwrap();
    let speaks = |form, url| rules.effect(&resource(form, url)).rule.is_some();
    assert!(speaks(Form::Download, "https://h/"));
    assert!(!speaks(Form::Path, "https://h/"));
    assert!(!speaks(Form::Download, "http://h/"));
    assert!(!speaks(Form::Download, "https://i/"));
}

#[test]
fn versions_are_a_condition() {
    let rule = RuleSpec {
        versioned: true,
        ..spec("r")
    };
    check(
        &rule,
        &["http://h/a-1.tgz"],
        &["http://h/1/a.tgz", "http://h/a.tgz?1"],
    );
}

#[test]
fn every_bad_rule_is_named_with_its_key() {
    let glob = RuleSpec {
        path: texts(&["fine", "[a"]),
        ..spec("glob")
    };
    let long = RuleSpec {
        host: vec!["a".repeat(GLOB_BYTES_MAX + 1)],
        ..spec("long")
    };
    let many = RuleSpec {
        path: vec!["a".to_owned(); GLOBS_MAX + 1],
        ..spec("many")
    };
    let errors = Rules::compile(vec![spec("twice"), spec("twice"), glob, long, many]).unwrap_err();
    let named: Vec<(usize, &str, &str)> = errors
        .iter()
        .map(|error| (error.index, error.rule.as_str(), error.key))
        .collect();
    assert_eq!(
        named,
        [
            (1, "twice", "name"),
            (2, "glob", "path"),
            (3, "long", "host"),
            (4, "many", "path")
        ]
    );
    assert_eq!(errors[1].value, "[a");
    assert!(errors[2].to_string().contains("1024"));
}

#[test]
fn the_number_of_rules_is_bounded() {
    let rules = |count: usize| (0..count).map(|number| spec(&number.to_string())).collect();
    assert!(Rules::compile(rules(RULES_MAX)).is_ok());
    let errors = Rules::compile(rules(RULES_MAX + 5)).unwrap_err();
    assert_eq!(errors.len(), 1, "one message, not one for each");
    assert_eq!(errors[0].index, RULES_MAX);
}

#[test]
fn row_112_a_glob_made_to_backtrack_is_linear() {
    let rule = RuleSpec {
        path: vec![format!("/{}b", "*a".repeat(200))],
        ..spec("r")
    };
    assert!(!matches(&rule, &format!("http://h/{}", "a".repeat(10_000))));
}
