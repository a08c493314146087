//! Fills that nobody reads.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, engine_settings, request};
use crate::engine::{EngineSettings, OnAbandon, WarmHead, Warmed};
use http::{Method, StatusCode};
use weir_policies::outcome::Outcome;

#[tokio::test]
async fn cp_07_two_calls_start_one_fill_and_both_learn_its_head() {
    // Also where fills stop when nobody reads: this one never had a reader.
    let settings = EngineSettings {
        on_abandon: OnAbandon::Stop,
        ..engine_settings()
    };
    let world = World::with(settings).await;
    world.script(URL, Script::body("0123456789"));
    let wanted = request(Method::HEAD, URL, &[]);
    let (Warmed::Filling(first), Warmed::Filling(second)) = (
        world.engine.warm(&wanted).await,
        world.engine.warm(&wanted).await,
    ) else {
        panic!("not filling")
    };
    for fill in [first, second] {
        let head = fill.head().await;
        let WarmHead::Storing { status, length } = head else {
            panic!("{head:?}")
        };
        assert_eq!((status, length), (StatusCode::OK, Some(10)));
    }
    world.settle().await;
    assert_eq!(world.origin.asked(URL).gets, 1);
    assert!(matches!(
        world.engine.warm(&wanted).await,
        Warmed::Cached(_, 0, 60)
    ));
    assert_eq!(
        world.get(URL).await,
        (Got::Whole(b"0123456789".to_vec()), Some(Outcome::Hit))
    );
}

#[tokio::test]
async fn what_cannot_be_stored_says_so() {
    let world = World::new().await;
    world.script(URL, Script::body("x").header("cache-control", "no-store"));
    let Warmed::Filling(fill) = world.engine.warm(&request(Method::GET, URL, &[])).await else {
        panic!("not filling")
    };
    assert!(matches!(fill.head().await, WarmHead::NotStored));
}

#[tokio::test]
async fn an_object_above_the_limit_is_refused_by_its_head() {
    let world = World::new().await;
    world.script(URL, Script::body("0123456789"));
    let mut wanted = request(Method::GET, URL, &[]);
    let mut effect = (*wanted.plan.effect).clone();
    effect.size_max = Some(9);
    wanted.plan.effect = effect.into();
    let Warmed::Filling(fill) = world.engine.warm(&wanted).await else {
        panic!("not filling")
    };
    let head = fill.head().await;
    assert!(matches!(head, WarmHead::TooLarge { limit: 9 }), "{head:?}");
    assert!(
        matches!(world.engine.warm(&wanted).await, Warmed::Failed(_)),
        "held down"
    );
    assert_eq!(world.origin.asked(URL).gets, 1);
}
