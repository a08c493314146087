//! One fetch for many: joining a running flight, or leading a new one.

use super::failure::Failure;
use super::fill::{Fill, Led, Wanted};
use super::flight::{Entered, Flight, Listing, Phase};
use super::growing::{FlightReader, Growing};
use super::lookup::{Found, StaleObject, decide};
use super::{Answer, Engine, FetchRequest};
use crate::allowance::Taken;
use crate::store::Object;
use http::header;
use std::sync::Arc;
use tokio::sync::oneshot;
use weir_policies::cache_control::RequestDirectives;
use weir_policies::outcome::Outcome;
use weir_policies::reuse::Reuse;
use weir_policies::storability::NotStored;

/// What one round of deciding comes to.
pub(super) enum Again {
    Answered(Answer),
    Decide,
    /// Fetch for this client alone, and say so.
    Alone(Outcome),
}

impl Engine {
    pub(super) async fn share(
        self: &Arc<Self>,
        request: &FetchRequest,
        stale: Option<StaleObject>,
    ) -> Again {
        if let Some(failure) = self.hold_down.failure(request) {
            self.stats.held_down.add(1);
            return Again::Answered(answer_failure(failure, stale));
        }
        if !request.plan.effect.verify.is_empty() && request.headers.contains_key(header::RANGE) {
            return self.share_verified(request, stale).await;
        }
        match self.enter(request) {
            Entered::Join(flight) => self.join(request, &flight, stale).await,
            Entered::Lead(listing) => self.lead(request, listing).await,
            Entered::Full => {
                self.stats.bound_flights.add(1);
                Again::Alone(Outcome::Bypass)
            }
        }
    }

    /// A range of bytes whose digest is expected waits for all of them: before that nobody knows whether it is right.
    async fn share_verified(
        self: &Arc<Self>,
        request: &FetchRequest,
        stale: Option<StaleObject>,
    ) -> Again {
        let flight = match self.enter(request) {
            Entered::Join(flight) => flight,
            Entered::Lead(listing) => {
                let flight = Arc::clone(&listing.flight);
                let (leader, _) = oneshot::channel();
                let wanted = Wanted::ByItself(leader);
                if !self.launch(request, listing, stale.clone(), wanted) {
                    return Again::Alone(Outcome::Bypass);
                }
                flight
            }
            Entered::Full => return Again::Alone(Outcome::Bypass),
        };
        match flight.ended().await {
            Phase::Failed(failure) if failure.concerns(&request.plan) => {
                Again::Answered(answer_failure(failure, stale))
            }
            Phase::Unshared(outcome) => Again::Alone(outcome),
            _ => Again::Decide,
        }
    }

    pub(super) fn enter(&self, request: &FetchRequest) -> Entered {
        self.flights.enter(request.key, request.about(), |growing| {
            self.fits(request, growing)
        })
    }

