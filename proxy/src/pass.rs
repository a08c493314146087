//! `Verdict::Pass`: requests that are handed through to an upstream and never cached.
//!
//! Pingora's `HttpProxy` moves the bytes, in both directions at once, over pooled connections; this file tells it
//! where to connect and keeps its heads honest. The order for a request travels beside it as the connection's user
//! context, never in a header field, so no client can forge one.
//!
//! Invariants: an address to connect to comes from the [`PeerSource`] only; no upgrade is ever offered, so a 101 is a
//! broken upstream; only connecting is ever tried again, never a request; every order ends in exactly one record, also
//! when the request is dropped half-way.

mod failure;
mod fields;
mod page;
mod spelling;

pub(crate) use fields::request_head;

use crate::error_page::error_page;
use crate::record::Record;
use async_trait::async_trait;
use failure::{Asked, Failure};
use fields::{ResponseFraming, informational_fields, mark_request, response_fields};
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, HttpProxy, ProxyHttp, ProxyWarnLogContext, Session, http_proxy};
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::{HttpPeer, Peer};
use pingora::{Error, ErrorType, Result};
use spelling::spelled;
use std::any::Any;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use weir_cache::ports::Clock;
use weir_policies::outcome::Outcome;
use weir_policies::target::Target;

/// Interim responses passed on for one request; more is a flood (row 114).
const INFORMATIONAL_MAX: u32 = 10;

/// Addresses tried for one request: a name with more of them than this is not better reachable.
pub(crate) const CONNECT_ATTEMPTS_MAX: usize = 8;

/// What the gateway decided about a request that is handed through.
#[derive(Debug)]
pub(crate) struct PassOrder {
    /// Where to.
    pub(crate) target: Target,
    /// What is stored under: of a mirror, its lasting name.
    pub(crate) identity: Target,
    /// What is known of the request; completed here.
    pub(crate) record: Record,
}

/// Finds the connection for a target: resolves, vets, pins. A port of this room.
#[async_trait]
pub(crate) trait PeerSource: Send + Sync {
    /// Vetted peers with all timeouts set, in the order in which they are to be tried; not empty.
    ///
    /// # Errors
    /// The status for the client, and why in a sentence that may be shown.
    async fn peers(&self, target: &Target) -> Result<VecDeque<HttpPeer>, (u16, String)>;

    /// One of the peers of `target` took a connection. Must not block.
    fn connected(&self, target: &Target, address: SocketAddr);
}

/// Takes the record of a finished request: access log and metrics. A port of this room.
pub(crate) trait RecordSink: Send + Sync {
    /// Called once for each request. Must not block.
    fn finished(&self, record: Record);
}

/// Hears what upstreams answered to requests that were handed through, so that whatever a write has made invalid can be
/// given up (RFC 9111 §4.4). A port of this room.
#[async_trait]
pub(crate) trait UnsafeObserver: Send + Sync {
    /// Called once for each request whose final response head has arrived, whatever its method and status: what
    /// follows from them is the observer's to judge. `headers` are the upstream's. The client gets the head afterwards:
    /// whoever asks because of it must not find what was there before.
    async fn answered(
        &self,
        method: &Method,
        target: &Target,
        status: StatusCode,
        headers: &HeaderMap,
    );
}

/// The callbacks of the pass proxy.
pub(crate) struct Pass {
    peers: Arc<dyn PeerSource>,
    sink: Arc<dyn RecordSink>,
    observer: Arc<dyn UnsafeObserver>,
    clock: Arc<dyn Clock>,
    node: String,
}

impl Pass {
    /// `node` names this gateway in Via and Cache-Status.
    pub(crate) fn new(
        peers: Arc<dyn PeerSource>,
        sink: Arc<dyn RecordSink>,
        observer: Arc<dyn UnsafeObserver>,
        clock: Arc<dyn Clock>,
        node: String,
    ) -> Self {
        Self {
            peers,
            sink,
            observer,
            clock,
            node,
        }
    }

    /// The proxy that the front lends connections to. Of `conf` the connector's part counts: pool size, retries, CA
    /// file, threads.
    pub(crate) fn into_proxy(self, conf: &Arc<ServerConf>) -> Arc<HttpProxy<Self>> {
        Arc::new(http_proxy(conf, self))
    }
}

