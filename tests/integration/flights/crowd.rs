//! Many clients, one fetch.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::Barrier;

use super::Reader;
use crate::stage::{FRESH, Stage};
use weir_tests::client::forward;
use weir_tests::deadline::within;
use weir_tests::{Content, Gate, Script};

/// A crowd that no gateway serves by accident.
const CLIENTS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_on_a_cold_object_make_one_fetch() {
    let stage = Arc::new(Stage::new().await);
    let content = Content::new(200, 256 * 1024);
    let gate = Gate::new();
    let half = content.length() / 2;
    stage.origin.on(
        "/x",
        Script::ok_in_halves(FRESH, &content.bytes(), half, &gate),
    );
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
        assert_eq!(client.expect("no client fails"), (content.length(), true));
    }
    assert_eq!(stage.origin.requests(), 1);
    stage.assert_hit("/x", &content.bytes()).await;
    let stage = Arc::into_inner(stage).expect("the clients have gone");
    stage.finish().await;
}

#[tokio::test]
async fn the_fill_completes_when_its_first_client_is_killed() {
    let stage = Stage::new().await;
    let content = Content::new(15, 8 * 1024 * 1024);
    let gate = Gate::new();
    let fifteen_percent = content.length() * 15 / 100;
    let script = Script::ok_in_halves(FRESH, &content.bytes(), fifteen_percent, &gate);
    stage.origin.on("/x", script);
    let client = Reader::ask(&stage, "/x", "").await;
    let reader = Reader::begin(client, &content, fifteen_percent).await;
    reader.client.reset();
    gate.open();
    stage
        .origin
        .wait_for("the whole transfer", |record| record.completed == 1)
        .await;
    stage.assert_hit("/x", &content.bytes()).await;
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_does_not_hold_up_the_others() {
    let stage = Stage::new().await;
    let content = Content::new(7, 16 * 1024 * 1024);
    stage.origin.on("/x", Script::ok(FRESH, &content.bytes()));
    let stalled = Reader::begin(Reader::ask(&stage, "/x", "").await, &content, 1).await;
    stage.get("/x").await.assert_is(200, &content.bytes());
    stage.assert_hit("/x", &content.bytes()).await;
    assert_eq!(stalled.end(&content).await, (content.length(), true));
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn ranges_are_answered_before_the_fill_is_complete() {
    let stage = Stage::new().await;
    let content = Content::new(3, 512 * 1024);
    let gate = Gate::new();
    let half = content.length() / 2;
    stage.origin.on(
        "/x",
        Script::ok_in_halves(FRESH, &content.bytes(), half, &gate),
    );
    let first = Reader::begin(Reader::ask(&stage, "/x", "").await, &content, half).await;
    for (start, end) in [(0, 100), (1000, 70_000), (half - 10, half)] {
        let fields = format!("Range: bytes={start}-{}\r\n", end - 1);
        let response = stage.get_with("/x", &fields).await;
        response.assert_is(206, &content.slice(start, end));
        let range = format!("bytes {start}-{}/{}", end - 1, content.length());
        assert_eq!(response.field("content-range"), Some(range.as_str()));
    }
    assert_eq!(
        stage.origin.record().completed,
        0,
        "the second half is still held"
    );
    gate.open();
    assert_eq!(first.end(&content).await, (content.length(), true));
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

/// What never changes is fetched as a whole, whatever is asked of it.
const ARCHIVE: &str = "/x-1.0.tar.gz";

#[tokio::test]
async fn sixteen_ranges_of_a_cold_object_make_one_fetch() {
    let stage = Stage::new().await;
    let content = Content::new(16, 1024 * 1024);
    stage
        .origin
        .on(ARCHIVE, Script::ok(FRESH, &content.bytes()));
    let part = content.length() / 16;
    let parts = (0..16).map(|index| {
        let fields = format!(
            "Range: bytes={}-{}\r\n",
            index * part,
            (index + 1) * part - 1
        );
        let (stage, content) = (&stage, &content);
        async move {
            let response = stage.get_with(ARCHIVE, &fields).await;
            response.assert_is(206, &content.slice(index * part, (index + 1) * part));
        }
    });
    join_all(parts).await;
    assert_eq!(stage.origin.requests(), 1);
    assert!(stage.origin.record().requests[0].values("range").is_empty());
    stage.finish().await;
}

#[tokio::test]
async fn head_is_answered_from_a_running_fill() {
    let stage = Stage::new().await;
    let content = Content::new(4, 128 * 1024);
    let gate = Gate::new();
    let half = content.length() / 2;
    stage.origin.on(
        "/x",
        Script::ok_in_halves(FRESH, &content.bytes(), half, &gate),
    );
    let first = Reader::begin(Reader::ask(&stage, "/x", "").await, &content, 1).await;
    let mut client = stage.gateway.connect().await;
    let response = client
        .exchange(&forward("HEAD", &stage.origin.url("/x"), ""))
        .await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.field("content-length"),
        Some(content.length().to_string().as_str())
    );
    assert_eq!(stage.origin.requests(), 1);
    gate.open();
    assert_eq!(first.end(&content).await, (content.length(), true));
    stage.finish().await;
}

#[tokio::test]
async fn head_of_a_cold_object_starts_no_fill() {
    let stage = Stage::new().await;
    stage.origin.on_each(
        "/x",
        [
            Script::of(
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nCache-Control: max-age=600\r\n\r\n",
            ),
            Script::ok(FRESH, b"the whole"),
        ],
    );
    let response = stage
        .gateway
        .request("HEAD", &stage.origin.url("/x"), "")
        .await;
    assert_eq!(
        (response.status(), response.field("content-length")),
        (200, Some("9"))
    );
    let record = stage.origin.record();
    assert_eq!(record.requests.len(), 1);
    assert_eq!(record.requests[0].method(), "HEAD");
    stage.get("/x").await.assert_is(200, b"the whole");
    stage.finish().await;
}
