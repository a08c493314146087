//! Programs that download in parallel ranges, as aria2 does: one fetch of an archive, or parts that become the whole.

use futures::future::join_all;

use crate::stage::{Stage, ruled};
use weir_tests::{Content, Gateway, Script};

const CONNECTIONS: usize = 16;
const TAGGED: &str = "Cache-Control: max-age=600\r\nETag: \"v1\"\r\nAccept-Ranges: bytes\r\n";

/// Answers ranges as an origin does that knows them.
fn serve(stage: &Stage, path: &str, content: &Content) {
    let content = content.clone();
    stage.origin.on_request(path, move |seen| {
        let range = seen.values("range").first().copied().unwrap_or_default();
        let bounds = range.strip_prefix("bytes=");
        let bounds = bounds.and_then(|bounds| bounds.split_once('-'));
        let number = |text: &str| text.parse::<usize>().ok();
        match bounds.and_then(|(from, to)| number(from).zip(number(to))) {
            None => Script::ok(TAGGED, &content.bytes()),
            Some((from, to)) => {
                let length = content.length();
                let fields = format!("{TAGGED}Content-Range: bytes {from}-{to}/{length}\r\n");
                Script::status("206 Partial Content", &fields, &content.slice(from, to + 1))
            }
        }
    });
}

/// Sixteen clients at once, each for its part.
async fn in_parallel(stage: &Stage, path: &str, content: &Content) {
    let part = content.length() / CONNECTIONS;
    let parts = (0..CONNECTIONS).map(|index| {
        let (from, to) = (index * part, (index + 1) * part - 1);
        async move {
            let fields = format!("Range: bytes={from}-{to}\r\n");
            let response = stage.get_with(path, &fields).await;
            response.assert_is(206, &content.slice(from, to + 1));
            let range = format!("bytes {from}-{to}/{}", content.length());
            assert_eq!(response.field("content-range"), Some(range.as_str()));
        }
    });
    join_all(parts).await;
}

#[tokio::test]
async fn sixteen_ranges_of_a_cold_archive_are_one_fetch() {
    let stage = Stage::with(Gateway::builder()).await;
    let content = Content::new(16, 4 * 1024 * 1024);
    serve(&stage, "/app-1.0.tar.gz", &content);
    in_parallel(&stage, "/app-1.0.tar.gz", &content).await;
    assert_eq!(stage.origin.requests(), 1);
    assert!(stage.origin.record().requests[0].values("range").is_empty());
    stage.assert_hit("/app-1.0.tar.gz", &content.bytes()).await;
    in_parallel(&stage, "/app-1.0.tar.gz", &content).await;
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn sixteen_ranges_fetched_as_parts_become_the_whole() {
    let stage = Stage::with(ruled("range_miss = \"part\"")).await;
    let content = Content::new(17, 4 * 1024 * 1024);
    serve(&stage, "/x", &content);
    in_parallel(&stage, "/x", &content).await;
    assert_eq!(stage.origin.requests(), CONNECTIONS);
    let record = stage.origin.record();
    assert!(
        record
            .requests
            .iter()
            .all(|seen| !seen.values("range").is_empty())
    );
    stage.assert_hit("/x", &content.bytes()).await;
    assert_eq!(stage.gateway.metric("weir_store_objects").await, 1.0);
    stage.finish().await;
}

#[tokio::test]
async fn what_is_missing_between_parts_is_fetched_and_parts_last_over_a_restart() {
    let stage = Stage::with(ruled("range_miss = \"part\"")).await;
    let content = Content::new(18, 300_000);
    serve(&stage, "/x", &content);
    let get = async |stage: &Stage, from: usize, to: usize| {
        let fields = format!("Range: bytes={from}-{to}\r\n");
        let response = stage.get_with("/x", &fields).await;
        response.assert_is(206, &content.slice(from, to + 1));
        stage.gateway.settled().await;
    };
    get(&stage, 0, 99_999).await;
    get(&stage, 200_000, 299_999).await;
    let Stage { gateway, origin } = stage;
    let home = gateway.home();
    gateway.finish().await;
    let gateway = home.start().await;
    let stage = Stage { gateway, origin };
    // Both are still there …
    get(&stage, 10, 20).await;
    get(&stage, 250_000, 299_999).await;
    assert_eq!(stage.origin.requests(), 2);
    // … and what is between them completes the whole.
    get(&stage, 100_000, 199_999).await;
    assert_eq!(stage.origin.requests(), 3);
    stage.assert_hit("/x", &content.bytes()).await;
    stage.finish().await;
}
