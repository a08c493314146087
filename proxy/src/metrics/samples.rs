//! Values that other rooms own, read when a scrape asks.
//!
//! Invariants: a metric never has more than [`LABEL_VALUES_MAX`] series, whatever a source reports; a source that
//! panics costs its own samples only.

use super::catalog::{Collected, Described, Kind};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

/// Most series of one metric; what goes beyond is added up under [`OTHER`].
const LABEL_VALUES_MAX: usize = 256;
/// Between the values of several labels; in none of them.
const BETWEEN: &str = "\u{1f}";
/// The label value of everything beyond the bound.
const OTHER: &str = "other";

/// Something that knows current values. Asked at every scrape: cheap, never blocking.
pub(crate) trait Source: Send + Sync {
    /// Adds its values.
    fn samples(&self, samples: &mut Samples);
}

impl<F: Fn(&mut Samples) + Send + Sync> Source for F {
    fn samples(&self, samples: &mut Samples) {
        self(samples);
    }
}

/// The values of one scrape.
#[derive(Debug, Default)]
pub(crate) struct Samples(BTreeMap<Collected, BTreeMap<String, u64>>);

impl Samples {
    /// Adds a value to a series; several sources may share one (`weir_bound_hits_total`). `label` is the value of the
    /// metric's only label, from an enum or the configuration; empty for a metric without one.
    pub(crate) fn add(&mut self, metric: Collected, label: &str, value: u64) {
        let series = self.0.entry(metric).or_default();
        let label = if metric.described().labels.is_empty() {
            ""
        } else {
            label
        };
        let is_full = series.len() >= LABEL_VALUES_MAX && !series.contains_key(label);
        let sum = series
            .entry(if is_full { OTHER } else { label }.to_owned())
            .or_default();
        *sum = sum.saturating_add(value);
    }

    /// The sum of all series of a metric.
    pub(super) fn sum(&self, metric: Collected) -> u64 {
        let series = self.0.get(&metric).into_iter().flat_map(BTreeMap::values);
        series.fold(0, |sum, value| sum.saturating_add(*value))
    }
}

impl Samples {
    /// As [`Self::add`], for a metric with several labels: a value for each, in their order.
    pub(crate) fn add_by(&mut self, metric: Collected, labels: &[&str], value: u64) {
        self.add(metric, &labels.join(BETWEEN), value);
    }
}

/// The registered sources.
#[derive(Default)]
pub(super) struct Sources(RwLock<Vec<Arc<dyn Source>>>);

impl Sources {
    pub(super) fn add(&self, source: Arc<dyn Source>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(source);
    }

    /// Asks every source. Every metric is there: one without labels with a value, any other at least by its name.
    pub(super) fn gather(&self) -> Samples {
        let sources = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut samples = Samples::default();
        for metric in Collected::ALL {
            samples.0.entry(metric).or_default();
        }
        for source in sources {
            if catch_unwind(AssertUnwindSafe(|| source.samples(&mut samples))).is_err() {
                tracing::error!("a source of metrics panicked, its values are missing");
            }
        }
        samples
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let samples = self.gather();
        for (metric, series) in samples.0 {
            family(&mut encoder, metric.described(), &series)?;
        }
        Ok(())
    }
}

/// One metric with its series. Only counters and gauges are collected.
fn family(
    encoder: &mut DescriptorEncoder<'_>,
    described: Described,
    series: &BTreeMap<String, u64>,
) -> fmt::Result {
    let (metric_type, number): (_, fn(MetricEncoder<'_>, u64) -> fmt::Result) = match described.kind
    {
        Kind::Counter => (MetricType::Counter, |mut encoder, value| {
            encoder.encode_counter::<NoLabelSet, _, u64>(&value, None)
        }),
        Kind::Gauge | Kind::Histogram | Kind::Info => (MetricType::Gauge, |mut encoder, value| {
            encoder.encode_gauge(&value)
        }),
    };
    // Unlike the registry, this call does not end the sentence by itself.
    let help = format!("{}.", described.help);
    let mut family = encoder.encode_descriptor(described.family(), &help, None, metric_type)?;
    if described.labels.is_empty() {
        return number(family, series.values().sum());
    }
    for (text, value) in series {
        // What was added up beyond the bound has one value for all its labels.
        let values = text.split(BETWEEN).chain(std::iter::repeat(OTHER));
        let labels: Vec<_> = described.labels.iter().copied().zip(values).collect();
        number(family.encode_family(&labels)?, *value)?;
    }
    Ok(())
}
