//! Ranges that lie far ahead of a running fill: waiting for it would take too long, so they are fetched by themselves.

use super::growing::Growing;
use super::{Engine, FetchRequest};
use std::time::Duration;
use weir_policies::range;

/// How long a fill is watched before its rate is believed.
const WATCHED: Duration = Duration::from_millis(500);

impl Engine {
    /// Whether the range that `request` wants would be reached later than the configured patience.
    ///
    /// Cancel-safe.
    pub(super) async fn is_far_ahead(&self, request: &FetchRequest, growing: &Growing) -> bool {
        let patience = self.settings.load().range_wait;
        if patience.is_zero() {
            return false;
        }
        let Some(start) = first_byte(request, growing.length()) else {
            return false;
        };
        while growing.arrived_bytes() < start {
            let Some(left) = WATCHED.checked_sub(growing.running_for()) else {
                break;
            };
            // Until it has been watched for long enough, or is there.
            if tokio::time::timeout(left.max(Duration::from_millis(1)), growing.changed())
                .await
                .is_ok_and(|ended| ended)
            {
                return false;
            }
        }
        let missing = start.saturating_sub(growing.arrived_bytes());
        missing > reachable_bytes(growing, patience)
    }
}

/// What a fill brings within `patience` at the rate it has had so far.
fn reachable_bytes(growing: &Growing, patience: Duration) -> u64 {
    let elapsed = growing.running_for().as_millis().max(1);
    let bytes = u128::from(growing.arrived_bytes()) * patience.as_millis() / elapsed;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The first byte of the ranges that are asked for.
fn first_byte(request: &FetchRequest, length: Option<u64>) -> Option<u64> {
    if let Some((start, _)) = range::explicit_start(&request.headers) {
        return Some(start);
    }
    match range::resolve(&request.headers, length?) {
        range::Ranges::Single(range) => Some(range.start),
        range::Ranges::Multi(ranges) => ranges.iter().map(|range| range.start).max(),
        range::Ranges::Whole | range::Ranges::Unsatisfiable => None,
    }
}
