//! What an operator does with the disks of a running store.
//!
//! Each call returns when the array has taken the change; the long part (rebuilding, moving) goes on by itself and shows
//! in [`Store::disks`].
//!
//! The table of disks changes only together with an epoch, and the epoch is written to the disks that stay before a new
//! disk gets its superblock: a crash in between leaves an empty folder that nobody takes for a disk.

use super::array::disk::{Absence, Disk, Standing};
use super::assembly::FoundState;
use super::core::{Core, lock};
use super::examine::examine;
use super::pool::Pool;
use super::recovery;
use super::report::{
    ArrayReport, ArrayState, DiskCommandError, DiskReport, DiskSlot, DiskState, ScrubDepth,
    ScrubReport,
};
use super::superblock::SLOTS_MAX;
use super::{Store, StoreError};
use crate::ports::Device;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a new folder may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

impl Store {
    /// The disks, as they are now. Asks no disk.
    #[must_use]
    pub fn disks(&self) -> ArrayReport {
        self.core.report()
    }

    /// Puts an empty folder in the place of a disk that is out, and rebuilds onto it what that one had.
    ///
    /// # Errors
    /// [`DiskCommandError`]; then nothing has changed.
    pub async fn replace_disk(
        &self,
        slot: DiskSlot,
        device: Arc<dyn Device>,
    ) -> Result<(), DiskCommandError> {
        self.change("replace", move |core| core.replace_disk(slot, &device))
            .await
    }

    /// Adds an empty folder as another disk; what is stored from now on is spread over it too. Its slot.
    ///
    /// # Errors
    /// [`DiskCommandError`]; then nothing has changed.
    pub async fn add_disk(&self, device: Arc<dyn Device>) -> Result<DiskSlot, DiskCommandError> {
        self.change("add", move |core| core.add_disk(&device)).await
    }

    /// Moves everything off a disk; when that is done its slot is vacant.
    ///
    /// # Errors
    /// [`DiskCommandError`]; then nothing has changed.
    pub async fn retire_disk(&self, slot: DiskSlot) -> Result<(), DiskCommandError> {
        self.change("retire", move |core| core.retire_disk(slot))
            .await
    }

    /// The disks that are there are the truth: what is stored on them is used without being asked about, and those that
    /// are missing may only come back as strangers. What those had is spread anew over the others.
    ///
    /// # Errors
    /// [`DiskCommandError`]; then nothing has changed.
    pub async fn accept_disks(&self) -> Result<(), DiskCommandError> {
        self.change("accept", |core| core.accept_disks()).await
    }

    async fn change<T: Send + 'static>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&Arc<Core>) -> Result<T, DiskCommandError> + Send + 'static,
    ) -> Result<T, DiskCommandError> {
        let core = Arc::clone(&self.core);
        let changed = self.core.on_pool(operation, move || {
            let _one = lock(&core.changing);
            change(&core)
        });
        changed
            .await
            .map_err(|error| DiskCommandError::Refused(error.to_string()))?
    }

    /// Begins a pass over all disks, or goes on with a paused one.
    pub fn start_scrub(&self, depth: ScrubDepth) {
        self.core.start_scrub(depth);
    }

    /// Pauses the pass, and those that would begin by themselves, until [`Self::start_scrub`].
    pub fn pause_scrub(&self) {
        self.core.pause_scrub();
    }

    /// How far it is.
    #[must_use]
    pub fn scrub(&self) -> ScrubReport {
        self.core.scrub_report()
    }
}

