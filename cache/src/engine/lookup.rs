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
        let mut newest: Option<(Arc<Object>, Reuse)> = None;
        for object in self.store.lookup(key).await {
            let head = object.head();
            if has_credentials && !may_answer_credentials(&head.headers, request.plan.adjust) {
                continue;
            }
            if !request.accepts(head) || !is_as_expected(request, &object) {
                continue;
            }
            let reuse = decide(request, head, &request.plan.directives, self.now());
            if reuse == Reuse::Mismatch {
                continue;
            }
            // RFC 9111 §4: of several the most recent one, also where an older one would still be fresh.
            let answered = |object: &Object| object.head().exchange.responded;
            if newest
                .as_ref()
                .is_none_or(|(known, _)| answered(&object) > answered(known))
            {
                newest = Some((object, reuse));
            }
        }
        match newest {
            Some((object, Reuse::Fresh { age, ttl })) => Found::Fresh(Usable { object, age, ttl }),
            Some((object, Reuse::Stale { age, may, .. })) => {
                let head = object.head();
                let ttl = head.ttl(request.plan_for(&head.headers).adjust, age);
                let usable = Usable { object, age, ttl };
                Found::Stale(StaleObject { usable, may })
            }
            Some((_, Reuse::Mismatch)) | None => Found::Nothing,
        }
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

/// An object that was stored before its rule expected a digest is used only where its own says that it is the one.
fn is_as_expected(request: &FetchRequest, object: &Object) -> bool {
    let expected = request.plan.effect.verify;
    let found = object.digests();
    expected
        .sha256
        .is_none_or(|sha256| found.sha256 == Some(sha256))
        && expected.md5.is_none_or(|md5| found.md5 == Some(md5))
}

/// RFC 9111 §3.5: only a response that says so may answer a request with credentials.
fn may_answer_credentials(headers: &HeaderMap, adjust: Adjust) -> bool {
    let directives = freshness::directives(headers, adjust);
    directives.public || directives.must_revalidate || directives.s_maxage.is_some()
}
