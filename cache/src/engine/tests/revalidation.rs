//! Stale objects: asked about on a condition, served meanwhile, served instead of an error, marked by others.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, outcome, read, request};
use crate::engine::Answer;
use crate::engine::FetchRequest;
use http::{HeaderMap, Method, StatusCode};
use weir_policies::outcome::Outcome;
use weir_policies::target::Target;

fn tagged(body: &'static str) -> Script {
    Script::body(body).header("etag", "\"1\"")
}

fn whole(body: &str) -> Got {
    Got::Whole(body.as_bytes().to_vec())
}

/// A world with one object stored that is stale by now.
async fn with_stale(script: Script) -> World {
    let world = World::new().await;
    world.script(URL, script);
    world.get(URL).await;
    world.settle().await;
    world.later(61);
    world
}

#[tokio::test]
async fn a_stale_object_that_still_holds_is_not_fetched_again() {
    let world = with_stale(tagged("text")).await;
    world.script(URL, tagged("text").header("cache-control", "max-age=100"));
    assert_eq!(
        world.get(URL).await,
        (whole("text"), Some(Outcome::Revalidated))
    );
    let asked = world.origin.asked(URL);
    assert_eq!((asked.gets, asked.conditional), (2, 1));
    world.settle().await;
    world.later(99);
    let Answer::Stored { age, ttl, .. } = world.fetch(URL, &[]).await else {
        panic!("not stored")
    };
    assert_eq!(
        (age, ttl),
        (99, 1),
        "the lifetime is the one the 304 brought"
    );
}

#[tokio::test]
async fn a_304_survives_a_restart() {
    let world = with_stale(tagged("text")).await;
    world.get(URL).await;
    world.settle().await;
    world.engine.close(std::time::Duration::ZERO).await;
    world.store().close(std::time::Duration::from_secs(5)).await;
    let reopened = World::on(
        world.device.clone(),
        world.clock.clone(),
        world.origin.clone(),
        super::engine_settings(),
    )
    .await;
    assert_eq!(reopened.get(URL).await, (whole("text"), Some(Outcome::Hit)));
}

#[tokio::test]
async fn a_crowd_on_a_stale_object_causes_one_conditional_request() {
    let world = with_stale(tagged("text")).await;
    let answers = futures::future::join_all((0..100).map(|_| world.get(URL))).await;
    for (got, outcome) in answers {
        assert_eq!(got, whole("text"));
        assert!(
            matches!(outcome, Some(Outcome::Revalidated | Outcome::Hit)),
            "{outcome:?}"
        );
    }
    assert_eq!(world.origin.asked(URL).gets, 2);
}

#[tokio::test]
async fn a_crowd_on_no_cache_shares_each_validation() {
    let world = World::new().await;
    world.script(URL, tagged("text").header("cache-control", "no-cache"));
    world.get(URL).await;
    world.settle().await;
    let answers = futures::future::join_all((0..100).map(|_| world.get(URL))).await;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == (whole("text"), Some(Outcome::Revalidated))),
        "{answers:?}"
    );
    let asked = world.origin.asked(URL);
    assert_eq!((asked.gets, asked.conditional), (2, 1));
}

#[tokio::test]
async fn a_changed_object_replaces_the_stale_one() {
    let world = with_stale(tagged("old")).await;
    world.script(URL, Script::body("new").header("etag", "\"2\""));
    assert_eq!(world.get(URL).await, (whole("new"), Some(Outcome::Stale)));
    world.settle().await;
    assert_eq!(world.get(URL).await, (whole("new"), Some(Outcome::Hit)));
    assert_eq!(world.origin.asked(URL).conditional, 1);
}

#[tokio::test]
async fn row_87_a_304_without_a_condition_is_a_protocol_error() {
    let world = World::new().await;
    world.script(URL, tagged("text").status(304));
    let (got, _) = world.get(URL).await;
    assert!(matches!(got, Got::Failed(error) if error.status() == 502));
    let head = request(Method::HEAD, URL, &[]);
    world.later(2);
    let answer = world.engine.fetch(&head).await;
    assert!(matches!(read(answer).await, Got::Failed(_)), "HEAD as well");
}

#[tokio::test]
async fn a_304_with_another_strong_tag_drops_what_is_stored_and_asks_again() {
    let world = with_stale(tagged("old")).await;
    // A cache behind it mixes up two versions.
    let lying = tagged("").status(304).header("etag", "\"2\"");
    world.script(URL, lying);
    let (got, _) = world.get(URL).await;
    // Asked again without a condition, it says the same: nothing to serve, the old bytes least of all.
    assert!(matches!(got, Got::Failed(_)), "{got:?}");
    assert_eq!(world.origin.asked(URL).gets, 3);
    world.later(2);
    world.script(URL, Script::body("new").header("etag", "\"2\""));
    assert_eq!(world.get(URL).await.0, whole("new"));
}