impl Core {
    /// Pool only, as all that follow.
    fn replace_disk(
        self: &Arc<Self>,
        slot: DiskSlot,
        device: &Arc<dyn Device>,
    ) -> Result<(), DiskCommandError> {
        let old = self
            .array
            .get(slot)
            .ok_or(DiskCommandError::NoSuchSlot(slot))?;
        if old.is_live() {
            return Err(refused(format!(
                "the disk in slot {slot} is in use; take it out first, or `weir disks retire {slot}` and add another"
            )));
        }
        self.need_majority()?;
        self.need_other_folder(device)?;
        let new = self.new_disk(slot, device)?;
        self.put_in(&new, |slots, uuid| {
            if let Some(place) = slots.get_mut(usize::from(slot.0)) {
                *place = Some(uuid);
            }
        })?;
        old.close();
        old.unlock();
        tracing::info!(disk = new.name, %slot, "a disk was replaced; what it should have is being computed");
        Ok(())
    }

    fn add_disk(self: &Arc<Self>, device: &Arc<dyn Device>) -> Result<DiskSlot, DiskCommandError> {
        self.need_majority()?;
        self.need_other_folder(device)?;
        let slots = lock(&self.superblock).slots.clone();
        let vacant = slots.iter().position(Option::is_none);
        let place = vacant.unwrap_or(slots.len());
        if place >= SLOTS_MAX {
            return Err(refused(format!("there are {SLOTS_MAX} disks already")));
        }
        let slot = DiskSlot(u8::try_from(place).unwrap_or(u8::MAX));
        let new = self.new_disk(slot, device)?;
        self.put_in(&new, |slots, uuid| {
            if slots.len() <= place {
                slots.resize(place + 1, None);
            }
            if let Some(vacant) = slots.get_mut(place) {
                *vacant = Some(uuid);
            }
        })?;
        tracing::info!(disk = new.name, %slot, "a disk was added");
        Ok(slot)
    }

    fn retire_disk(&self, slot: DiskSlot) -> Result<(), DiskCommandError> {
        let disk = self
            .array
            .get(slot)
            .ok_or(DiskCommandError::NoSuchSlot(slot))?;
        if !disk.is_live() {
            return Err(refused(format!(
                "the disk in slot {slot} is out: `weir disks replace {slot} FOLDER`, or `weir disks accept` to go on without it"
            )));
        }
        if self.array.live().len() < 2 {
            return Err(refused("it is the last disk".to_owned()));
        }
        if self.is_retiring(slot) {
            return Err(refused(format!(
                "the disk in slot {slot} is being retired already"
            )));
        }
        self.need_majority()?;
        // Known to all of them first, so that it goes on after a restart.
        let noted = self.update_superblock(|superblock| {
            superblock.retiring = superblock.retiring.with(slot);
        });
        noted.map_err(|error| failed(&error))?;
        self.request_retirement(slot);
        Ok(())
    }

    /// Nothing is left on a disk that was being retired: its slot is vacant from now on. Under `changing`.
    pub(super) fn retired(&self, slot: DiskSlot) -> Result<(), StoreError> {
        let Some(disk) = self.array.get(slot) else {
            return Ok(());
        };
        self.log.mirror.drop_replica(slot);
        disk.set_out(Absence::Missing, "it was retired");
        self.top_up_log();
        self.begin_epoch(|superblock| {
            if let Some(place) = superblock.slots.get_mut(usize::from(slot.0)) {
                *place = None;
            }
            superblock.disks = superblock.disks.saturating_sub(1);
            superblock.retiring = superblock.retiring.without(slot);
        })?;
        self.array.remove(slot);
        self.show_disks();
        disk.close();
        disk.unlock();
        tracing::info!(disk = disk.name, %slot, "a disk was retired; its folder is not used any more");
        Ok(())
    }

