//! Heads, targets and framing that are refused, repaired or read in exactly one way.

mod connections;
mod framing;
mod heads;
mod targets;

use crate::stage::Stage;
use weir_tests::Script;
use weir_tests::client::Close;

/// A request that must never be seen by anybody; appended, it shows whether a refusal closes.
const SMUGGLED: &str = "GET http://{origin}/smuggled HTTP/1.1\r\nHost: {origin}\r\n\r\n";

/// What a refusal promises besides its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// The connection closes: what follows the request is never read as another one.
    Closes,
    /// Nothing reaches the upstream, and the connection closes.
    Untouched,
}

/// Checks that each request is refused with one of the statuses, on a connection of its own.
async fn refused(stage: &Stage, statuses: &[u16], promise: Promise, requests: &[&str]) {
    stage.origin.on("/x", Script::ok("", b"served"));
    for request in requests {
        let mut client = stage.write(&format!("{request}{SMUGGLED}")).await;
        let response = client.response("GET").await;
        let status = response.status();
        assert!(
            statuses.contains(&status),
            "{request:?}: {status} {:?}",
            response.text()
        );
        assert!(
            response.ending.is_clean(),
            "{request:?}: the refusal is cut short"
        );
        let (rest, close) = client.remainder().await;
        assert!(rest.is_empty(), "{request:?}: answered again: {rest:?}");
        assert_eq!(
            close,
            Close::Fin,
            "{request:?}: a reset may swallow the refusal"
        );
        let record = stage.origin.record();
        assert_eq!(record.count("/smuggled"), 0, "{request:?}");
        if promise == Promise::Untouched {
            stage.origin.assert_untouched();
        }
    }
}
