//! How a run of the store ends, and how the next one begins.

use super::book::Shelf;
use super::disks::{Disk, Trouble};
use super::{KEYS, Model};
use crate::device::memory::Survival;
use crate::object::Sequence;
use crate::store::Durability;
use crate::store::Store;
use crate::store::tests::{CLOSE, files_in};
use rand::Rng;
use std::sync::Arc;

impl Model {
    /// The run ends somehow, perhaps in the middle of something, and the next one begins with other disks.
    pub(super) async fn end(&mut self) {
        let seed = self.random.random_range(0..1_000_000);
        let survival = match self.random.random_range(0..12) {
            0..3 => None,
            3..7 => Some(Survival::Kill),
            _ => Some(Survival::PowerLoss { seed }),
        };
        match survival {
            None if self.disks.iter().any(Disk::is_well) => self.close().await,
            None => self.kill(Survival::Kill).await,
            Some(survival) => {
                if self.random.random_bool(0.6) {
                    self.crash_within(60).await;
                }
                self.kill(survival).await;
            }
        }
    }

    async fn close(&mut self) {
        self.note("closed".to_owned());
        self.disks.iter_mut().for_each(Disk::stop_hanging);
        self.held.clear();
        self.behind = self.unreliable();
        self.live_among_few();
        self.store().close(CLOSE).await;
        self.store = None;
        self.begin(None).await;
    }

    async fn kill(&mut self, survival: Survival) {
        self.note(format!("{survival:?}"));
        self.held.clear();
        self.behind = self.unreliable();
        self.live_among_few();
        self.survive(survival);
        self.store = None;
        self.begin(Some(survival)).await;
    }

    /// The machine stops at one of the next calls, in the middle of something.
    async fn crash_within(&mut self, calls: u64) {
        let after = self.random.random_range(1..calls);
        self.note(format!("crashes within {after} calls"));
        let device = Arc::clone(&self.disks[0].device);
        device.crash_at(device.calls() + after);
        for _ in 0..6 {
            let number = self.random.random_range(0..KEYS);
            match self.random.random_range(0..8) {
                0..4 => self.put().await,
                4 => self.pass().await,
                5 => self.forget(number).await,
                6 => self.purge_one(number).await,
                _ => self.evict().await,
            }
            if self.has_crashed() {
                return;
            }
        }
    }

    /// The next run, with the disks that are there then.
    async fn begin(&mut self, survival: Option<Survival>) {
        let is_power_loss = matches!(survival, Some(Survival::PowerLoss { .. }));
        // A disk that was out supplies only what the others know.
        let behind = self.behind;
        self.heal_disks(0.5);
        self.leave_some_out();
        self.suffer_all();
        let all_there = self.troubled() == 0;
        let loses_unsynced = is_power_loss && self.settings.durability == Durability::Relaxed;
        for shelf in &mut self.shelves {
            if survival.is_some() {
                shelf.crash(loses_unsynced, is_power_loss, all_there);
            } else {
                shelf.close();
            }
            if self.has_diverged {
                shelf.diverge();
            }
        }
        self.open().await;
        // Nothing is promised of what too few disks are here for, also later: what only a disk knows that comes back may
        // have been removed meanwhile.
        let out = self.out().union(behind);
        self.shelves.iter_mut().for_each(|shelf| shelf.suffer(out));
        self.look_at_all().await;
        self.check_live();
        // Everybody is here, and has said what there is.
        self.has_diverged &= self.is_doubting || !self.unreliable().is_empty();
    }

    pub(super) async fn open(&mut self) {
        let devices = self.disks.iter().map(|disk| Arc::clone(&disk.device) as _);
        let clock = Arc::clone(&self.clock) as _;
        let opened = Store::open_without_timer(devices.collect(), self.settings.clone(), clock);
        let store = opened.await.expect("a store");
        self.is_doubting = store.core.losses.doubts(Sequence(0), 0);
        self.started = Sequence(store.core.sequences.next());
        self.store = Some(store);
        let here = self.disks.iter().filter(|disk| disk.is_usable()).count();
        self.note(format!(
            "opened: {here} of {} disks, doubting {}",
            self.disks.len(),
            self.is_doubting
        ));
        let is_minority = 2 * here <= self.disks.len();
        assert!(
            self.is_doubting || !is_minority,
            "{here} disks believe themselves"
        );
        if self.is_doubting {
            self.diverge();
        }
    }

    /// Most disks were out: without those that were here they may be the majority of the next start, and know nothing of
    /// this run.
    pub(super) fn live_among_few(&mut self) {
        let live = self.store().core.array.live();
        if 2 * usize::from(live.len()) < self.disks.len() {
            (self.has_diverged, self.has_ever_diverged) = (true, true);
        }
    }

    fn diverge(&mut self) {
        (self.has_diverged, self.has_ever_diverged) = (true, true);
        self.shelves.iter_mut().for_each(Shelf::diverge);
    }

    /// Enough disks may have come back by now.
    pub(super) fn look_around(&mut self) {
        if self.is_doubting && !self.store().core.losses.doubts(Sequence(0), 0) {
            self.note("doubts no more".to_owned());
            self.is_doubting = false;
            self.diverge();
        }
    }

    /// All disks are there, and everything is done: nothing is left of what was purged, and nothing of what is written.
    pub(super) async fn come_to_rest(&mut self) {
        self.live_among_few();
        // As in every other start: what only these have may have been removed meanwhile.
        let behind = self.unreliable();
        self.survive(Survival::Kill);
        self.store = None;
        for disk in &mut self.disks {
            disk.trouble = Trouble::None;
        }
        for shelf in &mut self.shelves {
            shelf.crash(false, false, true);
            if self.has_diverged {
                shelf.diverge();
            }
        }
        self.note("all disks are there".to_owned());
        self.suffer_all();
        self.open().await;
        self.shelves
            .iter_mut()
            .for_each(|shelf| shelf.suffer(behind));
        self.look_at_all().await;
        // A pass that finds something damaged, or that something was put back meanwhile, leaves its bans to the next one.
        for _ in 0..10 {
            self.pass().await;
            if self.store().core.bans.in_force().is_empty() {
                break;
            }
        }
        self.look_at_all().await;
        let core = &self.store().core;
        let (left, unseen) = (core.bans.take_left(), core.losses.has_unseen());
        let bans = core.bans.in_force();
        assert!(bans.is_empty(), "{bans:?} left {left:?}, unseen {unseen}");
        for disk in &self.disks {
            assert!(files_in(&disk.device, "tmp/").is_empty(), "leftovers");
        }
        self.check_live();
    }
}
