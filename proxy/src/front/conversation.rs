//! The life of one connection: head, answer, the rest of the body, the next head.
//!
//! Requests are answered in the order in which they were sent, one at a time; pipelined ones wait in the connection's
//! buffer, and what does not fit there waits in the socket.
//!
//! Invariant: from the first byte of a head to the last one of its response everything goes by one [`Live`].

use super::chunk::ChunkScanner;
use super::conn::Conn;
use super::head::{self, HeadLimits};
use super::lend::lend;
use super::refusal::Refusal;
use super::scan::HeadScanner;
use super::{BodyFraming, Flow, Front, Handler, Live, Request, Version};
use crate::error_page::error_page;
use crate::pass;
use crate::tunnel::Farewell;
use bytes::{Buf, Bytes};
use http::header::{ACCEPT, EXPECT};
use std::io;
use std::ops::Range;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// The longest request body that is read only to keep a connection, bytes. Past it a new connection is cheaper.
const DRAIN_BYTES_MAX: u64 = 64 * 1024;
/// What the log gets to see of a head that could not be read, bytes.
const EXCERPT_BYTES_MAX: usize = 1024;

/// What came instead of, or as, the next request.
enum Next {
    Request(Box<Request>),
    /// Not a request. The excerpt is for the log.
    Refused(Refusal, Bytes),
    /// The client left, or had nothing to say for too long, or the gateway shuts down.
    Gone,
}

/// Serves a connection to its end.
pub(super) async fn converse<H: Handler>(
    front: &Front<H>,
    mut conn: Box<Conn>,
    mut shutdown: watch::Receiver<bool>,
) {
    loop {
        if conn.buffer.is_empty() && !wait_for_client(front, &mut conn, &mut shutdown).await {
            return;
        }
        let live = front.live();
        conn.set_send_timeout(live.settings.send_timeout);
        let kept = match next_request(front, &live, &mut conn, &shutdown).await {
            Next::Request(request) => answer(front, &live, conn, *request, &shutdown).await,
            Next::Refused(refusal, excerpt) => {
                live.handler
                    .rejected(conn.client(), refusal.status, refusal.reason, &excerpt);
                return refuse(front, &live, conn, refusal, None).await;
            }
            Next::Gone => return,
        };
        let Some(returned) = kept else { return };
        conn = returned;
    }
}

/// Reads the next head, of which something is there. One deadline to its last byte.
async fn next_request<H: Handler>(
    front: &Front<H>,
    live: &Live<H>,
    conn: &mut Conn,
    shutdown: &watch::Receiver<bool>,
) -> Next {
    let limits = live.settings.head_limits();
    let mut scanner = HeadScanner::new(limits);
    let deadline = Instant::now() + live.settings.head_timeout;
    loop {
        match scanner.advance(&conn.buffer) {
            Ok(Some(head)) => return take_request(front, conn, head, limits, shutdown),
            Ok(None) => {}
            Err(refusal) => return refused(refusal, &conn.buffer),
        }
        match timeout_at(deadline, conn.fill()).await {
            Ok(Ok(0) | Err(_)) => return Next::Gone,
            Ok(Ok(_)) => {}
            // Nothing but empty lines is an idle client with a habit, not a slow one.
            Err(_) if conn.buffer.iter().all(|byte| b"\r\n".contains(byte)) => return Next::Gone,
            Err(_) => {
                let slow = Refusal::new(408, "the request head took too long");
                return refused(slow, &conn.buffer);
            }
        }
    }
}

/// Whether the client said something before the idle time is over, the gateway shuts down, or the place is needed for
/// another.
async fn wait_for_client<H: Handler>(
    front: &Front<H>,
    conn: &mut Conn,
    shutdown: &mut watch::Receiver<bool>,
) -> bool {
    tokio::select! {
        biased;
        // First: what is here already was sent before the end began.
        filled = conn.fill_from_idle() => matches!(filled, Ok(bytes) if bytes > 0),
        () = unwanted(front, shutdown) => false,
        () = front.crowded.notified() => false,
        () = sleep(front.live().settings.idle_timeout) => false,
    }
}

/// Returns when nobody is waited for any more. Who was handed over may still send one request, and learns from its
/// answer that the connection ends: closing an idle connection at once may cross with a request on its way.
async fn unwanted<H: Handler>(front: &Front<H>, shutdown: &mut watch::Receiver<bool>) {
    super::stopped(shutdown).await;
    if front.is_handed_over() {
        sleep(front.live().settings.head_timeout).await;
    }
}

fn take_request<H: Handler>(
    front: &Front<H>,
    conn: &mut Conn,
    head: Range<usize>,
    limits: HeadLimits,
    shutdown: &watch::Receiver<bool>,
) -> Next {
    conn.buffer.advance(head.start);
    let head = conn.buffer.split_to(head.len()).freeze();
    match head::parse(&head, &limits, front.clock.elapsed()) {
        Ok(mut request) => {
            // What the client has sent behind this request is answered as well.
            let ends = *shutdown.borrow() && conn.buffer.is_empty();
            request.keep_alive &= is_drainable(&request) && !ends;
            Next::Request(Box::new(request))
        }
        Err(refusal) => refused(refusal, &head),
    }
}

