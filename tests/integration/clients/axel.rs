//! axel: parts at once, of a file whose length it asks for by a range first.

use super::states::in_every_state;
use super::{ARCHIVE, Site, lacks};
use weir_tests::Content;
use weir_tests::program::Run;

async fn download(site: &Site, url: &str, name: &str) -> Run {
    let proxy = site.gateway.proxy_url();
    let axel = site.program("axel").env("http_proxy", &proxy);
    axel.args(["-q", "-n", "8", "-o", name, url]).run().await
}

#[tokio::test]
async fn axel_is_right_in_every_state() {
    if lacks(&["axel"]) {
        return;
    }
    in_every_state(download).await;
}

#[tokio::test]
async fn eight_connections_for_a_cold_file_are_one_fetch() {
    if lacks(&["axel"]) {
        return;
    }
    let site = Site::serving("location /slow/ { expires 1h; limit_rate 8m; }").await;
    let content = Content::new(4, 9 * 1024 * 1024 + 3);
    let path = format!("/slow{ARCHIVE}");
    site.nginx.put(&path, &content.bytes());
    download(&site, &site.nginx.url(&path), "cold")
        .await
        .assert_code(0);
    assert!(site.downloaded("cold") == content.bytes(), "other bytes");
    site.gateway.settled().await;
    site.assert_fetched_once(&[ARCHIVE]);
    site.gateway.finish().await;
}
