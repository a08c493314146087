//! The adapter of the [`Origin`] port for HTTP/1.1 over TCP and TLS, and HTTP/2 over TLS.
//!
//! One fetch is the list of steps in [`HttpOrigin::exchange`]: scheme → addresses, each judged by policy → request
//! bytes → a pooled connection, or a new one raced over the addresses → response head → a body that reads itself.
//!
//! Reading order: [`resolve`] (which addresses) → [`connect`] (which of them answers) → [`mod@ask`] (one question on one
//! connection) → [`request`] (what is said) → [`head`] (what comes back) → [`body`] (how it ends) → [`stats`] (what is counted). [`http2`] is the same once more for
//! streams. [`current`] lets all of it be replaced while it runs. Beside them stand [`peers`], for requests that Pingora's proxy hands through, and [`dial`], for tunnels.
//!
//! Pingora supplies pooled, timed-out streams and nothing else: its HTTP/1 client passes on an unasked 101 and
//! thousands of 1xx, keeps Content-Length on a 204, and reads bodies 64 KiB at a time.
//!
//! Invariants: a connection is only made to a vetted address; TLS is always verified and never downgraded; a
//! connection goes back to the pool only after a message whose end was explicit and had nothing behind it; every
//! wait has a deadline.
//!
//! Deliberately absent: redirects, choice between mirrors, resume after a broken body (the engine's), request bodies
//! (those go through Pingora's ProxyHttp).

mod ask;
mod body;
mod connect;
mod current;
mod dial;
mod head;
mod http2;
mod interim;
mod peers;
mod request;
mod resolve;
mod stats;
#[cfg(test)]
mod tests;

pub(crate) use connect::{ConnectorError, not_connected};
pub(crate) use current::{CurrentOrigin, Made};
pub(crate) use resolve::Resolver;
pub(crate) use resolve::system::SystemResolver;
pub(crate) use stats::UpstreamStats;

use async_trait::async_trait;
use connect::Connector;
use resolve::vetted::VettedResolver;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use weir_cache::ports::{Origin, OriginError, OriginRequest, OriginResponse};
use weir_policies::address::Vetter;
use weir_policies::target::Scheme;

/// How often a request is sent on a new connection when the upstream closes it without a single byte. Safe because
/// only GET and HEAD come this way (RFC 9110 §9.2.2).
const FRESH_ATTEMPTS_MAX: usize = 2;

/// What the configuration says of upstreams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamSettings {
    /// For the addresses of a name, waiting for a turn included.
    pub(crate) resolve_timeout: Duration,
    /// For one address: TCP and TLS handshakes together.
    pub(crate) connect_timeout: Duration,
    /// From the request to the end of the final response head, however slowly it drips.
    pub(crate) first_byte_timeout: Duration,
    /// Between two pieces of a body.
    pub(crate) stall_timeout: Duration,
    /// How long an idle connection is kept for the next request.
    pub(crate) keepalive: Duration,
    /// Idle connections kept in all.
    pub(crate) pool_size: usize,
    /// Bytes of a response head (status line and fields).
    pub(crate) head_bytes_max: usize,
    /// Whether HTTP/2 is offered to `https` upstreams.
    pub(crate) http2: bool,
    /// PEM file of certificate authorities trusted besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// This node in `Via` and `CDN-Loop`; a token (RFC 9110 §5.6.2).
    pub(crate) node_name: String,
}

#[cfg(test)]
impl UpstreamSettings {
    /// The documented defaults for a node of this name.
    pub(crate) fn defaults(node_name: String) -> Self {
        Self {
            resolve_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(60),
            pool_size: 256,
            head_bytes_max: 64 * 1024,
            http2: true,
            ca_file: None,
            node_name,
        }
    }
}

/// Fetches from `http` and `https` upstreams.
pub(crate) struct HttpOrigin {
    settings: Arc<UpstreamSettings>,
    names: VettedResolver,
    connector: Connector,
    stats: Arc<UpstreamStats>,
}

impl HttpOrigin {
    /// One that counts for itself.
    #[cfg(test)]
    fn new(
        settings: UpstreamSettings,
        resolver: Arc<dyn Resolver>,
        vetter: Arc<Vetter>,
    ) -> Result<Self, ConnectorError> {
        Self::counted(settings, resolver, vetter, Arc::default())
    }

    /// Loads the trusted certificates; opens no connection. `stats` go on where those of the one before have stopped.
    ///
    /// # Errors
    /// [`ConnectorError`] when the certificates cannot be read.
    fn counted(
        settings: UpstreamSettings,
        resolver: Arc<dyn Resolver>,
        vetter: Arc<Vetter>,
        stats: Arc<UpstreamStats>,
    ) -> Result<Self, ConnectorError> {
        let settings = Arc::new(settings);
        Ok(Self {
            names: VettedResolver::new(resolver, vetter, settings.resolve_timeout),
            connector: Connector::new(Arc::clone(&settings), Arc::clone(&stats))?,
            settings,
            stats,
        })
    }

    #[cfg(test)]
    fn stats(&self) -> Arc<UpstreamStats> {
        Arc::clone(&self.stats)
    }

    /// The steps of one fetch.
    async fn exchange(&self, request: &OriginRequest) -> Result<OriginResponse, OriginError> {
        let target = &request.target;
        served(target.scheme())?;
        let addresses = self.names.addresses(target.host(), target.port()).await?;
        let message = self.message(request);
        let mut versions = message.versions();

        if let Some(line) = self.connector.pooled(target, &addresses, versions).await {
            match self.ask(line, &message).await {
                Ok(response) => return Ok(response),
                Err(unanswered) => versions = unanswered.again(versions)?,
            }
            self.stats.retried();
        }
        for attempt in 1..=FRESH_ATTEMPTS_MAX {
            let line = self.connector.open(target, &addresses, versions).await?;
            match self.ask(line, &message).await {
                Ok(response) => return Ok(response),
                Err(unanswered) => versions = unanswered.again(versions)?,
            }
            if attempt < FRESH_ATTEMPTS_MAX {
                self.stats.retried();
            }
        }
        Err(OriginError::NoAnswer(target.authority()))
    }
}

#[async_trait]
impl Origin for HttpOrigin {
    async fn fetch(&self, request: OriginRequest) -> Result<OriginResponse, OriginError> {
        let outcome = self.exchange(&request).await;
        match &outcome {
            Ok(response) => self.stats.answered(response.status),
            Err(error) => self.stats.failed(error),
        }
        outcome
    }
}

fn served(scheme: Scheme) -> Result<(), OriginError> {
    match scheme {
        Scheme::Http | Scheme::Https => Ok(()),
        Scheme::Ftp => Err(OriginError::Scheme(scheme.as_str())),
    }
}
