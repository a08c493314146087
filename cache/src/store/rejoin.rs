//! A disk that comes back, or takes the place of one that does not.
//!
//! ```text
//! its superblock: ours, and nothing that we do not know → folders, tmp/ emptied → its names compared with the index:
//! unknown or of a later life: removed · not synced there, and damaged: removed · known: there · the others: missing → log/, ckpt/ emptied → synced → superblock of
//! now → live → (copy of the log) → repair of what is missing
//! ```
//! While it is compared it is out: whatever is committed, removed or purged meanwhile passes it by, and the index says so
//! afterwards. What was removed between the look at its names and its return is looked for once more.
//!
//! A crash on the way leaves its old superblock, and the next start begins anew.
//!
//! Objects that were misses for want of disks (recovery/scan.rs) are found again when enough of their shards are.

use super::array::disk::{Absence, Disk};
use super::core::{Core, lock};
use super::index::{Inserted, Record};
use super::layout::{OBJECTS, ShardName};
use super::pool::note_progress;
use super::recovery;
use super::removal::list;
use super::report::DiskSlot;
use super::sequence::COUNTER_BITS;
use super::shard::Shard;
use super::superblock::Superblock;
use super::sync::sync_all;
use crate::events::Event;
use crate::object::Sequence;
use crate::ports::Device;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Entries of the index looked at under one lock.
const BATCH: usize = 1024;

/// What was found on a disk that returns and belongs there.
pub(super) type Known = BTreeMap<Sequence, ShardName>;

impl Core {
    /// Takes a disk back that is out and attached. Pool only; may take minutes.
    pub(super) fn rejoin(self: &Arc<Self>, disk: &Arc<Disk>) -> Result<(), String> {
        // Nobody replaces it meanwhile: what is noted of it would be believed of the other one.
        let _one = lock(&self.changing);
        let known = self.array.get(disk.slot);
        if !known.is_some_and(|known| Arc::ptr_eq(&known, disk)) {
            return Err("another disk has taken its place".to_owned());
        }
        if self.repairs.is_stopped() || self.retirement.has_begun() {
            return Err("the store ends".to_owned());
        }
        let common = self.common_epoch(disk)?;
        disk.set_out(Absence::Returning, "being compared with the others");
        // What it was asked before it went out may still be on its way, and would come behind the comparison.
        if !disk.drain(self.settings.disk_deadline) {
            return Err("calls of before have not come back".to_owned());
        }
        self.settle_losses().map_err(|error| error.to_string())?;
        let verify = self.settings.verify;
        let prepared = self.patiently(disk, move |device| recovery::prepare(device, verify))?;
        disk.set_resident(prepared.resident);
        let synced = self.synced_on(disk)?;
        let (known, foreign) = self.compare(disk, common, synced)?;
        self.clean(disk, foreign)?;
        self.note_what_is_there(disk.slot, &known);
        // Most of what was removed meanwhile goes now; what is removed until the disk is live is looked for once more.
        self.remove_unknown(disk, &known)?;
        self.take_in(disk, &known)?;
        self.events.emit(Event::DiskBack {
            disk: disk.name.clone(),
            slot: disk.slot,
        });
        tracing::info!(disk = disk.name, slot = %disk.slot, "a disk is back");
        self.request_rebuild(disk.slot);
        Ok(())
    }

    /// The last epoch that the disk shares with this run; an error when it knows of one that we do not.
    pub(super) fn common_epoch(&self, disk: &Disk) -> Result<u64, String> {
        let found = self.patiently(disk, |device| Ok(Superblock::load(device)))?;
        let found = found.ok_or("it has no superblock that can be read")?;
        let ours = lock(&self.superblock).clone();
        if found.pool != ours.pool || found.disk != disk.uuid {
            return Err("it is another disk".to_owned());
        }
        if found.lineage.newest() != ours.lineage.newest()
            && !ours.lineage.follows(found.lineage.newest())
        {
            return Err(
                "it was in use without the others since; restart Weir with all disks to decide which of them counts"
                    .to_owned(),
            );
        }
        Ok(ours.lineage.last_in_common(&found.lineage).unwrap_or(0))
    }

