//! The HTTP/1 server side: accepts connections, reads every request head itself, and asks the gateway to answer.
//!
//! Why not Pingora's own listener and server session: they refuse real clients before any callback (an absolute-form
//! target whose Host differs), have no deadline for a whole head, and would parse every hit a second time. So the front
//! owns the bytes of the client. Hits and flights are answered straight on [`Conn`]; what is merely handed through is
//! lent to Pingora's `HttpProxy`, one request at a time ([`lend`]).
//!
//! Reading order: [`conversation`] (the life of a connection) → [`scan`] and [`head`] (from bytes to a [`Request`]) →
//! [`conn`] (what the gateway writes to) → [`lend`], [`upload`] and [`chunk`] → [`admission`]. A connection that became
//! a tunnel goes to [`crate::tunnel`] and never comes back.
//!
//! Invariants: a head that could be read in two ways is refused and its connection closed; nothing of it reaches the
//! gateway. Every wait has a deadline, every buffer a bound. Requests of one connection are answered in order.
//!
//! Not here: what a target means, whether it may be fetched, and what is answered. That is the gateway's.

mod admission;
mod chunk;
pub(crate) mod conn;
mod conversation;
mod head;
mod lend;
mod refusal;
mod scan;
mod upload;

use crate::pass::{Pass, PassOrder};
use crate::tunnel::Tunnel;
pub(crate) use admission::AdmissionCounts;
use admission::{Admission, Seat};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use conn::Conn;
use head::HeadLimits;
use http::{HeaderMap, Method};
use pingora::proxy::HttpProxy;
use refusal::Refusal;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use weir_cache::ports::Clock;

/// The wait after a failed accept, first and longest. Descriptors run out for a while, not for a microsecond.
const ACCEPT_PAUSE_FIRST: Duration = Duration::from_millis(10);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The HTTP version of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    /// As in the request line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// How a request's body is delimited. A request is never delimited by the end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    /// There is none.
    None,
    /// So many bytes, never 0.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// One request whose head could be read in one way only.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Any token.
    pub(crate) method: Method,
    /// The request target as received: visible ASCII without `#`.
    pub(crate) target: String,
    /// Version of the request line.
    pub(crate) version: Version,
    /// All fields as received, hop-by-hop ones included.
    pub(crate) headers: HeaderMap,
    /// What follows the head.
    pub(crate) body: BodyFraming,
    /// Whether the connection can stay after an answer that does not read the body: say so in the response.
    pub(crate) keep_alive: bool,
    /// Monotonic clock when the head was whole.
    pub(crate) arrived: Duration,
}

/// What becomes of the connection after a request.
pub(crate) enum Flow {
    /// Answered; the next request may come.
    KeepAlive,
    /// Answered; close.
    Close,
    /// Not answered: hand the request through to an upstream.
    Pass(Box<PassOrder>),
    /// Answered with 200 to CONNECT: what follows is for the other end.
    Tunnel(Box<Tunnel>),
}

/// Answers requests. The gateway, seen from here.
#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers one request on the connection. The request's body is not read here; the front drains it or closes.
    async fn handle(&self, conn: &mut Conn, request: &Request) -> Flow;

    /// The front itself answered with `status`: for log and metrics. `head` is a bounded excerpt of what was received
    /// and may hold anything; empty when the connection was refused as such.
    fn rejected(&self, client: SocketAddr, status: u16, reason: &'static str, head: &[u8]);
}

/// The bounds of the front.
#[derive(Debug, Clone)]
pub(crate) struct FrontSettings {
    /// The name of this node for Via, CDN-Loop and error pages.
    pub(crate) node: String,
    /// From the first byte of a head to its last.
    pub(crate) head_timeout: Duration,
    /// Bytes of a head, and of what is read ahead while a request is handed through.
    pub(crate) head_bytes_max: usize,
    /// Header fields.
    pub(crate) head_fields_max: usize,
    /// Bytes of a request target.
    pub(crate) target_bytes_max: usize,
    /// How long a connection may stay without a request.
    pub(crate) idle_timeout: Duration,
    /// How long a client may take nothing of what is sent.
    pub(crate) send_timeout: Duration,
    /// Connections of all clients.
    pub(crate) connections_max: usize,
    /// Connections of one client.
    pub(crate) connections_per_client_max: usize,
}

impl FrontSettings {
    fn head_limits(&self) -> HeadLimits {
        HeadLimits {
            bytes_max: self.head_bytes_max,
            fields_max: self.head_fields_max,
            target_bytes_max: self.target_bytes_max,
        }
    }
}

/// What requests are answered by. A request takes it once, when its first byte has come, and keeps it to its end.
pub(crate) struct Live<H: Handler> {
    /// The bounds.
    pub(crate) settings: FrontSettings,
    /// The gateway.
    pub(crate) handler: Arc<H>,
    /// For what is handed through.
    pub(crate) proxy: Arc<HttpProxy<Pass>>,
}

