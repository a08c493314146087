//! The pages that cache-proxy answers by itself, and the URLs that it takes.

use super::{ask, cache_proxy, download, filled};
use crate::stage::{FRESH, Stage};
use weir_tests::{Gateway, Script};

#[tokio::test]
async fn cp_01_the_root_welcomes() {
    for builder in [Gateway::builder(), cache_proxy()] {
        let gateway = builder.start().await;
        let page = gateway.get_path("/").await;
        assert_eq!(page.status(), 200);
        let words = "Welcome to openEuler upstream cache proxy!";
        assert!(page.text().contains(words), "{}", page.text());
        assert_eq!(
            page.field("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(ask(&gateway, "HEAD", "/", "").await.status(), 200);
        let page = ask(&gateway, "GET", "/", "Accept: text/html, */*;q=0.8\r\n").await;
        assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.field("x-content-type-options"), Some("nosniff"));
        assert!(page.text().contains(words), "{}", page.text());
        gateway.finish().await;
    }
}

#[tokio::test]
async fn cp_02_a_download_without_a_url_says_so() {
    let gateway = cache_proxy().start().await;
    let page = gateway.get_path("/download/").await;
    page.assert_is(200, b"empty url, please add url to the end");
    assert_eq!(ask(&gateway, "HEAD", "/download/", "").await.status(), 200);
    gateway.finish().await;
}

#[tokio::test]
async fn cp_03_other_schemes_are_bad_download_urls() {
    let gateway = cache_proxy().start().await;
    for url in [
        "file:///etc/passwd",
        "gopher://h/x",
        "rsync://h/x",
        "javascript:alert(1)",
        "h/x",
        "/x",
    ] {
        let path = format!("/download/{url}");
        let page = gateway.get_path(&path).await;
        assert_eq!(page.status(), 400, "{url}");
        assert!(page.text().contains("Bad download url"), "{}", page.text());
        assert_eq!(
            ask(&gateway, "HEAD", &path, "").await.status(),
            400,
            "{url}"
        );
    }
    gateway.finish().await;
}

#[tokio::test]
async fn cp_03_the_query_is_kept_by_get_and_head() {
    let stage = Stage::new().await;
    let path = "/f.tar.gz?a=1&b=http://x/y%2F";
    let body = b"with its query";
    let length = body.len();
    let head = Script::of(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
    ));
    stage.origin.on_each(path, [head, Script::ok(FRESH, body)]);
    let asked = format!("/download/{}", stage.origin.url(path));
    let head = ask(&stage.gateway, "HEAD", &asked, "").await;
    assert_eq!(head.status(), 200);
    download(&stage, path).await.assert_is(200, body);
    let record = stage.origin.record();
    let seen: Vec<_> = record
        .requests
        .iter()
        .map(|seen| (seen.method(), seen.target()))
        .collect();
    assert_eq!(seen, [("HEAD", path), ("GET", path)]);
    stage.finish().await;
}

#[tokio::test]
async fn cp_04_a_hit_answers_ranges_and_conditions() {
    let stage = Stage::with(cache_proxy()).await;
    let fields = format!("ETag: \"one\"\r\n{FRESH}");
    stage.origin.on("/f.gz", Script::ok(&fields, b"0123456789"));
    assert_eq!(download(&stage, "/f.gz").await.status(), 302);
    filled(&stage.gateway, &stage.origin, 1).await;
    let path = format!("/download/{}", stage.origin.url("/f.gz"));
    let gateway = &stage.gateway;
    let whole = gateway.get_path(&path).await;
    whole.assert_is(200, b"0123456789");
    assert!(whole.is_hit());
    let part = ask(gateway, "GET", &path, "Range: bytes=2-4\r\n").await;
    part.assert_is(206, b"234");
    assert_eq!(part.field("content-range"), Some("bytes 2-4/10"));
    let same = ask(gateway, "GET", &path, "If-None-Match: \"one\"\r\n").await;
    assert_eq!(same.status(), 304);
    let head = ask(gateway, "HEAD", &path, "").await;
    assert_eq!(head.status(), 200);
    assert_eq!(head.field("content-length"), Some("10"));
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}
