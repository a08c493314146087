//! Asking by HTTP what is cached: `only-if-cached` answers 200 or 504, and never asks an upstream.

use weir_tests::client::forward;
use weir_tests::{Gate, Gateway, Origin, Response, Script};

use crate::stage::{FRESH, Stage};

const ONLY: &str = "Cache-Control: only-if-cached\r\n";

/// The ways to ask for `/file` of the origin.
const FORMS: [&str; 4] = ["forward", "download", "path", "mirror"];

/// A gateway whose mirror `/m/` is the origin.
async fn stage() -> Stage {
    let origin = Origin::start().await;
    let builder = Gateway::builder().mirror("/m/", &[&origin.url("/")]);
    let gateway = builder.start().await;
    Stage { gateway, origin }
}

/// What is said of `path` when asked in `form`, without a fetch.
async fn query(stage: &Stage, method: &str, form: &str, path: &str) -> Response {
    let url = stage.origin.url(path);
    let own = |target: String| format!("{method} {target} HTTP/1.1\r\nHost: weir\r\n{ONLY}\r\n");
    let request = match form {
        "forward" => forward(method, &url, ONLY),
        "download" => own(format!("/download/{url}")),
        "path" => own(format!("/http/{}{path}", stage.origin.authority())),
        _ => own(format!("/m{path}")),
    };
    let before = stage.origin.requests();
    let response = stage.gateway.connect().await.exchange(&request).await;
    assert_eq!(stage.origin.requests(), before, "{method} {form} {path}");
    response
}

async fn check_all(stage: &Stage, path: &str, status: u16) {
    for form in FORMS {
        for method in ["HEAD", "GET"] {
            let response = query(stage, method, form, path).await;
            assert_eq!(response.status(), status, "{method} {path} as {form}");
        }
    }
}

#[tokio::test]
async fn a_query_is_200_when_cached_and_504_when_not_in_every_form() {
    let stage = stage().await;
    stage.fresh("/file", b"0123456789");
    check_all(&stage, "/file", 504).await;
    stage.get("/file").await;
    stage.gateway.settled().await;
    check_all(&stage, "/file", 200).await;
    let head = query(&stage, "HEAD", "download", "/file").await;
    assert_eq!(head.field("content-length"), Some("10"));
    let whole = query(&stage, "GET", "mirror", "/file").await;
    whole.assert_is(200, b"0123456789");
    stage.finish().await;
}

#[tokio::test]
async fn a_stale_object_is_504() {
    let stage = Stage {
        gateway: Gateway::builder().set("fill.stale_for", "1h").start().await,
        origin: Origin::start().await,
    };
    let stale = "Cache-Control: max-age=1, stale-while-revalidate=600\r\nAge: 5\r\nETag: \"v\"\r\n";
    stage.origin.on("/file", Script::ok(stale, b"x"));
    stage.get("/file").await;
    stage.gateway.settled().await;
    for form in ["forward", "download", "path"] {
        let response = query(&stage, "HEAD", form, "/file").await;
        assert_eq!(response.status(), 504, "{form}");
    }
    stage.finish().await;
}

#[tokio::test]
async fn a_running_fetch_is_not_cached_yet() {
    let stage = stage().await;
    let gate = Gate::new();
    stage.origin.on(
        "/file",
        Script::ok_in_halves(FRESH, b"0123456789", 5, &gate),
    );
    let url = stage.origin.url("/file");
    let mut client = stage.gateway.connect().await;
    client.send(forward("GET", &url, "")).await;
    assert_eq!(client.head().await.status, 200);
    check_all(&stage, "/file", 504).await;
    gate.open();
    stage.gateway.settled().await;
    check_all(&stage, "/file", 200).await;
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_redirect_is_cached_for_those_who_are_handed_it() {
    let stage = stage().await;
    let there = stage.origin.url("/there");
    let moved = format!("Location: {there}\r\n{FRESH}");
    stage.origin.on(
        "/file",
        Script::status("301 Moved Permanently", &moved, b""),
    );
    stage.fresh("/there", b"x");
    stage.get("/file").await;
    stage.gateway.settled().await;
    for (form, status) in [
        ("forward", 301),
        ("mirror", 301),
        ("download", 504),
        ("path", 504),
    ] {
        let response = query(&stage, "HEAD", form, "/file").await;
        assert_eq!(response.status(), status, "{form}");
    }
    stage.finish().await;
}

#[tokio::test]
async fn in_redirect_mode_a_query_is_answered_and_not_redirected() {
    for miss in ["redirect", "redirect+fetch"] {
        let stage = Stage::with(crate::stage::ruled(&format!("miss = \"{miss}\"\n"))).await;
        stage.fresh("/file", b"x");
        let response = query(&stage, "HEAD", "download", "/file").await;
        assert_eq!(response.status(), 504, "{miss}");
        stage.origin.assert_untouched();
        stage.finish().await;
    }
}

#[tokio::test]
async fn credentials_do_not_turn_a_query_into_a_fetch() {
    let stage = Stage::new().await;
    stage.fresh("/file", b"x");
    let fields = format!("{ONLY}Authorization: Basic eDp5\r\n");
    let response = stage.get_with("/file", &fields).await;
    assert_eq!(response.status(), 504);
    stage.origin.assert_untouched();
    stage.get("/file").await;
    stage.gateway.settled().await;
    // Nothing says that it may answer requests with credentials (RFC 9111 §3.5).
    assert_eq!(stage.get_with("/file", &fields).await.status(), 504);
    stage.finish().await;
}
