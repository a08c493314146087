//! What the disks are told of a scrub, and what they have told at the start.

use super::{Control, State, Walked};
use crate::ports::Clock;
use crate::store::report::DiskSlot;
use crate::store::scrub::course::{Age, Saved};
use std::time::Duration;

/// Whether a disk knows what it should.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saving {
    #[default]
    Saved,
    Changed,
    /// Being saved; changed in between or not.
    Busy,
    BusyAndChanged,
}

impl State {
    /// What a disk is to keep.
    fn to_save(&self, slot: DiskSlot, clock: &dyn Clock) -> Saved {
        let seconds = |age: Option<Age>| age.map_or(0, |age| age.wall_seconds(clock));
        Saved {
            course: self.course,
            folder: self.disks.get(&slot).map_or(0, |disk| disk.folder),
            started: seconds(self.started),
            ended: seconds(self.ended),
            waiting_since: seconds(self.waiting),
        }
    }
}

impl Walked {
    pub(super) fn touch(&mut self) {
        self.saving = match self.saving {
            Saving::Saved | Saving::Changed => Saving::Changed,
            Saving::Busy | Saving::BusyAndChanged => Saving::BusyAndChanged,
        };
    }
}

impl Control {
    /// Takes over what the disks that are here have kept.
    pub(in crate::store::scrub) fn restore(
        &self,
        found: &[(DiskSlot, Option<Saved>)],
        clock: &dyn Clock,
    ) {
        let mut state = self.lock();
        let saved = found.iter().filter_map(|(_, saved)| saved.as_ref());
        let latest = saved.max_by_key(|saved| saved.course.change).copied();
        if let Some(latest) = latest {
            let age = |seconds: u64| (seconds > 0).then(|| Age::since(seconds, clock));
            state.course = latest.course;
            state.started = age(latest.started);
            state.ended = age(latest.ended);
            state.waiting = age(latest.waiting_since);
        }
        state.waiting.get_or_insert_with(|| Age::none(clock));
        for (slot, saved) in found {
            let same = saved.filter(|saved| saved.course.pass == state.course.pass);
            let disk = state.disks.entry(*slot).or_default();
            disk.folder = same.map_or(0, |saved| saved.folder);
        }
    }

    /// Every disk is to be told, also what it knows: a time that lies in its future becomes now.
    pub(in crate::store::scrub) fn touch_all(&self) {
        self.lock().disks.values_mut().for_each(Walked::touch);
    }

    /// Disks that do not know what they should.
    pub(in crate::store::scrub) fn unsaved(&self) -> Vec<DiskSlot> {
        let state = self.lock();
        let disks = state.disks.iter();
        let unsaved = disks.filter(|(_, disk)| disk.saving != Saving::Saved);
        unsaved.map(|(slot, _)| *slot).collect()
    }

    /// How long a disk has not been told what it should know.
    pub(in crate::store::scrub) fn unsaved_for(
        &self,
        slot: DiskSlot,
        clock: &dyn Clock,
    ) -> Duration {
        let state = self.lock();
        let disk = state.disks.get(&slot);
        disk.filter(|disk| disk.saving == Saving::Changed)
            .map_or(Duration::ZERO, |disk| {
                clock.elapsed().saturating_sub(disk.saved)
            })
    }

    /// What a disk is to be told. `None`: nothing, or somebody is about it, who will be told of the change.
    pub(in crate::store::scrub) fn begin_saving(
        &self,
        slot: DiskSlot,
        clock: &dyn Clock,
    ) -> Option<Saved> {
        let mut state = self.lock();
        let disk = state.disks.get_mut(&slot)?;
        if disk.saving != Saving::Changed {
            return None;
        }
        disk.saving = Saving::Busy;
        disk.saved = clock.elapsed();
        Some(state.to_save(slot, clock))
    }

    /// It was told, or that failed: the next change tries again.
    pub(in crate::store::scrub) fn end_saving(&self, slot: DiskSlot) {
        if let Some(disk) = self.lock().disks.get_mut(&slot) {
            disk.saving = match disk.saving {
                Saving::BusyAndChanged | Saving::Changed => Saving::Changed,
                Saving::Busy | Saving::Saved => Saving::Saved,
            };
        }
    }
}
