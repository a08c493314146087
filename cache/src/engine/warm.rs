//! Fills that nobody reads: behind a redirect, and for who asks that something be here.

use super::fill::{Led, Wanted};
use super::flight::{Entered, Flight, Phase};
use super::lookup::{Found, StaleObject};
use super::{Engine, Failure, FetchRequest};
use crate::ports::OriginError;
use crate::store::Object;
use http::StatusCode;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What a request to have something here comes to.
#[derive(Debug)]
pub enum Warmed {
    /// It is here and fresh: the object, its age and its seconds of freshness left.
    Cached(Arc<Object>, u64, i64),
    /// It is on its way.
    Filling(Box<WarmFill>),
    /// It failed a moment ago.
    Failed(Arc<Failure>),
    /// Nothing can be filled for this request: too many fills, it is for one client only, or the data is another
    /// process's.
    Full,
}

/// A fill that nobody reads.
#[derive(Debug)]
pub struct WarmFill {
    engine: Arc<Engine>,
    request: FetchRequest,
    flight: Arc<Flight>,
    /// `None`: somebody else's flight.
    led: Mutex<Option<oneshot::Receiver<Led>>>,
}

/// What the head of a fill says.
#[derive(Debug, Clone)]
pub enum WarmHead {
    /// It is being stored, or is already.
    Storing {
        /// Of the response.
        status: StatusCode,
        /// Of the body, bytes, where known.
        length: Option<u64>,
    },
    /// It cannot be stored.
    NotStored,
    /// It is larger than its rule allows.
    TooLarge {
        /// What the rule allows, bytes.
        limit: u64,
    },
    /// It failed.
    Failed(Arc<Failure>),
}

impl Engine {
    /// Sees to it that the response is in the store; returns when that is under way.
    ///
    /// Two calls for one key start one fill.
    pub async fn warm(self: &Arc<Self>, request: &FetchRequest) -> Warmed {
        let stale = match self.look_up(request).await {
            Found::Fresh(usable) => return Warmed::Cached(usable.object, usable.age, usable.ttl),
            Found::Stale(stale) => Some(stale),
            Found::Nothing => None,
        };
        if let Some(failure) = self.hold_down.failure(request) {
            return Warmed::Failed(failure);
        }
        if !request.plan.shared || !self.owns_data() {
            return Warmed::Full;
        }
        match self.fill_unread(request, stale) {
            Some(fill) => Warmed::Filling(Box::new(fill)),
            None => Warmed::Full,
        }
    }

    /// Joins a fill, or starts one that goes on although nobody reads; `None` when no more can be started.
    pub(super) fn fill_unread(
        self: &Arc<Self>,
        request: &FetchRequest,
        stale: Option<StaleObject>,
    ) -> Option<WarmFill> {
        let (flight, led) = match self.enter(request) {
            Entered::Join(flight) => (flight, None),
            Entered::Lead(listing) => {
                let flight = Arc::clone(&listing.flight);
                let (leader, led) = oneshot::channel();
                if !self.launch(request, listing, stale, Wanted::ByItself(leader)) {
                    return None;
                }
                (flight, Some(led))
            }
            Entered::Full => {
                self.stats.bound_flights.add(1);
                return None;
            }
        };
        Some(WarmFill {
            engine: Arc::clone(self),
            request: request.clone(),
            flight,
            led: Mutex::new(led),
        })
    }

    /// The fresh stored object for a request, without any fetch: with its age and its seconds of freshness left.
    pub async fn peek(&self, request: &FetchRequest) -> Option<(Arc<Object>, u64, i64)> {
        match self.look_up(request).await {
            Found::Fresh(usable) => Some((usable.object, usable.age, usable.ttl)),
            Found::Stale(_) | Found::Nothing => None,
        }
    }
}

impl WarmFill {
    /// The flight, and whether this call has started it.
    pub(super) fn into_flight(self) -> (Arc<Flight>, bool) {
        (self.flight, self.led.into_inner().is_some())
    }

    /// Waits for the head.
    pub async fn head(&self) -> WarmHead {
        let led = self.led.lock().take();
        match led {
            Some(led) => match led.await {
                Ok(Led::Reader(reader)) => WarmHead::Storing {
                    status: reader.head().status,
                    length: reader.length(),
                },
                Ok(Led::Stored(object, _)) => storing(&object),
                Ok(Led::Private(..)) | Err(_) => WarmHead::NotStored,
                Ok(Led::Failed(failure)) => failed(failure),
            },
            None => self.head_of_another().await,
        }
    }

    async fn head_of_another(&self) -> WarmHead {
        match self.flight.settled().await {
            Phase::Body(growing) => WarmHead::Storing {
                status: growing.head().status,
                length: growing.length(),
            },
            Phase::Validated(object, _) => storing(&object),
            Phase::Failed(failure) => failed(failure),
            Phase::Unshared(_) => WarmHead::NotStored,
            // Too late to see its head: what it left in the store says the same.
            Phase::Over | Phase::Waiting | Phase::Committing => {
                let stored = self.engine.peek(&self.request).await;
                stored.map_or(WarmHead::NotStored, |(object, _, _)| storing(&object))
            }
        }
    }
}

fn storing(object: &Object) -> WarmHead {
    WarmHead::Storing {
        status: object.head().status,
        length: Some(object.length()),
    }
}

fn failed(failure: Arc<Failure>) -> WarmHead {
    match *failure {
        Failure::Origin(OriginError::TooLarge(_, limit)) => WarmHead::TooLarge { limit },
        _ => WarmHead::Failed(failure),
    }
}
