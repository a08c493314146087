//! A permission to share that an origin takes back in a 304 (RFC 9111 §3.2, §4.3.4).

use crate::stage::Stage;
use weir_tests::Script;

#[tokio::test]
async fn what_a_304_made_private_or_forbade_to_store_is_used_for_nobody_else() {
    let stage = Stage::new().await;
    for directive in ["private", "no-store"] {
        let path = format!("/{directive}");
        let before = Script::ok("Cache-Control: max-age=0\r\nETag: \"v1\"\r\n", b"ours");
        let fields = format!(
            "Cache-Control: {directive}, max-age=600, stale-if-error=600\r\nETag: \"v1\"\r\n"
        );
        let taken_back = Script::of(format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n"));
        let down = Script::status("503 Service Unavailable", "", b"down");
        stage.origin.on_each(&path, [before, taken_back, down]);
        for _ in 0..2 {
            stage.get(&path).await.assert_is(200, b"ours");
            stage.gateway.settled().await;
        }
        // Neither fresh nor as a stale one in place of the failure.
        let next = stage.get(&path).await;
        assert_eq!(next.status(), 503, "{directive}: {:?}", next.head);
        assert_eq!(stage.origin.record().count(&path), 3, "{directive}");
    }
    stage.gateway.finish_with_warnings().await;
}
