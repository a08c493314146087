//! `[[rule]]` as it reaches policies: each key in the effect that it names.

use super::{Settings, load_file};
use std::sync::Arc;
use weir_policies::effect::{Effect, MissMode, RangeMiss, StoreRule};
use weir_policies::freshness::{Adjust, Overrides};
use weir_policies::rules::ResponseFacts;
use weir_policies::target::{Form, Resource, Target};

fn resource(url: &str) -> Resource {
    let target = Target::parse(url).unwrap();
    Resource {
        form: Form::Forward,
        upstreams: vec![target.clone()],
        as_asked: url.to_owned(),
        target,
        cdn: false,
    }
}

fn effect(settings: &Settings, url: &str) -> Arc<Effect> {
    settings.rules.effect(&resource(url))
}

/// The effect of a rule with these keys.
fn effect_of(keys: &str) -> Arc<Effect> {
    let rule = "[[rule]]\nname = \"a\"\nhost = [\"h\"]\npath = [\"/f\"]\n";
    effect(&load_file(&format!("{rule}{keys}")).unwrap(), "http://h/f")
}

#[test]
fn a_rule_without_effects_is_the_standard_with_a_name() {
    let expected = Effect {
        rule: Some("a".to_owned()),
        ..Effect::default()
    };
    assert_eq!(*effect_of(""), expected);
}

#[test]
fn every_freshness_key_arrives() {
    let effect = effect_of(
        "ttl_default = \"1s\"\nttl_min = \"2s\"\nttl_max = \"3s\"\nstale_for = \"4s\"\n\
         negative_ttl = \"5s\"\nimmutable = true\nstore = \"always\"\n\
         override = [\"no-store\", \"set-cookie\"]\n",
    );
    let expected = Adjust {
        ttl_default: Some(1),
        ttl_min: Some(2),
        ttl_max: Some(3),
        stale_for: Some(4),
        immutable: true,
        cdn: false,
        overrides: Overrides {
            no_store: true,
            no_cache: false,
            private: false,
            set_cookie: true,
        },
    };
    assert_eq!(effect.adjust, expected);
    assert_eq!(effect.negative_ttl, 5);
    assert_eq!(effect.store, StoreRule::Standard);
    let others = effect_of("store = \"always\"\noverride = [\"no-cache\", \"private\"]\n");
    assert!(others.adjust.overrides.no_cache && others.adjust.overrides.private);
    assert!(!others.adjust.overrides.no_store && !others.adjust.overrides.set_cookie);
    assert_eq!(effect_of("store = \"never\"").store, StoreRule::Never);
}

#[test]
fn every_other_effect_arrives() {
    let effect = effect_of(
        "miss = \"redirect+fetch\"\nrange_miss = \"part\"\nfollow_redirects = false\npin = true\n\
         limit = \"1KiB\"\nfallback = [\"http://a/\", \"http://b/{file}\"]\n\
         verify = \"md5:000102030405060708090a0b0c0d0e0f\"\n\
         headers = { User-Agent = \"x y\", Authorization = \"hunter2\", Accept-Language = \"\" }\n",
    );
    assert_eq!(effect.miss, MissMode::RedirectAndFetch);
    assert_eq!(effect_of("miss = \"redirect\"").miss, MissMode::Redirect);
    assert_eq!(effect.range_miss, RangeMiss::Part);
    assert_eq!(effect.follow_redirects, Some(false));
    assert!(effect.pin);
    assert_eq!(effect.size_max, Some(1024));
    let missing = Target::parse("http://h/f").unwrap();
    let located = |index: usize| effect.fallback[index].target(&missing).unwrap().to_string();
    assert_eq!(
        (located(0), located(1)),
        ("http://a/f".to_owned(), "http://b/f".to_owned())
    );
    assert_eq!(effect.verify.md5.unwrap()[15], 15);
    assert_eq!(effect.verify.sha256, None);
    let field = |name: &str| {
        let mut fields = effect.headers.iter();
        fields.find(|(known, _)| known == name).unwrap().1.clone()
    };
    assert_eq!(field("user-agent").unwrap(), "x y");
    assert_eq!(field("accept-language"), None);
    assert!(
        !format!("{effect:?}").contains("hunter2"),
        "a token is not shown"
    );
}

#[test]
fn conditions_on_the_response_arrive() {
    let settings = load_file(
        "[[rule]]\nname = \"large-videos\"\nsize_min = \"1KiB\"\nsize_max = \"2KiB\"\n\
         media_type = [\"video/*\"]\nstore = \"never\"\n",
    )
    .unwrap();
    let check = |length, media_type, expected: bool| {
        let facts = ResponseFacts { length, media_type };
        let effect = settings
            .rules
            .effect_of_response(&resource("http://h/f"), &facts);
        assert_eq!(effect.rule.is_some(), expected, "{facts:?}");
    };
    check(Some(1024), Some("video/mp4"), true);
    check(Some(2048), Some("video/mp4"), true);
    check(Some(1023), Some("video/mp4"), false);
    check(Some(2049), Some("video/mp4"), false);
    check(Some(1024), Some("audio/mp4"), false);
    check(None, Some("video/mp4"), false);
    assert!(settings.rules.look_at_responses());
    assert!(!load_file("").unwrap().rules.look_at_responses());
}

#[test]
fn own_rules_stand_before_the_shipped_ones_which_can_be_switched_off() {
    let archive = "http://h/tool-1.0.tar.gz";
    let own = "[[rule]]\nname = \"mine\"\nhost = [\"h\"]\nversioned = true\n";
    let rule = |file: &str, url: &str| effect(&load_file(file).unwrap(), url).rule.clone();
    assert_eq!(rule("", archive).as_deref(), Some("archives"));
    assert_eq!(rule(own, archive).as_deref(), Some("mine"));
    assert_eq!(
        rule(own, "http://h/tool.tar.gz"),
        None,
        "it carries no version"
    );
    assert_eq!(rule("[rules]\ndefaults = false\n", archive), None);
    let same_name = "[rules]\ndefaults = false\n[[rule]]\nname = \"archives\"\n";
    assert_eq!(rule(same_name, "http://h/").as_deref(), Some("archives"));
}

#[test]
fn conditions_are_taken_in_the_ways_that_people_write_them() {
    let check = |condition: &str, url: &str| {
        let rule = format!("[[rule]]\nname = \"a\"\n{condition}\n");
        let settings = load_file(&rule).unwrap();
        let named = effect(&settings, url).rule.clone();
        assert_eq!(named.as_deref(), Some("a"), "{condition} {url}");
    };
    check("extension = [\".tar.gz\"]", "http://h/a-1.0.tar.gz");
    check("extension = [\"tar.gz\"]", "http://h/a-1.0.TAR.GZ");
    check("host = [\"2001:db8::1\"]", "http://[2001:db8::1]:8080/");
    check("host = [\"[2001:DB8::1]\"]", "http://[2001:db8::1]/");
    check("host = [\"*.{a,b}.example\"]", "http://x.b.example:81/");
    check("path = [\"**/x\"]", "http://h/y/x?q");
    check("path = [\"{/a,/b}/*\"]", "http://h/b/c");
}
