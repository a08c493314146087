//! A file in tmp/ that removes itself unless it got its final name.
//!
//! The guard lives where the file is used, on whichever thread that is; it never blocks there: the removal goes to the
//! pool, or onto a list that the next maintenance pass works off.

use super::claim::Claim;
use super::core::{Core, is_no_space, lock};
use super::layout::{OBJECTS, ShardName};
use super::{Durability, StoreError};
use crate::object::Sequence;
use crate::ports::DeviceFile;
use std::io;
use std::sync::Arc;

/// The file, its sequence and its share of the budget.
#[derive(Debug)]
pub(crate) struct TemporaryFile {
    core: Arc<Core>,
    pub(crate) handle: Arc<dyn DeviceFile>,
    sequence: Sequence,
    /// `None` once it has its final name.
    path: Option<String>,
    pub(crate) claim: Claim,
}

impl TemporaryFile {
    /// Creates the file. The sequence counts as being written until the guard is dropped.
    pub(crate) fn create(
        core: &Arc<Core>,
        sequence: Sequence,
        path: String,
        claim: Claim,
    ) -> Result<Self, StoreError> {
        let created = match core.create_file(&path) {
            Err(error) if is_no_space(&error) => {
                core.with_room(1, "create", || core.create_file(&path))
            }
            other => other.map_err(|error| core.disk_error("create", error)),
        };
        match created {
            Ok(handle) => Ok(Self {
                core: Arc::clone(core),
                handle,
                sequence,
                path: Some(path),
                claim,
            }),
            Err(error) => {
                core.sequences.finish(sequence);
                Err(error)
            }
        }
    }

    pub(crate) fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Gives the file its final name; its folder is created when it is the first one there.
    pub(crate) fn rename(&mut self, core: &Core, name: &ShardName) -> Result<(), StoreError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let target = name.path();
        let renamed = match core.device.rename(path, &target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(core, name)?;
                core.device.rename(path, &target)
            }
            other => other,
        };
        renamed.map_err(|error| core.disk_error("rename", error))?;
        self.path = None;
        Ok(())
    }
}

impl TemporaryFile {
    /// Pool only. Removes the file at once instead of leaving that to the drop.
    pub(crate) fn remove(&mut self, core: &Core) {
        if let Some(path) = self.path.take() {
            core.unlink_uncounted(&path);
        }
    }

    /// Pool only. Keeps the file for inspection under `name`; removes it when there is no room for it.
    pub(crate) fn quarantine(&mut self, core: &Core, name: &ShardName) {
        if let Some(path) = self.path.take()
            && !core.quarantine(&path, name)
        {
            core.unlink_uncounted(&path);
        }
    }
}

fn make_folder(core: &Core, name: &ShardName) -> Result<(), StoreError> {
    core.device
        .mkdir(&name.folder())
        .map_err(|error| core.disk_error("mkdir", error))?;
    match core.settings.durability {
        Durability::Relaxed => Ok(()),
        Durability::Strict => core.synced("fsync of a folder", core.device.sync_dir(OBJECTS)),
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        self.core.sequences.finish(self.sequence);
        let Some(path) = self.path.take() else { return };
        let (core, job_path) = (Arc::clone(&self.core), path.clone());
        if self
            .core
            .pool
            .try_submit(move || core.unlink_uncounted(&job_path))
            .is_err()
        {
            // As many as there were writers, and every maintenance pass empties it.
            lock(&self.core.leftovers).push(path);
        }
    }
}
