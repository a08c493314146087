//! What the threads of a scrub, those who start and pause it, and those who ask how far it is have in common.
//!
//! Every start, pause and end is a *change* with a number of its own. A thread that reads carries the number under which
//! it began; once that is not the current one, nothing it does counts any more, and it ends before its next read. So a
//! pause waits for nobody, and a thread that hangs on a disk holds up nothing but itself.
//!
//! What disks are told of it is in [`saving`], what people are told in [`telling`].
//!
//! The lock is a leaf: no other one, no device and no handle is touched while it is held.

mod saving;
mod telling;

use super::super::core::lock;
use super::super::report::{DiskSlot, ScrubDepth};
use super::course::{Age, Course, FOLDERS};
use crate::ports::Clock;
use saving::Saving;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two looks at the clock while a read has to wait: the clock of a test moves without a word.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// It was paused, ended or begun anew: whoever reads stops.
#[derive(Debug)]
pub(super) struct Interrupted;

/// A pass to be read, or to be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    /// Number of the change that ordered it.
    pub(super) change: u64,
    pub(super) depth: ScrubDepth,
}

/// What was found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Findings {
    pub(in crate::store) files: u64,
    pub(in crate::store) read_bytes: u64,
    /// Shards that are gone or not what was written.
    pub(in crate::store) bad_shards: u64,
    /// Files that could not be read twice, for reasons that say nothing about them.
    pub(in crate::store) unread_files: u64,
    /// Files that the index does not know.
    pub(in crate::store) stray_files: u64,
    /// Objects whose shards contradict each other, none of which could be named.
    pub(in crate::store) unlike_objects: u64,
}

/// How far one disk is.
#[derive(Debug, Default, Clone, Copy)]
struct Walked {
    /// The next one to be read.
    folder: u16,
    done: u64,
    total: u64,
    /// When this run began, and what was done by then: for the speed.
    began: Duration,
    done_before: u64,
    saving: Saving,
    /// When it was saved last.
    saved: Duration,
}

#[derive(Debug)]
struct State {
    course: Course,
    started: Option<Age>,
    ended: Option<Age>,
    waiting: Option<Age>,
    disks: BTreeMap<DiskSlot, Walked>,
    /// Threads that read, with the change that they belong to.
    readers: Vec<(DiskSlot, u64)>,
    is_closed: bool,
    in_pass: Findings,
    in_all: Findings,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Control {
    state: Mutex<State>,
    changed: Condvar,
}

impl Default for Control {
    fn default() -> Self {
        let state = State {
            course: Course::default(),
            started: None,
            ended: None,
            waiting: None,
            disks: BTreeMap::new(),
            readers: Vec::new(),
            is_closed: false,
            in_pass: Findings::default(),
            in_all: Findings::default(),
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }
}

impl State {
    fn order(&self) -> Option<Order> {
        let is_wanted = self.course.is_under_way && !self.course.is_paused && !self.is_closed;
        is_wanted.then_some(Order {
            change: self.course.change,
            depth: self.course.depth,
        })
    }

    fn is_current(&self, change: u64) -> bool {
        self.order().is_some_and(|order| order.change == change)
    }

    fn change(&mut self) {
        self.course.change = self.course.change.saturating_add(1);
        for disk in self.disks.values_mut() {
            disk.touch();
        }
    }

    fn begin_pass(&mut self, depth: ScrubDepth, clock: &dyn Clock) {
        self.course.pass = self.course.pass.saturating_add(1);
        self.course.is_under_way = true;
        self.course.depth = depth;
        self.started = Some(Age::none(clock));
        self.in_pass = Findings::default();
        for disk in self.disks.values_mut() {
            (disk.folder, disk.done, disk.total) = (0, 0, 0);
        }
        self.change();
    }
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Begins a pass, or goes on with one that is under way and at least as deep.
    pub(super) fn start(&self, depth: ScrubDepth, clock: &dyn Clock) {
        let mut state = self.lock();
        let is_deep_enough =
            state.course.depth == ScrubDepth::Parity || depth == ScrubDepth::Blocks;
        let goes_on = state.course.is_under_way && is_deep_enough;
        let was_paused = std::mem::take(&mut state.course.is_paused);
        if !goes_on {
            state.begin_pass(depth, clock);
        } else if was_paused {
            state.change();
        }
        self.changed.notify_all();
    }

    pub(super) fn pause(&self) {
        let mut state = self.lock();
        if !state.course.is_paused {
            state.course.is_paused = true;
            state.change();
        }
        self.changed.notify_all();
    }

    /// Begins a pass when none has for a whole interval.
    pub(super) fn start_if_due(&self, interval: Option<Duration>, clock: &dyn Clock) {
        let mut state = self.lock();
        let waited = state.waiting.map_or(Duration::ZERO, |age| age.now(clock));
        let is_due = interval.is_some_and(|interval| waited >= interval);
        if is_due && !state.course.is_under_way && !state.course.is_paused && !state.is_closed {
            state.begin_pass(ScrubDepth::Blocks, clock);
        }
    }