#[tokio::test]
async fn stale_is_served_while_it_is_revalidated_within_the_window() {
    let script = tagged("old").header("cache-control", "max-age=60, stale-while-revalidate=30");
    let world = with_stale(script.clone()).await;
    let newer = Script::body("new").header("etag", "\"2\"");
    let (newer, gate) = newer.gated();
    world.script(URL, newer);
    for _ in 0..5 {
        let got = world.get(URL).await;
        assert_eq!(got, (whole("old"), Some(Outcome::StaleWhileRevalidate)));
    }
    gate.add_permits(10);
    world.settle().await;
    assert_eq!(world.get(URL).await, (whole("new"), Some(Outcome::Hit)));
    assert_eq!(
        world.origin.asked(URL).gets,
        2,
        "one fetch behind all of them"
    );

    let world = with_stale(script).await;
    world.later(40);
    world.script(URL, Script::body("new").header("etag", "\"2\""));
    assert_eq!(
        world.get(URL).await,
        (whole("new"), Some(Outcome::Stale)),
        "past the window"
    );
}

#[tokio::test]
async fn stale_stands_in_for_a_failing_origin_and_is_refreshed_when_it_is_back() {
    let stale_if_error =
        |body| tagged(body).header("cache-control", "max-age=60, stale-if-error=600");
    let failures = [
        Script {
            unreachable: true,
            ..tagged("")
        },
        Script::error(500),
        Script::error(503),
        Script::error(504).header("cache-control", "private"),
    ];
    for failure in failures {
        let world = with_stale(stale_if_error("old")).await;
        world.script(URL, failure.clone());
        for _ in 0..3 {
            let got = world.get(URL).await;
            assert_eq!(
                got,
                (whole("old"), Some(Outcome::StaleIfError)),
                "{failure:?}"
            );
        }
        assert_eq!(world.origin.asked(URL).gets, 2, "held down");
        world.later(31);
        world.script(URL, Script::body("new"));
        assert_eq!(world.get(URL).await.0, whole("new"));
    }
}

#[tokio::test]
async fn must_revalidate_forbids_to_stand_in() {
    for forbids in [
        "must-revalidate",
        "proxy-revalidate",
        "s-maxage=60",
        "no-cache",
    ] {
        let control =
            format!("max-age=60, stale-if-error=600, stale-while-revalidate=600, {forbids}");
        let world = with_stale(tagged("old").header("cache-control", &control)).await;
        world.script(URL, Script::error(503));
        assert_eq!(world.get(URL).await.0, Got::Status(503), "{forbids}");
    }
}

#[tokio::test]
async fn an_absent_object_is_no_failure_to_stand_in_for() {
    let world =
        with_stale(tagged("old").header("cache-control", "max-age=60, stale-if-error=600")).await;
    world.script(URL, Script::error(404));
    assert_eq!(world.get(URL).await.0, Got::Status(404));
}

#[tokio::test]
async fn a_rule_gives_a_stale_object_time_where_the_origin_says_nothing() {
    let world = with_stale(tagged("old")).await;
    world.script(URL, Script::error(500));
    let got = world
        .get_as(URL, |request| request.plan.adjust.stale_for = Some(60))
        .await;
    assert_eq!(got, (whole("old"), Some(Outcome::StaleIfError)));
    assert_eq!(world.get(URL).await.0, Got::Status(500), "and nobody else");
}

#[tokio::test]
async fn row_91_an_unsafe_request_makes_the_stored_response_be_asked_about() {
    let world = World::new().await;
    world.script(URL, tagged("old"));
    world.get(URL).await;
    world.settle().await;
    let target = Target::parse(URL).expect("a URL");
    let other = Target::parse("http://other.test/x").expect("a URL");
    let none = HeaderMap::new();
    for (method, url, status) in [
        (Method::POST, &other, StatusCode::OK),
        (Method::GET, &target, StatusCode::OK),
        (Method::PUT, &target, StatusCode::FORBIDDEN),
    ] {
        world
            .engine
            .answered_unsafe(&method, url, status, &none)
            .await;
        assert_eq!(
            world.get(URL).await.1,
            Some(Outcome::Hit),
            "{method} {url} {status}"
        );
    }
    world
        .engine
        .answered_unsafe(&Method::PUT, &target, StatusCode::NO_CONTENT, &none)
        .await;
    world.script(URL, Script::body("new").header("etag", "\"2\""));
    assert_eq!(world.get(URL).await, (whole("new"), Some(Outcome::Stale)));
    world.settle().await;
    assert_eq!(world.get(URL).await, (whole("new"), Some(Outcome::Hit)));
}

