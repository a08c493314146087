//! Calls that do not come back until a test lets them.
//!
//! A disk that hangs takes the thread with it. Tests count the threads that are stuck instead of sleeping; nothing but
//! [`MemoryDevice::release`] sets them free, not even a crash, so a test that joins threads releases first.

use super::{MemoryDevice, Operation, Shared, State};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

/// A test that waits so long for calls to hang has a bug.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which calls hang, and how many do.
#[derive(Debug, Default)]
pub(super) struct Hang {
    which: Which,
    stuck: usize,
    /// A call waits for the next release, even if the disk hangs again by the time its thread runs.
    releases: u64,
}

#[derive(Debug, Default)]
enum Which {
    #[default]
    None,
    Some(Vec<Operation>),
    All,
}

impl Hang {
    fn takes(&self, operation: Operation) -> bool {
        match &self.which {
            Which::None => false,
            Which::Some(operations) => operations.contains(&operation),
            // The machine answers this one, not the disk.
            Which::All => operation != Operation::BootId,
        }
    }
}

impl MemoryDevice {
    /// Calls of this kind hang until [`Self::release`], besides those of other kinds that do already.
    pub fn hold(&self, operation: Operation) {
        match &mut self.shared.lock().hang.which {
            Which::Some(operations) => operations.push(operation),
            none @ Which::None => *none = Which::Some(vec![operation]),
            Which::All => {}
        }
    }

    /// Every call hangs until [`Self::release`], on the disk and on its open files.
    pub fn hang(&self) {
        self.shared.lock().hang.which = Which::All;
    }

    /// Lets hanging calls go on. They succeed or fail by the faults that are in force then.
    pub fn release(&self) {
        let mut state = self.shared.lock();
        state.hang.which = Which::None;
        state.hang.releases += 1;
        self.shared.released.notify_all();
    }

    /// How many calls hang at this moment.
    #[must_use]
    pub fn hanging(&self) -> usize {
        self.shared.lock().hang.stuck
    }

    /// Blocks until at least so many calls hang at the same time. `false`: they did not for a minute.
    #[must_use]
    pub fn wait_until_hanging(&self, count: usize) -> bool {
        let state = self.shared.lock();
        let (state, _) = self
            .shared
            .stuck
            .wait_timeout_while(state, PATIENCE, |state| state.hang.stuck < count)
            .unwrap_or_else(PoisonError::into_inner);
        state.hang.stuck >= count
    }
}

impl Shared {
    /// Counts a call and waits while such calls hang. Returns which call it is.
    pub(super) fn admit(&self, operation: Operation) -> (MutexGuard<'_, State>, u64) {
        let mut state = self.lock();
        let call = state.machine.count();
        if state.hang.takes(operation) {
            let releases = state.hang.releases;
            state.hang.stuck += 1;
            self.stuck.notify_all();
            state = self
                .released
                .wait_while(state, |state| state.hang.releases == releases)
                .unwrap_or_else(PoisonError::into_inner);
            state.hang.stuck -= 1;
        }
        (state, call)
    }
}
