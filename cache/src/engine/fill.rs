//! The task behind a flight: ask the sources, judge the head, stream the body into the store, commit.
//!
//! It belongs to the object, not to a client: it goes on when the client that caused it leaves. What cannot be
//! shared or stored goes back to that client as a private response, body and all.
//!
//! ```text
//! ask ─ 304 ──────────────────► validate.rs   the stored object goes on with new fields
//!  │  └ 200 behind an immutable object ► contradict.rs
//!  ├─ an error ───────────────► everybody who waits
//!  ├─ not to be stored ───────► the leader alone
//!  └─ else ───────────────────► body.rs       (and again, when another representation turns up in the middle)
//! ```
//!
//! Invariants: nothing is committed unless the upstream delivered what its framing promised; a store that fails in
//! the middle costs the object, never the clients.

mod body;
mod contradict;
mod error_body;
mod judging;
mod part;
mod rate;
mod resume;
mod telling;
mod validate;

use super::failure::{Failure, answers_everybody};
use super::flight::{Listing, Phase};
use super::growing::{FlightReader, Growing};
use super::last::Fate;
use super::lookup::StaleObject;
use super::sources::{Asked, Asking};
use super::unfit::unasked;
use super::{Engine, EngineSettings, FetchRequest};
use crate::object::ObjectHead;
use crate::ports::{Framing, OriginError, OriginResponse};
use crate::store::{BanWatch, Object};
use body::{Body, Purpose};
use http::{Method, StatusCode};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use weir_policies::freshness::Exchange;
use weir_policies::hop;
use weir_policies::outcome::Outcome;
use weir_policies::revalidation;
use weir_policies::storability::{self, NotStored, Storability};
use weir_policies::tags;
use weir_policies::vary::{Selection, Vary};

/// What the request that started the flight gets.
#[derive(Debug)]
pub(crate) enum Led {
    /// A reader of the growing object.
    Reader(FlightReader),
    /// A stored object after all.
    Stored(Arc<Object>, Outcome),
    /// The response itself: it is for this client alone.
    Private(OriginResponse, Outcome, Exchange),
    /// The failure that everybody gets.
    Failed(Arc<Failure>),
}

/// Who wants the bytes.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// The client that waits here, and whoever joins.
    ByReaders(oneshot::Sender<Led>),
    /// Nobody reads; somebody may want to know what came of it.
    ByItself(oneshot::Sender<Led>),
}

/// One fill about to run.
pub(crate) struct Fill {
    engine: Arc<Engine>,
    request: FetchRequest,
    /// What is sent, but for conditions.
    asking: Asking,
    listing: Listing,
    leader: Option<oneshot::Sender<Led>>,
    goes_on_unread: bool,
    /// Taken before anything is asked: a purge that comes later holds for what this fill brings.
    watch: Option<Arc<BanWatch>>,
    /// The stored object that is too old.
    stale: Option<StaleObject>,
    /// Only a range is asked for.
    is_part: bool,
    /// How often another object took the place of the one being received.
    replacements: u32,
    /// As they were when it began.
    settings: Arc<EngineSettings>,
    /// When it is given up, whatever it does.
    deadline: Instant,
}

impl Fill {
    pub(crate) fn new(
        engine: Arc<Engine>,
        request: FetchRequest,
        listing: Listing,
        stale: Option<StaleObject>,
        wanted: Wanted,
    ) -> Self {
        // Fields of one client's own go with a flight that nobody else can join.
        let headers = if listing.is_listed() {
            hop::shared_request(&request.headers)
        } else {
            hop::private_request(&request.headers)
        };
        let asking = Asking {
            method: Method::GET,
            headers,
            interim: request.interim.clone(),
        };
        let (leader, goes_on_unread) = match wanted {
            Wanted::ByReaders(leader) => (leader, false),
            Wanted::ByItself(leader) => (leader, true),
        };
        let settings = engine.settings.load_full();
        Self {
            watch: engine.store.watch(&listing.flight.url),
            deadline: Instant::now() + settings.total_time,
            settings,
            replacements: 0,
            engine,
            request,
            asking,
            listing,
            leader: Some(leader),
            goes_on_unread,
            stale,
            is_part: false,
        }
    }

    pub(crate) async fn run(mut self) {
        // Found before a purge, listed after it: nobody who comes now may get it.
        self.stale
            .take_if(|stale| self.engine.store.is_purged(&stale.usable.object));
        if let Some(original) = self.undecided().await {
            // The operator has not decided yet: nothing new is to be learned.
            self.stand(original, Outcome::StaleWhileRevalidate);
            return self.listing.unlist();
        }
        let validating = self.validating();
        let asked = match &validating {
            Some(object) => self.ask_on_condition(object).await,
            None => self.ask().await,
        };
        match (asked, validating) {
            (Err(error), _) => self.fail(Failure::Origin(error)),
            (Ok(asked), Some(object)) if asked.response.status == StatusCode::NOT_MODIFIED => {
                self.validated(object, asked).await;
            }
            (Ok(asked), _) => self.answered(asked).await,
        }
    }

