//! One request, one direction: target → verdict → engine → response.
//!
//! The steps are listed in [`Gateway::answer`], a function each. Nothing here blocks, and nothing reaches an upstream
//! before every refusal had its say. Pages of the gateway's own, errors among them, are in [`pages`].

mod answer;
mod cache_proxy;
mod filling;
mod pages;
mod purge;
mod redirect;
mod tunnel;
mod welcome;

pub(crate) use cache_proxy::Prohibited;

use crate::conf::{AccessSettings, CacheProxySettings};
use crate::front::conn::Conn;
use crate::front::{Flow, Handler, Request};
use crate::pass::{PassOrder, RecordSink};
use crate::record::Record;
use crate::tunnel::{Opened, Tunnels};
use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method, header};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tracing::Instrument;
use weir_cache::engine::Engine;
use weir_cache::ports::Clock;
use weir_policies::outcome::Outcome;
use weir_policies::rules::Rules;
use weir_policies::target::{self, Asked, Forms, Resource, Target};
use weir_policies::verdict::Verdict;

/// Everything a request needs on its way. Never changed: a reload makes another one, for the requests after it.
pub(crate) struct Gateway {
    pub(crate) engine: Arc<Engine>,
    pub(crate) forms: Forms,
    pub(crate) rules: Arc<Rules>,
    pub(crate) access: AccessSettings,
    /// How long a stale response may stand in for a failing origin, where nobody says otherwise.
    pub(crate) stale_for_seconds: u64,
    /// How `/download/` is answered where it is to behave as openEuler's cache-proxy.
    pub(crate) cache_proxy: Option<CacheProxySettings>,
    /// Name in Via and Cache-Status.
    pub(crate) node: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tunnels: Tunnels,
    pub(crate) sink: Arc<dyn RecordSink>,
    pub(crate) request_ids: Arc<crate::record::RequestIds>,
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
    /// Handed through to this upstream, on behalf of this resource.
    Pass { upstream: Target, identity: Target },
    /// The client was told that its tunnel stands.
    Tunnel(Opened),
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
            // The tunnel finishes the record when it has ended.
            Turned::Tunnel(opened) => {
                Flow::Tunnel(Box::new(self.tunnels.begin(opened, turn.record)))
            }
            // The pass path finishes the record when its response has ended.
            Turned::Pass { upstream, identity } => {
                turn.record.outcome = Outcome::Pass;
                Flow::Pass(Box::new(PassOrder {
                    target: upstream,
                    identity,
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
        record.url = logged_target(request.method.as_str(), &request.target);
        record.version = request.version.as_str();
        record.referer = text(header::REFERER);
        record.user_agent = text(header::USER_AGENT);
        Turn {
            gateway: self,
            request,
            request_id: self.request_ids.text(number),
            record,
            now,
            // What stands behind the head of a refused CONNECT was meant for somebody else: it is no request.
            closes: request.method == Method::CONNECT,
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
            Asked::Tunnel { host, port } => self.tunnel(conn, &host, port).await,
        }
    }

    async fn resource(&mut self, conn: &mut Conn, resource: Resource) -> Turned {
        self.record.form = Some(resource.form);
        let gateway = self.gateway;
        let request = self.request;
        let purging = gateway.access.purging(conn.client().ip());
        match gateway.judge(&request.method, &request.headers, &resource, purging) {
            Verdict::Refuse(refusal) => self.refuse_verdict(conn, refusal).await,
            Verdict::Pass
                if request.method == Method::OPTIONS && forwards_no_further(&request.headers) =>
            {
                self.options(conn).await
            }
            // A request that is not repeated goes to the first upstream; `target` is only the name of the resource.
            Verdict::Pass => {
                let first = resource.upstreams.into_iter().next();
                Turned::Pass {
                    upstream: first.unwrap_or_else(|| resource.target.clone()),
                    identity: resource.target,
                }
            }
            Verdict::Cache(plan) => self.cached(conn, resource, plan).await,
            Verdict::Purge => self.purge(conn, &resource.target).await,
        }
    }
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
    let (method, target) = (word(), word());
    (method.to_owned(), logged_target(method, target))
}

/// The target for the log. That of CONNECT is an authority and nothing else.
fn logged_target(method: &str, target: &str) -> String {
    match target.rsplit_once('@') {
        Some((_, host)) if method == Method::CONNECT.as_str() => host.to_owned(),
        _ => without_userinfo(target),
    }
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
    use super::{logged_target, without_userinfo};

    #[test]
    fn credentials_in_a_url_are_not_logged() {
        let check = |url, logged| assert_eq!(without_userinfo(url), logged);
        check("ftp://user:secret@h/p@q", "ftp://h/p@q");
        check("http://h/p?mail=a@b", "http://h/p?mail=a@b");
        check("/download/https://u:p@h/x", "/download/https://h/x");
        check("/https/u:p@h/x@y", "/https/h/x@y");
        check("http://u:p@h", "http://h");
        check("/plain@path", "/plain@path");
        let tunnel = |target| logged_target("CONNECT", target);
        assert_eq!(tunnel("u:p@h:443"), "h:443");
        assert_eq!(tunnel("h:443"), "h:443");
    }
}
