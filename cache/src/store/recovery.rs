//! From disks that belong together to what they hold, and what of it may be believed.
//!
//! ```text
//! folders made, tmp/ emptied → checkpoint, or the names (recovery/scan.rs) → the copies of the log made equal, replayed
//! → stale disks cleaned → superblocks: unclean, ours, (a disk is missing: a new epoch)
//! ```
//! A clean close left a checkpoint; it is used only then, only if it is whole, and only if no disk has come back that
//! missed something. Otherwise the names are read. After an unclean end under another boot id the machine may have
//! died: what was not synced is verified as a whole before its first use, and where such an object replaced an older
//! one it is verified right now, while the older one still exists.

mod scan;

use super::array::Array;
use super::array::disk::{Absence, DiskFault};
use super::assembly::{Assembled, Place};
use super::checkpoint::{self, Checkpoint};
use super::examine::advice;
use super::index::{Index, Record};
use super::layout::{CHECKPOINTS, FOLDERS, QUARANTINE, TEMPORARY, temporary_sequence};
use super::log::mirror::{Mirror, ReplicaLoss};
use super::log::{self, merge};
use super::members::Members;
use super::report::DiskSlot;
use super::sequence::RESERVE_AT_ONCE;
use super::superblock::Superblock;
use super::sync::sync_all;
use super::{OpenError, StoreSettings, Verify, send};
use crate::object::Sequence;
use crate::ports::Device;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Disks that carry the metadata log.
pub(super) const LOG_COPIES: usize = 3;

/// What recovery found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) superblock: Superblock,
    pub(super) index: Index,
    pub(super) log: log::replay::Replayed,
    pub(super) mirror: Arc<Mirror>,
    /// First sequence to hand out.
    pub(super) next: u64,
    /// Count of use to continue at.
    pub(super) use_base: u32,
    pub(super) quarantined: u32,
    /// Outdated objects that could not be removed.
    pub(super) left: Vec<(DiskSlot, String)>,
    /// Disks went out on the way, or were out before: the next superblock begins an epoch.
    pub(super) is_incomplete: bool,
    /// Some generations are misses because too few of their shards are here.
    pub(super) has_unseen: bool,
}

/// The disks of a start. Coordinator's threads only.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) array: &'a Array,
    pub(super) assembled: &'a Assembled,
    pub(super) settings: &'a StoreSettings,
    pub(super) boot: String,
    /// Some disk has a history of its own.
    pub(super) has_diverged: bool,
    /// What stale disks wrote last and may have lost since.
    pub(super) unsynced: Option<(u64, u64)>,
}

