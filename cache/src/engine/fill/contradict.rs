//! Other bytes behind an immutable object. The original is kept and served; the new bytes are stored beside it, and the
//! operator decides.

use super::body::{Body, Purpose};
use super::{Fill, announced_length};
use crate::engine::CONFLICT_NAMESPACE;
use crate::engine::growing::Growing;
use crate::engine::last::Fate;
use crate::engine::sources::{Asked, without_query};
use crate::events::Event;
use crate::object::ObjectHead;
use crate::ports::OriginResponse;
use crate::store::Object;
use http::StatusCode;
use std::sync::Arc;
use weir_policies::outcome::Outcome;
use weir_policies::revalidation;
use weir_policies::storability::Storability;

impl Fill {
    /// The immutable object that a whole new response would replace.
    pub(super) fn contradicted(&self, asked: &Asked) -> Option<Arc<Object>> {
        let object = &self.stale.as_ref()?.usable.object;
        let head = object.head();
        let is_immutable = self.request.plan.adjust.immutable || head.immutable;
        let are_whole = head.status == StatusCode::OK && asked.response.status == StatusCode::OK;
        (is_immutable && are_whole).then(|| Arc::clone(object))
    }

    /// The immutable object that its origin has contradicted already.
    pub(super) async fn undecided(&self) -> Option<Arc<Object>> {
        let object = &self.stale.as_ref()?.usable.object;
        let is_immutable = self.request.plan.adjust.immutable || object.head().immutable;
        let is_undecided = is_immutable && self.engine.is_contradicted(&self.request, object).await;
        is_undecided.then(|| Arc::clone(object))
    }

    pub(super) async fn contradict(mut self, original: Arc<Object>, asked: Asked) {
        if is_same(&original, &asked.response) {
            let fields = asked.response.headers.clone();
            let object = self
                .engine
                .update(&original, fields, asked.exchange, self.lifetime_max(&asked))
                .await;
            self.remember(Some(StatusCode::OK), Fate::Revalidated);
            self.stand(object, Outcome::Revalidated);
            return self.listing.unlist();
        }
        // Nobody waits for bytes that will not be served.
        self.stand(Arc::clone(&original), Outcome::StaleWhileRevalidate);
        // An original that must not be used without asking is asked about again and again; what contradicts it is
        // fetched once.
        let key = self.request.conflict_key(&original);
        let known = self.engine.store.lookup(&key).await;
        if known.iter().any(|other| is_same(other, &asked.response)) {
            self.remember(Some(StatusCode::OK), Fate::Contradicts);
            return self.listing.unlist();
        }
        let length = announced_length(&asked.response);
        let head = ObjectHead {
            key,
            namespace: CONFLICT_NAMESPACE.to_owned(),
            conflict_of: Some(original.sequence()),
            ..self.object_head(&asked)
        };
        let writer = match self.judge(&asked) {
            Storability::Store => self.begin(head.clone(), length).await,
            Storability::Refuse(_) => None,
        };
        let (Some(writer), Some(share)) = (writer, self.engine.memory.take(length)) else {
            note_conflict(&self, &original, "the new bytes could not be kept");
            return self.listing.unlist();
        };
        let growing = Growing::new(head, length);
        let purpose = Purpose::Contradiction(original);
        let body = Body::new(self, growing, Some(writer), share, purpose);
        // Yet another representation in the middle of it: the next check sees that one.
        let (mut fill, _) = body.run(asked).await;
        fill.listing.unlist();
    }
}

/// Says that an origin contradicts what is stored.
pub(super) fn note_conflict(fill: &Fill, original: &Object, consequence: &str) {
    fill.engine.stats.conflicts.add(1);
    fill.remember(Some(StatusCode::OK), Fate::Contradicts);
    let url = without_query(&original.head().url);
    fill.engine.events.emit(Event::Conflict {
        authority: fill.request.resource.target.authority(),
        url: url.to_owned(),
    });
    tracing::warn!(
        url,
        consequence,
        "the origin now has other bytes behind an immutable URL; the original is served on: see weir explain, \
         weir conflict"
    );
}

/// The same representation by its strong validator and length: nothing to compare.
fn is_same(original: &Object, response: &OriginResponse) -> bool {
    let head = original.head();
    let validator = |headers, exchange| revalidation::strong_validator(headers, exchange);
    let stored = validator(&head.headers, head.exchange);
    stored.is_some()
        && stored == validator(&response.headers, head.exchange)
        && announced_length(response) == Some(original.length())
}
