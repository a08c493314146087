//! What changes about stored objects without a fill: an unsafe request that succeeded, a HEAD that told something,
//! a 304.

use super::{Engine, Entry, FetchRequest};
use crate::engine::lookup::StaleObject;
use crate::object::{Amendment, ObjectHead};
use crate::store::Object;
use http::{HeaderMap, Method, StatusCode};
use std::sync::Arc;
use weir_policies::freshness::Exchange;
use weir_policies::invalidation;
use weir_policies::key::CacheKey;
use weir_policies::revalidation::{self, Freshening};
use weir_policies::storability::storable_fields;
use weir_policies::target::Target;
use weir_policies::vary::Vary;

impl Engine {
    /// An unsafe request was answered: what it may have changed is asked about before it is used again (RFC 9111
    /// §4.4).
    pub async fn answered_unsafe(
        &self,
        method: &Method,
        target: &Target,
        status: StatusCode,
        response: &HeaderMap,
    ) {
        for changed in invalidation::targets(method, target, status, response) {
            self.invalidate(&changed).await;
        }
    }

    /// Every stored or arriving response of a URL is stale from now on, whatever its fields say; parts are forgotten.
    ///
    /// Flights come first: what they publish until then is found in the store, and later they publish nothing. While
    /// the data is another process's it is remembered for later.
    pub async fn invalidate(&self, target: &Target) {
        for flight in self.flights.invalidate(&Entry::Plain.key(target)) {
            flight.overtake().await;
        }
        self.store.note_change(target);
        for entry in Entry::ALL {
            let key = entry.key(target);
            self.hold_down.forget(&key);
            for object in self.store.lookup(&key).await {
                self.mark(&object).await;
            }
            self.store.forget(&entry.parts_key(target)).await;
        }
    }

    /// Marks one object as not to be used without asking; imported ones stay as they are.
    ///
    /// One that is marked already is marked again: an answer of before this change may be on its way to unmark it.
    pub(super) async fn mark(&self, object: &Arc<Object>) {
        let head = object.head();
        if head.immutable {
            return;
        }
        match self.store.amend(object, marked(head)).await {
            Ok(Some(_)) => self.stats.invalidated.add(1),
            Ok(None) => {}
            // It cannot be marked, and must not be used.
            Err(error) => {
                self.note_store_refusal(&error, &head.url);
                self.store.forget(&head.key).await;
            }
        }
    }

    /// Whether something has come into the entry of `arriving` meanwhile that it must not replace: an operator's
    /// import, or the original behind an immutable URL.
    pub(super) async fn stands_already(
        &self,
        request: &FetchRequest,
        arriving: &ObjectHead,
    ) -> bool {
        let stored = self.store.lookup(&arriving.key).await;
        stored.iter().any(|object| {
            let head = object.head();
            let is_original = request.plan.adjust.immutable
                && head.status == StatusCode::OK
                && head.selection == arriving.selection;
            head.immutable || is_original
        })
    }

    /// What a HEAD response tells of the stored one (RFC 9111 §4.3.5).
    ///
    /// Without a validator an equal length, or none, would make other bytes fresh; with other selecting fields than
    /// those it was chosen by it would be found by requests that it is not for. Neither updates anything.
    pub(super) async fn freshen(
        &self,
        object: &Arc<Object>,
        status: StatusCode,
        fields: &HeaderMap,
        exchange: Exchange,
    ) {
        let head = object.head();
        match revalidation::freshen(&head.headers, object.length(), status, fields) {
            Freshening::Updated(headers) if Vary::of(&headers) != Vary::of(&head.headers) => {
                self.mark(object).await;
            }
            Freshening::Updated(headers) if !revalidation::conditions(fields).is_empty() => {
                let lifetime_max = head.lifetime_max;
                self.update(object, headers, exchange, lifetime_max).await;
            }
            Freshening::Outdated => self.mark(object).await,
            Freshening::Updated(_) | Freshening::Nothing => {}
        }
    }

    /// New fields for an object that its origin vouched for, and what redirects leave of its lifetime now. The object
    /// to go on with: also where the store could not write them down, the bytes hold.
    pub(super) async fn update(
        &self,
        object: &Arc<Object>,
        headers: HeaderMap,
        exchange: Exchange,
        lifetime_max: Option<u64>,
    ) -> Arc<Object> {
        let amendment = Amendment {
            headers: storable_fields(&headers),
            exchange,
            invalidated: false,
            lifetime_max,
            ..Amendment::of(object.head())
        };
        let amended = self.amend(object, amendment).await;
        amended.unwrap_or_else(|| Arc::clone(object))
    }

    async fn amend(&self, object: &Arc<Object>, amendment: Amendment) -> Option<Arc<Object>> {
        match self.store.amend(object, amendment).await {
            Ok(amended) => amended,
            Err(error) => {
                self.note_store_refusal(&error, &object.head().url);
                None
            }
        }
    }

    /// Revalidates a stale object that is served meanwhile. Immutable bytes that their origin has contradicted are left
    /// alone until the operator has decided.
    pub(super) async fn look_after(self: &Arc<Self>, request: &FetchRequest, stale: &StaleObject) {
        let object = &stale.usable.object;
        let is_immutable = request.plan.adjust.immutable || object.head().immutable;
        if is_immutable && self.is_contradicted(request, object).await {
            return;
        }
        self.revalidate_behind(request, stale);
    }

    pub(super) async fn is_contradicted(&self, request: &FetchRequest, object: &Object) -> bool {
        let key = request.conflict_key(object);
        self.rejected.contains_key(&key) || !self.store.lookup(&key).await.is_empty()
    }
}

/// What makes an object be asked about before its next use.
pub(super) fn marked(head: &ObjectHead) -> Amendment {
    Amendment {
        invalidated: true,
        ..Amendment::of(head)
    }
}

impl FetchRequest {
    /// Where bytes are kept that contradict an immutable object.
    pub(super) fn conflict_key(&self, original: &Object) -> CacheKey {
        let entry = if original.head().key == self.key {
            Entry::Plain
        } else {
            Entry::Followed
        };
        entry.conflict_key(&self.resource.target)
    }
}
