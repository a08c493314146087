//! Which HTTP/2 connections are there, and to where.
//!
//! Invariants: a connection is shared only between requests of the same scheme, host, port and address; at most
//! `sessions_max` are kept, others serve the request they were opened for; a connection that has failed somebody is not
//! given to anybody else.

use super::STREAMS_MAX;
use super::session::{Lease, Session};
use h2::Error;
use pingora::protocols::Stream;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Scheme, host, port and address of an upstream, as one number: the key that Pingora's pool has for it as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::upstream) struct Place(pub(in crate::upstream) u64);

/// The connections that are kept.
pub(in crate::upstream) struct Sessions {
    kept: Mutex<Kept>,
    sessions_max: usize,
    keepalive: Duration,
    head_bytes_max: usize,
    /// One for each stream that may be open, everywhere.
    permits: Arc<Semaphore>,
}

#[derive(Default)]
struct Kept {
    by_place: HashMap<Place, Vec<Arc<Session>>>,
    count: usize,
}

impl Sessions {
    /// None yet.
    pub(in crate::upstream) fn new(
        sessions_max: usize,
        keepalive: Duration,
        head_bytes_max: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            kept: Mutex::default(),
            sessions_max: if keepalive.is_zero() { 0 } else { sessions_max },
            keepalive,
            head_bytes_max,
            permits: Arc::new(Semaphore::new(STREAMS_MAX)),
        })
    }

    /// The right to one more stream; `None` when all windows are given away.
    pub(in crate::upstream) fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// A stream on a kept connection to `place`; the permit comes back where there is none.
    ///
    /// # Errors
    /// The permit.
    pub(in crate::upstream) fn lease(
        &self,
        place: Place,
        mut permit: OwnedSemaphorePermit,
    ) -> Result<Lease, OwnedSemaphorePermit> {
        let mut kept = self.lock();
        kept.retain(place, Session::is_open);
        for session in kept.by_place.get(&place).into_iter().flatten() {
            match session.lease(permit) {
                Ok(lease) => return Ok(lease),
                Err(unused) => permit = unused,
            }
        }
        Err(permit)
    }

    /// Makes a session of a new connection, keeps it for others, and leases its first stream.
    ///
    /// # Errors
    /// Of the connection.
    pub(in crate::upstream) async fn open(
        self: &Arc<Self>,
        place: Place,
        stream: Stream,
        address: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> Result<Lease, Error> {
        let home = (Arc::downgrade(self), place);
        let session =
            Session::start(stream, address, self.head_bytes_max, self.keepalive, home).await?;
        let lease = session
            .lease(permit)
            .map_err(|_permit| Error::from(h2::Reason::REFUSED_STREAM))?;
        let mut kept = self.lock();
        if kept.count < self.sessions_max {
            kept.by_place.entry(place).or_default().push(session);
            kept.count += 1;
        }
        Ok(lease)
    }

    /// Gives `session` to nobody any more; streams on it go on.
    pub(super) fn forget(&self, place: Place, session: &Session) {
        self.lock()
            .retain(place, |kept| !std::ptr::eq(kept, session));
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn retain(&mut self, place: Place, stays: impl Fn(&Session) -> bool) {
        let Some(sessions) = self.by_place.get_mut(&place) else {
            return;
        };
        let before = sessions.len();
        sessions.retain(|session| stays(session));
        self.count -= before - sessions.len();
        if sessions.is_empty() {
            self.by_place.remove(&place);
        }
    }
}
