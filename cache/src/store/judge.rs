//! What follows from a shard that could not be opened or read.
//!
//! ```text
//! too many open files and the like → nothing           its disk is not there → the disk is out, the shard is not judged
//! gone, damaged, unreadable → the disk is named, the shard counts as missing, and is repaired
//!                           → too few are left: the object is dropped
//! ```
//! Nothing is dropped for want of disks that are out: what they have may still be whole.

use super::BLOCK_BYTES;
use super::array::disk::Absence;
use super::core::{Core, is_passing, lock};
use super::fetch::ShardSource;
use super::index::Record;
use super::layout::{ObjectName, QUARANTINE, ShardName};
use super::members::Members;
use super::report::DiskSlot;
use super::shard::{OpenedShard, Shard, ShardFault};
use super::shards::Shards;
use super::superblock::Superblock;
use crate::events::{Event, without_query};
use crate::metrics::EvictionCause;
use crate::ports::Device;
use std::io;
use std::sync::atomic::Ordering;

/// Corrupt files kept for inspection.
const QUARANTINE_FILES_MAX: u32 = 8;
/// Larger corrupt files are removed at once, bytes.
const QUARANTINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a shard that is missing means for its object.
enum Lack {
    /// Nothing: the object is gone, or has its shards elsewhere by now.
    Moot,
    /// It is known already.
    Known,
    /// From now on it is computed from the others.
    Noted,
    /// The object cannot do without it.
    Fatal,
}

/// What became of a shard that was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It counts as missing from now on, or its object is gone with it.
    Bad,
    /// It is nobody's any more, or known already, or it is the disk that is at fault.
    Nothing,
}

impl Core {
    /// Opens the first shard of an object that can be opened; the others follow as they are needed. Pool only.
    pub(super) fn open_shards(&self, record: &Record) -> Option<Shards> {
        let name = record.name();
        let geometry = name.placement.geometry;
        if self.within_reach(record) < geometry.data_shards() {
            return None; // a miss, until disks are back
        }
        let map = super::stripe::StripeMap::new(geometry, name.slot.key, name.length);
        for role in 0..geometry.disks() {
            let index = map.index_of(role, 0);
            if record.is_missing(index) {
                continue;
            }
            match self.open_shard(&name, index) {
                Some(Ok(first)) => return Some(Shards::new(record, first, self.resident)),
                Some(Err(fault)) => {
                    self.judge(&name, index, &fault);
                }
                None => {}
            }
        }
        None
    }

    /// How many shards of an object can be asked for now.
    pub(super) fn within_reach(&self, record: &Record) -> u8 {
        let disks = self.array.disks();
        let readable = disks.iter().filter(|disk| disk.is_readable());
        let readable: Members = readable.map(|disk| disk.slot).collect();
        record.present_on().intersection(readable).len()
    }

    /// Opens one shard; `None` when its disk is out. Pool only.
    pub(super) fn open_shard(
        &self,
        name: &ObjectName,
        index: u8,
    ) -> Option<Result<OpenedShard, ShardFault>> {
        let (shard, pool) = (name.shard(index), self.pool_id);
        let open = move |device: &dyn Device| Ok(Shard::open(device, pool, shard));
        let opened = self.ask_shard(name, index, open)?;
        Some(opened)
    }

