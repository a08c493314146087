//! Rows 82–86: ranges of what is not stored, with `range_miss = "part"` (RFC 9110 §14, §15.3.7; RFC 9111 §3.3, §3.4).

use crate::stage::{FRESH, Stage, ruled};
use weir_tests::{Response, Script};

const WHOLE: &[u8] = b"0123456789";
const TAGGED: &str = "Cache-Control: max-age=600\r\nETag: \"v1\"\r\n";

async fn stage() -> Stage {
    Stage::with(ruled("range_miss = \"part\"")).await
}

/// A 206 with any Content-Range.
fn part(fields: &str, range: &str, body: &[u8]) -> Script {
    let fields = format!("{fields}Content-Range: bytes {range}\r\n");
    Script::status("206 Partial Content", &fields, body)
}

async fn ask(stage: &Stage, range: &str) -> Response {
    let fields = format!("Range: bytes={range}\r\n");
    let response = stage.get_with("/x", &fields).await;
    stage.gateway.settled().await;
    response
}

/// Whether a range is answered without the origin; it is asked for the whole afterwards in any case.
async fn is_kept(stage: &Stage, range: &str) -> bool {
    let before = stage.origin.requests();
    ask(stage, range).await;
    stage.origin.requests() == before
}

#[tokio::test]
async fn parts_are_kept_and_combined() {
    let stage = stage().await;
    stage.origin.on_each(
        "/x",
        [
            part(TAGGED, "0-3/10", b"0123"),
            part(TAGGED, "4-9/10", b"456789"),
        ],
    );
    ask(&stage, "0-3").await.assert_is(206, b"0123");
    assert!(is_kept(&stage, "1-2").await);
    ask(&stage, "4-9").await.assert_is(206, b"456789");
    stage.assert_hit("/x", WHOLE).await;
    assert_eq!(stage.origin.requests(), 2);
    stage.finish().await;
}

