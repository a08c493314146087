//! Rows 23–31: one reading of the target for policy, key and upstream (RFC 9112 §3.2, RFC 3986).

use super::{Promise, refused};
use crate::stage::Stage;

async fn check(statuses: &[u16], promise: Promise, requests: &[String]) {
    let stage = Stage::new().await;
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    refused(&stage, statuses, promise, &requests).await;
    stage.finish().await;
}

/// A GET of this target with the origin's Host.
fn target(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {{origin}}\r\n\r\n")
}

#[tokio::test]
async fn row_023_userinfo_is_refused() {
    let requests = [
        target("http://user:secret@{origin}/x"),
        target("http://user@{origin}/x"),
        target("http://@{origin}/x"),
        target("/download/http://user:secret@{origin}/x"),
        "GET http://{origin}/x HTTP/1.1\r\nHost: user@{origin}\r\n\r\n".to_owned(),
    ];
    check(&[400], Promise::Untouched, &requests).await;
}

#[tokio::test]
async fn row_024_the_target_wins_over_host() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"right");
    let request = "GET http://{origin}/x HTTP/1.1\r\nHost: elsewhere.test:81\r\n\r\n";
    stage
        .write(request)
        .await
        .response("GET")
        .await
        .assert_is(200, b"right");
    let record = stage.origin.record();
    assert_eq!(
        record.requests[0].values("host"),
        [stage.origin.authority()]
    );
    stage.assert_hit("/x", b"right").await;
    stage.finish().await;
}

#[tokio::test]
async fn row_025_a_default_port_in_the_target_alone_is_served() {
    let stage = Stage::new().await;
    let request = "GET http://127.0.0.1:80/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let status = stage.write(request).await.response("GET").await.status();
    assert_ne!(
        status, 400,
        "whatever listens on port 80, the request is well-formed"
    );
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_025_case_of_scheme_and_host_makes_no_second_key() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"once");
    let port = stage.origin.address().port();
    let spellings = [
        ("http", "localhost", "localhost"),
        ("HTTP", "LocalHost", "localhost"),
        ("http", "localhost", "LOCALHOST"),
        ("http", "localhost.", "localhost"),
    ];
    for (scheme, target, host) in spellings {
        let request =
            format!("GET {scheme}://{target}:{port}/x HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
        let response = stage.write(&request).await.response("GET").await;
        response.assert_is(200, b"once");
    }
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn row_026_the_origin_gets_origin_form() {
    let stage = Stage::new().await;
    stage.fresh("/a/b?c=d&e", b"x");
    stage.get("/a/b?c=d&e").await.assert_is(200, b"x");
    let record = stage.origin.record();
    assert!(
        record.requests[0]
            .head
            .starts_with("GET /a/b?c=d&e HTTP/1.1\r\n"),
        "{record:?}"
    );
    stage.finish().await;
}

#[tokio::test]
async fn row_027_an_absent_path_is_the_root() {
    let stage = Stage::new().await;
    stage.fresh("/", b"root");
    stage.fresh("/?q", b"query");
    stage
        .write(&target("http://{origin}"))
        .await
        .response("GET")
        .await
        .assert_is(200, b"root");
    stage
        .write(&target("http://{origin}?q"))
        .await
        .response("GET")
        .await
        .assert_is(200, b"query");
    stage.assert_hit("/", b"root").await;
    stage.assert_hit("/?q", b"query").await;
    stage.finish().await;
}

#[tokio::test]
async fn row_028_unknown_schemes_are_not_served() {
    let schemes = ["gopher", "file", "data", "javascript", "ws", "h2"];
    let requests = schemes.map(|scheme| target(&format!("{scheme}://{{origin}}/x")));
    let path_form = target("/download/gopher://{origin}/x");
    let stage = Stage::new().await;
    for request in requests.iter().chain([&path_form]) {
        let status = stage.write(request).await.response("GET").await.status();
        assert!([400, 501].contains(&status), "{request:?}: {status}");
        stage.origin.assert_untouched();
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_029_a_backslash_before_an_at_sign_is_refused() {
    let requests = [
        target("http://elsewhere.test\\@{origin}/x"),
        target("http://{origin}\\@elsewhere.test/x"),
        target("/download/http://elsewhere.test\\@{origin}/x"),
    ];
    check(&[400], Promise::Untouched, &requests).await;
}

#[tokio::test]
async fn row_030_bytes_that_no_target_may_hold_are_refused() {
    let paths = [
        "/x\0",
        "/x y",
        "/x\u{e9}",
        "/x\u{7f}",
        "/x#fragment",
        "/x\ty",
        "/x\u{1}",
    ];
    let requests = paths.map(|path| target(&format!("http://{{origin}}{path}")));
    check(&[400], Promise::Untouched, &requests).await;
}

#[tokio::test]
async fn row_031_dot_segments_are_resolved_once_for_key_and_upstream() {
    let stage = Stage::new().await;
    stage.fresh("/b", b"one reading");
    for path in [
        "/b",
        "/a/../b",
        "/a/%2e%2e/b",
        "/./b",
        "/../../b",
        "/a/.%2E/%2e/b",
        "/%62",
    ] {
        let request = target(&format!("http://{{origin}}{path}"));
        let response = stage.write(&request).await.response("GET").await;
        response.assert_is(200, b"one reading");
    }
    let record = stage.origin.record();
    assert_eq!(record.requests.len(), 1, "one key: {record:?}");
    assert_eq!(record.requests[0].target(), "/b");
    stage.finish().await;
}

#[tokio::test]
async fn row_031_empty_segments_and_encoded_slashes_are_kept() {
    let stage = Stage::new().await;
    for (path, body) in [
        ("/a/x", "a"),
        ("//a/x", "b"),
        ("/a//x", "c"),
        ("/a%2fx", "d"),
    ] {
        stage.fresh(path, body.as_bytes());
        stage.get(path).await.assert_is(200, body.as_bytes());
    }
    let record = stage.origin.record();
    let targets: Vec<&str> = record.requests.iter().map(|seen| seen.target()).collect();
    assert_eq!(targets, ["/a/x", "//a/x", "/a//x", "/a%2fx"]);
    stage.finish().await;
}
