//! What the gateway counts and how a scrape reads it.
//!
//! Every metric is declared in [`catalog`], with its sentence; `docs/METRICS.md` lists the same, and a test compares
//! them. Requests are counted here from their [`Record`], on atomics that are resolved once at start. What other
//! rooms count stays with them and is read at scrape time through [`Source`].
//!
//! Labels come from enums and configured names only, never from a host, a URL or a client. Format: OpenMetrics 1.0
//! text, in which a counter's family is named without `_total`.

pub(crate) mod catalog;
mod labels;
mod reading;
mod requests;
mod samples;

pub(crate) use catalog::Collected;
pub(crate) use labels::ByteSource;
pub(crate) use samples::{Samples, Source};

use crate::record::Record;
use catalog::Described;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};
use requests::Requests;
use samples::Sources;
use std::sync::Arc;

/// The `Content-Type` of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of the process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Arc<Requests>,
    sources: Arc<Sources>,
}

impl Metrics {
    /// `version` is the program's.
    pub(crate) fn new(version: &'static str) -> Self {
        let requests = Arc::new(Requests::default());
        let sources = Arc::new(Sources::default());
        let mut registry = Registry::default();
        register(
            &mut registry,
            catalog::BUILD_INFO,
            Info::new([("version", version)]),
        );
        requests.register(&mut registry);
        registry.register_collector(Box::new(Arc::clone(&sources)));
        Self {
            registry,
            requests,
            sources,
        }
    }

    /// Counts one finished request. No lock, no allocation.
    pub(crate) fn observe(&self, record: &Record) {
        self.requests.observe(record);
    }

    /// Has `source` asked at every scrape from now on.
    pub(crate) fn watch(&self, source: Arc<dyn Source>) {
        self.sources.add(source);
    }

    /// All metrics in the text format of [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// None in practice: writing to a `String` does not fail.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The registry puts the full stop behind the sentence, and the encoder the suffix behind the name.
fn register(registry: &mut Registry, described: Described, metric: impl Metric) {
    registry.register(described.family(), described.help, metric);
}

#[cfg(test)]
mod tests;
