//! Error pages for requests that could not be handed through, written with the session that failed.

use super::fields::mark_outcome;
use super::spelling::spelled;
use crate::error_page::{self, ErrorPage};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::Result;
use pingora::proxy::Session;
use weir_policies::hop;
use weir_policies::outcome::Outcome;

/// Sends the page and closes the connection.
pub(super) async fn write(session: &mut Session, page: &ErrorPage, fields: HeaderMap) {
    match try_write(session, page, fields).await {
        // Says that the connection may end cleanly: without it the front resets, see `front::lend`.
        Ok(()) => session.shutdown().await,
        Err(error) => tracing::debug!(%error, "error page not sent"),
    }
}

async fn try_write(session: &mut Session, page: &ErrorPage, fields: HeaderMap) -> Result<()> {
    let mut head = spelled(page.status, &fields)?;
    head.set_reason_phrase(Some(error_page::reason_phrase(page.status)))?;
    let is_head = session.req_header().method == Method::HEAD;
    session.set_keepalive(None);
    session
        .write_response_header(Box::new(head), is_head)
        .await?;
    if !is_head {
        let body = Bytes::copy_from_slice(page.body.as_bytes());
        session.write_response_body(Some(body), true).await?;
    }
    session.finish_body().await
}

/// The fields of a page that `node` writes.
pub(super) fn page_fields(page: &ErrorPage, outcome: Outcome, node: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(page.media_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(page.body.len()));
    if let Some(seconds) = error_page::retry_after_seconds(page.status) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    for (name, value) in error_page::FIELDS {
        if let Ok(name) = HeaderName::try_from(name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    hop::append_via(&mut headers, "1.1", node);
    mark_outcome(&mut headers, outcome, None, node);
    headers
}
