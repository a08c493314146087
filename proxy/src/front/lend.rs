//! Lends a connection to Pingora's proxy for exactly one request.
//!
//! The session that borrows it sees a stream with three parts: the head as the gateway re-emits it, the bytes of this
//! request's body, then silence. Whatever the client sends on meanwhile is read ahead into the connection's own bounded
//! buffer, because Pingora probes an idle client with a one-byte read and would lose the first byte of the next
//! request. Only an end or an error of the stream is shown.
//!
//! Whatever the session does with the stream in the end, returning it, closing it or dropping it in the middle of a
//! response, the connection comes home through [`Home`], and the front decides how it ends.
//!
//! Invariants: not one byte behind the request reaches the session; a body whose framing breaks is an error of the
//! stream, so the upstream sees an aborted request and never a repaired one.

use super::conn::Conn;
use super::upload::{Pace, Remainder};
use super::{BodyFraming, FrontSettings};
use crate::pass::{Pass, PassOrder};
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::socket::SocketAddr as PingoraAddress;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use pingora::proxy::HttpProxy;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::Instant;

/// Lets the proxy answer one request. `Some`: the connection is ready for the next one. `None`: it is closed.
pub(super) async fn lend(
    proxy: &Arc<HttpProxy<Pass>>,
    conn: Box<Conn>,
    request: (Bytes, BodyFraming),
    order: Box<PassOrder>,
    settings: &FrontSettings,
    shutdown: &watch::Receiver<bool>,
) -> Option<Box<Conn>> {
    let home = Home::default();
    let lent = Lent::new(conn, request, settings.head_bytes_max, home.clone());
    let mut session = ServerSession::new_http1(Box::new(lent));
    session.set_connection_user_context(Some(order));
    session.set_write_timeout(Some(settings.send_timeout));
    session.set_total_drain_timeout(Some(settings.head_timeout));
    let is_reusable = proxy.process_new_http(session, shutdown).await.is_some();
    // Anything of the session that held the connection is gone by now.
    let returned = home.take()?;
    let mut conn = returned.conn;
    if is_reusable && returned.is_request_whole {
        conn.end_response();
        return Some(conn);
    }
    if returned.is_closed {
        conn.end_response();
        conn.close().await;
    }
    // Else the session gave up in the middle of a response: dropping the connection resets it.
    None
}

/// Where a lent connection is found again.
#[derive(Debug, Clone, Default)]
struct Home(Arc<Mutex<Option<Returned>>>);

/// A connection that came home.
#[derive(Debug)]
struct Returned {
    conn: Box<Conn>,
    /// Head and body were read to their end: the next byte starts a request.
    is_request_whole: bool,
    /// The session closed the stream on purpose, behind a response that is whole.
    is_closed: bool,
}

impl Home {
    fn put(&self, returned: Returned) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(returned);
    }

    fn take(&self) -> Option<Returned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A connection as a session sees it.
#[derive(Debug)]
struct Lent {
    /// `None` only while it is being dropped.
    conn: Option<Box<Conn>>,
    head: Bytes,
    body: Remainder,
    pace: Pace,
    read_ahead_bytes_max: usize,
    is_closed: bool,
    home: Home,
}

impl Lent {
    fn new(
        mut conn: Box<Conn>,
        (head, body): (Bytes, BodyFraming),
        read_ahead_bytes_max: usize,
        home: Home,
    ) -> Self {
        conn.begin_response();
        Self {
            conn: Some(conn),
            head,
            body: Remainder::new(body),
            pace: Pace::default(),
            read_ahead_bytes_max,
            is_closed: false,
            home,
        }
    }

    fn conn(&mut self) -> io::Result<&mut Conn> {
        self.conn
            .as_deref_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(conn) = self.conn.as_deref_mut() else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if conn.buffer.is_empty() {
            let Poll::Ready(filled) = conn.poll_fill(context) else {
                self.pace.wait(Instant::now());
                return Poll::Pending;
            };
            let filled = filled?;
            if filled == 0 {
                return Poll::Ready(Ok(()));
            }
            self.pace.arrive(filled, Instant::now())?;
        }
        let offered = conn.buffer.len().min(out.remaining());
        let taken = self
            .body
            .take(conn.buffer.get(..offered).unwrap_or_default())?;
        out.put_slice(conn.buffer.get(..taken).unwrap_or_default());
        conn.buffer.advance(taken);
        Poll::Ready(Ok(()))
    }

    /// Behind the request: reads ahead, shows only the end.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let read_ahead_bytes_max = self.read_ahead_bytes_max;
        let conn = self.conn()?;
        while conn.buffer.len() < read_ahead_bytes_max {
            if ready!(conn.poll_fill(context))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        // Enough: the rest stays in the socket. Nothing wakes this reader, and nothing needs to.
        Poll::Pending
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.home.put(Returned {
                conn,
                is_request_whole: self.head.is_empty() && self.body.is_done(),
                is_closed: self.is_closed,
            });
        }
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.head.is_empty() {
            let length = this.head.len().min(out.remaining());
            out.put_slice(&this.head.split_to(length));
            return Poll::Ready(Ok(()));
        }
        if this.body.is_done() {
            this.poll_silence(context)
        } else {
            this.poll_body(context, out)
        }
    }
}

impl AsyncWrite for Lent {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().conn()?.writer().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let conn = self.get_mut().conn()?;
        conn.writer().poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().conn()?.writer().poll_flush(context)
    }

    /// Notes the wish; the front closes, because it also has to drain.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().is_closed = true;
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Shutdown for Lent {
    async fn shutdown(&mut self) {
        self.is_closed = true;
    }
}

impl UniqueID for Lent {
    fn id(&self) -> UniqueIDType {
        self.conn.as_ref().map_or(-1, |conn| conn.descriptor())
    }
}

impl Ssl for Lent {}

impl Peek for Lent {}

impl GetTimingDigest for Lent {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Lent {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Lent {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        let conn = self.conn.as_ref()?;
        let digest = SocketDigest::from_raw_fd(conn.descriptor());
        // Known already: asking the kernel again would cost a call for each request.
        digest
            .peer_addr
            .get_or_init(|| Some(PingoraAddress::Inet(conn.client())));
        Some(Arc::new(digest))
    }
}
