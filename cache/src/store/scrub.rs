//! Reading everything, to find what rots before somebody needs it.
//!
//! ```text
//! supervisor ──► one thread for each live disk: folder by folder, file by file, past the page cache
//!                    a shard that fails ──► the coordinator's pool: judged, missing, queued for repair
//!                    its place ──► the coordinator's pool: `scrub` on the same disk
//! ```
//! Reading order: [`course`] (what survives a restart) → [`control`] (who may read now) → [`pace`] → [`pass`] (the
//! supervisor) → [`walk`] (one disk) → [`compare`] (whether the shards of an object fit together).
//!
//! Invariants
//! - The threads of a scrub only read. Whatever changes a disk is done on the coordinator's pool, which is closed
//!   before a store ends: a thread that hangs on a dying disk is left behind, and can do no harm when it wakes.
//! - Reads do not pass through the disks' own threads: they take none away from clients, and a slow scrub does not make
//!   a disk count as hung.
//! - A pause returns at once.
//!
//! Deliberately not here: repair. And files that the index does not know are counted and left alone: they may be on
//! their way in or out.

mod compare;
mod control;
mod course;
mod pace;
mod pass;
mod priority;
mod walk;

use super::core::Core;
use super::report::{DiskSlot, Progress, ScrubDepth, ScrubReport};
use crate::ports::Device;
use control::Control;
use course::Saved;
use std::sync::Arc;
use std::time::Duration;

pub(super) use pass::start_scrubber;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Scrubbing {
    control: Arc<Control>,
}

impl Drop for Scrubbing {
    fn drop(&mut self) {
        self.control.close();
    }
}

impl Core {
    /// Begins a pass over all disks, or goes on with a paused one. Any thread.
    pub(super) fn start_scrub(self: &Arc<Self>, depth: ScrubDepth) {
        self.scrubbing.control.start(depth, self.clock.as_ref());
        self.request_scrub_saving();
    }

    /// Pauses the pass, and those that would begin by themselves. Any thread; waits for nothing.
    pub(super) fn pause_scrub(self: &Arc<Self>) {
        self.scrubbing.control.pause();
        self.request_scrub_saving();
    }

    /// How far the pass is on a disk; `None`: none runs.
    pub(super) fn scrub_progress(&self, slot: DiskSlot) -> Option<Progress> {
        let control = &self.scrubbing.control;
        control.progress_of(slot, self.clock.as_ref())
    }

    /// All of it.
    pub(super) fn scrub_report(&self) -> ScrubReport {
        self.scrubbing.control.report(self.clock.as_ref())
    }

    /// What was found since the start of the process.
    #[cfg(test)]
    pub(super) fn scrub_findings(&self) -> control::Findings {
        self.scrubbing.control.findings()
    }

    /// Waits until something was found; a test that waits for a minute has a bug.
    #[cfg(test)]
    pub(super) fn await_findings(&self, is_enough: impl Fn(&control::Findings) -> bool) {
        assert!(self.scrubbing.control.wait_for_findings(is_enough));
    }

    /// Takes over what the disks have kept of it. Pool only.
    pub(super) fn restore_scrub(&self) {
        let look = |device: &dyn Device| Saved::load(device);
        let jobs = self.array.live().iter().map(|slot| (slot, look));
        let answers = self.array.on_each(jobs.collect());
        // What cannot be read is as good as not there: that disk is read from its start.
        let found: Vec<_> = answers
            .into_iter()
            .map(|(slot, answer)| (slot, answer.ok().flatten()))
            .collect();
        self.scrubbing.control.restore(&found, self.clock.as_ref());
    }

    /// Nothing is read any more from now on. Any thread.
    pub(super) fn stop_scrub(&self) {
        self.scrubbing.control.close();
    }

    /// Waits a while for those who still read, and tells the disks where they were. For who closes.
    pub(super) fn end_scrub(&self, longest: Duration) {
        if !self.scrubbing.control.wait_for_silence(longest) {
            tracing::warn!("a disk does not answer the scrub; its thread is left behind");
        }
        self.save_scrub();
    }

    /// Has the disks told, by and by. Any thread.
    fn request_scrub_saving(self: &Arc<Self>) {
        let core = Arc::clone(self);
        // A store that is closing tells them itself.
        self.pool.push(move || core.save_scrub()).ok();
    }

    /// Tells the disks where they are, as far as they do not know. Pool only, or who closes.
    fn save_scrub(&self) {
        // What changes while it is written is written again, by whoever writes.
        while self.save_changed() {}
    }

    /// `false`: there was nothing to tell.
    fn save_changed(&self) -> bool {
        let control = &self.scrubbing.control;
        let live = self.array.live();
        let unsaved = control.unsaved().into_iter();
        let jobs: Vec<_> = unsaved
            .filter(|slot| live.contains(*slot))
            .filter_map(|slot| Some((slot, control.begin_saving(slot, self.clock.as_ref())?)))
            .map(|(slot, saved)| (slot, move |device: &dyn Device| saved.store(device)))
            .collect();
        let is_any = !jobs.is_empty();
        for (slot, answer) in self.array.on_each(jobs) {
            control.end_saving(slot);
            if let Err(error) = answer {
                let disk = self.folder_of(slot);
                tracing::warn!(disk, %error, "cannot note where the scrub is");
            }
        }
        is_any
    }
}
