//! `weir explain`: how a GET of a URL would be treated, and what is stored to answer it with.
//!
//! Nothing is fetched and nothing changes. What became of the last response is remembered by the engine, for a while.

use super::describe::{Viewer, moment};
use super::protocol::Question;
use super::shown::{Entry, Explanation, LastResponse, Rule};
use super::{Refused, subject};
use crate::access_log::rfc3339;
use crate::gateway::{Gateway, Prohibited};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::SystemTime;
use weir_cache::engine::{self, hex};
use weir_cache::store::Object;
use weir_policies::effect::{Effect, MissMode, RangeMiss, StoreRule};
use weir_policies::target::{Resource, Target};
use weir_policies::time::UnixSeconds;
use weir_policies::verdict::{Plan, Verdict};

/// How a request would be treated.
struct Decision {
    word: &'static str,
    reason: Option<String>,
}

pub(super) async fn explain(
    gateway: &Gateway,
    question: &Question,
) -> Result<Explanation, Refused> {
    let resource = subject::read(&question.url, question.form.into(), &gateway.forms)?;
    let headers = request_fields(&question.headers)?;
    let decision = decide(gateway, &headers, &resource);
    let viewer = Viewer::of(gateway, headers, &resource);
    let plan = viewer.request.as_ref().map(|request| &request.plan);
    let effect = plan.map_or_else(
        || gateway.rules.effect(&resource),
        |plan| plan.effect.clone(),
    );
    let last_response = gateway
        .engine
        .last_response(&engine::Entry::Plain.key(&resource.target));
    let target = &resource.target;
    let holdings = gateway.engine.holdings(target).await;
    let conflicts = gateway.engine.conflicts(target).await;
    Ok(Explanation {
        decision: decision.word.to_owned(),
        reason: decision.reason,
        follows_redirects: viewer
            .request
            .as_ref()
            .is_some_and(|request| request.plan.follows),
        rule: Rule {
            waiting: gateway
                .rules
                .waiting(&resource)
                .map(str::to_owned)
                .collect(),
            cache_proxy: plan.is_some_and(|plan| plan.overlay.is_some()),
            ..rule(&effect)
        },
        entries: vec![
            entry(&viewer, engine::Entry::Plain, target, &holdings.plain),
            entry(&viewer, engine::Entry::Followed, target, &holdings.followed),
        ],
        conflicts: conflicts
            .iter()
            .map(|conflict| viewer.conflict(target, conflict))
            .collect(),
        last_response: last_response.map(|last| last_shown(&last, viewer.now)),
        target: target.to_string(),
        upstreams: resource.upstreams.iter().map(Target::to_string).collect(),
        form: resource.form.as_str().to_owned(),
        url: resource.as_asked,
    })
}

fn entry(viewer: &Viewer, entry: engine::Entry, target: &Target, objects: &[Arc<Object>]) -> Entry {
    Entry {
        entry: entry.as_str().to_owned(),
        key: hex(entry.key(target).as_bytes()),
        objects: objects.iter().map(|object| viewer.object(object)).collect(),
    }
}

fn request_fields(fields: &[(String, String)]) -> Result<HeaderMap, Refused> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let read = HeaderName::from_bytes(name.as_bytes()).ok();
        let read = read.zip(HeaderValue::from_str(value).ok());
        // The value may be a secret.
        let (field, value) = read.ok_or_else(|| format!("{name}: not a request field"))?;
        let room = headers.try_append(field, value);
        room.map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(headers)
}

fn decide(gateway: &Gateway, headers: &HeaderMap, resource: &Resource) -> Decision {
    match gateway.judge_get(headers, resource) {
        Verdict::Refuse(refusal) => Decision {
            word: "refuse",
            reason: Some(format!("{} {}", refusal.status(), refusal.as_str())),
        },
        // A GET is no PURGE.
        Verdict::Pass | Verdict::Purge => Decision {
            word: "pass",
            reason: None,
        },
        Verdict::Cache(plan) => cached(gateway.overlaid(resource, plan)),
    }
}

