//! What the index holds for a request, and what it may be used for.
//!
//! A client whose form follows redirects looks for the plain entry first and, where that is absent or a redirect
//! itself, for the entry that was reached through redirects.

use super::{Answer, Engine, FetchRequest};
use crate::object::ObjectHead;
use crate::store::Object;
use http::{HeaderMap, header};
use std::borrow::Cow;
use std::sync::Arc;
use weir_policies::cache_control::{RequestDirectives, ResponseDirectives};
use weir_policies::key::CacheKey;
use weir_policies::outcome::Outcome;
use weir_policies::redirect;
use weir_policies::reuse::{self, Reuse, StaleUse, Stored};
use weir_policies::time::UnixSeconds;
use weir_policies::verdict::Plan;

/// A stored object that may answer.
#[derive(Debug, Clone)]
pub(super) struct Usable {
    pub(super) object: Arc<Object>,
    pub(super) age: u64,
    /// Seconds of freshness left.
    pub(super) ttl: i64,
}

/// A stored object that matches and is too old.
#[derive(Debug, Clone)]
pub(super) struct StaleObject {
    pub(super) usable: Usable,
    pub(super) may: StaleUse,
}

/// What the index holds for a request.
pub(super) enum Found {
    Fresh(Usable),
    Stale(StaleObject),
    Nothing,
}

impl Usable {
    pub(super) fn answer(self, outcome: Outcome) -> Answer {
        Answer::Stored {
            object: self.object,
            age: self.age,
            ttl: self.ttl,
            outcome,
        }
    }
}

impl Engine {
    /// The best stored object for a request, without any fetch.
    pub(super) async fn look_up(&self, request: &FetchRequest) -> Found {
        let plain = self.look_up_under(request, &request.key).await;
        if !request.plan.follows || !matches!(plain, Found::Nothing) {
            return plain;
        }
        self.look_up_under(request, &request.followed_key()).await
    }

    async fn look_up_under(&self, request: &FetchRequest, key: &CacheKey) -> Found {
        let has_credentials = request.headers.contains_key(header::AUTHORIZATION);
        let mut stale: Option<StaleObject> = None;
        for object in self.store.lookup(key).await {
            let head = object.head();
            if has_credentials && !may_answer_credentials(&head.headers) {
                continue;
            }
            if !request.accepts(head) {
                continue;
            }
            let directives = &request.plan.directives;
            match decide(request, head, directives, self.now()) {
                Reuse::Fresh { age, ttl } => return Found::Fresh(Usable { object, age, ttl }),
                Reuse::Stale { age, may, .. } if stale.is_none() => {
                    let adjust = request.plan_for(&head.headers).adjust;
                    let ttl = head.ttl(adjust, age);
                    let usable = Usable { object, age, ttl };
                    stale = Some(StaleObject { usable, may });
                }
                Reuse::Stale { .. } | Reuse::Mismatch => {}
            }
        }
        stale.map_or(Found::Nothing, Found::Stale)
    }

    /// A stored object that the origin has just vouched for, or that stands in for it: as it is now.
    pub(super) fn measure(&self, request: &FetchRequest, object: Arc<Object>) -> Usable {
        let head = object.head();
        let age = head.age(self.now());
        let ttl = head.ttl(request.plan_for(&head.headers).adjust, age);
        Usable { object, age, ttl }
    }

    pub(super) fn now(&self) -> UnixSeconds {
        UnixSeconds::from(self.clock.wall())
    }
}

impl FetchRequest {
    /// Where bytes are kept that were reached through a redirect.
    #[must_use]
    pub fn followed_key(&self) -> CacheKey {
        CacheKey::of("", true, &self.resource.target)
    }

    /// The plan for a response with these fields; rules about sizes and media types have their say.
    pub(super) fn plan_for(&self, response: &HeaderMap) -> Cow<'_, Plan> {
        let mut plan = self.plan.refined(&self.resource, response);
        if plan.adjust.stale_for.is_none() && self.plan.adjust.stale_for.is_some() {
            plan.to_mut().adjust.stale_for = self.plan.adjust.stale_for;
        }
        plan
    }

    /// Goes on with the plan for a response with these fields.
    pub(super) fn refine(&mut self, response: &HeaderMap) {
        if let Cow::Owned(refined) = self.plan_for(response) {
            self.plan = refined;
        }
    }

    /// Whether an object under one of this request's keys is of the kind that it wants: who follows redirects wants
    /// what is behind them, who does not wants nothing that was reached through one.
    pub(super) fn accepts(&self, head: &ObjectHead) -> bool {
        if self.plan.follows {
            !redirect::is_redirect(head.status, &head.headers)
        } else {
            head.key == self.key
        }
    }
}

/// The decision for stored objects and running fills alike.
pub(super) fn decide(
    request: &FetchRequest,
    head: &ObjectHead,
    directives: &RequestDirectives,
    now: UnixSeconds,
) -> Reuse {
    let stored = Stored {
        status: head.status,
        headers: &head.headers,
        exchange: head.exchange,
        selection: &head.selection,
        invalidated: head.invalidated,
        immutable: head.immutable,
        lifetime_max: head.lifetime_max,
    };
    let adjust = request.plan_for(&head.headers).adjust;
    reuse::decide(&request.headers, directives, &stored, adjust, now)
}

/// RFC 9111 §3.5: only a response that says so may answer a request with credentials.
fn may_answer_credentials(headers: &HeaderMap) -> bool {
    let directives = ResponseDirectives::of(headers);
    directives.public || directives.must_revalidate || directives.s_maxage.is_some()
}
