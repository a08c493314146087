//! `weir import`: a file stored under a URL is a lasting hit; a wrong digest stores nothing (CP-24…CP-26).

use std::path::PathBuf;

use weir_tests::{Content, Gateway, Origin, Run, Script};

/// What sha256sum and md5sum say of [`BODY`].
const BODY: &[u8] = b"0123456789";
const SHA256: &str = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
const MD5: &str = "781e5e245d69b566979b86e28d23f2c7";

/// A gateway, an origin that counts, and a file to bring.
struct Bringing {
    gateway: Gateway,
    origin: Origin,
    file: PathBuf,
}

impl Bringing {
    async fn new(body: &[u8]) -> Self {
        let gateway = Gateway::start().await;
        let file = gateway.home().folder().join("brought=file");
        std::fs::write(&file, body).expect("writes");
        Self {
            gateway,
            origin: Origin::start().await,
            file,
        }
    }

    fn url(&self) -> String {
        self.origin.url("/archive-1.0.tar.gz?v=1")
    }

    async fn import(&self, options: &[&str]) -> Run {
        let pair = format!("{}={}", self.url(), self.file.display());
        let words = ["import", &pair].into_iter();
        self.gateway
            .weir(words.chain(options.iter().copied()))
            .await
    }
}

#[tokio::test]
async fn an_imported_file_is_a_hit_that_no_upstream_is_asked_for() {
    let content = Content::new(3, 1_500_000);
    let bringing = Bringing::new(&content.bytes()).await;
    let run = bringing.import(&[]).await;
    assert!(run.assert_code(0).text().contains("1500000 bytes"));
    let url = bringing.url();
    let head = bringing.gateway.request("HEAD", &url, "").await;
    assert_eq!(head.status(), 200);
    assert!(head.is_hit(), "{:?}", head.head);
    let cached = "Cache-Control: only-if-cached\r\n";
    let whole = bringing.gateway.get_with(&url, cached).await;
    whole.assert_is(200, &content.bytes());
    assert_eq!(bringing.origin.requests(), 0);
    bringing.gateway.finish().await;
}

#[tokio::test]
async fn cp_25_a_digest_that_differs_is_refused_and_both_are_said() {
    let bringing = Bringing::new(BODY).await;
    let wrong = "0".repeat(64);
    for (option, expected, found) in [
        ("--sha256", wrong.as_str(), SHA256),
        ("--md5", &wrong[..32], MD5),
    ] {
        let run = bringing.import(&[option, expected]).await;
        run.assert_code(1);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        assert!(run.stderr.contains(found), "{}", run.stderr);
        assert!(run.stderr.contains("nothing was stored"), "{}", run.stderr);
    }
    let explained = bringing.gateway.weir(["explain", &bringing.url()]).await;
    assert!(!explained.assert_code(0).text().contains("sequence"));
    bringing.gateway.finish().await;
}

#[tokio::test]
async fn cp_24_digests_that_hold_are_accepted_in_either_case() {
    let bringing = Bringing::new(BODY).await;
    let upper = SHA256.to_uppercase();
    bringing.import(&["--sha256", &upper]).await.assert_code(0);
    bringing.import(&["--md5", MD5]).await.assert_code(0);
    bringing.gateway.finish().await;
}

#[tokio::test]
async fn other_bytes_are_replaced_only_when_told_so() {
    let bringing = Bringing::new(BODY).await;
    let script = Script::ok("Cache-Control: max-age=600\r\n", b"from upstream");
    bringing.origin.on("/archive-1.0.tar.gz?v=1", script);
    bringing.gateway.get(&bringing.url()).await;
    bringing.gateway.settled().await;
    let run = bringing.import(&[]).await;
    run.assert_code(1);
    assert!(run.stderr.contains("--replace"), "{}", run.stderr);
    bringing.import(&["--replace"]).await.assert_code(0);
    let served = bringing.gateway.get(&bringing.url()).await;
    served.assert_is(200, BODY);
    let again = bringing.import(&[]).await;
    assert!(again.assert_code(0).text().contains("there already"));
    bringing.gateway.finish().await;
}

#[tokio::test]
async fn an_import_lasts_over_a_restart() {
    let bringing = Bringing::new(BODY).await;
    bringing.import(&[]).await.assert_code(0);
    let home = bringing.gateway.home();
    bringing.gateway.finish().await;
    let gateway = home.start().await;
    let url = bringing.origin.url("/archive-1.0.tar.gz?v=1");
    let served = gateway.get(&url).await;
    served.assert_is(200, BODY);
    let explained = gateway.weir(["explain", &url]).await.text();
    assert!(explained.contains("pinned, immutable"), "{explained}");
    gateway.finish().await;
}

#[tokio::test]
async fn wrong_usage_is_told_apart_from_failure() {
    let bringing = Bringing::new(BODY).await;
    let usage = |run: Run| run.assert_code(2).stderr.len();
    usage(bringing.gateway.weir(["import"]).await);
    usage(bringing.gateway.weir(["import", "no-pair"]).await);
    usage(bringing.import(&["--sha256", "abc"]).await);
    let second = format!("http://h/b={}", bringing.file.display());
    usage(bringing.import(&[&second, "--sha256", SHA256]).await);
    let missing = ["import", "http://h/a=/nonexistent/file"];
    let run = bringing.gateway.weir(missing).await;
    run.assert_code(1);
    assert!(run.stderr.contains("/nonexistent/file"), "{}", run.stderr);
    bringing.gateway.finish().await;
}

#[tokio::test]
async fn a_file_larger_than_the_store_is_refused() {
    let gateway = Gateway::builder()
        .set("store.capacity", "64MiB")
        .start()
        .await;
    let file = gateway.home().folder().join("large");
    let sparse = std::fs::File::create(&file).expect("creates");
    sparse.set_len(128 << 20).expect("grows");
    let pair = format!("http://host/large={}", file.display());
    let run = gateway.weir(["import", &pair]).await;
    run.assert_code(1);
    assert!(run.stderr.contains("no room"), "{}", run.stderr);
    assert!(gateway.temporary_files().is_empty());
    gateway.finish().await;
}
