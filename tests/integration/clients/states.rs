//! One file, four times: cold, from the store, too old, and with its origin gone. Every program that downloads files
//! is taken through them in the same way.

use super::{ARCHIVE, Site};
use weir_tests::Content;
use weir_tests::program::Run;

/// A file that nginx calls too old as soon as it is served.
const AGED: &str = "/aged/file.bin";

/// Takes a program through all of them. `download(site, url, name)` fetches a URL into a file of the site's folder.
pub(super) async fn in_every_state(download: impl AsyncFn(&Site, &str, &str) -> Run) {
    let mut site = Site::new().await;
    let changed = Content::new(3, 300_007);
    cold_and_warm(&site, &download).await;
    too_old(&site, &download, &changed).await;
    site.goes_down().await;
    origin_gone(&site, &download, &changed).await;
    site.gateway.finish_with_warnings().await;
}

async fn cold_and_warm(site: &Site, download: &impl AsyncFn(&Site, &str, &str) -> Run) {
    for name in ["cold", "warm"] {
        download(site, &site.nginx.url(ARCHIVE), name)
            .await
            .assert_code(0);
        site.assert_downloaded(name);
        site.gateway.settled().await;
        site.assert_fetched_once(&[ARCHIVE]);
    }
}

async fn too_old(
    site: &Site,
    download: &impl AsyncFn(&Site, &str, &str) -> Run,
    changed: &Content,
) {
    let content = Content::new(2, 300_007);
    site.nginx.put(AGED, &content.bytes());
    let url = site.nginx.url(AGED);
    // Somebody else had it before: who asks for parts of what is not stored is sent parts, and nothing is kept.
    site.gateway
        .get(&url)
        .await
        .assert_is(200, &content.bytes());
    site.gateway.settled().await;
    download(site, &url, "aged-confirmed").await.assert_code(0);
    assert!(site.downloaded("aged-confirmed") == content.bytes());
    site.assert_confirmed(AGED);
    site.put_later(AGED, &changed.bytes());
    download(site, &url, "aged-changed").await.assert_code(0);
    assert!(
        site.downloaded("aged-changed") == changed.bytes(),
        "the change was not seen"
    );
}

async fn origin_gone(
    site: &Site,
    download: &impl AsyncFn(&Site, &str, &str) -> Run,
    changed: &Content,
) {
    download(site, &site.nginx.url(ARCHIVE), "down")
        .await
        .assert_code(0);
    site.assert_downloaded("down");
    download(site, &site.nginx.url(AGED), "aged-down")
        .await
        .assert_code(0);
    assert!(site.downloaded("aged-down") == changed.bytes());
    let failed = download(site, &site.nginx.url("/cached/other-2.0.tar.gz"), "none").await;
    assert!(failed.code.is_some_and(|code| code != 0), "{failed:?}");
}
