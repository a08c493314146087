//! The data changes hands: it comes later than the first request, and it may go before the last one.
//!
//! ```text
//! awaited   nothing is found or stored; clients of one URL share a fetch that lives in memory
//!    │ install: changes that came meanwhile are made up for, what was asked before is joined by nobody any more
//! ours
//!    │ retire: no fill starts any more, those that run go on for their readers
//! given away   every request goes alone, unless its failure is known
//! ```
//! Invariant: what was asked of an upstream before the data was ours is never stored and, once it is ours, answers
//! nobody else: the process before may have purged it.

use super::lookup::StaleObject;
use super::share::{Again, answer_failure};
use super::unfit::has_conditions;
use super::{Engine, FetchRequest};
use crate::store::Store;
use http::Method;
use http::header::RANGE;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::outcome::Outcome;

impl Engine {
    /// The store that was waited for. Another one than the first is not taken.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn install(self: &Arc<Self>, store: Arc<Store>) {
        self.store.install(store);
        self.flights.pass_over(|_| true);
        self.hold_down.forget_all();
        if self.store.has_missed() {
            // The first lookup would do it; written down it outlives a crash before that.
            let engine = Arc::clone(self);
            let making_up = async move { engine.store.make_up().await };
            if let Err(error) = self.tasks.spawn("make up", making_up) {
                tracing::debug!(?error, "what changed is marked when it is looked up");
            }
        }
    }

    /// The store; `None` while it is another process's.
    #[must_use]
    pub fn store(&self) -> Option<&Arc<Store>> {
        self.store.get()
    }

    /// Gives the data to another process: no fill starts from now on, those that run become streams for their readers,
    /// and the store retires. Returns when its lock is free, at the `deadline` at the latest.
    pub async fn retire(&self, deadline: Duration) {
        self.tasks.refuse();
        if let Some(store) = self.store.get() {
            store.retire(deadline).await;
        }
    }

    /// Whether anything can be stored: the data is neither awaited nor given away.
    #[must_use]
    pub fn owns_data(&self) -> bool {
        self.store.is_ours()
    }

    /// Whether the data was given to another process.
    pub(crate) fn has_retired(&self) -> bool {
        self.store.get().is_some_and(|store| store.has_retired())
    }

    /// Answers while the data is another process's.
    pub(super) async fn fetch_without_data(
        self: &Arc<Self>,
        request: &FetchRequest,
        stale: Option<StaleObject>,
    ) -> Again {
        let is_everybodys = request.method == Method::GET && request.plan.shared;
        if is_everybodys && !self.has_retired() {
            if request.wants_part() {
                return self.part(request).await;
            }
            if is_shared_from_memory(request) {
                return self.share(request, stale).await;
            }
        }
        if is_everybodys && let Some(failure) = self.hold_down.failure(request) {
            self.stats.held_down.add(1);
            return Again::Answered(answer_failure(failure, stale));
        }
        Again::Answered(self.private(request, Outcome::Bypass, stale).await)
    }
}

/// Whether others have use for the bytes of a fetch that nobody keeps. For a range or an answer to a condition all of
/// them would be fetched in vain, and with an expected digest a fill without a store lets nobody have the end.
fn is_shared_from_memory(request: &FetchRequest) -> bool {
    let headers = &request.headers;
    let wants_all = !headers.contains_key(RANGE) && !has_conditions(headers);
    wants_all && request.plan.effect.verify.is_empty()
}
