//! A connection that one request has to itself.

use crate::upstream::body::Conduit;
use pingora::connectors::TransportConnector;
use pingora::protocols::Stream;
use pingora::upstreams::peer::ALPN;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An open connection that knows the way back to its pool. Dropping it closes it.
pub(in crate::upstream) struct Connection {
    pub(super) stream: Stream,
    pub(super) address: SocketAddr,
    pub(super) pool: Arc<TransportConnector>,
    pub(super) pool_key: u64,
    pub(super) keepalive: Duration,
}

impl Connection {
    /// Who is at the other end.
    pub(in crate::upstream) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether TLS has agreed on HTTP/2.
    pub(super) fn speaks_http2(&self) -> bool {
        self.stream.selected_alpn_proto() == Some(ALPN::H2)
    }
}

impl Conduit for Connection {
    fn keep(self) {
        // Looks once more for unexpected bytes, and watches for them until the next use.
        self.pool
            .release_stream(self.stream, self.pool_key, Some(self.keepalive));
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
