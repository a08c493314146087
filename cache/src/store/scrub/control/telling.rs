//! What people are told of a scrub.

#[cfg(test)]
use super::Findings;
use super::{Control, State, Walked};
use crate::ports::Clock;
use crate::store::report::{DiskSlot, Progress, ScrubReport, ScrubState};
use std::time::Duration;

impl State {
    fn left(&self, disk: &Walked, clock: &dyn Clock) -> Option<Duration> {
        self.order()?;
        let done = u32::try_from(disk.done.checked_sub(disk.done_before)?).ok()?;
        let left = u32::try_from(disk.total.saturating_sub(disk.done)).ok()?;
        let taken = clock.elapsed().saturating_sub(disk.began);
        taken.checked_div(done)?.checked_mul(left)
    }

    fn progress(&self, disk: &Walked, clock: &dyn Clock) -> Progress {
        Progress {
            done: disk.done,
            // What came since is read as well.
            total: disk.total.max(disk.done),
            left: self.left(disk, clock),
        }
    }
}

impl Control {
    /// See [`crate::store::core::Core::scrub_progress`].
    pub(in crate::store::scrub) fn progress_of(
        &self,
        slot: DiskSlot,
        clock: &dyn Clock,
    ) -> Option<Progress> {
        let state = self.lock();
        let disk = state.disks.get(&slot)?;
        let is_shown = state.course.is_under_way;
        is_shown.then(|| state.progress(disk, clock))
    }

    /// See [`crate::store::core::Core::scrub_report`].
    pub(in crate::store::scrub) fn report(&self, clock: &dyn Clock) -> ScrubReport {
        let state = self.lock();
        let disks = state.disks.values();
        let all = disks.map(|disk| state.progress(disk, clock));
        let none = Progress {
            done: 0,
            total: 0,
            left: None,
        };
        let progress = all.fold(none, |sum, disk| Progress {
            done: sum.done.saturating_add(disk.done),
            total: sum.total.saturating_add(disk.total),
            left: sum.left.max(disk.left),
        });
        ScrubReport {
            state: match state.course {
                course if course.is_paused => ScrubState::Paused,
                course if course.is_under_way => ScrubState::Running,
                _ => ScrubState::Idle,
            },
            depth: state.course.depth,
            progress,
            read_bytes: state.in_all.read_bytes,
            bad_shards: state.in_all.bad_shards,
            since_last_pass: state.ended.map(|age| age.now(clock)),
        }
    }

    /// What was found since the start of the process.
    #[cfg(test)]
    pub(in crate::store::scrub) fn findings(&self) -> Findings {
        self.lock().in_all
    }

    /// Waits for what was found since the start of the process; `false`: it did not come for a minute.
    #[cfg(test)]
    pub(in crate::store::scrub) fn wait_for_findings(
        &self,
        is_enough: impl Fn(&Findings) -> bool,
    ) -> bool {
        let state = self.lock();
        let minute = Duration::from_secs(60);
        let waited = self
            .changed
            .wait_timeout_while(state, minute, |state| !is_enough(&state.in_all));
        let (state, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        is_enough(&state.in_all)
    }
}
