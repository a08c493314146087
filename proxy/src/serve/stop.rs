//! The end, in order: nobody new, then everybody who is here, then what they wrote.

use super::Running;
use crate::readiness::State;
use std::time::Duration;

/// What is kept for closing the store and the logs when the drain deadline is used up.
const CLOSE_TIME_MIN: Duration = Duration::from_secs(5);

/// Stop accepting → let responses end → finish or give up fills → close the store → last notifications → flush the log. The admin
/// listener answers to the end, so that a load balancer can see why we are not ready.
pub(super) async fn drain(mut running: Running) {
    let deadline = tokio::time::Instant::now() + running.drain;
    running.readiness.advance(State::Draining);
    running.listeners.stop();
    let ended = tokio::time::timeout_at(deadline, running.listeners.ended());
    if ended.await.is_err() {
        tracing::warn!(
            "responses and tunnels cut at the drain deadline: [server] drain allows more time"
        );
        running.listeners.cut().await;
    }
    let left = deadline
        .saturating_duration_since(tokio::time::Instant::now())
        .max(CLOSE_TIME_MIN);
    running.shared.engine.close(left).await;
    // Before the folder is anybody else's: the socket in it is ours.
    running.control_tasks.shutdown().await;
    running.store.close(left.max(CLOSE_TIME_MIN)).await;
    running.notifier.close().await;
    running.background.shutdown().await;
    running.admin.cut().await;
    running.access_log.close().await;
    tracing::info!("stopped");
}
