//! What a 304 changed is still so after a restart, and after kill -9 once it is on disk.

use std::sync::Arc;

use super::STALE;
use crate::stage::{FRESH, Stage};
use weir_tests::deadline::until;
use weir_tests::gateway::Home;
use weir_tests::gateway::builder::files_below;
use weir_tests::{Gateway, Origin, Script};

/// A word that only the 304 says.
const NEWS: &str = "told-by-the-304";

/// A stored object that was stale and then confirmed with other fields.
async fn confirmed() -> Stage {
    let stage = Stage::new().await;
    let holds = format!("HTTP/1.1 304 Not Modified\r\n{FRESH}X-News: {NEWS}\r\n\r\n");
    stage
        .origin
        .on_each("/x", [Script::ok(STALE, b"body"), Script::of(holds)]);
    stage.get("/x").await.assert_is(200, b"body");
    stage.gateway.settled().await;
    let response = stage.get("/x").await;
    assert_eq!(response.field("x-news"), Some(NEWS));
    stage.assert_hit("/x", b"body").await;
    stage
}

/// Checks that a gateway started here knows what the 304 said, and asks nobody.
async fn check_known(home: &Arc<Home>, origin: &Origin) -> Gateway {
    let gateway = home.start().await;
    let before = origin.requests();
    let response = gateway.get(&origin.url("/x")).await;
    response.assert_is(200, b"body");
    assert!(response.is_hit(), "{:?}", response.head);
    assert_eq!(response.field("x-news"), Some(NEWS));
    assert_eq!(response.field("cache-control"), Some("max-age=600"));
    assert_eq!(origin.requests(), before, "fresh no more");
    gateway
}

#[tokio::test]
async fn what_a_304_said_lasts_over_restarts() {
    let Stage { gateway, origin } = confirmed().await;
    let home = gateway.home();
    gateway.finish().await;
    for _ in 0..2 {
        check_known(&home, &origin).await.finish().await;
    }
}

#[tokio::test]
async fn what_a_304_said_lasts_over_kill_9_once_it_is_on_disk() {
    let Stage { gateway, origin } = confirmed().await;
    let home = gateway.home();
    let holds_news = |file: &std::path::PathBuf| {
        let bytes = std::fs::read(file).unwrap_or_default();
        let mut windows = bytes.windows(NEWS.len());
        windows.any(|window| window == NEWS.as_bytes())
    };
    // Written with the next sync, a few seconds later; until then a crash may forget it.
    let is_written = async || files_below(home.data()).iter().any(holds_news);
    until("the news on disk", is_written).await;
    let home = gateway.kill().await;
    let gateway = check_known(&home, &origin).await;
    let home = gateway.kill().await;
    check_known(&home, &origin)
        .await
        .finish_with_warnings()
        .await;
}

#[tokio::test]
async fn an_invalidation_lasts_over_a_restart() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"before");
    stage.get("/x").await.assert_is(200, b"before");
    stage.assert_hit("/x", b"before").await;
    let url = stage.origin.url("/x");
    let fields = "Content-Length: 0\r\n";
    let done = stage.gateway.request("DELETE", &url, fields).await;
    assert_eq!(done.status(), 200);
    stage.fresh("/x", b"after");
    let Stage { gateway, origin } = stage;
    let home = gateway.home();
    gateway.finish().await;
    let gateway = home.start().await;
    gateway
        .get(&origin.url("/x"))
        .await
        .assert_is(200, b"after");
    gateway.finish().await;
}
