//! What is known of origins across requests: which of them are to be left alone for a while, and how many retries
//! all fetches together may still make.
//!
//! Invariants: bounded in number; an origin that nobody asks is forgotten; no lock is held across an await.

use crate::metrics::Counter;
use crate::ports::{Clock, OriginError};
use http::{HeaderMap, StatusCode};
use moka::sync::Cache;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::retry::{self, Breaker, RetryBudget};
use weir_policies::target::Target;
use weir_policies::time::UnixSeconds;

/// Origins remembered at once, at most; a forgotten one starts with a clean slate.
const ORIGINS_MAX: u64 = 10_000;
/// How long an origin is remembered that nobody asks.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// The breakers of all origins, and the budget of retries.
#[derive(Debug)]
pub(crate) struct Origins {
    breakers: Cache<String, Arc<Mutex<Breaker>>>,
    budget: Mutex<RetryBudget>,
    clock: Arc<dyn Clock>,
    pub(crate) suspended: Counter,
    pub(crate) budget_spent: Counter,
}

impl Origins {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            breakers: Cache::builder()
                .max_capacity(ORIGINS_MAX)
                .time_to_idle(IDLE)
                .build(),
            budget: Mutex::default(),
            clock,
            suspended: Counter::default(),
            budget_spent: Counter::default(),
        }
    }

    /// Whether the origin of `target` may be asked now.
    ///
    /// # Errors
    /// [`OriginError::Suspended`] with the time left.
    pub(crate) fn admit(&self, target: &Target) -> Result<(), OriginError> {
        let Some(breaker) = self.breakers.get(&place(target)) else {
            return Ok(());
        };
        let admitted = breaker.lock().admit(self.clock.elapsed());
        admitted.map_err(|wait| {
            self.suspended.add(1);
            OriginError::Suspended(target.authority(), wait)
        })
    }

    /// Draws the consequence of an answer.
    pub(crate) fn answered(&self, target: &Target, status: StatusCode, headers: &HeaderMap) {
        let asks_to_wait = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        let now = UnixSeconds::from(self.clock.wall());
        match retry::retry_after(headers, now).filter(|_| asks_to_wait) {
            Some(wait) => {
                let elapsed = self.clock.elapsed();
                self.breaker(target).lock().told_to_wait(elapsed, wait);
            }
            // Whoever answers is there: an error status is about one URL.
            None => {
                if let Some(breaker) = self.breakers.get(&place(target)) {
                    breaker.lock().succeeded();
                }
            }
        }
    }

    /// The origin gave no usable answer.
    pub(crate) fn failed(&self, target: &Target) {
        let elapsed = self.clock.elapsed();
        self.breaker(target).lock().failed(elapsed, chance());
    }

    /// A first attempt was made.
    pub(crate) fn earn(&self) {
        self.budget.lock().earn();
    }

    /// The pause before retry number `attempt`; `None` when all fetches together have retried too often.
    pub(crate) fn pause(&self, attempt: u32) -> Option<Duration> {
        if !self.budget.lock().spend() {
            self.budget_spent.add(1);
            return None;
        }
        Some(retry::pause(attempt, chance()))
    }

    /// A short pause that spends nothing: there was progress.
    pub(crate) fn breath(&self) -> Duration {
        retry::pause(1, chance())
    }

    fn breaker(&self, target: &Target) -> Arc<Mutex<Breaker>> {
        self.breakers.get_with(place(target), Arc::default)
    }
}

fn place(target: &Target) -> String {
    format!("{}://{}", target.scheme().as_str(), target.authority())
}

/// A number in 0..1. Spreads clients apart; nothing depends on it being hard to guess.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without entropy everybody pauses for the middle of the range: a lesser evil.
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}
