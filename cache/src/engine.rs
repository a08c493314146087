//! Who may read what is stored, and who must fetch.
//!
//! One request takes one way through [`Engine::fetch`]:
//!
//! ```text
//! look up ─ fresh ───────────────────────────────────────────► Answer::Stored
//!    │ stale or absent
//!    ├─ the data is given away ───────────────────────────────► Answer::Private
//!    ├─ for one client only (credentials, no-store, a rule) ──► Answer::Private, or an unlisted flight
//!    ├─ held down ────────────────────────────────────────────► Answer::Failed
//!    ├─ a flight runs ─ wait for its head ─ fits ─────────────► Answer::Growing
//!    │                                     └ does not ─ decide again
//!    └─ start a flight, become its first reader ──────────────► Answer::Growing | Private | Failed
//! ```
//!
//! Invariants: one upstream fetch per key however many ask; a flight is in the table until its object is in the
//! index, and the leader looks at the index once more after entering, so that no fetch slips in between.
//!
//! It does not know how requests arrive or responses leave.

mod ahead;
mod alone;
mod budget;
mod conflict;
mod ensure;
mod failure;
mod fill;
mod flight;
mod growing;
mod guarded;
mod handover;
mod holdings;
mod import;
mod invalidate;
mod last;
mod lookup;
mod origins;
mod parts;
mod purge;
mod reporting;
mod request;
mod settings;
mod share;
mod slot;
mod sources;
mod stats;
mod survey;
mod tail;
mod unfit;
mod warm;

pub use conflict::{Accepted, Conflict, ConflictError, same_bytes};
pub use ensure::{Arrived, Ensured, Lack, Onlooker, Way};
pub use failure::{Failure, StatusAnswer};
pub use growing::{FillEnd, FlightReader, ReadError};
pub use holdings::{CONFLICT_NAMESPACE, Entry, Holdings};
pub use import::{
    Algorithms, BodyDigests, FoundDigests, Import, ImportError, ImportOrder, Known, OnOther,
    from_hex, hex,
};
pub use last::{Fate, LastResponse};
pub use parts::Assembly;
pub use purge::{Pinning, PurgeError, Purged, WouldPurge};
pub use request::FetchRequest;
pub use settings::{EngineSettings, OnAbandon};
pub use stats::EngineStats;
pub use survey::{EntryKind, Inventory, Listed, Page};
pub use warm::{WarmFill, WarmHead, Warmed};

use crate::allowance::Allowance;
use crate::events::Events;
use crate::metrics::Counter;
use crate::ports::{Clock, Origin, OriginError, OriginResponse};
use crate::store::{Object, Store};
use crate::tasks::TaskSet;
use arc_swap::ArcSwap;
use budget::MemoryBudget;
use failure::HoldDown;
use flight::Flights;
use http::Method;
use last::LastResponses;
use lookup::{Found, StaleObject};
use moka::sync::Cache;
use origins::Origins;
use share::Again;
use slot::StoreSlot;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::freshness::Exchange;
use weir_policies::key::CacheKey;
use weir_policies::outcome::Outcome;
use weir_policies::storability::NotStored;

/// Rejected conflicts that are remembered at once; a forgotten one is reported again.
const REJECTED_MAX: u64 = 10_000;
/// How long an origin is not asked about bytes that an operator has rejected.
const REJECTED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How often a request may find that what it waited for is not for it, before it goes alone.
const ROUNDS_MAX: usize = 4;

/// What answers a request.
#[derive(Debug)]
pub enum Answer {
    /// A stored object.
    Stored {
        /// The object.
        object: Arc<Object>,
        /// Its age, seconds.
        age: u64,
        /// Seconds of freshness left.
        ttl: i64,
        /// Hit, Revalidated, StaleWhileRevalidate or StaleIfError.
        outcome: Outcome,
    },
    /// An object that is being fetched.
    Growing {
        /// Reads it as it grows.
        reader: FlightReader,
        /// Miss, Stale or Joined.
        outcome: Outcome,
    },
    /// A range of stored parts.
    Parts {
        /// The parts.
        assembly: Box<Assembly>,
        /// Age of the oldest one, seconds.
        age: u64,
        /// Seconds of freshness left.
        ttl: i64,
    },
    /// A response for this client alone.
    Private {
        /// The response.
        response: Box<OriginResponse>,
        /// Uncached or Bypass.
        outcome: Outcome,
        /// When it was fetched.
        exchange: Exchange,
    },
    /// The upstream failed; everybody who waited is told the same.
    Failed(Arc<Failure>),
    /// only-if-cached, and nothing usable is cached (RFC 9111 §5.2.1.7).
    NotCached,
}

/// The engine.
pub struct Engine {
    store: StoreSlot,
    origin: Arc<dyn Origin>,
    clock: Arc<dyn Clock>,
    settings: ArcSwap<EngineSettings>,
    flights: Arc<Flights>,
    memory: MemoryBudget,
    seats: Arc<Allowance>,
    hold_down: HoldDown,
    origins: Origins,
    /// Conflicts that an operator has rejected lately.
    rejected: Cache<CacheKey, ()>,
    last_responses: LastResponses,
    tasks: TaskSet,
    stats: EngineStats,
    /// What an operator wants to be told of; its store's as well.
    events: Events,
}

