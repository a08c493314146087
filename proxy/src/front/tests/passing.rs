//! Requests that are handed through: nothing of another request, no lie about an end.

use super::world::*;
use std::sync::OnceLock;
use std::{io, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use weir_policies::outcome::Outcome;

#[tokio::test]
async fn three_pipelined_requests_of_which_the_second_is_hostile() {
    let origin = Origin::start(OK, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send(
            "POST /first HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody\
             POST /hostile HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
             POST /third HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(client.answer().await.status, 400);
    assert_eq!(client.rest().await.unwrap(), "");
    let requests = origin.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(
        requests[0].starts_with("POST /first HTTP/1.1\r\n"),
        "{requests:?}"
    );
    assert!(requests[0].ends_with("\r\n\r\nbody"), "{requests:?}");
    assert_eq!(world.rejected(), [400]);
}

#[tokio::test]
async fn the_next_request_that_arrives_while_a_response_is_pending_is_answered_afterwards() {
    let origin = Origin::start(OK, 0, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /pending HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    origin.wait_for_request().await;
    for piece in ["G", "ET /hit HTT", "P/1.1\r\nHost: h\r\n\r\n"] {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    origin.permits.add_permits(1);
    assert_eq!(client.answer().await.body, "passed");
    assert_eq!(client.answer().await.body, "hit");
    assert_eq!(client.status(HIT).await, 200);
}

#[tokio::test]
async fn a_chunked_upload_keeps_the_connection_and_the_request_behind_it() {
    let origin = Origin::start(OK, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send(&format!(
            "POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{HIT}"
        ))
        .await;
    assert_eq!(client.answer().await.body, "passed");
    assert_eq!(client.answer().await.body, "hit");
    assert!(
        origin.requests()[0].contains("hello"),
        "{:?}",
        origin.requests()
    );
}

#[tokio::test]
async fn row_10_a_malformed_chunk_is_answered_400_and_aborts_the_upstream() {
    let origin = Origin::start(OK, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0x1\r\na\r\n0\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 400);
    assert_eq!(client.rest().await.unwrap(), "");
    let record = &world.records(1).await[0];
    assert_eq!((record.status, record.outcome), (400, Outcome::Refused));
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.starts_with("broken"))
    );
}

#[tokio::test]
async fn a_passed_request_ends_in_one_record() {
    let origin = Origin::start(OK, 1, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert!(answer.head.contains("\r\nvia: 1.1 node"), "{}", answer.head);
    assert!(
        answer.head.contains("\r\nconnection: keep-alive"),
        "{}",
        answer.head
    );
    let records = world.records(1).await;
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(
        (record.status, record.body_bytes, record.complete),
        (200, 6, true)
    );
    assert_eq!(record.upstream, Some(origin.address));
    assert_eq!(record.duration, Duration::from_secs(1));
}

#[tokio::test]
async fn every_final_head_is_reported_once_and_no_interim_one() {
    let response =
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let origin = Origin::start(response, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client.send("DELETE /d HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 103);
    assert_eq!(client.answer().await.status, 404);
    client
        .send("POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 403);
    let heads = world.heads.0.lock().unwrap();
    assert_eq!(*heads, [("DELETE".to_owned(), "/d".to_owned(), 404)]);
}

#[tokio::test]
async fn a_refused_peer_is_said_to_the_client_and_the_log() {
    let world = World::local(settings()).await;
    let mut client = world.client().await;
    client
        .send("POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 403);
    assert!(
        answer.body.contains("the address is private"),
        "{}",
        answer.body
    );
    assert!(
        answer.head.contains("\r\nx-content-type-options: nosniff"),
        "{}",
        answer.head
    );
    assert_eq!(client.rest().await.unwrap(), "");
    let record = &world.records(1).await[0];
    assert_eq!(
        (record.status, record.outcome, record.complete),
        (403, Outcome::Refused, false)
    );
}

#[tokio::test]
async fn responses_and_pages_name_the_request_as_the_log_does() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Request-Id: theirs\r\n\r\npassed";
    let origin = Origin::start(response, 1, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    for (path, status) in [("/p", 200), ("/refused", 403)] {
        client
            .send(&format!(
                "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status);
        let number = world.records(1).await[0].request_id;
        let line = format!("\r\nX-Request-Id: {}", crate::record::request_id(number));
        assert!(answer.raw_head.contains(&line), "{}", answer.raw_head);
        assert!(!answer.head.contains("theirs"), "{}", answer.head);
    }
}

#[tokio::test]
async fn field_names_are_spelled_by_one_rule_whoever_wrote_them() {
    let response = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nX-FOO: 1\r\netag: \"e\"\r\n\r\npassed";
    let origin = Origin::start(response, 1, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    let check = |answer: &Answer, names: &[&str]| {
        for name in names {
            let start = format!("\r\n{name}: ");
            assert!(answer.raw_head.contains(&start), "{}", answer.raw_head);
        }
        for line in answer.raw_head.lines() {
            assert!(
                line.starts_with(|first: char| first.is_ascii_uppercase()),
                "{line}"
            );
        }
    };
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    let names = [
        "Content-Length",
        "X-Foo",
        "ETag",
        "Via",
        "Cache-Status",
        "Connection",
    ];
    check(&client.answer().await, &names);
    client
        .send("POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    let names = [
        "Content-Length",
        "Via",
        "X-Content-Type-Options",
        "Connection",
    ];
    check(&client.answer().await, &names);
}

#[tokio::test]
async fn row_129_an_unasked_101_is_a_broken_upstream() {
    let response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n";
    let origin = Origin::start(response, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    let request = "POST /p HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(client.status(request).await, 502);
    assert!(
        !origin.requests()[0]
            .to_ascii_lowercase()
            .contains("upgrade")
    );
}

#[tokio::test]
async fn row_114_a_flood_of_interim_responses_is_a_broken_upstream() {
    static FLOOD: OnceLock<String> = OnceLock::new();
    let response = FLOOD.get_or_init(|| "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(11) + OK);
    let origin = Origin::start(response, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    let everything = client.rest().await.unwrap();
    assert!(everything.matches(" 103 ").count() <= 10, "{everything}");
    assert!(!everything.contains("passed"), "{everything}");
}

#[tokio::test]
async fn row_128_a_204_says_no_length_and_the_connection_goes_on() {
    let response =
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n";
    let origin = Origin::start(response, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client.send("DELETE /p HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 204);
    assert!(!answer.head.contains("content-length"), "{}", answer.head);
    assert!(!answer.head.contains("x-hop"), "{}", answer.head);
    assert_eq!(client.status(HIT).await, 200);
}

#[tokio::test]
async fn row_123_a_response_until_close_is_relayed_until_close() {
    let response = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
    let origin = Origin::start(response, 10, OriginEnding::Close).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    let response = client.rest().await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "until the end");
    assert!(
        head.to_ascii_lowercase().contains("\r\nconnection: close"),
        "{head}"
    );
    assert!(
        !head.to_ascii_lowercase().contains("transfer-encoding"),
        "{head}"
    );
}

#[tokio::test]
async fn row_123_a_reset_until_close_never_looks_complete() {
    let response = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
    let origin = Origin::start(response, 10, OriginEnding::Reset).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    match client.rest().await {
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        // The reset may overtake the response: then the client is told.
        Ok(response) => assert!(response.starts_with("HTTP/1.1 502 "), "{response}"),
    }
}

#[tokio::test]
async fn row_117_a_short_body_ends_in_a_reset() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort";
    let origin = Origin::start(response, 10, OriginEnding::Close).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert!(client.rest().await.is_err());
    assert!(!world.records(1).await[0].complete);
}

#[tokio::test]
async fn a_client_of_http_1_0_never_sees_chunks() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let origin = Origin::start(response, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
        .await;
    let response = client.rest().await.unwrap();
    assert!(response.ends_with("\r\n\r\nhello"), "{response}");
    assert!(
        origin.requests()[0].starts_with("POST /p HTTP/1.1\r\n"),
        "{:?}",
        origin.requests()
    );
}

#[tokio::test]
async fn a_client_that_closed_its_sending_side_still_gets_the_response() {
    let origin = Origin::start(OK, 0, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    client.stream.shutdown().await.unwrap();
    origin.wait_for_request().await;
    origin.permits.add_permits(1);
    assert!(client.rest().await.unwrap().ends_with("passed"));
}

#[tokio::test]
async fn row_38_expect_is_passed_on_and_answered_once() {
    let response = "HTTP/1.1 100 Continue\r\n\r\n";
    let origin = Origin::start(response, 1, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nExpect: bogus\r\nContent-Length: 4\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 417);
    assert_eq!(client.rest().await.unwrap(), "");
    assert!(origin.requests().is_empty());

    let mut client = world.client().await;
    client
        .send("GET /hit HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200, "never 100 where the body is not wanted");
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert_eq!(client.rest().await.unwrap(), "");
}

#[tokio::test]
async fn row_38_the_upstreams_100_reaches_the_client_once_and_before_the_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let origin = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .unwrap();
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(OK.as_bytes()).await.unwrap();
        (String::from_utf8(request).unwrap(), body)
    });
    let world = World::start(settings(), address).await;
    let mut client = world.client().await;
    let head = "POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    assert_eq!(client.status(head).await, 100);
    assert_eq!(client.status("body").await, 200);
    assert_eq!(client.status(HIT).await, 200);
    let (request, body) = origin.await.unwrap();
    assert!(request.contains("expect: 100-continue\r\n"), "{request}");
    assert_eq!(&body, b"body");
}
