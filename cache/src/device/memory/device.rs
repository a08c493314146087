//! The calls of the port on a memory disk.

use super::faults::no_space;
use super::file::MemoryFile;
use super::image::Change;
use super::{MemoryDevice, Operation, Shared};
use crate::ports::{Device, DeviceFile, Space};
use std::io;
use std::sync::Arc;

/// Space reported when no limit was set: 1 TiB.
const UNLIMITED_BYTES: u64 = 1 << 40;

/// What lies below a mount point that has lost its disk.
const FILE_SYSTEM_BELOW: u64 = 0;

impl Shared {
    fn open(self: &Arc<Self>, operation: Operation, path: &str) -> io::Result<Arc<dyn DeviceFile>> {
        let state = self.enter(operation, path)?;
        let inode = *state.seen.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(inode))
    }

    fn file(self: &Arc<Self>, inode: u64) -> Arc<dyn DeviceFile> {
        Arc::new(MemoryFile {
            shared: Arc::clone(self),
            inode,
        })
    }
}

impl Device for MemoryDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DeviceFile>> {
        let mut state = self.shared.enter(Operation::Create, path)?;
        state.folder_exists(path)?;
        if state.seen.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if state
            .faults
            .limit_inodes
            .is_some_and(|limit| state.seen.names.len() as u64 >= limit)
        {
            return Err(no_space());
        }
        let inode = state.new_inode();
        state.change(Change::Link {
            path: path.to_owned(),
            inode,
        });
        Ok(self.shared.file(inode))
    }

    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn DeviceFile>> {
        let operation = if write {
            Operation::OpenForWriting
        } else {
            Operation::Open
        };
        self.shared.open(operation, path)
    }

    /// What a process sees is what O_DIRECT reads: the kernel writes dirty pages back before it asks the disk.
    fn open_unbuffered(&self, path: &str) -> io::Result<Arc<dyn DeviceFile>> {
        self.shared.open(Operation::OpenUnbuffered, path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.shared.enter(Operation::Rename, from)?;
        state.folder_exists(to)?;
        let inode = *state.seen.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.change(Change::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
            inode,
        });
        Ok(())
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        let mut state = self.shared.enter(Operation::Unlink, path)?;
        if state.seen.folders.contains(path) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let inode = *state.seen.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        state.change(Change::Unlink {
            path: path.to_owned(),
            inode,
        });
        Ok(())
    }

    fn mkdir(&self, path: &str) -> io::Result<()> {
        let mut state = self.shared.enter(Operation::MakeFolder, path)?;
        if !path.is_empty() && !state.seen.folders.contains(path) {
            state.folder_exists(path)?;
            state.change(Change::Folder {
                path: path.to_owned(),
            });
        }
        Ok(())
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        let state = self.shared.enter(Operation::ReadFolder, path)?;
        if state.faults.is_removed() {
            return Ok(Vec::new());
        }
        if state.seen.names.contains_key(path) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        if !path.is_empty() && !state.seen.folders.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(state.seen.children(path))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.shared.enter(Operation::SyncFolder, path)?;
        if !state.faults.is_removed() {
            state.sync(|change| change.touches_folder(path));
        }
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut state = self.shared.enter(Operation::SyncAll, "")?;
        if !state.faults.is_removed() {
            state.sync(|_| true);
        }
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.shared.enter(Operation::Space, "")?;
        if state.faults.is_removed() {
            return Ok(Space {
                total_bytes: UNLIMITED_BYTES,
                free_bytes: UNLIMITED_BYTES,
                total_inodes: 0,
                free_inodes: 0,
            });
        }
        let total_bytes = state.faults.limit_bytes.unwrap_or(UNLIMITED_BYTES);
        let total_inodes = state.faults.limit_inodes.unwrap_or(0);
        Ok(Space {
            total_bytes,
            free_bytes: total_bytes.saturating_sub(state.seen.used_bytes_without(0)),
            total_inodes,
            free_inodes: total_inodes.saturating_sub(state.seen.names.len() as u64),
        })
    }

    fn lock(&self, path: &str) -> io::Result<bool> {
        let mut state = self.shared.enter(Operation::Lock, path)?;
        let was_free = !state.locked;
        state.locked = true;
        Ok(was_free)
    }

    fn unlock(&self) {
        self.shared.lock().locked = false;
    }

    fn boot_id(&self) -> io::Result<String> {
        let state = self.shared.enter(Operation::BootId, "")?;
        Ok(format!("boot-{}", state.machine.boot()))
    }

    fn file_system(&self) -> io::Result<u64> {
        let state = self.shared.enter(Operation::FileSystem, "")?;
        Ok(if state.faults.is_removed() {
            FILE_SYSTEM_BELOW
        } else {
            state.file_system
        })
    }
}
