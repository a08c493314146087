//! The files of an object being written, in tmp/ of their disks; they remove themselves unless they got their final
//! names.
//!
//! A disk that fails, or has no room after eviction, costs its shard: as long as as many are left as there is data, the
//! object goes on without it. What is lost stays lost until the object is committed; then it is repaired.
//!
//! The guard lives where the files are used, on whichever thread that is; it never blocks there: the removal goes to
//! the pool, or onto a list that the next maintenance pass works off.

mod whole;

use super::array::disk::DiskFault;
use super::core::{Core, is_no_space, lock};
use super::layout::{OBJECTS, ObjectName, ShardName, renewed_path, temporary_path};
use super::members::{Members, Placement};
use super::report::DiskSlot;
use super::{Durability, StoreError};
use crate::object::Sequence;
use crate::ports::{Device, DeviceFile};
use std::io::{self, IoSlice};
use std::sync::Arc;
pub(crate) use whole::WholeShard;

/// One file; its index is its place in the list.
#[derive(Debug)]
struct TemporaryShard {
    disk: DiskSlot,
    /// `None`: the shard is lost.
    handle: Option<Arc<dyn DeviceFile>>,
    /// `None` once it has its final name, or was removed.
    path: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct TemporaryShards {
    core: Arc<Core>,
    shards: Vec<TemporaryShard>,
    /// As many must be left.
    needed: usize,
    eviction: Eviction,
}

/// Where files are created.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allotment {
    pub(crate) placement: Placement,
    /// The members that are live and have room; on the others the shards are lost from the start.
    pub(crate) on: Members,
    /// To be reserved for each, where the length is known.
    pub(crate) bytes: Option<u64>,
}

/// What a disk without room may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Eviction {
    Allowed,
    Forbidden,
}

/// A file to be created: its index, its path, and what comes first.
type Beginning = (u8, String, Vec<u8>);

impl TemporaryShards {
    /// Creates the files and writes the header of each.
    pub(crate) fn create(
        core: &Arc<Core>,
        sequence: Sequence,
        place: Allotment,
        headers: Vec<Vec<u8>>,
    ) -> Result<Self, StoreError> {
        let Allotment {
            placement,
            on,
            bytes,
        } = place;
        let headers = (0_u8..).zip(placement.members.iter()).zip(headers);
        let files = headers
            .filter(|((_, disk), _)| on.contains(*disk))
            .map(|((index, _), header)| (index, temporary_path(sequence, index), header));
        let needed = placement.geometry.data_shards().into();
        Self::begin(core, placement.members, needed, files.collect(), bytes)
    }

    /// As [`Self::create`], for some shards of an object that is stored already; `needed` of them must not be lost.
    pub(crate) fn renew(
        core: &Arc<Core>,
        name: &ObjectName,
        needed: usize,
        headers: Vec<(u8, Vec<u8>)>,
    ) -> Result<Self, StoreError> {
        let headers = headers.into_iter();
        let files =
            headers.map(|(index, header)| (index, renewed_path(&name.shard(index)), header));
        let bytes = Some(name.shard_footprint_bytes());
        Self::begin(core, name.placement.members, needed, files.collect(), bytes)
    }

    fn begin(
        core: &Arc<Core>,
        members: Members,
        needed: usize,
        beginnings: Vec<Beginning>,
        bytes: Option<u64>,
    ) -> Result<Self, StoreError> {
        let mut files = Self::absent(core, members, needed);
        let mut jobs = Vec::with_capacity(beginnings.len());
        for (index, path, header) in beginnings {
            files.note_path(index, &path);
            let begin = move |device: &dyn Device| {
                let header = [IoSlice::new(&header)];
                begun(device, &path, bytes, &header)
            };
            jobs.push((index, begin));
        }
        let made = files.run("begin", bytes.unwrap_or(super::UNIT_BYTES), jobs)?;
        for (index, handle) in made {
            if let Some(shard) = files.shards.get_mut(usize::from(index)) {
                shard.handle = Some(handle);
            }
        }
        Ok(files)
    }

