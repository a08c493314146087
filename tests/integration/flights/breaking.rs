//! A fetch that breaks: everybody sees it, nothing is kept, the next request heals.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::Barrier;

use super::{Reader, read_prefix};
use crate::stage::{FRESH, Stage};
use weir_tests::deadline::within;
use weir_tests::{Content, Gate, Gateway, Script};

const CLIENTS: usize = 20;

/// The object is fresh when it is whole.
fn whole(content: &Content) -> Script {
    Script::ok(FRESH, &content.bytes())
}

/// Nothing of the broken fetch may be left, and the object must come whole.
async fn heals(stage: &Stage, content: &Content) {
    stage.gateway.settled().await;
    assert!(
        stage.gateway.temporary_files().is_empty(),
        "a partial object is left behind"
    );
    let before = stage.origin.requests();
    stage.get("/x").await.assert_is(200, &content.bytes());
    assert_eq!(
        stage.origin.requests(),
        before + 1,
        "something broken was stored"
    );
    stage.assert_hit("/x", &content.bytes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_at_half_with_a_length_is_seen_by_every_client() {
    let stage = Arc::new(Stage::new().await);
    let content = Content::new(50, 256 * 1024);
    let gate = Gate::new();
    let (length, half) = (content.length(), content.slice(0, content.length() / 2));
    let head = format!("HTTP/1.1 200 OK\r\n{FRESH}Content-Length: {length}\r\n\r\n");
    let broken = Script::of(head).then(half).wait(&gate).reset();
    stage.origin.on_each("/x", [broken, whole(&content)]);
    let all_have_a_byte = Arc::new(Barrier::new(CLIENTS + 1));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (stage, content) = (Arc::clone(&stage), content.clone());
            let barrier = Arc::clone(&all_have_a_byte);
            tokio::spawn(async move {
                let client = Reader::ask(&stage, "/x", "").await;
                let reader = Reader::begin(client, &content, 1).await;
                barrier.wait().await;
                reader.end(&content).await
            })
        })
        .collect();
    within("a first byte for everybody", all_have_a_byte.wait()).await;
    gate.open();
    for client in join_all(clients).await {
        let (received, is_clean) = client.expect("sees a short body and no wrong byte");
        assert!(!is_clean && received < length, "{received} of {length}");
    }
    assert_eq!(stage.origin.requests(), 1);
    heals(&stage, &content).await;
    let stage = Arc::into_inner(stage).expect("the clients have gone");
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_at_half_between_chunks_is_seen_by_every_client() {
    let stage = Arc::new(Stage::new().await);
    let content = Content::new(51, 256 * 1024);
    let gate = Gate::new();
    let half = content.slice(0, content.length() / 2);
    let head = format!("HTTP/1.1 200 OK\r\n{FRESH}Transfer-Encoding: chunked\r\n\r\n");
    let broken = Script::of(head).chunk(&half).wait(&gate).reset();
    stage.origin.on_each("/x", [broken, whole(&content)]);
    // The first client has the head, so that the others find a running fetch.
    let mut first = Reader::ask(&stage, "/x", "").await;
    let head = first.head().await;
    let clients: Vec<_> = (1..CLIENTS)
        .map(|_| {
            let (stage, content) = (Arc::clone(&stage), content.clone());
            tokio::spawn(async move {
                let client = Reader::ask(&stage, "/x", "").await;
                read_prefix(client, &content).await
            })
        })
        .collect();
    first.some_bytes().await.expect("a first byte");
    gate.open();
    let mut endings = Vec::new();
    for client in join_all(clients).await {
        endings.push(client.expect("sees the origin's bytes only"));
    }
    let (_, close) = first.remainder().await;
    assert!(
        head.field("content-length").is_none(),
        "{close:?}: the length was not known"
    );
    let record = stage.origin.record();
    for (received, ending) in endings {
        // Whoever came after the reset got the second, whole fetch.
        let is_whole = ending.is_clean() && received == content.length();
        assert!(
            is_whole || !ending.is_clean(),
            "{received} bytes passed off as all: {ending:?}"
        );
        assert!(
            !is_whole || record.requests.len() > 1,
            "whole, though the only fetch broke"
        );
    }
    if record.requests.len() == 1 {
        heals(&stage, &content).await;
    }
    let stage = Arc::into_inner(stage).expect("the clients have gone");
    stage.gateway.finish_with_warnings().await;
}

/// Checks that waiters on a failing origin all get its answer, from one request.
async fn answers_everybody(failure: Script, status: u16) {
    let stage = Stage::with(Gateway::builder().set("fill.hold_down", "30s")).await;
    let gate = Gate::new();
    let mut held = Script::after(&gate);
    held.append(failure);
    stage.origin.on("/x", held);
    let first = Reader::ask(&stage, "/x", "").await;
    stage
        .origin
        .wait_for("the only request", |record| record.requests.len() == 1)
        .await;
    let mut waiting = vec![first];
    for _ in 1..CLIENTS {
        waiting.push(Reader::ask(&stage, "/x", "").await);
    }
    gate.open();
    for mut client in waiting {
        let response = client.response("GET").await;
        assert_eq!(response.status(), status, "{}", response.text());
        assert!(response.ending.is_clean());
    }
    assert_eq!(stage.origin.requests(), 1, "a sick origin is left alone");
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn waiters_on_an_unwell_origin_all_get_its_answer() {
    answers_everybody(Script::status("503 Service Unavailable", "", b"later"), 503).await;
}

#[tokio::test]
async fn waiters_on_a_missing_object_all_get_its_answer() {
    answers_everybody(Script::status("404 Not Found", "", b"none"), 404).await;
}

#[tokio::test]
async fn waiters_on_an_origin_that_breaks_the_protocol_all_get_a_failure() {
    answers_everybody(Script::of("nonsense\r\n\r\n").close(), 502).await;
}
