//! Taking the files of objects away, on every disk that has one.
//!
//! A disk that fails at it is out from then on: it is compared with the others before it is relied on again, and what
//! they do not know goes then. Where it cannot be done without, or where the file is at fault and not the disk, the path
//! is noted, and retried in every maintenance pass.

use super::array::absence;
use super::array::disk::{Absence, DiskFault};
use super::core::{Core, lock};
use super::index::Record;
use super::layout::{OBJECTS, ShardName, Slot, folder_of};
use super::pool::note_progress;
use super::report::DiskSlot;
use super::superblock::Superblock;
use crate::metrics::EvictionCause;
use crate::ports::Device;
use std::collections::BTreeMap;
use std::io;

impl Core {
    /// Removes the files that an object of this slot has replaced: without it they must not come back.
    pub(crate) fn remove_replaced(&self, slot: Slot) {
        for old in self.replaced.take(slot) {
            self.unlink_counted(&old, EvictionCause::Replaced);
        }
    }

    /// Removes the files of an object that is not in the index any more, and does not come back into it: one that is
    /// still there was noted, and is counted no more.
    pub(crate) fn unlink_counted(&self, record: &Record, cause: EvictionCause) {
        self.remove_shards(record);
        self.count_removed(record, cause);
    }

    /// As [`Self::unlink_counted`], for who puts the object back when one of the files is still there: `false` then, and
    /// nothing is counted.
    pub(crate) fn try_unlink_counted(&self, record: &Record, cause: EvictionCause) -> bool {
        let is_gone = self.remove_shards(record);
        if is_gone {
            self.count_removed(record, cause);
        }
        is_gone
    }

    /// Removes all files of an object; `false` when one is still there.
    pub(crate) fn remove_shards(&self, record: &Record) -> bool {
        let gone = self.remove_all_shards(std::slice::from_ref(record));
        gone.into_iter().all(|is_gone| is_gone)
    }

    /// Removes all files of several objects; for each, whether none of them is left.
    pub(crate) fn remove_all_shards(&self, records: &[Record]) -> Vec<bool> {
        let mut gone = vec![true; records.len()];
        let mut owners = Vec::new();
        let mut paths = Vec::new();
        for (owner, record) in records.iter().enumerate() {
            for (disk, shard) in self.shards_to_remove(record) {
                owners.push(owner);
                paths.push((disk, shard.path()));
            }
        }
        for place in self.remove_each(&paths) {
            let owner = owners.get(place).and_then(|owner| gone.get_mut(*owner));
            if let Some(is_gone) = owner {
                *is_gone = false;
            }
        }
        gone
    }

    /// All shards of an object, but for those that it has under its present placement as well: of one that was spread
    /// anew, the old placement goes and the object stays.
    fn shards_to_remove(
        &self,
        record: &Record,
    ) -> impl Iterator<Item = (DiskSlot, ShardName)> + use<> {
        let now = lock(&self.index).record(record.slot, record.sequence);
        let kept = move |disk, shard: ShardName| {
            let now = now.map(|now| now.name())?;
            let index = now.placement.members.index_of(disk)?;
            Some(now.shard(index) == shard)
        };
        let shards = record.name().shards();
        shards.filter(move |(disk, shard)| !kept(*disk, *shard).unwrap_or(false))
    }

    /// Removes files on their disks, all at once; `false` when one is still there.
    pub(super) fn remove_files(&self, paths: &[(DiskSlot, String)]) -> bool {
        self.remove_each(paths).is_empty()
    }