impl Engine {
    /// An engine over a store and an origin.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        origin: Arc<dyn Origin>,
        clock: Arc<dyn Clock>,
        settings: EngineSettings,
    ) -> Arc<Self> {
        let events = store.events().clone();
        Self::over(StoreSlot::holding(store), origin, clock, settings, events)
    }

    /// An engine whose store is still another process's: nothing is found or kept until [`Self::install`].
    #[must_use]
    pub fn awaiting_store(
        origin: Arc<dyn Origin>,
        clock: Arc<dyn Clock>,
        settings: EngineSettings,
        events: Events,
    ) -> Arc<Self> {
        Self::over(StoreSlot::default(), origin, clock, settings, events)
    }

    fn over(
        store: StoreSlot,
        origin: Arc<dyn Origin>,
        clock: Arc<dyn Clock>,
        settings: EngineSettings,
        events: Events,
    ) -> Arc<Self> {
        Arc::new(Self {
            events,
            flights: Flights::new(settings.flights_max),
            memory: MemoryBudget::new(settings.memory_bytes),
            seats: Allowance::new(settings.readers_max as u64),
            hold_down: HoldDown::new(Arc::clone(&clock)),
            origins: Origins::new(Arc::clone(&clock)),
            rejected: Cache::builder()
                .max_capacity(REJECTED_MAX)
                .time_to_live(REJECTED_FOR)
                .build(),
            last_responses: LastResponses::default(),
            tasks: TaskSet::default(),
            stats: EngineStats::default(),
            store,
            origin,
            clock,
            settings: ArcSwap::from_pointee(settings),
        })
    }

    /// Other settings from now on. Running fills keep the times that they began with; where a bound is lower now than
    /// what is taken, nothing is taken away and nobody gets more until enough is back.
    pub fn reconfigure(&self, settings: EngineSettings) {
        self.flights.set_most(settings.flights_max);
        self.memory.resize(settings.memory_bytes);
        self.seats.set_most(settings.readers_max as u64);
        self.settings.store(Arc::new(settings));
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> &EngineStats {
        &self.stats
    }

    /// Requests that were not sent because their origin is left alone for a while.
    #[must_use]
    pub fn origins_suspended(&self) -> &Counter {
        &self.origins.suspended
    }

    /// Retries that were not made because all fetches together had made too many.
    #[must_use]
    pub fn retry_budget_spent(&self) -> &Counter {
        &self.origins.budget_spent
    }

    /// Memory held by running fills, bytes.
    #[must_use]
    pub fn memory_taken_bytes(&self) -> u64 {
        self.memory.taken_bytes()
    }

    /// Answers one request.
    ///
    /// Cancel-safe: a flight that this call started goes on without it.
    pub async fn fetch(self: &Arc<Self>, request: &FetchRequest) -> Answer {
        for _ in 0..ROUNDS_MAX {
            let stale = match self.look_up(request).await {
                Found::Fresh(usable) => return usable.answer(Outcome::Hit),
                Found::Stale(stale) => Some(stale),
                Found::Nothing => None,
            };
            if request.plan.directives.only_if_cached {
                let parts = self.assembled(request).await;
                return parts.unwrap_or(Answer::NotCached);
            }
            let again = if self.owns_data() {
                self.fetch_into_store(request, stale).await
            } else {
                self.fetch_without_data(request, stale).await
            };
            match again {
                Again::Answered(answer) => return answer,
                Again::Decide => {}
                Again::Alone(outcome) => return self.private(request, outcome, None).await,
            }
        }
        // Waited for others too often: every time the response was not for this request.
        self.private(request, Outcome::Bypass, None).await
    }

    async fn fetch_into_store(
        self: &Arc<Self>,
        request: &FetchRequest,
        stale: Option<StaleObject>,
    ) -> Again {
        if let Some(stale) = &stale
            && stale.may.while_revalidating
        {
            self.look_after(request, stale).await;
            let answer = stale.usable.clone().answer(Outcome::StaleWhileRevalidate);
            return Again::Answered(answer);
        }
        if !request.plan.shared {
            return Again::Answered(self.fetch_alone(request, stale).await);
        }
        if request.method == Method::HEAD {
            self.answer_head(request, stale).await
        } else if stale.is_none() && request.wants_part() && !self.flights.has(&request.key) {
            self.part(request).await
        } else {
            self.share(request, stale).await
        }
    }

    /// HEAD: from a running flight's head, else forwarded. It never starts a fill; what it says of a stored object is
    /// noted (RFC 9111 §4.3.5).
    async fn answer_head(&self, request: &FetchRequest, stale: Option<StaleObject>) -> Again {
        if let Some(flight) = self.flights.find(&request.key) {
            match self.join(request, &flight, stale.clone()).await {
                Again::Decide => {}
                settled => return settled,
            }
        }
        let stored = stale.as_ref().map(|stale| Arc::clone(&stale.usable.object));
        let outcome = Outcome::Uncached(NotStored::Method);
        let answer = self.private(request, outcome, stale).await;
        let told = match &answer {
            Answer::Private {
                response, exchange, ..
            } => Some((response.status, response.headers.clone(), *exchange)),
            _ => None,
        };
        if let (Some(object), Some((status, headers, exchange))) = (stored, told) {
            self.freshen(&object, status, &headers, exchange).await;
        }
        Again::Answered(answer)
    }

    /// The tasks of running fills.
    #[must_use]
    pub fn tasks(&self) -> &TaskSet {
        &self.tasks
    }

    /// Waits for running fills until the deadline, then gives them up. From now on misses are streamed uncached.
    pub async fn close(&self, deadline: Duration) {
        let given_up = self.tasks.close(deadline).await;
        if !given_up.is_empty() {
            tracing::warn!(fills = given_up.len(), "fills given up at the deadline");
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("settings", &self.settings.load())
            .finish_non_exhaustive()
    }
}

impl From<OriginError> for Failure {
    fn from(error: OriginError) -> Self {
        Self::Origin(error)
    }
}

#[cfg(test)]
mod tests;