impl Start<'_> {
    /// Recovers. Disks that fail on the way go out; an error when the last one does.
    pub(super) fn recover(&self, loss: Arc<dyn ReplicaLoss>) -> Result<Recovered, OpenError> {
        let found = &self.assembled.base;
        let (highest_temporary, quarantined) = self.prepare()?;
        let mut superblock = Superblock {
            owner: std::process::id(),
            ..found.clone()
        };
        if !found.clean && found.boot != self.boot {
            superblock.doubt = widened(found.doubt, found.synced, found.reserved);
        }
        if let Some((from, until)) = self.unsynced {
            superblock.doubt = widened(superblock.doubt, from, until);
        }
        superblock.boot.clone_from(&self.boot);
        let mut contents = self.read_contents(found, superblock.doubt)?;
        self.clean_stale()?;
        let mirror = self.mirror(loss)?;
        let mut log = log::replay::replay(&mirror, found, &self.boot, &mut contents.index);
        let highest_log = log.segments.last_key_value().map_or(0, |(log, _)| log.0);
        let highest = contents.highest.max(highest_temporary).max(highest_log);
        let highest = highest.max(log.highest_ban());
        let next = found.reserved.max(highest.saturating_add(1));
        log.damaged |= self.has_diverged;
        log.doubt_everything_before(next);
        superblock.clean = false;
        superblock.reserved = next.saturating_add(RESERVE_AT_ONCE);
        if !contents.index.records().any(|record| record.unverified) {
            superblock.doubt = (0, 0);
        }
        let (index, use_base, left) = (contents.index, contents.use_base, contents.left);
        let has_unseen = contents.has_unseen;
        Ok(Recovered {
            superblock,
            index,
            log,
            mirror,
            next,
            use_base,
            quarantined,
            left,
            is_incomplete: self.array.live() != self.array.slots(),
            has_unseen,
        })
    }

    /// Makes the folders and removes what was being written; the highest sequence among that, and how many files are in
    /// quarantine.
    fn prepare(&self) -> Result<(u64, u32), OpenError> {
        let verify = self.settings.verify;
        let prepare = move |device: &dyn Device| prepare(device, verify);
        let jobs = self.array.live().iter().map(|slot| (slot, prepare));
        let (mut highest, mut quarantined) = (0, 0_u32);
        for (slot, answer) in self.array.on_each(jobs.collect()) {
            let answer = self.kept("cannot prepare the folder", slot, answer)?;
            if let (Some(prepared), Some(disk)) = (answer, self.array.get(slot)) {
                highest = highest.max(prepared.highest_temporary);
                quarantined = quarantined.saturating_add(prepared.quarantined);
                disk.set_resident(prepared.resident);
            }
        }
        Ok((highest, quarantined))
    }

    /// An answer; `None`, and the disk is out, when there is none and other disks are left.
    fn kept<T>(
        &self,
        what: &str,
        slot: DiskSlot,
        answer: Result<T, DiskFault>,
    ) -> Result<Option<T>, OpenError> {
        let error = match answer {
            Ok(value) => return Ok(Some(value)),
            Err(DiskFault::Io(error)) => error,
            Err(fault) => io::Error::other(fault),
        };
        let Some(disk) = self.array.get(slot) else {
            return Ok(None);
        };
        let reason = format!("{what}: {error}; {}", advice(&error));
        if self.array.live().without(slot).is_empty() {
            let disk = disk.name.clone();
            return Err(OpenError::Unusable { disk, reason });
        }
        tracing::error!(disk = disk.name, %slot, reason, "a disk is out; what it has is computed from the others");
        disk.set_out(Absence::Failed, &reason);
        Ok(None)
    }

    fn read_contents(&self, found: &Superblock, doubt: (u64, u64)) -> Result<Contents, OpenError> {
        if found.clean && self.stale().is_empty() {
            match self.load_checkpoint(found) {
                Ok(loaded) => return Ok(from_checkpoint(loaded)),
                Err(error) => {
                    tracing::warn!(
                        disk = self.array.name(),
                        error,
                        "no usable checkpoint; scanning the objects"
                    );
                }
            }
        }
        let scanned = self.scan(doubt)?;
        if scanned.index.len() > self.settings.objects_max {
            tracing::warn!(
                disk = self.array.name(),
                objects = scanned.index.len(),
                "more objects than objects_max"
            );
        }
        Ok(scanned)
    }

    /// The first checkpoint that is whole.
    fn load_checkpoint(&self, found: &Superblock) -> Result<Checkpoint, String> {
        let (pool, sequence) = (found.pool, Sequence(found.reserved));
        let mut why = "no disk has one".to_owned();
        for slot in self.array.live().iter() {
            let load = move |device: &dyn Device| Ok(checkpoint::load(device, pool, sequence));
            match self.array.on(slot, load) {
                Ok(Ok(loaded)) => return Ok(loaded),
                Ok(Err(error)) => why = error.to_string(),
                Err(fault) => why = fault.to_string(),
            }
        }
        Err(why)
    }

    /// The disks that missed something, and up to which epoch they are believed.
    pub(super) fn stale(&self) -> BTreeMap<DiskSlot, u64> {
        let places = self.assembled.places.iter();
        let stale = places.filter_map(|(slot, place)| match place {
            Place::Stale { common, .. } => Some((*slot, *common)),
            Place::Current(_) | Place::Missing => None,
        });
        let live = self.array.live();
        stale.filter(|(slot, _)| live.contains(*slot)).collect()
    }

    /// Empties what only a current disk may have, of those that will be; and what the scan has removed there is gone
    /// from the platter as well before their superblocks say that they are current.
    fn clean_stale(&self) -> Result<(), OpenError> {
        let jobs = self.stale().into_keys().map(|slot| (slot, empty_current));
        for (slot, answer) in self.array.on_each(jobs.collect()) {
            self.kept("cannot clean the folder", slot, answer)?;
        }
        Ok(())
    }

    /// The log, on the current disks that have it; its copies are equal afterwards, and on as many disks as there
    /// should be.
    fn mirror(&self, loss: Arc<dyn ReplicaLoss>) -> Result<Arc<Mirror>, OpenError> {
        let stale = self.stale();
        let current = self.array.live().iter();
        let current: Vec<DiskSlot> = current.filter(|slot| !stale.contains_key(slot)).collect();
        let devices = |slots: &[DiskSlot]| -> Vec<(DiskSlot, Arc<dyn Device>)> {
            let devices = slots.iter();
            let devices = devices.filter_map(|slot| Some((*slot, self.array.device(*slot)?)));
            devices.collect()
        };
        let with_log: Vec<DiskSlot> = match current.len() {
            1 => current.clone(),
            _ => self.with_log(&current),
        };
        let first = if with_log.is_empty() {
            current.iter().copied().take(LOG_COPIES).collect()
        } else {
            with_log
        };
        let mirror = Mirror::new(devices(&first), loss);
        let pool = self.assembled.base.pool;
        let fail = |error: io::Error| OpenError::Unusable {
            disk: self.array.name(),
            reason: format!("cannot read the metadata log: {error}; check the disks"),
        };
        for repair in merge::reconcile(&mirror, pool).map_err(fail)? {
            tracing::info!(slot = %repair.slot, log = repair.log.0, flaw = ?repair.flaw, "a copy of the metadata log was made equal to the others");
        }
        // What a stale disk had of the log is gone, so that it can carry a copy as well as any.
        let mut others: Vec<DiskSlot> = current.clone();
        others.extend(self.stale().into_keys());
        let others = others.iter().filter(|slot| !first.contains(slot));
        for slot in others.take(LOG_COPIES.saturating_sub(mirror.replicas().len())) {
            if let Some(device) = self.array.device(*slot)
                && let Err(error) = mirror.add_replica(pool, *slot, device)
            {
                tracing::warn!(%slot, %error, "a disk cannot carry a copy of the metadata log");
            }
        }
        Ok(mirror)
    }

    fn with_log(&self, current: &[DiskSlot]) -> Vec<DiskSlot> {
        let jobs = current.iter().map(|slot| {
            let look = |device: &dyn Device| device.read_dir(log::segment::LOG);
            (*slot, look)
        });
        let answers = self.array.on_each(jobs.collect()).into_iter();
        let is_there =
            |names: Vec<String>| names.iter().any(|name| log::segment::parse(name).is_some());
        answers
            .filter(|(_, answer)| matches!(answer, Ok(names) if is_there(names.clone())))
            .map(|(slot, _)| slot)
            .collect()
    }
}

