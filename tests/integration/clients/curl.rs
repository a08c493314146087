//! curl, as people and scripts use it behind a proxy.

use super::states::in_every_state;
use super::{ARCHIVE, Site};
use weir_tests::program::Program;
use weir_tests::{Gateway, Origin, Script};

#[tokio::test]
async fn curl_gets_a_file_then_gets_it_from_the_store() {
    let mut site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    site.curl(&["-f", "-D", "head1", "-o", "first", &url])
        .await
        .assert_code(0);
    site.gateway.settled().await;
    site.nginx.stop().await;
    site.curl(&["-f", "-D", "head2", "-o", "second", &url])
        .await
        .assert_code(0);
    for (file, head, word) in [("first", "head1", "MISS"), ("second", "head2", "HIT")] {
        site.assert_downloaded(file);
        let head = String::from_utf8(site.downloaded(head))
            .expect("text")
            .to_lowercase();
        assert!(
            head.contains(&format!("x-cache: {}", word.to_lowercase())),
            "{head}"
        );
    }
    site.gateway.finish().await;
}

#[tokio::test]
async fn curl_gets_ranges_cold_and_warm() {
    let site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    for _ in 0..2 {
        for (range, start, end) in [("0-9", 0, 10), ("100000-299999", 100_000, 300_000)] {
            let run = site
                .curl(&["-f", "-r", range, "-w", "%{stderr}%{http_code}", &url])
                .await;
            run.assert_code(0);
            assert!(run.stderr.ends_with("206"), "{range}: {}", run.stderr);
            assert_eq!(run.stdout, site.content.slice(start, end), "{range}");
        }
        let suffix = site.curl(&["-f", "-r", "-1000", &url]).await;
        let length = site.content.length();
        assert_eq!(
            suffix.assert_code(0).stdout,
            site.content.slice(length - 1000, length)
        );
        site.gateway.settled().await;
    }
    assert_eq!(site.fetches(), 1, "{:?}", site.nginx.access_log());
    site.gateway.finish().await;
}

#[tokio::test]
async fn curl_resumes_a_download() {
    let site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    std::fs::write(
        site.folder.path().join("file"),
        site.content.slice(0, 99_999),
    )
    .expect("writes");
    site.curl(&["-f", "-C", "-", "-o", "file", &url])
        .await
        .assert_code(0);
    site.assert_downloaded("file");
    site.gateway.finish().await;
}

#[tokio::test]
async fn curl_sees_only_the_head() {
    let site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    let length = format!("content-length: {}", site.content.length());
    let cold = site
        .curl(&["-f", "-I", &url])
        .await
        .assert_code(0)
        .text()
        .to_lowercase();
    assert!(cold.contains(&length), "{cold}");
    site.curl(&["-f", "-o", "file", &url]).await.assert_code(0);
    site.gateway.settled().await;
    let warm = site
        .curl(&["-f", "-I", &url])
        .await
        .assert_code(0)
        .text()
        .to_lowercase();
    assert!(
        warm.contains(&length) && warm.contains("x-cache: hit"),
        "{warm}"
    );
    site.gateway.finish().await;
}

#[tokio::test]
async fn curl_downloads_only_what_has_changed() {
    let site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    let fetch = ["-f", "--etag-save", "etag", "-R", "-o", "file", &url];
    site.curl(&fetch).await.assert_code(0);
    site.gateway.settled().await;
    let status = ["-o", "again", "-w", "%{http_code}"];
    let by_tag = site
        .curl(&[&status[..], &["--etag-compare", "etag", &url]].concat())
        .await;
    assert_eq!(by_tag.assert_code(0).text(), "304");
    let by_date = site
        .curl(&[&status[..], &["-z", "file", &url]].concat())
        .await;
    assert_eq!(by_date.assert_code(0).text(), "304");
    site.gateway.finish().await;
}

#[tokio::test]
async fn curl_gets_the_status_of_what_is_missing() {
    let site = Site::new().await;
    let url = site.nginx.url("/cached/none");
    let run = site.curl(&["-o", "page", "-w", "%{http_code}", &url]).await;
    assert_eq!(run.assert_code(0).text(), "404");
    site.gateway.finish().await;
}

#[tokio::test]
async fn a_file_without_a_byte_is_a_file() {
    let site = Site::new().await;
    site.nginx.put("/cached/empty", b"");
    let url = site.nginx.url("/cached/empty");
    for _ in 0..2 {
        let run = site
            .curl(&["-f", "-w", "%{http_code} %{size_download}", &url])
            .await;
        assert_eq!(run.assert_code(0).text(), "200 0");
        site.gateway.settled().await;
    }
    assert_eq!(site.fetches(), 1);
    site.gateway.finish().await;
}

#[tokio::test]
async fn curl_is_right_in_every_state() {
    in_every_state(async |site: &Site, url: &str, name: &str| {
        site.curl(&["-f", "-o", name, url]).await
    })
    .await;
}

#[tokio::test]
async fn curl_gets_several_ranges_at_once_or_the_whole() {
    let site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    for state in ["cold", "warm"] {
        let run = site
            .curl(&["-f", "-D", state, "-r", "0-9,2000-2009", &url])
            .await;
        run.assert_code(0);
        let head = String::from_utf8(site.downloaded(state)).expect("text");
        if head.starts_with("HTTP/1.1 200") {
            assert!(run.stdout == site.content.bytes(), "{state}: {head}");
        } else {
            assert!(head.starts_with("HTTP/1.1 206"), "{state}: {head}");
            assert!(head.contains("multipart/byteranges"), "{state}: {head}");
            for start in [0, 2000] {
                let part = site.content.slice(start, start + 10);
                let holds = run.stdout.windows(10).any(|bytes| bytes == part);
                assert!(holds, "{state}: the part at {start} is missing");
            }
        }
        site.gateway.settled().await;
    }
    assert_eq!(site.fetches(), 1, "{:?}", site.nginx.access_log());
    site.gateway.finish().await;
}

#[tokio::test]
async fn an_offer_to_upgrade_to_http2_is_left_aside() {
    let origin = Origin::start().await;
    origin.on("/x", Script::ok("Cache-Control: max-age=60\r\n", b"text"));
    let gateway = Gateway::start().await;
    let proxy = gateway.proxy_url();
    for _ in 0..2 {
        let arguments = ["-sS", "-v", "-f", "--http2", "-x", &proxy];
        let run = Program::new("curl").args(arguments).arg(origin.url("/x"));
        let run = run.run().await;
        assert_eq!(run.assert_code(0).text(), "text");
        assert!(run.shows("> Upgrade: h2c"), "{}", run.stderr);
        assert!(run.shows("> HTTP2-Settings:"), "{}", run.stderr);
        assert!(run.shows("< HTTP/1.1 200"), "{}", run.stderr);
        gateway.settled().await;
    }
    let record = origin.record();
    assert_eq!(record.requests.len(), 1);
    for name in ["upgrade", "http2-settings", "connection"] {
        let values = record.requests[0].values(name);
        let offers = values.iter().any(|value| {
            let value = value.to_ascii_lowercase();
            name != "connection" || value.contains("upgrade") || value.contains("http2")
        });
        assert!(!offers, "{name}: {values:?}");
    }
    gateway.finish().await;
}
