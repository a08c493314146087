//! One GET or HEAD, understood and judged.

use super::flight::About;
use crate::object::ObjectHead;
use crate::ports::Interim;
use http::{HeaderMap, HeaderValue, Method, header};
use std::borrow::Cow;
use tokio::sync::mpsc;
use weir_policies::key::CacheKey;
use weir_policies::redirect;
use weir_policies::target::Resource;
use weir_policies::verdict::Plan;

/// Fields that say nothing about what is asked for, or what everybody may ask.
const ORDINARY: [&str; 31] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "cdn-loop",
    "connection",
    "date",
    "dnt",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "pragma",
    "priority",
    "proxy-connection",
    "range",
    "referer",
    "sec-fetch-dest",
    "te",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-real-ip",
    "x-request-id",
];

/// One GET or HEAD, understood and judged.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// Its identity.
    pub key: CacheKey,
    /// What, and where to get it.
    pub resource: Resource,
    /// GET or HEAD.
    pub method: Method,
    /// The client's fields as its rule wants them: what selects a variant is what the origin is asked with.
    pub headers: HeaderMap,
    /// The verdict.
    pub plan: Plan,
    /// Told of the interim responses of a fetch that this request causes.
    pub interim: Option<mpsc::Sender<Interim>>,
}

impl FetchRequest {
    /// A request for `resource` with the client's fields.
    #[must_use]
    pub fn new(resource: Resource, method: Method, headers: &HeaderMap, plan: Plan) -> Self {
        Self {
            key: CacheKey::of("", false, &resource.target),
            resource,
            method,
            headers: by_rule(headers.clone(), &plan),
            plan,
            interim: None,
        }
    }

    /// What a flight for it is about.
    pub(super) fn about(&self) -> About<'_> {
        About {
            plain: self.key,
            target: &self.resource.target,
            follows: self.plan.follows,
        }
    }

    /// Where bytes are kept that were reached through a redirect.
    #[must_use]
    pub fn followed_key(&self) -> CacheKey {
        CacheKey::of("", true, &self.resource.target)
    }

    /// The plan for a response with these fields; rules about sizes and media types have their say.
    #[must_use]
    pub fn plan_for(&self, response: &HeaderMap) -> Cow<'_, Plan> {
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

    /// Whether its fields are those that clients commonly send, so that its failure is anybody's.
    pub(super) fn is_ordinary(&self) -> bool {
        self.headers
            .keys()
            .all(|name| ORDINARY.contains(&name.as_str()))
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

fn by_rule(mut headers: HeaderMap, plan: &Plan) -> HeaderMap {
    if plan.drop_cookie {
        headers.remove(header::COOKIE);
    }
    if plan.identity_only {
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
    }
    headers
}
