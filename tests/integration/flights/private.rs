//! What must not be shared: each of these clients is on its own.

use super::Reader;
use crate::stage::{FRESH, Stage};
use weir_tests::{Gate, Gateway, Script};

/// Checks that two clients that wait for the same head get an answer of their own each.
async fn each_gets_its_own(fields: &str) {
    let stage = Stage::new().await;
    let gate = Gate::new();
    let mut first_script = Script::after(&gate);
    first_script.append(Script::ok(fields, b"for the first"));
    stage
        .origin
        .on_each("/x", [first_script, Script::ok(fields, b"for the second")]);
    let mut first = Reader::ask(&stage, "/x", "").await;
    stage
        .origin
        .wait_for("the first request", |record| record.requests.len() == 1)
        .await;
    let mut second = Reader::ask(&stage, "/x", "").await;
    gate.open();
    first.response("GET").await.assert_is(200, b"for the first");
    second
        .response("GET")
        .await
        .assert_is(200, b"for the second");
    assert_eq!(stage.origin.requests(), 2);
    stage.finish().await;
}

#[tokio::test]
async fn private_responses_are_never_shared() {
    each_gets_its_own("Cache-Control: private, max-age=600\r\n").await;
}

#[tokio::test]
async fn responses_that_must_not_be_stored_are_never_shared() {
    each_gets_its_own("Cache-Control: no-store\r\n").await;
}

#[tokio::test]
async fn responses_that_set_cookies_are_never_shared() {
    each_gets_its_own("Cache-Control: max-age=600\r\nSet-Cookie: a=b\r\n").await;
}

#[tokio::test]
async fn vary_sends_other_waiters_away() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    let fields = format!("{FRESH}Vary: X-Choice\r\n");
    let mut tea = Script::after(&gate);
    tea.append(Script::ok(&fields, b"tea"));
    stage
        .origin
        .on_each("/x", [tea, Script::ok(&fields, b"coffee")]);
    let mut first = Reader::ask(&stage, "/x", "X-Choice: tea\r\n").await;
    stage
        .origin
        .wait_for("the first request", |record| record.requests.len() == 1)
        .await;
    let mut second = Reader::ask(&stage, "/x", "X-Choice: coffee\r\n").await;
    let mut third = Reader::ask(&stage, "/x", "X-Choice: tea\r\n").await;
    gate.open();
    first.response("GET").await.assert_is(200, b"tea");
    second.response("GET").await.assert_is(200, b"coffee");
    third.response("GET").await.assert_is(200, b"tea");
    let record = stage.origin.record();
    let asked: Vec<_> = record
        .requests
        .iter()
        .map(|seen| seen.values("x-choice"))
        .collect();
    assert_eq!(asked, [["tea"], ["coffee"]]);
    stage.finish().await;
}

#[tokio::test]
async fn requests_with_credentials_or_cookies_go_alone() {
    for fields in ["Authorization: Basic YTpi\r\n", "Cookie: a=b\r\n"] {
        let stage = Stage::new().await;
        let gate = Gate::new();
        let mut held = Script::after(&gate);
        held.append(Script::ok(FRESH, b"shared"));
        stage.origin.on_each(
            "/x",
            [held, Script::ok("Cache-Control: private\r\n", b"own")],
        );
        let mut shared = Reader::ask(&stage, "/x", "").await;
        stage
            .origin
            .wait_for("the first request", |record| record.requests.len() == 1)
            .await;
        stage.get_with("/x", fields).await.assert_is(200, b"own");
        gate.open();
        shared.response("GET").await.assert_is(200, b"shared");
        let record = stage.origin.record();
        assert!(!record.requests[0].head.contains(fields), "{fields}");
        assert!(
            record.requests[1].head.contains(fields.trim_end()),
            "{fields}"
        );
        stage.finish().await;
    }
}

#[tokio::test]
async fn a_shared_fetch_carries_no_condition_and_no_range_of_its_leader() {
    let stage = Stage::new().await;
    stage.fresh("/x-1.0.tar.gz", b"0123456789");
    let fields = "Range: bytes=2-4\r\nIf-None-Match: \"other\"\r\nIf-Range: \"other\"\r\n\
                  If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT\r\n";
    let response = stage.get_with("/x-1.0.tar.gz", fields).await;
    assert!(
        [200, 206].contains(&response.status()),
        "{:?}",
        response.head
    );
    let record = stage.origin.record();
    for name in ["range", "if-none-match", "if-range", "if-modified-since"] {
        assert!(record.requests[0].values(name).is_empty(), "{name}");
    }
    stage.finish().await;
}

#[tokio::test]
async fn a_range_of_what_is_not_stored_is_cut_out_of_the_whole() {
    for fields in ["Cache-Control: no-store\r\n", "Cache-Control: private\r\n"] {
        let stage = Stage::new().await;
        stage.origin.on("/x", Script::ok(fields, b"0123456789"));
        let response = stage.get_with("/x", "Range: bytes=2-4\r\n").await;
        response.assert_is(206, b"234");
        assert_eq!(response.field("content-range"), Some("bytes 2-4/10"));
        let resumed = stage.get_with("/x", "Range: bytes=7-\r\n").await;
        resumed.assert_is(206, b"789");
        stage.finish().await;
    }
}

#[tokio::test]
async fn an_error_for_one_client_is_not_repeated_to_the_next() {
    let stage = Stage::with(Gateway::builder().set("fill.hold_down", "60s")).await;
    let secret = Script::status(
        "404 Not Found",
        "X-User: alice\r\n",
        b"no such file for alice",
    );
    stage
        .origin
        .on_each("/x", [secret, Script::ok(FRESH, b"for all")]);
    let alice = stage.get_with("/x", "Authorization: Basic Zm9v\r\n").await;
    assert_eq!(alice.status(), 404);
    stage.get("/x").await.assert_is(200, b"for all");
    stage.finish().await;
}
