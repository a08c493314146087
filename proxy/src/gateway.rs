//! One request, one direction: target → verdict → engine → response.
//!
//! The steps are listed in [`Gateway::answer`], a function each. Nothing here blocks, and nothing reaches an upstream
//! before every refusal had its say. Pages of the gateway's own, errors among them, are in [`pages`].

mod pages;

use crate::conf::AccessSettings;
use crate::front::conn::Conn;
use crate::front::{Flow, Handler, Request};
use crate::pass::{PassOrder, RecordSink};
use crate::record::Record;
use crate::respond::Response;
use crate::respond::body::Source;
use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tracing::Instrument;
use weir_cache::engine::{Answer, Engine, FetchRequest};
use weir_cache::object::ObjectHead;
use weir_cache::ports::{Clock, Framing, OriginResponse};
use weir_policies::freshness::{self, Adjust, Exchange};
use weir_policies::key::CacheKey;
use weir_policies::outcome::Outcome;
use weir_policies::rules::Rules;
use weir_policies::target::{self, Asked, Forms, Resource, Target};
use weir_policies::time::UnixSeconds;
use weir_policies::verdict::{self, Plan, Verdict};

/// Everything a request needs on its way.
pub(crate) struct Gateway {
    pub(crate) engine: Arc<Engine>,
    pub(crate) forms: Forms,
    pub(crate) rules: Arc<Rules>,
    pub(crate) access: AccessSettings,
    /// Name in Via and Cache-Status.
    pub(crate) node: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Arc<dyn RecordSink>,
    pub(crate) request_ids: crate::record::RequestIds,
}

/// One request being answered.
struct Turn<'a> {
    gateway: &'a Gateway,
    request: &'a Request,
    request_id: String,
    record: Record,
    now: SystemTime,
    /// The connection ends after this answer.
    closes: bool,
}

/// Where a turn ends.
enum Turned {
    /// Answered here.
    Answered(Flow),
    /// Handed through to this upstream.
    Pass(Target),
}

#[async_trait]
impl Handler for Gateway {
    async fn handle(&self, conn: &mut Conn, request: &Request) -> Flow {
        let mut turn = self.turn(conn.client(), request);
        let span = tracing::debug_span!("request", id = turn.request_id);
        match turn.answer(conn).instrument(span).await {
            Turned::Answered(flow) => {
                turn.record.duration = self.clock.elapsed().saturating_sub(turn.record.started);
                self.sink.finished(turn.record);
                flow
            }
            // The pass path finishes the record when its response has ended.
            Turned::Pass(target) => {
                turn.record.outcome = Outcome::Pass;
                Flow::Pass(Box::new(PassOrder {
                    target,
                    record: turn.record,
                }))
            }
        }
    }

    fn rejected(&self, client: SocketAddr, status: u16, reason: &'static str, head: &[u8]) {
        let mut record = Record::new(
            self.request_ids.next(),
            client,
            self.clock.wall(),
            self.clock.elapsed(),
        );
        (record.method, record.url) = request_line(head);
        record.status = status;
        record.detail = Some(reason);
        record.outcome = Outcome::Refused;
        self.sink.finished(record);
    }
}

impl Gateway {
    fn turn<'a>(&'a self, client: SocketAddr, request: &'a Request) -> Turn<'a> {
        let text = |name| {
            request
                .headers
                .get(name)
                .map(|v: &HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned())
        };
        let number = self.request_ids.next();
        let now = self.clock.wall();
        let mut record = Record::new(number, client, now, request.arrived);
        record.method = request.method.to_string();
        record.url = without_userinfo(&request.target);
        record.version = request.version.as_str();
        record.referer = text(header::REFERER);
        record.user_agent = text(header::USER_AGENT);
        Turn {
            gateway: self,
            request,
            request_id: self.request_ids.text(number),
            record,
            now,
            closes: false,
        }
    }
}

impl<'a> Turn<'a> {
    async fn answer(&mut self, conn: &mut Conn) -> Turned {
        if !self.gateway.access.allows(conn.client().ip()) {
            return self
                .refuse(conn, 403, "access", "this client is not in [access] allow")
                .await;
        }
        let asked = match target::ask(
            &self.request.method,
            &self.request.target,
            &self.gateway.forms,
        ) {
            Ok(asked) => asked,
            Err(error) => return self.refuse_target(conn, &error).await,
        };
        match asked {
            Asked::Resource(resource) => self.resource(conn, resource).await,
            Asked::Own(page) => self.own_page(conn, page).await,
            Asked::ServerWide => self.options(conn).await,
            Asked::Tunnel { .. } => {
                self.refuse(
                    conn,
                    501,
                    "tunnel",
                    "CONNECT tunnels are not served yet; ask by /download/https://… instead",
                )
                .await
            }
        }
    }

