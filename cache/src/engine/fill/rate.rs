//! The least rate of a fill.

use std::num::NonZeroU64;
use std::time::Duration;

/// The configured least rate, judged over windows: an origin may pause, but not crawl for ever.
pub(super) struct Rate {
    bytes_per_window_min: Option<u64>,
    window: tokio::time::Interval,
    received: u64,
}

/// Long enough for a pause of the origin, short against the total time.
const RATE_WINDOW: Duration = Duration::from_secs(60);

impl Rate {
    pub(super) fn new(bytes_per_second_min: Option<NonZeroU64>) -> Self {
        let bytes_per_window_min =
            bytes_per_second_min.map(|rate| rate.get().saturating_mul(RATE_WINDOW.as_secs()));
        let first = tokio::time::Instant::now() + RATE_WINDOW;
        Self {
            bytes_per_window_min,
            window: tokio::time::interval_at(first, RATE_WINDOW),
            received: 0,
        }
    }

    pub(super) fn count(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Resolves when a window ends with too few bytes.
    pub(super) async fn too_slow(&mut self) {
        let Some(bytes_min) = self.bytes_per_window_min else {
            return std::future::pending().await;
        };
        loop {
            self.window.tick().await;
            if std::mem::take(&mut self.received) < bytes_min {
                return;
            }
        }
    }
}
