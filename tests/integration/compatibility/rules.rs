//! Which files are served and cached: by suffix and by size.

use super::{assert_sent_to, cache_proxy, download, filled, fills};
use crate::stage::{FRESH, Stage};
use weir_tests::gateway::Builder;
use weir_tests::{Program, Script};

fn with_suffixes(rules: &str) -> Builder {
    cache_proxy()
        .set("cache_proxy.suffix_rules", rules)
        .set("cache_proxy.suffixes", vec!["tar.gz", ".zip"])
}

#[tokio::test]
async fn cp_12_strict_refuses_a_suffix_that_is_not_listed() {
    let stage = Stage::with(with_suffixes("strict")).await;
    for path in ["/song.mp3", "/song.mp3?x=.zip", "/", "/tar.gz"] {
        let refused = download(&stage, path).await;
        assert_eq!(refused.status(), 400, "{path}");
        let text = refused.text();
        assert!(text.contains("Prohibited by proxy rule"), "{path}: {text}");
    }
    stage.origin.assert_untouched();
    for (path, count) in [("/a-1.0.tar.gz", 1), ("/a.zip?x=1", 2)] {
        stage.fresh(path, b"listed");
        let sent = download(&stage, path).await;
        assert_sent_to(&sent, &stage.origin.url(path));
        filled(&stage.gateway, &stage.origin, count).await;
        stage.assert_hit(path, b"listed").await;
    }
    stage.finish().await;
}

#[tokio::test]
async fn cp_12_lenient_serves_a_suffix_that_is_not_listed_and_does_not_cache_it() {
    let stage = Stage::with(with_suffixes("lenient")).await;
    stage.fresh("/song.mp3", b"music");
    let asked = format!(
        "{}/download/{}",
        stage.gateway.proxy_url(),
        stage.origin.url("/song.mp3")
    );
    for _ in 0..2 {
        let run = Program::new("curl")
            .args(["-sS", "-f", "-L", &asked])
            .run()
            .await;
        assert_eq!(run.assert_code(0).stdout, b"music");
        stage.gateway.settled().await;
    }
    assert_eq!(stage.origin.requests(), 2, "the client's own, twice");
    assert_eq!(fills(&stage.origin), 0);
    stage.fresh("/a.zip", b"listed");
    assert_eq!(download(&stage, "/a.zip").await.status(), 302);
    filled(&stage.gateway, &stage.origin, 1).await;
    stage.assert_hit("/a.zip", b"listed").await;
    stage.finish().await;
}

#[tokio::test]
async fn cp_13_the_size_limit_holds_beside_rules_about_responses() {
    // The first rule speaks for the file, the second only needs the response to know that it does not.
    for condition in ["size_min = \"1\"", "media_type = [\"video/*\"]"] {
        let rule = format!("[[rule]]\nname = \"of-the-test\"\nttl_default = \"1h\"\n{condition}\n");
        let rule: toml::Table = toml::from_str(&rule).expect("a rule");
        let builder = cache_proxy()
            .config(|config| config.extend(rule))
            .set("cache_proxy.size_max", "1KB");
        let stage = Stage::with(builder).await;
        stage.fresh("/big.iso", &[1; 1001]);
        let refused = download(&stage, "/big.iso").await;
        assert_eq!(refused.status(), 400, "{condition}: {:?}", refused.head);
        assert!(refused.text().contains("out limit"), "{}", refused.text());
        stage.gateway.settled().await;
        stage.assert_fetched("/big.iso").await;
        stage.gateway.finish_with_warnings().await;
    }
}

/// A head that promises so many bytes, and an end before any of them.
fn promise(bytes: u64) -> Script {
    Script::of(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n{FRESH}\r\n"
    ))
    .close()
}

#[tokio::test]
async fn cp_13_more_than_a_billion_bytes_is_out_of_the_limit() {
    let stage = Stage::with(cache_proxy()).await;
    stage.origin.on("/most.iso", promise(1_000_000_000));
    stage.origin.on("/more.iso", promise(1_000_000_001));
    let most = download(&stage, "/most.iso").await;
    assert_sent_to(&most, &stage.origin.url("/most.iso"));
    let more = download(&stage, "/more.iso").await;
    assert_eq!(more.status(), 400, "{:?}", more.head);
    assert!(more.text().contains("out limit"), "{}", more.text());
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn cp_13_the_size_is_asked_once_and_not_with_every_request() {
    let builder = cache_proxy()
        .set("cache_proxy.size_max", "1KB")
        .set("fill.hold_down", "5m");
    let stage = Stage::with(builder).await;
    stage.fresh("/big.iso", &[1; 1001]);
    for _ in 0..3 {
        let refused = download(&stage, "/big.iso").await;
        assert_eq!(refused.status(), 400, "{:?}", refused.head);
        assert!(refused.text().contains("out limit"), "{}", refused.text());
        stage.gateway.settled().await;
    }
    assert_eq!(stage.origin.requests(), 1, "one GET tells for all");
    // The limit is that of /download/: it does not follow the URL to other forms.
    stage.get("/big.iso").await.assert_is(200, &[1; 1001]);
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn cp_13_a_listed_url_may_be_larger() {
    let stage = Stage::with(cache_proxy()).await;
    let (file, folder) = (stage.origin.url("/one.iso"), stage.origin.url("/images/"));
    let Stage { gateway, origin } = stage;
    gateway.finish().await;
    let builder = cache_proxy()
        .set("cache_proxy.size_max", "1KB")
        .set("cache_proxy.allow_urls", vec![file, folder]);
    let stage = Stage {
        gateway: builder.start().await,
        origin,
    };
    let allowed = ["/one.iso", "/one.iso?mirror=2", "/images/a/two.iso"];
    for (number, path) in (1..).zip(allowed) {
        stage.fresh(path, &[2; 2000]);
        assert_sent_to(&download(&stage, path).await, &stage.origin.url(path));
        filled(&stage.gateway, &stage.origin, number).await;
        stage.assert_hit(path, &[2; 2000]).await;
        let hit = download(&stage, path).await;
        hit.assert_is(200, &[2; 2000]);
    }
    stage.fresh("/other.iso", &[2; 2000]);
    assert_eq!(download(&stage, "/other.iso").await.status(), 400);
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn cp_13_of_a_stored_object_its_length_decides() {
    let stage = Stage::with(cache_proxy().set("cache_proxy.size_max", "1KB")).await;
    stage.fresh("/big.iso", &[3; 1001]);
    stage.get("/big.iso").await.assert_is(200, &[3; 1001]);
    stage.assert_hit("/big.iso", &[3; 1001]).await;
    let refused = download(&stage, "/big.iso").await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().contains("out limit"), "{}", refused.text());
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}
