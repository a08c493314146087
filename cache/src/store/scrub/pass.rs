//! One pass over all disks, and when it begins.

use super::super::core::{Core, lock};
use super::super::report::DiskSlot;
use super::control::{Control, Findings, Order};
use super::course::FOLDERS;
use super::priority;
use super::walk::{Walk, folder_of};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// Between two looks whether a pass is due.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Places of the index that are looked at under one lock.
pub(super) const BATCH: usize = 1024;

/// Starts the thread that begins passes and waits for them. It ends with the store.
pub(in crate::store) fn start_scrubber(core: &Arc<Core>) -> io::Result<()> {
    let (weak, control) = (Arc::downgrade(core), Arc::clone(&core.scrubbing.control));
    // Every disk is told once: a time that lies in its future would otherwise be now again at every start.
    control.touch_all();
    core.request_scrub_saving();
    thread::Builder::new()
        .name("weir-scrub".to_owned())
        .spawn(move || supervise(&weak, &control))
        .map(drop)
}

fn supervise(core: &Weak<Core>, control: &Arc<Control>) {
    loop {
        let Some(alive) = core.upgrade() else { return };
        alive.start_scrub_if_due();
        drop(alive);
        if let Some(order) = control.order() {
            read_all(core, control, order);
        }
        if !control.wait_for_order(LOOK_AGAIN) {
            return;
        }
    }
}

/// Reads all disks at once, and returns when that is over, for whatever reason.
fn read_all(core: &Weak<Core>, control: &Arc<Control>, order: Order) {
    let Some(alive) = core.upgrade() else { return };
    for walk in alive.walks(order) {
        let slot = walk.slot();
        control.enter(slot, order.change);
        let leaving = Arc::clone(control);
        let read = move || {
            priority::read_when_idle();
            walk.run();
            leaving.leave(slot, order.change);
        };
        let name = format!("weir-scrub{slot}");
        if let Err(error) = thread::Builder::new().name(name).spawn(read) {
            control.leave(slot, order.change);
            let disk = alive.folder_of(slot);
            tracing::error!(disk, %error, "cannot start a thread; the disk is not scrubbed this time");
        }
    }
    drop(alive);
    control.wait_for_readers(order.change, |slot| {
        let alive = core.upgrade();
        alive.is_some_and(|core| core.array.live().contains(slot))
    });
    if let Some(alive) = core.upgrade() {
        alive.finish_scrub(order);
    }
}

impl Core {
    /// A whole pass on the caller's thread, which is none of the coordinator's.
    #[cfg(test)]
    pub(in crate::store) fn scrub_now(self: &Arc<Self>, depth: super::super::report::ScrubDepth) {
        let control = Arc::clone(&self.scrubbing.control);
        self.start_scrub(depth);
        let Some(order) = control.order() else { return };
        for walk in self.walks(order) {
            let slot = walk.slot();
            control.enter(slot, order.change);
            walk.run();
            control.leave(slot, order.change);
        }
        self.finish_scrub(order);
    }

    /// Begins a pass when none has for a whole interval.
    pub(in crate::store) fn start_scrub_if_due(&self) {
        let interval = self.settings.scrub_interval;
        let control = &self.scrubbing.control;
        control.start_if_due(interval, self.clock.as_ref());
    }

    /// A walk over each disk that is live.
    fn walks(self: &Arc<Self>, order: Order) -> Vec<Walk> {
        let control = &self.scrubbing.control;
        for (slot, files) in self.files_known() {
            control.begin_disk(slot, files, self.clock.as_ref());
        }
        let disks = self.array.disks();
        let live = disks.iter().filter(|disk| disk.is_live());
        live.filter_map(|disk| Walk::new(self, disk, order))
            .collect()
    }

    /// How many files each live disk should have, and how many of them are in folders that have been read.
    fn files_known(&self) -> BTreeMap<DiskSlot, (u64, u64)> {
        let control = &self.scrubbing.control;
        let live = self.array.live().iter();
        let mut files: BTreeMap<_, _> = live
            .map(|slot| (slot, (control.folder(slot), 0, 0)))
            .collect();
        let mut from = Some(0);
        while let Some(place) = from {
            let (records, next) = lock(&self.index).batch(place, BATCH);
            for record in records {
                let folder = folder_of(record.slot.key);
                for slot in record.present_on().iter() {
                    if let Some((begin, total, done)) = files.get_mut(&slot) {
                        *total += 1;
                        *done += u64::from(folder < *begin);
                    }
                }
            }
            from = next;
        }
        let files = files.into_iter();
        files
            .map(|(slot, (_, total, done))| (slot, (total, done)))
            .collect()
    }

    fn finish_scrub(self: &Arc<Self>, order: Order) {
        let control = &self.scrubbing.control;
        if let Some(found) = control.finish(order.change, self.clock.as_ref()) {
            tell(&found);
        }
        self.request_scrub_saving();
    }
}

fn tell(found: &Findings) {
    let Findings {
        files,
        read_bytes,
        bad_shards,
        unread_files,
        stray_files,
        unlike_objects,
    } = found;
    tracing::info!(
        files,
        read_bytes,
        bad_shards,
        unread_files,
        stray_files,
        unlike_objects,
        "everything was scrubbed"
    );
}

const _: () = assert!(FOLDERS == 1 << 12);
