//! The task behind a flight: ask the upstreams, judge the head, stream the body into the store, commit.
//!
//! It belongs to the object, not to a client: it goes on when the client that caused it leaves. What cannot be
//! shared or stored goes back to that client as a private response, body and all.
//!
//! Invariants: nothing is committed unless the upstream delivered what its framing promised; a store that fails in
//! the middle costs the object, never the clients.

mod body;
mod error_body;
mod rate;

use super::failure::{Failure, StatusAnswer, answers_everybody};
use super::flight::{Listing, Phase};
use super::growing::{FlightReader, Growing};
use super::{Engine, FetchRequest};
use crate::object::ObjectHead;
use crate::ports::{Framing, OriginError, OriginResponse};
use body::Body;
use bytes::BytesMut;
use error_body::{Continued, ErrorBody, error_body, is_shareable};
use http::{HeaderMap, Method};
use std::sync::Arc;
use tokio::sync::oneshot;
use weir_policies::effect::StoreRule;
use weir_policies::freshness::{self, Exchange};
use weir_policies::outcome::Outcome;
use weir_policies::storability::{self, NotStored, Storability};
use weir_policies::vary::{Selection, Vary};

/// What the request that started the flight gets.
pub(crate) enum Led {
    /// A reader of the growing object.
    Reader(FlightReader),
    /// The response itself: it is for this client alone.
    Private(OriginResponse, Outcome, Exchange),
    /// The failure that everybody gets.
    Failed(Arc<Failure>),
}

/// One fill about to run.
pub(crate) struct Fill {
    pub(crate) engine: Arc<Engine>,
    pub(crate) request: FetchRequest,
    /// The fields sent upstream.
    pub(crate) headers: HeaderMap,
    pub(crate) listing: Listing,
    pub(crate) leader: oneshot::Sender<Led>,
}

impl Fill {
    pub(crate) async fn run(self) {
        let (response, exchange) = match self.first_answer().await {
            Ok(answer) => answer,
            Err(error) => return self.fail(Failure::Origin(error)),
        };
        let judged = self.judge(&response, exchange);
        let refused = match judged {
            // An error that is stale at once would answer nobody from the store, but it answers those who wait.
            Storability::Store if !self.is_lasting(&response, exchange) => {
                Some(NotStored::NoFreshness)
            }
            Storability::Store => None,
            Storability::Refuse(reason) => Some(reason),
        };
        match (refused, judged) {
            (Some(reason), _) if answers_everybody(response.status) => {
                self.share_error(response, reason, exchange).await;
            }
            (_, Storability::Store) => self.store(response, exchange).await,
            (_, Storability::Refuse(reason)) => {
                self.hand_over(response, Outcome::Uncached(reason), exchange);
            }
        }
    }

    fn is_lasting(&self, response: &OriginResponse, exchange: Exchange) -> bool {
        let adjust = self.request.plan.adjust;
        freshness::lifetime(response.status, &response.headers, exchange, adjust).seconds > 0
    }

    /// Asks the upstreams in order; an error or a 5xx moves on to the next one.
    async fn first_answer(&self) -> Result<(OriginResponse, Exchange), OriginError> {
        self.engine
            .ask_upstreams(&self.request, &Method::GET, &self.headers)
            .await
    }

    fn judge(&self, response: &OriginResponse, exchange: Exchange) -> Storability {
        if self.request.plan.effect.store == StoreRule::Never {
            return Storability::Refuse(NotStored::Rule);
        }
        if response.framing == Framing::UntilClose {
            // A clean FIN proves nothing: RFC 9112 §8.
            return Storability::Refuse(NotStored::Framing);
        }
        let adjust = self.request.plan.adjust;
        let request = &self.request.headers;
        storability::judge(
            &Method::GET,
            request,
            response.status,
            &response.headers,
            exchange,
            adjust,
        )
    }

    fn fail(mut self, failure: Failure) {
        let failure = self.tell_waiters(failure);
        // The leader may be gone; the others have been told through the phase.
        drop(self.leader.send(Led::Failed(failure)));
    }

