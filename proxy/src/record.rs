//! One record per request: the access log line, the metrics and the tracing span are all written from it, so they
//! can never disagree.
//!
//! The record keeps what the client sent as it was sent; whoever writes it somewhere escapes it for that place.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// Body bytes sent; of a tunnel, what went to the client.
    pub(crate) body_bytes: u64,
    /// Bytes of the client that a tunnel has handed on.
    pub(crate) upload_bytes: u64,
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

impl Record {
    /// A record of a request of which only the arrival is known: `Aborted` until somebody knows better.
    pub(crate) fn new(
        request_id: u64,
        client: SocketAddr,
        started_at: SystemTime,
        started: Duration,
    ) -> Self {
        Self {
            request_id,
            started_at,
            started,
            duration: Duration::ZERO,
            first_byte: None,
            client,
            method: String::new(),
            url: String::new(),
            version: "",
            form: None,
            status: 0,
            outcome: Outcome::Aborted,
            detail: None,
            head_bytes: 0,
            body_bytes: 0,
            upload_bytes: 0,
            complete: false,
            upstream: None,
            referer: None,
            user_agent: None,
            media_type: None,
            rule: None,
        }
    }
}

/// Numbers requests, from 1. The text of a number is [`request_id`].
#[derive(Debug, Default)]
pub(crate) struct RequestIds(AtomicU64);

impl RequestIds {
    /// The next number, never given before by this counter.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// The number as `X-Request-Id` and the logs write it.
    pub(crate) fn text(&self, number: u64) -> String {
        request_id(number)
    }
}

/// Eight hex digits of this process and the request's number in hex, at least eight digits:
/// `5f0c93ae-0000002a`. The first part differs between processes, so that the logs of several nodes, or of one
/// before and after a restart, can be searched together.
pub(crate) fn request_id(number: u64) -> String {
    static PROCESS: OnceLock<u32> = OnceLock::new();
    let process = PROCESS.get_or_init(|| {
        let mut random = [0; 4];
        // Without a random source the process id still tells neighbors apart; nothing here is a secret.
        getrandom::fill(&mut random)
            .map_or_else(|_| std::process::id(), |()| u32::from_ne_bytes(random))
    });
    format!("{process:08x}-{number:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_count_up_behind_one_prefix() {
        let ids = RequestIds::default();
        let (first, second) = (ids.next(), ids.next());
        assert_eq!((first, second), (1, 2));
        let (first, second) = (ids.text(first), ids.text(second));
        assert_eq!(first.get(..9), second.get(..9));
        assert_eq!(first.get(8..), Some("-00000001"));
        assert_eq!(second.get(8..), Some("-00000002"));
    }

    #[test]
    fn a_request_id_is_safe_in_a_header_and_keeps_every_digit() {
        let text = request_id(u64::MAX);
        assert!(text.ends_with("-ffffffffffffffff"), "{text}");
        assert!(
            text.chars().all(|c| c.is_ascii_hexdigit() || c == '-'),
            "{text}"
        );
    }
}
