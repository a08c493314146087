//! The engine's promises, one test each, over a memory disk and a scripted origin.

mod awaiting;
mod conflict;
mod contradictions;
mod ensuring;
mod failing;
mod import;
mod invalidation;
mod model;
mod origin;
mod purging;
mod ranges;
mod reconfigure;
mod redirects;
mod resuming;
mod revalidation;
mod sources;
mod storeless;
mod telling;
mod upgrading;
mod warming;
mod world;

use super::{Answer, EngineSettings, OnAbandon};
use http::{Method, StatusCode};
use origin::Script;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use weir_policies::outcome::Outcome;
use weir_policies::storability::NotStored;
use world::{Got, World, content, engine_settings, outcome, read, request};

const URL: &str = "http://origin.test/file-1.0.tar.gz";

#[tokio::test]
async fn a_crowd_on_a_cold_object_causes_one_fetch_and_reads_along() {
    let world = Arc::new(World::new().await);
    let body = content(1, 300_000);
    let (script, gate) = Script::body(body.clone()).gated();
    world.script(URL, script);
    let (first_bytes, mut seen) = tokio::sync::mpsc::channel(200);
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        let (world, first_bytes) = (Arc::clone(&world), first_bytes.clone());
        clients.spawn(async move {
            let Answer::Growing { mut reader, .. } = world.fetch(URL, &[]).await else {
                panic!("not growing")
            };
            let first = reader.next(10).await.expect("readable").expect("not empty");
            first_bytes.send(()).await.expect("the test listens");
            let mut got = first.to_vec();
            while let Some(piece) = reader.next(usize::MAX).await.expect("readable") {
                got.extend_from_slice(&piece);
            }
            got
        });
    }
    gate.add_permits(1);
    for _ in 0..200 {
        seen.recv()
            .await
            .expect("every client has had a first byte before the second piece left");
    }
    gate.add_permits(1000);
    while let Some(got) = clients.join_next().await {
        assert!(got.expect("no panic") == body);
    }
    assert_eq!(world.origin.asked(URL).gets, 1);
    assert_eq!(world.get(URL).await, (Got::Whole(body), Some(Outcome::Hit)));
    assert_eq!(world.origin.asked(URL).gets, 1);
}

#[tokio::test]
async fn a_fill_goes_on_when_its_only_client_leaves() {
    let world = World::new().await;
    let body = content(2, 1_000_000);
    let (script, gate) = Script::body(body.clone()).gated();
    world.script(URL, script);
    gate.add_permits(3);
    let Answer::Growing { mut reader, .. } = world.fetch(URL, &[]).await else {
        panic!("not growing")
    };
    assert!(reader.next(100).await.expect("readable").is_some());
    drop(reader);
    gate.add_permits(1000);
    world.engine.tasks().idle().await;
    assert_eq!(world.get(URL).await, (Got::Whole(body), Some(Outcome::Hit)));
}

