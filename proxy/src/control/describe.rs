//! An object in words, as one request would see it at one moment.

use super::shown::{Conflict, SelectingField, StoredObject};
use crate::access_log::rfc3339;
use crate::gateway::Gateway;
use http::header::{ETAG, HeaderName, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, Method};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_cache::engine::{self, FetchRequest, hex};
use weir_cache::object::ObjectHead;
use weir_cache::store::Object;
use weir_policies::cache_control::RequestDirectives;
use weir_policies::freshness::{self, Adjust, LifetimeSource};
use weir_policies::reuse::{self, Reuse, StaleReason, StaleUse};
use weir_policies::target::{Resource, Target};
use weir_policies::time::UnixSeconds;
use weir_policies::vary::Selection;
use weir_policies::verdict::Verdict;

/// The request that objects are held against.
pub(super) struct Viewer {
    pub(super) headers: HeaderMap,
    /// The request as the cache would take it; `None` where it would not, and the standard is held against objects.
    pub(super) request: Option<FetchRequest>,
    pub(super) now: SystemTime,
}

/// What reuse says of an object.
struct Judged {
    verdict: &'static str,
    reason: Option<&'static str>,
    may: StaleUse,
}

impl Viewer {
    /// Who asks `gateway` for `resource` with these fields.
    pub(super) fn of(gateway: &Gateway, headers: HeaderMap, resource: &Resource) -> Self {
        let judged = gateway.judge_get(&headers, resource);
        let request = match judged {
            Verdict::Cache(plan) => gateway.overlaid(resource, plan).ok(),
            Verdict::Refuse(_) | Verdict::Pass | Verdict::Purge => None,
        };
        let request = request
            .map(|plan| gateway.fetch_request(resource.clone(), Method::GET, &headers, plan));
        Self {
            headers: match &request {
                Some(request) => request.headers.clone(),
                None => headers,
            },
            request,
            now: gateway.clock.wall(),
        }
    }

    /// What the rules say of an object: some have a look at it first.
    fn adjust(&self, head: &ObjectHead) -> Adjust {
        let request = self.request.as_ref();
        request.map_or_else(Adjust::default, |request| {
            request.plan_for(&head.headers).adjust
        })
    }

    pub(super) fn object(&self, object: &Object) -> StoredObject {
        let head = object.head();
        let now = UnixSeconds::from(self.now);
        let (lifetime_seconds, lifetime_source) = self.lifetime(head);
        let judged = self.judge(head, now);
        let digest = |digest: Option<&[u8]>| digest.map(hex);
        StoredObject {
            sequence: object.sequence().0,
            status: head.status.as_u16(),
            length_bytes: object.length(),
            url_as_asked: head.url_as_asked.clone(),
            stored_at: rfc3339(head.stored_at),
            requested_at: rfc3339(moment(head.exchange.requested)),
            responded_at: rfc3339(moment(head.exchange.responded)),
            upstream: head.upstream.map(|address| address.to_string()),
            age_seconds: freshness::current_age(&head.headers, head.exchange, now),
            lifetime_seconds,
            lifetime_source: lifetime_source.to_owned(),
            verdict: judged.verdict.to_owned(),
            stale_reason: judged.reason.map(str::to_owned),
            stale_while_revalidate: judged.may.while_revalidating,
            stale_if_error: judged.may.on_error,
            etag: field(&head.headers, &ETAG),
            last_modified: field(&head.headers, &LAST_MODIFIED),
            sha256: digest(object.digests().sha256.as_ref().map(|bytes| &bytes[..])),
            md5: digest(object.digests().md5.as_ref().map(|bytes| &bytes[..])),
            redirects: head.redirects.clone(),
            pinned: head.pinned,
            immutable: head.immutable,
            immutable_by_rule: self.adjust(head).immutable,
            invalidated: head.invalidated,
            conflict_of: head.conflict_of.map(|original| original.0),
            selection: selection(&head.selection),
            tags: head.tags.clone(),
            fields: fields(&head.headers),
        }
    }

    pub(super) fn conflict(&self, target: &Target, conflict: &engine::Conflict) -> Conflict {
        Conflict {
            entry: conflict.entry.as_str().to_owned(),
            key: hex(conflict.entry.conflict_key(target).as_bytes()),
            original: conflict
                .original
                .as_ref()
                .map(|original| self.object(original)),
            changed: self.object(&conflict.changed),
        }
    }

    fn lifetime(&self, head: &ObjectHead) -> (u64, &'static str) {
        if head.immutable {
            return (0, "imported");
        }
        let adjust = self.adjust(head);
        let own = freshness::lifetime(head.status, &head.headers, head.exchange, adjust);
        match head.lifetime_max {
            Some(bound) if bound < own.seconds && !adjust.immutable => (bound, "redirects"),
            Some(_) | None => (own.seconds, lifetime_word(own.source)),
        }
    }

    fn judge(&self, head: &ObjectHead, now: UnixSeconds) -> Judged {
        let directives = RequestDirectives::of(&self.headers);
        let stored = head.stored();
        let (verdict, reason, may) =
            match reuse::decide(&self.headers, &directives, &stored, self.adjust(head), now) {
                Reuse::Fresh { .. } => ("fresh", None, StaleUse::default()),
                Reuse::Stale { why, may, .. } => ("stale", Some(stale_word(why)), may),
                Reuse::Mismatch => ("mismatch", None, StaleUse::default()),
            };
        Judged {
            verdict,
            reason,
            may,
        }
    }
}

fn lifetime_word(source: LifetimeSource) -> &'static str {
    match source {
        LifetimeSource::SMaxAge => "s-maxage",
        LifetimeSource::MaxAge => "max-age",
        LifetimeSource::Expires => "expires",
        LifetimeSource::Heuristic => "heuristic",
        LifetimeSource::Cdn => "cdn-cache-control",
        LifetimeSource::Rule => "rule",
        LifetimeSource::RuleMin => "rule-ttl-min",
        LifetimeSource::RuleMax => "rule-ttl-max",
        LifetimeSource::None => "none",
    }
}

fn stale_word(why: StaleReason) -> &'static str {
    match why {
        StaleReason::Forbidden => "response-forbids",
        StaleReason::Expired => "expired",
        StaleReason::ResponseNoCache => "response-no-cache",
        StaleReason::RequestDirective => "request-directive",
        StaleReason::Invalidated => "invalidated",
    }
}

/// A value as text; bytes that are none are replaced.
pub(super) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn field(fields: &HeaderMap, name: &HeaderName) -> Option<String> {
    fields
        .get(name)
        .map(|value: &HeaderValue| text(value.as_bytes()))
}

fn fields(fields: &HeaderMap) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
        .collect()
}

fn selection(selection: &Selection) -> Vec<SelectingField> {
    selection
        .0
        .iter()
        .map(|(name, value)| SelectingField {
            name: name.clone(),
            value: value.as_deref().map(text),
        })
        .collect()
}

pub(super) fn moment(seconds: UnixSeconds) -> SystemTime {
    let since = Duration::from_secs(u64::try_from(seconds.0).unwrap_or(0));
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}
