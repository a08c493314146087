//! Computing shards that are missing, and writing them where they belong.
//!
//! ```text
//! queue: objects that a reader, a scrub or a commit found lacking a shard            → one by one, before all else
//! rebuild of a disk: objects in use, then all of the index, then its names compared  → until nothing is missing
//! retirement of a disk: every object on it is spread anew over the others            → until nothing is left on it
//! a slot that an operator has given up is left in the same way
//! ```
//! What is missing stands in the index, so a rebuild has no cursor that could be lost: what was repaired before a
//! restart is there, and what was not is found missing again.
//!
//! Invariants
//! - One thread does all of this, so two never write the same shard. It makes way for clients between two objects.
//! - Nothing is ever deleted for want of shards: what cannot be computed now stays as it is.
//! - The queue is bounded; what finds no place in it is found by a walk.
//!
//! Deliberately not here: who decides that a shard is missing (judge.rs, and whoever compares names).

mod moving;
mod object;
mod patience;
mod source;
mod thread;
mod walk;

pub(super) use thread::start_repairer;

use super::core::{Core, lock};
use super::layout::{ObjectName, Slot};
use super::members::Members;
use super::report::{DiskSlot, Progress};
use crate::object::Sequence;
use patience::Patience;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Objects that wait at most; the others are found by a walk.
pub(super) const QUEUE_MAX: usize = 4096;

/// One generation of one object.
type Generation = (Slot, Sequence);

/// See the module. Clones share the state.
#[derive(Debug, Clone, Default)]
pub(super) struct Repairs {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to do, or it is time to end.
    work: Condvar,
    /// The thread has ended.
    ended: Condvar,
    /// Slots of the disks that are being retired.
    avoided: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Generation>,
    queued: BTreeSet<Generation>,
    /// Some object found no place in the queue.
    overflowed: bool,
    rebuilds: BTreeMap<DiskSlot, Rebuild>,
    /// Disks that are being retired, and the first sequence that surely avoids them.
    retirements: BTreeMap<DiskSlot, (Rebuild, u64)>,
    /// With what was postponed.
    patience: Patience,
    is_running: bool,
    is_stopped: bool,
}

/// A disk that gets what it lacks.
#[derive(Debug, Clone, Copy)]
struct Rebuild {
    turn: Turn,
    /// Shards written.
    done: u64,
    /// Of so many, as far as is known.
    total: u64,
    /// On the monotonic clock.
    began: Duration,
}

/// Whether there is something to do about a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Asked for.
    Due,
    /// Something was in the way; tried again some time later, or when something else has changed.
    Postponed,
}

/// What became of an object that was to be repaired.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing is missing on a disk that is live, or the object is gone.
    Whole,
    /// These disks have their shards now.
    Written(Members),
    /// Fewer shards are left than there is data.
    TooFew,
    /// What was computed is not what it should be.
    Contradicted,
    /// Not now: no room, or a disk that fails.
    Later(String),
    /// The store ends.
    Stopped,
}

impl Repairs {
    /// Nothing more is begun. Any thread.
    pub(super) fn stop(&self) {
        lock(&self.shared.state).is_stopped = true;
        self.shared.work.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        lock(&self.shared.state).is_stopped
    }

    fn next_queued(&self) -> Option<Generation> {
        let mut state = lock(&self.shared.state);
        let next = state.queue.pop_front()?;
        state.queued.remove(&next);
        Some(next)
    }

    fn change(&self, slot: DiskSlot, change: impl FnOnce(&mut Rebuild)) {
        if let Some(rebuild) = lock(&self.shared.state).rebuilds.get_mut(&slot) {
            change(rebuild);
        }
    }

    /// Slots of the disks that are being retired.
    fn avoided(&self) -> Members {
        Members(self.shared.avoided.load(Ordering::Acquire))
    }

    /// Disks whose retirement is due.
    fn due_to_retire(&self) -> Vec<DiskSlot> {
        let state = lock(&self.shared.state);
        let due = state.retirements.iter();
        due.filter(|(_, (moving, _))| moving.turn == Turn::Due)
            .map(|(slot, _)| *slot)
            .collect()
    }

    fn change_retirement(&self, slot: DiskSlot, change: impl FnOnce(&mut Rebuild)) {
        if let Some((moving, _)) = lock(&self.shared.state).retirements.get_mut(&slot) {
            change(moving);
        }
    }

