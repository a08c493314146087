//! Rows 117, 119, 123, 128 and 136 where nothing is stored: bodies that end early or in doubt, and responses with a body
//! that must have none.

use crate::stage::Stage;
use weir_tests::certificate::{Authority, Leaf};
use weir_tests::client::forward;
use weir_tests::{Gate, Gateway, Origin, Script};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Checks that nobody is told that the response by `broken` is whole.
async fn aborts(broken: Script) {
    let stage = Stage::new().await;
    stage.origin.on("/x", broken);
    let url = stage.origin.url("/x");
    let response = stage.gateway.request("POST", &url, "").await;
    let failed = response.status() == 502 || !response.ending.is_clean();
    assert!(failed, "passed off as complete: {response:?}");
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_117_a_body_shorter_than_its_length_is_cut_for_the_client_too() {
    aborts(Script::of("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort").close()).await;
}

#[tokio::test]
async fn row_119_bad_huge_and_truncated_chunks_abort() {
    let chunks = || Script::of(CHUNKED).chunk(b"good");
    for size in ["xyz", "-1", "+5", "0x5", "fffffffffffffffff"] {
        aborts(
            chunks()
                .then(format!("{size}\r\nfives\r\n0\r\n\r\n"))
                .close(),
        )
        .await;
    }
    aborts(chunks().then("ff\r\nfew").close()).await;
    aborts(chunks().close()).await;
    aborts(chunks().then("4\r\nfours\r\n0\r\n\r\n").close()).await;
}

#[tokio::test]
async fn row_123_an_open_end_by_reset_is_an_abort() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    let open = Script::of("HTTP/1.1 200 OK\r\n\r\nhalf");
    stage.origin.on("/x", open.wait(&gate).reset());
    let mut client = stage.gateway.connect().await;
    client
        .send(forward("POST", &stage.origin.url("/x"), ""))
        .await;
    let head = client.head().await;
    client
        .exactly(4, &mut |_| ())
        .await
        .expect("the half that came");
    gate.open();
    let ending = client.body(&head, "POST", |_| ()).await;
    assert!(!ending.is_clean(), "{ending:?}");
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_128_what_must_have_no_body_has_neither_body_nor_length() {
    let junk = "4\r\njunk\r\n0\r\n\r\n";
    for status in ["204 No Content", "304 Not Modified"] {
        let chunked = format!("HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n{junk}");
        for script in [Script::status(status, "", b"junk"), Script::of(chunked)] {
            let stage = Stage::new().await;
            stage.origin.on("/x", script);
            stage.origin.on("/y", Script::ok("", b"own"));
            let mut client = stage.gateway.connect().await;
            let url = stage.origin.url("/x");
            let response = client.exchange(&forward("POST", &url, "")).await;
            assert_eq!(response.status().to_string(), status[..3]);
            assert_eq!(response.field("content-length"), None);
            assert_eq!(response.field("transfer-encoding"), None);
            // Whatever the junk is taken for, it is no answer to the next request, of this client or another.
            let url = stage.origin.url("/y");
            client.send(forward("POST", &url, "")).await;
            if let Ok(head) = client.try_head().await {
                assert_eq!(head.status, 200);
            }
            let response = stage.gateway.request("POST", &url, "").await;
            response.assert_is(200, b"own");
            stage.gateway.finish_with_warnings().await;
        }
    }
}

#[tokio::test]
async fn row_136_an_encrypted_stream_that_is_cut_is_not_complete() {
    let authority = Authority::new();
    let origin = Origin::start_tls(authority.server(Leaf::Good)).await;
    let gateway = Gateway::builder().trusting(&authority).start().await;
    for (path, head) in [
        (
            "/length",
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nnot all",
        ),
        (
            "/chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nnot all\r\n",
        ),
        ("/open", "HTTP/1.1 200 OK\r\n\r\nperhaps all"),
    ] {
        origin.on(path, Script::of(head).truncate());
        let request = format!(
            "POST /download/{} HTTP/1.1\r\nHost: gateway\r\nContent-Length: 0\r\n\r\n",
            origin.url(path)
        );
        let response = gateway.connect().await.exchange(&request).await;
        let failed = response.status() == 502 || !response.ending.is_clean();
        assert!(failed, "{path}: {response:?}");
    }
    gateway.finish_with_warnings().await;
}
