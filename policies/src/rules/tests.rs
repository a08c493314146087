//! Which rule speaks for which resource.

use super::*;
use crate::target::Target;

fn resource(form: Form, url: &str) -> Resource {
    let target = Target::parse(url).unwrap();
    Resource {
        form,
        upstreams: vec![target.clone()],
        as_asked: url.to_owned(),
        target,
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

#[test]
fn without_rules_the_standard_speaks() {
    let expected = Effect {
        rule: None,
        store: StoreRule::Standard,
        adjust: Adjust::default(),
    };
    assert_eq!(
        Rules::default().effect(&resource(Form::Path, "http://h/")),
        expected
    );
}

#[test]
fn the_first_match_wins() {
    let adjust = Adjust {
        ttl_default: Some(5),
        ttl_max: Some(9),
    };
    let first = RuleSpec {
        host: texts(&["a.example"]),
        adjust,
        ..spec("first")
    };
    let second = RuleSpec {
        store: StoreRule::Never,
        ..spec("second")
    };
    let rules = Rules::compile(vec![first, second]).unwrap();
    let effect = |url| rules.effect(&resource(Form::Forward, url));
    let expected = Effect {
        rule: Some("first"),
        store: StoreRule::Standard,
        adjust,
    };
    assert_eq!(effect("http://a.example/"), expected);
    assert_eq!(effect("http://b.example/").rule, Some("second"));
    assert_eq!(effect("http://b.example/").store, StoreRule::Never);
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
fn a_bad_rule_is_named() {
    let error = |specs| Rules::compile(specs).unwrap_err();
    assert_eq!(error(vec![spec("twice"), spec("twice")]).rule, "twice");
    let glob = RuleSpec {
        path: texts(&["[a"]),
        ..spec("glob")
    };
    assert_eq!(error(vec![spec("fine"), glob]).rule, "glob");
    let long = RuleSpec {
        host: vec!["a".repeat(GLOB_BYTES_MAX + 1)],
        ..spec("long")
    };
    assert!(error(vec![long]).to_string().contains("1024"));
    let many = RuleSpec {
        path: vec!["a".to_owned(); GLOBS_MAX + 1],
        ..spec("many")
    };
    assert_eq!(error(vec![many]).rule, "many");
}

#[test]
fn row_112_a_glob_made_to_backtrack_is_linear() {
    let rule = RuleSpec {
        path: vec![format!("/{}b", "*a".repeat(200))],
        ..spec("r")
    };
    assert!(!matches(&rule, &format!("http://h/{}", "a".repeat(10_000))));
}
