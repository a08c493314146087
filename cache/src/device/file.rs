//! One disk as a folder of the file system.
//!
//! Thin on purpose: every method is one or two system calls, so that the crash tests on the memory double say
//! something about this one. Paths come from the store's own layout code and never from the network; they are still
//! checked for `..` and absolute paths, because a mistake there would write outside of the folder.
//!
//! Reading past the page cache has a room of its own, [`unbuffered`].

mod aligned;
mod unbuffered;

use crate::ports::{Device, DeviceFile, Space};
use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::ReadWriteFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use unbuffered::UnbufferedFile;

/// Linux takes at most this many buffers in one pwritev (`IOV_MAX`).
const BUFFERS_PER_WRITE: usize = 1024;

/// A folder.
#[derive(Debug)]
pub struct FileDevice {
    root: PathBuf,
    name: String,
    owner: Mutex<Option<File>>,
}

impl FileDevice {
    /// Names the folder; touches nothing yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let name = root.display().to_string();
        Self {
            root,
            name,
            owner: Mutex::new(None),
        }
    }

    fn resolve(&self, path: &str) -> io::Result<PathBuf> {
        let relative = Path::new(path);
        let inside = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "path leaves the folder",
            ));
        }
        Ok(if path.is_empty() {
            self.root.clone()
        } else {
            self.root.join(relative)
        })
    }
}

impl Device for FileDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DeviceFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.resolve(path)?)?;
        Ok(Arc::new(FileOnDisk { file }))
    }

    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn DeviceFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(write)
            .open(self.resolve(path)?)?;
        Ok(Arc::new(FileOnDisk { file }))
    }

    fn open_unbuffered(&self, path: &str) -> io::Result<Arc<dyn DeviceFile>> {
        Ok(Arc::new(UnbufferedFile::open(&self.resolve(path)?)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.resolve(from)?, self.resolve(to)?)
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.resolve(path)?)
    }

    fn mkdir(&self, path: &str) -> io::Result<()> {
        let folder = self.resolve(path)?;
        if path.is_empty() {
            return std::fs::create_dir_all(folder);
        }
        // One level only: below a mount point whose disk is gone there is nothing, and nothing is to come into being.
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
            other => other,
        }
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.resolve(path)?)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        File::open(self.resolve(path)?)?.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(&self.root)?)?)
    }

    fn space(&self) -> io::Result<Space> {
        let fs = rustix::fs::statvfs(&self.root)?;
        Ok(Space {
            total_bytes: fs.f_blocks.saturating_mul(fs.f_frsize),
            free_bytes: fs.f_bavail.saturating_mul(fs.f_frsize),
            total_inodes: fs.f_files,
            free_inodes: fs.f_favail,
        })
    }

    fn lock(&self, path: &str) -> io::Result<bool> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.resolve(path)?)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                *self.owner.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
                Ok(true)
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn unlock(&self) {
        // Closing the last descriptor releases a flock.
        self.owner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    fn boot_id(&self) -> io::Result<String> {
        Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?
            .trim()
            .to_owned())
    }

    fn file_system(&self) -> io::Result<u64> {
        Ok(std::fs::metadata(&self.root)?.dev())
    }
}

/// One open file.
#[derive(Debug)]
struct FileOnDisk {
    file: File,
}

impl DeviceFile for FileOnDisk {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> bool {
        let wanted = buffer.len();
        let mut buffers = [IoSliceMut::new(buffer)];
        // Where a file system does not know the flag it says so, and the answer is the same.
        let read = rustix::io::preadv2(&self.file, &mut buffers, offset, ReadWriteFlags::NOWAIT);
        read == Ok(wanted)
    }

    fn write_all_at(&self, buffers: &[io::IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut offset = offset;
        for group in buffers.chunks(BUFFERS_PER_WRITE) {
            offset = write_group(&self.file, group, offset)?;
        }
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        // The size stays what was written: a footer is found from the end of the file.
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, length) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

/// Writes one group with pwritev and whatever the kernel left over piece by piece; returns the offset behind it.
fn write_group(file: &File, group: &[io::IoSlice<'_>], offset: u64) -> io::Result<u64> {
    let mut done = loop {
        match rustix::io::pwritev(file, group, offset) {
            Ok(bytes) => break bytes,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let mut position = offset;
    for buffer in group {
        let skip = done.min(buffer.len());
        done -= skip;
        if let Some(rest) = buffer.get(skip..).filter(|rest| !rest.is_empty()) {
            file.write_all_at(rest, position.saturating_add(skip as u64))?;
        }
        position = position.saturating_add(buffer.len() as u64);
    }
    Ok(position)
}