    fn tell_waiters(&mut self, failure: Failure) -> Arc<Failure> {
        let failure = Arc::new(failure);
        // A request with credentials fails for its client alone.
        if self.listing.is_listed() {
            self.engine
                .hold_down
                .remember(self.request.key, Arc::clone(&failure));
        }
        self.listing.unlist();
        self.listing
            .flight
            .advance(Phase::Failed(Arc::clone(&failure)));
        failure
    }

    /// A short error that is for sharing goes to everybody as it is. Of any other one the waiters learn the status,
    /// and the client that caused the fetch gets the response itself.
    async fn share_error(
        mut self,
        mut response: OriginResponse,
        reason: NotStored,
        exchange: Exchange,
    ) {
        let status = response.status;
        let read = if is_shareable(&response.headers) {
            error_body(&mut response).await
        } else {
            ErrorBody::TooLong(BytesMut::new())
        };
        match read {
            ErrorBody::Broken(error) => self.fail(Failure::Origin(error)),
            ErrorBody::Whole(body) => {
                let headers = storability::storable_fields(&response.headers);
                let body = Some(body.freeze());
                self.fail(Failure::Status(StatusAnswer {
                    status,
                    headers,
                    body,
                    reason,
                }));
            }
            ErrorBody::TooLong(read) => {
                let headers = HeaderMap::new();
                let answer = StatusAnswer {
                    status,
                    headers,
                    body: None,
                    reason,
                };
                self.tell_waiters(Failure::Status(answer));
                response.body = Box::new(Continued {
                    read: read.freeze(),
                    rest: response.body,
                });
                let outcome = Outcome::Uncached(reason);
                drop(self.leader.send(Led::Private(response, outcome, exchange)));
            }
        }
    }

    fn hand_over(mut self, response: OriginResponse, outcome: Outcome, exchange: Exchange) {
        self.listing.unlist();
        self.listing.flight.advance(Phase::Unshared(outcome));
        // A leader that is gone drops the response, and with it the connection.
        drop(self.leader.send(Led::Private(response, outcome, exchange)));
    }

    async fn store(self, response: OriginResponse, exchange: Exchange) {
        let length = match response.framing {
            Framing::Length(length) => Some(length),
            Framing::None => Some(0),
            Framing::Chunked | Framing::UntilClose => None,
        };
        let Some(share) = self.engine.memory.take(length) else {
            self.engine.stats.bound_memory.add(1);
            return self.hand_over(response, Outcome::Bypass, exchange);
        };
        let head = self.object_head(&response, exchange);
        let writer = match self.engine.store.begin(head.clone(), length).await {
            Ok(writer) => Some(writer),
            Err(error) => {
                self.engine.note_store_refusal(&error, &head.url);
                None
            }
        };
        let growing = Growing::new(head, length);
        let Self {
            engine,
            mut listing,
            leader,
            ..
        } = self;
        let reader = FlightReader::new(Arc::clone(&growing), engine.seat());
        let body = Body::new(engine, Arc::clone(&growing), writer, share);
        listing.flight.advance(Phase::Body(growing));
        drop(leader.send(Led::Reader(reader)));
        body.run(response, &mut listing).await;
    }

    fn object_head(&self, response: &OriginResponse, exchange: Exchange) -> ObjectHead {
        let fields = match Vary::of(&response.headers) {
            Vary::Fields(fields) => fields,
            Vary::Star => Vec::new(),
        };
        ObjectHead {
            key: self.request.key,
            selection: Selection::of(&fields, &self.request.headers),
            url_as_asked: self.request.resource.as_asked.clone(),
            url: self.request.resource.target.to_string(),
            namespace: String::new(),
            redirects: Vec::new(),
            status: response.status,
            headers: storability::storable_fields(&response.headers),
            exchange,
            upstream: Some(response.address),
            origin_id: 0,
            tags: Vec::new(),
            pinned: false,
            conflict_of: None,
            lifetime_max: None,
            immutable: false,
            invalidated: false,
            stored_at: self.engine.clock.wall(),
        }
    }
}
