//! A look at every disk in each maintenance pass: is it still the one it was, and is one back that was out?
//!
//! A live disk whose folder has become empty (not mounted any more) or another disk's is out at once; one whose
//! superblocks cannot be read, at the third look. A disk that is out is tried again, less and less often: bounded, so
//! that a disk which fails whenever it is used does not come and go all the time. A folder that was configured and not
//! usable at the start is looked at as well: perhaps its disk is mounted by now.
//!
//! Nothing is decided here about what such a disk has: [`super::rejoin`].

use super::array::disk::{Absence, Disk, Standing};
use super::assembly::FoundState;
use super::core::{Core, lock};
use super::examine::examine;
use super::layout::{SUPERBLOCKS, TEMPORARY};
use super::pool::Pool;
use super::report::DiskSlot;
use super::superblock::Superblock;
use crate::ports::Device;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

/// Looks that find nothing until a disk is out.
const MISSES_MAX: u32 = 3;
/// Between the first attempts to take a disk back; doubled each time…
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// … up to this.
const PAUSE_MAX: Duration = Duration::from_secs(10 * 60);
/// How long a look at a folder that is not ours yet may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the looks so far have seen.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: Mutex<State>,
    /// Configured folders that are not used.
    unattached: Mutex<Vec<Unattached>>,
}

/// A configured folder that is not used, and the threads that look at it: one that hangs keeps them, and is left alone.
#[derive(Debug)]
struct Unattached {
    device: Arc<dyn Device>,
    pool: Option<Pool>,
}

#[derive(Debug, Default)]
struct State {
    misses: BTreeMap<DiskSlot, u32>,
    attempts: BTreeMap<DiskSlot, Attempt>,
    /// Being compared right now.
    returning: BTreeSet<DiskSlot>,
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    /// On the monotonic clock.
    next: Duration,
    pause: Duration,
}

/// What a look at a live disk has found.
enum Seen {
    Itself,
    Unreadable,
    Empty,
    Another,
}

impl Attempt {
    fn first(now: Duration) -> Self {
        Self {
            next: now,
            pause: PAUSE_MIN,
        }
    }

    /// Whether it is time; the next one is later then. A disk that was not tried although it was time was not out: when
    /// it was well for so long, it starts anew.
    fn is_due(&mut self, now: Duration) -> bool {
        if now < self.next {
            return false;
        }
        if now.saturating_sub(self.next) > PAUSE_MAX {
            self.pause = PAUSE_MIN;
        }
        self.next = now.saturating_add(self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        true
    }
}

impl Health {
    pub(super) fn new(unattached: Vec<Arc<dyn Device>>) -> Self {
        Self {
            state: Mutex::default(),
            unattached: Mutex::new(
                unattached
                    .into_iter()
                    .map(|device| Unattached { device, pool: None })
                    .collect(),
            ),
        }
    }
}

impl Core {
    /// One look at every disk. Pool only.
    pub(super) fn look_at_disks(self: &Arc<Self>) {
        if self.array.only().is_some() || self.retirement.has_begun() {
            return;
        }
        self.look_at_live();
        for disk in self.array.disks().iter().filter(|disk| !disk.is_live()) {
            if disk.device().is_some() {
                self.try_later(disk);
            }
        }
        self.look_at_unattached();
        self.top_up_log();
        if let Err(error) = self.settle_losses() {
            tracing::error!(%error, "cannot note on the other disks that one is out");
        }
    }

    fn look_at_live(&self) {
        let disks = self.array.disks();
        let live = disks.iter().filter(|disk| disk.is_live());
        let jobs = live.map(|disk| {
            let uuid = disk.uuid;
            (disk.slot, move |device: &dyn Device| {
                Ok(seen(device, &uuid))
            })
        });
        for (slot, answer) in self.array.on_each(jobs.collect()) {
            match answer {
                Ok(Seen::Itself) => {
                    lock(&self.health.state).misses.remove(&slot);
                }
                Ok(Seen::Empty) => {
                    self.lose(
                        slot,
                        Absence::Missing,
                        "its folder is empty: is it mounted?",
                    );
                }
                Ok(Seen::Another) => {
                    self.lose(slot, Absence::Missing, "another disk is in its folder");
                }
                Ok(Seen::Unreadable) | Err(_) => self.note_miss(slot),
            }
        }
    }

    fn note_miss(&self, slot: DiskSlot) {
        let mut state = lock(&self.health.state);
        let misses = state.misses.entry(slot).or_default();
        *misses += 1;
        let is_dead = *misses >= MISSES_MAX;
        if is_dead {
            state.misses.remove(&slot);
        }
        drop(state);
        if is_dead {
            self.lose(slot, Absence::Failed, "its superblocks cannot be read");
        }
    }

