//! wget, as people use it behind a proxy.

use super::states::in_every_state;
use super::{ARCHIVE, Site};

#[tokio::test]
async fn wget_gets_a_file_then_gets_it_from_the_store() {
    let mut site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    let first = site.wget(&["-S", "-O", "first", &url]).await;
    first.assert_code(0);
    assert!(first.shows("X-Cache: MISS"), "{}", first.stderr);
    site.assert_downloaded("first");
    site.gateway.settled().await;
    site.nginx.stop().await;
    let second = site.wget(&["-S", "-O", "second", &url]).await;
    second.assert_code(0);
    assert!(second.shows("X-Cache: HIT"), "{}", second.stderr);
    site.assert_downloaded("second");
    site.gateway.finish().await;
}

#[tokio::test]
async fn wget_finds_the_proxy_in_its_environment() {
    let site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    let proxy = site.gateway.proxy_url();
    let run = site.program("wget").env("http_proxy", &proxy);
    run.args(["--no-config", "-S", "-O", "file", &url])
        .run()
        .await
        .assert_code(0);
    site.assert_downloaded("file");
    assert!(!site.gateway.home().access_log().is_empty() || site.fetches() == 1);
    site.gateway.finish().await;
}

#[tokio::test]
async fn wget_resumes_a_download() {
    let site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    for name in ["cold", "warm"] {
        let part = site.content.slice(0, 700_001);
        std::fs::write(site.folder.path().join(name), part).expect("writes");
        site.wget(&["-c", "-O", name, &url]).await.assert_code(0);
        site.assert_downloaded(name);
        site.gateway.settled().await;
    }
    assert_eq!(site.fetches(), 1, "{:?}", site.nginx.access_log());
    site.gateway.finish().await;
}

#[tokio::test]
async fn wget_resumes_nothing_when_it_has_everything() {
    let site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    site.wget(&["-O", "file", &url]).await.assert_code(0);
    site.gateway.settled().await;
    site.wget(&["-c", "-O", "file", &url]).await.assert_code(0);
    site.assert_downloaded("file");
    site.gateway.finish().await;
}

#[tokio::test]
async fn wget_spider_sees_what_exists() {
    let site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    site.wget(&["--spider", &url]).await.assert_code(0);
    site.wget(&["--spider", &site.nginx.url("/cached/none")])
        .await
        .assert_code(8);
    site.wget(&["-O", "file", &url]).await.assert_code(0);
    site.gateway.settled().await;
    let run = site.wget(&["-S", "--spider", &url]).await;
    assert!(run.assert_code(0).shows("X-Cache: HIT"), "{}", run.stderr);
    site.gateway.finish().await;
}

#[tokio::test]
async fn wget_downloads_only_what_is_newer() {
    let site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    for _ in 0..2 {
        site.wget(&["-N", &url]).await.assert_code(0);
        site.assert_downloaded("file-1.0.tar.gz");
        site.gateway.settled().await;
    }
    site.gateway.finish().await;
}

#[tokio::test]
async fn ftp_is_answered_with_a_clear_sentence_for_now() {
    let site = Site::new().await;
    let proxy = format!("ftp_proxy={}", site.gateway.proxy_url());
    let url = "ftp://127.0.0.1/file";
    let run = site
        .program("wget")
        .args(["--no-config", "--tries=1", "-e", &proxy, url]);
    let run = run.run().await;
    assert!(run.assert_code(8).stderr.contains("501"), "{}", run.stderr);
    let shown = site.curl(&["-w", "%{http_code}", url]).await;
    let text = shown.assert_code(0).text();
    assert!(text.contains("ftp") && text.ends_with("501"), "{text}");
    site.gateway.finish().await;
}

#[tokio::test]
async fn wget_is_right_in_every_state() {
    in_every_state(async |site: &Site, url: &str, name: &str| site.wget(&["-O", name, url]).await)
        .await;
}

#[tokio::test]
async fn wget_gets_what_has_become_newer() {
    let site = Site::new().await;
    let url = site.nginx.url("/aged/list.txt");
    site.nginx.put("/aged/list.txt", b"one");
    site.wget(&["-N", &url]).await.assert_code(0);
    site.gateway.settled().await;
    site.put_later("/aged/list.txt", b"and two");
    site.wget(&["-N", &url]).await.assert_code(0);
    assert_eq!(site.downloaded("list.txt"), b"and two");
    site.gateway.finish().await;
}
