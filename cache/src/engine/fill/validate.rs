//! A 304: the stored object goes on with new fields (RFC 9111 §4.3.3, §4.3.4).

use super::{Fill, Led};
use crate::engine::failure::Failure;
use crate::engine::flight::Phase;
use crate::engine::last::Fate;
use crate::engine::sources::Asked;
use crate::store::Object;
use http::{HeaderMap, Method, StatusCode};
use std::sync::Arc;
use weir_policies::conditional::have_same_strong_tag;
use weir_policies::outcome::Outcome;
use weir_policies::redirect::HopBound;
use weir_policies::revalidation::{self, Merge};
use weir_policies::storability::{self, NotStored, Storability};
use weir_policies::vary::Vary;

impl Fill {
    pub(super) async fn validated(mut self, object: Arc<Object>, asked: Asked) {
        match self.merge(&object, &asked) {
            Merge::Updated(headers) => {
                let exchange = asked.exchange;
                let lifetime_max = self.lifetime_max(&asked);
                let forbidden = self.forbidden_now(&object, &headers, &asked);
                // The answer is complete: its connection can serve the next request.
                drop(asked);
                let object = self
                    .engine
                    .update(&object, headers, exchange, lifetime_max)
                    .await;
                self.engine.stats.revalidated.add(1);
                let fate = forbidden.map_or(Fate::Revalidated, Fate::NotStored);
                self.remember(Some(StatusCode::NOT_MODIFIED), fate);
                if forbidden.is_none() {
                    self.stand(object, Outcome::Revalidated);
                } else {
                    // From now on it is for one client only: for the one that asked.
                    self.listing.flight.advance(Phase::Over);
                    self.lead(Led::Stored(object, Outcome::Revalidated));
                }
                self.listing.unlist();
            }
            Merge::Other => {
                // The origin speaks of other bytes than ours: ours are not to be used again.
                self.listing.flight.disown();
                self.engine.mark(&object).await;
                drop(asked);
                match self.ask().await {
                    Ok(asked) => self.answered(asked).await,
                    Err(error) => self.fail(Failure::Origin(error)),
                }
            }
        }
    }

    fn merge(&self, object: &Object, asked: &Asked) -> Merge {
        let head = object.head();
        let answer = &asked.response.headers;
        // Another place than the object's has its own idea of what has not changed, unless it names the same bytes.
        if !asked.is_from(&head.redirects) && !have_same_strong_tag(answer, &head.headers) {
            return Merge::Other;
        }
        match revalidation::merge(&head.headers, answer) {
            // With other selecting fields it would be found by requests that it was not chosen for.
            Merge::Updated(headers) if Vary::of(&headers) != Vary::of(&head.headers) => {
                Merge::Other
            }
            merged => merged,
        }
    }

    /// Why the object with its new fields may no longer be shared.
    fn forbidden_now(
        &self,
        object: &Object,
        headers: &HeaderMap,
        asked: &Asked,
    ) -> Option<NotStored> {
        if asked.chain == Some(HopBound::NotStorable) {
            return Some(NotStored::NoStore);
        }
        let judged = storability::judge(
            &Method::GET,
            &self.request.headers,
            object.head().status,
            headers,
            asked.exchange,
            self.request.plan.adjust,
        );
        match judged {
            Storability::Refuse(reason @ (NotStored::Private | NotStored::NoStore)) => Some(reason),
            Storability::Refuse(_) | Storability::Store => None,
        }
    }

    /// A stored object answers the leader and everybody who waits.
    pub(super) fn stand(&mut self, object: Arc<Object>, outcome: Outcome) {
        self.listing
            .flight
            .advance(Phase::Validated(Arc::clone(&object), outcome));
        self.lead(Led::Stored(object, outcome));
    }
}
