//! One fetch that many requests may share, and the table of those that run.
//!
//! A flight passes through [`Phase`]s, forward only. Requests that arrive before the head wait for it; when it is
//! there, each runs the same decision as for a stored response, and whoever it does not fit leaves and decides
//! again.
//!
//! Invariants:
//! - at most one flight without a head per key; a second one with a head only runs for another variant.
//! - a flight leaves the table after its object is in the index, and also when its task panics ([`Listing`]).

use super::failure::Failure;
use super::growing::Growing;
use crate::store::Object;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use weir_policies::key::CacheKey;
use weir_policies::outcome::Outcome;

/// How far a flight has come.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    /// No head yet.
    Waiting,
    /// The body is arriving.
    Body(Arc<Growing>),
    /// Everything arrived and is being committed: a hit in a moment.
    Committing,
    /// A stored object answers: the origin said that it still holds, or it stands while a new one is looked at.
    Validated(Arc<Object>, Outcome),
    /// Nothing to share: leave and decide again.
    Over,
    /// The response was for one client only, for this reason: the others go alone.
    Unshared(Outcome),
    /// Answers everybody who waits.
    Failed(Arc<Failure>),
}

/// One running fetch.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) key: CacheKey,
    /// Whether it follows redirects: then its failure may be that of another place.
    pub(crate) follows: bool,
    phase: watch::Sender<Phase>,
    /// An unsafe request succeeded while it ran: what it stores must be asked about before it is used.
    invalidated: AtomicBool,
}

impl Flight {
    pub(crate) fn new(key: CacheKey, follows: bool) -> Arc<Self> {
        Arc::new(Self {
            key,
            follows,
            phase: watch::Sender::new(Phase::Waiting),
            invalidated: AtomicBool::new(false),
        })
    }

    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Waits until the flight has left `Waiting` and `Committing`.
    pub(crate) async fn settled(&self) -> Phase {
        let mut phases = self.phase.subscribe();
        // The sender lives in `self`: waiting cannot fail.
        let settled = phases
            .wait_for(|phase| !matches!(phase, Phase::Waiting | Phase::Committing))
            .await;
        settled.map_or(Phase::Over, |phase| phase.clone())
    }

    pub(crate) fn is_invalidated(&self) -> bool {
        self.invalidated.load(Ordering::Acquire)
    }

    /// Waits until nothing more comes of it.
    pub(crate) async fn ended(&self) -> Phase {
        let mut phases = self.phase.subscribe();
        // The sender lives in `self`: waiting cannot fail.
        let ended = phases
            .wait_for(|phase| !matches!(phase, Phase::Waiting | Phase::Committing | Phase::Body(_)))
            .await;
        ended.map_or(Phase::Over, |phase| phase.clone())
    }

    fn is_waiting(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Waiting | Phase::Committing)
    }
}

/// All running flights by key.
#[derive(Debug)]
pub(crate) struct Flights {
    listed: Mutex<HashMap<CacheKey, Vec<Arc<Flight>>>>,
    flights_max: usize,
}

/// What a request finds in the table.
pub(crate) enum Entered {
    /// A flight it may wait for or read from.
    Join(Arc<Flight>),
    /// A flight of its own, listed until the [`Listing`] is dropped.
    Lead(Listing),
    /// Too many flights run already.
    Full,
}

/// Keeps a flight in the table; dropping it (also by a panic) takes it out and lets waiters decide again.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) flight: Arc<Flight>,
    flights: Option<Arc<Flights>>,
}

impl Flights {
    pub(crate) fn new(flights_max: usize) -> Arc<Self> {
        Arc::new(Self {
            listed: Mutex::default(),
            flights_max,
        })
    }

    /// Joins a flight for `key` that `fits` (asked only once its head is known), or starts one.
    pub(crate) fn enter(
        self: &Arc<Self>,
        key: CacheKey,
        follows: bool,
        fits: impl Fn(&Growing) -> bool,
    ) -> Entered {
        let mut listed = self.listed.lock();
        if let Some(running) = listed.get(&key) {
            let open = |flight: &&Arc<Flight>| match flight.phase() {
                Phase::Body(growing) => fits(&growing),
                Phase::Validated(..) => true,
                _ => flight.is_waiting(),
            };
            if let Some(flight) = running.iter().find(open) {
                return Entered::Join(Arc::clone(flight));
            }
        }
        if listed.len() >= self.flights_max {
            return Entered::Full;
        }
        let flight = Flight::new(key, follows);
        listed.entry(key).or_default().push(Arc::clone(&flight));
        Entered::Lead(Listing {
            flight,
            flights: Some(Arc::clone(self)),
        })
    }

    /// A flight for `key` whose head may answer a HEAD request.
    pub(crate) fn find(&self, key: &CacheKey) -> Option<Arc<Flight>> {
        self.listed
            .lock()
            .get(key)
            .and_then(|running| running.first().cloned())
    }

    /// Whether a fetch for `key` runs.
    pub(crate) fn has(&self, key: &CacheKey) -> bool {
        self.listed.lock().contains_key(key)
    }

    /// Takes all flights of a key out of the table and marks what they bring: it may be older than a change.
    pub(crate) fn invalidate(&self, key: &CacheKey) {
        let running = self.listed.lock().remove(key).unwrap_or_default();
        for flight in running {
            flight.invalidated.store(true, Ordering::Release);
        }
    }

    fn remove(&self, flight: &Arc<Flight>) {
        let mut listed = self.listed.lock();
        if let Some(running) = listed.get_mut(&flight.key) {
            running.retain(|other| !Arc::ptr_eq(other, flight));
            if running.is_empty() {
                listed.remove(&flight.key);
            }
        }
    }
}

impl Listing {
    /// A flight that nobody can join.
    pub(crate) fn unlisted(key: CacheKey) -> Self {
        Self {
            flight: Flight::new(key, false),
            flights: None,
        }
    }

    /// Whether others can find it: then its failure is everybody's.
    pub(crate) fn is_listed(&self) -> bool {
        self.flights.is_some()
    }

    /// Takes the flight out of the table now: whoever asks from here on decides anew.
    pub(crate) fn unlist(&mut self) {
        if let Some(flights) = self.flights.take() {
            flights.remove(&self.flight);
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.unlist();
        if self.flight.is_waiting() {
            self.flight.advance(Phase::Over);
        }
    }
}
