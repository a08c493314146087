//! Ranges of something that is not here: only the part is fetched, kept, and combined with its neighbors
//! (RFC 9111 §3.3, §3.4; RFC 9110 §15.3.7.3).
//!
//! Every part is an object of its own under one key for all parts of a URL; its range stands in its selection, so parts
//! are variants to the store: found together, evicted one by one, capped in number. When they cover the whole
//! representation they are copied into one object and forgotten.
//!
//! Invariants: parts are only combined with parts of the same total and the same strong validator; a part without a
//! strong validator is not kept; nothing is served from parts that no longer are fresh.

mod assembly;
mod combine;

pub use assembly::Assembly;
pub(super) use assembly::part_selection;

use super::fill::{Fill, Led, Wanted};
use super::flight::{Entered, Flight, Listing, Phase};
use super::growing::{FlightReader, ReadError};
use super::holdings::Entry;
use super::lookup::decide;
use super::share::{Again, answer_failure};
use super::{Answer, Engine, FetchRequest};
use crate::object::ObjectHead;
use crate::ports::{Framing, OriginBody, OriginError, OriginResponse};
use crate::store::Object;
use assembly::{Held, Parts, own_selection};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use std::sync::Arc;
use tokio::sync::oneshot;
use weir_policies::conditional::if_range_holds;
use weir_policies::effect::RangeMiss;
use weir_policies::key::CacheKey;
use weir_policies::outcome::Outcome;
use weir_policies::range::{self, ByteRange, ContentRange, Ranges};
use weir_policies::reuse::Reuse;
use weir_policies::revalidation::strong_validator;
use weir_policies::vary::Selection;

/// Stands for the range in the selection of a part; no request field can have this name.
const RANGE_FIELD: &str = ":range";
/// The most of one piece of a part that is handed on at once.
const PIECE_BYTES: usize = 256 * 1024;

impl FetchRequest {
    /// One key for all parts.
    pub(super) fn parts_key(&self) -> CacheKey {
        let entry = if self.plan.follows {
            Entry::Followed
        } else {
            Entry::Plain
        };
        entry.parts_key(&self.resource.target)
    }

    /// Whether only a part is to be fetched for this request.
    pub(super) fn wants_part(&self) -> bool {
        let effect = &self.plan.effect;
        self.method == Method::GET
            && self.plan.shared
            && effect.range_miss == RangeMiss::Part
            && effect.verify.is_empty()
            && single_range(self).is_some()
    }
}

/// The one range that is asked for, as it stands in the request.
fn single_range(request: &FetchRequest) -> Option<HeaderValue> {
    let value = request.headers.get(header::RANGE)?;
    // Resolved against any length, several ranges stay several.
    match range::resolve(&request.headers, u64::MAX) {
        Ranges::Single(_) => Some(value.clone()),
        Ranges::Whole | Ranges::Multi(_) | Ranges::Unsatisfiable => None,
    }
}

impl Engine {
    /// Answers a range from parts, or fetches the part. A running fill of the whole is always better.
    pub(super) async fn part(self: &Arc<Self>, request: &FetchRequest) -> Again {
        if let Some(answer) = self.assembled(request).await {
            return Again::Answered(answer);
        }
        if let Some(failure) = self.hold_down.failure(request) {
            self.stats.held_down.add(1);
            return Again::Answered(answer_failure(failure, None));
        }
        let Some(range) = single_range(request) else {
            return Again::Decide;
        };
        match self.enter_part(request, &range) {
            Entered::Join(flight) => self.join_part(request, &flight).await,
            Entered::Lead(listing) => self.lead_part(request, listing, range).await,
            Entered::Full => {
                self.stats.bound_flights.add(1);
                Again::Alone(Outcome::Bypass)
            }
        }
    }

    /// Equal ranges on equal conditions share one fetch.
    fn enter_part(&self, request: &FetchRequest, range: &HeaderValue) -> Entered {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let condition = request.headers.get(header::IF_RANGE).map(text);
        let namespace = format!("part {} {}", text(range), condition.unwrap_or_default());
        let key = CacheKey::of(&namespace, request.plan.follows, &request.resource.target);
        self.flights.enter(key, request.about(), |growing| {
            growing.is_whole() && self.is_fresh_part(request, growing.head())
        })
    }

    async fn lead_part(
        self: &Arc<Self>,
        request: &FetchRequest,
        listing: Listing,
        range: HeaderValue,
    ) -> Again {
        let (leader, led) = oneshot::channel();
        let wanted = Wanted::ByReaders(leader);
        let mut fill = Fill::new(Arc::clone(self), request.clone(), listing, None, wanted);
        fill.narrow(range);
        if self.tasks.spawn("fill", fill.run()).is_err() {
            return Again::Alone(Outcome::Bypass);
        }
        // The fill found that the origin sends the whole, and somebody is fetching that already.
        let Ok(led) = led.await else {
            return Again::Decide;
        };
        Again::Answered(match led {
            Led::Reader(reader) => part_answer(reader, Outcome::Miss),
            Led::Stored(object, outcome) => self.measure(request, object).answer(outcome),
            Led::Private(response, outcome, exchange) => Answer::Private {
                response: Box::new(response),
                outcome,
                exchange,
            },
            Led::Failed(failure) => Answer::Failed(failure),
        })
    }

