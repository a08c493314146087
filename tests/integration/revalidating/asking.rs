//! Conditions and directives of clients, on what is stored, stale or not there (RFC 9110 §13, RFC 9111 §4.3, §5.2.1).

use super::STALE;
use crate::stage::{Stage, ruled};
use weir_tests::{Response, Script};

const WHOLE: &[u8] = b"0123456789";
const FIELDS: &str = "Cache-Control: max-age=600\r\nETag: \"v1\"\r\n\
                      Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT\r\n";
const SAME_DATE: &str = "If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT\r\n";
const OLDER_DATE: &str = "If-Modified-Since: Sun, 31 Dec 2000 00:00:00 GMT\r\n";

/// What a client that sends these fields gets: status and body.
const CONDITIONS: [(&str, u16, &[u8]); 9] = [
    ("If-None-Match: \"v1\"\r\n", 304, b""),
    ("If-None-Match: W/\"v1\"\r\n", 304, b""),
    ("If-None-Match: \"v0\", \"v1\"\r\n", 304, b""),
    ("If-None-Match: \"v0\"\r\n", 200, WHOLE),
    (SAME_DATE, 304, b""),
    (OLDER_DATE, 200, WHOLE),
    ("Range: bytes=2-4\r\nIf-Range: \"v1\"\r\n", 206, b"234"),
    ("Range: bytes=2-4\r\nIf-Range: \"v0\"\r\n", 200, WHOLE),
    ("Range: bytes=2-4\r\nIf-Range: W/\"v1\"\r\n", 200, WHOLE),
];

#[track_caller]
fn assert_answer(response: &Response, about: &str, status: u16, body: &[u8]) {
    assert_eq!(response.status(), status, "{about}: {:?}", response.head);
    assert_eq!(response.body, body, "{about}");
    assert_eq!(response.field("etag"), Some("\"v1\""), "{about}");
}

#[tokio::test]
async fn conditions_of_a_client_are_judged_on_a_miss_and_the_whole_is_stored() {
    let stage = Stage::with(ruled("range_miss = \"whole\"")).await;
    for (index, (fields, status, body)) in CONDITIONS.into_iter().enumerate() {
        let path = format!("/{index}");
        stage.origin.on(&path, Script::ok(FIELDS, WHOLE));
        let response = stage.get_with(&path, fields).await;
        assert_answer(&response, fields, status, body);
        let record = stage.origin.record();
        let seen = record.requests.last().expect("a request");
        for name in ["if-none-match", "if-modified-since", "if-range", "range"] {
            assert_eq!(seen.values(name), [""; 0], "{fields}: a fill is for all");
        }
        stage.assert_hit(&path, WHOLE).await;
    }
    stage.finish().await;
}

#[tokio::test]
async fn conditions_of_a_client_are_judged_on_a_hit() {
    let stage = Stage::new().await;
    stage.origin.on("/x", Script::ok(FIELDS, WHOLE));
    stage.get("/x").await.assert_is(200, WHOLE);
    stage.gateway.settled().await;
    for (fields, status, body) in CONDITIONS {
        let response = stage.get_with("/x", fields).await;
        assert_answer(&response, fields, status, body);
        assert!(response.is_hit(), "{fields}");
    }
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn of_something_stale_the_origin_is_asked_by_the_stored_validators() {
    let fields = format!("{STALE}Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT\r\n");
    for (asked, status, body) in CONDITIONS {
        let stage = Stage::new().await;
        let holds = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\n\r\n";
        stage
            .origin
            .on_each("/x", [Script::ok(&fields, WHOLE), Script::of(holds)]);
        stage.get("/x").await.assert_is(200, WHOLE);
        stage.gateway.settled().await;
        let response = stage.get_with("/x", asked).await;
        assert_answer(&response, asked, status, body);
        assert!(response.is_hit(), "{asked}");
        let seen = &stage.origin.record().requests[1];
        assert_eq!(seen.values("if-none-match"), ["\"v1\""], "{asked}");
        let since = seen.values("if-modified-since");
        assert_eq!(since, ["Mon, 01 Jan 2001 00:00:00 GMT"], "{asked}");
        assert_eq!(seen.values("range"), [""; 0], "{asked}");
        stage.assert_hit("/x", WHOLE).await;
        stage.finish().await;
    }
}

#[tokio::test]
async fn only_if_cached_never_asks_the_origin() {
    let stage = Stage::new().await;
    stage.origin.on("/fresh", Script::ok(FIELDS, WHOLE));
    stage.origin.on("/stale", Script::ok(STALE, WHOLE));
    stage.get("/fresh").await.assert_is(200, WHOLE);
    stage.get("/stale").await.assert_is(200, WHOLE);
    stage.gateway.settled().await;
    let before = stage.origin.requests();
    for (path, directives, status) in [
        ("/none", "only-if-cached", 504),
        ("/none", "only-if-cached, max-stale", 504),
        ("/fresh", "only-if-cached", 200),
        ("/fresh", "only-if-cached, no-cache", 504),
        ("/fresh", "only-if-cached, min-fresh=10000", 504),
        ("/fresh", "only-if-cached, min-fresh=10", 200),
        ("/stale", "only-if-cached", 504),
        ("/stale", "only-if-cached, max-stale=1", 504),
        ("/stale", "only-if-cached, max-stale=10000", 200),
        ("/stale", "only-if-cached, max-stale", 200),
    ] {
        for method in ["GET", "HEAD"] {
            let fields = format!("Cache-Control: {directives}\r\n");
            let url = stage.origin.url(path);
            let response = stage.gateway.request(method, &url, &fields).await;
            assert_eq!(response.status(), status, "{method} {path}: {directives}");
            let text = response.text();
            assert!(!text.contains("in time"), "nobody was too slow: {text}");
        }
    }
    stage.gateway.settled().await;
    assert_eq!(stage.origin.requests(), before);
    stage.finish().await;
}

#[tokio::test]
async fn directives_of_a_client_decide_whether_the_origin_is_asked() {
    for (fields, is_asked) in [
        ("", false),
        ("Cache-Control: max-age=10000\r\n", false),
        ("Cache-Control: min-fresh=10\r\n", false),
        ("Cache-Control: no-cache\r\n", true),
        ("Pragma: no-cache\r\n", true),
        ("Cache-Control: max-age=0\r\n", true),
        ("Cache-Control: min-fresh=10000\r\n", true),
        ("Cache-Control: max-age=600\r\nPragma: no-cache\r\n", false),
    ] {
        let stage = Stage::new().await;
        let holds = "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n";
        stage
            .origin
            .on_each("/x", [Script::ok(FIELDS, WHOLE), Script::of(holds)]);
        stage.get("/x").await.assert_is(200, WHOLE);
        stage.gateway.settled().await;
        let response = stage.get_with("/x", fields).await;
        response.assert_is(200, WHOLE);
        assert!(response.is_hit(), "{fields}");
        assert_eq!(stage.origin.requests() == 2, is_asked, "{fields}");
        stage.finish().await;
    }
}