    /// Tries to take a disk back when it is time for that; in a job of its own.
    fn try_later(self: &Arc<Self>, disk: &Arc<Disk>) {
        let now = self.clock.elapsed();
        let mut state = lock(&self.health.state);
        if state.returning.contains(&disk.slot) {
            return;
        }
        let attempts = state.attempts.entry(disk.slot);
        if !attempts.or_insert(Attempt::first(now)).is_due(now) {
            return;
        }
        state.returning.insert(disk.slot);
        drop(state);
        let (core, returning) = (Arc::clone(self), Arc::clone(disk));
        let submitted = self.pool.try_submit(move || core.try_now(&returning));
        if submitted.is_err() {
            lock(&self.health.state).returning.remove(&disk.slot);
        }
    }

    /// Pool only.
    pub(super) fn try_now(self: &Arc<Self>, disk: &Arc<Disk>) {
        let before = disk.standing();
        let result = self.is_usable(disk).and_then(|()| self.rejoin(disk));
        if let Err(reason) = result {
            tracing::debug!(disk = disk.name, slot = %disk.slot, reason, "a disk is not back yet");
            if let Standing::Out(absence) = before {
                disk.set_out(absence, &reason);
            }
        }
        lock(&self.health.state).returning.remove(&disk.slot);
    }

    /// Whether it answers, and takes writes.
    fn is_usable(&self, disk: &Disk) -> Result<(), String> {
        if disk.is_stuck(self.settings.disk_deadline) {
            return Err("it still does not answer".to_owned());
        }
        self.common_epoch(disk)?;
        self.patiently(disk, takes_writes)
    }

    /// Looks whether the disk of a missing slot has turned up in a folder that is not used.
    fn look_at_unattached(self: &Arc<Self>) {
        // What an operator changes right now may be the very slot; the next look will do.
        let _one = match self.changing.try_lock() {
            Ok(one) => one,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let waiting = std::mem::take(&mut *lock(&self.health.unattached));
        let used = |device: &Arc<dyn Device>| {
            let disks = self.array.disks();
            disks.iter().any(|disk| disk.name == device.name())
        };
        for mut folder in waiting {
            if used(&folder.device) {
                continue;
            }
            if let Some(disk) = self.attach(&mut folder) {
                self.array.put(Arc::clone(&disk));
                self.show_disks();
                self.try_later(&disk);
            } else {
                lock(&self.health.unattached).push(folder);
            }
        }
    }

    /// A disk that belongs into a slot whose disk is missing; it is out.
    fn attach(&self, folder: &mut Unattached) -> Option<Arc<Disk>> {
        let device = &folder.device;
        let pool = match folder.pool.take() {
            Some(pool) => pool,
            None => {
                let threads = self.settings.threads_per_disk;
                Pool::start("weir-folder", threads, self.settings.queue_per_disk).ok()?
            }
        };
        let state = look(device, &pool);
        let Some(state) = state else {
            folder.pool = Some(pool);
            return None;
        };
        let slot = match &state {
            FoundState::Ours(found) if found.pool == self.pool_id => {
                lock(&self.superblock).slot_of(&found.disk)
            }
            _ => None,
        };
        let is_missing = |slot: &DiskSlot| {
            let disk = self.array.get(*slot);
            disk.is_some_and(|disk| disk.device().is_none())
        };
        let (Some(slot), FoundState::Ours(found)) = (slot.filter(is_missing), &state) else {
            device.unlock();
            folder.pool = Some(pool);
            return None;
        };
        let disk = Disk::attached(slot, found.disk, Arc::clone(device), pool);
        disk.superblock_writes
            .store(found.writes, std::sync::atomic::Ordering::Release);
        Some(Arc::new(disk))
    }

    /// Counters follow the disks.
    pub(super) fn show_disks(&self) {
        let disks = self.array.disks();
        self.stats
            .set_disks(disks.iter().map(|disk| Arc::clone(&disk.stats)));
    }
}

/// What is in a folder; `None` when it does not answer, or still has not.
fn look(device: &Arc<dyn Device>, pool: &Pool) -> Option<FoundState> {
    if pool.has_run_longer_than(Duration::ZERO) {
        return None;
    }
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let looked_at = Arc::clone(device);
    let look = move || {
        // Nobody listens any more: then the lock is nobody's either.
        if sender.send(examine(looked_at.as_ref())).is_err() {
            looked_at.unlock();
        }
    };
    pool.push(look).ok()?;
    receiver.recv_timeout(PATIENCE).ok()
}

fn seen(device: &dyn Device, uuid: &[u8; 16]) -> Seen {
    match Superblock::load(device) {
        Some(found) if found.disk == *uuid => Seen::Itself,
        Some(_) => Seen::Another,
        None => match device.read_dir("") {
            Ok(names)
                if !names
                    .iter()
                    .any(|name| SUPERBLOCKS.contains(&name.as_str())) =>
            {
                Seen::Empty
            }
            Ok(_) | Err(_) => Seen::Unreadable,
        },
    }
}

/// A file is made and removed.
fn takes_writes(device: &dyn Device) -> io::Result<()> {
    let path = format!("{TEMPORARY}/writable");
    device.mkdir(TEMPORARY)?;
    match device.unlink(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = device.create(&path)?;
    file.write_all_at(&[io::IoSlice::new(&[1; 4096])], 0)?;
    file.sync_data()?;
    device.unlink(&path)
}
