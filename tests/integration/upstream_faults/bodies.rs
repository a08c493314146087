//! Rows 117–119, 121, 123, 128 and 133: bodies that end early, late, or in doubt (RFC 9112 §6.3, §7.1, §8).

use super::{fails_and_heals, fails_and_heals_on};
use crate::stage::{FRESH, Stage};
use weir_tests::client::forward;
use weir_tests::{Ending, Gate, Gateway, Script};

/// A head that announces chunks.
fn chunked() -> Script {
    Script::of(format!(
        "HTTP/1.1 200 OK\r\n{FRESH}Transfer-Encoding: chunked\r\n\r\n"
    ))
}

#[tokio::test]
async fn row_117_a_body_shorter_than_its_length_is_cut_for_the_client_too() {
    let head = format!("HTTP/1.1 200 OK\r\n{FRESH}Content-Length: 1000\r\n\r\n");
    fails_and_heals(Script::of(head).then("only this").close()).await;
}

#[tokio::test]
async fn row_118_a_connection_with_bytes_beyond_the_length_is_not_reused() {
    let stage = Stage::new().await;
    stage.origin.on(
        "/x",
        Script::ok("", b"exact").then("HTTP/1.1 200 OK\r\n\r\nsmuggled"),
    );
    stage.fresh("/y", b"own");
    stage.get("/x").await.assert_is(200, b"exact");
    stage.get("/y").await.assert_is(200, b"own");
    assert_eq!(stage.origin.record().connections, 2);
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_119_bad_chunk_sizes_abort() {
    let sizes = [
        "xyz\r\n",
        "-1\r\n",
        "+5\r\n",
        "0x5\r\n",
        "fffffffffffffffff\r\n",
        " 5\r\n",
        "5 5\r\n",
    ];
    for size in sizes {
        fails_and_heals(
            chunked()
                .chunk(b"good")
                .then(size)
                .then("fives\r\n0\r\n\r\n")
                .close(),
        )
        .await;
    }
}

#[tokio::test]
async fn row_119_truncated_chunks_abort() {
    fails_and_heals(chunked().chunk(b"good").then("ff\r\nfew").close()).await;
    fails_and_heals(chunked().chunk(b"good").close()).await;
    fails_and_heals(chunked().chunk(b"good").then("0\r\n").close()).await;
}

#[tokio::test]
async fn row_119_a_chunk_longer_than_its_size_aborts() {
    fails_and_heals(chunked().then("4\r\nfours\r\n0\r\n\r\n").close()).await;
}

#[tokio::test]
async fn row_121_with_length_and_chunks_the_chunks_count() {
    let stage = Stage::new().await;
    let fields = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    let both = Script::of(format!("HTTP/1.1 200 OK\r\n{fields}"));
    stage
        .origin
        .on("/x", both.chunk(b"chunks").then("0\r\n\r\n"));
    stage.fresh("/y", b"own");
    let response = stage.get("/x").await;
    response.assert_is(200, b"chunks");
    assert_ne!(response.field("content-length"), Some("3"));
    stage.get("/y").await.assert_is(200, b"own");
    assert_eq!(
        stage.origin.record().connections,
        2,
        "its connection is not reused"
    );
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_123_an_open_end_by_fin_is_relayed_and_not_stored() {
    let stage = Stage::new().await;
    let open = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\n");
    stage
        .origin
        .on("/x", Script::of(open).then("perhaps all").close());
    for count in 1..=2 {
        stage.gateway.settled().await;
        let response = stage.get("/x").await;
        response.assert_is(200, b"perhaps all");
        assert_eq!(
            response.ending,
            Ending::Closed,
            "the client sees the same ambiguity"
        );
        assert_eq!(stage.origin.requests(), count);
    }
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_123_an_open_end_by_reset_is_an_abort() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    let open = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\n");
    stage
        .origin
        .on("/x", Script::of(open).then("half").wait(&gate).reset());
    let mut client = stage.gateway.connect().await;
    client
        .send(forward("GET", &stage.origin.url("/x"), ""))
        .await;
    let head = client.head().await;
    client
        .exactly(4, &mut |_| ())
        .await
        .expect("the half that came");
    gate.open();
    let ending = client.body(&head, "GET", |_| ()).await;
    assert!(!ending.is_clean(), "{ending:?}");
    stage.fresh("/x", b"whole");
    stage.assert_fetched("/x").await.assert_is(200, b"whole");
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_128_no_content_has_neither_body_nor_length() {
    let stage = Stage::new().await;
    stage
        .origin
        .on("/x", Script::status("204 No Content", "", b"junk").close());
    for method in ["GET", "POST"] {
        let url = stage.origin.url("/x");
        let mut client = stage.gateway.connect().await;
        let response = client
            .exchange(&forward(method, &url, "Connection: close\r\n"))
            .await;
        assert_eq!(response.status(), 204);
        assert_eq!(response.field("content-length"), None, "{method}");
        let (rest, _) = client.remainder().await;
        assert!(rest.is_empty(), "{method}: {rest:?}");
    }
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_133_a_body_that_stalls_is_aborted() {
    let stage = Stage::with(Gateway::builder().set("upstream.stall_timeout", "1s")).await;
    let never = Gate::new();
    fails_and_heals_on(&stage, Script::ok_in_halves(FRESH, b"halfhalf", 4, &never)).await;
    stage.gateway.finish_with_warnings().await;
}