    /// Says for those who ask later what became of the response.
    fn remember(&self, status: Option<StatusCode>, fate: Fate) {
        self.engine.remember(&self.request, status, fate);
    }

    /// The stored object to ask about, if there is one with a validator.
    fn validating(&self) -> Option<Arc<Object>> {
        let object = &self.stale.as_ref()?.usable.object;
        let has_validator = !revalidation::conditions(&object.head().headers).is_empty();
        has_validator.then(|| Arc::clone(object))
    }

    async fn ask(&self) -> Result<Asked, OriginError> {
        self.engine.ask_upstreams(&self.request, &self.asking).await
    }

    async fn ask_on_condition(&self, object: &Object) -> Result<Asked, OriginError> {
        let mut asking = self.asking.clone();
        asking
            .headers
            .extend(revalidation::conditions(&object.head().headers));
        self.engine.ask_upstreams(&self.request, &asking).await
    }

    /// A final answer that is about itself, not about what is stored.
    async fn answered(mut self, asked: Asked) {
        self.request.refine(&asked.response.headers);
        let status = asked.response.status;
        if let Some(what) = unasked(status, &self.asking.headers) {
            let error = OriginError::Protocol(asked.source.authority(), what);
            return self.fail(Failure::Origin(error));
        }
        if let Some(failure) = self.too_large(&asked) {
            return self.fail(failure);
        }
        if self.is_part {
            return Box::pin(self.answered_part(asked)).await;
        }
        if let Some(original) = self.contradicted(&asked) {
            return self.contradict(original, asked).await;
        }
        let judged = self.judge(&asked);
        let refused = match judged {
            // An error that is stale at once would answer nobody from the store, but it answers those who wait.
            Storability::Store if !self.is_lasting(&asked) => Some(NotStored::NoFreshness),
            Storability::Store => None,
            Storability::Refuse(reason) => Some(reason),
        };
        match (refused, judged) {
            (Some(reason), _) if answers_everybody(status) => {
                self.share_error(asked, reason).await;
            }
            (_, Storability::Store) => self.store(asked).await,
            (_, Storability::Refuse(reason)) => {
                self.hand_over(asked, Outcome::Uncached(reason));
            }
        }
    }

    /// Stores the response, and whatever takes its place while it is being received.
    async fn store(mut self, asked: Asked) {
        let mut next = Some(asked);
        while let Some(asked) = next {
            let length = announced_length(&asked.response);
            let Some(share) = self.engine.memory.take(length) else {
                self.engine.stats.bound_memory.add(1);
                return self.hand_over(asked, Outcome::Bypass);
            };
            let head = self.object_head(&asked);
            let writer = self.begin(head.clone(), length).await;
            let growing = Growing::new(head, length);
            let seat = self.engine.seat();
            let reader = FlightReader::new(Arc::clone(&growing), seat);
            let mut body = Body::new(self, Arc::clone(&growing), writer, share, Purpose::Object);
            body.fill.listing.flight.advance(Phase::Body(growing));
            body.fill.lead(Led::Reader(reader));
            (self, next) = body.run(asked).await;
            if let Some(replacement) = &next
                && let Storability::Refuse(reason) = self.judge(replacement)
            {
                self.remember(Some(replacement.response.status), Fate::NotStored(reason));
                // Its readers are cut off already; whoever asks again gets it for itself.
                return self.listing.unlist();
            }
        }
    }

    async fn begin(
        &self,
        head: ObjectHead,
        length: Option<u64>,
    ) -> Option<crate::store::ObjectWriter> {
        let url = head.url.clone();
        let expected = self.request.plan.effect.verify;
        match self
            .engine
            .store
            .begin_watched(head, length, expected, self.watch.clone())
            .await
        {
            Ok(writer) => Some(writer),
            Err(error) => {
                self.engine.note_store_refusal(&error, &url);
                self.remember(None, Fate::of_refusal(&error));
                None
            }
        }
    }

    fn object_head(&self, asked: &Asked) -> ObjectHead {
        let response = &asked.response;
        let fields = match Vary::of(&response.headers) {
            Vary::Fields(fields) => fields,
            Vary::Star => Vec::new(),
        };
        let was_followed = !asked.redirects.is_empty();
        ObjectHead {
            key: if was_followed {
                self.request.followed_key()
            } else {
                self.request.key
            },
            selection: Selection::of(&fields, &self.request.headers),
            url_as_asked: self.request.resource.as_asked.clone(),
            url: self.request.resource.target.to_string(),
            namespace: String::new(),
            redirects: asked.places(),
            status: response.status,
            headers: storability::storable_fields(&response.headers),
            exchange: asked.exchange,
            upstream: Some(response.address),
            origin_id: 0,
            tags: tags::of(&response.headers),
            pinned: self.request.plan.effect.pin,
            conflict_of: None,
            lifetime_max: self.lifetime_max(asked),
            immutable: false,
            invalidated: false,
            stored_at: self.engine.clock.wall(),
        }
    }
}

fn announced_length(response: &OriginResponse) -> Option<u64> {
    match response.framing {
        Framing::Length(length) => Some(length),
        Framing::None => Some(0),
        Framing::Chunked | Framing::UntilClose => None,
    }
}
