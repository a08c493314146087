//! The task behind a flight: ask the upstreams, judge the head, stream the body into the store, commit.
//!
//! It belongs to the object, not to a client: it goes on when the client that caused it leaves. What cannot be
//! shared or stored goes back to that client as a private response, body and all.
//!
//! Invariants: nothing is committed unless the upstream delivered what its framing promised; a store that fails in
//! the middle costs the object, never the clients.

use super::budget::MemoryShare;
use super::failure::{Failure, StatusAnswer, answers_everybody};
use super::flight::{Listing, Phase};
use super::growing::{FillEnd, FlightReader, Growing};
use super::{Engine, FetchRequest, OnAbandon};
use crate::object::ObjectHead;
use crate::ports::{Framing, OriginBody, OriginError, OriginRequest, OriginResponse};
use crate::store::{ObjectWriter, StoreError};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use weir_policies::freshness::Exchange;
use weir_policies::outcome::Outcome;
use weir_policies::rules::StoreRule;
use weir_policies::storability::{self, NotStored, Storability};
use weir_policies::vary::{Selection, Vary};

/// The longest error body that is repeated to everybody who waits, bytes.
const SHARED_ERROR_BYTES_MAX: usize = 64 * 1024;

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

/// A body on its way into the store.
struct Body {
    engine: Arc<Engine>,
    growing: Arc<Growing>,
    writer: Option<ObjectWriter>,
    share: MemoryShare,
    pending: Vec<Bytes>,
    pending_bytes: u64,
    received: u64,
}

impl Fill {
    pub(crate) async fn run(self) {
        let (response, exchange) = match self.first_answer().await {
            Ok(answer) => answer,
            Err(error) => return self.fail(Failure::Origin(error)),
        };
        let judged = self.judge(&response, exchange);
        match judged {
            Storability::Store => self.store(response, exchange).await,
            Storability::Refuse(reason) if answers_everybody(response.status) => {
                self.share_error(response, reason, exchange).await;
            }
            Storability::Refuse(reason) => {
                self.hand_over(response, Outcome::Uncached(reason), exchange)
            }
        }
    }

    /// Asks the upstreams in order; an error or a 5xx moves on to the next one.
    async fn first_answer(&self) -> Result<(OriginResponse, Exchange), OriginError> {
        self.engine
            .ask_upstreams(&self.request, &Method::GET, &self.headers)
            .await
    }

    fn judge(&self, response: &OriginResponse, exchange: Exchange) -> Storability {
        if self.request.plan.store == StoreRule::Never {
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
        self.engine
            .hold_down
            .remember(self.request.key, Arc::clone(&failure));
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
        self.listing.flight.advance(Phase::Unshared);
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
            Ok(writer) => writer,
            Err(error) => {
                self.engine.note_store_refusal(&error, &head.url);
                return self.hand_over(response, Outcome::Bypass, exchange);
            }
        };
        let growing = Growing::new(head, length);
        growing.attach(writer.partial());
        let Self {
            engine,
            mut listing,
            leader,
            ..
        } = self;
        let reader = FlightReader::new(Arc::clone(&growing), engine.seat());
        listing.flight.advance(Phase::Body(Arc::clone(&growing)));
        drop(leader.send(Led::Reader(reader)));
        engine.stats.fills_active.add(1);
        let body = Body {
            engine,
            growing,
            writer: Some(writer),
            share,
            pending: Vec::new(),
            pending_bytes: 0,
            received: 0,
        };
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
            stored_at: self.engine.clock.wall(),
        }
    }
}

impl Body {
    async fn run(mut self, mut response: OriginResponse, listing: &mut Listing) {
        let end = self.receive(&mut response, listing).await;
        drop(response);
        match end {
            FillEnd::Complete => self.complete(listing).await,
            FillEnd::Failed(_) | FillEnd::Abandoned => self.give_up(end, listing).await,
        }
    }

