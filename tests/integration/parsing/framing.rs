//! Rows 1–9: how long a request is must never be in doubt (RFC 9112 §6).

use super::{Promise, refused};
use crate::stage::Stage;
use weir_tests::Script;

/// A POST with these field lines and this body.
fn post(fields: &str, body: &str) -> String {
    format!("POST http://{{origin}}/x HTTP/1.1\r\nHost: {{origin}}\r\n{fields}\r\n{body}")
}

async fn check(statuses: &[u16], promise: Promise, requests: Vec<String>) {
    let stage = Stage::new().await;
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    refused(&stage, statuses, promise, &requests).await;
    stage.finish().await;
}

#[tokio::test]
async fn row_001_content_length_with_transfer_encoding_is_refused() {
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    let turned = "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n";
    let requests = vec![post(both, "0\r\n\r\n"), post(turned, "0\r\n\r\n")];
    check(&[400], Promise::Closes, requests).await;
}

#[tokio::test]
async fn row_002_two_differing_lengths_are_refused() {
    let lines = post("Content-Length: 4\r\nContent-Length: 5\r\n", "abcd");
    let list = post("Content-Length: 4, 5\r\n", "abcd");
    check(&[400], Promise::Untouched, vec![lines, list]).await;
}

#[tokio::test]
async fn row_003_identical_lengths_become_one_or_are_refused() {
    let stage = Stage::new().await;
    stage.origin.on("/x", Script::ok("", b""));
    for fields in [
        "Content-Length: 4\r\nContent-Length: 4\r\n",
        "Content-Length: 4, 4\r\n",
    ] {
        let before = stage.origin.requests();
        let response = stage
            .write(&post(fields, "abcd"))
            .await
            .response("POST")
            .await;
        let record = stage.origin.record();
        match response.status() {
            400 => assert_eq!(record.requests.len(), before, "{fields}"),
            200 => {
                let seen = record.requests.last().expect("it was forwarded");
                let lengths = seen.values("content-length");
                assert!(
                    lengths == ["4"] || seen.body == b"4\r\nabcd\r\n0\r\n\r\n",
                    "{}",
                    seen.head
                );
            }
            other => panic!("{fields}: {other}"),
        }
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_004_a_length_that_is_not_a_number_is_refused() {
    let values = [
        "+4",
        "-4",
        "0x4",
        "4_0",
        "1e1",
        "",
        "4 4",
        "99999999999999999999",
        "4;a",
    ];
    let longer = "1".repeat(40);
    let values = values.into_iter().chain([longer.as_str()]);
    let requests = values.map(|value| post(&format!("Content-Length: {value}\r\n"), "abcd"));
    check(&[400], Promise::Untouched, requests.collect()).await;
}

#[tokio::test]
async fn row_005_a_space_before_the_colon_is_refused() {
    let requests = vec![
        post("Content-Length : 4\r\n", "abcd"),
        post("Content-Length\t: 4\r\n", "abcd"),
    ];
    check(&[400], Promise::Untouched, requests).await;
}

#[tokio::test]
async fn row_006_a_coding_that_does_not_end_in_chunked_is_refused() {
    let values = [
        "xchunked",
        "chunked, identity",
        "chunkedx",
        "gzip",
        "identity",
    ];
    let requests =
        values.map(|value| post(&format!("Transfer-Encoding: {value}\r\n"), "0\r\n\r\n"));
    check(&[400, 501], Promise::Closes, requests.to_vec()).await;
}

#[tokio::test]
async fn row_007_two_codings_are_refused() {
    let one_line = post("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n");
    let fields = "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n";
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    let requests = vec![
        one_line,
        post(fields, "0\r\n\r\n"),
        post(twice, "0\r\n\r\n"),
    ];
    check(&[400], Promise::Closes, requests).await;
}

#[tokio::test]
async fn row_008_chunks_in_http_1_0_are_refused() {
    let request = "POST http://{origin}/x HTTP/1.0\r\nHost: {origin}\r\n\
                   Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    check(&[400], Promise::Closes, vec![request.to_owned()]).await;
}

#[tokio::test]
async fn row_009_control_characters_in_a_coding_are_refused() {
    let values = [
        "\u{b}chunked",
        "chunked\u{c}",
        "chun\0ked",
        "\u{b}",
        "chunked\u{7f}",
    ];
    let requests =
        values.map(|value| post(&format!("Transfer-Encoding: {value}\r\n"), "0\r\n\r\n"));
    check(&[400], Promise::Closes, requests.to_vec()).await;
}