    /// Asks the disk of a shard; once more when the process had too many files open. Pool only.
    pub(super) fn ask_shard<T: Send + 'static>(
        &self,
        name: &ObjectName,
        index: u8,
        ask: impl Fn(&dyn Device) -> io::Result<Result<T, ShardFault>> + Clone + Send + 'static,
    ) -> Option<Result<T, ShardFault>> {
        let slot = name.placement.members.slot_at(index)?;
        let answered = self.array.ask(slot, ask.clone());
        let again =
            matches!(&answered, Ok(Err(ShardFault::Io(error))) if self.has_freed_files(error));
        let answered = if again {
            self.array.ask(slot, ask)
        } else {
            answered
        };
        answered.ok()
    }

    /// Whether all of what an object needs reads as it was written: every shard is read, and those that fail count as
    /// missing. Pool only.
    pub(super) fn is_whole(&self, shards: &Shards) -> bool {
        let name = shards.name;
        for index in 0..name.placement.geometry.disks() {
            if shards.is_bad(index) {
                continue;
            }
            let (shard, pool) = (name.shard(index), self.pool_id);
            let verify = move |device: &dyn Device| {
                Ok(Shard::open(device, pool, shard).and_then(|opened| opened.shard.verify_all()))
            };
            if let Some(Err(fault)) = self.ask_shard(&name, index, verify) {
                shards.set_bad(index);
                self.judge(&name, index, &fault);
            }
        }
        lock(&self.index).contains(name.slot, name.sequence)
    }

    /// Whether a fault says nothing about the shard.
    pub(super) fn is_passing(&self, fault: &ShardFault) -> bool {
        matches!(fault, ShardFault::Io(error) if is_passing(error))
    }

    /// Draws the consequence of a shard that could not be opened or read.
    pub(crate) fn judge(&self, name: &ObjectName, index: u8, fault: &ShardFault) -> Judged {
        let Some(slot) = name.placement.members.slot_at(index) else {
            return Judged::Nothing;
        };
        let (disk, file) = (self.folder_of(slot), name.shard(index).file_name());
        match fault {
            _ if self.retirement.has_begun() => {
                let error = fault.to_string();
                tracing::warn!(
                    disk,
                    file,
                    error,
                    "a reader is cut off; the object is another process's by now"
                );
                Judged::Nothing
            }
            ShardFault::Io(error) if is_passing(error) => {
                self.count_disk_error(slot);
                tracing::warn!(disk, file, %error, "object left out for now");
                Judged::Nothing
            }
            ShardFault::Io(error) if !self.is_still_there(slot, error) => {
                self.count_disk_error(slot);
                tracing::debug!(disk, file, %error, "the disk is at fault, not the shard");
                Judged::Nothing
            }
            ShardFault::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                self.judge_gone(name, index)
            }
            ShardFault::Io(_) | ShardFault::Format(_) | ShardFault::Block(_) => {
                self.judge_damaged(name, index, slot, fault)
            }
        }
    }

    /// Without an entry it was evicted or replaced between the lookup and the opening.
    fn judge_gone(&self, name: &ObjectName, index: u8) -> Judged {
        let (disk, file) = (self.disk_of(name, index), name.shard(index).file_name());
        match self.lack(name, index) {
            Lack::Moot | Lack::Known => Judged::Nothing,
            Lack::Noted => {
                tracing::warn!(
                    disk,
                    file,
                    "a shard is gone; it is computed from the others"
                );
                Judged::Bad
            }
            Lack::Fatal => {
                let Some((record, _)) = self.take_entry(name) else {
                    return Judged::Nothing;
                };
                tracing::warn!(
                    disk,
                    file,
                    "the file of an object is gone; it is a miss now"
                );
                self.remove_shards(&record);
                self.count_removed(&record, EvictionCause::Corrupt);
                Judged::Bad
            }
        }
    }

    fn judge_damaged(
        &self,
        name: &ObjectName,
        index: u8,
        slot: DiskSlot,
        fault: &ShardFault,
    ) -> Judged {
        let (disk, shard) = (self.folder_of(slot), name.shard(index));
        // Nothing is renewed meanwhile: what is put aside here is what was found, and never what a repair has written
        // in its place.
        let removal = self.begin_removal();
        if !self.is_still_so(name, index, fault) {
            // Who found it had the file open that was there before the repair.
            self.handles.invalidate(&(name.slot, name.sequence));
            return Judged::Nothing;
        }
        let (file, error) = (shard.file_name(), fault.to_string());
        if let Some(disk) = self.array.get(slot) {
            disk.stats.corrupt_blocks.add(1);
            if matches!(fault, ShardFault::Io(error) if !is_cut_short(error)) {
                disk.stats.errors.add(1);
                if disk.note_read(false) {
                    self.lose(slot, Absence::Failed, "reads fail one after the other");
                }
            }
        }
        match self.lack(name, index) {
            Lack::Moot | Lack::Known => Judged::Nothing,
            Lack::Noted => {
                tracing::warn!(
                    disk,
                    file,
                    error,
                    "a shard is not what was written; it is computed from the others"
                );
                self.tell_corrupt(slot, shard.path(), self.url_of(name).as_deref());
                if !self.quarantine(slot, &shard.path(), &shard) {
                    self.unlink_uncounted(slot, &shard.path());
                }
                Judged::Bad
            }
            Lack::Fatal => {
                drop(removal); // not nested
                tracing::warn!(disk, file, error, "object is not what was written; dropped");
                self.drop_corrupt(name, index);
                Judged::Bad
            }
        }
    }

    /// Whether the block that was found damaged is so under the name of the shard as well. Where nothing makes up for a
    /// shard it is never written anew, so there is nothing to ask.
    fn is_still_so(&self, name: &ObjectName, index: u8, fault: &ShardFault) -> bool {
        let ShardFault::Block(block) = fault else {
            return true;
        };
        if name.placement.geometry.parity_shards() == 0 {
            return true;
        }
        let (shard, pool) = (name.shard(index), self.pool_id);
        let start = block.saturating_mul(BLOCK_BYTES);
        let length = BLOCK_BYTES.min(shard.data_bytes().saturating_sub(start));
        let length = usize::try_from(length).unwrap_or(0);
        let read = move |device: &dyn Device| {
            let opened = Shard::open(device, pool, shard);
            Ok(opened.and_then(|opened| opened.shard.read(start, length).map(drop)))
        };
        !matches!(self.ask_shard(name, index, read), Some(Ok(())))
    }

    /// Notes that a shard is missing.
    fn lack(&self, name: &ObjectName, index: u8) -> Lack {
        let geometry = name.placement.geometry;
        let mut objects = lock(&self.index);
        let record = objects.record(name.slot, name.sequence);
        // Another placement has files of its own.
        let Some(record) = record.filter(|record| record.placement == name.placement) else {
            return Lack::Moot;
        };
        if record.is_missing(index) {
            return Lack::Known;
        }
        if record.missing.count_ones() >= u32::from(geometry.parity_shards()) {
            return Lack::Fatal;
        }
        objects.set_missing(name.slot, name.sequence, index);
        drop(objects);
        let slot = name.placement.members.slot_at(index);
        if let Some(disk) = slot.and_then(|slot| self.array.get(slot)) {
            disk.stats
                .stored_bytes
                .subtract(name.shard_footprint_bytes());
        }
        // Who looks it up from now on knows.
        self.handles.invalidate(&(name.slot, name.sequence));
        self.queue_repair(name);
        Lack::Noted
    }

    /// Whether a disk on which a file is missing or cannot be read is there at all; else it is out from now on, and
    /// what it has is not judged.
    pub(super) fn is_still_there(&self, slot: DiskSlot, error: &io::Error) -> bool {
        let Some(disk) = self.array.get(slot).filter(|disk| disk.is_readable()) else {
            return false;
        };
        if self.array.only().is_some() {
            return true;
        }
        let uuid = disk.uuid;
        let look = |device: &dyn Device| Ok(Superblock::load(device).map(|found| found.disk));
        if matches!(self.array.ask(slot, look), Ok(Some(found)) if found == uuid) {
            return true;
        }
        if error.kind() == io::ErrorKind::NotFound {
            let why = "its folder is empty or another disk's";
            self.lose(slot, Absence::Missing, why);
        } else {
            let why = format!("it cannot be read: {error}");
            self.lose(slot, Absence::Failed, &why);
        }
        false
    }

    /// Tells of damage that was found.
    pub(crate) fn tell_corrupt(&self, slot: DiskSlot, object: String, url: Option<&str>) {
        self.events.emit(Event::Corrupt {
            disk: self.folder_of(slot),
            object,
            url: url.map(|url| without_query(url).to_owned()),
        });
    }

    /// As [`Self::tell_corrupt`], of what is known about objects besides their files.
    pub(crate) fn tell_log_damage(&self) {
        self.events.emit(Event::Corrupt {
            disk: self.name(),
            object: "the metadata log".to_owned(),
            url: None,
        });
    }

    fn url_of(&self, name: &ObjectName) -> Option<String> {
        let open = self.handles.get(&(name.slot, name.sequence));
        open.map(|object| object.head().url.clone())
    }

    pub(super) fn count_disk_error(&self, slot: DiskSlot) {
        if let Some(disk) = self.array.get(slot) {
            disk.stats.errors.add(1);
        }
    }

    /// Drops an object that did not read as written; a few small files are kept for inspection. Any thread that may
    /// block (pool, or the rare recheck after a send).
    pub(crate) fn drop_corrupt(&self, name: &ObjectName, index: u8) {
        let _removal = self.begin_removal();
        let url = self.url_of(name);
        // Looked at under the guard: who retires waits for it.
        if self.retirement.has_begun() {
            return; // not ours any more
        }
        let Some((record, _)) = self.take_entry(name) else {
            return; // replaced, evicted or dropped meanwhile
        };
        let Some(slot) = name.placement.members.slot_at(index) else {
            return;
        };
        self.tell_corrupt(slot, name.shard(index).path(), url.as_deref());
        if let Some(disk) = self.array.get(slot) {
            disk.stats.corrupt_objects.add(1);
        }
        self.count_removed(&record, EvictionCause::Corrupt);
        self.remove_replaced(name.slot);
        let bad = name.shard(index);
        self.quarantine(slot, &bad.path(), &bad);
        self.remove_shards(&record);
    }

    /// Moves a file that is not what it should be to quarantine/; `false`: it is too large, there are enough, or the
    /// disk refuses.
    pub(crate) fn quarantine(&self, slot: DiskSlot, path: &str, shard: &ShardName) -> bool {
        let file = format!("{QUARANTINE}/{}", shard.file_name());
        let (from, to) = (path.to_owned(), file.clone());
        let is_kept = self.has_room_in_quarantine(shard.data_bytes())
            && self
                .array
                .on(slot, move |device| device.rename(&from, &to))
                .is_ok();
        if is_kept {
            let disk = self.folder_of(slot);
            tracing::info!(
                disk,
                file,
                "kept for inspection: bytes that are not as they should be"
            );
        }
        is_kept
    }

    /// Whether one more file of so many bytes may be kept; counts it.
    pub(crate) fn has_room_in_quarantine(&self, bytes: u64) -> bool {
        bytes <= QUARANTINE_BYTES_MAX
            && self.quarantined.fetch_add(1, Ordering::Relaxed) < QUARANTINE_FILES_MAX
    }
}

/// A file that ends too early, as many do after a power cut, was read without fault.
fn is_cut_short(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}
