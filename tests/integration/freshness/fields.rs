//! What a response says about where it came from (RFC 9110 §7.6, RFC 9111 §5, RFC 9211).

use crate::stage::{FRESH, Stage};
use weir_tests::Script;

#[tokio::test]
async fn a_response_says_whether_it_was_stored() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"x");
    let miss = stage.get("/x").await;
    stage.gateway.settled().await;
    let hit = stage.get("/x").await;
    assert_eq!(
        (miss.field("x-cache"), hit.field("x-cache")),
        (Some("MISS"), Some("HIT"))
    );
    let status = |response: &weir_tests::Response| {
        response
            .field("cache-status")
            .expect("a Cache-Status")
            .to_owned()
    };
    assert!(status(&miss).starts_with("weir-test;"), "{}", status(&miss));
    assert!(status(&miss).contains("fwd="), "{}", status(&miss));
    assert!(status(&hit).starts_with("weir-test;"), "{}", status(&hit));
    assert!(
        status(&hit).contains("hit") && !status(&hit).contains("fwd="),
        "{}",
        status(&hit)
    );
    stage.finish().await;
}

#[tokio::test]
async fn every_response_names_the_gateway_and_the_request() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"x");
    let mut ids = Vec::new();
    for _ in 0..3 {
        let response = stage.get("/x").await;
        let via = response.field("via").expect("a Via");
        assert!(via.contains("weir-test"), "{via}");
        ids.push(
            response
                .field("x-request-id")
                .expect("an X-Request-Id")
                .to_owned(),
        );
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "each request has its own id");
    stage.finish().await;
}

#[tokio::test]
async fn requests_upstream_name_the_gateway_and_not_its_fields() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"x");
    stage.get("/x").await.assert_is(200, b"x");
    let record = stage.origin.record();
    let via = record.requests[0].values("via").join(", ");
    assert!(via.contains("1.1 weir-test"), "{via}");
    stage.finish().await;
}

#[tokio::test]
async fn fields_of_the_origin_are_kept_and_those_of_its_connection_are_not() {
    let stage = Stage::new().await;
    let fields = format!(
        "{FRESH}Connection: X-Named\r\nX-Named: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Authenticate: Basic\r\nX-Kept: yes\r\nETag: \"a\"\r\n\
         Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT\r\nContent-Type: text/x\r\n"
    );
    stage.origin.on("/x", Script::ok(&fields, b"x"));
    for _ in 0..2 {
        let response = stage.get("/x").await;
        for name in ["x-named", "keep-alive", "proxy-authenticate"] {
            assert_eq!(response.field(name), None, "{name}");
        }
        for (name, value) in [
            ("x-kept", "yes"),
            ("etag", "\"a\""),
            ("last-modified", "Mon, 01 Jan 2001 00:00:00 GMT"),
            ("content-type", "text/x"),
            ("cache-control", "max-age=600"),
        ] {
            assert_eq!(response.field(name), Some(value), "{name}");
        }
        stage.gateway.settled().await;
    }
    stage.finish().await;
}

#[tokio::test]
async fn cache_status_of_others_is_kept() {
    let stage = Stage::new().await;
    let fields = format!("{FRESH}Cache-Status: other; hit\r\nX-Cache: HIT from other\r\n");
    stage.origin.on("/x", Script::ok(&fields, b"x"));
    let response = stage.get("/x").await;
    let all = response.head.values("cache-status").join(", ");
    assert!(all.contains("other") && all.contains("weir-test"), "{all}");
    assert!(
        !response.is_hit(),
        "the X-Cache of another cache is not ours"
    );
    stage.finish().await;
}