    /// Disks whose rebuild is due.
    fn due(&self) -> Vec<DiskSlot> {
        let state = lock(&self.shared.state);
        let due = state.rebuilds.iter();
        due.filter(|(_, rebuild)| rebuild.turn == Turn::Due)
            .map(|(slot, _)| *slot)
            .collect()
    }
}

impl Core {
    /// Notes that an object lacks a shard on a disk that is live: it is repaired before others. Any thread; not under
    /// a lock.
    pub(super) fn queue_repair(&self, name: &ObjectName) {
        let generation = (name.slot, name.sequence);
        let mut state = lock(&self.repairs.shared.state);
        if state.queued.contains(&generation) {
            return;
        }
        if state.queue.len() >= QUEUE_MAX {
            state.overflowed = true;
            self.stats.repair_queue_full.add(1);
            return;
        }
        state.queued.insert(generation);
        state.queue.push_back(generation);
        drop(state);
        self.repairs.shared.work.notify_all();
    }

    /// Everything that a disk lacks is to be written to it. Any thread; the work is done in the background.
    pub(super) fn request_rebuild(&self, slot: DiskSlot) {
        let (missing, began) = (self.missing_on(slot), self.clock.elapsed());
        let mut state = lock(&self.repairs.shared.state);
        let rebuild = state.rebuilds.entry(slot).or_insert(Rebuild {
            turn: Turn::Due,
            done: 0,
            total: 0,
            began,
        });
        rebuild.total = rebuild.done.saturating_add(missing);
        // What others could not do without this disk can perhaps be done now.
        state.all_due();
        state.patience.reset();
        drop(state);
        self.repairs.shared.work.notify_all();
    }

    /// Goes on with the rebuilds that a restart has interrupted.
    pub(super) fn resume_rebuilds(&self) {
        for slot in self.array.live().iter() {
            if self.missing_on(slot) > 0 {
                self.request_rebuild(slot);
            }
        }
    }

    /// How far the rebuild of a disk is; `None`: it lacks nothing, or waits for nothing.
    pub(super) fn rebuild_progress(&self, slot: DiskSlot) -> Option<Progress> {
        let state = lock(&self.repairs.shared.state);
        let retirement = state.retirements.get(&slot).map(|(moving, _)| moving);
        let rebuild = *retirement.or_else(|| state.rebuilds.get(&slot))?;
        drop(state);
        Some(rebuild.progress(self.clock.elapsed()))
    }

    /// Everything on a disk is to be moved to the others; then its slot is vacant. Any thread.
    pub(super) fn request_retirement(&self, slot: DiskSlot) {
        let mut total = 0;
        self.each_record(|record| total += u64::from(record.placement.members.contains(slot)));
        let rebuild = Rebuild {
            turn: Turn::Due,
            done: 0,
            total,
            began: self.clock.elapsed(),
        };
        let mut state = lock(&self.repairs.shared.state);
        let bit = Members::of(slot).0;
        self.repairs.shared.avoided.fetch_or(bit, Ordering::AcqRel);
        // Behind the change: who has a higher sequence has seen it.
        let until = self.sequences.next();
        let entry = state.retirements.entry(slot);
        entry.or_insert((rebuild, until)).0.turn = Turn::Due;
        state.patience.reset();
        drop(state);
        self.repairs.shared.work.notify_all();
    }

    /// Goes on with the retirements that a restart has interrupted.
    pub(super) fn resume_retirements(&self) {
        let retiring = lock(&self.superblock).retiring;
        for slot in retiring.intersection(self.array.slots()).iter() {
            self.request_retirement(slot);
        }
    }

    /// Objects that have shards in slots that are vacant are spread anew over the disks that there are: those shards
    /// cannot come back. What is being written right now may get some in those of `vacant`. Any thread; the work is done in
    /// the background.
    pub(super) fn leave_slots(&self, mut vacant: Members) {
        let slots = self.array.slots();
        self.each_record(|record| {
            let members = record.placement.members;
            for slot in members.difference(slots).iter() {
                vacant = vacant.with(slot);
                if let Some(shard) = members.index_of(slot) {
                    lock(&self.index).set_missing_of(record, shard);
                }
            }
        });
        for slot in vacant.iter() {
            self.request_retirement(slot);
        }
    }

    /// The slot may have objects again.
    pub(super) fn end_retirement(&self, slot: DiskSlot) {
        lock(&self.repairs.shared.state).retirements.remove(&slot);
        let bit = Members::of(slot).0;
        let avoided = &self.repairs.shared.avoided;
        avoided.fetch_and(!bit, Ordering::AcqRel);
    }

