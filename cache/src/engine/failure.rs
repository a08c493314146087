//! Failures that answer a crowd: everybody who waits at that moment, and for a short hold-down everybody who asks
//! again, gets the one answer that the upstream gave. A sick origin is not stampeded.

use super::FetchRequest;
use crate::ports::{Clock, OriginError};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::key::CacheKey;
use weir_policies::storability::NotStored;
use weir_policies::verdict::Plan;

/// Failures that are held down at once, at most, bytes; beyond that the oldest are asked for again.
const HELD_BYTES_MAX: u64 = 16 << 20;
/// What one of them takes besides its body, bytes.
const HELD_BYTES_EACH: usize = 1024;

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
    /// The upstream says that there is no such thing.
    fn is_absence(&self) -> bool {
        let Self::Status(answer) = self else {
            return false;
        };
        matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::GONE)
    }

    /// Memory that it takes, bytes.
    fn bytes(&self) -> u32 {
        let body = match self {
            Self::Status(StatusAnswer {
                body: Some(body), ..
            }) => body.len(),
            Self::Status(_) | Self::Origin(_) => 0,
        };
        u32::try_from(body + HELD_BYTES_EACH).unwrap_or(u32::MAX)
    }

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

/// Failures of the last moments, by URL and by whether redirects were followed.
#[derive(Debug)]
pub(crate) struct HoldDown {
    held: Cache<(CacheKey, bool), Held>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Clone)]
struct Held {
    /// Until when it answers everybody.
    until: Duration,
    /// Until when it answers those who do not insist.
    negative_until: Duration,
    failure: Arc<Failure>,
}

impl HoldDown {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            held: Cache::builder()
                .max_capacity(HELD_BYTES_MAX)
                .weigher(|_, held: &Held| held.failure.bytes())
                .build(),
            clock,
        }
    }

    /// `hold`: how long it answers those who ask again; `negative_ttl`: how long a rule lets a 404 or 410 answer.
    pub(crate) fn remember(
        &self,
        request: &FetchRequest,
        failure: Arc<Failure>,
        (hold, negative_ttl): (Duration, Duration),
    ) {
        let now = self.clock.elapsed();
        let negative_ttl = negative_ttl.max(hold);
        let negative = if failure.is_absence() {
            negative_ttl
        } else {
            hold
        };
        if !negative.is_zero() {
            let held = Held {
                until: now + hold,
                negative_until: now + negative,
                failure,
            };
            self.held.insert((request.key, request.plan.follows), held);
        }
    }

    /// A request that changed something: what was absent a moment ago may be there now.
    pub(crate) fn forget(&self, key: &CacheKey) {
        for follows in [false, true] {
            self.held.invalidate(&(*key, follows));
        }
    }

    /// The failure that answers a request.
    pub(crate) fn failure(&self, request: &FetchRequest) -> Option<Arc<Failure>> {
        let key = (request.key, request.plan.follows);
        let held = self.held.get(&key)?;
        let now = self.clock.elapsed();
        if now >= held.negative_until {
            self.held.invalidate(&key);
            return None;
        }
        let directives = &request.plan.directives;
        let insists = directives.no_cache || directives.max_age == Some(0);
        let answers = now < held.until || !insists;
        (answers && held.failure.concerns(&request.plan)).then_some(held.failure)
    }
}
