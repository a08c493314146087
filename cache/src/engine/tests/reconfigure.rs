//! Settings that change while the engine runs.

use super::world::{Got, World, content, engine_settings, read};
use crate::engine::tests::origin::Script;
use crate::engine::{Answer, EngineSettings, OnAbandon};
use weir_policies::outcome::Outcome;

const URL: &str = "http://host/running";
const OTHER: &str = "http://host/other";

#[tokio::test]
async fn a_running_fill_goes_on_as_it_began() {
    let world = World::new().await;
    let body = content(1, 500_000);
    let (script, gate) = Script::body(body.clone()).gated();
    world.script(URL, script);
    let growing = world.fetch(URL, &[]).await;
    world.engine.reconfigure(EngineSettings {
        memory_bytes: 0,
        flights_max: 1,
        readers_max: 1,
        on_abandon: OnAbandon::Stop,
        ..engine_settings()
    });
    gate.add_permits(3);
    drop(growing);
    gate.add_permits(10_000);
    world.settle().await;
    assert_eq!(world.get(URL).await, (Got::Whole(body), Some(Outcome::Hit)));
}

#[tokio::test]
async fn lowered_bounds_hold_for_whoever_comes_next_and_raised_ones_too() {
    let world = World::new().await;
    let (script, gate) = Script::body(content(2, 500_000)).gated();
    world.script(URL, script);
    world.script(OTHER, Script::body("other"));
    let growing = world.fetch(URL, &[]).await;
    let outcome_with = async |settings: EngineSettings| {
        world.engine.reconfigure(settings);
        world.get(OTHER).await.1
    };
    let lowered = EngineSettings {
        flights_max: 1,
        ..engine_settings()
    };
    assert_eq!(outcome_with(lowered).await, Some(Outcome::Bypass));
    let without_memory = EngineSettings {
        memory_bytes: 0,
        ..engine_settings()
    };
    assert_eq!(outcome_with(without_memory).await, Some(Outcome::Bypass));
    assert_eq!(outcome_with(engine_settings()).await, Some(Outcome::Miss));
    gate.add_permits(10_000);
    assert!(matches!(growing, Answer::Growing { .. }));
    assert!(matches!(read(growing).await, Got::Whole(_)));
}
