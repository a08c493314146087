//! One file of the log, open on every replica.
//!
//! The open files belong to the replicas ([`Replica`]): a disk that goes takes its files with it, and one that comes
//! opens them when they are first needed.

use super::outcome::none_left;
use super::{Access, Mirror, Replica, copy};
use crate::ports::DeviceFile;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The file. Equal to [`DeviceFile`] in what its calls mean, apart from [`Self::read_checked`].
#[derive(Debug)]
pub(in crate::store) struct MirrorFile {
    mirror: Arc<Mirror>,
    id: u64,
    path: String,
    access: Access,
}

impl MirrorFile {
    pub(super) fn new(
        mirror: &Arc<Mirror>,
        path: &str,
        access: Access,
        files: Vec<(Arc<Replica>, Arc<dyn DeviceFile>)>,
    ) -> Arc<Self> {
        let id = mirror.next_file.fetch_add(1, Ordering::Relaxed);
        for (replica, file) in files {
            replica.keep(id, file);
        }
        Arc::new(Self {
            mirror: Arc::clone(mirror),
            id,
            path: path.to_owned(),
            access,
        })
    }

    /// The file of one replica.
    fn on(&self, replica: &Replica) -> io::Result<Arc<dyn DeviceFile>> {
        if let Some(known) = replica.known(self.id) {
            return Ok(known);
        }
        let is_written = self.access == Access::Write;
        let file = replica.device.open(&self.path, is_written)?;
        replica.keep(self.id, Arc::clone(&file));
        Ok(file)
    }

    /// How many disks have a copy.
    pub(in crate::store) fn copies(&self) -> usize {
        self.mirror.list().len()
    }

    /// Reads exactly `buffer.len()` bytes from the first copy that has them.
    pub(in crate::store) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.first(|file| file.read_exact_at(buffer, offset))
    }

    /// Length of the first copy that answers, bytes.
    pub(in crate::store) fn length(&self) -> io::Result<u64> {
        self.first(|file| file.length())
    }

    fn first<T>(&self, mut read: impl FnMut(&dyn DeviceFile) -> io::Result<T>) -> io::Result<T> {
        let mut refusal = None;
        for replica in self.mirror.list().iter() {
            match self.on(replica).and_then(|file| read(file.as_ref())) {
                Ok(value) => return Ok(value),
                Err(error) => drop(refusal.get_or_insert(error)),
            }
        }
        Err(refusal.unwrap_or_else(none_left))
    }

    /// Reads `length` bytes from the first copy that `check` accepts, and overwrites with them those that it was asked
    /// about before. The fault of the first copy when it accepts none.
    ///
    /// Only for bytes that are acknowledged: nobody else writes there any more.
    pub(in crate::store) fn read_checked<T, F: From<io::Error>>(
        &self,
        length: usize,
        offset: u64,
        check: impl Fn(&[u8]) -> Result<T, F>,
    ) -> Result<T, F> {
        let mut bytes = vec![0; length];
        let mut refused = Vec::new();
        let mut fault = None;
        for replica in self.mirror.list().iter() {
            let read = self
                .on(replica)
                .and_then(|file| file.read_exact_at(&mut bytes, offset));
            match read.map_err(F::from).and_then(|()| check(&bytes)) {
                Ok(value) => {
                    for bad in refused {
                        self.repair(bad, &bytes, offset);
                    }
                    return Ok(value);
                }
                Err(found) => {
                    refused.push(replica);
                    fault.get_or_insert(found);
                }
            }
        }
        Err(fault.unwrap_or_else(|| none_left().into()))
    }

    /// Every copy as far as it can be read, `length` bytes each: what cannot is zeros.
    pub(in crate::store::log) fn read_copies(&self, length: u64) -> Vec<(Arc<Replica>, Vec<u8>)> {
        let list = self.mirror.list();
        let read = list.iter().filter_map(|replica| {
            let file = self.on(replica).ok()?;
            let mut bytes = copy::read_pieces(file.as_ref(), length).ok()?;
            bytes.resize(usize::try_from(length).ok()?, 0);
            Some((Arc::clone(replica), bytes))
        });
        read.collect()
    }

    /// Overwrites part of one copy. A failure is no loss: nothing that was not there before is missing.
    pub(in crate::store::log) fn repair(&self, replica: &Replica, bytes: &[u8], offset: u64) {
        let written = self
            .on(replica)
            .and_then(|file| file.write_all_at(&[IoSlice::new(bytes)], offset));
        match written {
            Ok(()) => self.mirror.tell_repaired(replica, &self.path),
            Err(error) => {
                let (disk, path) = (replica.device.name(), &self.path);
                tracing::warn!(disk, path, %error, "cannot repair a copy of the metadata log");
            }
        }
    }

    /// Writes to all copies.
    pub(in crate::store) fn write_all_at(
        &self,
        buffers: &[IoSlice<'_>],
        offset: u64,
    ) -> io::Result<()> {
        self.on_all("append to the log", |file| {
            file.write_all_at(buffers, offset)
        })
    }

    /// Cuts all copies.
    pub(in crate::store) fn truncate(&self, length: u64) -> io::Result<()> {
        self.on_all("cut the log", |file| file.truncate(length))
    }

    /// fdatasync of all copies.
    pub(in crate::store) fn sync_data(&self) -> io::Result<()> {
        self.on_all("fdatasync of the log", |file| file.sync_data())
    }

    fn on_all(
        &self,
        operation: &'static str,
        call: impl Fn(&dyn DeviceFile) -> io::Result<()>,
    ) -> io::Result<()> {
        let outcomes = self
            .mirror
            .each(|replica| self.on(replica).and_then(|file| call(file.as_ref())));
        self.mirror.settle(operation, outcomes).map(drop)
    }
}

impl Drop for MirrorFile {
    fn drop(&mut self) {
        for replica in self.mirror.list().iter() {
            replica.close(self.id);
        }
    }
}