/// On one disk: removes its log and its checkpoint, and syncs.
pub(super) fn empty_current(device: &dyn Device) -> io::Result<()> {
    for folder in [log::segment::LOG, CHECKPOINTS] {
        let names = match device.read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        for name in names {
            device.unlink(&format!("{folder}/{name}"))?;
        }
    }
    sync_all(device)
}

/// A disk that is ready to be read.
pub(super) struct Prepared {
    highest_temporary: u64,
    quarantined: u32,
    pub(super) resident: bool,
}

/// On one disk: makes its folders, empties tmp/, and looks whether its page cache can be observed.
pub(super) fn prepare(device: &dyn Device, verify: Verify) -> io::Result<Prepared> {
    for folder in FOLDERS {
        device.mkdir(folder)?;
    }
    let highest_temporary = empty_temporary(device)?;
    let quarantined = device
        .read_dir(QUARANTINE)
        .map_or(0, |names| u32::try_from(names.len()).unwrap_or(u32::MAX));
    Ok(Prepared {
        highest_temporary,
        quarantined,
        resident: observe_page_cache(device, verify),
    })
}

/// Whether ranges may be sent after a look at the page cache; says once why not.
fn observe_page_cache(device: &dyn Device, verify: Verify) -> bool {
    if verify == Verify::Always {
        return false;
    }
    match send::probe(device) {
        Ok(()) => true,
        Err(reason) => {
            tracing::info!(
                disk = device.name(),
                reason,
                "every read is verified (verify = \"always\")"
            );
            false
        }
    }
}

/// Removes what was being written; returns the highest sequence among it.
fn empty_temporary(device: &dyn Device) -> io::Result<u64> {
    let mut highest = 0;
    for name in device.read_dir(TEMPORARY)? {
        highest = highest.max(temporary_sequence(&name).map_or(0, |sequence| sequence.0));
        let path = format!("{TEMPORARY}/{name}");
        match device.unlink(&path) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                tracing::warn!(
                    disk = device.name(),
                    path,
                    "a folder that is not ours was left alone"
                );
            }
            other => other?,
        }
    }
    Ok(highest)
}

fn widened(doubt: (u64, u64), from: u64, until: u64) -> (u64, u64) {
    if doubt.0 == doubt.1 {
        (from, until)
    } else {
        (doubt.0.min(from), doubt.1.max(until))
    }
}

/// What is stored.
#[derive(Debug)]
pub(super) struct Contents {
    index: Index,
    highest: u64,
    use_base: u32,
    left: Vec<(DiskSlot, String)>,
    has_unseen: bool,
}

fn from_checkpoint(loaded: Checkpoint) -> Contents {
    let mut index = Index::new();
    let mut highest = 0;
    for record in loaded.records {
        highest = highest.max(record.sequence.0);
        index.insert(record);
    }
    Contents {
        index,
        highest,
        use_base: loaded.use_now,
        left: Vec::new(),
        has_unseen: false,
    }
}

/// Own bytes of each disk, as the index says.
pub(super) fn stored_bytes(index: &Index) -> BTreeMap<DiskSlot, u64> {
    let mut stored = BTreeMap::new();
    let count = |stored: &mut BTreeMap<DiskSlot, u64>, record: &Record| {
        let bytes = record.name().shard_footprint_bytes();
        for slot in record.present_on().iter() {
            let sum: &mut u64 = stored.entry(slot).or_default();
            *sum = sum.saturating_add(bytes);
        }
    };
    for record in index.records() {
        count(&mut stored, &record);
    }
    stored
}

/// For scans: which disks are there, and which are not.
fn absent(array: &Array) -> Members {
    array.slots().difference(array.live())
}
