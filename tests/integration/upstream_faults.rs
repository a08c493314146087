//! Rows 114, 117–140: what upstreams do wrong, and that a client is never told that it has everything
//! when it has not.

mod bodies;
mod connections;
mod encryption;
mod heads;
mod streams;

use crate::stage::Stage;
use weir_tests::Script;

/// Checks that a response with this script fails for the client, is not stored, and that the next
/// request heals.
async fn fails_and_heals(broken: Script) {
    let stage = Stage::new().await;
    fails_and_heals_on(&stage, broken).await;
    stage.gateway.finish_with_warnings().await;
}

/// The same on a stage of one's own.
async fn fails_and_heals_on(stage: &Stage, broken: Script) {
    let whole = Script::ok(crate::stage::FRESH, b"whole");
    stage.origin.on_each("/x", [broken, whole]);
    let response = stage.get("/x").await;
    let failed = response.status() == 502 || !response.ending.is_clean();
    assert!(
        failed,
        "passed off as complete: {:?} {:?}",
        response.head, response.ending
    );
    stage.gateway.settled().await;
    assert!(
        stage.gateway.temporary_files().is_empty(),
        "a partial object is left behind"
    );
    stage.get("/x").await.assert_is(200, b"whole");
    assert_eq!(stage.origin.requests(), 2, "the failure was stored");
    stage.assert_hit("/x", b"whole").await;
}