#[tokio::test]
async fn row_82_a_206_that_nobody_asked_for_is_not_stored() {
    let stage = stage().await;
    stage.origin.on_each(
        "/x",
        [part(TAGGED, "0-3/10", b"0123"), Script::ok(TAGGED, WHOLE)],
    );
    let first = stage.get("/x").await;
    assert_ne!(first.status(), 200, "a part passed off as the whole");
    stage.assert_fetched("/x").await.assert_is(200, WHOLE);
    stage.assert_hit("/x", WHOLE).await;
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_82_a_content_range_that_contradicts_itself_is_not_kept() {
    for (range, body) in [
        ("0-3/3", "0123"),
        ("3-0/10", "0123"),
        ("0-4/10", "0123"),
        ("0-2/10", "0123"),
        ("0-3/*", "0123"),
        ("0-3", "0123"),
        ("0-99999999999999999999/10", "0123"),
        ("-3/10", "0123"),
        ("0-3/10, 4-7/10", "0123"),
        ("0-3/10\r\nContent-Range: bytes 0-3/12", "0123"),
    ] {
        let stage = stage().await;
        stage.origin.on_each(
            "/x",
            [
                part(TAGGED, range, body.as_bytes()),
                Script::ok(TAGGED, WHOLE),
            ],
        );
        ask(&stage, "0-3").await;
        assert!(!is_kept(&stage, "0-3").await, "{range:?} is kept");
        stage.assert_hit("/x", WHOLE).await;
        stage.gateway.finish_with_warnings().await;
    }
}

#[tokio::test]
async fn row_82_another_range_than_the_one_asked_for_is_not_combined() {
    let stage = stage().await;
    stage.origin.on_each(
        "/x",
        [
            part(TAGGED, "4-9/10", b"wrong!"),
            part(TAGGED, "0-3/10", b"0123"),
            Script::ok(TAGGED, WHOLE),
        ],
    );
    ask(&stage, "0-3").await;
    ask(&stage, "0-3").await.assert_is(206, b"0123");
    stage.get("/x").await.assert_is(200, WHOLE);
    stage.gateway.finish_with_warnings().await;
}

/// Checks that two parts with these fields and ranges are not made into one object.
async fn check_apart(first: Script, second: Script, why: &str) {
    let stage = stage().await;
    stage
        .origin
        .on_each("/x", [first, second, Script::ok(TAGGED, WHOLE)]);
    ask(&stage, "0-3").await.assert_is(206, b"0123");
    ask(&stage, "4-9").await.assert_is(206, b"456789");
    let whole = stage.get("/x").await;
    whole.assert_is(200, WHOLE);
    assert!(!whole.is_hit(), "combined: {why}");
    assert_eq!(stage.origin.requests(), 3, "{why}");
    stage.finish().await;
}

#[tokio::test]
async fn row_82_parts_of_another_total_are_not_combined() {
    let first = part(TAGGED, "0-3/12", b"0123");
    check_apart(first, part(TAGGED, "4-9/10", b"456789"), "another total").await;
}

#[tokio::test]
async fn row_83_parts_of_another_version_are_not_combined() {
    let other = format!("{FRESH}ETag: \"v2\"\r\n");
    let dated = |day: u32| format!("{FRESH}Last-Modified: Mon, 0{day} Jan 2001 00:00:00 GMT\r\n");
    for (one, other) in [
        (TAGGED.to_owned(), other),
        (TAGGED.to_owned(), FRESH.to_owned()),
        (dated(1), dated(8)),
    ] {
        let first = part(&one, "0-3/10", b"0123");
        let second = part(&other, "4-9/10", b"456789");
        check_apart(first, second, &other).await;
    }
}

#[tokio::test]
async fn row_84_a_weak_tag_combines_nothing() {
    let weak = format!("{FRESH}ETag: W/\"v1\"\r\n");
    let first = part(&weak, "0-3/10", b"0123");
    check_apart(first, part(&weak, "4-9/10", b"456789"), "weak").await;
}

#[tokio::test]
async fn row_85_a_whole_answer_to_a_range_is_sliced_and_stored() {
    let stage = stage().await;
    stage.origin.on("/x", Script::ok(TAGGED, WHOLE));
    let response = ask(&stage, "2-4").await;
    response.assert_is(206, b"234");
    assert_eq!(response.field("content-range"), Some("bytes 2-4/10"));
    assert_eq!(
        stage.origin.record().requests[0].values("range"),
        ["bytes=2-4"]
    );
    stage.assert_hit("/x", WHOLE).await;
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn row_85_a_whole_answer_to_a_range_with_another_validator_is_sent_whole() {
    let stage = stage().await;
    stage.origin.on("/x", Script::ok(TAGGED, WHOLE));
    for (validator, status, body) in [
        ("\"v0\"", 200, WHOLE),
        ("W/\"v1\"", 200, WHOLE),
        ("\"v1\"", 206, &b"234"[..]),
    ] {
        let fields = format!("Range: bytes=2-4\r\nIf-Range: {validator}\r\n");
        let response = stage.get_with("/x", &fields).await;
        response.assert_is(status, body);
        stage.gateway.settled().await;
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_86_a_416_with_a_lying_length_drops_the_parts_and_asks_once_for_the_whole() {
    let stage = stage().await;
    let lie = Script::status(
        "416 Range Not Satisfiable",
        "Content-Range: bytes */5\r\n",
        b"",
    );
    stage.origin.on_each(
        "/x",
        [
            part(TAGGED, "0-3/10", b"0123"),
            lie,
            Script::ok(TAGGED, WHOLE),
        ],
    );
    ask(&stage, "0-3").await.assert_is(206, b"0123");
    ask(&stage, "8-9").await.assert_is(206, b"89");
    assert_eq!(stage.origin.requests(), 3, "one retry, for the whole");
    let record = stage.origin.record();
    assert!(record.requests[2].values("range").is_empty());
    stage.assert_hit("/x", WHOLE).await;
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_86_a_416_of_a_range_beyond_the_end_is_the_clients_answer() {
    let stage = stage().await;
    let beyond = Script::status(
        "416 Range Not Satisfiable",
        "Content-Range: bytes */10\r\n",
        b"",
    );
    stage.origin.on("/x", beyond);
    let response = ask(&stage, "20-29").await;
    assert_eq!(response.status(), 416);
    assert_eq!(response.field("content-range"), Some("bytes */10"));
    stage.finish().await;
}