/// The front. One for all listeners, so that its bounds count all of them.
pub(crate) struct Front<H: Handler> {
    live: ArcSwap<Live<H>>,
    clock: Arc<dyn Clock>,
    admission: Admission,
    /// Asks the connection that is idle for the longest time to make room.
    crowded: Notify,
    /// Another process has the listeners.
    handed_over: AtomicBool,
}

impl<H: Handler> Front<H> {
    /// Puts a front together; nothing runs before [`Front::serve`].
    pub(crate) fn new(
        settings: FrontSettings,
        handler: Arc<H>,
        proxy: Arc<HttpProxy<Pass>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let admission = Admission::new(
            settings.connections_max,
            settings.connections_per_client_max,
        );
        Self {
            live: ArcSwap::from_pointee(Live {
                settings,
                handler,
                proxy,
            }),
            clock,
            admission,
            crowded: Notify::new(),
            handed_over: AtomicBool::new(false),
        }
    }

    /// What the next request is answered by.
    pub(crate) fn live(&self) -> Arc<Live<H>> {
        self.live.load_full()
    }

    /// Answers by `live` from the next request on; running ones keep what they began with.
    pub(crate) fn replace(&self, live: Live<H>) {
        let settings = &live.settings;
        self.admission.resize(
            settings.connections_max,
            settings.connections_per_client_max,
        );
        self.live.store(Arc::new(live));
    }

    /// Another process accepts from now on; say so before the shutdown is signaled. Clients that were accepted by then
    /// came to be served: they are waited for as long as a head may take, also when they have said nothing yet.
    pub(crate) fn hand_over(&self) {
        self.handed_over.store(true, Ordering::Release);
    }

    fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Acquire)
    }

    /// Connections and their bounds, for the metrics.
    pub(crate) fn counts(&self) -> AdmissionCounts {
        self.admission.counts()
    }

    /// Serves `listener` until shutdown is signaled and every connection has ended. On the signal the listener and the
    /// idle connections close at once; running requests finish. Dropping the future ends them where they are.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut connections = JoinSet::new();
        let mut pause = ACCEPT_PAUSE_FIRST;
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut shutdown) => break,
                Some(ended) = connections.join_next() => report(ended),
                accepted = listener.accept() => match accepted {
                    Ok((stream, client)) => {
                        pause = ACCEPT_PAUSE_FIRST;
                        let Some(seat) = self.seat(&mut shutdown).await else {
                            if self.is_handed_over() {
                                let front = Arc::clone(&self);
                                connections.spawn(front.welcome_late(stream, client, shutdown));
                            }
                            break;
                        };
                        let front = Arc::clone(&self);
                        connections.spawn(front.welcome(stream, client, seat, shutdown.clone()));
                    }
                    Err(error) if is_clients_fault(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections, trying again");
                        self.crowded.notify_one();
                        sleep(pause).await;
                        pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
                    }
                },
            }
        }
        drop(listener);
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    }

    /// A place for one more connection; when there is none an idle one makes room. `None` on shutdown.
    async fn seat(&self, shutdown: &mut watch::Receiver<bool>) -> Option<Seat> {
        if let Some(seat) = self.admission.try_sit() {
            return Some(seat);
        }
        tracing::debug!("as many connections as allowed, one must end before the next");
        self.crowded.notify_one();
        tokio::select! {
            seat = self.admission.sit() => Some(seat),
            () = stopped(shutdown) => None,
        }
    }

    /// Serves one connection that was accepted just before another process took over: it waits for its place by itself,
    /// so that the listener can close.
    async fn welcome_late(
        self: Arc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        shutdown: watch::Receiver<bool>,
    ) {
        let seat = self.admission.sit().await;
        self.welcome(stream, client, seat, shutdown).await;
    }

    /// Serves one connection, or says that its client has enough.
    async fn welcome(
        self: Arc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        seat: Seat,
        shutdown: watch::Receiver<bool>,
    ) {
        let live = self.live();
        let conn = Box::new(Conn::new(stream, client, live.settings.send_timeout));
        match self.admission.admit(client) {
            Some(_client_seat) => conversation::converse(&self, conn, shutdown).await,
            None => {
                let refusal = Refusal::new(429, "too many connections from one client");
                live.handler
                    .rejected(client, refusal.status, refusal.reason, b"");
                conversation::refuse(&self, &live, conn, refusal, None).await;
            }
        }
        drop(seat);
    }
}

/// Returns when shutdown is signaled, or nobody is left who could.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the process's wish to go on.
    drop(
        shutdown
            .wait_for(|is_shutting_down| *is_shutting_down)
            .await,
    );
}

/// Whether an accept failed for a reason that is gone with the connection (accept(2)).
fn is_clients_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
    )
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended by a bug");
    }
}

#[cfg(test)]
mod tests;
