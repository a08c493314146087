//! Archives behind signed URLs, as GitHub serves them: a 302 without freshness to another URL every time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weir_tests::{Content, Gateway, Origin, Response, Script};

const PATHS: [&str; 3] = [
    "/owner/repository/releases/download/v1.0/tool-linux-amd64.tar.gz",
    "/owner/repository/archive/refs/tags/v1.0.tar.gz",
    "/owner/repository/archive/0123456789abcdef0123456789abcdef01234567.zip",
];

/// A site that signs, the storage it points to, and a gateway.
struct Signing {
    gateway: Gateway,
    site: Origin,
    storage: Origin,
    content: Content,
}

impl Signing {
    async fn new() -> Self {
        let signing = Self {
            gateway: Gateway::start().await,
            site: Origin::start().await,
            storage: Origin::start().await,
            content: Content::new(302, 300_000),
        };
        let count = Arc::new(AtomicUsize::new(1));
        for signature in 1..10 {
            // What storage says is for the signed URL, which nobody asks for twice.
            let fields = "ETag: \"object\"\r\nLast-Modified: Mon, 01 Jan 2001 00:00:00 GMT\r\n";
            let script = Script::ok(fields, &signing.content.bytes());
            signing
                .storage
                .on(&format!("/object?signature={signature}"), script);
        }
        for path in PATHS {
            let count = Arc::clone(&count);
            let base = signing.storage.url("/object?signature=");
            signing.site.on_request(path, move |_| {
                let signature = count.fetch_add(1, Ordering::Relaxed);
                let fields = format!("Cache-Control: no-cache\r\nLocation: {base}{signature}\r\n");
                Script::status("302 Found", &fields, b"")
            });
        }
        signing
    }

    async fn download(&self, path: &str) -> Response {
        let path = format!("/download/{}", self.site.url(path));
        let response = self.gateway.get_path(&path).await;
        response.assert_is(200, &self.content.bytes());
        self.gateway.settled().await;
        response
    }
}

#[tokio::test]
async fn an_archive_behind_a_signed_url_is_a_hit_the_second_time() {
    let signing = Signing::new().await;
    for (index, path) in PATHS.into_iter().enumerate() {
        assert!(!signing.download(path).await.is_hit(), "{path}");
        for _ in 0..2 {
            assert!(signing.download(path).await.is_hit(), "{path}");
        }
        assert_eq!(signing.site.record().count(path), 1, "{path}");
        assert_eq!(signing.storage.requests(), index + 1, "{path}");
    }
    signing.gateway.finish().await;
}

#[tokio::test]
async fn what_was_followed_is_a_hit_after_a_restart() {
    let mut signing = Signing::new().await;
    signing.download(PATHS[0]).await;
    let home = signing.gateway.home();
    signing.gateway.finish().await;
    signing.gateway = home.start().await;
    assert!(signing.download(PATHS[0]).await.is_hit());
    assert_eq!(signing.site.requests(), 1);
    signing.gateway.finish().await;
}

#[tokio::test]
async fn the_chain_is_explained_and_signatures_reach_no_log() {
    let signing = Signing::new().await;
    signing.download(PATHS[0]).await;
    let url = signing.site.url(PATHS[0]);
    let words = ["explain", &url, "--form", "download"];
    let run = signing.gateway.weir(words).await;
    let text = run.assert_code(0).text();
    assert!(text.contains(&signing.storage.url("/object")), "{text}");
    let home = signing.gateway.home();
    let lines = signing.gateway.stderr().all().join("\n");
    assert!(!lines.contains("signature="), "{lines}");
    signing.gateway.finish().await;
    let log = home.access_log().join("\n");
    assert!(!log.contains("signature="), "{log}");
}

#[tokio::test]
async fn a_forward_proxy_hands_the_redirect_on_and_stores_nothing_of_it() {
    let signing = Signing::new().await;
    let url = signing.site.url(PATHS[0]);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let response = signing.gateway.get(&url).await;
        assert_eq!(response.status(), 302);
        seen.push(response.field("location").expect("a Location").to_owned());
    }
    assert_ne!(seen[0], seen[1], "a signature was given to two clients");
    // Nor is it mixed up with what was followed for those who ask by path.
    signing.download(PATHS[0]).await;
    assert_eq!(signing.gateway.get(&url).await.status(), 302);
    signing.gateway.finish().await;
}
