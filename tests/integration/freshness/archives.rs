//! What the shipped rules make of archives: cookies do not count, insisting does not help, ranges cost one fetch.

use crate::stage::{FRESH, Stage};
use weir_tests::Script;

const ARCHIVE: &str = "/pool/tool-1.0.tar.gz";

#[tokio::test]
async fn a_cookie_neither_reaches_the_origin_of_an_archive_nor_keeps_it_from_being_shared() {
    let stage = Stage::new().await;
    stage.origin.on(ARCHIVE, Script::ok(FRESH, b"bytes"));
    stage
        .get_with(ARCHIVE, "Cookie: a=b\r\n")
        .await
        .assert_is(200, b"bytes");
    let record = stage.origin.record();
    assert!(record.requests[0].values("cookie").is_empty());
    stage.assert_hit(ARCHIVE, b"bytes").await;
    stage.finish().await;
}

#[tokio::test]
async fn an_archive_behind_a_login_is_asked_for_again_with_the_cookie_and_kept_for_nobody() {
    let stage = Stage::new().await;
    let denied = Script::status("403 Forbidden", "", b"log in");
    let given = Script::ok(FRESH, b"bytes");
    stage
        .origin
        .on_each(ARCHIVE, [denied.clone(), given, denied]);
    stage
        .get_with(ARCHIVE, "Cookie: a=b\r\n")
        .await
        .assert_is(200, b"bytes");
    let record = stage.origin.record();
    let cookies: Vec<_> = record
        .requests
        .iter()
        .map(|seen| seen.values("cookie"))
        .collect();
    assert_eq!(cookies, [vec![], vec!["a=b"]]);
    stage.get(ARCHIVE).await.assert_is(403, b"log in");
    stage.finish().await;
}

#[tokio::test]
async fn a_client_that_insists_gets_the_archive_from_the_store() {
    let stage = Stage::new().await;
    stage.origin.on(ARCHIVE, Script::ok("", b"bytes"));
    stage.get(ARCHIVE).await.assert_is(200, b"bytes");
    stage.gateway.settled().await;
    for fields in [
        "Cache-Control: no-cache\r\nPragma: no-cache\r\n",
        "Cache-Control: max-age=0\r\n",
    ] {
        let response = stage.get_with(ARCHIVE, fields).await;
        assert!(response.is_hit(), "{fields}: {:?}", response.head);
    }
    assert_eq!(stage.origin.requests(), 1);
    stage.finish().await;
}