    fn accept_disks(&self) -> Result<(), DiskCommandError> {
        let (slots, live) = (self.array.slots(), self.array.live());
        let absent = slots.difference(live);
        if absent.is_empty() {
            return Err(refused("all disks are there".to_owned()));
        }
        let changed = self.begin_epoch(|superblock| {
            for slot in absent.iter() {
                if let Some(place) = superblock.slots.get_mut(usize::from(slot.0)) {
                    *place = None;
                }
            }
            superblock.disks = live.len().into();
            superblock.retiring = superblock.retiring.intersection(live);
        });
        changed.map_err(|error| failed(&error))?;
        for slot in absent.iter() {
            if let Some(disk) = self.array.get(slot) {
                disk.close();
                disk.unlock();
            }
            self.array.remove(slot);
        }
        self.show_disks();
        self.losses.trust();
        self.losses.see_all();
        // What was found under doubt is looked at anew.
        self.handles.invalidate_all();
        self.leave_slots(absent);
        tracing::warn!(slots = ?absent.iter().map(|slot| slot.0).collect::<Vec<_>>(), "the pool goes on without some disks");
        Ok(())
    }

    /// Those who are out could otherwise go on by themselves with the old table.
    fn need_majority(&self) -> Result<(), DiskCommandError> {
        let (slots, live) = (self.array.slots(), self.array.live());
        if live.len() * 2 > slots.len() {
            return Ok(());
        }
        Err(refused(
            "most of the disks are out; bring them back, or run `weir disks accept` to go on without them".to_owned(),
        ))
    }

    fn need_other_folder(&self, device: &Arc<dyn Device>) -> Result<(), DiskCommandError> {
        let disks = self.array.disks();
        let used = disks
            .iter()
            .find(|disk| disk.is_live() && disk.name == device.name());
        match used {
            None => Ok(()),
            Some(disk) => Err(refused(format!(
                "{} is the disk in slot {}",
                disk.name, disk.slot
            ))),
        }
    }

    /// A disk in an empty folder, out and without a superblock.
    fn new_disk(
        &self,
        slot: DiskSlot,
        device: &Arc<dyn Device>,
    ) -> Result<Arc<Disk>, DiskCommandError> {
        let at_fault = |reason: String| DiskCommandError::Disk {
            disk: device.name().to_owned(),
            reason,
        };
        let mut uuid = [0; 16];
        getrandom::fill(&mut uuid).map_err(|error| at_fault(error.to_string()))?;
        let threads = self.settings.threads_per_disk;
        let pool = Pool::start(
            &format!("weir-disk{slot}"),
            threads,
            self.settings.queue_per_disk,
        )
        .map_err(|error| at_fault(error.to_string()))?;
        let disk = Arc::new(Disk::attached(slot, uuid, Arc::clone(device), pool));
        let state = disk
            .try_ask(PATIENCE, |device| Ok(examine(device)))
            .map_err(|fault| at_fault(fault.to_string()))?;
        let reason = match state {
            FoundState::Empty => None,
            FoundState::Ours(_) => Some("the folder holds a disk; use an empty one".to_owned()),
            FoundState::Foreign(reason) | FoundState::Unreadable(reason) => Some(reason),
            FoundState::Owned(pid) => Some(format!("the folder is in use by process {pid}")),
        };
        if let Some(reason) = reason {
            disk.unlock();
            return Err(at_fault(reason));
        }
        let verify = self.settings.verify;
        let prepared = disk.try_ask(PATIENCE, move |device| recovery::prepare(device, verify));
        match prepared {
            Ok(prepared) => disk.set_resident(prepared.resident),
            Err(fault) => {
                disk.unlock();
                return Err(at_fault(fault.to_string()));
            }
        }
        Ok(disk)
    }