    /// A call on a disk that is out.
    pub(super) fn patiently<T: Send + 'static>(
        &self,
        disk: &Disk,
        job: impl FnOnce(&dyn Device) -> io::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let patience = self.settings.disk_deadline.max(Duration::from_secs(1)) * 4;
        disk.try_ask(patience, job)
            .map_err(|fault| fault.to_string())
    }

    /// Reads all names of the disk: what belongs there, and what does not.
    fn compare(
        self: &Arc<Self>,
        disk: &Arc<Disk>,
        common: u64,
        synced: u64,
    ) -> Result<(Known, Vec<String>), String> {
        let (mut known, mut foreign) = (Known::new(), Vec::new());
        let folders = self.patiently(disk, |device| device.read_dir(OBJECTS))?;
        for folder in folders {
            let path = format!("{OBJECTS}/{folder}");
            let job_path = path.clone();
            let names = self.patiently(disk, move |device| list(device, &job_path))?;
            let names = names.iter().filter_map(|file| ShardName::parse(file));
            let names: Vec<ShardName> = names.filter(|name| name.folder() == path).collect();
            let kept = self.find_again(disk.slot, common, &path, &names);
            if self.repairs.is_stopped() || self.retirement.has_begun() {
                return Err("the store ends".to_owned());
            }
            for name in names {
                let is_safe = |name: &ShardName| {
                    name.sequence.0 < synced || self.reads_as_written(disk, *name)
                };
                if self.belongs(disk.slot, common, &name) && is_safe(&name) {
                    known.insert(name.sequence, name);
                } else if !kept.contains(&name) {
                    foreign.push(name.path());
                }
            }
        }
        Ok((known, foreign))
    }

    /// Every shard of a lower sequence is on the platter of the disk; a name of a later one proves nothing if the disk has
    /// lost its power.
    fn synced_on(&self, disk: &Disk) -> Result<u64, String> {
        let found = self.patiently(disk, |device| Ok(Superblock::load(device)))?;
        let found = found.ok_or("it has no superblock that can be read")?;
        let (from, until) = found.doubt;
        Ok(if from == until {
            found.synced
        } else {
            found.synced.min(from)
        })
    }

    /// Reads a shard as a whole.
    fn reads_as_written(&self, disk: &Disk, name: ShardName) -> bool {
        let pool = self.pool_id;
        let verify = move |device: &dyn Device| {
            Ok(Shard::open(device, pool, name).and_then(|opened| opened.shard.verify_all()))
        };
        matches!(self.patiently(disk, verify), Ok(Ok(())))
    }

    /// Whether the index knows this very shard on this disk.
    fn belongs(&self, slot: DiskSlot, common: u64, name: &ShardName) -> bool {
        let records = lock(&self.index).find(name.slot.key);
        let record = records.iter().find(|record| {
            record.slot.variant == name.slot.variant && record.sequence == name.sequence
        });
        name.sequence.0 >> COUNTER_BITS <= common
            && record.is_some_and(|record| {
                record.placement.geometry == name.geometry
                    && record.length == name.length
                    && record.placement.members.index_of(slot) == Some(name.index)
            })
    }

    /// Objects that were misses because too few of their shards were here: with this disk's there may be enough. The
    /// shards of those of which there still are not: they stay where they are.
    fn find_again(
        &self,
        slot: DiskSlot,
        common: u64,
        folder: &str,
        names: &[ShardName],
    ) -> Vec<ShardName> {
        if !self.losses.has_unseen() {
            return Vec::new();
        }
        let unknown: Vec<&ShardName> = names
            .iter()
            .filter(|name| name.sequence.0 >> COUNTER_BITS <= common)
            .filter(|name| self.is_unknown(name))
            .collect();
        if unknown.is_empty() {
            return Vec::new();
        }
        let elsewhere = self.names_on_live(folder);
        let found = unknown
            .into_iter()
            .filter(|name| self.is_found_again(slot, name, &elsewhere));
        found.copied().collect()
    }

    /// Whether nothing is known of its (key, variant).
    fn is_unknown(&self, name: &ShardName) -> bool {
        let known = lock(&self.index).find(name.slot.key);
        !known.iter().any(|record| record.slot == name.slot)
    }

    /// Whether a current disk knows the generation of a shard and nothing newer; entered into the index when there is
    /// enough of it.
    fn is_found_again(
        &self,
        slot: DiskSlot,
        name: &ShardName,
        elsewhere: &[(DiskSlot, ShardName)],
    ) -> bool {
        let is_sibling = |other: &ShardName| {
            (other.slot, other.sequence, other.geometry, other.length)
                == (name.slot, name.sequence, name.geometry, name.length)
        };
        let mut found: Vec<(u8, DiskSlot)> = elsewhere
            .iter()
            .filter(|(_, other)| is_sibling(other))
            .map(|(disk, other)| (other.index, *disk))
            .collect();
        let is_newest = !elsewhere
            .iter()
            .any(|(_, other)| other.slot == name.slot && other.sequence > name.sequence);
        found.push((name.index, slot));
        if !is_newest || !name.geometry.is_valid() || found.len() < 2 {
            return false;
        }
        if found.len() < usize::from(name.geometry.data_shards()) {
            return true;
        }
        let (slots, live) = (self.array.slots(), self.array.live());
        let Some(record) = Record::found(name, &found, slots, live) else {
            return false;
        };
        let record = Record {
            unverified: true,
            ..record
        };
        // Counted as put back: purges that have looked at everything by now have not looked at this one.
        if lock(&self.index).put_back(record, None) == Inserted::New {
            self.count_stored(&record);
        }
        true
    }

    /// Removes what does not belong on the disk, and what only a current disk may have; all of it is gone from the
    /// platter when this returns.
    fn clean(&self, disk: &Disk, foreign: Vec<String>) -> Result<(), String> {
        self.patiently(disk, move |device| {
            unlink_all(device, &foreign)?;
            recovery::empty_current(device)
        })
    }

    /// Notes of each object that should have a shard on a disk whether it is there.
    pub(super) fn note_what_is_there(&self, slot: DiskSlot, known: &Known) {
        let account = self.array.get(slot).map(|disk| Arc::clone(&disk.stats));
        let mut next = Some(0);
        while let Some(from) = next {
            let (records, following) = lock(&self.index).batch(from, BATCH);
            for record in records {
                let Some(index) = record.placement.members.index_of(slot) else {
                    continue;
                };
                let is_there = known.get(&record.sequence) == Some(&record.name().shard(index));
                let bytes = record.name().shard_footprint_bytes();
                // Counted under the lock of the index: what is removed meanwhile is subtracted if it was added.
                let mut objects = lock(&self.index);
                let was_missing = objects.change_presence(&record, index, is_there);
                match (&account, was_missing) {
                    (Some(account), Some(true)) if is_there => account.stored_bytes.add(bytes),
                    (Some(account), Some(false)) if !is_there => {
                        account.stored_bytes.subtract(bytes);
                    }
                    _ => {}
                }
                drop(objects);
                self.handles.invalidate(&(record.slot, record.sequence));
            }
            next = following;
        }
    }

    /// From here on the disk is one of the others. `known`: what it has.
    pub(super) fn take_in(&self, disk: &Arc<Disk>, known: &Known) -> Result<(), String> {
        // Nothing is removed between the last look and the moment from which on a removal reaches this disk as well.
        let renewal = self.begin_renewal();
        self.remove_unknown(disk, known)?;
        // Under its lock no other epoch begins.
        let superblock = lock(&self.superblock);
        let writes = disk
            .superblock_writes
            .fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        let mut own = superblock.on_disk(disk.slot, disk.uuid, writes);
        let written = self.patiently(disk, move |device| own.store(device));
        if written.is_ok() {
            disk.set_live();
        }
        drop(superblock);
        drop(renewal);
        if let Err(reason) = written {
            // It may have the epoch all the same, and must not count with it.
            self.losses.note();
            if let Err(error) = self.settle_losses() {
                tracing::error!(%error, "cannot note on the other disks that one is out");
            }
            return Err(reason);
        }
        self.top_up_log();
        let (slots, live) = (self.array.slots(), self.array.live());
        if live.len() * 2 > slots.len() {
            self.losses.trust();
        }
        if slots == live {
            self.losses.see_all();
        }
        Ok(())
    }

    /// Removes what was found on the disk and has been removed from the others since; it is gone from the platter when
    /// this returns.
    fn remove_unknown(&self, disk: &Disk, known: &Known) -> Result<(), String> {
        let mut left: BTreeMap<Sequence, ShardName> = known.clone();
        let mut next = Some(0);
        while let Some(from) = next {
            let (records, following) = lock(&self.index).batch(from, BATCH);
            for record in &records {
                left.remove(&record.sequence);
            }
            next = following;
        }
        if left.is_empty() {
            return Ok(());
        }
        let paths: Vec<String> = left.values().map(ShardName::path).collect();
        self.patiently(disk, move |device| unlink_all(device, &paths))?;
        self.patiently(disk, sync_all)
    }

    /// Gives as many disks a copy of the metadata log as should have one. Pool only.
    pub(super) fn top_up_log(&self) {
        let have = self.log.mirror.replicas();
        let wanted = recovery::LOG_COPIES.saturating_sub(have.len());
        let live = self.array.live().iter();
        let others: Vec<DiskSlot> = live
            .filter(|slot| !have.contains(slot) && !self.is_retiring(*slot))
            .take(wanted)
            .collect();
        for slot in others {
            let Some(device) = self.array.device(slot) else {
                continue;
            };
            if let Err(error) = self.log.add_replica(self.pool_id, slot, device) {
                tracing::warn!(%slot, %error, "a disk cannot carry a copy of the metadata log");
            }
        }
    }
}

fn unlink_all(device: &dyn Device, paths: &[String]) -> io::Result<()> {
    for path in paths {
        match device.unlink(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => note_progress(),
        }
    }
    Ok(())
}
