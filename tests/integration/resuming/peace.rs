//! Rows 133, 139 and 140: origins that are slow, ask for peace or cannot be reached, with and without something stale.

use std::time::Duration;

use crate::stage::{FRESH, Stage};
use weir_tests::deadline::{eventually, until};
use weir_tests::{Gate, Gateway, Response, Script};

/// Stored with a validator, stale at once, and nothing forbids to use it when its origin fails.
const STALE: &str = "Cache-Control: max-age=60\r\nAge: 90\r\nETag: \"v1\"\r\n";
/// The same, but never without having asked.
const STRICT: &str = "Cache-Control: max-age=60, must-revalidate\r\nAge: 90\r\nETag: \"v1\"\r\n";

/// A gateway that does not wait long for a head.
async fn impatient() -> Stage {
    Stage::with(Gateway::builder().set("upstream.first_byte_timeout", "1s")).await
}

#[track_caller]
fn assert_stale(response: &Response, body: &[u8]) {
    response.assert_is(200, body);
    assert!(response.is_hit(), "{:?}", response.head);
    let status = response.field("cache-status").expect("a Cache-Status");
    assert!(status.contains("stale-if-error"), "{status}");
}

/// A head that comes, but so slowly that nobody should wait for it.
fn dripping() -> Script {
    let head = format!("HTTP/1.1 200 OK\r\n{FRESH}Content-Length: 1\r\n\r\nx");
    Script::of("").drip(head, Duration::from_millis(200))
}

#[tokio::test]
async fn row_133_a_head_of_a_few_bytes_a_second_is_given_up() {
    let stage = impatient().await;
    stage.origin.on("/x", dripping());
    let response = stage.get("/x").await;
    assert_eq!(response.status(), 504, "{}", response.text());
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_133_what_is_stale_stands_in_for_an_origin_that_does_not_answer() {
    for failing in [
        Script::after(&Gate::new()),
        dripping(),
        Script::of("").reset(),
        Script::of("nonsense\r\n\r\n").close(),
        Script::status("500 Internal Server Error", "", b"no"),
        Script::status("502 Bad Gateway", "", b"no"),
        Script::status("503 Service Unavailable", "", b"no"),
        Script::status("504 Gateway Timeout", "", b"no"),
    ] {
        let stage = impatient().await;
        let scripts = [Script::ok(STALE, b"old"), failing];
        stage.origin.on_each("/x", scripts);
        stage.get("/x").await.assert_is(200, b"old");
        stage.gateway.settled().await;
        assert_stale(&stage.get("/x").await, b"old");
        assert!(stage.origin.requests() >= 2, "it was asked");
        stage.fresh("/x", b"new");
        stage.gateway.settled().await;
        stage.get("/x").await.assert_is(200, b"new");
        stage.gateway.finish_with_warnings().await;
    }
}

#[tokio::test]
async fn what_must_be_revalidated_is_never_served_stale() {
    let stage = impatient().await;
    let silent = Script::after(&Gate::new());
    stage
        .origin
        .on_each("/x", [Script::ok(STRICT, b"old"), silent]);
    stage.get("/x").await.assert_is(200, b"old");
    stage.gateway.settled().await;
    assert_eq!(stage.get("/x").await.status(), 504);
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_139_an_origin_that_asks_to_wait_is_not_asked_for_anything() {
    for (status, number) in [
        ("503 Service Unavailable", 503),
        ("429 Too Many Requests", 429),
    ] {
        let stage = Stage::new().await;
        stage.origin.on_each(
            "/stale",
            [Script::ok(STALE, b"old"), Script::ok(FRESH, b"new")],
        );
        stage.get("/stale").await.assert_is(200, b"old");
        stage.gateway.settled().await;
        stage
            .origin
            .on("/x", Script::status(status, "Retry-After: 30\r\n", b"busy"));
        stage.fresh("/y", b"y");
        let first = stage.get("/x").await;
        assert_eq!(first.status(), number);
        assert_eq!(first.field("retry-after"), Some("30"));
        let before = stage.origin.requests();
        for path in ["/y", "/x", "/z"] {
            let told = stage.get(path).await;
            assert_eq!(told.status(), 503, "{path}: {}", told.text());
            let seconds = told.field("retry-after").expect("a Retry-After");
            assert!(seconds.parse::<u32>().is_ok_and(|wait| wait > 0));
            let same = format!("for {seconds} s more");
            assert!(told.text().contains(&same), "{seconds}: {}", told.text());
        }
        assert_stale(&stage.get("/stale").await, b"old");
        assert_eq!(stage.origin.requests(), before, "it was asked all the same");
        stage.gateway.finish_with_warnings().await;
    }
}

#[tokio::test]
async fn row_139_after_the_wait_it_is_asked_again() {
    let stage = Stage::new().await;
    let busy = Script::status("503 Service Unavailable", "Retry-After: 1\r\n", b"busy");
    stage.origin.on_each("/x", [busy, Script::ok(FRESH, b"x")]);
    assert_eq!(stage.get("/x").await.status(), 503);
    let again = async || {
        let response = stage.get("/x").await;
        assert!([200, 503].contains(&response.status()));
        (response.status() == 200).then_some(response)
    };
    let response = eventually("the end of the wait", again).await;
    response.assert_is(200, b"x");
    assert_eq!(stage.origin.requests(), 2);
    stage.gateway.finish_with_warnings().await;
}

/// A refused connection stands in for a name server that fails: names are resolved by the system here.
#[tokio::test]
async fn row_140_what_is_stale_stands_in_for_an_origin_that_cannot_be_reached() {
    let stage = Stage::new().await;
    for (path, fields) in [("/x", STALE), ("/strict", STRICT)] {
        stage.origin.on(path, Script::ok(fields, b"old"));
        stage.get(path).await.assert_is(200, b"old");
    }
    stage.gateway.settled().await;
    let Stage { gateway, origin } = stage;
    let (url, strict) = (origin.url("/x"), origin.url("/strict"));
    let (missing, address) = (origin.url("/y"), origin.address());
    drop(origin);
    until("its port is closed", async || {
        tokio::net::TcpStream::connect(address).await.is_err()
    })
    .await;
    assert_stale(&gateway.get(&url).await, b"old");
    for url in [strict, missing] {
        let response = gateway.get(&url).await;
        assert!([502, 504, 503].contains(&response.status()), "{url}");
    }
    gateway.finish_with_warnings().await;
}
