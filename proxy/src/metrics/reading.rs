//! The same numbers as a scrape shows, for commands that tell an operator how things are.

use super::catalog::Collected;
use super::samples::Samples;
use super::{ByteSource, Metrics};
use weir_policies::outcome::Outcome;

/// The counters and gauges at one moment.
#[derive(Debug)]
pub(crate) struct Reading {
    samples: Samples,
    /// By result, forms added up.
    requests: Vec<(&'static str, u64)>,
    bytes: Vec<(&'static str, u64)>,
}

impl Metrics {
    /// Reads everything once.
    pub(crate) fn read(&self) -> Reading {
        Reading {
            samples: self.sources.gather(),
            requests: self.requests.by_result(),
            bytes: self.requests.by_source(),
        }
    }
}

impl Reading {
    /// The sum of all series of a metric.
    pub(crate) fn sum(&self, metric: Collected) -> u64 {
        self.samples.sum(metric)
    }

    /// `weir_requests_total` of one result.
    pub(crate) fn requests_with(&self, outcome: Outcome) -> u64 {
        of(&self.requests, outcome.as_str())
    }

    /// `weir_requests_total` by result.
    pub(crate) fn requests(&self) -> &[(&'static str, u64)] {
        &self.requests
    }

    /// `weir_response_bytes_total` of one source.
    pub(crate) fn bytes_from(&self, source: ByteSource) -> u64 {
        of(&self.bytes, source.as_text())
    }

    /// `weir_response_bytes_total` by source.
    pub(crate) fn bytes(&self) -> &[(&'static str, u64)] {
        &self.bytes
    }
}

fn of(values: &[(&'static str, u64)], label: &str) -> u64 {
    let named = values.iter().filter(|(own, _)| *own == label);
    named.map(|(_, value)| value).sum()
}
