//! An engine that waits for its data: what it answers meanwhile, and what becomes of that once the data is here.

use super::URL;
use super::origin::Script;
use super::upgrading::{successor, take_over};
use super::world::{Got, World, content, outcome, read, request};
use crate::device::memory::Survival;
use crate::engine::{Ensured, FetchRequest, Lack, Onlooker, Warmed, Way};
use http::Method;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use weir_policies::effect::{Effect, RangeMiss};
use weir_policies::outcome::Outcome;
use weir_policies::target::Target;

const DEADLINE: Duration = Duration::from_secs(60);

/// The process before, and the one that waits for its data.
async fn worlds() -> (World, World) {
    let old = World::new().await;
    let new = successor(&old);
    (old, new)
}

/// The data comes.
async fn hand_over(old: &World, new: &World) {
    old.engine.retire(DEADLINE).await;
    take_over(new).await;
}

fn tagged(body: &'static str, tag: &str) -> Script {
    Script::body(body).header("etag", tag)
}

fn whole(body: &str) -> Got {
    Got::Whole(body.as_bytes().to_vec())
}

fn wanted() -> FetchRequest {
    request(Method::GET, URL, &[])
}

fn with(mut request: FetchRequest, adapt: impl FnOnce(&mut Effect)) -> FetchRequest {
    let mut effect = (*request.plan.effect).clone();
    adapt(&mut effect);
    request.plan.effect = effect.into();
    request
}

async fn changed(world: &World, url: &str) {
    let target = Target::parse(url).expect("a URL");
    world.engine.invalidate(&target).await;
}

#[tokio::test]
async fn a_crowd_shares_one_fetch_and_the_next_request_after_it_has_the_data_fills_and_stores() {
    let (old, new) = worlds().await;
    let body = content(1, 3_000_000);
    let (script, gate) = Script::body(body.clone()).gated();
    old.script(URL, script);
    let new = Arc::new(new);
    let mut clients = JoinSet::new();
    for _ in 0..20 {
        let new = Arc::clone(&new);
        clients.spawn(async move { new.get(URL).await.0 });
    }
    while new.engine.stats().joined.get() < 19 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1000);
    while let Some(got) = clients.join_next().await {
        assert!(got.expect("no panic") == Got::Whole(body.clone()));
    }
    assert_eq!(old.origin.asked(URL).gets, 1);
    new.settle().await;
    assert_eq!(new.engine.stats().store_refused.get(), 0, "nothing failed");

    hand_over(&old, &new).await;
    for outcome in [Outcome::Miss, Outcome::Hit] {
        let got = (Got::Whole(body.clone()), Some(outcome));
        assert_eq!(new.get(URL).await, got);
        new.settle().await;
    }
    assert_eq!(old.origin.asked(URL).gets, 2);
}

#[tokio::test]
async fn a_fetch_from_before_is_neither_joined_nor_stored_once_the_data_is_here() {
    let (old, new) = worlds().await;
    let (script, gate) = tagged("before", "\"1\"").gated();
    old.script(URL, script);
    let before = new.fetch(URL, &[]).await;
    assert_eq!(outcome(&before), Some(Outcome::Miss));
    hand_over(&old, &new).await;
    old.script(URL, tagged("after", "\"2\""));
    let after = new.fetch(URL, &[]).await;
    let why = "the process before may have purged it";
    assert_eq!(outcome(&after), Some(Outcome::Miss), "{why}");
    assert_eq!(read(after).await, whole("after"));
    gate.add_permits(10);
    assert_eq!(read(before).await, whole("before"));
    new.settle().await;
    assert_eq!(new.get(URL).await, (whole("after"), Some(Outcome::Hit)));
}

#[tokio::test]
async fn failures_are_held_down_without_the_data_and_forgotten_when_it_comes() {
    let (old, new) = worlds().await;
    old.script(URL, Script::error(404));
    for world in [&new, &old] {
        for _ in 0..3 {
            assert_eq!(world.get(URL).await.0, Got::Status(404));
        }
        assert_eq!(world.engine.stats().held_down.get(), 2);
    }
    assert_eq!(old.origin.asked(URL).gets, 2, "one of each process");
    old.engine.retire(DEADLINE).await;
    assert_eq!(old.get(URL).await.0, Got::Status(404));
    assert_eq!(old.origin.asked(URL).gets, 2, "known before it retired");
    old.script(URL, Script::body("now"));
    take_over(&new).await;
    assert_eq!(new.get(URL).await.0, whole("now"));
}