    fn absent(core: &Arc<Core>, members: Members, needed: usize) -> Self {
        let shard = |disk| TemporaryShard {
            disk,
            handle: None,
            path: None,
        };
        Self {
            core: Arc::clone(core),
            shards: members.iter().map(shard).collect(),
            needed,
            eviction: Eviction::Allowed,
        }
    }

    fn note_path(&mut self, index: u8, path: &str) {
        if let Some(shard) = self.shards.get_mut(usize::from(index)) {
            shard.path = Some(path.to_owned());
        }
    }

    /// The file of a shard; `None` when it is lost.
    pub(crate) fn handle(&self, index: u8) -> Option<&Arc<dyn DeviceFile>> {
        self.shards.get(usize::from(index))?.handle.as_ref()
    }

    /// Shards that are lost, a bit each.
    pub(crate) fn lost(&self) -> u16 {
        let lost = (0_u32..).zip(&self.shards);
        lost.filter(|(_, shard)| shard.handle.is_none())
            .fold(0, |bits, (index, _)| {
                bits | 1_u16.checked_shl(index).unwrap_or(0)
            })
    }

    /// Writes to the shards that are not lost: to each what `slices` has for its index, at `offset`.
    pub(crate) fn write(
        &mut self,
        operation: &'static str,
        offset: u64,
        bytes: u64,
        write: impl Fn(u8, &dyn DeviceFile, u64) -> io::Result<()> + Clone + Send + 'static,
    ) -> Result<(), StoreError> {
        let jobs = (0_u8..).zip(&self.shards).filter_map(|(index, shard)| {
            let (handle, write) = (Arc::clone(shard.handle.as_ref()?), write.clone());
            let job = move |_: &dyn Device| write(index, handle.as_ref(), offset);
            Some((index, job))
        });
        let jobs = jobs.collect();
        self.run(operation, bytes, jobs).map(drop)
    }

    /// Gives the files their final names. In strict mode they are on the platter before, and their names afterwards.
    pub(crate) fn publish(&mut self, shard: impl Fn(u8) -> ShardName) -> Result<(), StoreError> {
        if self.core.settings.durability == Durability::Strict {
            self.sync_data()?;
        }
        self.give_names(shard)
    }

    /// Syncs the files before they get their names, in relaxed mode too: for shards of an object that is stored already.
    /// What is of an old sequence is in nobody's doubt after a power loss, so its name must prove that it is whole.
    pub(crate) fn make_durable(&mut self) -> Result<(), StoreError> {
        self.sync_data()
    }

    /// The second half of [`Self::publish`], for who keeps all removals waiting meanwhile: nothing is evicted for it.
    pub(crate) fn give_names_as_they_are(
        &mut self,
        shard: impl Fn(u8) -> ShardName,
    ) -> Result<(), StoreError> {
        self.eviction = Eviction::Forbidden;
        self.give_names(shard)
    }

    fn give_names(&mut self, shard: impl Fn(u8) -> ShardName) -> Result<(), StoreError> {
        let durability = self.core.settings.durability;
        let mut kept = self.shards.iter().filter(|file| file.handle.is_some());
        if kept.all(|file| file.path.is_none()) {
            return Ok(());
        }
        let jobs = (0_u8..).zip(&self.shards).filter_map(|(index, file)| {
            file.handle.as_ref()?;
            let (from, name) = (file.path.clone()?, shard(index));
            let rename = move |device: &dyn Device| renamed(device, &from, &name, durability);
            Some((index, rename))
        });
        let jobs = jobs.collect();
        let renamed = self.run("rename", 0, jobs);
        for file in self.shards.iter_mut() {
            file.path.take_if(|_| file.handle.is_some());
        }
        if let Err(error) = renamed {
            self.remove_named(&self.named(shard));
            return Err(error);
        }
        if durability == Durability::Strict {
            return self.sync_names(shard);
        }
        Ok(())
    }

    fn sync_data(&mut self) -> Result<(), StoreError> {
        let jobs = (0_u8..).zip(&self.shards).filter_map(|(index, shard)| {
            let handle = Arc::clone(shard.handle.as_ref()?);
            Some((index, move |_: &dyn Device| handle.sync_data()))
        });
        let jobs = jobs.collect();
        self.run_sync("fdatasync", jobs)
    }

