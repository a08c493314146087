//! What users of openEuler's cache-proxy are used to: `cp_NN` refers to the list of its behaviors.

mod misses;
mod pages;
mod rules;
mod starting;

use crate::stage::Stage;
use weir_tests::deadline::until;
use weir_tests::gateway::Builder;
use weir_tests::origin::Record;
use weir_tests::{Gateway, Origin, Response};

/// A gateway that is to behave as the original does.
fn cache_proxy() -> Builder {
    Gateway::builder().set("cache_proxy.enabled", true)
}

/// Asks the gateway for a path of its own, with more field lines, each ended by CRLF.
pub(crate) async fn ask(gateway: &Gateway, method: &str, path: &str, fields: &str) -> Response {
    let host = gateway.proxy();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    gateway.connect().await.exchange(&request).await
}

/// GET of `/download/URL` of a path of the origin.
async fn download(stage: &Stage, path: &str) -> Response {
    let path = format!("/download/{}", stage.origin.url(path));
    stage.gateway.get_path(&path).await
}

/// Requests that a gateway has sent, as told by Via; a client that follows a redirect sends none.
pub(crate) fn fills(origin: &Origin) -> usize {
    fills_of(&origin.record())
}

fn fills_of(record: &Record) -> usize {
    let sent = record.requests.iter();
    sent.filter(|seen| !seen.values("via").is_empty()).count()
}

/// Waits for the end of the fill that runs behind a redirect, and checks that it is number `count`: the redirect
/// itself does not wait for it.
pub(crate) async fn filled(gateway: &Gateway, origin: &Origin, count: usize) {
    let arrived = |record: &Record| fills_of(record) >= count;
    origin.wait_for("the fill", arrived).await;
    // `weir_fill_active` counts from the head on; the task is there from the start.
    let tasks = "weir_tasks{task=\"fill\"}";
    until("the fill ends", async || gateway.metric(tasks).await <= 0.0).await;
    assert_eq!(fills(origin), count, "{:?}", origin.record().requests);
}

/// Checks that a client is sent on to this URL and that nothing remembers it.
#[track_caller]
pub(crate) fn assert_sent_to(response: &Response, url: &str) {
    assert_eq!(response.status(), 302, "{:?}", response.head);
    assert_eq!(response.field("location"), Some(url));
    assert_eq!(response.field("cache-control"), Some("no-store"));
    assert!(!response.is_hit());
}
