//! A message as an HTTP POST of JSON.
//!
//! One connection for each, closed afterwards; 2xx is delivered, and nothing of the response beyond its head is read.
//! Redirects are not followed: the field that goes with the request is for the configured host only.

use super::channel::{Undelivered, authorities};
use super::message::Message;
use super::settings::{NotifySettings, WebhookSettings};
use crate::upstream::{Roots, not_connected, trusted_roots};
use http::{StatusCode, header};
use pingora::ErrorType;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::http::RequestHeader;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::upstreams::peer::{ALPN, HttpPeer};
use std::net::SocketAddr;
use std::sync::OnceLock;
use weir_policies::target::{Scheme, Target};

/// Interim responses before the final one (RFC 9110 §15.2) that are put up with.
const INTERIM_MAX: usize = 4;

/// Makes the connections.
#[derive(Default)]
pub(super) struct Webhook {
    /// Made when it is first needed: it reads the system's certificates.
    connector: OnceLock<TransportConnector>,
}

impl Webhook {
    /// One attempt.
    pub(super) async fn send(
        &self,
        message: &Message,
        webhook: &WebhookSettings,
        settings: &NotifySettings,
    ) -> Result<(), Undelivered> {
        let body = serde_json::to_vec(message).map_err(|error| never(&error))?;
        let request = request(webhook, body.len()).map_err(|error| never(&error))?;
        let mut session = self.connect(&webhook.target, settings).await?;
        let status = exchange(&mut session, request, &body)
            .await
            .map_err(|error| Undelivered::for_now(in_words(&error)));
        session.shutdown().await;
        judge(status?)
    }

    async fn connect(
        &self,
        target: &Target,
        settings: &NotifySettings,
    ) -> Result<HttpSession, Undelivered> {
        let roots = authorities(settings, trusted_roots).await?;
        // Behind the reading of the certificates: it panics on what cannot be read.
        let connector = self
            .connector
            .get_or_init(|| TransportConnector::new(Some(ConnectorOptions::new(1))));
        let name = target.host().trim_matches(['[', ']']);
        let addresses = tokio::net::lookup_host((name, target.port())).await;
        let unknown = |error| Undelivered::for_now(format!("no address for {name}: {error}"));
        let addresses: Vec<SocketAddr> = addresses.map_err(unknown)?.collect();
        let mut failure = Undelivered::for_now(format!("no address for {name}"));
        for address in addresses {
            let mut peer =
                HttpPeer::new(address, target.scheme() == Scheme::Https, name.to_owned());
            peer.options.total_connection_timeout = Some(settings.timeout);
            peer.options.alpn = ALPN::H1;
            peer.options.ca = Roots::listed(&roots);
            match Box::pin(connector.new_stream(&peer)).await {
                Ok(stream) => return Ok(HttpSession::new(stream)),
                Err(error) => {
                    let error = not_connected(target.authority().to_owned(), address, &error);
                    failure = Undelivered::for_now(error.to_string());
                }
            }
        }
        Err(failure)
    }
}

fn request(webhook: &WebhookSettings, length: usize) -> pingora::Result<Box<RequestHeader>> {
    let target = &webhook.target;
    let path = target.path_and_query().as_bytes();
    let mut request = Box::new(RequestHeader::build("POST", path, None)?);
    request.insert_header(header::HOST, target.authority())?;
    request.insert_header(header::CONTENT_TYPE, "application/json")?;
    request.insert_header(header::CONTENT_LENGTH, length.to_string())?;
    request.insert_header(header::CONNECTION, "close")?;
    request.insert_header(
        header::USER_AGENT,
        concat!("weir/", env!("CARGO_PKG_VERSION")),
    )?;
    if let Some((name, value)) = &webhook.field {
        request.insert_header(name.clone(), value.clone())?;
    }
    Ok(request)
}

async fn exchange(
    session: &mut HttpSession,
    request: Box<RequestHeader>,
    body: &[u8],
) -> pingora::Result<StatusCode> {
    session.write_request_header(request).await?;
    session.write_body(body).await?;
    session.finish_body().await?;
    let mut status = StatusCode::CONTINUE;
    for _ in 0..=INTERIM_MAX {
        status = session.read_resp_header_parts().await?.status;
        if !status.is_informational() {
            break;
        }
    }
    Ok(status)
}

fn judge(status: StatusCode) -> Result<(), Undelivered> {
    let reason = format!("answered {status}");
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Err(Undelivered::for_now(reason))
        }
        status if status.is_client_error() || status.is_redirection() => {
            Err(Undelivered::for_good(reason))
        }
        _ => Err(Undelivered::for_now(reason)),
    }
}

/// What went wrong on a connection, without the library's own words for where it was.
fn in_words(error: &pingora::Error) -> String {
    let words = match error.etype() {
        ErrorType::ReadTimedout => "no answer in time",
        ErrorType::WriteTimedout => "the message was not taken in time",
        ErrorType::ConnectionClosed => "the connection was closed without an answer",
        ErrorType::ReadError | ErrorType::WriteError => "the connection broke",
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error => "the answer is not HTTP",
        other => other.as_str(),
    };
    words.to_owned()
}

fn never(error: &dyn std::fmt::Display) -> Undelivered {
    Undelivered::for_good(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::channel::Again;

    #[test]
    fn only_a_success_is_delivered_and_only_what_may_change_is_tried_again() {
        let check = |status: u16, expected: Result<(), Again>| {
            let judged = judge(StatusCode::from_u16(status).unwrap());
            assert_eq!(
                judged.map_err(|undelivered| undelivered.again),
                expected,
                "{status}"
            );
        };
        check(200, Ok(()));
        check(204, Ok(()));
        check(302, Err(Again::Never));
        check(404, Err(Again::Never));
        check(429, Err(Again::Later));
        check(500, Err(Again::Later));
        check(100, Err(Again::Later));
    }

    #[test]
    fn a_failure_is_told_in_plain_words() {
        let check = |kind: ErrorType, expected: &str| {
            let error = pingora::Error::explain(kind, "addr: 127.0.0.1:1, sni: h");
            assert_eq!(in_words(&error), expected);
        };
        check(ErrorType::ReadTimedout, "no answer in time");
        check(ErrorType::WriteError, "the connection broke");
        check(ErrorType::InvalidHTTPHeader, "the answer is not HTTP");
    }
}
