//! What the index holds for a request, and what it may be used for.
//!
//! A client whose form follows redirects looks for the plain entry first and, where that is absent or a redirect
//! itself, for the entry that was reached through redirects.

use super::{Answer, Engine, FetchRequest};
use crate::object::ObjectHead;
use crate::store::Object;
use http::HeaderMap;
use std::sync::Arc;
use weir_policies::cache_control::RequestDirectives;
use weir_policies::credentials;
use weir_policies::freshness::{self, Adjust};
use weir_policies::key::CacheKey;
use weir_policies::outcome::Outcome;
use weir_policies::reuse::{self, Reuse, StaleUse};
use weir_policies::time::UnixSeconds;

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
        let has_credentials = credentials::are_in(&request.headers);
        let mut stale: Option<StaleObject> = None;
        for object in self.store.lookup(key).await {
            let head = object.head();
            if has_credentials && !may_answer_credentials(&head.headers, request.plan.adjust) {
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

/// The decision for stored objects and running fills alike.
pub(super) fn decide(
    request: &FetchRequest,
    head: &ObjectHead,
    directives: &RequestDirectives,
    now: UnixSeconds,
) -> Reuse {
    let adjust = request.plan_for(&head.headers).adjust;
    reuse::decide(&request.headers, directives, &head.stored(), adjust, now)
}

/// RFC 9111 §3.5: only a response that says so may answer a request with credentials.
fn may_answer_credentials(headers: &HeaderMap, adjust: Adjust) -> bool {
    let directives = freshness::directives(headers, adjust);
    directives.public || directives.must_revalidate || directives.s_maxage.is_some()
}
