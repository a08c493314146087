//! What an unsafe request has overtaken is not used again without asking, wherever it was at that moment.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, read, request};
use crate::engine::{Answer, FetchRequest};
use http::Method;
use weir_policies::effect::RangeMiss;
use weir_policies::outcome::Outcome;
use weir_policies::target::Target;

fn tagged(body: &'static str) -> Script {
    Script::body(body).header("etag", "\"1\"")
}

fn newer(body: &'static str) -> Script {
    Script::body(body).header("etag", "\"2\"")
}

fn whole(body: &str) -> Got {
    Got::Whole(body.as_bytes().to_vec())
}

async fn invalidate(world: &World) {
    let target = Target::parse(URL).expect("a URL");
    world.engine.invalidate(&target).await;
}

fn range(text: &str) -> FetchRequest {
    let mut request = request(Method::GET, URL, &[("range", text)]);
    let mut effect = (*request.plan.effect).clone();
    effect.range_miss = RangeMiss::Part;
    request.plan.effect = effect.into();
    request
}

#[tokio::test]
async fn a_fetch_with_credentials_is_overtaken_too() {
    let world = World::new().await;
    let script = tagged("old").header("cache-control", "public, max-age=60");
    let (script, gate) = script.gated();
    world.script(URL, script);
    let credentials = [("authorization", "Basic Zm9vOmJhcg==")];
    let answer = world.fetch(URL, &credentials).await;
    invalidate(&world).await;
    gate.add_permits(10);
    assert_eq!(read(answer).await, whole("old"));
    world.settle().await;
    world.script(URL, newer("new"));
    assert_eq!(world.get(URL).await.0, whole("new"));
}

#[tokio::test]
async fn parts_are_overtaken_those_that_are_here_and_those_that_arrive() {
    let world = World::new().await;
    world.script(URL, tagged("0123456789"));
    read(world.engine.fetch(&range("bytes=0-4")).await).await;
    world.settle().await;
    invalidate(&world).await;
    let again = world.engine.fetch(&range("bytes=0-4")).await;
    assert!(matches!(again, Answer::Private { .. }), "{again:?}");
    read(again).await;
    world.settle().await;

    let (script, gate) = tagged("0123456789").gated();
    world.script(URL, script);
    let arriving = world.engine.fetch(&range("bytes=5-9")).await;
    invalidate(&world).await;
    gate.add_permits(10);
    assert_eq!(read(arriving).await, whole("56789"));
    world.settle().await;
    assert_eq!(world.engine.stats().combined.get(), 0);
    world.script(URL, newer("abcdefghij"));
    let now = world.engine.fetch(&range("bytes=5-9")).await;
    assert_eq!(read(now).await, whole("fghij"));
    world.settle().await;
    assert_eq!(world.get(URL).await.0, whole("abcdefghij"));
}

#[tokio::test]
async fn a_304_of_before_a_second_change_does_not_unmark_what_it_has_overtaken() {
    let world = World::new().await;
    world.script(URL, tagged("old"));
    world.get(URL).await;
    world.settle().await;
    invalidate(&world).await;
    // Answered by a HEAD of before the second change, which is merged after it.
    let object = {
        let target = Target::parse(URL).expect("a URL");
        world.engine.holdings(&target).await.plain.remove(0)
    };
    invalidate(&world).await;
    let fields = object.head().headers.clone();
    let exchange = object.head().exchange;
    world.engine.update(&object, fields, exchange, None).await;
    world.script(URL, newer("new"));
    assert_eq!(world.get(URL).await, (whole("new"), Some(Outcome::Stale)));
}

#[tokio::test]
async fn head_without_a_validator_or_with_other_selecting_fields_freshens_nothing() {
    let head = request(Method::HEAD, URL, &[]);
    for (first, then) in [
        (Script::body("one"), Script::body("two")),
        (
            tagged("one"),
            tagged("two").header("vary", "accept-language"),
        ),
    ] {
        let world = World::new().await;
        world.script(URL, first);
        world.get(URL).await;
        world.settle().await;
        world.later(61);
        world.script(URL, then);
        world.engine.fetch(&head).await;
        let outcome = world.get(URL).await.1;
        assert_ne!(outcome, Some(Outcome::Hit));
    }
}

#[tokio::test]
async fn bytes_that_their_origin_disowns_do_not_stand_in_when_it_fails_next() {
    let world = World::new().await;
    let script = tagged("old").header("cache-control", "max-age=60, stale-if-error=600");
    world.script(URL, script);
    world.get(URL).await;
    world.settle().await;
    world.later(61);
    // A 304 of another version, and the same again where nothing was asked on a condition.
    world.script(URL, tagged("").status(304).header("etag", "\"2\""));
    let answers = futures::future::join_all((0..5).map(|_| world.get(URL))).await;
    for (got, _) in answers {
        assert!(matches!(got, Got::Failed(_)), "{got:?}");
    }
}
