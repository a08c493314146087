//! Conditions and ranges on a stored object (RFC 9110 §13, §14).

use crate::stage::Stage;
use weir_tests::client::forward;
use weir_tests::{Content, Script};

const VALIDATORS: &str = "Cache-Control: max-age=600\r\nETag: \"v1\"\r\n\
                          Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT\r\n";

/// A stage with one stored object of ten bytes.
async fn stored() -> Stage {
    let stage = Stage::new().await;
    stage.origin.on("/x", Script::ok(VALIDATORS, b"0123456789"));
    stage.get("/x").await.assert_is(200, b"0123456789");
    stage.gateway.settled().await;
    stage
}

/// Checks status and body for each set of fields, without another fetch.
async fn check(rows: &[(&str, u16, &str)]) {
    let stage = stored().await;
    for (fields, status, body) in rows {
        let response = stage.get_with("/x", &format!("{fields}\r\n")).await;
        assert_eq!(response.status(), *status, "{fields}: {:?}", response.head);
        if *status < 400 {
            assert_eq!(response.body, body.as_bytes(), "{fields}");
        }
    }
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn conditions_are_judged_here() {
    let whole = "0123456789";
    check(&[
        ("If-None-Match: \"v1\"", 304, ""),
        ("If-None-Match: W/\"v1\"", 304, ""),
        ("If-None-Match: \"a\", \"v1\"", 304, ""),
        ("If-None-Match: *", 304, ""),
        ("If-None-Match: \"v2\"", 200, whole),
        ("If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT", 304, ""),
        (
            "If-Modified-Since: Sun, 31 Dec 2000 00:00:00 GMT",
            200,
            whole,
        ),
        ("If-Modified-Since: nonsense", 200, whole),
        (
            "If-None-Match: \"v2\"\r\nIf-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT",
            200,
            whole,
        ),
    ])
    .await;
}

#[tokio::test]
async fn not_modified_repeats_the_validators() {
    let stage = stored().await;
    let response = stage.get_with("/x", "If-None-Match: \"v1\"\r\n").await;
    assert_eq!(
        (response.status(), response.field("etag")),
        (304, Some("\"v1\""))
    );
    assert!(
        response
            .field("content-length")
            .is_none_or(|length| length == "10")
    );
    stage.finish().await;
}

#[tokio::test]
async fn ranges_are_cut_from_the_stored_object() {
    let whole = "0123456789";
    check(&[
        ("Range: bytes=0-0", 206, "0"),
        ("Range: bytes=2-4", 206, "234"),
        ("Range: bytes=7-", 206, "789"),
        ("Range: bytes=-3", 206, "789"),
        ("Range: bytes=-99", 206, whole),
        ("Range: bytes=5-99", 206, "56789"),
        ("Range: bytes=10-", 416, ""),
        ("Range: bytes=-0", 416, ""),
        ("Range: bytes=4-2", 200, whole),
        ("Range: pages=1-2", 200, whole),
        ("Range: bytes=18446744073709551616-", 416, ""),
    ])
    .await;
}

#[tokio::test]
async fn if_range_decides_between_part_and_whole() {
    let whole = "0123456789";
    check(&[
        ("Range: bytes=2-4\r\nIf-Range: \"v1\"", 206, "234"),
        ("Range: bytes=2-4\r\nIf-Range: \"v2\"", 200, whole),
        ("Range: bytes=2-4\r\nIf-Range: W/\"v1\"", 200, whole),
        (
            "Range: bytes=2-4\r\nIf-Range: Mon, 01 Jan 2001 00:00:00 GMT",
            206,
            "234",
        ),
        (
            "Range: bytes=2-4\r\nIf-Range: Tue, 02 Jan 2001 00:00:00 GMT",
            200,
            whole,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_range_beyond_the_end_tells_the_length() {
    let stage = stored().await;
    let response = stage.get_with("/x", "Range: bytes=10-\r\n").await;
    assert_eq!(
        (response.status(), response.field("content-range")),
        (416, Some("bytes */10"))
    );
    stage.finish().await;
}

#[tokio::test]
async fn several_ranges_are_answered_in_parts_or_whole() {
    let stage = stored().await;
    let response = stage.get_with("/x", "Range: bytes=0-1,5-6\r\n").await;
    match response.status() {
        200 => assert_eq!(response.body, "0123456789"),
        206 => {
            let text = response.text_whole();
            assert!(
                response
                    .field("content-type")
                    .is_some_and(|kind| { kind.starts_with("multipart/byteranges; boundary=") })
            );
            assert!(
                text.contains("bytes 0-1/10") && text.contains("bytes 5-6/10"),
                "{text}"
            );
            assert!(
                text.contains("\r\n\r\n01\r\n") && text.contains("\r\n\r\n56\r\n"),
                "{text}"
            );
        }
        other => panic!("{other}"),
    }
    stage.finish().await;
}

#[tokio::test]
async fn head_of_a_stored_object_has_its_fields_and_no_body() {
    let stage = stored().await;
    let mut client = stage.gateway.connect().await;
    let url = stage.origin.url("/x");
    let response = client.exchange(&forward("HEAD", &url, "")).await;
    assert_eq!(
        (response.status(), response.field("content-length")),
        (200, Some("10"))
    );
    assert!(response.is_hit());
    client
        .exchange(&forward("GET", &url, ""))
        .await
        .assert_is(200, b"0123456789");
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn every_range_of_a_large_object_is_byte_identical() {
    let stage = Stage::new().await;
    let content = Content::new(11, 3 * 1024 * 1024 + 17);
    stage
        .origin
        .on("/x", Script::ok(VALIDATORS, &content.bytes()));
    stage.get("/x").await.assert_is(200, &content.bytes());
    stage.gateway.settled().await;
    let block = 64 * 1024;
    let length = content.length();
    let edges = [
        0,
        1,
        4095,
        4096,
        block - 1,
        block,
        1 << 20,
        (1 << 20) + 1,
        length - 1,
    ];
    for start in edges {
        for end in [start + 1, (start + block + 1).min(length), length] {
            let fields = format!("Range: bytes={start}-{}\r\n", end - 1);
            let response = stage.get_with("/x", &fields).await;
            response.assert_is(206, &content.slice(start, end));
        }
    }
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}
