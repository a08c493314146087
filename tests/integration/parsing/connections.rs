//! Rows 35, 37, 41, 97 and 98, and what one connection may carry after a hostile request.

use std::time::Duration;

use crate::stage::{FRESH, Stage};
use weir_tests::client::{Close, RawClient, forward};
use weir_tests::{Gate, Gateway, Script};

/// Longest drip: far beyond the head deadline that these tests configure.
const DRIPS_MAX: usize = 400;

/// A complete answer.
const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";

#[tokio::test]
async fn row_035_an_upgrade_to_h2c_is_ignored() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"plain");
    let fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                  HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";
    for method in ["GET", "POST"] {
        stage
            .gateway
            .request(method, &stage.origin.url("/x"), fields)
            .await
            .assert_is(200, b"plain");
    }
    for seen in stage.origin.record().requests {
        for name in ["upgrade", "http2-settings"] {
            assert!(seen.values(name).is_empty(), "{}", seen.head);
        }
        assert!(
            !seen.head.to_lowercase().contains("upgrade"),
            "{}",
            seen.head
        );
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_037_hop_by_hop_fields_stay_on_their_hop() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"x");
    let fields = "Connection: keep-alive, X-Named\r\nX-Named: 1\r\nKeep-Alive: 5\r\n\
                  Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic c2VjcmV0\r\n\
                  TE: trailers\r\nTrailer: X-T\r\nX-Kept: yes\r\n";
    for method in ["GET", "POST"] {
        stage
            .gateway
            .request(method, &stage.origin.url("/x"), fields)
            .await
            .assert_is(200, b"x");
    }
    let record = stage.origin.record();
    assert_eq!(record.requests.len(), 2, "both reached the origin");
    let names = [
        "x-named",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "trailer",
    ];
    for seen in record.requests {
        for name in names {
            assert!(seen.values(name).is_empty(), "{name} in {}", seen.head);
        }
        assert!(
            !seen.head.contains("c2VjcmV0") && !seen.head.contains("X-Named"),
            "{}",
            seen.head
        );
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_041_trace_is_not_allowed() {
    let stage = Stage::new().await;
    let response = stage
        .gateway
        .request("TRACE", &stage.origin.url("/x"), "")
        .await;
    assert_eq!(response.status(), 405);
    stage.origin.assert_untouched();
    stage.finish().await;
}

#[tokio::test]
async fn row_041_options_without_forwards_left_is_answered_here() {
    let stage = Stage::new().await;
    let fields = "Max-Forwards: 0\r\n";
    let response = stage
        .gateway
        .request("OPTIONS", &stage.origin.url("/x"), fields)
        .await;
    assert!(
        [200, 204].contains(&response.status()),
        "{}",
        response.status()
    );
    stage.origin.assert_untouched();
    stage.finish().await;
}

#[tokio::test]
async fn row_097_a_dripping_head_is_ended_as_a_whole() {
    let stage = Stage::with(Gateway::builder().set("listen.head_timeout", "500ms")).await;
    let mut client = stage
        .write("GET http://{origin}/x HTTP/1.1\r\nHost: {origin}\r\nX: ")
        .await;
    let answered = drip(&mut client).await;
    assert!(
        answered.starts_with(b"HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&answered)
    );
    let (_, close) = client.remainder().await;
    assert_eq!(close, Close::Fin);
    stage.origin.assert_untouched();
    stage.finish().await;
}

/// Sends a byte whenever nothing has come for a while, until something comes.
async fn drip(client: &mut RawClient) -> Vec<u8> {
    for _ in 0..DRIPS_MAX {
        let pause = Duration::from_millis(50);
        match tokio::time::timeout(pause, client.some_bytes()).await {
            Ok(answer) => return answer.expect("an answer before the end").to_vec(),
            Err(_) => client.send("x").await,
        }
    }
    panic!("{DRIPS_MAX} bytes were accepted one by one");
}

#[tokio::test]
async fn row_098_a_body_that_stops_is_given_up() {
    let builder = Gateway::builder()
        .set("listen.head_timeout", "500ms")
        .set("listen.idle_timeout", "1s")
        .set("listen.send_timeout", "1s")
        .set("upstream.first_byte_timeout", "2s");
    let stage = Stage::with(builder).await;
    stage.origin.on("/x", Script::ok("", b"never"));
    let request =
        "POST http://{origin}/x HTTP/1.1\r\nHost: {origin}\r\nContent-Length: 99\r\n\r\nabc";
    let mut client = stage.write(request).await;
    let (answer, _) = client.remainder().await;
    let is_refusal = ["HTTP/1.1 408 ", "HTTP/1.1 502 ", "HTTP/1.1 504 "]
        .iter()
        .any(|status| answer.starts_with(status.as_bytes()));
    assert!(
        answer.is_empty() || is_refusal,
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(stage.origin.requests(), 0, "half a request is none");
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_hostile_request_between_two_good_ones_is_refused_and_ends_the_connection() {
    let stage = Stage::new().await;
    stage.fresh("/first", b"first");
    let text = "GET http://{origin}/first HTTP/1.1\r\nHost: {origin}\r\n\r\n\
                GET http://{origin}/second HTTP/1.1\r\nHost: {origin}\r\n\
                Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
                GET http://{origin}/third HTTP/1.1\r\nHost: {origin}\r\n\r\n";
    let mut client = stage.write(text).await;
    client.response("GET").await.assert_is(200, b"first");
    assert_eq!(client.response("GET").await.status(), 400);
    let (rest, _) = client.remainder().await;
    assert!(rest.is_empty(), "{rest:?}");
    let record = stage.origin.record();
    assert_eq!(
        (record.requests.len(), record.count("/first")),
        (1, 1),
        "{record:?}"
    );
    stage.finish().await;
}

#[tokio::test]
async fn a_hostile_request_behind_a_passed_one_is_refused() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.origin.on("/post", Script::after(&gate).then(DONE));
    let text = "POST http://{origin}/post HTTP/1.1\r\nHost: {origin}\r\nContent-Length: 3\r\n\r\nabc\
                GET http://{origin}/second HTTP/1.1\r\nHost: {origin}\r\nHost: {origin}\r\n\r\n";
    let mut client = stage.write(text).await;
    stage
        .origin
        .wait_for("the POST", |record| record.count("/post") == 1)
        .await;
    gate.open();
    client.response("POST").await.assert_is(200, b"done");
    assert_eq!(client.response("GET").await.status(), 400);
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_request_that_arrives_while_another_is_passed_on_is_served_next() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    stage.origin.on("/post", Script::after(&gate).then(DONE));
    stage.origin.on("/next", Script::ok(FRESH, b"next"));
    let post =
        "POST http://{origin}/post HTTP/1.1\r\nHost: {origin}\r\nContent-Length: 3\r\n\r\nabc";
    let mut client = stage.write(post).await;
    stage
        .origin
        .wait_for("the POST", |record| record.count("/post") == 1)
        .await;
    client
        .send(forward("GET", &stage.origin.url("/next"), ""))
        .await;
    gate.open();
    client.response("POST").await.assert_is(200, b"done");
    client.response("GET").await.assert_is(200, b"next");
    assert_eq!(stage.origin.record().requests[0].body, b"abc");
    stage.finish().await;
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let stage = Stage::new().await;
    let mut client = stage.gateway.connect().await;
    let mut requests = String::new();
    for index in 0..20 {
        let path = format!("/{index}");
        stage.fresh(&path, path.as_bytes());
        requests.push_str(&forward("GET", &stage.origin.url(&path), ""));
    }
    client.send(requests).await;
    for index in 0..20 {
        client
            .response("GET")
            .await
            .assert_is(200, format!("/{index}").as_bytes());
    }
    stage.finish().await;
}
