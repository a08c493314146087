//! The adapter of the [`Dialer`] port: bare TCP connections, for tunnels.
//!
//! Same names, same policy, same race and same memory as for fetches; no TLS, no pool, no HTTP.

use super::HttpOrigin;
use crate::tunnel::Dialer;
use async_trait::async_trait;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use weir_cache::ports::OriginError;

#[async_trait]
impl Dialer for HttpOrigin {
    async fn dial(&self, host: &str, port: u16) -> Result<(TcpStream, SocketAddr), OriginError> {
        let outcome = match self.names.addresses(host, port).await {
            Ok(addresses) => self.connector.open_bare(host, port, &addresses).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome {
            self.stats.broke(error);
        }
        outcome
    }
}
