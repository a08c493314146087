//! From an answer of the engine to the response of one request.
//!
//! Interim responses go to the client while the engine is still asking (RFC 9110 §15.2); whatever a client is told
//! afterwards comes from one [`Answer`].

use super::{Gateway, Turn};
use crate::error_page::Cause;
use crate::front::conn::Conn;
use crate::front::{Flow, Request, Version};
use crate::respond::Response;
use crate::respond::body::Source;
use crate::respond::head::interim_head;
use http::{HeaderMap, Method, StatusCode, header};
use std::sync::Arc;
use tokio::sync::mpsc;
use weir_cache::engine::{Answer, Assembly, FetchRequest};
use weir_cache::ports::{Framing, Interim, OriginResponse};
use weir_cache::store::Object;
use weir_policies::freshness::{self, Exchange};
use weir_policies::outcome::Outcome;
use weir_policies::target::Resource;
use weir_policies::time::UnixSeconds;
use weir_policies::verdict::{self, Plan, PurgeRight, Verdict};

/// Interim responses on their way to a client; the adapter sends no more than these for one fetch.
const INTERIM_MAX: usize = 10;

/// Nobody was asked, so nobody was too slow, as a 504 otherwise says.
const NOT_CACHED: Cause<'_> = Cause::with_advice(
    "the request says only-if-cached and nothing usable is cached",
    "Ask without only-if-cached to have it fetched; the upstream was not asked.",
);

impl Gateway {
    /// What is done with a request of a client that may, or may not, purge.
    pub(crate) fn judge(
        &self,
        method: &Method,
        headers: &HeaderMap,
        resource: &Resource,
        purging: PurgeRight,
    ) -> Verdict {
        verdict::judge(method, headers, resource, &self.rules, &self.node, purging)
    }

    /// What would be done with a GET, whoever asks.
    pub(crate) fn judge_get(&self, headers: &HeaderMap, resource: &Resource) -> Verdict {
        self.judge(&Method::GET, headers, resource, PurgeRight::Denied)
    }

    /// A request as the engine takes it.
    pub(crate) fn fetch_request(
        &self,
        resource: Resource,
        method: Method,
        headers: &HeaderMap,
        mut plan: Plan,
    ) -> FetchRequest {
        plan.adjust.stale_for.get_or_insert(self.stale_for_seconds);
        FetchRequest::new(resource, method, headers, plan)
    }
}

impl<'a> Turn<'a> {
    pub(super) async fn fetch(&mut self, conn: &mut Conn, resource: Resource, plan: Plan) -> Flow {
        let adjust = plan.adjust;
        self.record.rule.clone_from(&plan.effect.rule);
        let mut fetch = self.fetch_request(resource, plan);
        let mut answer = self.ask_engine(conn, &mut fetch).await;
        if fetch.plan.drop_cookie && wants_login(&answer) {
            answer = self.ask_with_cookie(conn, &fetch).await;
        }
        self.note_first_byte();
        match answer {
            Answer::Stored {
                object,
                age,
                ttl,
                outcome,
            } => {
                self.record.outcome = outcome;
                self.stored(conn, &object, age, ttl).await
            }
            Answer::Growing { reader, outcome } => {
                self.record.outcome = outcome;
                let head = reader.head().clone();
                self.record.upstream = head.upstream;
                let age = head.age(UnixSeconds::from(self.now));
                let mut response = self.response(head.status, &head.headers, reader.length());
                // First-hand bytes have an age only where the upstream said so (RFC 9111 §5.1).
                let is_first_hand =
                    outcome != Outcome::Joined && !head.headers.contains_key(header::AGE);
                response.age = (!is_first_hand).then_some(age);
                response.stored = reader.is_being_stored();
                response.ttl = Some(head.ttl(adjust, age));
                response
                    .send(conn, Source::Growing(reader), &mut self.record)
                    .await
            }
            Answer::Private {
                response,
                outcome,
                exchange,
            } => self.private(conn, *response, outcome, exchange).await,
            Answer::Parts { assembly, age, ttl } => {
                self.record.outcome = Outcome::Hit;
                self.parts(conn, *assembly, age, ttl).await
            }
            Answer::Failed(failure) => self.failed(conn, &failure).await,
            Answer::NotCached => {
                self.record.outcome = Outcome::NotCached;
                self.page(conn, 504, NOT_CACHED).await
            }
        }
    }

