//! Rows 87, 88 and 91–93: what a later answer changes about a stored one, and who may ask for that.

use crate::stage::{FRESH, Stage};
use weir_tests::{Origin, Script};

/// Stored with a validator, and stale at once.
const STALE: &str = "Cache-Control: max-age=60\r\nAge: 90\r\nETag: \"v1\"\r\n";

#[tokio::test]
async fn row_87_a_304_that_nobody_asked_for_is_a_failure() {
    let stage = Stage::new().await;
    let unasked = Script::of(format!(
        "HTTP/1.1 304 Not Modified\r\n{FRESH}ETag: \"a\"\r\n\r\n"
    ));
    for path in ["/x", "/app-1.0.tar.gz"] {
        stage.origin.on(path, unasked.clone());
        for method in ["GET", "HEAD"] {
            let url = stage.origin.url(path);
            let response = stage.gateway.request(method, &url, "").await;
            assert_eq!(response.status(), 502, "{method} {path}");
        }
        stage.origin.on(path, Script::ok(FRESH, b"file"));
        stage.assert_fetched(path).await.assert_is(200, b"file");
    }
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_88_a_304_updates_what_may_be_stored_and_nothing_else() {
    let stage = Stage::new().await;
    let fields = format!("{STALE}X-Old: 1\r\nX-Kept: 1\r\nContent-Type: text/x\r\n");
    let update = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\nETag: \"v1\"\r\n\
                  Content-Length: 999\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\
                  Content-Range: bytes 0-1/2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\n\
                  Set-Cookie: session=1\r\nX-Old: 2\r\nX-New: 1\r\n\r\n";
    stage
        .origin
        .on_each("/x", [Script::ok(&fields, b"body"), Script::of(update)]);
    stage.get("/x").await.assert_is(200, b"body");
    stage.gateway.settled().await;
    for round in ["revalidated", "hit"] {
        let response = stage.get("/x").await;
        response.assert_is(200, b"body");
        assert!(response.is_hit(), "{round}: {:?}", response.head);
        for (name, value) in [
            ("content-length", Some("4")),
            ("transfer-encoding", None),
            ("content-encoding", None),
            ("content-range", None),
            ("x-hop", None),
            ("keep-alive", None),
            ("set-cookie", None),
            ("x-old", Some("2")),
            ("x-new", Some("1")),
            ("x-kept", Some("1")),
            ("content-type", Some("text/x")),
            ("etag", Some("\"v1\"")),
        ] {
            assert_eq!(response.field(name), value, "{round}: {name}");
        }
        stage.gateway.settled().await;
    }
    assert_eq!(stage.origin.requests(), 2);
    let record = stage.origin.record();
    assert_eq!(record.requests[1].values("if-none-match"), ["\"v1\""]);
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_91_success_of_an_unsafe_method_invalidates() {
    let stage = Stage::new().await;
    for method in ["PUT", "POST", "DELETE", "PATCH"] {
        let path = format!("/{method}");
        let answer = Script::status("200 OK", "", b"done");
        let before = Script::ok(FRESH, b"before");
        let after = Script::ok(FRESH, b"after");
        stage.origin.on_each(&path, [before, answer, after]);
        stage.get(&path).await.assert_is(200, b"before");
        stage.assert_hit(&path, b"before").await;
        let url = stage.origin.url(&path);
        let done = stage.gateway.request(method, &url, "Content-Length: 0\r\n");
        done.await.assert_is(200, b"done");
        stage.assert_fetched(&path).await.assert_is(200, b"after");
        stage.assert_hit(&path, b"after").await;
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_91_failure_and_safe_methods_invalidate_nothing() {
    let stage = Stage::new().await;
    for (method, status) in [
        ("PUT", "403 Forbidden"),
        ("POST", "500 Internal Server Error"),
        ("DELETE", "404 Not Found"),
        ("OPTIONS", "200 OK"),
    ] {
        let path = format!("/{method}");
        let scripts = [Script::ok(FRESH, b"x"), Script::status(status, "", b"no")];
        stage.origin.on_each(&path, scripts);
        stage.get(&path).await.assert_is(200, b"x");
        stage.gateway.settled().await;
        let url = stage.origin.url(&path);
        let fields = "Content-Length: 0\r\n";
        let answer = stage.gateway.request(method, &url, fields).await;
        assert_eq!(answer.status().to_string(), status[..3], "{method}");
        stage.assert_hit(&path, b"x").await;
    }
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_91_other_urls_go_too_on_the_same_origin_only() {
    let stage = Stage::new().await;
    let other = Origin::start().await;
    other.on("/theirs", Script::ok(FRESH, b"theirs"));
    let theirs = other.url("/theirs");
    for path in ["/located", "/content", "/beside"] {
        stage.fresh(path, b"mine");
        stage.get(path).await.assert_is(200, b"mine");
    }
    stage.gateway.get(&theirs).await.assert_is(200, b"theirs");
    stage.gateway.settled().await;
    let located = stage.origin.url("/located");
    for (path, fields) in [
        (
            "/one",
            format!("Location: {located}\r\nContent-Location: /content\r\n"),
        ),
        (
            "/two",
            format!("Location: {theirs}\r\nContent-Location: {theirs}\r\n"),
        ),
    ] {
        let done = Script::status("201 Created", &fields, b"done");
        stage.origin.on(path, done);
        let url = stage.origin.url(path);
        let response = stage.gateway.request("POST", &url, "Content-Length: 0\r\n");
        response.await.assert_is(201, b"done");
    }
    stage.assert_fetched("/located").await;
    stage.assert_fetched("/content").await;
    stage.assert_hit("/beside", b"mine").await;
    let hit = stage.gateway.get(&theirs).await;
    assert!(hit.is_hit(), "another origin's object is gone");
    assert_eq!(other.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn row_92_a_head_that_differs_outdates_what_is_stored() {
    let head = |length: u32, tag: &str| {
        Script::of(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{FRESH}ETag: \"{tag}\"\r\n\r\n"
        ))
    };
    for (told, is_outdated) in [
        (head(4, "v1"), false),
        (head(5, "v1"), true),
        (head(4, "v2"), true),
    ] {
        let stage = Stage::new().await;
        let first = Script::ok(&format!("{FRESH}ETag: \"v1\"\r\n"), b"body");
        let second = Script::ok(&format!("{FRESH}ETag: \"v2\"\r\n"), b"other");
        stage.origin.on_each("/x", [first, told, second]);
        stage.get("/x").await.assert_is(200, b"body");
        stage.gateway.settled().await;
        let url = stage.origin.url("/x");
        let asked = stage
            .gateway
            .request("HEAD", &url, "Cache-Control: no-cache\r\n")
            .await;
        assert_eq!(asked.status(), 200);
        assert_eq!(stage.origin.requests(), 2, "HEAD asks the origin");
        if is_outdated {
            stage.assert_fetched("/x").await.assert_is(200, b"other");
        } else {
            stage.assert_hit("/x", b"body").await;
        }
        stage.finish().await;
    }
}

#[tokio::test]
async fn row_93_a_purge_by_a_stranger_is_refused_and_removes_nothing() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"x");
    stage.get("/x").await.assert_is(200, b"x");
    stage.gateway.settled().await;
    let url = stage.origin.url("/x");
    let refused = stage.gateway.request("PURGE", &url, "").await;
    assert_eq!(refused.status(), 403, "{}", refused.text());
    for path in [format!("/download/{url}"), format!("/{url}")] {
        let request = format!("PURGE {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        let refused = stage.gateway.connect().await.exchange(&request).await;
        assert_eq!(refused.status(), 403, "{path}");
    }
    stage.assert_hit("/x", b"x").await;
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}
