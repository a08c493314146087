//! `weir explain`: a hit, its rule and its key, for people and for programs.

use crate::stage::Stage;
use weir_tests::{Gateway, Script};

const FIELDS: &str = "Cache-Control: max-age=600\r\nETag: \"v1\"\r\n";

async fn stage_with_hit() -> (Stage, String) {
    let stage = Stage::new().await;
    stage.origin.on("/file", Script::ok(FIELDS, b"0123456789"));
    stage.get("/file").await.assert_is(200, b"0123456789");
    stage.assert_hit("/file", b"0123456789").await;
    let url = stage.origin.url("/file");
    (stage, url)
}

#[tokio::test]
async fn a_hit_is_explained_to_people() {
    let (stage, url) = stage_with_hit().await;
    let before = stage.origin.requests();
    let run = stage.gateway.weir(["explain", &url]).await;
    run.assert_code(0);
    let text = run.text();
    // 84d89877f0d4041e…: what sha256sum says of the ten digits.
    let words = [
        url.as_str(),
        "status 200",
        "10 bytes",
        "fresh: age",
        "600 s by max-age",
        "\"v1\"",
        "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882",
        "rule",
        "key ",
    ];
    for word in words {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert_eq!(stage.origin.requests(), before);
    stage.finish().await;
}

#[tokio::test]
async fn a_hit_is_explained_to_programs() {
    let (stage, url) = stage_with_hit().await;
    let run = stage.gateway.weir(["explain", &url, "--json"]).await;
    run.assert_code(0);
    let text = run.text();
    let lines = [
        "\"decision\": \"shared\"",
        "\"form\": \"forward\"",
        "\"entry\": \"plain\"",
        "\"status\": 200",
        "\"length_bytes\": 10",
        "\"verdict\": \"fresh\"",
        "\"lifetime_seconds\": 600",
        "\"lifetime_source\": \"max-age\"",
        "\"pinned\": false",
        "\"conflicts\": []",
    ];
    for line in lines {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    stage.finish().await;
}

#[tokio::test]
async fn a_request_that_asks_for_validation_sees_a_stale_object() {
    let (stage, url) = stage_with_hit().await;
    let field = "Cache-Control: no-cache";
    let run = stage.gateway.weir(["explain", &url, "--header", field]);
    let run = run.await;
    run.assert_code(0);
    let text = run.text();
    assert!(text.contains("stale (request-directive)"), "{text}");
    stage.finish().await;
}

#[tokio::test]
async fn a_url_that_nobody_asked_for_holds_nothing() {
    let gateway = Gateway::start().await;
    let words = ["explain", "http://host/a?signature=1", "--form", "download"];
    let run = gateway.weir(words).await;
    run.assert_code(0);
    let text = run.text();
    assert!(text.contains("signature=1"), "{text}");
    assert!(text.contains("followed for the client"), "{text}");
    assert!(!text.contains("sequence"), "{text}");
    gateway.finish().await;
}

#[tokio::test]
async fn the_rule_that_matches_is_named() {
    let builder = Gateway::builder().config(|config| {
        let rule = "name = \"quick\"\nhost = [\"127.0.0.1\"]\nttl_max = \"5s\"\n";
        let rule: toml::Table = rule.parse().expect("a rule");
        config.insert("rule".to_owned(), vec![rule].into());
    });
    let gateway = builder.start().await;
    let run = gateway.weir(["explain", "http://127.0.0.1:9/x"]).await;
    let text = run.assert_code(0).text();
    assert!(text.contains("quick"), "{text}");
    assert!(text.contains("ttl_max = 5 s"), "{text}");
    gateway.finish().await;
}

#[tokio::test]
async fn what_is_no_url_is_refused() {
    let gateway = Gateway::start().await;
    for url in ["nonsense", "http://user:secret@host/", "/nowhere"] {
        let run = gateway.weir(["explain", url]).await;
        run.assert_code(1);
        assert!(run.stderr.starts_with("weir: "), "{}", run.stderr);
        assert!(run.stdout.is_empty());
    }
    gateway.finish().await;
}

/// The line about the last response, as `weir explain` shows it.
async fn last_answer(stage: &Stage, path: &str) -> Option<String> {
    let url = stage.origin.url(path);
    let run = stage.gateway.weir(["explain", &url]).await;
    let text = run.assert_code(0).text();
    let line = text.lines().find(|line| line.starts_with("last answer"));
    line.map(str::to_owned)
}

#[tokio::test]
async fn why_the_last_response_was_or_was_not_stored_is_explained() {
    let stage = Stage::new().await;
    let on = |path: &str, fields: &str| stage.origin.on(path, Script::ok(fields, b"x"));
    on("/stored", FIELDS);
    on("/private", "Cache-Control: private\r\n");
    on(
        "/cookie",
        "Set-Cookie: a=b\r\nCache-Control: max-age=60\r\n",
    );
    stage
        .origin
        .on("/500", Script::status("500 Oops", "", b"x"));
    stage.origin.on("/silent", Script::of("").close());
    for (path, words) in [
        ("/stored", " s ago, 200, stored"),
        (
            "/private",
            " s ago, 200, not stored: Cache-Control: private",
        ),
        (
            "/cookie",
            " s ago, 200, not stored: it sets a cookie, and nothing says it may be shared",
        ),
        (
            "/500",
            " s ago, 500, not stored: its status is not stored without explicit freshness",
        ),
        ("/silent", " s ago, failed: no-answer"),
    ] {
        assert_eq!(last_answer(&stage, path).await, None, "{path}");
        stage.get(path).await;
        stage.gateway.settled().await;
        let line = last_answer(&stage, path).await.expect("it is remembered");
        assert!(line.ends_with(words), "{path}: {line}");
    }
    let run = stage
        .gateway
        .weir(["explain", "--json", &stage.origin.url("/private")])
        .await;
    for line in [
        "\"fate\": \"not-stored\"",
        "\"reason\": \"private\"",
        "\"status\": 200",
    ] {
        assert!(
            run.text().contains(line),
            "{line:?} is not in\n{}",
            run.text()
        );
    }
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_304_and_a_client_of_its_own_change_what_is_said_and_a_hit_does_not() {
    let stage = Stage::new().await;
    let holds = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\nETag: \"v1\"\r\n\r\n";
    stage
        .origin
        .on_each("/file", [Script::ok(FIELDS, b"x"), Script::of(holds)]);
    stage.get("/file").await;
    stage.assert_hit("/file", b"x").await;
    let line = last_answer(&stage, "/file")
        .await
        .expect("it is remembered");
    assert!(line.ends_with("200, stored"), "{line}");
    stage.get_with("/file", "Cache-Control: no-cache\r\n").await;
    stage.gateway.settled().await;
    let line = last_answer(&stage, "/file")
        .await
        .expect("it is remembered");
    assert!(
        line.ends_with("304, the stored object still holds"),
        "{line}"
    );
    stage.origin.on("/secret", Script::ok(FIELDS, b"x"));
    stage
        .get_with("/secret", "Authorization: Basic eDp5\r\n")
        .await;
    stage.gateway.settled().await;
    let line = last_answer(&stage, "/secret")
        .await
        .expect("it is remembered");
    assert!(
        line.contains("not stored: the request had credentials"),
        "{line}"
    );
    stage.finish().await;
}

#[tokio::test]
async fn the_overlay_of_cache_proxy_is_part_of_what_is_explained() {
    let builder = Gateway::builder()
        .set("cache_proxy.enabled", true)
        .set("cache_proxy.suffix_rules", "strict")
        .set("cache_proxy.suffixes", vec![".gz"])
        .set("cache_proxy.size_max", "1KiB");
    let gateway = builder.start().await;
    let explained = async |url: &str, form: &str| {
        let run = gateway.weir(["explain", url, "--form", form]).await;
        run.assert_code(0).text()
    };
    let text = explained("http://host/a.gz", "download").await;
    for words in [
        "[cache_proxy] over it",
        "miss = redirect+fetch",
        "limit = 1024 bytes",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    let text = explained("http://host/a.mp3", "download").await;
    assert!(text.contains("refused: 400 suffix"), "{text}");
    let text = explained("http://host/a.mp3", "forward").await;
    assert!(!text.contains("cache_proxy"), "{text}");
    gateway.finish().await;
}