    async fn receive(&mut self, response: &mut OriginResponse, listing: &Listing) -> FillEnd {
        let deadline = tokio::time::sleep(self.engine.settings.total_time);
        tokio::pin!(deadline);
        let mut rate = Rate::new(self.engine.settings.rate_min);
        loop {
            if self.writer.is_none() && self.growing.readers() == 0 {
                return FillEnd::Abandoned;
            }
            tokio::select! {
                biased;
                () = &mut deadline => return FillEnd::Abandoned,
                () = rate.too_slow() => return FillEnd::Abandoned,
                () = nobody_left(&self.growing), if self.engine.settings.on_abandon == OnAbandon::Stop => {
                    return FillEnd::Abandoned;
                }
                piece = response.body.next() => match piece {
                    Ok(Some(piece)) => {
                        rate.count(piece.len());
                        if self.is_last(&piece) {
                            // Before a reader can have it all: whoever comes back for more finds a hit, not us.
                            listing.flight.advance(Phase::Committing);
                        }
                        self.take(piece).await;
                    }
                    Ok(None) => return FillEnd::Complete,
                    Err(error) => return FillEnd::Failed(error),
                },
            }
        }
    }

    /// Whether nothing follows `piece`: known where the upstream said a length.
    fn is_last(&self, piece: &Bytes) -> bool {
        self.writer.is_some() && self.growing.length() == Some(self.received + piece.len() as u64)
    }

    async fn take(&mut self, piece: Bytes) {
        self.received += piece.len() as u64;
        self.engine.stats.fill_bytes.add(piece.len() as u64);
        self.growing.append(piece.clone());
        if self.writer.is_none() {
            return self.wait_for_readers().await;
        }
        self.pending_bytes += piece.len() as u64;
        self.pending.push(piece);
        if self.pending_bytes >= self.share.write_bytes {
            self.write().await;
        }
    }

    /// Hands what has been collected to the store. A store that fails is left behind: the clients go on from memory.
    async fn write(&mut self) {
        let pieces = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let Some(writer) = self.writer.as_mut() else {
            return;
        };
        match writer.append(pieces).await {
            Ok(()) => self
                .growing
                .release(writer.readable(), self.share.keep_bytes),
            Err(error) => {
                self.engine
                    .note_store_refusal(&error, &self.growing.head().url);
                self.growing.detach();
                self.writer = None;
            }
        }
    }

    /// Without a store the tail is the only copy: go no further ahead of the slowest reader than the share allows.
    async fn wait_for_readers(&self) {
        while self.growing.release_passed() > self.share.write_bytes && self.growing.readers() > 0 {
            self.growing.readers_moved().await;
        }
    }

    async fn complete(mut self, listing: &mut Listing) {
        if !self.pending.is_empty() {
            self.write().await;
        }
        let Some(writer) = self.writer.take() else {
            return self.give_up(FillEnd::Complete, listing).await;
        };
        // Readers have every byte already; a request that arrives now waits for the commit and is a hit.
        listing.flight.advance(Phase::Committing);
        self.growing.finish(FillEnd::Complete);
        match writer.commit().await {
            Ok(_) => tracing::debug!(url = %self.growing.head().url, "stored"),
            Err(error) => self
                .engine
                .note_store_refusal(&error, &self.growing.head().url),
        }
        listing.unlist();
        listing.flight.advance(Phase::Over);
    }

    async fn give_up(mut self, end: FillEnd, listing: &mut Listing) {
        if let FillEnd::Failed(error) = &end {
            tracing::info!(url = %self.growing.head().url, %error, "fill broke off, nothing stored");
        }
        // Out of the table first: whoever asks after seeing the failure starts anew.
        listing.unlist();
        listing.flight.advance(Phase::Over);
        self.growing.finish(end);
        self.engine.stats.fills_abandoned.add(1);
        if let Some(writer) = self.writer.take() {
            writer.abandon().await;
        }
    }
}

