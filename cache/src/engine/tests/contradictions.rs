//! Other bytes behind an immutable URL.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, stored};
use crate::engine::FetchRequest;
use weir_policies::key::CacheKey;
use weir_policies::outcome::Outcome;
use weir_policies::target::Target;

fn immutable(request: &mut FetchRequest) {
    request.plan.adjust.immutable = true;
}

fn whole(body: &str) -> Got {
    Got::Whole(body.as_bytes().to_vec())
}

async fn with_original() -> World {
    let world = World::new().await;
    world.script(URL, Script::body("the original").header("etag", "\"1\""));
    world.get_as(URL, immutable).await;
    world.settle().await;
    world.later(61);
    world
}

async fn conflicts(world: &World) -> Vec<std::sync::Arc<crate::store::Object>> {
    let target = Target::parse(URL).expect("a URL");
    world
        .engine
        .store
        .lookup(&CacheKey::of("conflict", false, &target))
        .await
}

#[tokio::test]
async fn the_original_is_kept_and_served_and_the_new_bytes_stand_beside_it() {
    let world = with_original().await;
    world.script(URL, Script::body("other bytes").header("etag", "\"2\""));
    for _ in 0..3 {
        assert_eq!(
            world.get_as(URL, immutable).await,
            (whole("the original"), Some(Outcome::StaleWhileRevalidate))
        );
        world.settle().await;
    }
    assert_eq!(world.engine.stats().conflicts.get(), 1);
    assert_eq!(
        world.origin.asked(URL).gets,
        2,
        "looked at once, until the operator decides"
    );
    let conflicts = conflicts(&world).await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(stored(&conflicts[0]).await, b"other bytes");
    let original = world
        .engine
        .peek(&super::world::request(http::Method::GET, URL, &[]))
        .await;
    assert!(original.is_none(), "it is stale, and served all the same");
    assert!(conflicts[0].head().conflict_of.is_some());
}

#[tokio::test]
async fn the_same_bytes_with_another_tag_are_no_conflict() {
    let world = with_original().await;
    world.script(URL, Script::body("the original").header("etag", "\"2\""));
    world.get_as(URL, immutable).await;
    world.settle().await;
    assert_eq!(world.engine.stats().conflicts.get(), 0);
    assert!(conflicts(&world).await.is_empty());
    assert_eq!(
        world.get_as(URL, immutable).await.1,
        Some(Outcome::Hit),
        "freshened"
    );
}

#[tokio::test]
async fn a_client_that_insists_gets_the_immutable_object_without_asking_the_origin() {
    let world = World::new().await;
    world.script(URL, Script::body("the original"));
    world.get_as(URL, immutable).await;
    world.settle().await;
    for field in [
        ("cache-control", "no-cache"),
        ("cache-control", "max-age=0"),
        ("pragma", "no-cache"),
    ] {
        let mut request = super::world::request(http::Method::GET, URL, &[field]);
        immutable(&mut request);
        let answer = world.engine.fetch(&request).await;
        assert_eq!(
            super::world::outcome(&answer),
            Some(Outcome::Hit),
            "{field:?}"
        );
    }
    assert_eq!(world.origin.asked(URL).gets, 1);
}

#[tokio::test]
async fn new_bytes_that_break_off_are_no_conflict() {
    let world = with_original().await;
    world.script(
        URL,
        Script {
            breaks_at: Some(3),
            ..Script::body("other bytes")
        },
    );
    world.get_as(URL, immutable).await;
    world.settle().await;
    assert!(conflicts(&world).await.is_empty());
    assert_eq!(world.get_as(URL, immutable).await.0, whole("the original"));
}

#[tokio::test]
async fn who_comes_while_other_bytes_are_fetched_gets_the_original_and_they_are_fetched_once() {
    let world = with_original().await;
    let target = Target::parse(URL).expect("a URL");
    world.engine.invalidate(&target).await;
    let (script, gate) = Script::body("other bytes").header("etag", "\"2\"").gated();
    world.script(URL, script);
    for _ in 0..20 {
        let got = world.get_as(URL, immutable).await.0;
        assert_eq!(got, whole("the original"));
    }
    // It is asked behind their backs.
    while world.origin.asked(URL).gets < 2 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1000);
    world.settle().await;
    for _ in 0..3 {
        let got = world.get_as(URL, immutable).await.0;
        assert_eq!(got, whole("the original"));
        world.settle().await;
    }
    assert_eq!(world.origin.asked(URL).gets, 2, "one fetch for all of them");
    assert_eq!(world.engine.stats().conflicts.get(), 1);
    assert_eq!(world.engine.stats().fill_bytes.get(), 12 + 11);
}

#[tokio::test]
async fn a_response_that_was_fetched_with_credentials_does_not_replace_the_original() {
    let world = with_original().await;
    let other = Script::body("other bytes").header("cache-control", "public, max-age=60");
    world.script(URL, other);
    let credentials = [("authorization", "Basic Zm9vOmJhcg==")];
    let mut request = super::world::request(http::Method::GET, URL, &credentials);
    immutable(&mut request);
    let answer = world.engine.fetch(&request).await;
    assert_eq!(super::world::read(answer).await, whole("other bytes"));
    world.settle().await;
    assert_eq!(world.get_as(URL, immutable).await.0, whole("the original"));
}
