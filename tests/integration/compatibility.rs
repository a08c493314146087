//! What users of openEuler's cache-proxy are used to: `cp_NN` refers to the list of its behaviors.

mod misses;
mod pages;
mod rules;
mod starting;

use crate::stage::Stage;
use weir_tests::gateway::Builder;
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

/// Requests that the gateway has sent, as told by Via; a client that follows a redirect sends none.
pub(crate) fn fills(origin: &Origin) -> usize {
    let record = origin.record();
    let sent = record.requests.iter();
    sent.filter(|seen| !seen.values("via").is_empty()).count()
}

/// Checks that a client is sent on to this URL and that nothing remembers it.
#[track_caller]
pub(crate) fn assert_sent_to(response: &Response, url: &str) {
    assert_eq!(response.status(), 302, "{:?}", response.head);
    assert_eq!(response.field("location"), Some(url));
    assert_eq!(response.field("cache-control"), Some("no-store"));
    assert!(!response.is_hit());
}
