//! aria2, which cuts a file into parts and asks for all of them at once.

use super::states::in_every_state;
use super::{ARCHIVE, Site, lacks};
use weir_tests::Content;
use weir_tests::program::Run;

async fn download(site: &Site, url: &str, name: &str) -> Run {
    let proxy = format!("--all-proxy={}", site.gateway.proxy_url());
    let options = [
        "--no-conf",
        "--max-tries=1",
        "--file-allocation=none",
        "--summary-interval=0",
    ];
    let parts = ["-x16", "-s16", "-k1M", &proxy, "-o", name, url];
    site.program("aria2c").args(options).args(parts).run().await
}

#[tokio::test]
async fn aria2_is_right_in_every_state() {
    if lacks(&["aria2c"]) {
        return;
    }
    in_every_state(download).await;
}

#[tokio::test]
async fn sixteen_parts_of_a_cold_file_are_one_fetch() {
    if lacks(&["aria2c"]) {
        return;
    }
    // Slow enough that every part is asked for while the fetch runs.
    let site = Site::serving("location /slow/ { expires 1h; limit_rate 16m; }").await;
    let content = Content::new(4, 20 * 1024 * 1024 + 3);
    let path = format!("/slow{ARCHIVE}");
    site.nginx.put(&path, &content.bytes());
    for name in ["cold", "warm"] {
        download(&site, &site.nginx.url(&path), name)
            .await
            .assert_code(0);
        assert!(
            site.downloaded(name) == content.bytes(),
            "{name} has other bytes"
        );
        site.gateway.settled().await;
    }
    site.assert_fetched_once(&[ARCHIVE]);
    let parts = site.gateway.home().access_log().len();
    assert!(parts > 16, "only {parts} requests: nothing was parallel");
    site.gateway.finish().await;
}
