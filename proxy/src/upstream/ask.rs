//! One question on one connection, by either version: the request goes out, the head comes back, the body follows by
//! itself. Whether to ask again is [`super::HttpOrigin`]'s to decide, from [`Unanswered`].
//!
//! Invariant: request and head share one deadline; a connection that gave no head is not used again.

use super::HttpOrigin;
use super::body::{self, HttpBody};
use super::connect::{Connection, Line, Versions};
use super::head::{self, HeadError};
use super::http2::{self, Lease, Question, StreamBody};
use super::interim::InterimRelay;
use super::request;
use bytes::BytesMut;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use weir_cache::ports::{OriginError, OriginRequest, OriginResponse};
use weir_policies::target::Scheme;

/// Room for a response head at first; most fit, and it grows up to `head_bytes_max`.
const HEAD_BUFFER_BYTES: usize = 16 * 1024;

/// A request as either version says it.
pub(super) struct Message<'a> {
    request: &'a OriginRequest,
    bytes: Vec<u8>,
    /// `None` where it may only go over HTTP/1.1.
    question: Option<Question>,
}

/// Why one connection gave no response.
pub(super) enum Unanswered {
    /// It closed before the first byte, or says that it did not look at the request: another connection may do better.
    Silent,
    /// The upstream wants to be asked over HTTP/1.1 (RFC 9113 §7, HTTP_1_1_REQUIRED).
    WantsHttp1,
    /// It will not get better.
    Failed(OriginError),
}

impl HttpOrigin {
    /// `request` in the words of every version it may go by.
    pub(super) fn message<'a>(&self, request: &'a OriginRequest) -> Message<'a> {
        let node_name = &self.settings.node_name;
        let is_encrypted = request.target.scheme() == Scheme::Https;
        let question = (self.settings.http2 && is_encrypted)
            .then(|| http2::question(request, node_name))
            .flatten();
        Message {
            request,
            bytes: request::serialize(request, node_name),
            question,
        }
    }

    /// Sends `message` by `line` and waits for the head.
    pub(super) async fn ask(
        &self,
        line: Line,
        message: &Message<'_>,
    ) -> Result<OriginResponse, Unanswered> {
        match (line, &message.question) {
            (Line::Http1(connection), _) => self.ask_http1(connection, message).await,
            (Line::Http2(lease), Some(question)) => {
                self.ask_http2(lease, message.request, question.clone())
                    .await
            }
            // Never offered without a question.
            (Line::Http2(_), None) => Err(Unanswered::WantsHttp1),
        }
    }

    /// Sends the request and reads the head, both within `first_byte_timeout`.
    async fn ask_http1(
        &self,
        mut connection: Connection,
        message: &Message<'_>,
    ) -> Result<OriginResponse, Unanswered> {
        let request = message.request;
        let origin = request.target.authority();
        let mut relay = InterimRelay::new(request.interim.clone());
        let mut buffer = BytesMut::with_capacity(HEAD_BUFFER_BYTES);
        let head = tokio::time::timeout(self.settings.first_byte_timeout, async {
            // A write that fails is not the last word: the upstream may have answered before it closed, and if it
            // did not, the read says so.
            let _sent = send(&mut connection, &message.bytes).await;
            let limit = self.settings.head_bytes_max;
            let method = &request.method;
            head::read(&mut connection, &mut buffer, method, limit, &mut relay).await
        })
        .await
        .unwrap_or(Err(HeadError::TimedOut))
        .map_err(|error| unanswered(error, &origin))?;

        let address = connection.address();
        let body = HttpBody::new(connection, buffer, &head, self.body_context(origin));
        Ok(OriginResponse {
            status: head.status,
            headers: head.headers,
            framing: head.framing,
            address,
            body: Box::new(body),
        })
    }

    /// The same on a stream of HTTP/2.
    async fn ask_http2(
        &self,
        lease: Lease,
        request: &OriginRequest,
        question: Question,
    ) -> Result<OriginResponse, Unanswered> {
        let origin = request.target.authority();
        let mut relay = InterimRelay::new(request.interim.clone());
        let asking = http2::ask(&lease, question, &mut relay, &origin);
        let answer = tokio::time::timeout(self.settings.first_byte_timeout, asking)
            .await
            .unwrap_or_else(|_elapsed| Err(unanswered(HeadError::TimedOut, &origin)));
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => {
                if why.is_of_the_connection() {
                    lease.retire();
                }
                return Err(why);
            }
        };
        let address = lease.address();
        let context = self.body_context(origin);
        let body = StreamBody::new(answer.stream, lease, answer.framing, context);
        Ok(OriginResponse {
            status: answer.status,
            headers: answer.headers,
            framing: answer.framing,
            address,
            body: Box::new(body),
        })
    }

    fn body_context(&self, origin: String) -> body::Context {
        body::Context {
            origin,
            stall_timeout: self.settings.stall_timeout,
            stats: Arc::clone(&self.stats),
        }
    }
}

impl Message<'_> {
    /// What it may be sent by.
    pub(super) fn versions(&self) -> Versions {
        match self.question {
            Some(_) => Versions::Both,
            None => Versions::Http1,
        }
    }
}

impl Unanswered {
    /// What to speak when the request is sent again.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn again(self, versions: Versions) -> Result<Versions, OriginError> {
        match self {
            Self::Silent => Ok(versions),
            Self::WantsHttp1 => Ok(Versions::Http1),
            Self::Failed(error) => Err(error),
        }
    }

    /// Whether other requests on the same connection would fare no better.
    fn is_of_the_connection(&self) -> bool {
        match self {
            Self::Silent | Self::WantsHttp1 => true,
            Self::Failed(error) => matches!(error, OriginError::HeadTimeout(_)),
        }
    }
}

async fn send(connection: &mut Connection, message: &[u8]) -> std::io::Result<()> {
    connection.write_all(message).await?;
    connection.flush().await
}

/// What a missing head means for the request.
pub(super) fn unanswered(error: HeadError, origin: &str) -> Unanswered {
    let origin = origin.to_owned();
    match error {
        HeadError::Silent => Unanswered::Silent,
        HeadError::Closed => Unanswered::Failed(OriginError::NoAnswer(origin)),
        HeadError::Tls(why) => Unanswered::Failed(OriginError::Tls(origin, why)),
        HeadError::TimedOut => Unanswered::Failed(OriginError::HeadTimeout(origin)),
        HeadError::Protocol(why) => Unanswered::Failed(OriginError::Protocol(origin, why)),
    }
}