#[tokio::test]
async fn an_abandoned_fill_stops_where_that_is_configured() {
    let world = World::with(EngineSettings {
        on_abandon: OnAbandon::Stop,
        ..engine_settings()
    })
    .await;
    let (script, gate) = Script::body(content(2, 1_000_000)).gated();
    world.script(URL, script);
    gate.add_permits(3);
    let Answer::Growing { reader, .. } = world.fetch(URL, &[]).await else {
        panic!("not growing")
    };
    drop(reader);
    world.engine.tasks().idle().await;
    assert_eq!(world.engine.stats().fills_abandoned.get(), 1);
    assert_eq!(world.origin.asked(URL).running, 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_stored_and_the_next_request_heals() {
    for chunked in [false, true] {
        let world = World::new().await;
        let body = content(3, 500_000);
        let broken = Script {
            breaks_at: Some(250_000),
            chunked,
            ..Script::body(body.clone())
        };
        world.script(URL, broken);
        let (first, second) = tokio::join!(world.get(URL), world.get(URL));
        for (got, _) in [first, second] {
            assert_eq!(got, Got::Cut(body[..250_000].to_vec()));
        }
        assert_eq!(world.origin.asked(URL).gets, 1);
        world.script(
            URL,
            Script {
                chunked,
                ..Script::body(body.clone())
            },
        );
        assert_eq!(
            world.get(URL).await,
            (Got::Whole(body.clone()), Some(Outcome::Miss))
        );
        assert_eq!(world.get(URL).await, (Got::Whole(body), Some(Outcome::Hit)));
    }
}

#[tokio::test]
async fn a_failure_answers_everybody_who_waits_and_is_held_down_for_a_moment() {
    let world = World::new().await;
    world.script(
        URL,
        Script {
            unreachable: true,
            ..Script::body("")
        },
    );
    let answers = futures::future::join_all((0..50).map(|_| world.get(URL))).await;
    assert!(
        answers.iter().all(|(got, _)| matches!(got, Got::Failed(_))),
        "{answers:?}"
    );
    assert_eq!(world.origin.asked(URL).gets, 1);
    assert!(matches!(world.get(URL).await.0, Got::Failed(_)));
    assert_eq!(world.origin.asked(URL).gets, 1, "held down");
    world.clock.advance(Duration::from_secs(2));
    world.script(URL, Script::body("well again"));
    assert_eq!(world.get(URL).await.0, Got::Whole(b"well again".to_vec()));
}

#[tokio::test]
async fn an_error_status_without_freshness_answers_the_crowd_once() {
    let world = World::new().await;
    let script = Script {
        status: StatusCode::SERVICE_UNAVAILABLE,
        headers: Vec::new(),
        ..Script::body("sick")
    };
    world.script(URL, script);
    let answers = futures::future::join_all((0..50).map(|_| world.get(URL))).await;
    assert!(
        answers.iter().all(|(got, _)| *got == Got::Status(503)),
        "{answers:?}"
    );
    assert_eq!(world.origin.asked(URL).gets, 1);
}

#[tokio::test]
async fn a_response_for_one_client_is_neither_shared_nor_stored() {
    for (field, value) in [
        ("cache-control", "private"),
        ("cache-control", "no-store"),
        ("vary", "*"),
    ] {
        let world = World::new().await;
        world.script(URL, Script::body("mine").header(field, value));
        let answers = futures::future::join_all((0..5).map(|_| world.get(URL))).await;
        for (got, outcome) in answers {
            assert_eq!(got, Got::Whole(b"mine".to_vec()));
            assert!(
                matches!(outcome, Some(Outcome::Uncached(_))),
                "{field}: {value} gave {outcome:?}"
            );
        }
        assert_eq!(world.origin.asked(URL).gets, 5, "{field}: {value}");
    }
}

#[tokio::test]
async fn credentials_go_alone_and_are_stored_only_where_the_origin_says_so() {
    let world = World::new().await;
    let credentials = [("authorization", "Basic Zm9vOmJhcg==")];
    world.script(URL, Script::body("secret"));
    let answer = world.fetch(URL, &credentials).await;
    assert_eq!(
        outcome(&answer),
        Some(Outcome::Uncached(NotStored::Authorization))
    );
    assert_eq!(read(answer).await, Got::Whole(b"secret".to_vec()));
    world.script(
        URL,
        Script::body("for all").header("cache-control", "public, max-age=60"),
    );
    assert_eq!(
        read(world.fetch(URL, &credentials).await).await,
        Got::Whole(b"for all".to_vec())
    );
    world.engine.tasks().idle().await;
    assert_eq!(
        world.get(URL).await,
        (Got::Whole(b"for all".to_vec()), Some(Outcome::Hit))
    );
    assert_eq!(
        outcome(&world.fetch(URL, &credentials).await),
        Some(Outcome::Hit)
    );
}

#[tokio::test]
async fn a_request_for_another_variant_leaves_the_flight_and_fetches_its_own() {
    let world = World::new().await;
    let (script, gate) = Script::body("text")
        .header("vary", "accept-language")
        .gated();
    world.script(URL, script);
    let english = world.fetch(URL, &[("accept-language", "en")]);
    let german = world.fetch(URL, &[("accept-language", "de")]);
    let (english, german) = tokio::join!(english, german);
    gate.add_permits(100);
    assert_eq!(read(english).await, read(german).await);
    assert_eq!(world.origin.asked(URL).gets, 2);
    world.engine.tasks().idle().await;
    for language in ["en", "de"] {
        assert_eq!(
            outcome(&world.fetch(URL, &[("accept-language", language)]).await),
            Some(Outcome::Hit)
        );
    }
}

#[tokio::test]
async fn head_is_answered_by_store_and_flight_and_never_starts_a_fill() {
    let world = World::new().await;
    let (script, gate) = Script::body(content(4, 50_000)).gated();
    world.script(URL, script);
    gate.add_permits(1);
    let head = request(Method::HEAD, URL, &[]);
    assert_eq!(
        outcome(&world.engine.fetch(&head).await),
        Some(Outcome::Uncached(NotStored::Method))
    );
    assert_eq!(
        (world.origin.asked(URL).heads, world.origin.asked(URL).gets),
        (1, 0)
    );
    let growing = world.fetch(URL, &[]).await;
    assert_eq!(
        outcome(&world.engine.fetch(&head).await),
        Some(Outcome::Joined)
    );
    gate.add_permits(100);
    read(growing).await;
    world.engine.tasks().idle().await;
    assert_eq!(
        outcome(&world.engine.fetch(&head).await),
        Some(Outcome::Hit)
    );
    assert_eq!(
        (world.origin.asked(URL).heads, world.origin.asked(URL).gets),
        (1, 1)
    );
}

#[tokio::test]
async fn a_stalled_reader_does_not_hold_the_fill_and_reads_the_rest_from_disk() {
    let world = World::new().await;
    let body = content(5, 3_000_000);
    world.script(URL, Script::body(body.clone()));
    let Answer::Growing { mut reader, .. } = world.fetch(URL, &[]).await else {
        panic!("not growing")
    };
    let mut got = reader
        .next(1000)
        .await
        .expect("readable")
        .expect("not empty")
        .to_vec();
    world.engine.tasks().idle().await;
    assert_eq!(
        outcome(&world.fetch(URL, &[]).await),
        Some(Outcome::Hit),
        "the fill is over"
    );
    while let Some(piece) = reader.next(usize::MAX).await.expect("readable") {
        got.extend_from_slice(&piece);
    }
    assert!(got == body);
}

#[tokio::test]
async fn a_reader_may_start_ahead_of_the_fill() {
    let world = World::new().await;
    let body = content(6, 1_000_000);
    let (script, gate) = Script::body(body.clone()).gated();
    world.script(URL, script);
    let Answer::Growing { mut reader, .. } = world.fetch(URL, &[]).await else {
        panic!("not growing")
    };
    reader.seek(700_000);
    gate.add_permits(1000);
    let piece = reader.next(5).await.expect("readable").expect("not empty");
    assert_eq!(piece, &body[700_000..700_005]);
}

#[tokio::test]
async fn a_fill_that_panics_cuts_its_readers_and_frees_its_key() {
    let world = World::new().await;
    let body = content(9, 500_000);
    world.script(
        URL,
        Script {
            panics_at: Some(200_000),
            ..Script::body(body.clone())
        },
    );
    let (first, second) = tokio::join!(world.get(URL), world.get(URL));
    for (got, _) in [first, second] {
        assert!(matches!(got, Got::Cut(_)), "{got:?}");
    }
    assert_eq!(world.engine.tasks().counts().panics, 1);
    world.script(URL, Script::body(body.clone()));
    assert_eq!(world.get(URL).await.0, Got::Whole(body));
    world.engine.tasks().idle().await;
    assert_eq!(world.engine.stats().fills_active.get(), 0);
}

#[tokio::test]
async fn a_failure_with_credentials_is_told_to_nobody_else() {
    let world = World::new().await;
    let script = Script {
        status: StatusCode::NOT_FOUND,
        headers: Vec::new(),
        ..Script::body("for alice")
    };
    world.script(URL, script);
    let alice = world
        .fetch(URL, &[("authorization", "Basic Zm9vOmJhcg==")])
        .await;
    assert_eq!(read(alice).await, Got::Status(404));
    world.script(URL, Script::body("for all"));
    assert_eq!(world.get(URL).await.0, Got::Whole(b"for all".to_vec()));
    assert_eq!(world.origin.asked(URL).gets, 2);
}

#[tokio::test]
async fn an_error_that_could_be_validated_but_is_stale_at_once_answers_the_crowd() {
    let world = World::new().await;
    let script = Script {
        status: StatusCode::NOT_FOUND,
        headers: Vec::new(),
        ..Script::body("gone")
    };
    world.script(URL, script.header("etag", "\"1\""));
    let answers = futures::future::join_all((0..50).map(|_| world.get(URL))).await;
    assert!(
        answers.iter().all(|(got, _)| *got == Got::Status(404)),
        "{answers:?}"
    );
    assert_eq!(world.origin.asked(URL).gets, 1);
}

#[tokio::test]
async fn a_crowd_on_a_response_that_is_stale_at_once_does_not_queue_up() {
    let world = World::new().await;
    let (script, gate) = Script::body("fresh for nobody").gated();
    world.script(
        URL,
        script
            .header("cache-control", "no-cache")
            .header("etag", "\"1\""),
    );
    // No body byte moves: if anybody waited for another's body, this would hang.
    let answers = futures::future::join_all((0..20).map(|_| world.fetch(URL, &[]))).await;
    assert_eq!(world.origin.asked(URL).gets, 20);
    gate.add_permits(1000);
    for answer in answers {
        assert_eq!(read(answer).await, Got::Whole(b"fresh for nobody".to_vec()));
    }
}

#[tokio::test]
async fn an_origin_that_sends_single_bytes_is_followed_and_stored() {
    let world = World::new().await;
    let body = content(12, 150_000);
    world.script(
        URL,
        Script {
            piece_bytes: 1,
            chunked: true,
            ..Script::body(body.clone())
        },
    );
    assert_eq!(
        world.get(URL).await,
        (Got::Whole(body.clone()), Some(Outcome::Miss))
    );
    world.engine.tasks().idle().await;
    assert_eq!(world.get(URL).await, (Got::Whole(body), Some(Outcome::Hit)));
}

#[tokio::test]
async fn only_if_cached_never_asks_the_origin() {
    let world = World::new().await;
    world.script(URL, Script::body("x"));
    let only_if_cached = [("cache-control", "only-if-cached")];
    assert_eq!(
        read(world.fetch(URL, &only_if_cached).await).await,
        Got::NotCached
    );
    assert_eq!(world.origin.asked(URL).gets, 0);
}

#[tokio::test]
async fn a_stale_object_is_fetched_anew_and_replaced() {
    let world = World::new().await;
    world.script(URL, Script::body("old"));
    world.get(URL).await;
    world.engine.tasks().idle().await;
    world.script(URL, Script::body("new"));
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(
        world.get(URL).await,
        (Got::Whole(b"new".to_vec()), Some(Outcome::Stale))
    );
    world.engine.tasks().idle().await;
    assert_eq!(
        world.get(URL).await,
        (Got::Whole(b"new".to_vec()), Some(Outcome::Hit))
    );
}