/// What is known of one request between the callbacks.
pub(crate) struct PassContext {
    order: Option<Box<PassOrder>>,
    sink: Arc<dyn RecordSink>,
    /// Where to connect to when the present peer takes no connection. Asked for once for each request, so that an
    /// answer of the name server that changes in between neither skips an address nor repeats one.
    peers: VecDeque<HttpPeer>,
    /// Why there is no peer.
    refusal: Option<String>,
    informational: u32,
    framing: ResponseFraming,
    /// What the session made of the `Connection` that the front has written.
    keepalive: Option<u64>,
}

impl PassContext {
    /// Whom the request was for.
    fn asked(&self) -> Asked {
        let order = self.order.as_ref();
        Asked {
            origin: order.map_or_else(String::new, |order| order.target.authority()),
            address: order.and_then(|order| order.record.upstream),
        }
    }
}

impl Drop for PassContext {
    /// An order that nobody finished was dropped with its request.
    fn drop(&mut self) {
        if let Some(mut order) = self.order.take() {
            order.record.outcome = Outcome::Aborted;
            self.sink.finished(order.record);
        }
    }
}

#[async_trait]
impl ProxyHttp for Pass {
    type CTX = PassContext;

    fn new_ctx(&self) -> PassContext {
        PassContext {
            order: None,
            peers: VecDeque::new(),
            sink: Arc::clone(&self.sink),
            refusal: None,
            informational: 0,
            framing: ResponseFraming::Delimited,
            keepalive: None,
        }
    }

    /// Pingora's default adds a compression module; nothing is recompressed here.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    /// Not a reuse: this is how the front hands the order over.
    fn on_connection_reuse(
        &self,
        session: &mut Session,
        context: &mut PassContext,
        order: Box<dyn Any + Send + Sync>,
    ) {
        context.order = order.downcast().ok();
        context.keepalive = session.get_keepalive();
        // A client that has closed its sending side may still wait for the response.
        session.set_abort_on_close(false);
        // HTTP/1.0 knows no interim responses (RFC 9110 §15.2).
        let is_http_1_0 = session.req_header().version == Version::HTTP_10;
        session.set_ignore_info_resp(is_http_1_0);
    }

    async fn upstream_peer(
        &self,
        _: &mut Session,
        context: &mut PassContext,
    ) -> Result<Box<HttpPeer>> {
        let Some(order) = context.order.as_mut() else {
            return Error::e_explain(ErrorType::InternalError, "a request without an order");
        };
        // Still filled: the peer before has just failed to connect.
        if context.peers.is_empty() {
            match self.peers.peers(&order.target).await {
                Ok(peers) => context.peers = peers,
                Err((status, why)) => {
                    context.refusal = Some(why);
                    return Err(Error::new(ErrorType::HTTPStatus(status)));
                }
            }
            context.peers.truncate(CONNECT_ATTEMPTS_MAX);
        }
        let Some(peer) = context.peers.pop_front() else {
            return Error::e_explain(ErrorType::InternalError, "a target without a peer");
        };
        order.record.upstream = peer.address().as_inet().copied();
        Ok(Box::new(peer))
    }