    /// Removes files, in one job on each of their disks; the places of those that are still there.
    fn remove_each(&self, paths: &[(DiskSlot, String)]) -> Vec<usize> {
        let mut by_disk: BTreeMap<DiskSlot, Vec<usize>> = BTreeMap::new();
        let live = self.array.live();
        for (place, (disk, _)) in paths.iter().enumerate() {
            if live.contains(*disk) {
                by_disk.entry(*disk).or_default().push(place);
            }
        }
        let path = |place: &usize| paths.get(*place).map(|(_, path)| path.clone());
        let jobs = by_disk.iter().map(|(disk, places)| {
            let of_disk: Vec<String> = places.iter().filter_map(path).collect();
            let unlink = move |device: &dyn Device| {
                let unlinked = of_disk.iter().map(|path| {
                    note_progress();
                    device.unlink(path)
                });
                Ok(unlinked.collect::<Vec<_>>())
            };
            (*disk, unlink)
        });
        let folders = paths.iter().filter_map(|(_, path)| path.rsplit_once('/'));
        let folders = folders.map(|(folder, _)| folder);
        let folders = folders.filter(|folder| folder.starts_with(OBJECTS));
        self.unlinked.note(folders.clone());
        let answers = self.array.on_each(jobs.collect());
        self.unlinked.note(folders);
        let mut left = Vec::new();
        for ((disk, places), (_, answer)) in by_disk.iter().zip(answers) {
            let answer = match answer {
                Ok(answer) => answer,
                // None of them was done.
                Err(DiskFault::Io(error)) => {
                    let each = |_| Err(io::Error::new(error.kind(), error.to_string()));
                    places.iter().map(each).collect()
                }
                // It is compared with the others before it is relied on again.
                Err(DiskFault::Out | DiskFault::Closed) => continue,
            };
            for (place, unlinked) in places.iter().zip(answer) {
                let Err(error) = unlinked else { continue };
                let is_absent = error.kind() == io::ErrorKind::NotFound && self.is_itself(*disk);
                let path = path(place).unwrap_or_default();
                if !is_absent && !self.is_out_of_reach(*disk, &path, &error) {
                    left.push(*place);
                }
            }
        }
        left
    }

    /// Removes what is meant of a key that a start has found and could not use, because too much of it is on disks that
    /// are out: with them it would be there again. What those have goes when they are compared with the others.
    pub(super) fn remove_unseen(&self, key: u128, is_meant: impl Fn(&ShardName) -> bool) {
        if !self.losses.has_unseen() {
            return;
        }
        let found = self.names_on_live(&folder_of(key)).into_iter();
        let unseen =
            found.filter(|(_, name)| is_meant(name) && self.losses.is_from_before(name.sequence));
        let paths: Vec<_> = unseen.map(|(slot, name)| (slot, name.path())).collect();
        self.remove_files(&paths);
    }

    /// What the live disks have in a folder.
    pub(super) fn names_on_live(&self, folder: &str) -> Vec<(DiskSlot, ShardName)> {
        let jobs = self.array.live().iter().map(|slot| {
            let folder = folder.to_owned();
            (slot, move |device: &dyn Device| list(device, &folder))
        });
        let mut found = Vec::new();
        for (slot, answer) in self.array.on_each(jobs.collect()) {
            let names = answer.unwrap_or_default();
            let names = names.iter().filter_map(|file| ShardName::parse(file));
            found.extend(names.map(|name| (slot, name)));
        }
        found
    }

    /// Whether a disk that lacks a file is there at all: on one whose mount is gone nothing is found, and everything
    /// comes back with it.
    fn is_itself(&self, slot: DiskSlot) -> bool {
        let Some(disk) = self.array.get(slot) else {
            return true;
        };
        let uuid = disk.uuid;
        let look = move |device: &dyn Device| Ok(Superblock::is_of(device, uuid));
        matches!(self.array.ask(slot, look), Ok(true))
    }

    /// A file could not be removed; whether nobody will find it before its disk was compared with the others. Not to be
    /// asked about a file that is not there, unless its disk is not there either.
    fn is_out_of_reach(&self, disk: DiskSlot, path: &str, error: &io::Error) -> bool {
        self.count_disk_error(disk);
        tracing::warn!(disk = self.folder_of(disk), path, %error, "cannot remove a file");
        let failed = match error.kind() {
            io::ErrorKind::NotFound => Some(Absence::Missing),
            _ => absence(error),
        };
        if let Some(absence) = failed {
            self.lose(disk, absence, "a file cannot be removed");
        }
        // Perhaps somebody else has found it out first.
        if !self.array.live().contains(disk) {
            return true;
        }
        if ShardName::of_path(path).is_some() {
            self.bans.note_left(disk, path);
        }
        false
    }

    /// Removes the files that no counter knows and that could not be removed at once.
    pub(super) fn remove_leftovers(&self) {
        let left = std::mem::take(&mut *lock(&self.leftovers));
        if !left.is_empty() {
            self.remove_files(&left);
        }
    }

    /// Removes a file that no counter knows.
    pub(super) fn unlink_uncounted(&self, disk: DiskSlot, path: &str) {
        self.remove_files(&[(disk, path.to_owned())]);
    }
}

/// What a folder holds; nothing where it is not there.
pub(super) fn list(device: &dyn Device, path: &str) -> io::Result<Vec<String>> {
    match device.read_dir(path) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Vec::new())
        }
        other => other,
    }
}
