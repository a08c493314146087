//! What concerns one hop only, and what a hop is counted by (RFC 9110 §7.6, §7.8, §15.2).

use super::Manual;
use crate::stage::Stage;
use tokio::io::AsyncWriteExt;
use weir_tests::client::forward;
use weir_tests::{Gateway, Script};

/// How a client asks for h2c on its way.
const H2C: &str =
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";

#[tokio::test]
async fn row_35_an_offer_of_h2c_is_served_in_plain_http_1_1() {
    let stage = Stage::new().await;
    let answer = "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n";
    stage.origin.on("/x", Script::ok(answer, b"plain"));
    for method in ["GET", "POST", "DELETE"] {
        let response = stage
            .gateway
            .request(method, &stage.origin.url("/x"), H2C)
            .await;
        response.assert_is(200, b"plain");
        for name in ["upgrade", "http2-settings"] {
            assert_eq!(response.field(name), None, "{method}: {name} to the client");
            let seen = stage.origin.record().requests.pop().expect("a request");
            assert!(
                seen.values(name).is_empty(),
                "{method}: {name} upstream: {}",
                seen.head
            );
            let connection = seen.values("connection").join(",").to_ascii_lowercase();
            assert!(!connection.contains("upgrade"), "{method}: {connection}");
        }
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_114_ten_interim_responses_reach_the_client_and_the_eleventh_is_a_failure() {
    let gateway = Gateway::start().await;
    let upstream = Manual::start().await;
    for (count, status) in [(10, "HTTP/1.1 200 "), (11, "HTTP/1.1 502 ")] {
        let mut client = gateway.connect().await;
        let fields = "Content-Length: 0\r\nConnection: close\r\n";
        client
            .send(forward("POST", &upstream.url("/x"), fields))
            .await;
        let (mut stream, _) = upstream.request().await;
        let hint =
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n";
        let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let wire = hint.repeat(count) + last;
        stream.write_all(wire.as_bytes()).await.expect("writes");
        let (bytes, _) = client.remainder().await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let passed = text.matches("HTTP/1.1 103 ").count();
        // A failure may overtake those before it.
        assert!(passed == 10 || (count > 10 && passed < 10), "{text}");
        assert_eq!(text.matches("Link: </a>").count(), passed, "{text}");
        assert!(!text.to_ascii_lowercase().contains("x-hop"), "{text}");
        assert!(text.contains(status), "{text}");
    }
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn methods_of_webdav_arrive_with_their_bodies() {
    let stage = Stage::new().await;
    let list = b"<multistatus/>";
    let kind = "Content-Type: application/xml\r\n";
    stage
        .origin
        .on("/dav/", Script::status("207 Multi-Status", kind, list));
    let mut client = stage.gateway.connect().await;
    for method in ["PROPFIND", "REPORT", "MKCOL", "LOCK"] {
        let body = "<propfind/>";
        let fields = format!("Depth: 1\r\n{kind}Content-Length: {}\r\n", body.len());
        let request = forward(method, &stage.origin.url("/dav/"), &fields) + body;
        let response = client.exchange(&request).await;
        response.assert_is(207, list);
        let seen = stage.origin.record().requests.pop().expect("a request");
        assert_eq!(
            (seen.method(), seen.content().as_slice()),
            (method, body.as_bytes())
        );
        assert_eq!(seen.values("depth"), ["1"]);
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_41_options_count_their_hops() {
    let stage = Stage::new().await;
    stage.origin.on(
        "/x",
        Script::status("204 No Content", "Allow: GET\r\n", b""),
    );
    let url = stage.origin.url("/x");
    let response = stage
        .gateway
        .request("OPTIONS", &url, "Max-Forwards: 2\r\n")
        .await;
    assert_eq!(response.field("allow"), Some("GET"));
    let seen = stage.origin.record().requests.pop().expect("a request");
    assert_eq!(seen.values("max-forwards"), ["1"]);
    let response = stage
        .gateway
        .request("OPTIONS", &url, "Max-Forwards: 0\r\n")
        .await;
    assert!(
        (200..300).contains(&response.status()),
        "{:?}",
        response.head
    );
    assert_eq!(stage.origin.requests(), 1, "the last hop answers itself");
    stage.finish().await;
}
