//! Where a response may come from, in order: the upstreams of a resource, then its rule's fallbacks. One attempt
//! follows the redirects that are to be followed.
//!
//! Invariants: every hop passes policy (the pure judge here, the address judge in the origin's adapter); credentials
//! never cross origins; attempts, hops and retries are bounded.

use super::{Engine, FetchRequest};
pub(super) use crate::events::without_query;
use crate::ports::{Interim, OriginError, OriginRequest, OriginResponse};
use crate::store::StoreError;
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::mpsc;
use weir_policies::freshness::Exchange;
use weir_policies::redirect::{self, HopBound, RedirectRefusal};
use weir_policies::target::Target;

/// A response, and how it was reached.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) response: OriginResponse,
    pub(crate) exchange: Exchange,
    /// The redirects that were followed, in order: where each led to.
    pub(crate) redirects: Vec<String>,
    /// What the redirects say of storing; `None` when there were none.
    pub(crate) chain: Option<HopBound>,
    /// The upstream that was asked, before any redirect.
    pub(crate) source: Target,
    /// The source is none of the resource's own upstreams.
    pub(crate) is_fallback: bool,
}

impl Asked {
    /// Where it was reached, other than at the URL itself: a fallback, redirects.
    pub(crate) fn places(&self) -> Vec<String> {
        let fallback = self.is_fallback.then(|| self.source.to_string());
        fallback
            .into_iter()
            .chain(self.redirects.iter().cloned())
            .collect()
    }

    /// Whether an object that was reached at `places` came from there, signatures in queries aside.
    pub(crate) fn is_from(&self, places: &[String]) -> bool {
        let here = self.places();
        let last = |places: &[String]| places.last().map(|place| without_query(place).to_owned());
        last(&here) == last(places)
    }
}

/// What is sent, to whichever source.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    /// Who is told of interim responses: the client that causes the fetch.
    pub(crate) interim: Option<mpsc::Sender<Interim>>,
}

/// How much an answer is worth while there are other sources to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// Nothing usable: the connection failed, or the origin is left alone.
    Failure,
    /// An error of the server.
    ServerError,
    /// It does not have it.
    Absent,
    /// What was asked for.
    Answer,
}

impl Engine {
    /// Says once what the store refused; the client is served from upstream. Of a store that is not ours nothing else
    /// was to be expected.
    pub(crate) fn note_store_refusal(&self, error: &StoreError, url: &str) {
        let url = without_query(url);
        if matches!(error, StoreError::Closed) {
            return tracing::debug!(url, "not stored: the store is another process's, or closed");
        }
        self.stats.store_refused.add(1);
        tracing::warn!(url, %error, "not stored, served from upstream");
    }

