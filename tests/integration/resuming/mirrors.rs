//! Row 138: a mirror with two upstreams. The second continues what the first began, if it has the same.

use super::{continued_at, cut_at, rest_of};
use weir_tests::{Content, Gateway, Origin, Response, Script};

const TAGGED: &str = "Cache-Control: max-age=600\r\nETag: \"same\"\r\n";

/// A gateway with a mirror of two origins.
struct Pair {
    gateway: Gateway,
    first: Origin,
    second: Origin,
    content: Content,
}

impl Pair {
    async fn new() -> Self {
        let (first, second) = (Origin::start().await, Origin::start().await);
        let upstreams = [first.url("/"), second.url("/")];
        let gateway = Gateway::builder()
            .mirror("/m/", &[&upstreams[0], &upstreams[1]])
            .start()
            .await;
        Self {
            gateway,
            first,
            second,
            content: Content::new(138, 500_000),
        }
    }

    async fn get(&self) -> Response {
        self.gateway.get_path("/m/x").await
    }

    /// The first sends less than half, and whatever is asked of it later fails.
    fn first_dies(&self) {
        let dead = Script::status("503 Service Unavailable", "", b"");
        let cut = cut_at(&self.content, TAGGED, 200_000);
        self.first.on_each("/x", [cut, dead]);
    }

    async fn assert_hit(&self) {
        self.gateway.settled().await;
        let before = self.first.requests() + self.second.requests();
        let hit = self.get().await;
        hit.assert_is(200, &self.content.bytes());
        assert!(hit.is_hit());
        assert_eq!(self.first.requests() + self.second.requests(), before);
    }
}

#[tokio::test]
async fn row_138_a_second_mirror_that_agrees_continues() {
    let pair = Pair::new().await;
    pair.first_dies();
    let content = pair.content.clone();
    pair.second
        .on_request("/x", move |seen| rest_of(seen, &content, TAGGED));
    pair.get().await.assert_is(200, &pair.content.bytes());
    let asked = &pair.second.record().requests[0];
    assert!(continued_at(asked).is_some_and(|at| at > 0));
    assert_eq!(asked.values("if-range"), ["\"same\""]);
    pair.assert_hit().await;
    pair.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_138_a_mirror_that_disagrees_is_set_aside() {
    let other = Content::new(7, 500_000);
    let longer = Content::new(7, 600_000);
    for (disagreeing, fields) in [
        (other, "Cache-Control: max-age=600\r\nETag: \"other\"\r\n"),
        (longer, TAGGED),
    ] {
        let pair = Pair::new().await;
        let content = pair.content.clone();
        let busy = std::sync::atomic::AtomicUsize::new(0);
        // It breaks, then is busy, then goes on: meanwhile the second is asked.
        pair.first.on_request("/x", move |seen| {
            match busy.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => cut_at(&content, TAGGED, 200_000),
                1 => Script::status("500 Internal Server Error", "", b""),
                _ => rest_of(seen, &content, TAGGED),
            }
        });
        pair.second
            .on_request("/x", move |seen| rest_of(seen, &disagreeing, fields));
        pair.get().await.assert_is(200, &pair.content.bytes());
        assert_eq!(pair.second.requests(), 1, "asked once, then set aside");
        pair.assert_hit().await;
        pair.gateway.finish_with_warnings().await;
    }
}

#[tokio::test]
async fn row_138_mirrors_that_never_agree_end_the_download_without_a_wrong_byte() {
    let pair = Pair::new().await;
    pair.first_dies();
    let other = Content::new(7, 500_000);
    pair.second.on_request("/x", move |seen| {
        rest_of(
            seen,
            &other,
            "Cache-Control: max-age=600\r\nETag: \"other\"\r\n",
        )
    });
    let cut = pair.get().await;
    assert!(!cut.ending.is_clean());
    assert!(pair.content.holds_at(0, &cut.body), "bytes of two mirrors");
    pair.gateway.settled().await;
    assert!(pair.gateway.temporary_files().is_empty());
    pair.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn what_the_first_mirror_does_not_have_comes_from_the_second() {
    for script in [
        Script::status("404 Not Found", "", b"none"),
        Script::status("410 Gone", "", b"none"),
        Script::status("500 Internal Server Error", "", b"later"),
        Script::of("nonsense\r\n\r\n").close(),
    ] {
        let pair = Pair::new().await;
        pair.first.on("/x", script);
        let content = pair.content.clone();
        pair.second
            .on_request("/x", move |seen| rest_of(seen, &content, TAGGED));
        pair.get().await.assert_is(200, &pair.content.bytes());
        pair.assert_hit().await;
        pair.gateway.finish_with_warnings().await;
    }
}
