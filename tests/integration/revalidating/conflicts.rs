//! Other bytes behind an archive's URL: the original is served until an operator decides.

use crate::stage::{FRESH, Stage};
use weir_tests::deadline::until;
use weir_tests::{Run, Script};

const PATH: &str = "/pub/app-1.0.tar.gz";
/// Old enough that its origin is asked again although the name is that of an archive.
const OLD: &str = "Cache-Control: max-age=600\r\nAge: 9000000\r\n";

/// A gateway that has seen other bytes behind the URL.
async fn contradicted() -> (Stage, String) {
    let mut stage = Stage::new().await;
    stage
        .gateway
        .expect_log("other bytes behind an immutable URL");
    let changed = Script::ok(&format!("{FRESH}ETag: \"v2\"\r\n"), b"the changed one");
    let original = Script::ok(&format!("{OLD}ETag: \"v1\"\r\n"), b"the original");
    stage.origin.on_each(PATH, [original, changed]);
    stage.get(PATH).await.assert_is(200, b"the original");
    stage.gateway.settled().await;
    let url = stage.origin.url(PATH);
    // The check runs behind the back of whoever asks.
    let second = stage.get(PATH).await;
    second.assert_is(200, b"the original");
    until("the conflict is counted", async || {
        stage.gateway.metric("weir_conflicts_total").await >= 1.0
    })
    .await;
    until("the conflict is noticed", async || {
        conflict(&stage, "show", &url).await.code == Some(0)
    })
    .await;
    stage.gateway.settled().await;
    (stage, url)
}

async fn conflict(stage: &Stage, word: &str, url: &str) -> Run {
    stage.gateway.weir(["conflict", word, url]).await
}

#[tokio::test]
async fn the_original_is_served_and_both_are_explained() {
    let (stage, url) = contradicted().await;
    for _ in 0..3 {
        let response = stage.get(PATH).await;
        response.assert_is(200, b"the original");
        assert!(response.is_hit());
    }
    for words in [["conflict", "show"].as_slice(), &["explain"]] {
        let run = stage
            .gateway
            .weir(words.iter().copied().chain([&*url]))
            .await;
        let text = run.assert_code(0).text();
        for bytes in ["12 bytes", "15 bytes"] {
            assert!(text.contains(bytes), "{words:?}: {bytes} is not in\n{text}");
        }
    }
    stage.finish().await;
}

#[tokio::test]
async fn accept_serves_the_changed_one() {
    let (stage, url) = contradicted().await;
    conflict(&stage, "accept", &url).await.assert_code(0);
    stage.assert_hit(PATH, b"the changed one").await;
    conflict(&stage, "show", &url).await.assert_code(1);
    conflict(&stage, "accept", &url).await.assert_code(1);
    let home = stage.gateway.home();
    stage.gateway.finish().await;
    let gateway = home.start().await;
    let again = gateway.get(&url).await;
    again.assert_is(200, b"the changed one");
    assert!(again.is_hit());
    gateway.finish().await;
}

#[tokio::test]
async fn reject_keeps_the_original() {
    let (stage, url) = contradicted().await;
    // The origin has come to its senses.
    let holds = format!("HTTP/1.1 304 Not Modified\r\n{FRESH}ETag: \"v1\"\r\n\r\n");
    stage.origin.on(PATH, Script::of(holds));
    conflict(&stage, "reject", &url).await.assert_code(0);
    conflict(&stage, "show", &url).await.assert_code(1);
    stage.get(PATH).await.assert_is(200, b"the original");
    stage.gateway.settled().await;
    stage.get(PATH).await.assert_is(200, b"the original");
    conflict(&stage, "reject", &url).await.assert_code(1);
    stage.finish().await;
}

#[tokio::test]
async fn an_undecided_conflict_lasts_over_a_restart() {
    let (stage, url) = contradicted().await;
    let home = stage.gateway.home();
    stage.gateway.finish().await;
    let mut gateway = home.start().await;
    gateway.expect_log("other bytes behind an immutable URL");
    let shown = gateway.weir(["conflict", "show", &url]).await;
    shown.assert_code(0);
    gateway.get(&url).await.assert_is(200, b"the original");
    gateway.finish().await;
}
