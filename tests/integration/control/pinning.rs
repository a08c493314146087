//! `weir pin` and `weir unpin`: durable, shown, and never evicted.

use weir_tests::{Content, Gateway, Origin, Script};

use crate::stage::{FRESH, Stage};

#[tokio::test]
async fn what_is_pinned_is_shown_also_after_a_restart() {
    let stage = Stage::new().await;
    let url = stage.origin.url("/file");
    let run = stage.gateway.weir(["pin", &url]).await;
    run.assert_code(1);
    assert!(run.stderr.contains("weir ensure"), "{}", run.stderr);
    stage.fresh("/file", b"x");
    stage.assert_fetched("/file").await;
    stage.gateway.settled().await;
    let run = stage.gateway.weir(["pin", &url]).await;
    assert!(run.assert_code(0).text().contains(&url));
    let Stage { gateway, origin } = stage;
    let home = gateway.kill().await;
    let stage = Stage {
        gateway: home.start().await,
        origin,
    };
    let shown = async |words: [&str; 2]| {
        let run = stage.gateway.weir(words).await;
        run.assert_code(0).text().contains("pinned")
    };
    assert!(shown(["ls", &url]).await);
    assert!(shown(["explain", &url]).await);
    stage.gateway.weir(["unpin", &url]).await.assert_code(0);
    assert!(!shown(["ls", &url]).await);
    stage.assert_hit("/file", b"x").await;
    stage.finish().await;
}

#[tokio::test]
async fn what_is_pinned_outlives_everything_that_is_not() {
    const OBJECTS: u64 = 24;
    let builder = Gateway::builder().set("store.capacity", "16MiB");
    let stage = Stage {
        gateway: builder.start().await,
        origin: Origin::start().await,
    };
    stage.fresh("/pinned", b"pinned");
    stage.get("/pinned").await;
    stage.gateway.settled().await;
    let url = stage.origin.url("/pinned");
    stage.gateway.weir(["pin", &url]).await.assert_code(0);
    for index in 0..OBJECTS {
        let content = Content::new(index, 2 * 1024 * 1024);
        let path = format!("/other/{index}");
        stage.origin.on(&path, Script::ok(FRESH, &content.bytes()));
        stage.get(&path).await.assert_is(200, &content.bytes());
        stage.gateway.settled().await;
    }
    let objects = stage.gateway.metric("weir_store_objects").await;
    assert!(objects < 24.0, "nothing was evicted: {objects}");
    stage.assert_hit("/pinned", b"pinned").await;
    stage.finish().await;
}