    /// Whether a disk is being retired: new objects do not go there.
    pub(super) fn is_retiring(&self, slot: DiskSlot) -> bool {
        self.are_any_retiring(Members::of(slot))
    }

    /// Whether some of these disks are being retired.
    pub(super) fn are_any_retiring(&self, slots: Members) -> bool {
        !slots.intersection(self.repairs.avoided()).is_empty()
    }

    /// Slots that new objects may go to.
    pub(super) fn slots_to_fill(&self) -> Members {
        self.array.slots().difference(self.repairs.avoided())
    }

    /// Does all that there is to do now, on the caller's thread. The repairing thread, or a test that has none.
    pub(super) fn repair_now(self: &Arc<Self>) {
        self.work_off_queue();
        if std::mem::take(&mut lock(&self.repairs.shared.state).overflowed) {
            self.resume_rebuilds();
        }
        for slot in self.repairs.due() {
            self.rebuild(slot);
        }
        for slot in self.repairs.due_to_retire() {
            self.move_off(slot);
        }
        // What they have found on their way.
        self.work_off_queue();
    }

    /// Repairs what waits in the queue.
    fn work_off_queue(self: &Arc<Self>) {
        while !self.is_ending() && self.repair_next() {
            self.make_way();
        }
    }

    /// Repairs what has waited longest; `false` when nothing waits.
    pub(super) fn repair_next(self: &Arc<Self>) -> bool {
        let Some((slot, sequence)) = self.repairs.next_queued() else {
            return false;
        };
        let outcome = self.repair(slot, sequence);
        self.note(&outcome);
        match outcome {
            Outcome::Later(reason) => {
                tracing::info!(reason, "an object is not repaired yet");
                self.postpone(slot, sequence);
            }
            // A disk that comes back may have what is wanting: then this is looked at again.
            Outcome::TooFew => self.postpone(slot, sequence),
            Outcome::Whole | Outcome::Written(_) | Outcome::Contradicted | Outcome::Stopped => {}
        }
        true
    }

    /// It is looked for again when the disks that it lacks shards on are walked for.
    fn postpone(&self, slot: Slot, sequence: Sequence) {
        let record = lock(&self.index).record(slot, sequence);
        let Some(record) = record else { return };
        let began = self.clock.elapsed();
        for disk in record.missing_on().intersection(self.array.live()).iter() {
            let missing = self.missing_on(disk);
            let mut state = lock(&self.repairs.shared.state);
            state.rebuilds.entry(disk).or_insert(Rebuild {
                turn: Turn::Postponed,
                done: 0,
                total: missing,
                began,
            });
        }
    }

    /// Counts what was written for the disks that are being rebuilt.
    fn note(&self, outcome: &Outcome) {
        if let Outcome::Written(disks) = outcome {
            for disk in disks.iter() {
                self.repairs.change(disk, |rebuild| {
                    rebuild.done = rebuild.done.saturating_add(1);
                    rebuild.total = rebuild.total.max(rebuild.done);
                });
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.repairs.is_stopped() || self.retirement.has_begun()
    }
}

impl State {
    /// Everything is to be tried again.
    fn all_due(&mut self) {
        let moving = self.retirements.values_mut().map(|(moving, _)| moving);
        for rebuild in self.rebuilds.values_mut().chain(moving) {
            rebuild.turn = Turn::Due;
        }
    }

    fn is_any_due(&self) -> bool {
        self.is_any(Turn::Due)
    }

    fn is_any_postponed(&self) -> bool {
        self.is_any(Turn::Postponed)
    }

    fn is_any(&self, turn: Turn) -> bool {
        let moving = self.retirements.values().map(|(moving, _)| moving);
        let mut all = self.rebuilds.values().chain(moving);
        all.any(|rebuild| rebuild.turn == turn)
    }
}

impl Rebuild {
    fn progress(&self, now: Duration) -> Progress {
        let spent = now.saturating_sub(self.began).as_millis();
        let to_do = u128::from(self.total.saturating_sub(self.done));
        let left = spent
            .saturating_mul(to_do)
            .checked_div(self.done.into())
            .and_then(|left| u64::try_from(left).ok());
        Progress {
            done: self.done,
            total: self.total,
            left: left.map(Duration::from_millis),
        }
    }
}
