//! Rows 16–22 and 32–33: request lines and fields (RFC 9112 §2–§5, §3.2).

use super::{Promise, refused};
use crate::stage::Stage;
use weir_tests::Script;

const HOST: &str = "Host: {origin}\r\n";

/// A GET with these lines after the request line.
fn get(lines: &str) -> String {
    format!("GET http://{{origin}}/x HTTP/1.1\r\n{lines}\r\n")
}

async fn check(statuses: &[u16], promise: Promise, requests: &[String]) {
    let stage = Stage::new().await;
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    refused(&stage, statuses, promise, &requests).await;
    stage.finish().await;
}

#[tokio::test]
async fn row_016_bare_line_feeds_are_refused_or_repaired() {
    let stage = Stage::new().await;
    stage.origin.on("/x", Script::ok("", b"served"));
    for request in [
        "GET http://{origin}/x HTTP/1.1\nHost: {origin}\n\n",
        "GET http://{origin}/x HTTP/1.1\r\nHost: {origin}\nA: b\r\n\r\n",
    ] {
        let response = stage.write(request).await.response("GET").await;
        let record = stage.origin.record();
        match response.status() {
            400 => stage.origin.assert_untouched(),
            200 => {
                let head = &record.requests.last().expect("forwarded").head;
                assert!(
                    !head.replace("\r\n", "").contains('\n'),
                    "bare line feed in {head:?}"
                );
            }
            other => panic!("{request:?}: {other}"),
        }
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_017_a_bare_carriage_return_or_nul_in_a_value_is_refused() {
    let lines = ["A: b\rc\r\n", "A: b\0c\r\n", "A: b\rX: y\r\n", "A: \0\r\n"];
    let requests = lines.map(|line| get(&format!("{HOST}{line}")));
    check(&[400], Promise::Untouched, &requests).await;
}

#[tokio::test]
async fn row_018_a_folded_field_is_refused() {
    let lines = ["A: b\r\n c\r\n", "A: b\r\n\tc\r\n", "A:\r\n b\r\n"];
    let requests = lines.map(|line| get(&format!("{HOST}{line}")));
    check(&[400], Promise::Untouched, &requests).await;
}

#[tokio::test]
async fn row_019_a_leading_space_or_a_missing_colon_is_refused() {
    let requests = [
        get(&format!(" A: b\r\n{HOST}")),
        get(&format!("{HOST}nonsense\r\n")),
        get(&format!("{HOST}: empty name\r\n")),
        get(&format!("{HOST}a b: c\r\n")),
        " GET http://{origin}/x HTTP/1.1\r\nHost: {origin}\r\n\r\n".to_owned(),
    ];
    check(&[400], Promise::Closes, &requests).await;
}

#[tokio::test]
async fn row_020_http_1_1_without_host_is_refused() {
    let path_form = "GET /download/http://{origin}/x HTTP/1.1\r\n\r\n".to_owned();
    check(&[400], Promise::Untouched, &[get(""), path_form]).await;
}

#[tokio::test]
async fn row_021_two_hosts_are_refused() {
    let requests = [
        get(&format!("{HOST}{HOST}")),
        get(&format!("{HOST}Host: other.test\r\n")),
    ];
    check(&[400], Promise::Untouched, &requests).await;
}

#[tokio::test]
async fn row_022_a_host_that_is_none_is_refused() {
    let values = [
        "a b",
        "<script>",
        "a.test, b.test",
        "\u{ff}.test",
        "a.test/x",
        "a.test:port",
    ];
    let forward = values.map(|value| get(&format!("Host: {value}\r\n")));
    let path_form = ["", "a b", "<", "a.test,b.test", "\u{ff}"].map(|value| {
        format!("GET /download/http://{{origin}}/x HTTP/1.1\r\nHost: {value}\r\n\r\n")
    });
    check(
        &[400],
        Promise::Untouched,
        &[forward.as_slice(), &path_form].concat(),
    )
    .await;
}

#[tokio::test]
async fn row_032_other_versions_are_refused() {
    let versions = [
        "HTTP/0.9",
        "HTTP/1.9",
        "HTTP/2.0",
        "HTTP/3",
        "http/1.1",
        "HTTP/1.1x",
        "HTTP/11",
    ];
    let lines = versions
        .map(|version| format!("GET http://{{origin}}/x {version}\r\nHost: {{origin}}\r\n\r\n"));
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned();
    let oldest = "GET http://{origin}/x\r\n\r\n".to_owned();
    check(
        &[400, 505],
        Promise::Untouched,
        &[lines.as_slice(), &[preface, oldest]].concat(),
    )
    .await;
}

#[tokio::test]
async fn row_033_a_method_that_is_no_token_is_refused() {
    let methods = ["G@T", "GE(T", "", "G\0T", "G\u{e9}T"];
    let requests = methods
        .map(|method| format!("{method} http://{{origin}}/x HTTP/1.1\r\nHost: {{origin}}\r\n\r\n"));
    check(&[400], Promise::Untouched, &requests).await;
}

#[tokio::test]
async fn row_033_an_unknown_method_is_not_served() {
    let stage = Stage::new().await;
    let request = "BREW http://{origin}/x HTTP/1.1\r\nHost: {origin}\r\n\r\n";
    let response = stage.write(request).await.response("BREW").await;
    assert!(
        [405, 501].contains(&response.status()),
        "{}",
        response.status()
    );
    stage.origin.assert_untouched();
    stage.finish().await;
}
