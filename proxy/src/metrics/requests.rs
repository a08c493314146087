//! The metrics of requests, counted from their records.
//!
//! Every counter is allocated at start, one for each value of its labels; counting finds it by a short search over
//! enums and adds to an atomic. (The library's own `Family` takes a lock and hashes labels, its `Histogram` takes a
//! lock: fine elsewhere, not once per request on every core.)

use super::catalog::{REQUEST_DURATION, REQUESTS, RESPONSE_BYTES};
use super::labels::{Answered, AskedForm, ByteSource, Label};
use super::register;
use crate::record::Record;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use weir_policies::outcome::Outcome;

/// Upper bounds of the buckets of request durations, seconds: a hit from memory to a large file over a slow line.
const DURATION_BUCKETS: [f64; 17] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    120.0, 600.0,
];

/// Counters of requests.
#[derive(Debug)]
pub(super) struct Requests {
    /// A row for each form.
    requests: Arc<[Counters<Answered>]>,
    bytes: Arc<Counters<ByteSource>>,
    durations: Arc<Durations>,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            requests: AskedForm::ALL.iter().map(|_| Counters::default()).collect(),
            bytes: Arc::default(),
            durations: Arc::default(),
        }
    }
}

impl Requests {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, REQUESTS, ByForm(Arc::clone(&self.requests)));
        register(
            registry,
            REQUEST_DURATION,
            Encoded(Arc::clone(&self.durations)),
        );
        register(registry, RESPONSE_BYTES, Encoded(Arc::clone(&self.bytes)));
    }

    /// Requests by result, once for each form.
    pub(super) fn by_result(&self) -> Vec<(&'static str, u64)> {
        self.requests.iter().flat_map(Counters::read).collect()
    }

    /// Body bytes by where they were read from.
    pub(super) fn by_source(&self) -> Vec<(&'static str, u64)> {
        self.bytes.read().collect()
    }

    pub(super) fn observe(&self, record: &Record) {
        let form = AskedForm(record.form);
        let place = AskedForm::ALL.iter().position(|listed| *listed == form);
        if let Some(row) = place.and_then(|place| self.requests.get(place)) {
            row.add(Answered(record.outcome), 1);
        }
        // A tunnel lasts as long as its ends want, and its bytes were counted while it did.
        if record.outcome == Outcome::Tunnel {
            return;
        }
        self.bytes
            .add(ByteSource::of(record.outcome), record.body_bytes);
        self.durations.observe(record.duration);
    }
}

/// A counter for each value of a label.
#[derive(Debug)]
struct Counters<L: Label> {
    values: Box<[(L, AtomicU64)]>,
}

impl<L: Label> Default for Counters<L> {
    fn default() -> Self {
        Self {
            values: L::ALL
                .iter()
                .map(|value| (*value, AtomicU64::new(0)))
                .collect(),
        }
    }
}

impl<L: Label> Counters<L> {
    fn add(&self, value: L, amount: u64) {
        if let Some((_, counter)) = self.values.iter().find(|(listed, _)| *listed == value) {
            counter.fetch_add(amount, Ordering::Relaxed);
        }
    }

    fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.values
            .iter()
            .map(|(value, counter)| (value.as_str(), counter.load(Ordering::Relaxed)))
    }
}

/// Counts of durations by bucket.
#[derive(Debug, Default)]
struct Durations {
    /// The last one counts what is longer than every bound.
    buckets: [AtomicU64; DURATION_BUCKETS.len() + 1],
    /// 584 years of them fit.
    sum_nanoseconds: AtomicU64,
}

impl Durations {
    fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let place = DURATION_BUCKETS.partition_point(|bound| *bound < seconds);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanoseconds
            .fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

/// What a [`Encoded`] metric shows at a scrape.
trait Expose {
    const TYPE: MetricType;

    fn expose(&self, encoder: MetricEncoder<'_>) -> fmt::Result;
}

/// Hands a shared metric to the registry.
#[derive(Debug)]
struct Encoded<M>(Arc<M>);

impl<M: Expose> EncodeMetric for Encoded<M> {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.expose(encoder)
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

impl Expose for Counters<ByteSource> {
    const TYPE: MetricType = MetricType::Counter;

    fn expose(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (source, value) in self.read() {
            encoder
                .encode_family(&[("source", source)])?
                .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }
}

impl Expose for Durations {
    const TYPE: MetricType = MetricType::Histogram;

    /// The count is the sum of the buckets as they are read, so the two always agree.
    fn expose(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = DURATION_BUCKETS.into_iter().chain([f64::INFINITY]);
        let counts = self
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.sum_nanoseconds.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), count, &buckets, None)
    }
}

/// The rows of `weir_requests_total`.
#[derive(Debug)]
struct ByForm(Arc<[Counters<Answered>]>);

impl EncodeMetric for ByForm {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (form, row) in AskedForm::ALL.iter().zip(self.0.iter()) {
            for (result, value) in row.read() {
                encoder
                    .encode_family(&[("form", form.as_str()), ("result", result)])?
                    .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}
