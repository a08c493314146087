//! Conditional fetches that fail in every way: an error, a bug, a shutdown.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, content, read};
use std::time::Duration;
use weir_policies::outcome::Outcome;

const STALE_IF_ERROR: &str = "max-age=60, stale-if-error=600";

async fn with_stale(control: &str) -> World {
    let world = World::new().await;
    let script = Script::body("old").header("etag", "\"1\"");
    world.script(URL, script.header("cache-control", control));
    world.get(URL).await;
    world.settle().await;
    world.later(61);
    world
}

fn old() -> Got {
    Got::Whole(b"old".to_vec())
}

#[tokio::test]
async fn a_panic_during_a_revalidation_frees_the_key_and_those_who_wait() {
    let world = with_stale("max-age=60").await;
    let script = Script::body("old").header("etag", "\"1\"");
    *script.panics.lock() = 1;
    world.script(URL, script);
    let answers = futures::future::join_all((0..50).map(|_| world.get(URL))).await;
    for (got, _) in answers {
        assert_eq!(got, old());
    }
    assert_eq!(world.engine.tasks().counts().panics, 1);
    assert_eq!(
        world.origin.asked(URL).gets,
        3,
        "the first, the one that died, one for everybody"
    );
    world.settle().await;
    assert_eq!(world.get(URL).await, (old(), Some(Outcome::Hit)));
    assert_eq!(world.engine.stats().fills_active.get(), 0);
    assert_eq!(world.engine.memory_taken_bytes(), 0);
}

#[tokio::test]
async fn a_shutdown_during_a_pause_before_a_resumption_cuts_the_reader_and_ends() {
    let world = World::new().await;
    let body = content(1, 300_000);
    let script = Script::body(body.clone()).header("etag", "\"1\"");
    world.script(URL, script.breaking_at([100_000; 1000]));
    let answer = world.fetch(URL, &[]).await;
    let reading = tokio::spawn(read(answer));
    // The first attempt is at once, and those after it pause.
    while world.origin.asked(URL).ranged < 1 {
        tokio::task::yield_now().await;
    }
    world.engine.close(Duration::ZERO).await;
    world.engine.tasks().idle().await;
    let got = reading.await.expect("no panic");
    assert_eq!(got, Got::Cut(body[..100_000].to_vec()));
    assert_eq!(world.engine.stats().fills_active.get(), 0);
    assert_eq!(world.engine.memory_taken_bytes(), 0);
    assert_eq!(world.origin.asked(URL).running, 0);
}

#[tokio::test]
async fn a_thousand_who_wait_for_a_revalidation_that_fails_share_its_end() {
    for (control, may_stand) in [(STALE_IF_ERROR, true), ("max-age=60", false)] {
        let failures = [
            Script {
                unreachable: true,
                ..Script::body("")
            },
            Script::error(503),
        ];
        for failure in failures {
            let world = with_stale(control).await;
            world.script(URL, failure);
            let answers = futures::future::join_all((0..1000).map(|_| world.get(URL))).await;
            for (got, outcome) in answers {
                if may_stand {
                    assert_eq!((got, outcome), (old(), Some(Outcome::StaleIfError)));
                } else {
                    let failed = matches!(got, Got::Failed(_) | Got::Status(503));
                    assert!(failed, "{got:?}");
                }
            }
            assert_eq!(world.origin.asked(URL).gets, 2, "{control}");
        }
    }
}
