//! A 304: the stored object goes on with new fields (RFC 9111 §4.3.3, §4.3.4).

use super::{Fill, Led};
use crate::engine::failure::Failure;
use crate::engine::flight::Phase;
use crate::engine::sources::Asked;
use crate::store::Object;
use std::sync::Arc;
use weir_policies::outcome::Outcome;
use weir_policies::revalidation::{self, Merge};
use weir_policies::vary::Vary;

impl Fill {
    pub(super) async fn validated(mut self, object: Arc<Object>, asked: Asked) {
        let stored = &object.head().headers;
        match revalidation::merge(stored, &asked.response.headers) {
            // With other selecting fields it would be found by requests that it was not chosen for.
            Merge::Updated(headers) if Vary::of(&headers) == Vary::of(stored) => {
                let exchange = asked.exchange;
                // The answer is complete: its connection can serve the next request.
                drop(asked);
                let object = self.engine.update(&object, headers, exchange).await;
                self.engine.stats.revalidated.add(1);
                self.stand(object, Outcome::Revalidated);
                self.listing.unlist();
            }
            Merge::Updated(_) | Merge::Other => {
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

    /// A stored object answers the leader and everybody who waits.
    pub(super) fn stand(&mut self, object: Arc<Object>, outcome: Outcome) {
        self.listing
            .flight
            .advance(Phase::Validated(Arc::clone(&object)));
        self.lead(Led::Stored(object, outcome));
    }
}