    async fn join_part(&self, request: &FetchRequest, flight: &Flight) -> Again {
        match flight.settled().await {
            Phase::Body(growing) if !self.is_fresh_part(request, growing.head()) => Again::Decide,
            Phase::Body(growing) => {
                let Some(seat) = self.seat() else {
                    return Again::Alone(Outcome::Bypass);
                };
                let Some(reader) = FlightReader::join(growing, seat) else {
                    return Again::Decide;
                };
                self.stats.joined.add(1);
                Again::Answered(part_answer(reader, Outcome::Joined))
            }
            Phase::Failed(failure) => Again::Answered(Answer::Failed(failure)),
            Phase::Unshared(outcome) => Again::Alone(outcome),
            Phase::Validated(..) | Phase::Over | Phase::Waiting | Phase::Committing => {
                Again::Decide
            }
        }
    }

    /// The answer from stored parts, if they cover what is wanted.
    pub(super) async fn assembled(&self, request: &FetchRequest) -> Option<Answer> {
        if !request.wants_part() {
            return None;
        }
        let parts = self.parts(request).await?;
        let first = parts.held.first()?.object.head();
        if !if_range_holds(&request.headers, &first.headers) {
            return None;
        }
        let Ranges::Single(wanted) = range::resolve(&request.headers, parts.total) else {
            return None;
        };
        let assembly = parts.assemble(wanted)?;
        let ages = assembly
            .objects()
            .map(|object| object.head().age(self.now()));
        let age = ages.max().unwrap_or(0);
        let ttl = assembly.head.ttl(request.plan.adjust, age);
        Some(Answer::Parts {
            assembly: Box::new(assembly),
            age,
            ttl,
        })
    }

    /// The fresh parts of the newest representation.
    async fn parts(&self, request: &FetchRequest) -> Option<Parts> {
        let mut parts: Option<(HeaderValue, Parts)> = None;
        for object in self.store.lookup(&request.parts_key()).await {
            let Some((range, total, validator)) = frame(&object) else {
                continue;
            };
            if !self.is_fresh_part(request, object.head()) {
                continue;
            }
            let (known, parts) = parts.get_or_insert_with(|| {
                let held = Vec::new();
                (validator.clone(), Parts { total, held })
            });
            if *known == validator && parts.total == total {
                object.touch();
                parts.held.push(Held { object, range });
            }
        }
        parts.map(|(_, parts)| parts)
    }

    fn is_fresh_part(&self, request: &FetchRequest, head: &ObjectHead) -> bool {
        let head = ObjectHead {
            selection: Selection(own_selection(head)),
            status: StatusCode::OK,
            ..head.clone()
        };
        let directives = &request.plan.directives;
        matches!(
            decide(request, &head, directives, self.now()),
            Reuse::Fresh { .. }
        )
    }

    /// The origin has another representation, or none, where parts are kept.
    pub(super) async fn forget_parts(&self, request: &FetchRequest) {
        self.store.forget(&request.parts_key()).await;
    }
}

/// Range, total and strong validator of a stored part.
fn frame(object: &Object) -> Option<(ByteRange, u64, HeaderValue)> {
    let head = object.head();
    let Some(ContentRange::Part {
        range,
        total: Some(total),
    }) = ContentRange::of(&head.headers)
    else {
        return None;
    };
    let is_whole = range.end - range.start == object.length();
    let validator = strong_validator(&head.headers, head.exchange)?;
    is_whole.then_some((range, total, validator))
}

/// A part on its way is a 206 of its own: it is handed on as it comes.
fn part_answer(reader: FlightReader, outcome: Outcome) -> Answer {
    let head = reader.head();
    if head.status != StatusCode::PARTIAL_CONTENT {
        return Answer::Growing { reader, outcome };
    }
    let exchange = head.exchange;
    let response = OriginResponse {
        status: head.status,
        headers: head.headers.clone(),
        framing: reader.length().map_or(Framing::Chunked, Framing::Length),
        address: head.upstream.unwrap_or_else(|| ([0, 0, 0, 0], 0).into()),
        body: Box::new(PartBody(reader)),
    };
    Answer::Private {
        response: Box::new(response),
        outcome,
        exchange,
    }
}

/// The bytes of a part that is being stored.
struct PartBody(FlightReader);

#[async_trait]
impl OriginBody for PartBody {
    async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        match self.0.next(PIECE_BYTES).await {
            Ok(piece) => Ok(piece),
            Err(ReadError::Origin(error)) => Err(error),
            Err(_) => {
                let url = self.0.head().url.clone();
                Err(OriginError::Truncated(url, "the fill was given up"))
            }
        }
    }
}
