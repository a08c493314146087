//! One TCP connection to one address, with nothing on top of it.

use super::failure::DialFailure;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use weir_policies::address::VettedAddr;

/// Connects within `limit`. Cancel-safe.
pub(super) async fn dial(address: VettedAddr, limit: Duration) -> Result<TcpStream, DialFailure> {
    let address = address.get();
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            // Bytes are handed on as they come; waiting for more would only delay them.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%address, %error, "TCP_NODELAY not set");
            }
            Ok(stream)
        }
        Ok(Err(error)) => Err(DialFailure::from_io(address, &error)),
        Err(_elapsed) => Err(DialFailure::TimedOut),
    }
}
