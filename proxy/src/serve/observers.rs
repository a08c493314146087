//! Who hears of what has ended: the adapters between rooms that do not know each other.

use crate::access_log::AccessLog;
use crate::metrics::Metrics;
use crate::pass::{self, RecordSink};
use crate::record::Record;
use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode};
use std::sync::Arc;
use weir_cache::engine::Engine;
use weir_policies::target::Target;

/// Passed requests that change something make the cache ask again.
pub(super) struct Invalidation(pub(super) Arc<Engine>);

#[async_trait]
impl pass::UnsafeObserver for Invalidation {
    async fn answered(
        &self,
        method: &Method,
        target: &Target,
        status: StatusCode,
        headers: &HeaderMap,
    ) {
        let Self(engine) = self;
        engine
            .answered_unsafe(method, target, status, headers)
            .await;
    }
}

/// One record, two readers.
pub(super) struct Records {
    pub(super) access_log: Arc<AccessLog>,
    pub(super) metrics: Arc<Metrics>,
}

impl RecordSink for Records {
    fn finished(&self, record: Record) {
        self.metrics.observe(&record);
        self.access_log.log(&record);
    }
}