fn cached(plan: Result<Plan, Prohibited>) -> Decision {
    match plan {
        Err(Prohibited) => Decision {
            word: "refuse",
            reason: Some("400 suffix".to_owned()),
        },
        Ok(plan) if plan.shared => Decision {
            word: "shared",
            reason: None,
        },
        Ok(plan) if plan.effect.store == StoreRule::Never => Decision {
            word: "alone",
            reason: Some("the rule says store = \"never\"".to_owned()),
        },
        Ok(_) => Decision {
            word: "alone",
            reason: Some("the request has credentials or says no-store".to_owned()),
        },
    }
}

fn rule(effect: &Effect) -> Rule {
    let mut effects = stored_by_rule(effect);
    effects.extend(fetched_by_rule(effect));
    Rule {
        name: effect.rule.clone(),
        effects,
        waiting: Vec::new(),
        cache_proxy: false,
    }
}

fn last_shown(last: &engine::LastResponse, now: SystemTime) -> LastResponse {
    let age = UnixSeconds::from(now).0.saturating_sub(last.at.0);
    LastResponse {
        at: rfc3339(moment(last.at)),
        age_seconds: u64::try_from(age).unwrap_or(0),
        status: last.status.map(|status| status.as_u16()),
        fate: last.fate.as_str().to_owned(),
        reason: last.fate.detail().map(str::to_owned),
        words: last.fate.in_words(),
    }
}

/// What a rule says of storing and freshness.
fn stored_by_rule(effect: &Effect) -> Vec<String> {
    let Effect { store, adjust, .. } = effect;
    let seconds = |name: &str, value: Option<u64>| value.map(|value| format!("{name} = {value} s"));
    let said = |name: &str, is_said: bool| is_said.then(|| name.to_owned());
    let overrides = &adjust.overrides;
    let negative = Some(effect.negative_ttl).filter(|seconds| *seconds > 0);
    [
        said("store = never", *store == StoreRule::Never),
        said("immutable", adjust.immutable),
        seconds("ttl_default", adjust.ttl_default),
        seconds("ttl_min", adjust.ttl_min),
        seconds("ttl_max", adjust.ttl_max),
        seconds("stale_for", adjust.stale_for),
        seconds("negative_ttl", negative),
        said("override no-store", overrides.no_store),
        said("override no-cache", overrides.no_cache),
        said("override private", overrides.private),
        said("override set-cookie", overrides.set_cookie),
        said("cdn", adjust.cdn),
        said("pin", effect.pin),
        effect
            .size_max
            .map(|bytes| format!("limit = {bytes} bytes")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a rule says of fetching. Of fields that are set only the names: a value may be a credential.
fn fetched_by_rule(effect: &Effect) -> Vec<String> {
    let miss = match effect.miss {
        MissMode::Stream => None,
        MissMode::Redirect => Some("miss = redirect".to_owned()),
        MissMode::RedirectAndFetch => Some("miss = redirect+fetch".to_owned()),
    };
    let range_miss = match effect.range_miss {
        RangeMiss::Whole => None,
        RangeMiss::Part => Some("range_miss = part".to_owned()),
    };
    let follow = effect
        .follow_redirects
        .map(|follow| format!("follow_redirects = {follow}"));
    let verify = &effect.verify;
    let sha256 = verify
        .sha256
        .map(|digest| format!("verify sha256 = {}", hex(&digest)));
    let md5 = verify
        .md5
        .map(|digest| format!("verify md5 = {}", hex(&digest)));
    let fallbacks = effect.fallback.iter();
    let fallbacks = fallbacks.map(|base| format!("fallback = {base}"));
    let headers = effect.headers.iter().map(|(name, value)| {
        let done = if value.is_some() { "set" } else { "removed" };
        format!("header {name} {done}")
    });
    [miss, range_miss, follow, sha256, md5]
        .into_iter()
        .flatten()
        .chain(fallbacks)
        .chain(headers)
        .collect()
}
