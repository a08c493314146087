//! What is not cached: the client is sent on, and one fetch runs behind its back.

use futures::future::join_all;

use super::{ask, assert_sent_to, cache_proxy, download, filled};
use crate::stage::{FRESH, Stage};
use weir_tests::gateway::builder::files_below;
use weir_tests::refusing::Refusing;
use weir_tests::{Gate, Gateway, Script};

#[tokio::test]
async fn cp_06_a_miss_is_a_redirect_and_the_next_one_a_hit() {
    let stage = Stage::with(cache_proxy()).await;
    let path = "/f-1.0.tar.gz?x=%20y";
    stage.fresh(path, b"the archive");
    let first = download(&stage, path).await;
    assert_sent_to(&first, &stage.origin.url(path));
    filled(&stage.gateway, &stage.origin, 1).await;
    let second = download(&stage, path).await;
    second.assert_is(200, b"the archive");
    assert!(second.is_hit());
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn cp_06_a_head_is_redirected_and_starts_the_same_fetch() {
    let stage = Stage::with(cache_proxy()).await;
    stage.fresh("/f.gz", b"the archive");
    let path = format!("/download/{}", stage.origin.url("/f.gz"));
    let head = ask(&stage.gateway, "HEAD", &path, "").await;
    assert_sent_to(&head, &stage.origin.url("/f.gz"));
    filled(&stage.gateway, &stage.origin, 1).await;
    stage.assert_hit("/f.gz", b"the archive").await;
    stage.finish().await;
}

#[tokio::test]
async fn cp_06_a_second_cache_is_redirected_to_and_fetched_from() {
    let second = Gateway::builder().set("server.name", "weir-second");
    let second = second.start().await;
    let proxy_url = format!("{}/download/", second.proxy_url());
    let stage = Stage::with(cache_proxy().set("cache_proxy.proxy_url", proxy_url.clone())).await;
    stage.fresh("/f.gz", b"the archive");
    let url = stage.origin.url("/f.gz");
    let first = download(&stage, "/f.gz").await;
    assert_sent_to(&first, &format!("{proxy_url}{url}"));
    filled(&stage.gateway, &stage.origin, 1).await;
    let via = stage.origin.record().requests[0].values("via").join(", ");
    assert!(via.contains("weir-second"), "fetched by itself: {via}");
    let again = download(&stage, "/f.gz").await;
    again.assert_is(200, b"the archive");
    second.settled().await;
    assert!(second.get(&url).await.is_hit(), "both have it");
    assert_eq!(stage.origin.requests(), 1);
    second.finish().await;
    stage.finish().await;
}

#[tokio::test]
async fn cp_06_a_client_is_sent_on_when_its_upstream_is_down() {
    let stage = Stage::with(cache_proxy()).await;
    let down = Refusing::start();
    let url = format!("{}/f.gz", down.url());
    for _ in 0..2 {
        let response = stage.gateway.get_path(&format!("/download/{url}")).await;
        assert_sent_to(&response, &url);
    }
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn cp_06_other_forms_stream_as_ever() {
    let stage = Stage::with(cache_proxy()).await;
    stage.fresh("/f.gz", b"the archive");
    stage.get("/f.gz").await.assert_is(200, b"the archive");
    stage.fresh("/g.gz", b"another");
    let form = format!("/http/{}/g.gz", stage.origin.authority());
    stage
        .gateway
        .get_path(&form)
        .await
        .assert_is(200, b"another");
    stage.finish().await;
}

#[tokio::test]
async fn cp_07_simultaneous_misses_start_one_download() {
    let stage = Stage::with(cache_proxy()).await;
    let gate = Gate::new();
    let body = [7_u8; 4096];
    stage
        .origin
        .on("/f.gz", Script::ok_in_halves(FRESH, &body, 1000, &gate));
    let all = join_all((0..20).map(|_| download(&stage, "/f.gz"))).await;
    for response in &all {
        assert_sent_to(response, &stage.origin.url("/f.gz"));
    }
    gate.open();
    filled(&stage.gateway, &stage.origin, 1).await;
    stage.assert_hit("/f.gz", &body).await;
    stage.finish().await;
}

#[tokio::test]
async fn cp_10_an_object_whose_file_is_gone_is_a_miss() {
    let stage = Stage::with(cache_proxy()).await;
    stage.fresh("/f.gz", b"the archive");
    stage.get("/f.gz").await.assert_is(200, b"the archive");
    stage.assert_hit("/f.gz", b"the archive").await;
    let Stage { gateway, origin } = stage;
    let home = gateway.home();
    gateway.finish().await;
    // A fresh process has no file open, so that it is really gone.
    let gateway = home.start().await;
    let files = files_below(&home.data().join("ec"));
    assert_eq!(files.len(), 1, "{files:?}");
    std::fs::remove_file(&files[0]).expect("removes");
    let stage = Stage { gateway, origin };
    let miss = download(&stage, "/f.gz").await;
    assert_sent_to(&miss, &stage.origin.url("/f.gz"));
    filled(&stage.gateway, &stage.origin, 2).await;
    stage.assert_hit("/f.gz", b"the archive").await;
    let Stage { mut gateway, .. } = stage;
    gateway.expect_log("the file of an object is gone");
    gateway.finish().await;
}