    /// Makes a new disk one of the pool, and asks for what it should have.
    fn put_in(
        self: &Arc<Self>,
        new: &Arc<Disk>,
        table: impl FnOnce(&mut Vec<Option<[u8; 16]>>, [u8; 16]),
    ) -> Result<(), DiskCommandError> {
        let (uuid, was_alone) = (new.uuid, self.array.only());
        let changed = self.begin_epoch(|superblock| {
            table(&mut superblock.slots, uuid);
            superblock.retiring = superblock.retiring.without(new.slot);
            let disks = superblock.occupied().count();
            superblock.disks = u16::try_from(disks).unwrap_or(u16::MAX);
        });
        if let Err(error) = changed {
            new.unlock();
            return Err(failed(&error));
        }
        self.array.put(Arc::clone(new));
        // What was to be moved off the one before is computed for this one.
        self.end_retirement(new.slot);
        self.show_disks();
        self.note_what_is_there(new.slot, &BTreeMap::new());
        // From here on it is there; what fails now is mended by another `replace`.
        self.take_in(new, &BTreeMap::new())
            .map_err(|reason| DiskCommandError::Disk {
                disk: new.name.clone(),
                reason,
            })?;
        if let Some(first) = was_alone
            && self.log.mirror.drop_replica(first.slot)
        {
            // From now on it is waited for no longer than others.
            self.top_up_log();
        }
        self.request_rebuild(new.slot);
        Ok(())
    }

    fn report(&self) -> ArrayReport {
        let disks = self.array.disks();
        let (underprotected_objects, lacking) = {
            let index = lock(&self.index);
            let lacking = disks.iter().map(|disk| index.lacking_shards(disk.slot));
            (index.lacking_objects(), lacking.collect::<Vec<_>>())
        };
        let out = disks.iter().filter(|disk| !disk.is_live()).count();
        // What a disk still lacks is missing as if it were out.
        let is_filling = |disk: &Disk, lacking: u64| {
            disk.is_live() && lacking > 0 && self.rebuild_progress(disk.slot).is_some()
        };
        let filling = disks.iter().zip(&lacking);
        let filling = filling.filter(|(disk, lacking)| is_filling(disk, **lacking));
        let parity = self.parity_in_effect(disks.len());
        let is_too_much = out > 0 && out + filling.count() > usize::from(parity);
        let state = if is_too_much || out == disks.len() {
            ArrayState::Failed
        } else if out > 0 || underprotected_objects > 0 {
            ArrayState::Degraded
        } else {
            ArrayState::Healthy
        };
        let reports = disks.iter().zip(lacking);
        ArrayReport {
            state,
            epoch: self.losses.epoch(),
            parity,
            has_majority: !self.losses.is_doubting(),
            underprotected_objects,
            disks: reports
                .map(|(disk, lacking)| self.report_disk(disk, lacking))
                .collect(),
        }
    }

    fn parity_in_effect(&self, disks: usize) -> u8 {
        let others = u8::try_from(disks.saturating_sub(1)).unwrap_or(u8::MAX);
        self.policy.parity.min(others)
    }

    fn report_disk(&self, disk: &Disk, missing_shards: u64) -> DiskReport {
        let rebuild = self.rebuild_progress(disk.slot);
        let state = match disk.standing() {
            Standing::Live if self.is_retiring(disk.slot) => DiskState::Retiring,
            Standing::Live if missing_shards > 0 || rebuild.is_some() => DiskState::Rebuilding,
            Standing::Live => DiskState::Live,
            Standing::Out(Absence::ReadOnly) => DiskState::ReadOnly,
            Standing::Out(_) => DiskState::Out,
        };
        let stats = &disk.stats;
        DiskReport {
            slot: disk.slot,
            uuid: crate::digest::hex(&disk.uuid),
            folder: disk
                .device()
                .map_or_else(String::new, |_| disk.name.clone()),
            state,
            reason: disk.why(),
            used_bytes: stats.stored_bytes.get(),
            budget_bytes: stats.budget_bytes.get(),
            errors: stats.errors.get(),
            corrupt_blocks: stats.corrupt_blocks.get(),
            missing_shards,
            scrub: self.scrub_progress(disk.slot),
            rebuild,
        }
    }
}

fn refused(reason: String) -> DiskCommandError {
    DiskCommandError::Refused(reason)
}

fn failed(error: &StoreError) -> DiskCommandError {
    DiskCommandError::Refused(format!("the disks could not be told: {error}"))
}
