//! Row 91 turned around: what a stranger's unsafe request must not take away from everybody else.

use crate::stage::Stage;
use weir_tests::Script;

const ARCHIVE: &str = "/pool/tool-1.0.tar.gz";

#[tokio::test]
async fn a_post_that_is_redirected_does_not_switch_an_archive_off() {
    let stage = Stage::new().await;
    let elsewhere = Script::status("302 Found", "Location: /login\r\n", b"");
    let down = Script::status("503 Service Unavailable", "", b"down");
    stage
        .origin
        .on_each(ARCHIVE, [Script::ok("", b"bytes"), elsewhere, down]);
    stage.get(ARCHIVE).await.assert_is(200, b"bytes");
    stage.assert_hit(ARCHIVE, b"bytes").await;
    let url = stage.origin.url(ARCHIVE);
    let posted = stage
        .gateway
        .request("POST", &url, "Content-Length: 0\r\n")
        .await;
    assert_eq!(posted.status(), 302);
    for _ in 0..3 {
        stage.get(ARCHIVE).await.assert_is(200, b"bytes");
        stage.gateway.settled().await;
    }
    assert!(stage.origin.requests() > 2, "the origin is asked again");
    stage.gateway.finish_with_warnings().await;
}
