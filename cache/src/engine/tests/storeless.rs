//! Fills that the store or the memory budget refuses: the object is lost, the clients are not.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, content, engine_settings, outcome, read};
use crate::engine::{Answer, EngineSettings};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use weir_policies::outcome::Outcome;

#[tokio::test]
async fn a_disk_that_fails_in_the_middle_costs_the_object_and_not_the_clients() {
    let world = World::new().await;
    let body = content(7, 2_000_000);
    let (script, gate) = Script::body(body.clone()).gated();
    world.script(URL, script);
    gate.add_permits(30);
    let answer = world.fetch(URL, &[]).await;
    world.device.limit_bytes(0);
    gate.add_permits(1000);
    assert_eq!(read(answer).await, Got::Whole(body.clone()));
    world.engine.tasks().idle().await;
    assert_eq!(world.engine.stats().store_refused.get(), 1);
    assert_eq!(
        world.get(URL).await.0,
        Got::Whole(body),
        "and a full disk still lets misses through"
    );
}

#[tokio::test]
async fn a_late_client_of_a_fill_that_lost_its_store_gets_a_fetch_of_its_own() {
    let world = World::new().await;
    let body = content(8, 2_000_000);
    let (script, gate) = Script::body(body.clone()).gated();
    world.script(URL, script);
    gate.add_permits(30);
    let Answer::Growing { mut reader, .. } = world.fetch(URL, &[]).await else {
        panic!("not growing")
    };
    world.device.limit_bytes(0);
    gate.add_permits(30);
    let mut read_bytes = 0;
    while world.engine.stats().store_refused.get() == 0 {
        read_bytes += reader
            .next(usize::MAX)
            .await
            .expect("readable")
            .expect("more to come")
            .len();
    }
    let late = world.fetch(URL, &[]).await;
    assert_ne!(outcome(&late), Some(Outcome::Joined));
    gate.add_permits(1000);
    assert_eq!(read(late).await, Got::Whole(body.clone()));
    while let Some(piece) = reader.next(usize::MAX).await.expect("readable") {
        read_bytes += piece.len();
    }
    assert_eq!(read_bytes, body.len());
}

#[tokio::test]
async fn a_store_that_takes_nothing_still_shares_one_fetch() {
    let world = Arc::new(World::new().await);
    world.device.limit_bytes(0);
    let body = content(10, 3_000_000);
    let (script, gate) = Script::body(body.clone()).gated();
    world.script(URL, script);
    let mut clients = JoinSet::new();
    for _ in 0..20 {
        let world = Arc::clone(&world);
        clients.spawn(async move { world.get(URL).await.0 });
    }
    while world.engine.stats().joined.get() < 19 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1000);
    while let Some(got) = clients.join_next().await {
        assert!(got.expect("no panic") == Got::Whole(body.clone()));
    }
    assert_eq!(world.origin.asked(URL).gets, 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_a_stalled_reader_is_cut_off_and_the_others_go_on() {
    let world = World::new().await;
    world.device.limit_bytes(0);
    let body = content(11, 3_000_000);
    let (script, gate) = Script::body(body.clone()).gated();
    world.script(URL, script);
    let stalled = world.fetch(URL, &[]).await;
    let going = world.fetch(URL, &[]).await;
    gate.add_permits(1000);
    assert!(read(going).await == Got::Whole(body));
    let Got::Cut(got) = read(stalled).await else {
        panic!("the stalled reader got what nobody kept")
    };
    assert!(got.is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_store_a_lone_reader_may_take_its_time() {
    let world = World::new().await;
    world.device.limit_bytes(0);
    let body = content(12, 3_000_000);
    world.script(URL, Script::body(body.clone()));
    let alone = world.fetch(URL, &[]).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(read(alone).await == Got::Whole(body));
}

#[tokio::test]
async fn a_used_up_memory_budget_streams_uncached_and_is_counted() {
    let world = World::with(EngineSettings {
        memory_bytes: 0,
        ..engine_settings()
    })
    .await;
    world.script(URL, Script::body("streamed"));
    assert_eq!(
        world.get(URL).await,
        (Got::Whole(b"streamed".to_vec()), Some(Outcome::Bypass))
    );
    assert_eq!(world.engine.stats().bound_memory.get(), 1);
    assert_eq!(world.origin.asked(URL).gets, 1);
}