    pub(super) async fn join(
        &self,
        request: &FetchRequest,
        flight: &Flight,
        stale: Option<StaleObject>,
    ) -> Again {
        let growing = match flight.settled().await {
            Phase::Body(growing) => growing,
            Phase::Validated(object, outcome) => {
                return self.take_validated(request, object, outcome);
            }
            // Behind a redirect something else may have failed than what this request wants.
            Phase::Failed(failure)
                if !failure.concerns(&request.plan) || flight.follows != request.plan.follows =>
            {
                return Again::Decide;
            }
            Phase::Failed(failure) => {
                let stale = stale.filter(|_| !flight.has_disowned());
                return Again::Answered(answer_failure(failure, stale));
            }
            Phase::Unshared(outcome) => return Again::Alone(outcome),
            Phase::Over | Phase::Waiting | Phase::Committing => return Again::Decide,
        };
        match self.decide_growing(request, &growing) {
            Reuse::Mismatch => return Again::Decide,
            // Leading the next flight would make the crowd queue up for one stale response after the other.
            Reuse::Stale { .. } => return Again::Alone(Outcome::Uncached(NotStored::NoFreshness)),
            Reuse::Fresh { .. } => {}
        }
        if self.is_far_ahead(request, &growing).await {
            self.stats.far_ranges.add(1);
            return Again::Alone(Outcome::Bypass);
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

    /// The origin vouched for `object` while this request waited: that is the validation it asked for, also where the
    /// object is stale again at once (`no-cache`).
    fn take_validated(
        &self,
        request: &FetchRequest,
        object: Arc<Object>,
        outcome: Outcome,
    ) -> Again {
        let head = object.head();
        let is_other = matches!(
            decide(request, head, &request.plan.directives, self.now()),
            Reuse::Mismatch
        );
        if is_other || !request.accepts(head) {
            return Again::Decide;
        }
        self.stats.joined.add(1);
        Again::Answered(self.measure(request, object).answer(outcome))
    }

    async fn lead(self: &Arc<Self>, request: &FetchRequest, listing: Listing) -> Again {
        // A flight may have committed between our look-up and our entering.
        let stale = match self.look_up(request).await {
            Found::Fresh(usable) => return Again::Answered(usable.answer(Outcome::Hit)),
            Found::Stale(stale) => Some(stale),
            Found::Nothing => None,
        };
        let Some(answer) = self.start(request, listing, stale).await else {
            return Again::Decide;
        };
        let growing = match &answer {
            Answer::Growing { reader, .. } => Some(Arc::clone(reader.growing())),
            _ => None,
        };
        if let Some(growing) = growing
            && self.is_far_ahead(request, &growing).await
        {
            self.stats.far_ranges.add(1);
            return Again::Alone(Outcome::Bypass);
        }
        Again::Answered(answer)
    }

    /// Runs a fill and waits for what its leader gets; `None` when the fill died.
    pub(super) async fn start(
        self: &Arc<Self>,
        request: &FetchRequest,
        listing: Listing,
        stale: Option<StaleObject>,
    ) -> Option<Answer> {
        let (leader, led) = oneshot::channel();
        let flight = Arc::clone(&listing.flight);
        if !self.launch(request, listing, stale.clone(), Wanted::ByReaders(leader)) {
            return None;
        }
        Some(match led.await.ok()? {
            Led::Reader(reader) => Answer::Growing {
                reader,
                outcome: if stale.is_some() {
                    Outcome::Stale
                } else {
                    Outcome::Miss
                },
            },
            Led::Stored(object, outcome) => self.measure(request, object).answer(outcome),
            Led::Private(response, outcome, exchange) => Answer::Private {
                response: Box::new(response),
                outcome,
                exchange,
            },
            Led::Failed(failure) => {
                answer_failure(failure, stale.filter(|_| !flight.has_disowned()))
            }
        })
    }

    /// Spawns a fill; `false` when no more can be spawned.
    pub(super) fn launch(
        self: &Arc<Self>,
        request: &FetchRequest,
        listing: Listing,
        stale: Option<StaleObject>,
        wanted: Wanted,
    ) -> bool {
        let fill = Fill::new(Arc::clone(self), request.clone(), listing, stale, wanted);
        // Refused (too many, shutting down): the fill is dropped, and with it the sender to its leader.
        self.tasks.spawn("fill", fill.run()).is_ok()
    }

    /// Revalidates behind the client's back, unless a flight or a recent failure says that this is being done.
    pub(super) fn revalidate_behind(self: &Arc<Self>, request: &FetchRequest, stale: &StaleObject) {
        if self.hold_down.failure(request).is_some() {
            return;
        }
        if let Entered::Lead(listing) = self.enter(request) {
            let (leader, _) = oneshot::channel();
            let wanted = Wanted::ByItself(leader);
            self.launch(request, listing, Some(stale.clone()), wanted);
        }
    }

    /// Whether an arriving response answers `request`: the decision for a stored one, except that bytes on their way
    /// from the origin satisfy a request that asked for validation.
    fn decide_growing(&self, request: &FetchRequest, growing: &Growing) -> Reuse {
        if !request.accepts(growing.head()) {
            return Reuse::Mismatch;
        }
        let directives = RequestDirectives {
            no_cache: false,
            max_age: None,
            ..request.plan.directives.clone()
        };
        decide(request, growing.head(), &directives, self.now())
    }

    fn fits(&self, request: &FetchRequest, growing: &Growing) -> bool {
        growing.is_whole() && matches!(self.decide_growing(request, growing), Reuse::Fresh { .. })
    }

    /// A place among the readers of all fills; counts when there is none.
    pub(super) fn seat(&self) -> Option<Taken> {
        let seat = self.seats.try_take(1);
        if seat.is_none() {
            self.stats.bound_readers.add(1);
        }
        seat
    }
}

/// The failure itself, or the stale object that may stand in for it.
pub(super) fn answer_failure(failure: Arc<Failure>, stale: Option<StaleObject>) -> Answer {
    match stale {
        Some(stale) if stale.may.on_error && failure.is_of_the_origin() => {
            stale.usable.answer(Outcome::StaleIfError)
        }
        _ => Answer::Failed(failure),
    }
}
