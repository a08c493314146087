//! Redirect mode: whoever asks for something that is not cached is sent to its upstream, and the bytes come here, if
//! at all, behind the client's back.
//!
//! Whether to redirect is decided before Range and conditions are looked at: they go with the client. A hit is
//! answered as every other hit is. HEAD is treated as GET, its fetch included, as the original cache-proxy does.
//!
//! Streamed all the same:
//! - forward-proxy requests: their own URL is the one that they would be sent to, and they would come straight back;
//! - requests with credentials: clients do not take those along to another host;
//! - `only-if-cached`, which asks for no upstream at all.
//!
//! A fetch that fails is no reason not to redirect: the client sees for itself what its upstream says.

use super::cache_proxy::PROHIBITED;
use super::{Turn, Turned};
use crate::conf::CacheProxySettings;
use crate::error_page::{ASK_THE_OPERATOR, Cause};
use crate::front::Flow;
use crate::front::conn::Conn;
use http::{HeaderMap, Method, header};
use std::sync::Arc;
use weir_cache::engine::{Failure, FetchRequest, WarmFill, WarmHead, Warmed};
use weir_cache::ports::OriginError;
use weir_cache::store::Object;
use weir_policies::credentials;
use weir_policies::effect::MissMode;
use weir_policies::outcome::Outcome;
use weir_policies::target::{Form, Resource, Target};
use weir_policies::verdict::Plan;

/// Where a client is sent on a miss.
#[derive(Debug)]
struct Elsewhere {
    location: String,
    fetch: Fetch,
}

/// What happens behind a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetch {
    Nothing,
    /// One fill, however many ask.
    Once,
}

/// What the cache says to somebody who would be redirected.
enum Found {
    Fresh(Arc<Object>, u64, i64),
    Nothing,
    TooLarge { limit: u64 },
}

impl Turn<'_> {
    /// Something that may be cached: streamed, or answered in redirect mode.
    pub(super) async fn cached(
        &mut self,
        conn: &mut Conn,
        mut resource: Resource,
        plan: Plan,
    ) -> Turned {
        let cache_proxy = self.cache_proxy();
        let Ok(plan) = self.gateway.overlaid(&resource, plan) else {
            let cause = Cause::with_advice(PROHIBITED, ASK_THE_OPERATOR);
            return self.refuse(conn, 400, "suffix", cause).await;
        };
        let elsewhere = elsewhere(&resource, &plan, &self.request.headers, cache_proxy);
        Turned::Answered(match elsewhere {
            None => self.fetch(conn, resource, plan).await,
            Some(mut elsewhere) => {
                if cache_proxy.is_some_and(|settings| settings.proxy_url.is_some()) {
                    elsewhere.fetch_there(&mut resource);
                }
                self.redirected(conn, resource, plan, elsewhere).await
            }
        })
    }

    /// Where this request is one to openEuler's cache-proxy: its settings.
    pub(super) fn cache_proxy(&self) -> Option<&CacheProxySettings> {
        let settings = self.gateway.cache_proxy.as_ref();
        settings.filter(|_| self.record.form == Some(Form::Download))
    }

    async fn redirected(
        &mut self,
        conn: &mut Conn,
        resource: Resource,
        plan: Plan,
        elsewhere: Elsewhere,
    ) -> Flow {
        self.record.rule.clone_from(&plan.effect.rule);
        let host = resource.target.host().to_owned();
        let request = FetchRequest {
            // A HEAD that starts a fetch starts one of the whole.
            method: Method::GET,
            ..self.fetch_request(resource, plan)
        };
        let found = match elsewhere.fetch {
            Fetch::Nothing => self.peek(&request).await,
            Fetch::Once => self.warm(&request).await,
        };
        self.note_first_byte();
        match found {
            Found::Fresh(object, age, ttl) => {
                self.record.outcome = Outcome::Hit;
                self.stored(conn, &object, age, ttl).await
            }
            Found::Nothing => self.redirect_to(conn, elsewhere.location).await,
            Found::TooLarge { limit } => {
                let error = OriginError::TooLarge(host, limit);
                self.failed(conn, &Failure::Origin(error)).await
            }
        }
    }

    async fn peek(&self, request: &FetchRequest) -> Found {
        let found = self.gateway.engine.peek(request).await;
        found.map_or(Found::Nothing, |(object, age, ttl)| {
            Found::fresh(request, object, age, ttl)
        })
    }

    async fn warm(&mut self, request: &FetchRequest) -> Found {
        match self.gateway.engine.warm(request).await {
            Warmed::Cached(object, age, ttl) => Found::fresh(request, object, age, ttl),
            Warmed::Filling(fill) => self.filling(request, &fill).await,
            Warmed::Failed(failure) => self.fetch_failed(&failure),
            Warmed::Full => {
                self.record.detail = Some("fills-full");
                Found::Nothing
            }
        }
    }

    /// A fill that is under way is waited for only where its size may be a reason to refuse, and no longer than its
    /// head takes.
    async fn filling(&mut self, request: &FetchRequest, fill: &WarmFill) -> Found {
        if request.plan.effect.size_max.is_none() {
            return Found::Nothing;
        }
        match fill.head().await {
            WarmHead::Storing { .. } | WarmHead::NotStored => Found::Nothing,
            WarmHead::TooLarge { limit, .. } => Found::TooLarge { limit },
            WarmHead::Failed(failure) => self.fetch_failed(&failure),
        }
    }

    fn fetch_failed(&mut self, failure: &Failure) -> Found {
        match failure {
            Failure::Origin(OriginError::TooLarge(_, limit)) => Found::TooLarge { limit: *limit },
            Failure::Origin(error) => {
                self.record.detail = Some(error.as_str());
                Found::Nothing
            }
            Failure::Status(answer) => {
                self.record.detail = Some(answer.reason.as_str());
                Found::Nothing
            }
        }
    }
}

