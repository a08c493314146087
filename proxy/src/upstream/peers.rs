//! The adapter of the [`PeerSource`] port: where a request that is handed through may connect to.
//!
//! Same names, same policy, same order and same memory as for fetches, so that a POST reaches whatever a GET reaches.
//! There is no race here: Pingora opens these connections one at a time, and [`crate::pass`] goes on to the next peer
//! when one takes no connection. What answered is remembered for both ways.

use super::HttpOrigin;
use crate::pass::PeerSource;
use async_trait::async_trait;
use pingora::upstreams::peer::HttpPeer;
use std::collections::VecDeque;
use std::net::SocketAddr;
use weir_policies::target::Target;

#[async_trait]
impl PeerSource for HttpOrigin {
    async fn peers(&self, target: &Target) -> Result<VecDeque<HttpPeer>, (u16, String)> {
        let addresses = self
            .names
            .addresses(target.host(), target.port())
            .await
            .map_err(|error| (error.status().as_u16(), error.to_string()))?;
        Ok(self.connector.peers(target, &addresses).collect())
    }

    fn connected(&self, target: &Target, address: SocketAddr) {
        self.connector.remember(target, address);
    }
}
