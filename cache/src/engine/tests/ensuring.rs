//! Having something here for certain, and what is remembered of responses.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, content, engine_settings, read, request};
use crate::engine::flight::{Entered, Phase};
use crate::engine::{
    Answer, Arrived, EngineSettings, Ensured, Fate, FetchRequest, Lack, LastResponse, OnAbandon,
    Onlooker, Way,
};
use http::{Method, StatusCode};
use std::sync::Arc;
use weir_policies::effect::StoreRule;
use weir_policies::outcome::Outcome;
use weir_policies::storability::NotStored;

fn wanted() -> FetchRequest {
    request(Method::GET, URL, &[])
}

async fn ensured(world: &World, request: &FetchRequest) -> Ensured {
    world.engine.ensure(request, &Onlooker::default()).await
}

/// The length and way of what is here.
fn here(ensured: &Ensured) -> (u64, Way) {
    match ensured {
        Ensured::Here(object, way) => (object.length(), *way),
        other => panic!("not here: {other:?}"),
    }
}

fn fate(ensured: &Ensured) -> Fate {
    match ensured {
        Ensured::Missing(Lack::Response(LastResponse { fate, .. })) => *fate,
        other => panic!("no fate: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_ensured_is_committed_and_a_hit() {
    let world = World::new().await;
    world.script(URL, Script::body("0123456789"));
    assert_eq!(here(&ensured(&world, &wanted()).await), (10, Way::Fetched));
    assert_eq!(here(&ensured(&world, &wanted()).await), (10, Way::Hit));
    assert_eq!(world.origin.asked(URL).gets, 1);
}

#[tokio::test]
async fn an_onlooker_sees_bytes_arrive_and_slows_nothing() {
    let world = World::new().await;
    let (script, gate) = Script::body(content(1, 64 * 1024)).gated();
    world.script(URL, script);
    let onlooker = Arc::new(Onlooker::default());
    assert_eq!(onlooker.arrived(), None);
    let (engine, looking) = (Arc::clone(&world.engine), Arc::clone(&onlooker));
    let ensuring = tokio::spawn(async move { engine.ensure(&wanted(), &looking).await });
    gate.add_permits(2);
    let halfway = Some(Arrived {
        bytes: 32 * 1024,
        total: Some(64 * 1024),
    });
    while onlooker.arrived() != halfway {
        tokio::task::yield_now().await;
    }
    gate.add_permits(100);
    let ensured = ensuring.await.unwrap();
    assert_eq!(here(&ensured), (64 * 1024, Way::Fetched));
}

#[tokio::test]
async fn a_fill_goes_on_without_the_one_who_ensured() {
    let world = World::with(EngineSettings {
        on_abandon: OnAbandon::Stop,
        ..engine_settings()
    })
    .await;
    let (script, gate) = Script::body("0123456789").gated();
    world.script(URL, script);
    let engine = Arc::clone(&world.engine);
    let request = wanted();
    let ensuring = tokio::spawn(async move {
        let onlooker = Onlooker::default();
        engine.ensure(&request, &onlooker).await
    });
    while world.origin.asked(URL).gets == 0 {
        tokio::task::yield_now().await;
    }
    ensuring.abort();
    assert!(ensuring.await.is_err(), "it was aborted");
    gate.add_permits(100);
    world.settle().await;
    assert_eq!(here(&ensured(&world, &wanted()).await), (10, Way::Hit));
}

#[tokio::test]
async fn a_fetch_that_its_client_gives_up_is_taken_over() {
    let world = World::with(EngineSettings {
        on_abandon: OnAbandon::Stop,
        ..engine_settings()
    })
    .await;
    let (script, gate) = Script::body(content(1, 64 * 1024)).gated();
    world.script(URL, script);
    let client = world.fetch(URL, &[]).await;
    let engine = Arc::clone(&world.engine);
    let ensuring =
        tokio::spawn(async move { engine.ensure(&wanted(), &Onlooker::default()).await });
    tokio::task::yield_now().await;
    drop(client);
    while world.origin.asked(URL).gets < 2 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1000);
    assert_eq!(here(&ensuring.await.unwrap()), (64 * 1024, Way::Fetched));
}

#[tokio::test]
async fn who_follows_redirects_waits_for_no_redirect() {
    let world = World::new().await;
    let to = Script::body("moved").status(302);
    world.script(URL, to.header("location", "http://cdn.test/x"));
    world.script("http://cdn.test/x", Script::body("text"));
    let mut follows = wanted();
    follows.plan.follows = true;
    let plain = wanted();
    let onlookers = (Onlooker::default(), Onlooker::default());
    let (first, second) = tokio::join!(
        world.engine.ensure(&plain, &onlookers.0),
        world.engine.ensure(&follows, &onlookers.1)
    );
    assert_eq!(here(&first), (5, Way::Fetched));
    assert_eq!(here(&second), (4, Way::Fetched));
}

#[tokio::test]
async fn a_fill_that_meets_a_bug_is_tried_again_a_few_times() {
    let world = World::new().await;
    let script = Script::body("0123456789");
    *script.panics.lock() = 1;
    world.script(URL, script.clone());
    assert_eq!(here(&ensured(&world, &wanted()).await), (10, Way::Fetched));
    let other = "http://host/other";
    *script.panics.lock() = 100;
    world.script(other, script);
    let never = ensured(&world, &request(Method::GET, other, &[])).await;
    assert!(
        matches!(never, Ensured::Missing(Lack::Unsettled)),
        "{never:?}"
    );
}

#[tokio::test]
async fn every_reason_to_have_nothing_is_told_and_remembered() {
    let check = async |script: Script, expected: Fate, status: Option<u16>| {
        let world = World::new().await;
        world.script(URL, script);
        assert_eq!(fate(&ensured(&world, &wanted()).await), expected);
        let last = world
            .engine
            .last_response(&wanted().key)
            .expect("remembered");
        assert_eq!(last.fate, expected);
        assert_eq!(last.status.map(|status| status.as_u16()), status);
    };
    let says = |value| Script::body("x").header("cache-control", value);
    let not = Fate::NotStored;
    check(says("private"), not(NotStored::Private), Some(200)).await;
    check(says("no-store"), not(NotStored::NoStore), Some(200)).await;
    let star = says("max-age=9").header("vary", "*");
    check(star, not(NotStored::VaryStar), Some(200)).await;
    let broken = Script {
        breaks_at: Some(5),
        ..Script::body("0123456789")
    };
    check(broken, Fate::Failed("truncated"), Some(200)).await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_remembered() {
    let world = World::new().await;
    world.script(URL, Script::body(content(7, 2_000_000)));
    world.device.limit_bytes(0);
    let refused = fate(&ensured(&world, &wanted()).await);
    assert!(matches!(refused, Fate::StoreRefused(_)), "{refused:?}");
}

#[tokio::test]
async fn a_rule_against_sharing_asks_nobody() {
    let world = World::new().await;
    let mut alone = wanted();
    let mut effect = (*alone.plan.effect).clone();
    effect.store = StoreRule::Never;
    alone.plan.effect = effect.into();
    alone.plan.shared = false;
    let refused = ensured(&world, &alone).await;
    assert!(
        matches!(refused, Ensured::Missing(Lack::NotShared)),
        "{refused:?}"
    );
    assert_eq!(world.origin.asked(URL).gets, 0);
}

#[tokio::test]
async fn a_stale_object_is_revalidated_replaced_or_stale() {
    let world = World::new().await;
    let tagged = |body: &'static str, tag| Script::body(body).header("etag", tag);
    world.script(URL, tagged("one", "\"1\""));
    here(&ensured(&world, &wanted()).await);
    world.later(100);
    assert_eq!(
        here(&ensured(&world, &wanted()).await),
        (3, Way::Revalidated)
    );
    world.later(100);
    world.script(URL, tagged("three", "\"2\""));
    assert_eq!(here(&ensured(&world, &wanted()).await), (5, Way::Fetched));
    world.later(100);
    let down = Script {
        unreachable: true,
        ..Script::body("")
    };
    world.script(URL, down);
    let missing = ensured(&world, &wanted()).await;
    assert!(
        matches!(missing, Ensured::Missing(Lack::Failed(_))),
        "{missing:?}"
    );
    world.later(10);
    let mut lenient = wanted();
    lenient.plan.adjust.stale_for = Some(10_000);
    let stale = ensured(&world, &lenient).await;
    assert!(
        matches!(stale, Ensured::Stale(_, Lack::Failed(_))),
        "{stale:?}"
    );
}

#[tokio::test]
async fn what_must_be_asked_about_every_time_counts_when_it_was() {
    let world = World::new().await;
    let script = Script::body("one").header("cache-control", "no-cache");
    world.script(URL, script.header("etag", "\"1\""));
    assert_eq!(here(&ensured(&world, &wanted()).await), (3, Way::Fetched));
    assert_eq!(
        here(&ensured(&world, &wanted()).await),
        (3, Way::Revalidated)
    );
}

#[tokio::test]
async fn what_is_said_of_another_variant_is_not_said_of_this_one() {
    for said in [Outcome::Revalidated, Outcome::StaleWhileRevalidate] {
        let world = World::new().await;
        let variant = |body: &'static str, tag| {
            let script = Script::body(body).header("vary", "accept-encoding");
            script.header("etag", tag)
        };
        world.script(URL, variant("zip", "\"z\""));
        let packed = [("accept-encoding", "gzip")];
        read(world.fetch(URL, &packed).await).await;
        world.script(URL, variant("plain", "\"p\""));
        assert_eq!(here(&ensured(&world, &wanted()).await), (5, Way::Fetched));
        world.settle().await;
        let Answer::Stored { object: other, .. } = world.fetch(URL, &packed).await else {
            panic!("not stored")
        };
        world.later(61);

        let wanted = wanted();
        let Entered::Lead(listing) = world.engine.enter(&wanted) else {
            panic!("a flight runs")
        };
        let flight = Arc::clone(&listing.flight);
        let unjoined = Arc::strong_count(&flight);
        let engine = Arc::clone(&world.engine);
        let ensuring =
            tokio::spawn(async move { engine.ensure(&wanted, &Onlooker::default()).await });
        while Arc::strong_count(&flight) == unjoined {
            tokio::task::yield_now().await;
        }
        world.script(URL, variant("newer", "\"n\""));
        flight.advance(Phase::Validated(other, said));
        drop(listing);
        let ensured = ensuring.await.unwrap();
        assert_eq!(here(&ensured), (5, Way::Fetched), "{said:?}");
        assert_eq!(world.origin.asked(URL).gets, 3, "{said:?}: it was asked");
    }
}

#[tokio::test]
async fn a_hit_is_not_remembered_and_a_client_of_its_own_is() {
    let world = World::new().await;
    let key = wanted().key;
    let last = || {
        world
            .engine
            .last_response(&key)
            .map(|last| (last.fate, last.status))
    };
    assert_eq!(last(), None);
    world.script(URL, Script::body("x"));
    world.get(URL).await;
    world.settle().await;
    let stored = Some((Fate::Stored, Some(StatusCode::OK)));
    assert_eq!(last(), stored);
    world.later(5);
    assert_eq!(world.get(URL).await.0, Got::Whole(b"x".to_vec()));
    assert_eq!(last(), stored);
    let at = |world: &World| world.engine.last_response(&key).map(|last| last.at);
    let before = at(&world);
    let answer = world.fetch(URL, &[("authorization", "Basic eDp5")]).await;
    read(answer).await;
    world.settle().await;
    let reason = Fate::NotStored(NotStored::Authorization);
    assert_eq!(last(), Some((reason, Some(StatusCode::OK))));
    assert!(at(&world) > before);
}
