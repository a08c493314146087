//! One record per request: the access log line, the metrics and the tracing span are all written from it, so they
//! can never disagree.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use weir_policies::outcome::Outcome;
use weir_policies::target::Form;

/// What is known of a request once it is over. Filled as the request proceeds.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Unique per process: for the log and `X-Request-Id`.
    pub(crate) request_id: u64,
    /// Wall clock when the head had arrived.
    pub(crate) started_at: SystemTime,
    /// Monotonic clock at the same moment.
    pub(crate) started: Duration,
    /// From head to last byte handed to the kernel.
    pub(crate) duration: Duration,
    /// From head to the first byte of the response.
    pub(crate) first_byte: Option<Duration>,
    /// Who asked.
    pub(crate) client: SocketAddr,
    /// As received (token), empty when the head could not be read.
    pub(crate) method: String,
    /// The URL as asked, without userinfo; may hold anything the client sent: escape when writing.
    pub(crate) url: String,
    /// HTTP/1.0 or HTTP/1.1.
    pub(crate) version: &'static str,
    /// How it was asked, when that was understood.
    pub(crate) form: Option<Form>,
    /// Status sent, 0 when none was.
    pub(crate) status: u16,
    /// Outcome.
    pub(crate) outcome: Outcome,
    /// A word on why (refusal, upstream error reason, not stored reason).
    pub(crate) detail: Option<&'static str>,
    /// Head bytes sent.
    pub(crate) head_bytes: u64,
    /// Body bytes sent.
    pub(crate) body_bytes: u64,
    /// The body was sent whole as promised by the head.
    pub(crate) complete: bool,
    /// Which upstream answered.
    pub(crate) upstream: Option<SocketAddr>,
    /// Referer as received.
    pub(crate) referer: Option<String>,
    /// User-Agent as received.
    pub(crate) user_agent: Option<String>,
    /// Content-Type of the response.
    pub(crate) media_type: Option<String>,
    /// The rule that applied.
    pub(crate) rule: Option<String>,
}
