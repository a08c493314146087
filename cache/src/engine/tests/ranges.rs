//! Ranges of what is not here: parts that are kept and put together, and ranges too far ahead of a fill.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, content, engine_settings, outcome, read, request};
use crate::engine::{Answer, EngineSettings};
use http::{Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use weir_policies::effect::RangeMiss;
use weir_policies::outcome::Outcome;

fn tagged(body: Vec<u8>) -> Script {
    Script::body(body).header("etag", "\"1\"")
}

/// A range where only parts are fetched.
async fn part(world: &World, range: &str) -> Answer {
    let mut request = request(Method::GET, URL, &[("range", range)]);
    let mut effect = (*request.plan.effect).clone();
    effect.range_miss = RangeMiss::Part;
    request.plan.effect = effect.into();
    world.engine.fetch(&request).await
}

/// What a part brings, and whether it came from the store.
async fn bytes(world: &World, range: &str) -> (Vec<u8>, Outcome) {
    let answer = part(world, range).await;
    let outcome = outcome(&answer).expect("an answer");
    if let Answer::Private { response, .. } = &answer {
        assert_eq!(response.status, StatusCode::PARTIAL_CONTENT);
        assert!(response.headers.contains_key("content-range"));
    }
    let Got::Whole(body) = read(answer).await else {
        panic!("not whole")
    };
    world.settle().await;
    (body, outcome)
}

#[tokio::test]
async fn a_range_is_fetched_by_itself_kept_and_found_again() {
    let world = World::new().await;
    let body = content(1, 100_000);
    world.script(URL, tagged(body.clone()));
    assert_eq!(
        bytes(&world, "bytes=10-99").await,
        (body[10..100].to_vec(), Outcome::Miss)
    );
    assert_eq!(
        bytes(&world, "bytes=20-89").await,
        (body[20..90].to_vec(), Outcome::Hit)
    );
    assert_eq!(
        bytes(&world, "bytes=100-199").await,
        (body[100..200].to_vec(), Outcome::Miss)
    );
    assert_eq!(
        bytes(&world, "bytes=50-149").await,
        (body[50..150].to_vec(), Outcome::Hit)
    );
    let asked = world.origin.asked(URL);
    assert_eq!((asked.gets, asked.ranged), (2, 2));
    assert_eq!(
        world.get(URL).await,
        (Got::Whole(body), Some(Outcome::Miss)),
        "the whole is not here"
    );
}

#[tokio::test]
async fn parts_that_cover_everything_become_one_object() {
    let world = World::new().await;
    let body = content(2, 600_000);
    world.script(URL, tagged(body.clone()));
    for range in ["bytes=300000-", "bytes=0-99999", "bytes=90000-310000"] {
        bytes(&world, range).await;
    }
    assert_eq!(world.engine.stats().combined.get(), 1);
    assert_eq!(world.get(URL).await, (Got::Whole(body), Some(Outcome::Hit)));
    assert_eq!(world.origin.asked(URL).gets, 3);
}

#[tokio::test]
async fn row_83_parts_of_different_versions_are_never_combined() {
    let world = World::new().await;
    let (old, new) = (content(3, 200_000), content(4, 200_000));
    world.script(URL, tagged(old));
    bytes(&world, "bytes=0-99999").await;
    world.script(URL, tagged(new.clone()).header("etag", "\"2\""));
    assert_eq!(bytes(&world, "bytes=100000-").await.0, new[100_000..]);
    assert_eq!(world.engine.stats().combined.get(), 0);
    let (got, outcome) = bytes(&world, "bytes=50000-149999").await;
    assert_eq!(
        (got, outcome),
        (new[50_000..150_000].to_vec(), Outcome::Miss)
    );
    assert_eq!(
        bytes(&world, "bytes=0-99999").await.0,
        new[..100_000],
        "only the new ones are used"
    );
}

#[tokio::test]
async fn row_84_parts_with_a_weak_tag_are_passed_on_and_not_kept() {
    let world = World::new().await;
    let body = content(5, 1000);
    world.script(URL, tagged(body.clone()).header("etag", "W/\"1\""));
    for _ in 0..2 {
        let (got, outcome) = bytes(&world, "bytes=0-99").await;
        assert_eq!(got, body[..100]);
        assert!(matches!(outcome, Outcome::Uncached(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn row_85_an_origin_that_ignores_ranges_is_asked_once_for_the_whole() {
    let world = Arc::new(World::new().await);
    let body = content(6, 300_000);
    let script = Script {
        no_ranges: true,
        ..tagged(body.clone())
    };
    let (script, gate) = script.gated();
    world.script(URL, script);
    let ranges: Vec<String> = (0..16)
        .map(|at| format!("bytes={}-{}", at * 1000, at * 1000 + 999))
        .collect();
    let answers = futures::future::join_all(ranges.iter().map(|range| part(&world, range))).await;
    gate.add_permits(10_000);
    for (at, answer) in answers.into_iter().enumerate() {
        let Answer::Growing { mut reader, .. } = answer else {
            panic!("not growing")
        };
        reader.seek(at as u64 * 1000);
        let piece = reader
            .next(1000)
            .await
            .expect("readable")
            .expect("not empty");
        assert_eq!(piece, &body[at * 1000..at * 1000 + piece.len()]);
    }
    world.settle().await;
    assert_eq!(world.get(URL).await, (Got::Whole(body), Some(Outcome::Hit)));
}

#[tokio::test]
async fn row_86_a_416_that_contradicts_the_parts_drops_them_and_the_whole_is_asked_for_once() {
    let world = World::new().await;
    world.script(URL, tagged(content(7, 200_000)));
    bytes(&world, "bytes=0-99999").await;
    let shorter = content(8, 50_000);
    world.script(URL, tagged(shorter.clone()).header("etag", "\"2\""));
    let answer = part(&world, "bytes=150000-").await;
    assert!(
        matches!(answer, Answer::Growing { .. }),
        "sliced from the whole: {answer:?}"
    );
    drop(answer);
    world.settle().await;
    assert_eq!(world.origin.asked(URL).gets, 3);
    assert_eq!(
        world.get(URL).await,
        (Got::Whole(shorter), Some(Outcome::Hit))
    );
}

#[tokio::test]
async fn a_416_where_nothing_is_kept_is_passed_on() {
    let world = World::new().await;
    world.script(URL, tagged(content(9, 100)));
    let Answer::Private { response, .. } = part(&world, "bytes=1000-").await else {
        panic!("not private")
    };
    assert_eq!(response.status, StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn equal_ranges_share_one_fetch() {
    let world = World::new().await;
    let body = content(10, 100_000);
    world.script(URL, tagged(body.clone()));
    let answers = futures::future::join_all((0..50).map(|_| part(&world, "bytes=0-9"))).await;
    for answer in answers {
        assert_eq!(read(answer).await, Got::Whole(body[..10].to_vec()));
    }
    assert_eq!(world.origin.asked(URL).gets, 1);
}

#[tokio::test]
async fn a_range_far_ahead_of_a_slow_fill_is_fetched_by_itself() {
    let settings = EngineSettings {
        range_wait: Duration::from_secs(10),
        ..engine_settings()
    };
    let world = World::with(settings).await;
    let body = content(11, 3_000_000);
    let (script, gate) = tagged(body.clone()).gated();
    world.script(URL, script);
    let growing = world.fetch(URL, &[]).await;
    // 16 KiB in the first half second and no more: 320 KiB within the patience.
    gate.add_permits(1);
    let far = world
        .fetch(URL, &[("range", "bytes=2000000-2000009")])
        .await;
    let Answer::Private { response, .. } = &far else {
        panic!("waits: {far:?}")
    };
    assert_eq!(response.status, StatusCode::PARTIAL_CONTENT);
    gate.add_permits(10_000);
    assert_eq!(
        read(far).await,
        Got::Whole(body[2_000_000..2_000_010].to_vec())
    );
    assert_eq!(world.engine.stats().far_ranges.get(), 1);
    assert_eq!(read(growing).await, Got::Whole(body));
}

#[tokio::test]
async fn a_range_that_the_fill_reaches_soon_waits_for_it() {
    let settings = EngineSettings {
        range_wait: Duration::from_secs(10),
        ..engine_settings()
    };
    let world = World::with(settings).await;
    let body = content(12, 3_000_000);
    world.script(URL, tagged(body.clone()));
    let growing = world.fetch(URL, &[]).await;
    let near = world
        .fetch(URL, &[("range", "bytes=2000000-2000009")])
        .await;
    assert!(!matches!(near, Answer::Private { .. }), "{near:?}");
    read(growing).await;
    assert_eq!(world.origin.asked(URL).gets, 1);
}

#[tokio::test]
async fn a_part_of_another_variant_is_nobody_elses() {
    let world = World::new().await;
    world.script(
        URL,
        tagged(content(13, 1000)).header("vary", "accept-language"),
    );
    let asking = |language| {
        let mut request = request(
            Method::GET,
            URL,
            &[("range", "bytes=0-9"), ("accept-language", language)],
        );
        let mut effect = (*request.plan.effect).clone();
        effect.range_miss = RangeMiss::Part;
        request.plan.effect = effect.into();
        request
    };
    let (german, french) = (asking("de"), asking("fr"));
    tokio::join!(world.engine.fetch(&german), world.engine.fetch(&french));
    assert_eq!(world.origin.asked(URL).gets, 2);
}

#[tokio::test]
async fn a_break_in_a_part_is_continued() {
    let world = World::new().await;
    let body = content(14, 300_000);
    world.script(URL, tagged(body.clone()).breaking_at([60_000, 90_000]));
    assert_eq!(
        bytes(&world, "bytes=50000-149999").await.0,
        body[50_000..150_000]
    );
    assert_eq!(bytes(&world, "bytes=50000-149999").await.1, Outcome::Hit);
}

#[tokio::test]
async fn a_broken_part_that_is_continued_by_the_whole_ends_where_it_should() {
    let world = World::new().await;
    let body = content(1, 500_000);
    let (script, gate) = tagged(body.clone()).breaking_at([150_000]).gated();
    world.script(URL, script);
    let answer = part(&world, "bytes=100000-199999").await;
    let no_ranges = Script {
        no_ranges: true,
        ..tagged(body.clone())
    };
    world.script(URL, no_ranges);
    gate.add_permits(1000);
    assert_eq!(
        read(answer).await,
        Got::Whole(body[100_000..200_000].to_vec())
    );
    world.settle().await;
    assert_eq!(world.engine.stats().fills_resumed.get(), 1);
    assert_eq!(world.engine.stats().store_refused.get(), 0);
    let again = bytes(&world, "bytes=100000-199999").await;
    assert_eq!(again, (body[100_000..200_000].to_vec(), Outcome::Hit));
}

#[tokio::test]
async fn only_if_cached_is_answered_from_parts() {
    let world = World::new().await;
    let body = content(15, 1000);
    world.script(URL, tagged(body.clone()));
    bytes(&world, "bytes=0-99").await;
    let fields = [
        ("range", "bytes=10-19"),
        ("cache-control", "only-if-cached"),
    ];
    let answer = world
        .engine
        .fetch(&request(Method::GET, URL, &fields))
        .await;
    assert_eq!(read(answer).await, Got::Whole(body[10..20].to_vec()));
}
