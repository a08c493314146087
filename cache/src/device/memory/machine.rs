//! What the disks of one machine share: the count of their calls, the instant of the crash, and the boot.
//!
//! A crash takes all disks at once. So the crash point counts the calls over all of them, and the call that reaches it
//! stops the machine. Calls of different threads come in an order that may differ from run to run; what a crash test
//! proves, it proves for each order that it happens to see.

use super::Survival;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One machine, one life.
#[derive(Debug)]
pub(super) struct Machine {
    life: Mutex<Life>,
    boot: u64,
}

#[derive(Debug, Default)]
struct Life {
    calls: u64,
    crash_at: Option<u64>,
    crashed: bool,
}

/// What the crash makes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pulse {
    Alive,
    /// This is the call.
    Crashes,
    Crashed,
}

impl Machine {
    pub(super) fn new(boot: u64) -> Self {
        Self {
            life: Mutex::default(),
            boot,
        }
    }

    /// The machine in its next life.
    pub(super) fn after(&self, survival: Survival) -> Self {
        Self::new(match survival {
            Survival::Kill => self.boot,
            Survival::PowerLoss { .. } => self.boot + 1,
        })
    }

    pub(super) fn boot(&self) -> u64 {
        self.boot
    }

    pub(super) fn calls(&self) -> u64 {
        self.life().calls
    }

    pub(super) fn crash_at(&self, call: u64) {
        self.life().crash_at = Some(call);
    }

    pub(super) fn has_crashed(&self) -> bool {
        self.life().crashed
    }

    /// Counts a call and says which one it is.
    pub(super) fn count(&self) -> u64 {
        let mut life = self.life();
        life.calls += 1;
        life.calls
    }

    /// A call that hung is late: whichever comes first from the crash point on is the one that crashes.
    pub(super) fn pulse(&self, call: u64) -> Pulse {
        let mut life = self.life();
        if life.crashed {
            return Pulse::Crashed;
        }
        if life.crash_at.is_some_and(|crash_at| call >= crash_at) {
            life.crashed = true;
            return Pulse::Crashes;
        }
        Pulse::Alive
    }

    /// Only ever taken last, under the lock of one disk at most.
    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
