//! Rows 114, 120, 122, 124–127, 129: heads that no gateway may believe (RFC 9112 §4–§6, RFC 9110 §15.2).

use crate::stage::Stage;
use weir_tests::Script;

/// Checks that a response that begins like this is answered 502, for GET and POST.
async fn refused(raw: &str) {
    let stage = Stage::new().await;
    stage.origin.on("/x", Script::of(raw).close());
    for method in ["GET", "POST"] {
        let response = stage
            .gateway
            .request(method, &stage.origin.url("/x"), "")
            .await;
        let start = &raw[..raw.len().min(80)];
        assert_eq!(
            response.status(),
            502,
            "{method} {start:?}: {:?}",
            response.text()
        );
        assert!(
            response.ending.is_clean(),
            "{method}: the explanation is cut short"
        );
    }
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_114_a_flood_of_interim_responses_is_a_failure() {
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(40);
    refused(&format!(
        "{interim}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    ))
    .await;
}

#[tokio::test]
async fn row_114_a_few_interim_responses_are_passed_over() {
    let stage = Stage::new().await;
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(5);
    stage.origin.on(
        "/x",
        Script::of(interim).then("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
    );
    for method in ["GET", "POST"] {
        let response = stage
            .gateway
            .request(method, &stage.origin.url("/x"), "")
            .await;
        response.assert_is(200, b"x");
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_120_lengths_that_differ_or_are_none_are_a_failure() {
    for lengths in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 5\r\n",
        "Content-Length: -4\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: four\r\n",
        "Content-Length: 99999999999999999999999\r\n",
    ] {
        refused(&format!("HTTP/1.1 200 OK\r\n{lengths}\r\nfours")).await;
    }
}

#[tokio::test]
async fn row_129_a_switch_of_protocols_that_nobody_asked_for_is_a_failure() {
    refused("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw")
        .await;
}

#[tokio::test]
async fn row_122_transfer_codings_other_than_chunked_are_a_failure() {
    for coding in [
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, identity",
        "chunked, chunked",
        "xchunked",
    ] {
        let fields = format!("Transfer-Encoding: {coding}\r\nContent-Length: 4\r\n");
        refused(&format!(
            "HTTP/1.1 200 OK\r\n{fields}\r\n4\r\nfour\r\n0\r\n\r\n"
        ))
        .await;
    }
}

#[tokio::test]
async fn row_124_control_characters_in_a_field_are_a_failure() {
    for value in ["b\0c", "b\rc", "b\r\r\nX: c", "\x01", "b\x7fc"] {
        refused(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: {value}\r\n\r\n"
        ))
        .await;
    }
    refused("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA\0B: c\r\n\r\n").await;
}

#[tokio::test]
async fn row_125_names_with_space_and_folded_fields_are_a_failure_or_repaired() {
    for field in [
        "Content-Length : 4",
        "A : b",
        " A: b",
        "A: b\r\n c",
        "A: b\r\n\tc",
        "no colon",
    ] {
        let stage = Stage::new().await;
        let raw = format!("HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: 4\r\n\r\nfour");
        stage.origin.on("/x", Script::of(raw).close());
        let response = stage.get("/x").await;
        assert_eq!(response.status(), 502, "{field:?}: {:?}", response.text());
        // The client reads strictly: what it does not refuse has been repaired.
        let url = stage.origin.url("/x");
        let passed = stage.gateway.request("POST", &url, "").await;
        assert!(
            passed.status() == 502 || passed.body == "four",
            "{field:?}: {:?}",
            passed.text()
        );
        stage.gateway.finish_with_warnings().await;
    }
}

#[tokio::test]
async fn row_126_statuses_and_versions_that_are_none_are_a_failure() {
    for line in [
        "HTTP/1.1 099 Low",
        "HTTP/1.1 1000 High",
        "HTTP/1.1 20 Short",
        "HTTP/1.1 abc",
        "HTTP/1.1 -200 OK",
        "HTTP/1.1",
        "HTTP/0.9 200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/1.10 200 OK",
        "ICY 200 OK",
    ] {
        refused(&format!("{line}\r\nContent-Length: 4\r\n\r\nfour")).await;
    }
    refused("<html>the answer of HTTP/0.9</html>\n").await;
}

#[tokio::test]
async fn row_127_heads_without_measure_are_a_failure() {
    let large = "x".repeat(2_000_000);
    refused(&format!(
        "HTTP/1.1 200 OK\r\nA: {large}\r\nContent-Length: 0\r\n\r\n"
    ))
    .await;
    let many: String = (0..3000)
        .map(|number| format!("X-{number}: 1\r\n"))
        .collect();
    refused(&format!(
        "HTTP/1.1 200 OK\r\n{many}Content-Length: 0\r\n\r\n"
    ))
    .await;
}

#[tokio::test]
async fn garbage_instead_of_a_head_is_a_failure() {
    for raw in [
        "garbage\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
    ] {
        refused(raw).await;
    }
}