/// A fill that ends in any other way (a panic, an aborted task) must not leave its readers waiting.
impl Drop for Body {
    fn drop(&mut self) {
        self.growing.finish(FillEnd::Abandoned);
        self.engine.stats.fills_active.subtract(1);
    }
}

/// The configured least rate, judged over windows: an origin may pause, but not crawl for ever.
struct Rate {
    bytes_per_window_min: Option<u64>,
    window: tokio::time::Interval,
    received: u64,
}

/// Long enough for a pause of the origin, short against the total time.
const RATE_WINDOW: Duration = Duration::from_secs(60);

impl Rate {
    fn new(bytes_per_second_min: Option<NonZeroU64>) -> Self {
        let bytes_per_window_min =
            bytes_per_second_min.map(|rate| rate.get().saturating_mul(RATE_WINDOW.as_secs()));
        let first = tokio::time::Instant::now() + RATE_WINDOW;
        Self {
            bytes_per_window_min,
            window: tokio::time::interval_at(first, RATE_WINDOW),
            received: 0,
        }
    }

    fn count(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Resolves when a window ends with too few bytes.
    async fn too_slow(&mut self) {
        let Some(bytes_min) = self.bytes_per_window_min else {
            return std::future::pending().await;
        };
        loop {
            self.window.tick().await;
            if std::mem::take(&mut self.received) < bytes_min {
                return;
            }
        }
    }
}

async fn nobody_left(growing: &Growing) {
    while growing.readers() > 0 {
        growing.readers_moved().await;
    }
}

fn is_shareable(headers: &HeaderMap) -> bool {
    let directives = weir_policies::cache_control::ResponseDirectives::of(headers);
    !(directives.private || directives.no_store || headers.contains_key(http::header::SET_COOKIE))
}

/// The body of an error, as far as it is kept for sharing.
enum ErrorBody {
    Whole(BytesMut),
    /// So much was read; the rest is still to come.
    TooLong(BytesMut),
    Broken(OriginError),
}

async fn error_body(response: &mut OriginResponse) -> ErrorBody {
    let mut body = BytesMut::new();
    while body.len() <= SHARED_ERROR_BYTES_MAX {
        match response.body.next().await {
            Ok(None) => return ErrorBody::Whole(body),
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Err(error) => return ErrorBody::Broken(error),
        }
    }
    ErrorBody::TooLong(body)
}

/// A body of which the beginning was read already.
struct Continued {
    read: Bytes,
    rest: Box<dyn OriginBody>,
}

#[async_trait]
impl OriginBody for Continued {
    async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        if self.read.is_empty() {
            return self.rest.next().await;
        }
        Ok(Some(std::mem::take(&mut self.read)))
    }
}

impl Engine {
    /// Says once what the store refused; the client is served from upstream.
    pub(crate) fn note_store_refusal(&self, error: &StoreError, url: &str) {
        self.stats.store_refused.add(1);
        tracing::warn!(%url, %error, "not stored, served from upstream");
    }

    /// Asks the upstreams of a resource in order; an error or a 5xx moves on to the next one.
    pub(crate) async fn ask_upstreams(
        &self,
        request: &FetchRequest,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<(OriginResponse, Exchange), OriginError> {
        let mut left = request.resource.upstreams.len();
        for target in &request.resource.upstreams {
            left -= 1;
            let requested = self.clock.wall().into();
            let sent = OriginRequest {
                method: method.clone(),
                target: target.clone(),
                headers: headers.clone(),
            };
            match self.origin.fetch(sent).await {
                Ok(response) if left > 0 && response.status.is_server_error() => {}
                Ok(response) => {
                    return Ok((
                        response,
                        Exchange {
                            requested,
                            responded: self.clock.wall().into(),
                        },
                    ));
                }
                Err(error) if left > 0 => {
                    tracing::info!(%target, %error, "trying the next upstream")
                }
                Err(error) => return Err(error),
            }
        }
        Err(OriginError::NoAddress(
            request.resource.target.host().to_owned(),
        ))
    }
}
