//! What one client gets alone: because of what it sent, because a rule says so, or because there is no place for a fill
//! that others could join.
//!
//! Invariant: nothing of it is told to anybody else. It may be stored all the same, where RFC 9111 allows that, by a
//! flight that is listed nowhere.

use super::failure::Failure;
use super::last::Fate;
use super::lookup::StaleObject;
use super::share::answer_failure;
use super::sources::Asking;
use super::unfit::{has_conditions, too_large, unasked};
use super::{Answer, Engine, FetchRequest, guarded};
use crate::ports::OriginError;
use http::Method;
use http::header::{IF_RANGE, RANGE};
use std::sync::Arc;
use weir_policies::effect::StoreRule;
use weir_policies::hop;
use weir_policies::outcome::Outcome;
use weir_policies::storability::NotStored;

impl Engine {
    /// A request with credentials, or one that must not be stored: its own fetch, stored only where RFC 9111 allows.
    pub(super) async fn fetch_alone(
        self: &Arc<Self>,
        request: &FetchRequest,
        stale: Option<StaleObject>,
    ) -> Answer {
        if let Some(reason) = never_storable(request) {
            return self
                .private(request, Outcome::Uncached(reason), stale)
                .await;
        }
        let running = self.stats.fills_active.get();
        if running >= self.settings.load().flights_max as u64 {
            self.stats.bound_flights.add(1);
            return self.private(request, Outcome::Bypass, stale).await;
        }
        let listing = self.flights.unlisted(request.key, request.about());
        match self.start(request, listing, stale.clone()).await {
            Some(answer) => answer,
            None => self.private(request, Outcome::Bypass, stale).await,
        }
    }

    /// A fetch for this client alone, passed through as it is.
    pub(super) async fn private(
        &self,
        request: &FetchRequest,
        outcome: Outcome,
        stale: Option<StaleObject>,
    ) -> Answer {
        let mut headers = hop::private_request(&request.headers);
        if !request.plan.effect.verify.is_empty() {
            // Of a part nobody could tell whether it is what is expected.
            headers.remove(RANGE);
            headers.remove(IF_RANGE);
        }
        let asking = Asking {
            method: request.method.clone(),
            headers,
            interim: request.interim.clone(),
        };
        let asked = match self.ask_upstreams(request, &asking).await {
            Ok(asked) => asked,
            Err(error) => {
                self.remember(request, None, Fate::Failed(error.as_str()));
                self.tell_error(request, &error);
                return answer_failure(Arc::new(Failure::Origin(error)), stale);
            }
        };
        if let Some(error) = too_large(&request.plan, &asked.response, &asked.source) {
            return Answer::Failed(Arc::new(Failure::Origin(error)));
        }
        let response = asked.response;
        self.tell_status(request, response.status);
        if let Some(what) = unasked(response.status, &asking.headers) {
            let error = OriginError::Protocol(asked.source.authority(), what);
            self.tell_error(request, &error);
            return answer_failure(Arc::new(Failure::Origin(error)), stale);
        }
        if request.method == Method::GET {
            let fate = Fate::of_unshared(outcome);
            self.remember(request, Some(response.status), fate);
        }
        let response = guarded::guarded(response, &request.plan.effect, &asked.source);
        Answer::Private {
            response: Box::new(response),
            outcome,
            exchange: asked.exchange,
        }
    }
}

/// Whether a lone request asks for something that can not become a stored object.
fn never_storable(request: &FetchRequest) -> Option<NotStored> {
    if request.method != Method::GET {
        Some(NotStored::Method)
    } else if request.plan.directives.no_store {
        Some(NotStored::NoStore)
    } else if request.plan.effect.store == StoreRule::Never {
        Some(NotStored::Rule)
    } else if request.headers.contains_key(RANGE) || has_conditions(&request.headers) {
        Some(NotStored::Status)
    } else {
        None
    }
}
