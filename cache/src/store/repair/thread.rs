//! The thread that repairs, and how it makes way for clients.
//!
//! It sleeps until there is something to do, and ends with the store: it looks for the end before every stripe that it
//! reads, and a store is closed only when it has ended.

use super::Repairs;
use crate::store::core::{Core, lock};
use std::io;
use std::sync::{Arc, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks whether clients still wait.
const WAY_STEP: Duration = Duration::from_millis(10);
/// Looks until it goes on anyway: a store that is always busy is repaired too.
const WAY_STEPS_MAX: u32 = 100;

/// Starts the thread. It ends with the store.
pub(in crate::store) fn start_repairer(core: &Arc<Core>) -> io::Result<()> {
    let (repairs, core) = (core.repairs.clone(), Arc::downgrade(core));
    lock(&repairs.shared.state).is_running = true;
    let running = repairs.clone();
    let started = thread::Builder::new()
        .name("weir-repair".to_owned())
        .spawn(move || {
            let _running = Running(running.clone());
            run(&running, &core);
        });
    if started.is_err() {
        lock(&repairs.shared.state).is_running = false;
    }
    started.map(drop)
}

/// Tells when the thread has ended, however it did.
struct Running(Repairs);

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.0.shared.state).is_running = false;
        self.0.shared.ended.notify_all();
    }
}

fn run(repairs: &Repairs, core: &Weak<Core>) {
    while repairs.await_work() {
        let Some(core) = core.upgrade() else { return };
        if core.is_ending() {
            return;
        }
        core.repair_now();
    }
}

impl Repairs {
    /// Sleeps until there is something to do; `false` when the store ends.
    fn await_work(&self) -> bool {
        let mut state = lock(&self.shared.state);
        loop {
            if state.is_stopped {
                return false;
            }
            let is_due = state.is_any_due();
            if is_due || state.overflowed || !state.queue.is_empty() {
                return true;
            }
            if !state.is_any_postponed() {
                state.patience.reset();
                let waited = self.shared.work.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let left = state.patience.left(Instant::now());
            if left.is_zero() {
                state.all_due();
                return true;
            }
            let waited = self.shared.work.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits, blocking, until the thread has ended; `false` at the deadline.
    pub(in crate::store) fn await_end(&self, deadline: Duration) -> bool {
        let start = Instant::now();
        let mut state = lock(&self.shared.state);
        while state.is_running {
            let Some(left) = deadline.checked_sub(start.elapsed()) else {
                return false;
            };
            let waited = self.shared.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Sleeps for a moment; the end of the store wakes.
    fn pause(&self, moment: Duration) {
        let state = lock(&self.shared.state);
        let waited = self
            .shared
            .work
            .wait_timeout_while(state, moment, |state| !state.is_stopped);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Core {
    /// Clients come first: waits while they wait for the coordinator or for a disk, for a bounded time.
    pub(super) fn make_way(&self) {
        for _ in 0..WAY_STEPS_MAX {
            let disks = self.array.disks();
            let is_busy = self.pool.is_full() || disks.iter().any(|disk| disk.is_busy());
            if !is_busy || self.is_ending() {
                return;
            }
            self.repairs.pause(WAY_STEP);
        }
    }
}
