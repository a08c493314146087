//! Who may read what is stored, and who must fetch.
//!
//! One request takes one way through [`Engine::fetch`]:
//!
//! ```text
//! look up ─ fresh ───────────────────────────────────────────► Answer::Stored
//!    │ stale or absent
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

mod ask;
mod budget;
mod failure;
mod fill;
mod flight;
mod growing;
mod settings;
mod stats;
mod tail;
mod warm;

pub use failure::{Failure, StatusAnswer};
pub use growing::{FillEnd, FlightReader, ReadError};
pub use settings::{EngineSettings, OnAbandon};
pub use stats::EngineStats;
pub use warm::{WarmFill, WarmHead, Warmed};

use crate::object::ObjectHead;
use crate::ports::{Clock, Origin, OriginError, OriginResponse};
use crate::store::{Object, Store};
use crate::tasks::TaskSet;
use budget::MemoryBudget;
use failure::HoldDown;
use fill::{Fill, Led};
use flight::{Entered, Flight, Flights, Listing, Phase};
use growing::Growing;
use http::{HeaderMap, Method};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use weir_policies::cache_control::{RequestDirectives, ResponseDirectives};
use weir_policies::freshness::Exchange;
use weir_policies::hop;
use weir_policies::key::CacheKey;
use weir_policies::outcome::Outcome;
use weir_policies::reuse::{self, Reuse, Stored};
use weir_policies::storability::NotStored;
use weir_policies::target::Resource;
use weir_policies::time::UnixSeconds;
use weir_policies::verdict::Plan;

/// How often a request may find that what it waited for is not for it, before it goes alone.
const ROUNDS_MAX: usize = 4;

/// One GET or HEAD, understood and judged.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// Its identity.
    pub key: CacheKey,
    /// What, and where to get it.
    pub resource: Resource,
    /// GET or HEAD.
    pub method: Method,
    /// The client's fields, as received.
    pub headers: HeaderMap,
    /// The verdict.
    pub plan: Plan,
}

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
    },
    /// An object that is being fetched.
    Growing {
        /// Reads it as it grows.
        reader: FlightReader,
        /// Miss, Stale or Joined.
        outcome: Outcome,
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
    store: Arc<Store>,
    origin: Arc<dyn Origin>,
    clock: Arc<dyn Clock>,
    settings: EngineSettings,
    flights: Arc<Flights>,
    memory: MemoryBudget,
    seats: Arc<Semaphore>,
    hold_down: HoldDown,
    tasks: TaskSet,
    stats: EngineStats,
}

/// What the index holds for a request.
enum Found {
    Fresh {
        object: Arc<Object>,
        age: u64,
        ttl: i64,
    },
    Stale,
    Nothing,
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
        Arc::new(Self {
            flights: Flights::new(settings.flights_max),
            memory: MemoryBudget::new(settings.memory_bytes),
            seats: Arc::new(Semaphore::new(
                settings.readers_max.min(Semaphore::MAX_PERMITS),
            )),
            hold_down: HoldDown::new(settings.hold_down, Arc::clone(&clock)),
            tasks: TaskSet::default(),
            stats: EngineStats::default(),
            store,
            origin,
            clock,
            settings,
        })
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> &EngineStats {
        &self.stats
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
        let mut found_stale = false;
        for _ in 0..ROUNDS_MAX {
            match self.look_up(request).await {
                Found::Fresh { object, age, ttl } => return Answer::Stored { object, age, ttl },
                Found::Stale => found_stale = true,
                Found::Nothing => {}
            }
            if request.plan.directives.only_if_cached {
                return Answer::NotCached;
            }
            if !request.plan.shared {
                return self.fetch_alone(request).await;
            }
            let again = if request.method == Method::HEAD {
                self.answer_head(request).await
            } else {
                self.share(request, found_stale).await
            };
            match again {
                Again::Answered(answer) => return answer,
                Again::Decide => {}
                Again::Alone(outcome) => return self.private(request, outcome).await,
            }
        }
        // Waited for others too often: every time the response was not for this request.
        self.private(request, Outcome::Bypass).await
    }

