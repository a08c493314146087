//! The access log: one line a request, in three formats, and nothing in it that a client can forge.

use crate::stage::Stage;
use weir_tests::{Gateway, Script};

/// Makes one request with the log on standard output and returns its line.
async fn line(format: &str, path: &str, fields: &str) -> String {
    let builder = Gateway::builder()
        .set("log.access", "stdout")
        .set("log.format", format);
    let stage = Stage::with(builder).await;
    stage
        .origin
        .on(path, Script::ok("Content-Type: text/x\r\n", b"body"));
    stage.get_with(path, fields).await.assert_is(200, b"body");
    let authority = stage.origin.authority();
    let line = stage
        .gateway
        .stdout()
        .wait_for("a log line", |line| line.contains(&authority));
    let line = line.await.expect("standard output is open");
    stage.finish().await;
    line
}

#[tokio::test]
async fn squid_lines_have_squids_columns() {
    let line = line("squid", "/x", "").await;
    let words: Vec<&str> = line.split_whitespace().collect();
    assert!(words.len() >= 10, "{line}");
    assert!(
        words[0].parse::<f64>().is_ok() && words[1].parse::<u64>().is_ok(),
        "{line}"
    );
    assert_eq!(words[2], "127.0.0.1");
    assert!(
        words[3].ends_with("/200") && words[3].contains("MISS"),
        "{line}"
    );
    assert_eq!(words[5], "GET");
    assert!(
        words[6].starts_with("http://127.0.0.1:") && words[6].ends_with("/x"),
        "{line}"
    );
    assert_eq!(words[9], "text/x");
}

#[tokio::test]
async fn combined_lines_quote_request_referer_and_agent() {
    let line = line(
        "combined",
        "/x",
        "Referer: http://r/\r\nUser-Agent: probe/1\r\n",
    )
    .await;
    assert!(line.starts_with("127.0.0.1 "), "{line}");
    assert!(line.contains("\"GET http://127.0.0.1:") && line.contains("/x HTTP/1.1\" 200 4 "));
    assert!(line.contains("\"http://r/\" \"probe/1\""), "{line}");
}

#[tokio::test]
async fn json_lines_are_one_object_each() {
    let line = line("json", "/x", "User-Agent: a\"b\\c\r\n").await;
    assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    assert!(
        line.contains("\"status\":200") && line.contains("\"method\":\"GET\""),
        "{line}"
    );
    assert!(line.contains("a\\\"b\\\\c"), "{line}");
}

#[tokio::test]
async fn row_115_what_a_client_sends_cannot_forge_a_line() {
    for format in ["squid", "combined", "json"] {
        let fields = "User-Agent: \u{9b}31mred\t\"quoted\"\r\nReferer: \u{9b}x\r\n";
        let line = line(format, "/x?a=%0d%0aforged", fields).await;
        assert!(
            !line.chars().any(|letter| letter.is_control()),
            "{format}: {line:?}"
        );
        assert!(line.contains("%0d%0aforged"), "{format}: {line:?}");
    }
}

#[tokio::test]
async fn credentials_are_never_logged() {
    let fields = "Authorization: Basic c2VjcmV0\r\nCookie: secret=1\r\n\
                  Proxy-Authorization: Basic c2VjcmV0\r\n";
    for format in ["squid", "combined", "json"] {
        let line = line(format, "/x", fields).await;
        assert!(
            !line.contains("c2VjcmV0") && !line.contains("secret"),
            "{format}: {line}"
        );
    }
}

#[tokio::test]
async fn the_log_can_go_to_a_file() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"x");
    stage.get("/x").await.assert_is(200, b"x");
    let (home, url) = (stage.gateway.home(), stage.origin.url("/x"));
    stage.finish().await;
    let lines = home.access_log();
    assert!(lines.iter().any(|line| line.contains(&url)), "{lines:?}");
}
