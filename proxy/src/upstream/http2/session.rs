//! One connection: the task that drives it, and the leases of the streams on it.
//!
//! The connection lives as long as somebody can ask on it (the pool) or still reads from it (a lease); then h2 says
//! GOAWAY and closes. The task holds neither, so nothing has to stop it.

use super::pool::{Place, Sessions};
use super::{STREAMS_PER_CONNECTION_MAX, settings};
use bytes::Bytes;
use futures::FutureExt;
use h2::client::{Connection, SendRequest};
use pingora::protocols::Stream;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// A connection that takes requests.
pub(super) struct Session {
    sender: SendRequest<Bytes>,
    address: SocketAddr,
    /// Streams that are leased.
    streams: watch::Sender<usize>,
    /// Where it may be kept.
    home: (Weak<Sessions>, Place),
}

impl Session {
    /// Greets the upstream and lets the connection run by itself.
    ///
    /// `keepalive` without a stream, and the session leaves `sessions`.
    ///
    /// # Errors
    /// Of the connection.
    pub(super) async fn start(
        stream: Stream,
        address: SocketAddr,
        head_bytes_max: usize,
        keepalive: Duration,
        home: (Weak<Sessions>, Place),
    ) -> Result<Arc<Self>, h2::Error> {
        let (sender, connection) = settings(head_bytes_max).handshake(stream).await?;
        let streams = watch::Sender::new(0);
        let idle = idle(streams.subscribe(), keepalive);
        let session = Arc::new(Self {
            sender,
            address,
            streams,
            home,
        });
        tokio::spawn(drive(connection, idle, Arc::downgrade(&session)));
        Ok(session)
    }

    /// A place for one more stream.
    ///
    /// # Errors
    /// The permit, when there is none.
    pub(super) fn lease(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Lease, OwnedSemaphorePermit> {
        let most = STREAMS_PER_CONNECTION_MAX.min(self.sender.current_max_send_streams());
        let taken = self.streams.send_if_modified(|streams| {
            let has_room = *streams < most;
            *streams += usize::from(has_room);
            has_room
        });
        match taken {
            true => Ok(Lease {
                session: Arc::clone(self),
                _permit: permit,
            }),
            false => Err(permit),
        }
    }

    /// Whether the upstream still takes requests, as far as is known here: it may have said GOAWAY.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.sender.clone().ready().now_or_never(), Some(Ok(_)))
    }

    /// Gives it to nobody any more; streams on it go on.
    fn retire(&self) {
        let (sessions, place) = &self.home;
        if let Some(sessions) = sessions.upgrade() {
            sessions.forget(*place, self);
        }
    }
}

/// The right to have one stream open on a session; ends with the value.
pub(in crate::upstream) struct Lease {
    session: Arc<Session>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Who is at the other end.
    pub(in crate::upstream) fn address(&self) -> SocketAddr {
        self.session.address
    }

    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.session.sender.clone()
    }

    /// The connection has failed its request: nobody else is to try it.
    pub(in crate::upstream) fn retire(&self) {
        self.session.retire();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.session.streams.send_modify(|streams| *streams -= 1);
    }
}

/// Moves the connection's frames until it has ended.
async fn drive(
    connection: Connection<Stream, Bytes>,
    idle: impl Future<Output = ()>,
    session: Weak<Session>,
) {
    let forget = || {
        if let Some(session) = session.upgrade() {
            session.retire();
        }
    };
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = idle => {
            // The last handle goes with it, and so does the connection, once a stream leased meanwhile has ended.
            forget();
            connection.await
        }
    };
    forget();
    if let Err(error) = ended {
        tracing::debug!(%error, "HTTP/2 connection to an upstream ended");
    }
}

/// Returns when there was no stream for `keepalive`, or the session is gone.
async fn idle(mut streams: watch::Receiver<usize>, keepalive: Duration) {
    while streams.wait_for(|streams| *streams == 0).await.is_ok() {
        let busy = streams.wait_for(|streams| *streams > 0);
        if tokio::time::timeout(keepalive, busy).await.is_err() {
            return;
        }
    }
}
