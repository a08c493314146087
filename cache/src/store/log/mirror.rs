//! The log on several disks: the same bytes in the same files on each of them.
//!
//! ```text
//! append ─► Mirror ─┬─► replica 0: log/<sequence>.lg      every change: to all, one after the other
//!                   ├─► replica 1: the same               every read: the first that answers
//!                   └─► replica 2: the same
//! ```
//! One replica: every call goes straight through, and so does every error.
//!
//! Invariants with more of them
//! - Whatever a call has changed, it has changed on every replica that takes part afterwards. One that failed where
//!   another succeeded takes part in nothing more, and [`ReplicaLoss`] is told once, before the call returns. So it is
//!   told before anything is acknowledged that the lost disk has missed.
//! - Where all fail nobody is lost: the caller hears of it and takes back, retries or reports, as with one disk.
//! - Errors that say nothing about the disk (no space, no descriptors) fail the call although others succeeded, and
//!   nobody is lost. The caller makes room and repeats the same call with the same bytes; a file that was created on
//!   some is removed from them, so that creating can be repeated as well.
//! - The last replica is never dropped.
//!
//! After a crash the replicas may differ by what was in flight; [`super::merge`] makes them equal before the replay.
//!
//! Deliberately not here: which disks have the log (the array decides), deadlines (a hung disk is an error of its
//! [`Device`]), and calls at the same time: a sync takes as long as those of all replicas together.

mod copy;
mod file;
mod outcome;

pub(super) use copy::{read_copy, write_copy};
pub(in crate::store) use file::MirrorFile;
use outcome::without_absent;

use super::{merge, segment};
use crate::object::Sequence;
use crate::ports::{Device, DeviceFile};
use crate::store::core::lock;
use crate::store::report::DiskSlot;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Who is told of a disk that cannot keep its copy of the log.
///
/// Called under the lock of the log's writer, or at the start: must not append to the log, may write superblocks.
pub(in crate::store) trait ReplicaLoss: Send + Sync + fmt::Debug {
    /// This disk takes part in the log no more. Its copy lacks what is acknowledged from now on: it must not count as
    /// current at the next start. Told once.
    fn lost(&self, slot: DiskSlot, operation: &'static str, error: &io::Error);

    /// A copy that was not what was written has been overwritten with what another disk has.
    fn repaired(&self, _slot: DiskSlot, _path: &str) {}
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Access {
    /// Only to be read.
    Read,
    /// To be read, cut and appended to.
    Write,
}

/// The copies of the log.
///
/// The list of replicas is a leaf of the lock order; nothing is called while it is held.
#[derive(Debug)]
pub(in crate::store) struct Mirror {
    replicas: RwLock<Arc<Vec<Arc<Replica>>>>,
    loss: Arc<dyn ReplicaLoss>,
    next_file: AtomicU64,
}

/// One disk, and the files of the log that are open on it: they are closed with it.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) slot: DiskSlot,
    pub(super) device: Arc<dyn Device>,
    files: Mutex<HashMap<u64, Arc<dyn DeviceFile>>>,
}

impl Mirror {
    /// The log on these disks, whose copies are equal (see [`super::merge::reconcile`]).
    pub(in crate::store) fn new(
        replicas: Vec<(DiskSlot, Arc<dyn Device>)>,
        loss: Arc<dyn ReplicaLoss>,
    ) -> Arc<Self> {
        let replicas = replicas.into_iter();
        let replicas = replicas.map(|(slot, device)| Arc::new(Replica::new(slot, device)));
        Arc::new(Self {
            replicas: RwLock::new(Arc::new(replicas.collect())),
            loss,
            next_file: AtomicU64::new(0),
        })
    }

    /// The disks that have the log now.
    pub(in crate::store) fn replicas(&self) -> Vec<DiskSlot> {
        let list = self.list();
        list.iter().map(|replica| replica.slot).collect()
    }

    /// For messages: the folders of all disks.
    pub(in crate::store) fn name(&self) -> String {
        let list = self.list();
        let names: Vec<&str> = list.iter().map(|replica| replica.device.name()).collect();
        names.join(", ")
    }

    /// The disk is out for another reason; nobody is told. `false`: it had no copy, or has the only one.
    pub(in crate::store) fn drop_replica(&self, slot: DiskSlot) -> bool {
        let mut list = self
            .replicas
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let left: Vec<_> = list
            .iter()
            .filter(|replica| replica.slot != slot)
            .cloned()
            .collect();
        let is_dropped = !left.is_empty() && left.len() < list.len();
        let before = is_dropped.then(|| std::mem::replace(&mut *list, Arc::new(left)));
        drop(list);
        // Its files are closed here, without the lock.
        drop(before);
        is_dropped
    }

