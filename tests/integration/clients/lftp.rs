//! lftp, with one connection and with several.

use super::states::in_every_state;
use super::{ARCHIVE, Site, lacks};
use weir_tests::program::Run;

/// lftp's own settings are not read; an error ends it.
async fn lftp(site: &Site, name: &str, command: &str) -> Run {
    let proxy = site.gateway.proxy_url();
    let script = format!(
        "set http:proxy {proxy}; set net:max-retries 1; set net:timeout 30; set cmd:fail-exit true; {command}"
    );
    let lftp = site.fresh("lftp", &format!("home-{name}"));
    lftp.within(site.folder.path())
        .args(["--norc", "-c", &script])
        .run()
        .await
}

async fn download(site: &Site, url: &str, name: &str) -> Run {
    lftp(site, name, &format!("get {url} -o {name}")).await
}

#[tokio::test]
async fn lftp_is_right_in_every_state() {
    if lacks(&["lftp"]) {
        return;
    }
    in_every_state(download).await;
}

#[tokio::test]
async fn lftp_gets_a_cold_file_in_parts_with_one_fetch() {
    if lacks(&["lftp"]) {
        return;
    }
    let site = Site::new().await;
    let url = site.nginx.url(ARCHIVE);
    lftp(&site, "parts", &format!("pget -n 4 {url} -o parts"))
        .await
        .assert_code(0);
    site.assert_downloaded("parts");
    site.gateway.settled().await;
    site.assert_fetched_once(&[ARCHIVE]);
    site.gateway.finish().await;
}
