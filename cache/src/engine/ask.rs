//! Asking upstreams in order, and saying what the store refused.

use super::{Engine, FetchRequest};
use crate::ports::{OriginError, OriginRequest, OriginResponse};
use crate::store::StoreError;
use http::{HeaderMap, Method};
use weir_policies::freshness::Exchange;

impl Engine {
    /// Says once what the store refused; the client is served from upstream.
    pub(crate) fn note_store_refusal(&self, error: &StoreError, url: &str) {
        self.stats.store_refused.add(1);
        let url = without_query(url);
        tracing::warn!(url, %error, "not stored, served from upstream");
    }

    /// Asks the upstreams of a resource in order; an error or a 5xx moves on to the next one.
    pub(crate) async fn ask_upstreams(
        &self,
        request: &FetchRequest,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<(OriginResponse, Exchange), OriginError> {
        let mut left = request.resource.upstreams.len();
        for target in &request.resource.upstreams {
            left -= 1;
            let requested = self.clock.wall().into();
            let sent = OriginRequest {
                method: method.clone(),
                target: target.clone(),
                headers: headers.clone(),
                interim: None,
            };
            match self.origin.fetch(sent).await {
                Ok(response) if left > 0 && response.status.is_server_error() => {}
                Ok(response) => {
                    return Ok((
                        response,
                        Exchange {
                            requested,
                            responded: self.clock.wall().into(),
                        },
                    ));
                }
                Err(error) if left > 0 => {
                    let host = target.authority();
                    tracing::info!(host, %error, "trying the next upstream");
                }
                Err(error) => return Err(error),
            }
        }
        Err(OriginError::NoAddress(
            request.resource.target.host().to_owned(),
        ))
    }
}

/// A URL for the log: queries may be signatures.
pub(super) fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}