    /// Copies the log to one more disk, whose own log/ is emptied first, and lets it take part.
    ///
    /// Under the lock of the writer, so that nothing is appended meanwhile; files are copied oldest first. A crash in
    /// between leaves a part: only afterwards may a superblock say that this disk is current. A file that is cleaned
    /// away meanwhile may stay on the new disk; merge.rs says why that does no harm.
    pub(in crate::store) fn add_replica(
        &self,
        pool: [u8; 16],
        slot: DiskSlot,
        device: Arc<dyn Device>,
    ) -> io::Result<()> {
        if self.replicas().contains(&slot) {
            let reason = format!("slot {slot} has a copy of the metadata log already");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, reason));
        }
        copy::empty(device.as_ref())?;
        let names = self.read_dir(segment::LOG)?;
        let logs: BTreeSet<Sequence> = names
            .iter()
            .filter_map(|name| segment::parse(name))
            .collect();
        for log in logs {
            if let Some(bytes) = merge::content(&self.list(), pool, log) {
                write_copy(device.as_ref(), log, &bytes)?;
            }
        }
        let mut list = self
            .replicas
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut longer = list.as_ref().clone();
        longer.push(Arc::new(Replica::new(slot, device)));
        *list = Arc::new(longer);
        Ok(())
    }

    /// Creates a file on all.
    pub(in crate::store) fn create(self: &Arc<Self>, path: &str) -> io::Result<Arc<MirrorFile>> {
        let outcomes = self.each(|replica| replica.device.create(path));
        let created: Vec<Arc<Replica>> = outcomes
            .iter()
            .filter(|(_, outcome)| outcome.is_ok())
            .map(|(replica, _)| Arc::clone(replica))
            .collect();
        match self.settle("create a log file", outcomes) {
            Ok(files) => Ok(MirrorFile::new(self, path, Access::Write, files)),
            Err(error) => {
                for replica in created {
                    // Where this fails the name is taken when the call is repeated, and the replica goes then.
                    if let Err(error) = replica.device.unlink(path) {
                        let disk = replica.device.name();
                        tracing::warn!(disk, path, %error, "cannot remove a log file");
                    }
                }
                Err(error)
            }
        }
    }

    /// Opens a file on all that have it.
    pub(in crate::store) fn open(
        self: &Arc<Self>,
        path: &str,
        access: Access,
    ) -> io::Result<Arc<MirrorFile>> {
        let outcomes = self.each(|replica| replica.device.open(path, access == Access::Write));
        let files = self.settle("open a log file", without_absent(outcomes))?;
        Ok(MirrorFile::new(self, path, access, files))
    }

    /// Renames on all that have the file.
    pub(in crate::store) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let outcomes = self.each(|replica| replica.device.rename(from, to));
        self.settle("rename a log file", without_absent(outcomes))
            .map(drop)
    }

    /// Removes from all that have the file.
    pub(in crate::store) fn unlink(&self, path: &str) -> io::Result<()> {
        let outcomes = self.each(|replica| replica.device.unlink(path));
        self.settle("remove a log file", without_absent(outcomes))
            .map(drop)
    }

    /// fsync of a folder on all.
    pub(in crate::store) fn sync_dir(&self, path: &str) -> io::Result<()> {
        let outcomes = self.each(|replica| replica.device.sync_dir(path));
        self.settle("fsync of the log folder", outcomes).map(drop)
    }

    /// Names in a folder on any of them.
    pub(in crate::store) fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = BTreeSet::new();
        let mut refusal = None;
        let outcomes = self.each(|replica| replica.device.read_dir(path));
        let asked = outcomes.len();
        let mut refused = 0;
        for (_, outcome) in outcomes {
            match outcome {
                Ok(found) => names.extend(found),
                Err(error) => {
                    refused += 1;
                    refusal.get_or_insert(error);
                }
            }
        }
        match refusal {
            Some(error) if refused == asked => Err(error),
            _ => Ok(names.into_iter().collect()),
        }
    }

    /// As of now.
    pub(super) fn list(&self) -> Arc<Vec<Arc<Replica>>> {
        let list = self.replicas.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&list)
    }

    pub(super) fn tell_repaired(&self, replica: &Replica, path: &str) {
        let disk = replica.device.name();
        tracing::warn!(
            disk,
            path,
            "the metadata log was damaged on a disk; repaired from another"
        );
        self.loss.repaired(replica.slot, path);
    }
}

impl Replica {
    fn new(slot: DiskSlot, device: Arc<dyn Device>) -> Self {
        Self {
            slot,
            device,
            files: Mutex::default(),
        }
    }

    fn keep(&self, id: u64, file: Arc<dyn DeviceFile>) {
        lock(&self.files).insert(id, file);
    }

    fn known(&self, id: u64) -> Option<Arc<dyn DeviceFile>> {
        lock(&self.files).get(&id).cloned()
    }

    fn close(&self, id: u64) {
        let closed = lock(&self.files).remove(&id);
        drop(closed);
    }
}

#[cfg(test)]
mod tests;
