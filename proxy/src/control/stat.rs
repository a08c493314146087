//! `weir stat`: what the gateway holds and does. Every number is one that the metrics show under the same
//! name; only pinned objects are counted for it.

use super::Vitals;
use super::shown::{Ratio, Status};
use crate::array;
use crate::gateway::Gateway;
use crate::metrics::{ByteSource, Collected};
use std::collections::BTreeMap;
use weir_policies::outcome::Outcome;
use weir_policies::storability::NotStored;

/// The outcomes that were answered from the store.
const HITS: [Outcome; 4] = [
    Outcome::Hit,
    Outcome::Revalidated,
    Outcome::StaleWhileRevalidate,
    Outcome::StaleIfError,
];
/// The outcomes for which bytes had to come from upstream, or would have had to. All responses that were not stored
/// are one result, whatever the reason.
const MISSES: [Outcome; 7] = [
    Outcome::Joined,
    Outcome::Miss,
    Outcome::Stale,
    Outcome::Redirected,
    Outcome::Uncached(NotStored::Method),
    Outcome::Bypass,
    Outcome::NotCached,
];

pub(super) async fn stat(vitals: &Vitals, gateway: &Gateway) -> Status {
    let inventory = gateway.engine.inventory().await;
    let reading = vitals.metrics.read();
    let count = |outcomes: &[Outcome]| {
        let each = outcomes
            .iter()
            .map(|outcome| reading.requests_with(*outcome));
        each.sum()
    };
    let store = reading.bytes_from(ByteSource::Store);
    let fetched = reading.bytes_from(ByteSource::Flight) + reading.bytes_from(ByteSource::Upstream);
    let disks = gateway.engine.store().map(|store| store.disks());
    let uptime = vitals.clock.elapsed().saturating_sub(vitals.started);
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_seconds: uptime.as_secs(),
        problems: vitals.readiness.reasons(),
        store_objects: reading.sum(Collected::StoreObjects),
        store_bytes: reading.sum(Collected::StoreBytes),
        store_budget_bytes: Some(reading.sum(Collected::StoreBudgetBytes))
            .filter(|bytes| *bytes > 0),
        store_state: disks.as_ref().map(|disks| disks.state.as_str().to_owned()),
        store_state_reason: disks.as_ref().and_then(array::what_is_missing),
        store_underprotected_objects: reading.sum(Collected::StoreUnderprotectedObjects),
        store_pinned_objects: inventory.pinned,
        store_bans: inventory.bans_pending,
        store_purged_objects_total: reading.sum(Collected::StorePurgedObjects),
        fill_active: reading.sum(Collected::FillActive),
        client_connections: reading.sum(Collected::ClientConnections),
        tunnel_active: reading.sum(Collected::TunnelActive),
        fill_bytes_total: reading.sum(Collected::FillBytes),
        store_evicted_bytes_total: reading.sum(Collected::StoreEvictedBytes),
        requests_total: by_label(reading.requests()),
        response_bytes_total: by_label(reading.bytes()),
        requests: Ratio::of(count(&HITS), count(&MISSES)),
        response_bytes: Ratio::of(store, fetched),
    }
}

fn by_label(values: &[(&'static str, u64)]) -> BTreeMap<String, u64> {
    let mut by_label = BTreeMap::new();
    for (label, value) in values {
        *by_label.entry((*label).to_owned()).or_default() += value;
    }
    by_label
}

impl Ratio {
    fn of(hits: u64, misses: u64) -> Self {
        let all = hits.saturating_add(misses);
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let hit_ratio = (all > 0).then(|| hits as f64 / all as f64);
        Self {
            hits,
            misses,
            hit_ratio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_requests_there_is_no_ratio() {
        assert_eq!(Ratio::of(0, 0).hit_ratio, None);
        assert_eq!(Ratio::of(3, 1).hit_ratio, Some(0.75));
        assert_eq!(Ratio::of(0, u64::MAX).hit_ratio, Some(0.0));
    }
}
