//! The origin and the client look at each other, so that tests can trust both.

use super::*;
use crate::certificate::{Authority, Leaf};
use crate::client::{Close, RawClient};
use crate::response::Ending;

#[tokio::test]
async fn scripts_are_written_byte_by_byte_and_in_turn() {
    let origin = Origin::start().await;
    let odd = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    origin.on_each(
        "/a",
        [
            Script::of(odd),
            Script::status("410 Gone", "A: b\r\n", b"bye"),
        ],
    );
    let mut client = RawClient::connect(origin.address()).await;
    client
        .exchange("GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .assert_is(200, b"x");
    for _ in 0..2 {
        let response = client.exchange("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
        response.assert_is(410, b"bye");
        assert_eq!(response.field("a"), Some("b"));
    }
    let record = origin.record();
    assert_eq!(
        (record.connections, record.count("/a"), record.completed),
        (1, 3, 3)
    );
    assert_eq!(
        client
            .exchange("GET /b HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .status(),
        404
    );
}

#[tokio::test]
async fn bodies_of_requests_are_recorded() {
    let origin = Origin::start().await;
    origin.on("/p", Script::ok("", b""));
    let mut client = RawClient::connect(origin.address()).await;
    client
        .exchange("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
        .await;
    let chunked =
        "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n";
    client.exchange(chunked).await;
    let record = origin.record();
    assert_eq!(record.requests[0].body, b"abc");
    assert_eq!(record.requests[1].body, b"1\r\nz\r\n0\r\n\r\n");
    assert_eq!(record.requests[1].values("HOST"), ["h"]);
}

#[tokio::test]
async fn a_gate_holds_the_second_half() {
    let origin = Origin::start().await;
    let gate = Gate::new();
    origin.on("/h", Script::ok_in_halves("", b"firstsecond", 5, &gate));
    let mut client = RawClient::connect(origin.address()).await;
    client.send("GET /h HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let head = client.head().await;
    let mut first = Vec::new();
    client
        .exactly(5, &mut |bytes| first.extend_from_slice(bytes))
        .await
        .expect("the first half");
    assert_eq!((head.status, first.as_slice()), (200, b"first".as_slice()));
    assert_eq!(origin.record().completed, 0);
    gate.open();
    let mut second = Vec::new();
    client
        .exactly(6, &mut |bytes| second.extend_from_slice(bytes))
        .await
        .expect("the rest");
    assert_eq!(second, b"second");
}

#[tokio::test]
async fn every_way_to_end_is_told_apart() {
    let origin = Origin::start().await;
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n";
    let open_ended = "HTTP/1.1 200 OK\r\n\r\nfour";
    let table = [
        ("/1", Script::of(short).close(), Ending::ShortFin),
        ("/2", Script::of(short).reset(), Ending::ShortReset),
        ("/3", Script::of(chunked).close(), Ending::ShortFin),
        ("/4", Script::of(chunked).then("0\r\n\r\n"), Ending::Chunked),
        ("/5", Script::of(open_ended).close(), Ending::Closed),
        ("/6", Script::ok("", b"four"), Ending::Length),
    ];
    for (path, script, expected) in table {
        origin.on(path, script);
        let mut client = RawClient::connect(origin.address()).await;
        let response = client
            .exchange(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
            .await;
        assert_eq!(response.ending, expected, "{path}");
        assert!(
            response.ending == Ending::ShortReset || response.body == "four",
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_client_tells_fin_from_reset() {
    let origin = Origin::start().await;
    origin.on("/fin", Script::of("bytes").close());
    origin.on("/reset", Script { steps: Vec::new() }.reset());
    for (path, expected) in [("/fin", Close::Fin), ("/reset", Close::Reset)] {
        let mut client = RawClient::connect(origin.address()).await;
        client.send(format!("GET {path} HTTP/1.1\r\n\r\n")).await;
        assert_eq!(client.remainder().await.1, expected, "{path}");
    }
}

#[tokio::test]
async fn tls_is_spoken_with_the_leaf_that_was_asked_for() {
    let authority = Authority::new();
    assert!(authority.pem().contains("BEGIN CERTIFICATE"));
    for leaf in [Leaf::Good, Leaf::Expired, Leaf::OtherHost, Leaf::SelfSigned] {
        let origin = Origin::start_tls(authority.server(leaf)).await;
        assert!(
            origin.url("/x").starts_with("https://127.0.0.1:"),
            "{leaf:?}"
        );
    }
}

#[tokio::test]
async fn real_clients_believe_exactly_the_good_leaf() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).expect("writes");
    let table = [
        (Leaf::Good, 0),
        (Leaf::Expired, 60),
        (Leaf::OtherHost, 60),
        (Leaf::SelfSigned, 60),
    ];
    for (leaf, code) in table {
        let origin = Origin::start_tls(authority.server(leaf)).await;
        origin.on("/x", Script::ok("", b"secret"));
        let url = format!("https://localhost:{}/x", origin.address().port());
        let curl = crate::Program::new("curl")
            .args(["-sS", "--cacert"])
            .arg(&file)
            .arg(url);
        curl.run().await.assert_code(code);
    }
}