    fn sync_names(&mut self, shard: impl Fn(u8) -> ShardName) -> Result<(), StoreError> {
        let named = self.named(shard);
        let jobs = named.iter().map(|(index, _, name)| {
            let folder = name.folder();
            (*index, move |device: &dyn Device| device.sync_dir(&folder))
        });
        let synced = self.run_sync("fsync of a folder", jobs.collect());
        if synced.is_err() {
            self.remove_named(&named);
        }
        synced
    }

    /// The files that have their final names, with the index of each.
    fn named(&self, shard: impl Fn(u8) -> ShardName) -> Vec<(u8, DiskSlot, ShardName)> {
        let named = (0_u8..).zip(&self.shards);
        named
            .filter(|(_, file)| file.handle.is_some() && file.path.is_none())
            .map(|(index, file)| (index, file.disk, shard(index)))
            .collect()
    }

    /// What is not acknowledged must not be found later either.
    fn remove_named(&self, named: &[(u8, DiskSlot, ShardName)]) {
        let paths = named.iter().map(|(_, disk, name)| (*disk, name.path()));
        self.core.remove_files(&paths.collect::<Vec<_>>());
    }

    fn run_sync<J>(&mut self, operation: &'static str, jobs: Vec<(u8, J)>) -> Result<(), StoreError>
    where
        J: Fn(&dyn Device) -> io::Result<()> + Clone + Send + 'static,
    {
        let core = Arc::clone(&self.core);
        let only = core.array.only().is_some();
        let ran = self.run(operation, 0, jobs);
        if only && ran.is_err() {
            core.note_failed_sync();
        }
        ran.map(drop)
    }

    /// Runs a job for each of some shards; a shard whose job fails is lost. The results of the others, or an error when
    /// too few are left. What fails for want of room is tried once more after eviction.
    fn run<T, J>(
        &mut self,
        operation: &'static str,
        bytes: u64,
        jobs: Vec<(u8, J)>,
    ) -> Result<Vec<(u8, T)>, StoreError>
    where
        T: Send + 'static,
        J: Fn(&dyn Device) -> io::Result<T> + Clone + Send + 'static,
    {
        let mut done = Vec::with_capacity(jobs.len());
        let mut again = Vec::new();
        let mut error = None;
        for ((index, job), answer) in jobs.iter().zip(self.on_disks(&jobs)) {
            match answer {
                Ok(result) => done.push((*index, result)),
                Err(DiskFault::Io(fault)) if self.is_worth_another_try(*index, bytes, &fault) => {
                    again.push((*index, job.clone()));
                }
                Err(fault) => error = Some(self.give_up(*index, operation, fault)),
            }
        }
        for ((index, _), answer) in again.iter().zip(self.on_disks(&again)) {
            match answer {
                Ok(result) => done.push((*index, result)),
                Err(fault) => error = Some(self.give_up(*index, operation, fault)),
            }
        }
        if done.len() >= self.needed {
            return Ok(done);
        }
        Err(error.unwrap_or_else(|| {
            let source = io::Error::other("too few disks are left");
            self.core.store_error(operation, source)
        }))
    }

    fn on_disks<T, J>(&self, jobs: &[(u8, J)]) -> Vec<Result<T, DiskFault>>
    where
        T: Send + 'static,
        J: Fn(&dyn Device) -> io::Result<T> + Clone + Send + 'static,
    {
        let disk = |index: u8| self.shards.get(usize::from(index)).map(|shard| shard.disk);
        let jobs = jobs.iter().map(|(index, job)| {
            let disk = disk(*index).unwrap_or(DiskSlot(u8::MAX));
            (disk, job.clone())
        });
        let answers = self.core.array.on_each(jobs.collect());
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Makes room, or closes files that nobody reads; `true` when one of both was wanted.
    fn is_worth_another_try(&self, index: u8, bytes: u64, fault: &io::Error) -> bool {
        if is_no_space(fault) {
            if self.eviction == Eviction::Forbidden {
                return false;
            }
            let disk = self.shards.get(usize::from(index)).map(|shard| shard.disk);
            self.core.make_room(bytes.max(1), disk);
            return true;
        }
        self.core.has_freed_files(fault)
    }

    /// The shard is lost, and perhaps its disk.
    fn give_up(&mut self, index: u8, operation: &'static str, fault: DiskFault) -> StoreError {
        let Some(shard) = self.shards.get_mut(usize::from(index)) else {
            return StoreError::Closed;
        };
        shard.handle = None;
        let disk = shard.disk;
        self.core.note_failed_write(disk, operation, &fault);
        self.core.fault_error(disk, operation, fault)
    }

    /// Pool only. Gives up the shard on a disk that has no room for more of it; an error when too few are left.
    pub(crate) fn leave_out(&mut self, slot: DiskSlot) -> Result<(), StoreError> {
        let error = self.core.full(slot);
        let of_it = self.shards.iter_mut().filter(|shard| shard.disk == slot);
        let mut paths = Vec::new();
        for shard in of_it {
            shard.handle = None;
            paths.extend(shard.path.take().map(|path| (slot, path)));
        }
        self.core.remove_files(&paths);
        let left = self.shards.iter();
        let left = left.filter(|shard| shard.handle.is_some()).count();
        if left < self.needed {
            Err(error)
        } else {
            Ok(())
        }
    }

    /// Pool only. Removes the files at once instead of leaving that to the drop.
    pub(crate) fn remove(&mut self) {
        let paths = self.take_paths();
        self.core.remove_files(&paths);
    }

    /// Pool only. Keeps the bytes for inspection where one file has all of them; removes them otherwise.
    pub(crate) fn quarantine(&mut self, first: &ShardName) {
        if !first.geometry.is_striped()
            && let Some(shard) = self.shards.first_mut()
            && let Some(path) = &shard.path
            && self.core.quarantine(shard.disk, path, first)
        {
            shard.path = None;
        }
        self.remove();
    }

    fn take_paths(&mut self) -> Vec<(DiskSlot, String)> {
        let shards = self.shards.iter_mut();
        shards
            .filter_map(|shard| Some((shard.disk, shard.path.take()?)))
            .collect()
    }

    /// The disks of the shards that are not lost.
    pub(crate) fn members(&self) -> Members {
        let kept = self.shards.iter().filter(|shard| shard.handle.is_some());
        kept.map(|shard| shard.disk).collect()
    }
}

/// Creates a file and writes what comes first. On an error it is as if nothing had happened.
fn begun(
    device: &dyn Device,
    path: &str,
    bytes: Option<u64>,
    first: &[IoSlice<'_>],
) -> io::Result<Arc<dyn DeviceFile>> {
    let file = created(device, path)?;
    let reserved = bytes.map_or(Ok(()), |bytes| file.allocate(bytes));
    let written = reserved.and_then(|()| file.write_all_at(first, 0));
    match written {
        Ok(()) => Ok(file),
        Err(error) => withdrawn(device, path, error),
    }
}

/// Takes back what could not be finished; what stays is removed by the next start.
fn withdrawn<T>(device: &dyn Device, path: &str, error: io::Error) -> io::Result<T> {
    device.unlink(path).ok();
    Err(error)
}

/// A disk that did not answer in time may have kept a file of an earlier attempt.
fn created(device: &dyn Device, path: &str) -> io::Result<Arc<dyn DeviceFile>> {
    match device.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            device.unlink(path)?;
            device.create(path)
        }
        other => other,
    }
}

/// Gives a file its final name; its folder is created when it is the first one there.
fn renamed(
    device: &dyn Device,
    from: &str,
    name: &ShardName,
    durability: Durability,
) -> io::Result<()> {
    let target = name.path();
    match device.rename(from, &target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            device.mkdir(&name.folder())?;
            if durability == Durability::Strict {
                device.sync_dir(OBJECTS)?;
            }
            device.rename(from, &target)
        }
        other => other,
    }
}

impl Drop for TemporaryShards {
    fn drop(&mut self) {
        let paths = self.take_paths();
        if paths.is_empty() {
            return;
        }
        let (core, job_paths) = (Arc::clone(&self.core), paths.clone());
        let remove = move || {
            core.remove_files(&job_paths);
        };
        if self.core.pool.try_submit(remove).is_err() {
            // As many as there were writers, and every maintenance pass empties it.
            lock(&self.core.leftovers).extend(paths);
        }
    }
}
