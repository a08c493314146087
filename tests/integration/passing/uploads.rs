//! Bodies of requests (RFC 9110 §9.3.3, §9.3.4, §10.1.1).

use super::Manual;
use crate::stage::Stage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weir_tests::client::forward;
use weir_tests::deadline::within;
use weir_tests::{Content, Gateway, Script};

/// Larger than every buffer on the way.
const LARGE: usize = 5 << 20;

/// `body` in chunks of odd sizes.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(body.len() + body.len() / 100 + 16);
    for chunk in body.chunks(40_961) {
        wire.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

#[tokio::test]
async fn bodies_of_every_size_and_framing_arrive_byte_for_byte() {
    let stage = Stage::new().await;
    stage
        .origin
        .on("/up", Script::status("201 Created", "", b"kept"));
    let mut client = stage.gateway.connect().await;
    for method in ["POST", "PUT", "PATCH"] {
        for size in [0, 1, LARGE] {
            let body = Content::new(7, size).bytes().to_vec();
            let length = format!("Content-Length: {size}\r\n");
            let framed = [
                (length.as_str(), body.clone()),
                ("Transfer-Encoding: chunked\r\n", chunked(&body)),
            ];
            for (fields, wire) in framed {
                client
                    .send(forward(method, &stage.origin.url("/up"), fields))
                    .await;
                client.send(&wire).await;
                client.response(method).await.assert_is(201, b"kept");
                let seen = stage.origin.record().requests.pop().expect("a request");
                assert_eq!(seen.method(), method);
                assert!(
                    seen.content() == body,
                    "{method} {fields:?}: other bytes arrived"
                );
            }
        }
    }
    assert_eq!(stage.origin.requests(), 18);
    stage.finish().await;
}

#[tokio::test]
async fn row_38_the_body_is_sent_when_the_upstream_wants_it() {
    let gateway = Gateway::start().await;
    let upstream = Manual::start().await;
    let mut client = gateway.connect().await;
    let fields = "Expect: 100-continue\r\nContent-Length: 4\r\n";
    client
        .send(forward("PUT", &upstream.url("/x"), fields))
        .await;
    let (mut stream, head) = upstream.request().await;
    assert!(
        head.to_ascii_lowercase()
            .contains("\r\nexpect: 100-continue\r\n"),
        "{head}"
    );
    stream
        .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        .await
        .expect("writes");
    let mut interim = String::new();
    while !interim.ends_with("\r\n\r\n") {
        client
            .exactly(1, &mut |byte| {
                interim.push_str(&String::from_utf8_lossy(byte))
            })
            .await
            .expect("an interim response");
    }
    assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
    client.send("body").await;
    let mut body = [0; 4];
    within("the body", stream.read_exact(&mut body))
        .await
        .expect("reads");
    assert_eq!(&body, b"body");
    stream
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .await
        .expect("writes");
    assert_eq!(client.response("PUT").await.status(), 204);
    gateway.finish().await;
}

#[tokio::test]
async fn row_38_an_upstream_that_does_not_want_the_body_says_so_at_once() {
    let gateway = Gateway::start().await;
    let upstream = Manual::start().await;
    let mut client = gateway.connect().await;
    let fields = "Expect: 100-continue\r\nContent-Length: 4\r\n";
    client
        .send(forward("PUT", &upstream.url("/x"), fields))
        .await;
    let (mut stream, _) = upstream.request().await;
    let refusal =
        b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
    stream.write_all(refusal).await.expect("writes");
    let response = client.response("PUT").await;
    response.assert_is(413, b"no");
    assert_eq!(
        response.field("connection"),
        Some("close"),
        "the body never came"
    );
    drop(client);
    gateway.finish().await;
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_upload_reaches_the_client() {
    let gateway = Gateway::start().await;
    let upstream = Manual::start().await;
    let mut client = gateway.connect().await;
    let fields = format!("Content-Length: {LARGE}\r\n");
    client
        .send(forward("POST", &upstream.url("/x"), &fields))
        .await;
    client.send(vec![b'x'; 64 << 10]).await;
    let (mut stream, _) = upstream.request().await;
    let refusal =
        b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
    stream.write_all(refusal).await.expect("writes");
    stream.shutdown().await.expect("ends");
    let response = client.response("POST").await;
    response.assert_is(413, b"no");
    assert_eq!(
        response.field("connection"),
        Some("close"),
        "the upload is not whole"
    );
    drop(client);
    gateway.finish().await;
}

#[tokio::test]
async fn an_upstream_that_dies_during_the_upload_is_never_a_success() {
    let gateway = Gateway::start().await;
    let upstream = Manual::start().await;
    let mut client = gateway.connect().await;
    let fields = format!("Content-Length: {LARGE}\r\n");
    client
        .send(forward("PUT", &upstream.url("/x"), &fields))
        .await;
    let (mut stream, _) = upstream.request().await;
    client.send(vec![b'x'; 64 << 10]).await;
    let mut some = vec![0; 32 << 10];
    within("some of the body", stream.read_exact(&mut some))
        .await
        .expect("reads");
    stream.set_zero_linger().expect("linger 0");
    drop(stream);
    client.send(vec![b'x'; LARGE - (64 << 10)]).await;
    // Bytes that crossed the answer may have reset the connection: that is an answer too.
    if let Ok(head) = client.try_head().await {
        assert_eq!(head.status, 502);
    }
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_client_that_dies_during_the_upload_leaves_no_whole_request() {
    let gateway = Gateway::start().await;
    let upstream = Manual::start().await;
    for (fields, wire) in [
        ("Content-Length: 100\r\n", "part"),
        ("Transfer-Encoding: chunked\r\n", "4\r\npart\r\n"),
    ] {
        let mut client = gateway.connect().await;
        client
            .send(forward("PUT", &upstream.url("/x"), fields))
            .await;
        client.send(wire).await;
        let (mut stream, _) = upstream.request().await;
        client.reset();
        let mut rest = Vec::new();
        let _end = within("the end of the request", stream.read_to_end(&mut rest)).await;
        assert!(
            !rest.ends_with(b"0\r\n\r\n"),
            "a part was passed off as the whole"
        );
    }
    gateway.finish_with_warnings().await;
}
