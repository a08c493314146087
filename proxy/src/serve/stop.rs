//! The end, in order: nobody new, then everybody who is here, then what they wrote. When another process takes over the
//! data goes first, and whoever is here is served from what is open.

use super::Running;
use super::upgrade::{RELEASE_TIME_MAX, Successor};
use crate::readiness::State;
use std::time::Duration;
use tokio::time::Instant;

/// What is kept for closing the store and the logs when the drain deadline is used up.
const CLOSE_TIME_MIN: Duration = Duration::from_secs(5);

/// Stop accepting → let responses end → finish or give up fills → close the store → last notifications → flush the log.
/// The admin listener answers to the end, so that a load balancer can see why we are not ready.
pub(super) async fn drain(mut running: Running) {
    let deadline = Instant::now() + running.drain;
    running.readiness.advance(State::Draining);
    // Who is asked to stop takes on nobody and nothing.
    running.offering.abort_all();
    running.arriving.abort_all();
    running.listeners.stop();
    finish(running, deadline).await;
}

/// Stop accepting → end commands → give the data back → let responses end, from open files and streams. The commands'
/// socket and the one of the next upgrade are gone before the data is: their names are the new process's then.
pub(super) async fn hand_over(mut running: Running, successor: Successor) {
    let deadline = Instant::now() + running.upgrade_drain;
    running.readiness.advance(State::Draining);
    running.front.hand_over();
    running.listeners.stop();
    running.admin.stop();
    running.control_tasks.shutdown().await;
    running.upgrades.take();
    running.shared.engine.retire(RELEASE_TIME_MAX).await;
    successor.tell_released().await;
    tracing::info!("handed over: running responses may end");
    finish(running, deadline).await;
}

async fn finish(mut running: Running, deadline: Instant) {
    let ended = tokio::time::timeout_at(deadline, running.listeners.ended());
    if ended.await.is_err() {
        tracing::warn!(
            "responses and tunnels cut at the drain deadline: [server] drain, or upgrade_drain after an upgrade, allows more time"
        );
        running.listeners.cut().await;
    }
    let left = deadline.saturating_duration_since(Instant::now());
    // What cannot be stored any more is for readers only, and those are gone.
    let left = if running.shared.engine.owns_data() {
        left.max(CLOSE_TIME_MIN)
    } else {
        left
    };
    running.shared.engine.close(left).await;
    // Before the folder is anybody else's: the socket in it is ours.
    running.control_tasks.shutdown().await;
    running.upgrades.take();
    let untaken = running.await_no_data().await;
    if let Some(store) = running.shared.engine.store().or(untaken.as_ref()) {
        store.close(left.max(CLOSE_TIME_MIN)).await;
    }
    running.notifier.close().await;
    running.background.shutdown().await;
    running.admin.cut().await;
    running.access_log.close().await;
    tracing::info!("stopped");
}
