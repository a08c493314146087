//! The module proxy protocol of Go, as its program asks: the program itself is larger than everything else that the
//! tests install, and sends nothing that is not here.

use super::Site;
use crate::stage::Stage;
use weir_tests::Script;

const MODULE: &str = "/demo.invalid/tool/@v";

#[tokio::test]
async fn versions_are_kept_and_the_list_is_asked_for() {
    let mut site = Site::new().await;
    let files = ["list", "v1.2.3.info", "v1.2.3.mod", "v1.2.3.zip"];
    for file in files {
        site.nginx.put(&format!("{MODULE}/{file}"), file.as_bytes());
    }
    for _ in 0..2 {
        for file in files {
            let url = site.nginx.url(&format!("{MODULE}/{file}"));
            site.gateway.get(&url).await.assert_is(200, file.as_bytes());
            site.gateway.settled().await;
        }
    }
    site.assert_fetched_once(&["v1.2.3.info", "v1.2.3.mod", "v1.2.3.zip"]);
    site.assert_confirmed("/@v/list");
    site.put_later(&format!("{MODULE}/list"), b"v1.2.3\nv1.3.0\n");
    let list = site.nginx.url(&format!("{MODULE}/list"));
    site.gateway
        .get(&list)
        .await
        .assert_is(200, b"v1.2.3\nv1.3.0\n");
    site.goes_down().await;
    site.gateway
        .get(&list)
        .await
        .assert_is(200, b"v1.2.3\nv1.3.0\n");
    let zip = site.nginx.url(&format!("{MODULE}/v1.2.3.zip"));
    site.gateway.get(&zip).await.assert_is(200, b"v1.2.3.zip");
    let other = site.nginx.url(&format!("{MODULE}/v1.3.0.zip"));
    let status = site.gateway.get(&other).await.status();
    // Neither 404 nor 410, by which Go would take the version for one that is nowhere.
    assert!((502..=504).contains(&status), "{status}");
    site.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn not_found_and_gone_are_passed_on() {
    let stage = Stage::new().await;
    for (status, reason) in [(404, "404 Not Found"), (410, "410 Gone")] {
        let path = format!("{MODULE}/v9.{status}.0.info");
        let text = format!("not found: {status}");
        stage
            .origin
            .on(&path, Script::status(reason, "", text.as_bytes()));
        for _ in 0..2 {
            stage.get(&path).await.assert_is(status, text.as_bytes());
        }
    }
    stage.finish().await;
}