fn refused(refusal: Refusal, head: &[u8]) -> Next {
    let excerpt = head.get(..EXCERPT_BYTES_MAX).unwrap_or(head);
    Next::Refused(refusal, Bytes::copy_from_slice(excerpt))
}

/// Whether the connection can stay when nobody reads the request's body. A client that waits for `100 Continue` has
/// not sent it and may never, so its end cannot be known.
fn is_drainable(request: &Request) -> bool {
    match request.body {
        BodyFraming::None => true,
        BodyFraming::Length(length) => length <= DRAIN_BYTES_MAX && !expects_continue(request),
        BodyFraming::Chunked => !expects_continue(request),
    }
}

/// HTTP/1.0 knows no expectations: they are ignored (RFC 9110 §10.1.1).
fn expects_continue(request: &Request) -> bool {
    request.version == Version::Http11 && request.headers.contains_key(EXPECT)
}

fn has_unknown_expectation(request: &Request) -> bool {
    let mut expectations = request.headers.get_all(EXPECT).iter();
    expects_continue(request)
        && !expectations.all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Answers one request. `Some`: the connection is ready for the next head. `None`: it is closed.
async fn answer<H: Handler>(
    front: &Front<H>,
    live: &Live<H>,
    mut conn: Box<Conn>,
    request: Request,
    shutdown: &watch::Receiver<bool>,
) -> Option<Box<Conn>> {
    if has_unknown_expectation(&request) {
        let refusal = Refusal::new(417, "the only expectation served here is 100-continue");
        live.handler
            .rejected(conn.client(), refusal.status, refusal.reason, b"");
        refuse(front, live, conn, refusal, request.headers.get(ACCEPT)).await;
        return None;
    }
    conn.begin_response();
    let flow = live.handler.handle(&mut conn, &request).await;
    conn.end_response();
    match flow {
        Flow::Pass(order) if !conn.is_aborted() => {
            let keep_alive = head::wants_keep_alive(request.version, &request.headers);
            let keep_alive = keep_alive && !*shutdown.borrow();
            let head = pass::request_head(&request, &order.target, keep_alive, &live.settings.node);
            lend(
                &live.proxy,
                conn,
                (head, request.body),
                order,
                &live.settings,
                shutdown,
            )
            .await
        }
        Flow::KeepAlive if request.keep_alive && !conn.is_aborted() => {
            match drain(&mut conn, request.body, live.settings.head_timeout).await {
                Ok(()) => Some(conn),
                Err(error) => {
                    tracing::debug!(client = %conn.client(), %error, "request body not drained");
                    conn.close().await;
                    None
                }
            }
        }
        Flow::Tunnel(tunnel) if !conn.is_aborted() => {
            // Until the tunnel has ended in good order, its client must not take a broken connection for an end.
            conn.begin_response();
            match tunnel.carry(&mut conn).await {
                Farewell::Orderly => conn.end_response(),
                Farewell::Cut => conn.abort(),
            }
            conn.close().await;
            None
        }
        Flow::KeepAlive | Flow::Close | Flow::Pass(_) | Flow::Tunnel(_) => {
            conn.close().await;
            None
        }
    }
}

/// Reads a body that nobody wanted, so that the next head is found behind it.
async fn drain(conn: &mut Conn, body: BodyFraming, limit: Duration) -> io::Result<()> {
    let deadline = Instant::now() + limit;
    match body {
        BodyFraming::None => Ok(()),
        BodyFraming::Length(length) => timeout_at(deadline, drain_length(conn, length)).await?,
        BodyFraming::Chunked => timeout_at(deadline, drain_chunks(conn)).await?,
    }
}

async fn drain_length(conn: &mut Conn, length: u64) -> io::Result<()> {
    let mut left = usize::try_from(length).map_err(io::Error::other)?;
    loop {
        let taken = left.min(conn.buffer.len());
        conn.buffer.advance(taken);
        left -= taken;
        if left == 0 {
            return Ok(());
        }
        fill(conn).await?;
    }
}

async fn drain_chunks(conn: &mut Conn) -> io::Result<()> {
    let mut scanner = ChunkScanner::new();
    let mut drained = 0;
    loop {
        let taken = scanner.scan(&conn.buffer).map_err(io::Error::other)?;
        conn.buffer.advance(taken);
        drained += u64::try_from(taken).unwrap_or(u64::MAX);
        if scanner.is_done() {
            return Ok(());
        }
        if drained > DRAIN_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        fill(conn).await?;
    }
}

async fn fill(conn: &mut Conn) -> io::Result<()> {
    match conn.fill().await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Answers what is not a request, and closes.
pub(super) async fn refuse<H: Handler>(
    front: &Front<H>,
    live: &Live<H>,
    mut conn: Box<Conn>,
    refusal: Refusal,
    accept: Option<&http::HeaderValue>,
) {
    let page = error_page(refusal.status, refusal.reason, accept, &live.settings.node);
    let response = page.to_closing_response(front.clock.wall());
    // One bounded write: a client that does not read its refusal is not waited for.
    match timeout(live.settings.head_timeout, conn.write_all(&response)).await {
        Ok(Ok(())) => conn.close().await,
        Ok(Err(_)) | Err(_) => conn.abort(),
    }
}