    /// Nothing was sent yet, so the next address is as good as this one, whatever the method.
    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        context: &mut PassContext,
        mut error: Box<Error>,
    ) -> Box<Error> {
        error.set_retry(!context.peers.is_empty());
        error
    }

    /// Once there is a connection the upstream may have seen the request: it is not ours to repeat.
    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        _: &mut Session,
        mut error: Box<Error>,
        _: &mut PassContext,
        _: bool,
    ) -> Box<Error> {
        error.set_retry(false);
        error
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        _: bool,
        peer: &HttpPeer,
        _: RawFd,
        _: Option<&Digest>,
        context: &mut PassContext,
    ) -> Result<()> {
        if let (Some(order), Some(address)) = (&context.order, peer.address().as_inet()) {
            self.peers.connected(&order.target, *address);
        }
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        _: &mut PassContext,
    ) -> Result<()> {
        // Meant for the session, see `request_head`. Upstream connections stay by default.
        request.remove_header(&CONNECTION);
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut PassContext,
    ) -> Result<()> {
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(broken_upstream("101 although no upgrade was offered"));
        }
        if response.status.is_informational() {
            context.informational += 1;
            if context.informational > INFORMATIONAL_MAX {
                return Err(broken_upstream("too many interim responses"));
            }
            return Ok(());
        }
        let method = &session.req_header().method;
        // First of all: what the upstream has done, it has done, however badly it frames the news.
        if let Some(order) = &context.order {
            let (status, headers) = (response.status, &response.headers);
            self.observer
                .answered(method, &order.identity, status, headers)
                .await;
        }
        context.framing = fields::upstream_framing(method, response.status, &response.headers)
            .map_err(broken_upstream)?;
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut PassContext,
    ) -> Result<()> {
        let mut headers = response.headers.clone();
        let reason = response.get_reason_phrase().map(str::to_owned);
        if response.status.is_informational() {
            informational_fields(&mut headers);
        } else {
            let is_chunked = headers.contains_key(http::header::TRANSFER_ENCODING);
            if is_chunked && session.req_header().version == Version::HTTP_10 {
                context.framing = match context.framing {
                    ResponseFraming::Bodiless => ResponseFraming::Bodiless,
                    ResponseFraming::Delimited | ResponseFraming::UntilClose => {
                        ResponseFraming::UntilClose
                    }
                };
            }
            // Said again: a 100 that went out before the body was there has switched it off. An answer that comes before
            // the end of the upload is the last one (RFC 9112 §9.6): the client may stop, and what it still sends is
            // no request.
            let is_upload_whole = session.is_body_done();
            session.set_keepalive(match context.framing {
                ResponseFraming::Bodiless | ResponseFraming::Delimited if is_upload_whole => {
                    context.keepalive
                }
                _ => None,
            });
            response_fields(&mut headers, response.status, context.framing, &self.node);
            if let Some(order) = context.order.as_mut() {
                mark_request(&mut headers, order.record.request_id);
                let started = order.record.started;
                order.record.first_byte = Some(self.clock.elapsed().saturating_sub(started));
            }
        }
        *response = spelled(response.status, &headers)?;
        response.set_reason_phrase(reason.as_deref())
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut PassContext,
    ) -> FailToProxy {
        let failure = Failure::of(error, context.refusal.take(), &context.asked());
        if let Some(order) = context.order.as_mut() {
            order.record.outcome = failure.outcome;
            order.record.detail = Some(failure.detail);
        }
        let head_is_out = session
            .response_written()
            .is_some_and(|head| !head.status.is_informational());
        if !head_is_out && failure.status != 0 {
            let accept = session.req_header().headers.get(ACCEPT);
            let page = error_page(failure.status, failure.what.as_str(), accept, &self.node);
            let mut fields = page::page_fields(&page, failure.outcome, &self.node);
            if let Some(order) = &context.order {
                mark_request(&mut fields, order.record.request_id);
            }
            page::write(session, &page, fields).await;
        }
        FailToProxy {
            error_code: failure.status,
            can_reuse_downstream: false,
        }
    }

    async fn logging(
        &self,
        session: &mut Session,
        error: Option<&Error>,
        context: &mut PassContext,
    ) {
        let Some(mut order) = context.order.take() else {
            return;
        };
        let record = &mut order.record;
        if let Some(head) = session.response_written() {
            record.status = head.status.as_u16();
            record.head_bytes = head_bytes(head);
            let media_type = head.headers.get(CONTENT_TYPE);
            record.media_type = media_type.and_then(|value| Some(value.to_str().ok()?.to_owned()));
        }
        record.body_bytes = u64::try_from(session.body_bytes_sent()).unwrap_or(u64::MAX);
        record.complete = error.is_none() && record.status != 0;
        record.duration = self.clock.elapsed().saturating_sub(record.started);
        self.sink.finished(order.record);
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &PassContext,
        error: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        tracing::debug!(%error, "the next address is tried");
        true
    }

    /// The record says it once, with more.
    fn suppress_error_log(&self, _: &Session, _: &PassContext, error: &Error) -> bool {
        tracing::debug!(%error, "request not handed through");
        true
    }
}

fn broken_upstream(why: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, why).into_up()
}

/// Bytes of a head as Pingora writes it: status line, fields, empty line.
fn head_bytes(head: &ResponseHeader) -> u64 {
    let reason = head.get_reason_phrase().unwrap_or_default().len();
    let fields: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum();
    let total = "HTTP/1.1 200 \r\n\r\n".len() + reason + fields;
    u64::try_from(total).unwrap_or(u64::MAX)
}