#[tokio::test]
async fn what_nobody_else_has_use_for_is_fetched_alone() {
    let (old, new) = worlds().await;
    old.script(URL, tagged("0123456789", "\"1\""));
    let fields = |fields| request(Method::GET, URL, fields);
    let range = with(fields(&[("range", "bytes=2-3")]), |effect| {
        effect.range_miss = RangeMiss::Whole;
    });
    let unproved = with(wanted(), |effect| effect.verify.md5 = Some([0; 16]));
    for request in [
        range,
        fields(&[("if-none-match", "\"2\"")]),
        fields(&[("authorization", "Basic eDp5")]),
        request(Method::HEAD, URL, &[]),
        unproved,
    ] {
        let answer = new.engine.fetch(&request).await;
        assert_eq!(outcome(&answer), Some(Outcome::Bypass), "{request:?}");
    }
    assert_eq!(old.origin.asked(URL).ranged, 1);
    assert_eq!(old.origin.asked(URL).conditional, 1);
}

#[tokio::test]
async fn equal_parts_share_one_fetch_where_a_rule_fetches_parts() {
    let (old, new) = worlds().await;
    let (script, gate) = tagged("0123456789", "\"1\"").gated();
    old.script(URL, script);
    let part = with(
        request(Method::GET, URL, &[("range", "bytes=2-4")]),
        |effect| {
            effect.range_miss = RangeMiss::Part;
        },
    );
    let first = new.engine.fetch(&part).await;
    let second = new.engine.fetch(&part).await;
    gate.add_permits(10);
    assert_eq!(read(first).await, whole("234"));
    assert_eq!(read(second).await, whole("234"));
    assert_eq!(old.origin.asked(URL).gets, 1);
}

#[tokio::test]
async fn nothing_is_warmed_or_ensured_before_the_data_is_here() {
    let (old, new) = worlds().await;
    old.script(URL, Script::body("0123456789"));
    let warmed = new.engine.warm(&wanted()).await;
    assert!(matches!(warmed, Warmed::Full), "{warmed:?}");
    let onlooker = Onlooker::default();
    let ensured = new.engine.ensure(&wanted(), &onlooker).await;
    assert!(
        matches!(ensured, Ensured::Missing(Lack::Full)),
        "{ensured:?}"
    );
    assert_eq!(old.origin.asked(URL).gets, 0, "it would be for nothing");

    hand_over(&old, &new).await;
    let warmed = new.engine.warm(&wanted()).await;
    assert!(matches!(warmed, Warmed::Filling(_)), "{warmed:?}");
    new.settle().await;
    let ensured = new.engine.ensure(&wanted(), &onlooker).await;
    assert!(matches!(ensured, Ensured::Here(_, Way::Hit)), "{ensured:?}");
    let warmed = old.engine.warm(&wanted()).await;
    assert!(matches!(warmed, Warmed::Full), "given away: {warmed:?}");
}

#[tokio::test]
async fn what_a_change_made_invalid_meanwhile_is_asked_about_also_after_a_crash() {
    const OTHER: &str = "http://origin.test/other";
    for dies_first in [false, true] {
        let (old, new) = worlds().await;
        for url in [URL, OTHER] {
            old.script(url, tagged("old", "\"1\""));
            old.get(url).await;
        }
        old.settle().await;
        changed(&new, URL).await;
        hand_over(&old, &new).await;
        let new = if dies_first {
            new.settle().await;
            let next = World {
                device: Arc::new(new.device.surviving(Survival::Kill)),
                ..successor(&new)
            };
            take_over(&next).await;
            next
        } else {
            new
        };
        old.script(URL, tagged("new", "\"2\""));
        let got = new.get(URL).await;
        assert_eq!(got, (whole("new"), Some(Outcome::Stale)), "{dies_first}");
        assert_eq!(new.get(OTHER).await, (whole("old"), Some(Outcome::Hit)));
        new.settle().await;
        assert_eq!(new.get(URL).await, (whole("new"), Some(Outcome::Hit)));
    }
}

#[tokio::test]
async fn parts_that_a_change_made_invalid_meanwhile_are_gone() {
    let (old, new) = worlds().await;
    let part = with(
        request(Method::GET, URL, &[("range", "bytes=2-4")]),
        |effect| {
            effect.range_miss = RangeMiss::Part;
        },
    );
    old.script(URL, tagged("0123456789", "\"1\""));
    read(old.engine.fetch(&part).await).await;
    old.settle().await;
    changed(&new, URL).await;
    hand_over(&old, &new).await;
    old.script(URL, tagged("abcdefghij", "\"2\""));
    assert_eq!(read(new.engine.fetch(&part).await).await, whole("cde"));
}

#[tokio::test]
async fn after_too_many_changes_everything_of_their_origin_is_asked_about() {
    const OTHER: &str = "http://other.test/file";
    let (old, new) = worlds().await;
    for url in [URL, OTHER] {
        old.script(url, tagged("old", "\"1\""));
        old.get(url).await;
    }
    old.settle().await;
    for number in 0..2000 {
        changed(&new, &format!("http://origin.test/{number}")).await;
    }
    changed(&new, URL).await;
    hand_over(&old, &new).await;
    old.script(URL, tagged("new", "\"2\""));
    assert_eq!(new.get(URL).await, (whole("new"), Some(Outcome::Stale)));
    assert_eq!(new.get(OTHER).await, (whole("old"), Some(Outcome::Hit)));
}