    /// Asks the sources of a resource in order until one has an answer; the best of the others otherwise.
    pub(crate) async fn ask_upstreams(
        &self,
        request: &FetchRequest,
        asking: &Asking,
    ) -> Result<Asked, OriginError> {
        self.origins.earn();
        let retries_max = self.settings.load().retries_max;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let result = self.ask_each(request, asking).await;
            let error = match result {
                Err(error) if error.may_pass() && attempt <= retries_max => error,
                settled => return settled,
            };
            let Some(pause) = self.origins.pause(attempt) else {
                return Err(error);
            };
            tracing::debug!(attempt, %error, "trying again");
            self.stats.retries.add(1);
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask_each(
        &self,
        request: &FetchRequest,
        asking: &Asking,
    ) -> Result<Asked, OriginError> {
        let mut best: Option<(Worth, Result<Asked, OriginError>)> = None;
        let resource = &request.resource;
        let fallbacks = request.plan.effect.fallback.iter();
        let fallbacks = fallbacks.filter_map(|fallback| fallback.target_of(resource).ok());
        let sources = request.resource.upstreams.iter().cloned().chain(fallbacks);
        for source in sources {
            let result = self.ask_one(request, asking, source).await;
            let worth = worth_of(&result);
            if worth == Worth::Answer {
                return result;
            }
            note_failure(&result);
            if best.as_ref().is_none_or(|(known, _)| worth > *known) {
                best = Some((worth, result));
            }
        }
        let nowhere = || OriginError::NoAddress(resource.target.host().to_owned());
        best.map_or_else(|| Err(nowhere()), |(_, result)| result)
    }

    /// Asks one source and follows where it leads.
    pub(crate) async fn ask_one(
        &self,
        request: &FetchRequest,
        asking: &Asking,
        source: Target,
    ) -> Result<Asked, OriginError> {
        let mut target = source.clone();
        // The upstreams of a mirror are one site to its clients; a fallback is somebody else.
        let is_fallback = !request.resource.upstreams.contains(&source);
        let mut headers = if is_fallback {
            redirect::hop_fields(&asking.headers, &request.resource.target, &source)
        } else {
            asking.headers.clone()
        };
        let mut redirects = Vec::new();
        let mut chain: Option<HopBound> = None;
        loop {
            let sent = OriginRequest {
                method: asking.method.clone(),
                target: target.clone(),
                headers: by_operator(&headers, request, &target),
                interim: asking.interim.clone(),
            };
            let (response, exchange) = self.exchange(sent, is_personal(request)).await?;
            let leads_on = redirect::is_redirect(response.status, &response.headers);
            if !(request.plan.follows && leads_on) {
                return Ok(Asked {
                    response,
                    exchange,
                    redirects,
                    chain,
                    source,
                    is_fallback,
                });
            }
            if redirects.len() >= self.settings.load().redirects_max {
                let reason = "too many redirects in a row, or a circle of them";
                return Err(OriginError::Redirect(target.authority(), reason));
            }
            let adjust = request.plan.adjust;
            let bound =
                redirect::chain_lifetime(response.status, &response.headers, exchange, adjust);
            chain = Some(chain.map_or(bound, |known| known.and(bound)));
            let next = redirect::next(&target, &response.headers)
                .map_err(|refusal| OriginError::Redirect(target.authority(), reason_of(refusal)))?;
            headers = redirect::hop_fields(&headers, &target, &next);
            redirects.push(next.to_string());
            target = next;
        }
    }

    /// One request to one origin that may be asked.
    async fn exchange(
        &self,
        request: OriginRequest,
        personal: Personal,
    ) -> Result<(OriginResponse, Exchange), OriginError> {
        let target = request.target.clone();
        self.origins.admit(&target)?;
        let requested = self.now();
        let result = self.origin.fetch(request).await;
        let responded = self.now();
        match &result {
            // What an origin thinks of one client is nothing to the others.
            Ok(_) if personal == Personal::Yes => {}
            Ok(response) => self
                .origins
                .answered(&target, response.status, &response.headers),
            Err(error) if error.is_about_the_origin() => self.origins.failed(&target),
            Err(_) => {}
        }
        let exchange = Exchange {
            requested,
            responded,
        };
        result.map(|response| (response, exchange))
    }
}

/// Whether a request speaks for one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Personal {
    Yes,
    No,
}

fn is_personal(request: &FetchRequest) -> Personal {
    if request.plan.shared {
        Personal::No
    } else {
        Personal::Yes
    }
}

/// The fields that a rule sets go to the origins that the rule is about, whatever the client or the sharing of a fetch
/// has left of them, and nowhere else.
fn by_operator(headers: &HeaderMap, request: &FetchRequest, target: &Target) -> HeaderMap {
    let mut headers = headers.clone();
    let place = |target: &Target| (target.scheme(), target.authority());
    let mut own = request.resource.upstreams.iter();
    let is_own = own.any(|upstream| place(upstream) == place(target));
    for (name, value) in &request.plan.effect.headers {
        match value {
            Some(value) if is_own => headers.insert(name, value.clone()),
            Some(_) => None,
            None => headers.remove(name),
        };
    }
    headers
}

fn reason_of(refusal: RedirectRefusal) -> &'static str {
    match refusal {
        RedirectRefusal::Location => "it has no usable Location",
        RedirectRefusal::Downgrade => "it leads to a weaker scheme, like from https to http",
        RedirectRefusal::MetadataService => "it leads to a metadata service",
    }
}

fn worth_of(result: &Result<Asked, OriginError>) -> Worth {
    match result {
        Err(_) => Worth::Failure,
        Ok(asked) => match asked.response.status {
            status if status.is_server_error() => Worth::ServerError,
            StatusCode::TOO_MANY_REQUESTS => Worth::ServerError,
            StatusCode::NOT_FOUND | StatusCode::GONE => Worth::Absent,
            _ => Worth::Answer,
        },
    }
}

fn note_failure(result: &Result<Asked, OriginError>) {
    if let Err(error) = result {
        tracing::info!(%error, "this source failed");
    }
}