    /// The stored object for `key` that a request would get, without any fetch.
    async fn look_up(&self, request: &FetchRequest) -> Found {
        let mut stale = false;
        let has_credentials = request.headers.contains_key(http::header::AUTHORIZATION);
        let now = UnixSeconds::from(self.clock.wall());
        for object in self.store.lookup(&request.key).await {
            let head = object.head();
            if has_credentials && !may_answer_credentials(&head.headers) {
                continue;
            }
            match decide(request, head, &request.plan.directives, now) {
                Reuse::Fresh { age, ttl } => return Found::Fresh { object, age, ttl },
                Reuse::Stale { .. } => stale = true,
                Reuse::Mismatch => {}
            }
        }
        if stale { Found::Stale } else { Found::Nothing }
    }

    async fn share(self: &Arc<Self>, request: &FetchRequest, found_stale: bool) -> Again {
        if let Some(failure) = self.hold_down.failure(&request.key) {
            self.stats.held_down.add(1);
            return Again::Answered(Answer::Failed(failure));
        }
        match self
            .flights
            .enter(request.key, |growing| self.fits(request, growing))
        {
            Entered::Join(flight) => self.join(request, &flight).await,
            Entered::Lead(listing) => self.lead(request, listing, found_stale).await,
            Entered::Full => {
                self.stats.bound_flights.add(1);
                Again::Answered(self.private(request, Outcome::Bypass).await)
            }
        }
    }

    async fn join(&self, request: &FetchRequest, flight: &Flight) -> Again {
        let growing = match flight.settled().await {
            Phase::Body(growing) => growing,
            Phase::Failed(failure) => return Again::Answered(Answer::Failed(failure)),
            Phase::Unshared(outcome) => return Again::Alone(outcome),
            Phase::Over | Phase::Waiting | Phase::Committing => return Again::Decide,
        };
        match self.decide_growing(request, &growing) {
            Reuse::Mismatch => return Again::Decide,
            // Leading the next flight would make the crowd queue up for one stale response after the other.
            Reuse::Stale { .. } => return Again::Alone(Outcome::Uncached(NotStored::NoFreshness)),
            Reuse::Fresh { .. } => {}
        }
        let Some(seat) = self.seat() else {
            return Again::Alone(Outcome::Bypass);
        };
        let Some(reader) = FlightReader::join(growing, seat) else {
            return Again::Decide;
        };
        self.stats.joined.add(1);
        Again::Answered(Answer::Growing {
            reader,
            outcome: Outcome::Joined,
        })
    }

    async fn lead(
        self: &Arc<Self>,
        request: &FetchRequest,
        listing: Listing,
        found_stale: bool,
    ) -> Again {
        // A flight may have committed between our look-up and our entering.
        if let Found::Fresh { object, age, ttl } = self.look_up(request).await {
            return Again::Answered(Answer::Stored { object, age, ttl });
        }
        let outcome = if found_stale {
            Outcome::Stale
        } else {
            Outcome::Miss
        };
        let headers = hop::shared_request(&request.headers);
        self.start(request, listing, headers, outcome)
            .await
            .map_or(Again::Decide, Again::Answered)
    }

    /// Runs a fill and waits for what its leader gets; `None` when the fill died.
    async fn start(
        self: &Arc<Self>,
        request: &FetchRequest,
        listing: Listing,
        headers: HeaderMap,
        outcome: Outcome,
    ) -> Option<Answer> {
        let (leader, led) = oneshot::channel();
        let fill = Fill {
            engine: Arc::clone(self),
            request: request.clone(),
            headers,
            listing,
            leader,
        };
        // Refused (too many, shutting down): the fill is dropped, and with it `leader`.
        self.tasks.spawn("fill", fill.run()).ok()?;
        Some(match led.await.ok()? {
            Led::Reader(reader) => Answer::Growing { reader, outcome },
            Led::Private(response, outcome, exchange) => Answer::Private {
                response: Box::new(response),
                outcome,
                exchange,
            },
            Led::Failed(failure) => Answer::Failed(failure),
        })
    }