#[tokio::test]
async fn a_fill_that_a_change_overtakes_is_asked_about_before_it_is_used() {
    let world = World::new().await;
    let (script, gate) = tagged("old").gated();
    world.script(URL, script);
    let answer = world.fetch(URL, &[]).await;
    let target = Target::parse(URL).expect("a URL");
    world.engine.invalidate(&target).await;
    gate.add_permits(10);
    assert_eq!(
        read(answer).await,
        whole("old"),
        "who asked before the change"
    );
    world.settle().await;
    world.script(URL, Script::body("new").header("etag", "\"2\""));
    assert_eq!(world.get(URL).await.0, whole("new"));
}

#[tokio::test]
async fn row_92_head_freshens_what_is_stored_or_tells_that_it_is_old() {
    let head = request(Method::HEAD, URL, &[]);
    let world = with_stale(tagged("text")).await;
    assert_eq!(
        outcome(&world.engine.fetch(&head).await).map(Outcome::as_str),
        Some("uncached")
    );
    assert_eq!(
        world.get(URL).await,
        (whole("text"), Some(Outcome::Hit)),
        "freshened"
    );

    let world = with_stale(tagged("text").header("content-length", "4")).await;
    world.script(
        URL,
        Script::body("longer")
            .header("content-length", "6")
            .header("etag", "\"2\""),
    );
    world.engine.fetch(&head).await;
    assert_eq!(
        world.get(URL).await,
        (whole("longer"), Some(Outcome::Stale))
    );
}

/// As a rule with `negative_ttl = "30s"`.
fn with_ttl(request: &mut FetchRequest) {
    let mut effect = (*request.plan.effect).clone();
    effect.negative_ttl = 30;
    request.plan.effect = effect.into();
}

#[tokio::test]
async fn a_404_is_remembered_as_long_as_its_rule_says() {
    let world = World::new().await;
    world.script(URL, Script::error(404));
    for _ in 0..3 {
        assert_eq!(world.get_as(URL, with_ttl).await.0, Got::Status(404));
        world.later(10);
    }
    assert_eq!(world.origin.asked(URL).gets, 1);
    world.later(1);
    world.script(URL, tagged("here now"));
    assert_eq!(world.get_as(URL, with_ttl).await.0, whole("here now"));
}

#[tokio::test]
async fn a_304_that_makes_it_private_is_for_the_one_who_asked() {
    for control in ["private, max-age=1000", "no-store, max-age=1000"] {
        let world = with_stale(tagged("text")).await;
        world.script(URL, tagged("text").header("cache-control", control));
        for _ in 0..3 {
            let (got, outcome) = world.get(URL).await;
            assert_eq!(got, whole("text"));
            assert_ne!(outcome, Some(Outcome::Hit), "{control}");
            world.settle().await;
        }
        assert_eq!(world.origin.asked(URL).gets, 4, "{control}");
    }
}

#[tokio::test]
async fn an_older_variant_does_not_answer_once_a_newer_response_has_expired() {
    let world = World::new().await;
    world.script(URL, tagged("old").header("cache-control", "max-age=1000"));
    world.get(URL).await;
    world.settle().await;
    world.later(1);
    let newer = Script::body("new").header("cache-control", "max-age=1");
    world.script(URL, newer.header("vary", "accept").header("etag", "\"2\""));
    read(world.fetch(URL, &[("cache-control", "no-cache")]).await).await;
    world.settle().await;
    world.later(5);
    assert_eq!(world.get(URL).await.0, whole("new"));
}

#[tokio::test]
async fn who_insists_is_not_told_of_an_absence_that_is_long_ago() {
    let world = World::new().await;
    world.script(URL, Script::error(404));
    world.get_as(URL, with_ttl).await;
    world.script(URL, tagged("here now"));
    world.later(5);
    assert_eq!(world.get_as(URL, with_ttl).await.0, Got::Status(404));
    let insisting = |request: &mut crate::engine::FetchRequest| {
        with_ttl(request);
        request.plan.directives.no_cache = true;
    };
    assert_eq!(world.get_as(URL, insisting).await.0, whole("here now"));
}

#[tokio::test]
async fn a_failure_that_odd_fields_provoked_is_not_held_against_others() {
    let world = World::new().await;
    world.script(URL, Script::error(404));
    let odd = world.fetch(URL, &[("x-evil", "1")]).await;
    assert_eq!(read(odd).await, Got::Status(404));
    world.script(URL, tagged("text"));
    assert_eq!(world.get(URL).await.0, whole("text"));
}