impl Elsewhere {
    /// Fetches from where the client is sent: a second cache is there for both.
    fn fetch_there(&mut self, resource: &mut Resource) {
        match Target::parse(&self.location) {
            Ok(second) => resource.upstreams = vec![second],
            // Together they are longer than a target may be.
            Err(_) => self.fetch = Fetch::Nothing,
        }
    }
}

impl Found {
    /// An object that came here another way may be larger than this one allows.
    fn fresh(request: &FetchRequest, object: Arc<Object>, age: u64, ttl: i64) -> Self {
        match request.plan.effect.size_max {
            Some(limit) if object.length() > limit => Self::TooLarge { limit },
            _ => Self::Fresh(object, age, ttl),
        }
    }
}

/// Where a miss is sent; `None`: nowhere, it is streamed.
fn elsewhere(
    resource: &Resource,
    plan: &Plan,
    headers: &HeaderMap,
    cache_proxy: Option<&CacheProxySettings>,
) -> Option<Elsewhere> {
    let has_credentials = credentials::are_in(headers) || headers.contains_key(header::COOKIE);
    if resource.form == Form::Forward || has_credentials || plan.directives.only_if_cached {
        return None;
    }
    let fetch = match plan.effect.miss {
        MissMode::Stream => return None,
        MissMode::Redirect => Fetch::Nothing,
        // What must not be shared is not fetched for others.
        MissMode::RedirectAndFetch if !plan.shared => Fetch::Nothing,
        MissMode::RedirectAndFetch => Fetch::Once,
    };
    let upstream = resource.upstreams.first()?;
    let location = match cache_proxy {
        Some(settings) => settings.location(upstream),
        None => upstream.to_string(),
    };
    Some(Elsewhere { location, fetch })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_policies::effect::Effect;
    use weir_policies::rules::{RuleSpec, Rules};
    use weir_policies::target::{Asked, Forms, ask};
    use weir_policies::verdict::{PurgeRight, Verdict, judge};

    /// Where a GET of `target` with one more field goes under a rule for everything.
    fn decided(miss: MissMode, target: &str, field: &str) -> Option<(String, Fetch)> {
        let forms = Forms {
            path_forms: true,
            ..Forms::default()
        };
        let Ok(Asked::Resource(resource)) = ask(&Method::GET, target, &forms) else {
            panic!("{target} is not a resource")
        };
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = field.split_once(": ") {
            let name: header::HeaderName = name.parse().unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        let rule = RuleSpec {
            name: "elsewhere".to_owned(),
            effect: Effect {
                miss,
                ..Effect::default()
            },
            ..RuleSpec::default()
        };
        let rules = Arc::new(Rules::compile(vec![rule]).unwrap());
        let denied = PurgeRight::Denied;
        let verdict = judge(&Method::GET, &headers, &resource, &rules, "node", denied);
        let Verdict::Cache(plan) = verdict else {
            panic!("{target} is not cached")
        };
        elsewhere(&resource, &plan, &headers, None).map(|found| (found.location, found.fetch))
    }

    #[test]
    fn form_mode_and_request_decide_between_stream_and_redirect() {
        let check = |miss, target: &str, field: &str, expected: Option<Fetch>| {
            let expected = expected.map(|fetch| ("http://h/f?x=1".to_owned(), fetch));
            assert_eq!(decided(miss, target, field), expected, "{target} {field}");
        };
        let (download, path) = ("/download/http://H:80/f?x=1", "/http/h/f?x=1");
        check(MissMode::Stream, download, "", None);
        check(MissMode::Redirect, download, "", Some(Fetch::Nothing));
        check(MissMode::Redirect, path, "", Some(Fetch::Nothing));
        let fetched = MissMode::RedirectAndFetch;
        check(fetched, download, "", Some(Fetch::Once));
        check(fetched, path, "", Some(Fetch::Once));
        check(fetched, "http://h/f?x=1", "", None);
        check(fetched, download, "range: bytes=0-1", Some(Fetch::Once));
        check(fetched, download, "if-none-match: \"x\"", Some(Fetch::Once));
        check(
            fetched,
            download,
            "cache-control: no-store",
            Some(Fetch::Nothing),
        );
        check(fetched, download, "cache-control: only-if-cached", None);
        check(fetched, download, "authorization: Basic eDp5", None);
        check(fetched, download, "x-jfrog-art-api: key", None);
        check(fetched, download, "cookie: a=b", None);
    }
}
