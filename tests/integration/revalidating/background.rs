//! stale-while-revalidate (RFC 5861 §3): a crowd gets the old one at once, and one request fetches the new one.

use futures::future::join_all;

use crate::stage::{FRESH, Stage};
use weir_tests::{Gate, Script};

const CLIENTS: usize = 50;
const LINGERING: &str =
    "Cache-Control: max-age=60, stale-while-revalidate=600\r\nAge: 90\r\nETag: \"v1\"\r\n";

/// A stale object that is stored, and what its origin says next, held back by the gate.
async fn stage(next: Script, gate: &Gate) -> Stage {
    let stage = Stage::new().await;
    let mut held = Script::after(gate);
    held.append(next);
    let scripts = [Script::ok(LINGERING, b"old"), held];
    stage.origin.on_each("/x", scripts);
    stage.get("/x").await.assert_is(200, b"old");
    stage.gateway.settled().await;
    stage
}

async fn crowd_gets_the_old_one(stage: &Stage) {
    for response in join_all((0..CLIENTS).map(|_| stage.get("/x"))).await {
        response.assert_is(200, b"old");
        assert!(response.is_hit());
        let status = response.field("cache-status").expect("a Cache-Status");
        assert!(status.contains("stale-while-revalidate"), "{status}");
    }
    stage
        .origin
        .wait_for("the request behind", |record| record.requests.len() > 1)
        .await;
    assert_eq!(stage.origin.requests(), 2, "one for all");
}

#[tokio::test]
async fn fifty_clients_get_the_stale_one_and_one_request_fetches_the_new_one() {
    let gate = Gate::new();
    let stage = stage(Script::ok(FRESH, b"new"), &gate).await;
    crowd_gets_the_old_one(&stage).await;
    gate.open();
    weir_tests::deadline::until("the new one", async || stage.get("/x").await.body == "new").await;
    assert_eq!(stage.origin.requests(), 2);
    stage.assert_hit("/x", b"new").await;
    stage.finish().await;
}

#[tokio::test]
async fn fifty_clients_get_the_stale_one_and_one_request_confirms_it() {
    let gate = Gate::new();
    let holds = format!("HTTP/1.1 304 Not Modified\r\n{FRESH}X-New: 1\r\n\r\n");
    let stage = stage(Script::of(holds), &gate).await;
    crowd_gets_the_old_one(&stage).await;
    assert_eq!(
        stage.origin.record().requests[1].values("if-none-match"),
        ["\"v1\""]
    );
    gate.open();
    weir_tests::deadline::until("the new fields", async || {
        stage.get("/x").await.field("x-new").is_some()
    })
    .await;
    assert_eq!(stage.origin.requests(), 2);
    stage.assert_hit("/x", b"old").await;
    stage.finish().await;
}

#[tokio::test]
async fn an_answer_that_is_stale_for_too_long_is_waited_for() {
    let stage = Stage::new().await;
    let brief =
        "Cache-Control: max-age=60, stale-while-revalidate=10\r\nAge: 90\r\nETag: \"v1\"\r\n";
    stage
        .origin
        .on_each("/x", [Script::ok(brief, b"old"), Script::ok(FRESH, b"new")]);
    stage.get("/x").await.assert_is(200, b"old");
    stage.assert_fetched("/x").await.assert_is(200, b"new");
    stage.finish().await;
}
