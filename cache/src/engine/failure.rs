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
use weir_policies::verdict::Plan;

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

impl Failure {
    /// Whether the origin failed, so that a stale response may stand in (RFC 5861 §4); an answer such as 404 is none.
    #[must_use]
    pub fn is_of_the_origin(&self) -> bool {
        match self {
            Self::Origin(error) => !matches!(
                error,
                OriginError::Refused { .. } | OriginError::Scheme(_) | OriginError::TooLarge(..)
            ),
            Self::Status(answer) => is_stale_worthy(answer.status),
        }
    }
}

impl Failure {
    /// Whether it is an answer for whoever has this plan: a limit of one rule is none of another's.
    #[must_use]
    pub fn concerns(&self, plan: &Plan) -> bool {
        match self {
            Self::Origin(OriginError::TooLarge(_, limit)) => {
                plan.effect.size_max.is_some_and(|own| own <= *limit)
            }
            Self::Origin(_) | Self::Status(_) => true,
        }
    }
}

/// RFC 5861 §4: 500, 502, 503, 504.
pub(crate) fn is_stale_worthy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502..=504)
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

    /// `negative_ttl`: how long a rule lets a 404 or 410 answer.
    pub(crate) fn remember(&self, key: CacheKey, failure: Arc<Failure>, negative_ttl: Duration) {
        let is_absent = matches!(&*failure, Failure::Status(answer)
            if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::GONE));
        let hold = if is_absent {
            self.hold.max(negative_ttl)
        } else {
            self.hold
        };
        if !hold.is_zero() {
            self.held
                .insert(key, (self.clock.elapsed() + hold, failure));
        }
    }

    /// A request that changed something: what was absent a moment ago may be there now.
    pub(crate) fn forget(&self, key: &CacheKey) {
        self.held.invalidate(key);
    }

    /// The failure that answers a request with this plan.
    pub(crate) fn failure(&self, key: &CacheKey, plan: &Plan) -> Option<Arc<Failure>> {
        let (until, failure) = self.held.get(key)?;
        if self.clock.elapsed() < until {
            return failure.concerns(plan).then_some(failure);
        }
        self.held.invalidate(key);
        None
    }
}
