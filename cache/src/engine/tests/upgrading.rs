//! The data is given away: what runs goes on in the old engine, for its readers.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, content, engine_settings, store_settings, stored};
use crate::engine::{Answer, Engine, FlightReader};
use crate::events::Events;
use crate::ports::{Clock, Device, Origin};
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::outcome::Outcome;

/// What the origin sends for one permit, bytes.
const PIECE_BYTES: usize = 16 * 1024;
/// More of them than a fill keeps in memory.
const PIECES: usize = 400;
const DEADLINE: Duration = Duration::from_secs(60);

/// A world of the next process: the same disk, origin and clock, and no store yet.
pub(super) fn successor(old: &World) -> World {
    let engine = Engine::awaiting_store(
        Arc::clone(&old.origin) as Arc<dyn Origin>,
        Arc::clone(&old.clock) as Arc<dyn Clock>,
        engine_settings(),
        Events::default(),
    );
    World {
        device: Arc::clone(&old.device),
        clock: Arc::clone(&old.clock),
        origin: Arc::clone(&old.origin),
        engine,
    }
}

pub(super) async fn take_over(new: &World) {
    let disk: Arc<dyn Device> = Arc::clone(&new.device) as _;
    let clock: Arc<dyn Clock> = Arc::clone(&new.clock) as _;
    let store = Store::open(vec![disk], store_settings(), clock).await;
    new.engine.install(store.expect("the lock is free"));
}

async fn reader(world: &World) -> FlightReader {
    match world.fetch(URL, &[]).await {
        Answer::Growing { reader, .. } => reader,
        other => panic!("not growing: {other:?}"),
    }
}

/// Reads until `wanted` bytes are there or the end.
async fn read_some(reader: &mut FlightReader, body: &mut Vec<u8>, wanted: usize) {
    while body.len() < wanted {
        match reader.next(wanted - body.len()).await.expect("readable") {
            Some(piece) => body.extend_from_slice(&piece),
            None => return,
        }
    }
}

#[tokio::test]
async fn a_fill_ends_right_for_readers_near_and_far_when_its_store_is_given_away() {
    let old = World::new().await;
    let body = content(1, 12_000_000);
    let (script, gate) = Script::body(body.clone()).gated();
    old.script(URL, script);
    gate.add_permits(PIECES);
    let (mut near, mut far) = (reader(&old).await, reader(&old).await);
    let (mut near_body, mut far_body) = (Vec::new(), Vec::new());
    read_some(&mut near, &mut near_body, PIECES * PIECE_BYTES).await;
    read_some(&mut far, &mut far_body, 10).await;
    old.engine.retire(DEADLINE).await;
    let new = successor(&old);
    take_over(&new).await;
    gate.add_permits(1000);
    let all = body.len();
    tokio::join!(
        read_some(&mut near, &mut near_body, all + 1),
        read_some(&mut far, &mut far_body, all + 1),
    );
    assert!(near_body == body, "{} bytes", near_body.len());
    assert!(far_body == body, "{} bytes", far_body.len());
    old.settle().await;
    assert_eq!(old.engine.stats().store_refused.get(), 0, "nothing failed");
    assert!(new.store().lookup(&near.head().key).await.is_empty());
}

#[tokio::test]
async fn a_hit_is_read_to_its_end_after_the_store_was_given_away() {
    let old = World::new().await;
    let body = content(2, 2_000_000);
    old.script(URL, Script::body(body.clone()));
    old.get(URL).await;
    old.settle().await;
    let Answer::Stored { object, .. } = old.fetch(URL, &[]).await else {
        panic!("not stored")
    };
    old.engine.retire(DEADLINE).await;
    let new = successor(&old);
    take_over(&new).await;
    assert!(stored(&object).await == body);
    assert_eq!(new.get(URL).await, (Got::Whole(body), Some(Outcome::Hit)));
}

#[tokio::test]
async fn who_has_given_the_data_away_fetches_for_each_client_alone() {
    let old = World::new().await;
    old.script(URL, Script::body("x"));
    old.engine.retire(DEADLINE).await;
    let uncached = (Got::Whole(b"x".to_vec()), Some(Outcome::Bypass));
    for gets in 1..=2 {
        assert_eq!(old.get(URL).await, uncached);
        assert_eq!(old.origin.asked(URL).gets, gets);
    }
}

#[tokio::test]
async fn only_if_cached_is_refused_while_the_data_is_another_process_s() {
    let old = World::new().await;
    let new = successor(&old);
    let answer = new.fetch(URL, &[("cache-control", "only-if-cached")]).await;
    assert!(matches!(answer, Answer::NotCached), "{answer:?}");
}

#[tokio::test]
async fn a_reader_that_stands_still_does_not_hold_up_the_others_of_a_fill_without_its_store() {
    let old = World::new().await;
    let body = content(3, 3_000_000);
    let (script, gate) = Script::body(body.clone()).gated();
    old.script(URL, script);
    gate.add_permits(10);
    let still = reader(&old).await;
    let (mut going, mut got) = (reader(&old).await, Vec::new());
    read_some(&mut going, &mut got, 10 * PIECE_BYTES).await;
    old.engine.retire(DEADLINE).await;
    // From here on everything is in memory, and time may fly.
    tokio::time::pause();
    gate.add_permits(1000);
    read_some(&mut going, &mut got, body.len() + 1).await;
    assert!(got == body, "{} bytes", got.len());
    drop(still);
}
