//! What an operator is told of: once everything has been tried, and of nothing that a client has brought about.

use super::URL;
use super::origin::Script;
use super::world::{World, content};
use crate::events::{Event, EventStream};

fn told(stream: &mut EventStream) -> Vec<Event> {
    std::iter::from_fn(|| stream.waiting()).collect()
}

/// What is told of one request with these fields that meets `script`.
async fn told_of(script: Script, fields: &[(&'static str, &str)]) -> Vec<Event> {
    let world = World::new().await;
    let mut stream = world.engine.events.subscribe();
    world.script(URL, script);
    super::world::read(world.fetch(URL, fields).await).await;
    world.settle().await;
    told(&mut stream)
}

#[tokio::test]
async fn an_upstream_that_fails_for_good_is_told_of_without_the_query() {
    let world = World::new().await;
    let mut stream = world.engine.events.subscribe();
    let signed = format!("{URL}?signature=1");
    world.script(&signed, Script::error(503));
    world.get(&signed).await;
    let events = told(&mut stream);
    let [Event::UpstreamFailed { url, error, .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(url, URL);
    assert!(error.contains("503"), "{error}");
}

#[tokio::test]
async fn a_body_that_cannot_be_continued_is_told_of_and_one_that_can_is_not() {
    let broken = || Script::body(content(1, 300_000)).header("cache-control", "max-age=60");
    let given_up = told_of(broken().breaking_at([100_000]), &[]).await;
    assert_eq!(given_up.len(), 1, "{given_up:?}");
    let continued = broken().header("etag", "\"1\"").breaking_at([100_000]);
    assert_eq!(told_of(continued, &[]).await, []);
}

#[tokio::test]
async fn what_a_client_has_brought_about_is_not_told_of() {
    assert_eq!(told_of(Script::error(404), &[]).await, []);
    assert_eq!(told_of(Script::error(429), &[]).await, []);
    let credentials = [("authorization", "Basic YTpi")];
    assert_eq!(told_of(Script::error(500), &credentials).await, []);
}

#[tokio::test]
async fn a_conflict_is_told_of_once() {
    let world = World::new().await;
    let mut stream = world.engine.events.subscribe();
    for (body, tag) in [("one", "\"1\""), ("other", "\"2\""), ("other", "\"2\"")] {
        world.script(URL, Script::body(body).header("etag", tag));
        let immutable = |request: &mut crate::engine::FetchRequest| {
            request.plan.adjust.immutable = true;
        };
        world.get_as(URL, immutable).await;
        world.settle().await;
        world.later(61);
    }
    let events = told(&mut stream);
    assert!(
        matches!(events.as_slice(), [Event::Conflict { url, .. }] if url == URL),
        "{events:?}"
    );
}
