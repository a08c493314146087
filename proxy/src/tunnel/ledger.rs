//! The books of one tunnel: its place among all, its bytes, its line in the access log.
//!
//! Invariant: the record is finished exactly once, also when the tunnel is dropped where it stands.

use super::{Farewell, TunnelStats};
use crate::pass::RecordSink;
use crate::record::Record;
use std::sync::Arc;
use weir_cache::allowance::Taken;
use weir_cache::ports::Clock;
use weir_policies::outcome::Outcome;

/// What the log says of a tunnel that was dropped: only the end of the drain does that.
const CUT_BY_SHUTDOWN: &str = "shutdown";

/// Counts while the tunnel runs, and writes when it has ended.
pub(super) struct Ledger {
    /// `None` once it is finished.
    record: Option<Record>,
    stats: Arc<TunnelStats>,
    sink: Arc<dyn RecordSink>,
    clock: Arc<dyn Clock>,
    _seat: Taken,
}

impl Ledger {
    pub(super) fn new(
        mut record: Record,
        seat: Taken,
        stats: Arc<TunnelStats>,
        sink: Arc<dyn RecordSink>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        record.outcome = Outcome::Tunnel;
        record.detail = Some(CUT_BY_SHUTDOWN);
        stats.active.add(1);
        Self {
            record: Some(record),
            stats,
            sink,
            clock,
            _seat: seat,
        }
    }

    /// So many more bytes were handed on in each direction.
    pub(super) fn carried(&mut self, up: u64, down: u64) {
        self.stats.up_bytes.add(up);
        self.stats.down_bytes.add(down);
        if let Some(record) = &mut self.record {
            record.upload_bytes = record.upload_bytes.saturating_add(up);
            record.body_bytes = record.body_bytes.saturating_add(down);
        }
    }

    /// The tunnel has ended by itself or by a limit; `detail` is a word on that.
    pub(super) fn close(mut self, farewell: Farewell, detail: Option<&'static str>) {
        if let Some(record) = &mut self.record {
            record.complete = farewell == Farewell::Orderly;
            record.detail = detail;
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.stats.active.subtract(1);
        if let Some(mut record) = self.record.take() {
            record.duration = self.clock.elapsed().saturating_sub(record.started);
            self.sink.finished(record);
        }
    }
}
