//! A fill of one range: what a 206, a 200 or a 416 to it means.

use super::body::{Body, Purpose};
use super::{Fill, Led, announced_length};
use crate::engine::flight::{Entered, Phase};
use crate::engine::growing::{FlightReader, Growing};
use crate::engine::parts::part_selection;
use crate::engine::sources::Asked;
use crate::object::ObjectHead;
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;
use weir_policies::hop;
use weir_policies::outcome::Outcome;
use weir_policies::range::{self, ByteRange, ContentRange, Ranges};
use weir_policies::revalidation::strong_validator;
use weir_policies::storability::{NotStored, Storability};

impl Fill {
    /// Only this range is asked for.
    pub(crate) fn narrow(&mut self, range: HeaderValue) {
        self.asking.headers = hop::shared_request(&self.request.headers);
        let headers = &mut self.asking.headers;
        headers.insert(header::RANGE, range);
        if let Some(condition) = self.request.headers.get(header::IF_RANGE) {
            headers.insert(header::IF_RANGE, condition.clone());
        }
        self.is_part = true;
    }

    /// A final answer to a request for a range.
    pub(super) async fn answered_part(mut self, asked: Asked) {
        self.is_part = false;
        match asked.response.status {
            StatusCode::PARTIAL_CONTENT => self.take_part(asked).await,
            StatusCode::OK => self.take_whole(asked).await,
            StatusCode::RANGE_NOT_SATISFIABLE => self.not_satisfiable(asked).await,
            _ => self.answered(asked).await,
        }
    }

    /// The origin does not do ranges: this is the whole, and it is everybody's.
    async fn take_whole(mut self, asked: Asked) {
        if self.listing.is_listed() {
            let request = &self.request;
            match self.engine.enter(request) {
                Entered::Lead(listing) => self.listing = listing,
                // Somebody fetches it already: the client finds that flight when it decides again.
                Entered::Join(_) => return,
                Entered::Full => return self.hand_over(asked, Outcome::Bypass),
            }
        }
        self.asking.headers.remove(header::RANGE);
        self.asking.headers.remove(header::IF_RANGE);
        self.answered(asked).await;
    }

    /// Parts that are kept would contradict it, so they go, and the whole is asked for once.
    async fn not_satisfiable(mut self, asked: Asked) {
        let parts = self.engine.store.lookup(&self.request.parts_key()).await;
        if parts.is_empty() {
            return self.hand_over(asked, Outcome::Uncached(NotStored::Status));
        }
        self.engine.forget_parts(&self.request).await;
        drop(asked);
        self.asking.headers.remove(header::RANGE);
        self.asking.headers.remove(header::IF_RANGE);
        match self.ask().await {
            Ok(asked) if asked.response.status == StatusCode::OK => self.take_whole(asked).await,
            Ok(asked) => self.answered(asked).await,
            Err(error) => self.fail(crate::engine::Failure::Origin(error)),
        }
    }

    async fn take_part(self, asked: Asked) {
        let range = match self.judge_part(&asked) {
            Ok(range) => range,
            Err(reason) => return self.hand_over(asked, Outcome::Uncached(reason)),
        };
        let length = announced_length(&asked.response);
        let Some(share) = self.engine.memory.take(length) else {
            self.engine.stats.bound_memory.add(1);
            return self.hand_over(asked, Outcome::Bypass);
        };
        let head = self.object_head(&asked);
        let head = ObjectHead {
            key: self.request.parts_key(),
            namespace: "part".to_owned(),
            selection: part_selection(head.selection.clone(), range),
            pinned: false,
            ..head
        };
        let writer = self.begin(head.clone(), length).await;
        let growing = Growing::new(head, length);
        let reader = FlightReader::new(Arc::clone(&growing), self.engine.seat());
        let mut body = Body::new(self, Arc::clone(&growing), writer, share, Purpose::Part);
        body.fill.listing.flight.advance(Phase::Body(growing));
        body.fill.lead(Led::Reader(reader));
        let (fill, _) = body.run(asked).await;
        let flight = Arc::clone(&fill.listing.flight);
        fill.engine.combine(&fill.request, &flight).await;
    }

    /// Less than was asked for may come (RFC 9110 §15.3.7); of anything else nobody knows what bytes it has.
    fn is_asked_for(&self, range: ByteRange, total: u64) -> bool {
        matches!(
            range::resolve(&self.asking.headers, total),
            Ranges::Single(wanted) if wanted.start <= range.start && range.end <= wanted.end
        )
    }

    /// The range of a 206 that may be kept.
    fn judge_part(&self, asked: &Asked) -> Result<ByteRange, NotStored> {
        let response = &asked.response;
        let Some(ContentRange::Part {
            range,
            total: Some(total),
        }) = ContentRange::of(&response.headers)
        else {
            return Err(NotStored::Status);
        };
        let is_asked_for = self.is_asked_for(range, total);
        let is_framed = announced_length(response) == Some(range.end - range.start);
        let validator = strong_validator(&response.headers, asked.exchange);
        if !is_asked_for || !is_framed || validator.is_none() {
            return Err(NotStored::Status);
        }
        if self
            .request
            .plan
            .effect
            .size_max
            .is_some_and(|limit| total > limit)
        {
            return Err(NotStored::Rule);
        }
        match self.judge_as(asked, StatusCode::OK) {
            Storability::Store => Ok(range),
            Storability::Refuse(reason) => Err(reason),
        }
    }
}
