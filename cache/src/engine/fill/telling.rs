//! Telling the leader and everybody who waits what came of it, where no bytes are stored: failures, errors, responses
//! for one client.

use super::error_body::{Continued, ErrorBody, error_body, is_shareable};
use super::{Fill, Led};
use crate::engine::failure::{Failure, StatusAnswer, is_stale_worthy};
use crate::engine::flight::Phase;
use crate::engine::guarded::guarded;
use crate::engine::last::Fate;
use crate::engine::sources::Asked;
use bytes::BytesMut;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use weir_policies::outcome::Outcome;
use weir_policies::storability::{self, NotStored};

impl Fill {
    pub(super) fn lead(&mut self, led: Led) {
        if let Some(leader) = self.leader.take() {
            // The leader may be gone; what it got goes with it, a connection included.
            drop(leader.send(led));
        }
    }

    pub(super) fn fail(mut self, failure: Failure) {
        let failure = self.tell_waiters(failure);
        self.lead(Led::Failed(failure));
    }

    fn tell_waiters(&mut self, failure: Failure) -> Arc<Failure> {
        self.engine.tell_failure(&self.request, &failure);
        let failure = Arc::new(failure);
        match &*failure {
            Failure::Origin(error) => self.remember(None, Fate::Failed(error.as_str())),
            Failure::Status(answer) => {
                self.remember(Some(answer.status), Fate::NotStored(answer.reason));
            }
        }
        self.hold_down(&failure);
        self.listing.unlist();
        self.listing
            .flight
            .advance(Phase::Failed(Arc::clone(&failure)));
        failure
    }

    /// Lets the failure answer those who ask again. A request with credentials fails for its client alone, and so does
    /// one whose fields nobody else sends: they may be what provoked the failure.
    fn hold_down(&self, failure: &Arc<Failure>) {
        if !(self.listing.is_listed() && self.request.is_ordinary()) {
            return;
        }
        let hold = self.engine.settings.load().hold_down;
        let negative_ttl = Duration::from_secs(self.request.plan.effect.negative_ttl);
        self.listing.flight.unless_overtaken(|| {
            let failure = Arc::clone(failure);
            let times = (hold, negative_ttl);
            self.engine
                .hold_down
                .remember(&self.request, failure, times);
        });
    }

    /// A short error that is for sharing goes to everybody as it is. Of any other one the waiters learn the status,
    /// and the client that caused the fetch gets the response itself.
    pub(super) async fn share_error(mut self, asked: Asked, reason: NotStored) {
        let Asked {
            mut response,
            exchange,
            ..
        } = asked;
        let status = response.status;
        let read = if is_shareable(&response.headers, self.request.plan.adjust) {
            error_body(&mut response).await
        } else {
            ErrorBody::TooLong(BytesMut::new())
        };
        let answer = |headers, body| {
            Failure::Status(StatusAnswer {
                status,
                headers,
                body,
                reason,
            })
        };
        match read {
            ErrorBody::Broken(error) => self.fail(Failure::Origin(error)),
            ErrorBody::Whole(body) => {
                let headers = storability::storable_fields(&response.headers);
                self.fail(answer(headers, Some(body.freeze())));
            }
            ErrorBody::TooLong(read) => {
                let failure = self.tell_waiters(answer(HeaderMap::new(), None));
                if self.may_use_stale(status) {
                    return self.lead(Led::Failed(failure));
                }
                response.body = Box::new(Continued {
                    read: read.freeze(),
                    rest: response.body,
                });
                let outcome = Outcome::Uncached(reason);
                self.lead(Led::Private(response, outcome, exchange));
            }
        }
    }

    /// Whether the leader has something better than this error.
    fn may_use_stale(&self, status: StatusCode) -> bool {
        let stale = self.stale.as_ref();
        is_stale_worthy(status) && stale.is_some_and(|stale| stale.may.on_error)
    }

    pub(super) fn hand_over(mut self, asked: Asked, outcome: Outcome) {
        self.remember(Some(asked.response.status), Fate::of_unshared(outcome));
        self.listing.unlist();
        self.listing.flight.advance(Phase::Unshared(outcome));
        let response = guarded(asked.response, &self.request.plan.effect, &asked.source);
        self.lead(Led::Private(response, outcome, asked.exchange));
    }
}