    /// Waits for the engine's answer and passes interim responses on meanwhile. HTTP/1.0 knows none.
    async fn ask_engine(&self, conn: &mut Conn, fetch: &mut FetchRequest) -> Answer {
        if self.request.version == Version::Http10 {
            return self.gateway.engine.fetch(fetch).await;
        }
        let (told, mut interims) = mpsc::channel(INTERIM_MAX);
        fetch.interim = Some(told);
        let asking = self.gateway.engine.fetch(fetch);
        tokio::pin!(asking);
        loop {
            tokio::select! {
                biased;
                // `fetch` holds a sender, so the channel is open.
                Some(interim) = interims.recv() => pass_on(conn, &interim).await,
                answer = &mut asking => return answer,
            }
        }
    }

    /// An archive behind a login: for this client alone, with the cookie that was dropped as of no account.
    async fn ask_with_cookie(&self, conn: &mut Conn, fetch: &FetchRequest) -> Answer {
        let plan = Plan {
            shared: false,
            drop_cookie: false,
            ..fetch.plan.clone()
        };
        let mut fetch = self.fetch_request(fetch.resource.clone(), plan);
        self.ask_engine(conn, &mut fetch).await
    }

    async fn parts(&mut self, conn: &mut Conn, assembly: Assembly, age: u64, ttl: i64) -> Flow {
        let head = assembly.head.clone();
        self.record.upstream = head.upstream;
        let mut response = self.response(head.status, &head.headers, Some(assembly.length));
        (response.age, response.ttl) = (Some(age), Some(ttl));
        response
            .send(conn, Source::Parts(Box::new(assembly)), &mut self.record)
            .await
    }

    pub(super) fn fetch_request(&self, resource: Resource, plan: Plan) -> FetchRequest {
        let Request {
            method, headers, ..
        } = self.request;
        self.gateway
            .fetch_request(resource, method.clone(), headers, plan)
    }

    /// The engine has answered: what it took, and what time it is now.
    pub(super) fn note_first_byte(&mut self) {
        let elapsed = self.gateway.clock.elapsed();
        self.record.first_byte = Some(elapsed.saturating_sub(self.record.started));
        self.now = self.gateway.clock.wall();
    }

    pub(super) async fn stored(
        &mut self,
        conn: &mut Conn,
        object: &Arc<Object>,
        age: u64,
        ttl: i64,
    ) -> Flow {
        object.touch();
        let head = object.head();
        self.record.upstream = head.upstream;
        let mut response = self.response(head.status, &head.headers, Some(object.length()));
        (response.age, response.ttl) = (Some(age), Some(ttl));
        response
            .send(conn, Source::Stored(Arc::clone(object)), &mut self.record)
            .await
    }

    pub(super) fn response<'r>(
        &self,
        status: StatusCode,
        fields: &'r HeaderMap,
        length: Option<u64>,
    ) -> Response<'r>
    where
        'a: 'r,
    {
        Response {
            request: self.request,
            status,
            fields,
            length,
            outcome: self.record.outcome,
            age: None,
            ttl: None,
            stored: false,
            ends_by_close: false,
            node: &self.gateway.node,
            request_id: self.request_id.clone(),
            now: self.now,
        }
    }
}

impl Turn<'_> {
    async fn private(
        &mut self,
        conn: &mut Conn,
        response: OriginResponse,
        outcome: Outcome,
        exchange: Exchange,
    ) -> Flow {
        self.record.outcome = outcome;
        self.record.upstream = Some(response.address);
        if let Outcome::Uncached(reason) = outcome {
            self.record.detail = Some(reason.as_str());
        }
        let OriginResponse {
            status,
            headers,
            framing,
            body,
            ..
        } = response;
        let announced = announced_length(&headers);
        let length = match framing {
            Framing::Length(length) => Some(length),
            Framing::None => announced,
            Framing::Chunked | Framing::UntilClose => None,
        };
        let mut reply = self.response(status, &headers, length);
        reply.ends_by_close = framing == Framing::UntilClose;
        let age = freshness::current_age(&headers, exchange, UnixSeconds::from(self.now));
        reply.age = headers.contains_key(header::AGE).then_some(age);
        reply
            .send(conn, Source::Private(body), &mut self.record)
            .await
    }
}

/// A client that is gone is found out when its response is written.
async fn pass_on(conn: &mut Conn, interim: &Interim) {
    if let Err(error) = conn
        .write_all(&interim_head(interim.status, &interim.headers))
        .await
    {
        tracing::debug!(%error, "interim response not sent");
    }
}

/// The origin wants to know who asks.
fn wants_login(answer: &Answer) -> bool {
    let Answer::Private { response, .. } = answer else {
        return false;
    };
    matches!(
        response.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    )
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
