//! Several sources: failover, fallbacks, origins that are left alone, digests and limits.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, content};
use crate::engine::FetchRequest;
use sha2::{Digest, Sha256};
use weir_policies::effect::{Effect, ExpectedDigests};
use weir_policies::fallback::Fallback;
use weir_policies::outcome::Outcome;
use weir_policies::target::Target;

const SECOND: &str = "http://second.test/file-1.0.tar.gz";

fn with_effect(change: impl FnOnce(&mut Effect)) -> impl FnOnce(&mut FetchRequest) {
    |request| {
        let mut effect = (*request.plan.effect).clone();
        change(&mut effect);
        request.plan.effect = effect.into();
    }
}

fn with_second(request: &mut FetchRequest) {
    request
        .resource
        .upstreams
        .push(Target::parse(SECOND).expect("a URL"));
}

fn whole(body: &str) -> Got {
    Got::Whole(body.as_bytes().to_vec())
}

#[tokio::test]
async fn the_next_upstream_is_asked_after_a_failure_or_a_404() {
    let failures = [
        Script {
            unreachable: true,
            ..Script::body("")
        },
        Script::error(500),
        Script::error(404),
        Script::error(410),
        Script::error(429),
    ];
    for failure in failures {
        let world = World::new().await;
        world.script(URL, failure.clone());
        world.script(SECOND, Script::body("text"));
        assert_eq!(
            world.get_as(URL, with_second).await,
            (whole("text"), Some(Outcome::Miss)),
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn when_no_source_has_it_the_definite_answer_counts() {
    let world = World::new().await;
    world.script(URL, Script::error(404));
    world.script(SECOND, Script::error(500));
    assert_eq!(world.get_as(URL, with_second).await.0, Got::Status(404));
}

#[tokio::test]
async fn cp_23_a_fallback_is_asked_when_the_upstream_does_not_have_it() {
    for (status, unreachable) in [(404, false), (410, false), (500, false), (200, true)] {
        let world = World::new().await;
        let gone = Script {
            unreachable,
            ..Script::error(status)
        };
        world.script(URL, gone);
        world.script(
            "http://archive.test/all/file-1.0.tar.gz",
            Script::body("text"),
        );
        let fallback = || Fallback::parse("http://archive.test/all/").expect("a base");
        let got = world
            .get_as(
                URL,
                with_effect(|effect| effect.fallback = vec![fallback()]),
            )
            .await;
        assert_eq!(got, (whole("text"), Some(Outcome::Miss)), "{status}");
        world.settle().await;
        assert_eq!(
            world.get(URL).await,
            (whole("text"), Some(Outcome::Hit)),
            "under its own URL"
        );
    }
}

#[tokio::test]
async fn row_139_an_origin_that_asks_to_wait_is_left_alone_for_so_long() {
    for status in [429, 503] {
        let world = World::new().await;
        let busy = Script::error(status).header("retry-after", "20");
        world.script(URL, busy);
        let other = "http://origin.test/other";
        world.script(other, Script::body("text"));
        assert_eq!(world.get(URL).await.0, Got::Status(status));
        let (got, _) = world.get(other).await;
        assert!(
            matches!(&got, Got::Failed(error) if error.status() == 503 && error.as_str() == "suspended"),
            "{got:?}"
        );
        assert_eq!(world.origin.asked(other).gets, 0);
        world.later(21);
        assert_eq!(world.get(other).await.0, whole("text"));
    }
}

#[tokio::test]
async fn an_origin_that_keeps_failing_is_left_alone_and_tried_again_later() {
    let world = World::new().await;
    let url = |number: usize| format!("http://origin.test/{number}");
    for number in 0..20 {
        world.get(&url(number)).await;
    }
    let asked: usize = (0..20)
        .map(|number| world.origin.asked(&url(number)).gets)
        .sum();
    assert_eq!(
        asked, 5,
        "nothing is listening there: it has had its five chances"
    );
    world.later(60);
    world.script(URL, Script::body("well again"));
    assert_eq!(world.get(URL).await.0, whole("well again"));
}

#[tokio::test]
async fn row_96_a_body_with_another_digest_is_never_completed_and_never_stored() {
    for length in [10, 300_000] {
        let world = World::new().await;
        let body = content(1, length);
        world.script(URL, Script::body(body.clone()));
        let right: [u8; 32] = Sha256::digest(&body).into();
        let expecting = |sha256| {
            with_effect(move |effect| {
                effect.verify = ExpectedDigests {
                    sha256: Some(sha256),
                    md5: None,
                };
            })
        };
        let (got, _) = world.get_as(URL, expecting([7; 32])).await;
        assert!(matches!(&got, Got::Cut(_)), "{length}");
        world.settle().await;
        assert_eq!(world.engine.stats().digest_mismatches.get(), 1);
        assert_eq!(
            world.get_as(URL, expecting(right)).await,
            (Got::Whole(body.clone()), Some(Outcome::Miss))
        );
        world.settle().await;
        assert_eq!(world.get(URL).await, (Got::Whole(body), Some(Outcome::Hit)));
    }
}

#[tokio::test]
async fn an_object_above_its_limit_is_refused() {
    for chunked in [false, true] {
        let world = World::new().await;
        let body = content(2, 300_000);
        world.script(
            URL,
            Script {
                chunked,
                ..Script::body(body.clone())
            },
        );
        let (got, _) = world
            .get_as(URL, with_effect(|effect| effect.size_max = Some(100_000)))
            .await;
        if chunked {
            assert!(matches!(got, Got::Cut(_)));
        } else {
            assert!(matches!(&got, Got::Failed(error) if error.as_str() == "too-large"));
            assert_eq!(
                world.get(URL).await.0,
                Got::Whole(body.clone()),
                "no limit of others"
            );
        }
        world.settle().await;
        world.later(2);
        assert_eq!(
            world
                .get_as(URL, with_effect(|effect| effect.size_max = Some(300_000)))
                .await
                .0,
            Got::Whole(body)
        );
    }
}

#[tokio::test]
async fn row_96_no_way_around_an_expected_digest() {
    let body = content(3, 300_000);
    let expecting_another = |request: &mut FetchRequest| {
        let mut effect = (*request.plan.effect).clone();
        effect.verify.sha256 = Some([7; 32]);
        request.plan.effect = effect.into();
    };
    let ways: [(&[(&'static str, &str)], &str); 5] = [
        (&[("authorization", "Basic eDp5")], "max-age=60"),
        (&[("cookie", "a=b")], "max-age=60"),
        (&[("cache-control", "no-store")], "max-age=60"),
        (&[("range", "bytes=0-99")], "max-age=60"),
        (&[], "no-store"),
    ];
    for (fields, control) in ways {
        let world = World::new().await;
        world.script(
            URL,
            Script::body(body.clone()).header("cache-control", control),
        );
        let mut request = super::world::request(http::Method::GET, URL, fields);
        expecting_another(&mut request);
        let got = super::world::read(world.engine.fetch(&request).await).await;
        assert!(
            matches!(&got, Got::Cut(_) | Got::Failed(_)),
            "{fields:?} {control}: {got:?}"
        );
    }
}

#[tokio::test]
async fn what_is_already_stored_is_held_against_an_expected_digest() {
    let world = World::new().await;
    let body = content(4, 1000);
    world.script(URL, Script::body(body.clone()));
    world.get(URL).await;
    world.settle().await;
    let got = world
        .get_as(
            URL,
            with_effect(|effect| effect.verify.sha256 = Some([7; 32])),
        )
        .await;
    assert!(!matches!(got.0, Got::Whole(_)), "{got:?}");
    assert_eq!(world.get(URL).await, (Got::Whole(body), Some(Outcome::Hit)));
}

#[tokio::test]
async fn what_an_origin_thinks_of_one_client_is_nothing_to_the_others() {
    let world = World::new().await;
    world.script(URL, Script::error(429).header("retry-after", "100"));
    let personal = world.fetch(URL, &[("authorization", "Basic eDp5")]).await;
    assert_eq!(super::world::read(personal).await, Got::Status(429));
    let other = "http://origin.test/other";
    world.script(other, Script::body("text"));
    assert_eq!(world.get(other).await.0, whole("text"));
}

#[tokio::test]
async fn the_fields_of_a_rule_reach_the_origins_it_is_about_and_nobody_else() {
    let world = World::new().await;
    world.script(
        URL,
        Script::body("")
            .status(302)
            .header("location", "http://cdn.test/x"),
    );
    world.script("http://cdn.test/x", Script::body("text"));
    let got = world
        .get_as(URL, |request| {
            with_effect(|effect| {
                let secret = Some(http::HeaderValue::from_static("Bearer x"));
                effect.headers = vec![(http::header::AUTHORIZATION, secret)];
            })(request);
            request.plan.follows = true;
        })
        .await;
    assert_eq!(got.0, whole("text"));
    assert!(world.origin.fields(URL).contains_key("authorization"));
    assert!(
        !world
            .origin
            .fields("http://cdn.test/x")
            .contains_key("authorization")
    );
}

#[tokio::test]
async fn a_304_of_another_place_is_not_believed() {
    let world = World::new().await;
    let dated = |body: &'static str| {
        Script::body(body).header("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT")
    };
    world.script(URL, Script::error(404));
    world.script(
        "http://archive.test/all/file-1.0.tar.gz",
        dated("the archive's"),
    );
    let fallback = |request: &mut FetchRequest| {
        with_effect(|effect| {
            effect.fallback = vec![Fallback::parse("http://archive.test/all/").expect("a base")];
        })(request);
    };
    assert_eq!(world.get_as(URL, fallback).await.0, whole("the archive's"));
    world.settle().await;
    world.later(61);
    world.script(URL, dated("the origin's"));
    assert_eq!(world.get_as(URL, fallback).await.0, whole("the origin's"));
}

#[tokio::test]
async fn a_store_that_fails_leaves_an_expected_digest_unproved() {
    let world = World::new().await;
    let body = content(5, 600_000);
    let right: [u8; 32] = Sha256::digest(&body).into();
    let (script, gate) = Script::body(body.clone()).gated();
    world.script(URL, script);
    gate.add_permits(10);
    let answer = world
        .fetch_as(
            URL,
            with_effect(|effect| effect.verify.sha256 = Some(right)),
        )
        .await;
    world.device.limit_bytes(0);
    gate.add_permits(1000);
    assert!(matches!(super::world::read(answer).await, Got::Cut(_)));
}

#[tokio::test]
async fn errors_of_single_urls_are_not_held_against_their_host() {
    let world = World::new().await;
    let url = |number: usize| format!("http://origin.test/{number}");
    for number in 0..10 {
        world.script(&url(number), Script::error(504));
        assert_eq!(world.get(&url(number)).await.0, Got::Status(504));
    }
    world.script(URL, Script::body("text"));
    assert_eq!(world.get(URL).await.0, whole("text"));
}