    /// Whether an arriving response answers `request`: the decision for a stored one, except that bytes on their way
    /// from the origin satisfy a request that asked for validation.
    fn decide_growing(&self, request: &FetchRequest, growing: &Growing) -> Reuse {
        let directives = RequestDirectives {
            no_cache: false,
            max_age: None,
            ..request.plan.directives.clone()
        };
        let now = UnixSeconds::from(self.clock.wall());
        decide(request, growing.head(), &directives, now)
    }

    fn fits(&self, request: &FetchRequest, growing: &Growing) -> bool {
        growing.is_whole() && matches!(self.decide_growing(request, growing), Reuse::Fresh { .. })
    }

    /// HEAD: from a running flight's head, else forwarded. It never starts a fill.
    async fn answer_head(&self, request: &FetchRequest) -> Again {
        if let Some(flight) = self.flights.find(&request.key) {
            match self.join(request, &flight).await {
                Again::Decide => {}
                settled => return settled,
            }
        }
        Again::Answered(
            self.private(request, Outcome::Uncached(NotStored::Method))
                .await,
        )
    }

    /// A request with credentials, or one that must not be stored: its own fetch, stored only where RFC 9111 allows.
    async fn fetch_alone(self: &Arc<Self>, request: &FetchRequest) -> Answer {
        if let Some(reason) = never_storable(request) {
            return self.private(request, Outcome::Uncached(reason)).await;
        }
        let running = self.stats.fills_active.get();
        if running >= self.settings.flights_max as u64 {
            self.stats.bound_flights.add(1);
            return self.private(request, Outcome::Bypass).await;
        }
        let listing = Listing::unlisted(request.key);
        let headers = hop::private_request(&request.headers);
        match self.start(request, listing, headers, Outcome::Miss).await {
            Some(answer) => answer,
            None => self.private(request, Outcome::Bypass).await,
        }
    }

    /// A fetch for this client alone, passed through as it is.
    async fn private(&self, request: &FetchRequest, outcome: Outcome) -> Answer {
        let headers = hop::private_request(&request.headers);
        match self.ask_upstreams(request, &request.method, &headers).await {
            Ok((response, exchange)) => Answer::Private {
                response: Box::new(response),
                outcome,
                exchange,
            },
            Err(error) => Answer::Failed(Arc::new(Failure::Origin(error))),
        }
    }

    /// A place among the readers of all fills; counts when there is none.
    fn seat(&self) -> Option<OwnedSemaphorePermit> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok();
        if seat.is_none() {
            self.stats.bound_readers.add(1);
        }
        seat
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

/// What one round of deciding comes to.
enum Again {
    Answered(Answer),
    Decide,
    /// Fetch for this client alone, and say so.
    Alone(Outcome),
}

fn decide(
    request: &FetchRequest,
    head: &ObjectHead,
    directives: &RequestDirectives,
    now: UnixSeconds,
) -> Reuse {
    let stored = Stored {
        status: head.status,
        headers: &head.headers,
        exchange: head.exchange,
        selection: &head.selection,
        invalidated: head.invalidated,
        immutable: head.immutable,
        lifetime_max: head.lifetime_max,
    };
    reuse::decide(
        &request.headers,
        directives,
        &stored,
        request.plan.adjust,
        now,
    )
}

/// RFC 9111 §3.5: only a response that says so may answer a request with credentials.
fn may_answer_credentials(headers: &HeaderMap) -> bool {
    let directives = ResponseDirectives::of(headers);
    directives.public || directives.must_revalidate || directives.s_maxage.is_some()
}

/// Whether a lone request asks for something that can not become a stored object.
fn never_storable(request: &FetchRequest) -> Option<NotStored> {
    use http::header::{
        IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
    };
    let conditions = [
        RANGE,
        IF_RANGE,
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
    ];
    if request.method != Method::GET {
        Some(NotStored::Method)
    } else if request.plan.directives.no_store {
        Some(NotStored::NoStore)
    } else if request.plan.effect.store == weir_policies::effect::StoreRule::Never {
        Some(NotStored::Rule)
    } else if conditions
        .iter()
        .any(|name| request.headers.contains_key(name))
    {
        Some(NotStored::Status)
    } else {
        None
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("settings", &self.settings)
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