    async fn resource(&mut self, conn: &mut Conn, resource: Resource) -> Turned {
        self.record.form = Some(resource.form);
        let gateway = self.gateway;
        let request = self.request;
        match verdict::judge(
            &request.method,
            &request.headers,
            &resource,
            &gateway.rules,
            &gateway.node,
        ) {
            Verdict::Refuse(refusal) => self.refuse_verdict(conn, refusal).await,
            Verdict::Pass
                if request.method == Method::OPTIONS && forwards_no_further(&request.headers) =>
            {
                self.options(conn).await
            }
            // A request that is not repeated goes to the first upstream; `target` is only the name of the resource.
            Verdict::Pass => {
                let first = resource.upstreams.into_iter().next();
                Turned::Pass(first.unwrap_or(resource.target))
            }
            Verdict::Cache(plan) => Turned::Answered(self.fetch(conn, resource, plan).await),
        }
    }

    async fn fetch(&mut self, conn: &mut Conn, resource: Resource, plan: Plan) -> Flow {
        let adjust = plan.adjust;
        self.record.rule.clone_from(&plan.effect.rule);
        let fetch = FetchRequest {
            key: CacheKey::of("", false, &resource.target),
            resource,
            method: self.request.method.clone(),
            headers: self.request.headers.clone(),
            plan,
        };
        let answer = self.gateway.engine.fetch(&fetch).await;
        self.record.first_byte = Some(
            self.gateway
                .clock
                .elapsed()
                .saturating_sub(self.record.started),
        );
        self.now = self.gateway.clock.wall();
        match answer {
            Answer::Stored { object, age, ttl } => {
                object.touch();
                self.record.outcome = Outcome::Hit;
                self.record.upstream = object.head().upstream;
                let head = object.head();
                let mut response = self.response(head.status, &head.headers, Some(object.length()));
                (response.age, response.ttl) = (Some(age), Some(ttl));
                response
                    .send(conn, Source::Stored(Arc::clone(&object)), &mut self.record)
                    .await
            }
            Answer::Growing { reader, outcome } => {
                self.record.outcome = outcome;
                let head = reader.head().clone();
                self.record.upstream = head.upstream;
                let age = freshness::current_age(
                    &head.headers,
                    head.exchange,
                    UnixSeconds::from(self.now),
                );
                let mut response = self.response(head.status, &head.headers, reader.length());
                // First-hand bytes have an age only where the upstream said so (RFC 9111 §5.1).
                let is_first_hand =
                    outcome != Outcome::Joined && !head.headers.contains_key(header::AGE);
                response.age = (!is_first_hand).then_some(age);
                response.stored = reader.is_being_stored();
                response.ttl = Some(ttl(&head, adjust, age));
                response
                    .send(conn, Source::Growing(reader), &mut self.record)
                    .await
            }
            Answer::Private {
                response,
                outcome,
                exchange,
            } => self.private(conn, *response, outcome, exchange).await,
            Answer::Failed(failure) => self.failed(conn, &failure).await,
            Answer::NotCached => {
                self.record.outcome = Outcome::NotCached;
                self.page(
                    conn,
                    504,
                    "the request says only-if-cached and nothing usable is cached",
                )
                .await
            }
        }
    }

    fn response<'r>(
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

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn ttl(head: &ObjectHead, adjust: Adjust, age: u64) -> i64 {
    let lifetime = freshness::lifetime(head.status, &head.headers, head.exchange, adjust).seconds;
    i64::try_from(lifetime)
        .unwrap_or(i64::MAX)
        .saturating_sub(i64::try_from(age).unwrap_or(i64::MAX))
}

/// `Max-Forwards: 0`: we are the last recipient (RFC 9110 §7.6.2).
fn forwards_no_further(headers: &HeaderMap) -> bool {
    headers
        .get(header::MAX_FORWARDS)
        .is_some_and(|left| left.as_bytes() == b"0")
}

/// Method and target of a head that could not be read, for the log: the rest of it may hold secrets.
fn request_line(head: &[u8]) -> (String, String) {
    let line = head
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or_default();
    (word().to_owned(), without_userinfo(word()))
}

/// The target for the log: what stands before an `@` in any part that may be an authority is never written anywhere.
/// `scheme://user:pass@host`, also nested in a path form, and `/https/user:pass@host/`.
fn without_userinfo(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let starts_authority = |before: &str| {
        before.ends_with("://") || before.ends_with(":/") || FORM_PREFIXES.contains(&before)
    };
    let mut written = String::with_capacity(target.len());
    for segment in path.split_inclusive('/') {
        match segment.rsplit_once('@') {
            Some((_, host)) if starts_authority(&written) => written.push_str(host),
            _ => written.push_str(segment),
        }
    }
    written + query
}

/// Path forms whose next segment is an authority.
const FORM_PREFIXES: [&str; 3] = ["/http/", "/https/", "/ftp/"];

#[cfg(test)]
mod tests {
    use super::without_userinfo;

    #[test]
    fn credentials_in_a_url_are_not_logged() {
        let check = |url, logged| assert_eq!(without_userinfo(url), logged);
        check("ftp://user:secret@h/p@q", "ftp://h/p@q");
        check("http://h/p?mail=a@b", "http://h/p?mail=a@b");
        check("/download/https://u:p@h/x", "/download/https://h/x");
        check("/https/u:p@h/x@y", "/https/h/x@y");
        check("http://u:p@h", "http://h");
        check("/plain@path", "/plain@path");
    }
}
