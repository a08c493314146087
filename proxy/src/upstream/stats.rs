//! What is counted about upstreams. The operations room exports it; nothing here decides anything.
//!
//! Invariant: a failed fetch and a body that broke are each counted once, under the same words as in the log
//! ([`OriginError::as_str`]).

use http::StatusCode;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_cache::ports::OriginError;

/// Every `reason` that [`OriginError::as_str`] can say. A test keeps it complete.
const REASONS: [&str; 12] = [
    "no-address",
    "resolver",
    "refused",
    "connect",
    "connect-timeout",
    "tls",
    "no-answer",
    "head-timeout",
    "protocol",
    "stalled",
    "truncated",
    "scheme",
];

/// Every `result` of a fetch.
const RESULTS: [&str; 5] = [
    "success",
    "redirect",
    "client-error",
    "server-error",
    "failed",
];
const FAILED: usize = RESULTS.len() - 1;

/// Counters of one [`super::HttpOrigin`]; they only grow.
#[derive(Debug, Default)]
pub(crate) struct UpstreamStats {
    results: [AtomicU64; RESULTS.len()],
    errors: [AtomicU64; REASONS.len()],
    opened: AtomicU64,
    reused: AtomicU64,
    retried: AtomicU64,
}

impl UpstreamStats {
    /// Fetches by result: `weir_upstream_requests_total{result}`.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> {
        RESULTS.into_iter().zip(self.results.iter().map(read))
    }

    /// Failed fetches and broken bodies by reason: `weir_upstream_errors_total{reason}`.
    pub(crate) fn errors(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.into_iter().zip(self.errors.iter().map(read))
    }

    /// Connections made.
    pub(crate) fn connections_opened(&self) -> u64 {
        read(&self.opened)
    }

    /// Requests that went out on a connection kept from an earlier one.
    pub(crate) fn connections_reused(&self) -> u64 {
        read(&self.reused)
    }

    /// Requests sent again because a connection closed without a byte.
    pub(crate) fn requests_retried(&self) -> u64 {
        read(&self.retried)
    }

    pub(super) fn answered(&self, status: StatusCode) {
        let result = match status.as_u16() {
            ..300 => 0,
            300..400 => 1,
            400..500 => 2,
            500.. => 3,
        };
        bump(self.results.get(result));
    }

    /// A fetch that gave no response.
    pub(super) fn failed(&self, error: &OriginError) {
        bump(self.results.get(FAILED));
        self.broke(error);
    }

    /// A body that broke after its head had been counted as answered.
    pub(super) fn broke(&self, error: &OriginError) {
        let reason = REASONS.iter().position(|reason| *reason == error.as_str());
        bump(reason.and_then(|reason| self.errors.get(reason)));
    }

    pub(super) fn opened(&self) {
        bump(Some(&self.opened));
    }

    pub(super) fn reused(&self) {
        bump(Some(&self.reused));
    }

    pub(super) fn retried(&self) {
        bump(Some(&self.retried));
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn bump(counter: Option<&AtomicU64>) {
    if let Some(counter) = counter {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_policies::address::AddressRefusal;

    #[test]
    fn every_error_is_counted_under_its_own_word() {
        let o = || "o".to_owned();
        let address = "192.0.2.1:80".parse().unwrap();
        let refusal = AddressRefusal::Reserved;
        let all = [
            OriginError::NoAddress(o()),
            OriginError::Resolver(o()),
            OriginError::Refused {
                host: o(),
                address,
                refusal,
            },
            OriginError::Connect(o(), o()),
            OriginError::ConnectTimeout(o()),
            OriginError::Tls(o(), o()),
            OriginError::NoAnswer(o()),
            OriginError::HeadTimeout(o()),
            OriginError::Protocol(o(), "x"),
            OriginError::Stalled(o()),
            OriginError::Truncated(o(), "x"),
            OriginError::Scheme("ftp"),
        ];
        let stats = UpstreamStats::default();
        for error in &all {
            stats.failed(error);
        }
        assert!(stats.errors().all(|(_, count)| count == 1), "{stats:?}");
        assert_eq!(stats.requests().last(), Some(("failed", 12)));
    }

    #[test]
    fn statuses_are_counted_by_class() {
        let stats = UpstreamStats::default();
        for status in [200, 206, 301, 404, 503, 599, 999] {
            stats.answered(StatusCode::from_u16(status).unwrap());
        }
        let counts: Vec<u64> = stats.requests().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 1, 1, 3, 0]);
    }
}