    /// Nothing is read any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// The pass that is to be read.
    pub(super) fn order(&self) -> Option<Order> {
        self.lock().order()
    }

    /// Waits for a pass to read, so long at most; `false` when there will be none.
    pub(super) fn wait_for_order(&self, longest: Duration) -> bool {
        let state = self.lock();
        let is_idle = |state: &mut State| state.order().is_none() && !state.is_closed;
        let waited = self.changed.wait_timeout_while(state, longest, is_idle);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.is_closed
    }

    /// Waits until `due` on monotonic time.
    pub(super) fn wait_until(
        &self,
        due: Duration,
        change: u64,
        clock: &dyn Clock,
    ) -> Result<(), Interrupted> {
        let mut state = self.lock();
        loop {
            if !state.is_current(change) {
                return Err(Interrupted);
            }
            let left = due.saturating_sub(clock.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            let waited = self.changed.wait_timeout(state, left.min(LOOK_AGAIN));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A thread begins to read a disk.
    pub(super) fn enter(&self, slot: DiskSlot, change: u64) {
        self.lock().readers.push((slot, change));
    }

    /// It has ended.
    pub(super) fn leave(&self, slot: DiskSlot, change: u64) {
        let mut state = self.lock();
        let place = state.readers.iter().position(|one| *one == (slot, change));
        if let Some(place) = place {
            state.readers.swap_remove(place);
        }
        self.changed.notify_all();
    }

    /// Waits until all threads of a change have ended, or it is another one, or those that are left read disks that
    /// `is_live` does not know; asks that every now and then.
    pub(super) fn wait_for_readers(&self, change: u64, is_live: impl Fn(DiskSlot) -> bool) {
        loop {
            let state = self.lock();
            let is_busy = |state: &mut State| {
                let mut readers = state.readers.iter();
                state.is_current(change) && readers.any(|(_, reads_for)| *reads_for == change)
            };
            let waited = self.changed.wait_timeout_while(state, LOOK_AGAIN, is_busy);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if !is_busy(&mut state) {
                return;
            }
            let reading = state.readers.iter().filter(|(_, of)| *of == change);
            let slots: Vec<_> = reading.map(|(slot, _)| *slot).collect();
            drop(state);
            if !slots.into_iter().any(&is_live) {
                return;
            }
        }
    }

    /// Waits until nobody reads, so long at most; whether it is so.
    pub(super) fn wait_for_silence(&self, longest: Duration) -> bool {
        let state = self.lock();
        let waited = self
            .changed
            .wait_timeout_while(state, longest, |state| !state.readers.is_empty());
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.readers.is_empty()
    }

    /// Sets what a disk has to read and has read; the folder to begin with.
    pub(super) fn begin_disk(&self, slot: DiskSlot, files: (u64, u64), clock: &dyn Clock) {
        let mut state = self.lock();
        let disk = state.disks.entry(slot).or_default();
        (disk.total, disk.done) = files;
        (disk.began, disk.done_before) = (clock.elapsed(), files.1);
    }

    /// The next folder of a disk; at the end [`FOLDERS`].
    pub(super) fn folder(&self, slot: DiskSlot) -> u16 {
        let state = self.lock();
        state.disks.get(&slot).map_or(0, |disk| disk.folder)
    }

    /// A folder has been read: goes on behind it.
    pub(super) fn finish_folder(
        &self,
        slot: DiskSlot,
        folder: u16,
        change: u64,
    ) -> Result<(), Interrupted> {
        let mut state = self.lock();
        if !state.is_current(change) {
            return Err(Interrupted);
        }
        let disk = state.disks.entry(slot).or_default();
        disk.folder = folder.saturating_add(1).min(FOLDERS);
        disk.touch();
        Ok(())
    }

    /// A file has been read.
    pub(super) fn count_file(&self, slot: DiskSlot, change: u64) {
        let mut state = self.lock();
        if state.is_current(change)
            && let Some(disk) = state.disks.get_mut(&slot)
        {
            disk.done = disk.done.saturating_add(1);
        }
        drop(state);
        self.note(|found| found.files += 1);
    }

    /// Counts something that was found.
    pub(super) fn note(&self, count: impl Fn(&mut Findings)) {
        let mut state = self.lock();
        count(&mut state.in_pass);
        count(&mut state.in_all);
        #[cfg(test)]
        self.changed.notify_all();
    }

    /// The pass is over; what it has found. `None` when something has come in between.
    pub(super) fn finish(&self, change: u64, clock: &dyn Clock) -> Option<Findings> {
        let mut state = self.lock();
        if !state.is_current(change) {
            return None;
        }
        state.course.is_under_way = false;
        let now = Age::none(clock);
        (state.ended, state.waiting) = (Some(now), Some(now));
        state.change();
        self.changed.notify_all();
        Some(state.in_pass)
    }
}
