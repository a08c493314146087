//! Failures that answer a crowd: everybody who waits at that moment, and for a short hold-down everybody who asks
//! again, gets the one answer that the upstream gave. A sick origin is not stampeded.

use crate::ports::{Clock, OriginError};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::key::CacheKey;
use weir_policies::storability::NotStored;

/// Keys that are held down at once, at most; beyond that the oldest is asked for again.
const HELD_MAX: u64 = 10_000;

/// One failed fetch, as everybody who waited is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No usable answer.
    Origin(OriginError),
    /// The upstream answered with an error status.
    Status(StatusAnswer),
}

/// An error answer of an upstream, small enough to be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its storable fields; empty when they were not for sharing.
    pub headers: HeaderMap,
    /// Its body; `None` when it was not for sharing, too long or cut short.
    pub body: Option<Bytes>,
    /// Why it is not stored as any other response.
    pub reason: NotStored,
}

/// The statuses that answer everybody who waits.
pub(crate) fn answers_everybody(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::TOO_MANY_REQUESTS
    ) || status.is_server_error()
}

/// Failures of the last moments, by key.
#[derive(Debug)]
pub(crate) struct HoldDown {
    held: Cache<CacheKey, (Duration, Arc<Failure>)>,
    hold: Duration,
    clock: Arc<dyn Clock>,
}

impl HoldDown {
    pub(crate) fn new(hold: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            held: Cache::new(HELD_MAX),
            hold,
            clock,
        }
    }

    pub(crate) fn remember(&self, key: CacheKey, failure: Arc<Failure>) {
        if !self.hold.is_zero() {
            self.held
                .insert(key, (self.clock.elapsed() + self.hold, failure));
        }
    }

    pub(crate) fn failure(&self, key: &CacheKey) -> Option<Arc<Failure>> {
        let (until, failure) = self.held.get(key)?;
        if self.clock.elapsed() < until {
            return Some(failure);
        }
        self.held.invalidate(key);
        None
    }
}
