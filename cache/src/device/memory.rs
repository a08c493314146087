//! A disk in memory that can fail in every way a real one does: the double of the [`Device`] port.
//!
//! It keeps two images: what a process sees now, and what is surely on the platter. Between them lies the ordered
//! list of changes that no sync has covered yet. A kill keeps the first image; a power loss keeps the second plus a
//! seeded random subset of the changes, names and 4 KiB pages of data independently, because that is what file
//! systems were measured to do.
//!
//! Every call is counted. At a chosen call the device crashes: a write is torn in half, any other call does nothing,
//! and everything afterwards fails. A test loops over that number until its scenario runs through.

mod faults;
mod file;
mod image;

pub use faults::{Fault, Operation};

use crate::ports::{Device, DeviceFile, Space};
use faults::Faults;
use file::MemoryFile;
use image::{Change, Image};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Space reported when no limit was set: 1 TiB.
const UNLIMITED_BYTES: u64 = 1 << 40;

/// What a crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// The process died: every completed call counts.
    Kill,
    /// The machine died: synced data, and a random part of the rest.
    PowerLoss {
        /// Chooses the part.
        seed: u64,
    },
}

/// The double.
#[derive(Debug)]
pub struct MemoryDevice {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug)]
struct State {
    seen: Image,
    durable: Image,
    pending: Vec<Change>,
    next_inode: u64,
    faults: Faults,
    calls: u64,
    locked: bool,
    boot: u64,
}

impl MemoryDevice {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Image::default(), 1)
    }

    fn with(image: Image, boot: u64) -> Self {
        let state = State {
            next_inode: image.next_inode(),
            durable: image.clone(),
            seen: image,
            pending: Vec::new(),
            faults: Faults::default(),
            calls: 0,
            locked: false,
            boot,
        };
        let shared = Shared {
            state: Mutex::new(state),
            released: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.shared.lock().calls
    }

    /// Crashes at the `call`-th call from the start (the first one is 1).
    pub fn crash_at(&self, call: u64) {
        self.shared.lock().faults.crash_at = Some(call);
    }

    /// Whether the crash point was reached.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.shared.lock().faults.crashed
    }

    /// The disk as the next process finds it. The original is left as it is.
    #[must_use]
    pub fn surviving(&self, survival: Survival) -> Self {
        let state = self.shared.lock();
        match survival {
            Survival::Kill => Self {
                shared: Arc::new(Shared {
                    state: Mutex::new(State {
                        seen: state.seen.clone(),
                        durable: state.durable.clone(),
                        pending: state.pending.clone(),
                        next_inode: state.next_inode,
                        faults: Faults::default(),
                        calls: 0,
                        locked: false,
                        boot: state.boot,
                    }),
                    released: Condvar::new(),
                }),
            },
            Survival::PowerLoss { seed } => Self::with(
                state.durable.after_power_loss(&state.pending, seed),
                state.boot + 1,
            ),
        }
    }

    /// Paths of all files.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.shared.lock().seen.names.keys().cloned().collect()
    }

    /// Length of a file, bytes.
    #[must_use]
    pub fn file_length(&self, path: &str) -> Option<u64> {
        self.shared
            .lock()
            .seen
            .content(path)
            .map(|bytes| bytes.len() as u64)
    }

    /// Flips the lowest bit of one byte, in the page cache and on the platter. `false`: there is no such byte.
    pub fn flip(&self, path: &str, offset: u64) -> bool {
        let mut state = self.shared.lock();
        let flipped = state.seen.flip(path, offset);
        state.durable.flip(path, offset);
        flipped
    }

    /// Writes a file behind everybody's back.
    pub fn plant(&self, path: &str, bytes: &[u8]) {
        let mut state = self.shared.lock();
        let inode = state.new_inode();
        for image in [Which::Seen, Which::Durable] {
            let image = match image {
                Which::Seen => &mut state.seen,
                Which::Durable => &mut state.durable,
            };
            image.names.insert(path.to_owned(), inode);
            image.contents.insert(inode, bytes.to_vec());
        }
    }

    /// Bytes of a file.
    #[must_use]
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        self.shared.lock().seen.content(path).cloned()
    }

    /// From now on matching calls fail.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.lock().faults.rules.push(fault);
    }

    /// No faults any more (a crash stays a crash).
    pub fn clear_faults(&self) {
        self.shared.lock().faults.rules.clear();
    }

    /// The size of the disk, bytes.
    pub fn limit_bytes(&self, bytes: u64) {
        self.shared.lock().faults.limit_bytes = Some(bytes);
    }

    /// The number of inodes.
    pub fn limit_inodes(&self, inodes: u64) {
        self.shared.lock().faults.limit_inodes = Some(inodes);
    }

    /// As after `mount -o remount,ro`.
    pub fn remount_read_only(&self) {
        self.shared.lock().faults.read_only = true;
    }

    /// Calls of this kind hang until [`Self::release`].
    pub fn hold(&self, operation: Operation) {
        self.shared.lock().faults.held = Some(operation);
    }

    /// Lets hanging calls go on.
    pub fn release(&self) {
        self.shared.lock().faults.held = None;
        self.shared.released.notify_all();
    }
}

enum Which {
    Seen,
    Durable,
}

impl Default for MemoryDevice {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, waits while such calls hang, and decides whether it fails.
    fn enter(&self, operation: Operation, path: &str) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        state.calls += 1;
        while state.faults.held == Some(operation) {
            state = self
                .released
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let call = state.calls;
        state.faults.check(operation, path, call)?;
        Ok(state)
    }

    /// As [`Self::enter`], for an open file: faults match the name it has now.
    fn enter_file(&self, operation: Operation, inode: u64) -> io::Result<MutexGuard<'_, State>> {
        let path = self.lock().seen.path_of(inode).unwrap_or_default();
        self.enter(operation, &path)
    }
}

impl State {
    fn new_inode(&mut self) -> u64 {
        self.next_inode += 1;
        self.next_inode
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    /// Moves the changes that `covers` accepts to the platter, in order.
    fn sync(&mut self, covers: impl Fn(&Change) -> bool) {
        let (synced, rest): (Vec<_>, Vec<_>) = self.pending.drain(..).partition(covers);
        for change in synced {
            change.apply(&mut self.durable);
        }
        self.pending = rest;
    }

    fn room_for(&self, inode: u64, length: u64) -> io::Result<()> {
        let Some(limit) = self.faults.limit_bytes else {
            return Ok(());
        };
        let others = self.seen.used_bytes_without(inode);
        if others.saturating_add(length) > limit {
            Err(faults::no_space())
        } else {
            Ok(())
        }
    }

    fn folder_exists(&self, path: &str) -> io::Result<()> {
        let parent = image::parent(path);
        if parent.is_empty() || self.seen.folders.contains(parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
}

impl Device for MemoryDevice {
    fn name(&self) -> &'static str {
        "memory"
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
            return Err(faults::no_space());
        }
        let inode = state.new_inode();
        state.change(Change::Link {
            path: path.to_owned(),
            inode,
        });
        Ok(Arc::new(MemoryFile {
            shared: Arc::clone(&self.shared),
            inode,
        }))
    }

    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn DeviceFile>> {
        let operation = if write {
            Operation::OpenForWriting
        } else {
            Operation::Open
        };
        let state = self.shared.enter(operation, path)?;
        let inode = *state.seen.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile {
            shared: Arc::clone(&self.shared),
            inode,
        }))
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
        state.sync(|change| change.touches_folder(path));
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut state = self.shared.enter(Operation::SyncAll, "")?;
        state.sync(|_| true);
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.shared.enter(Operation::Space, "")?;
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
        Ok(format!(
            "boot-{}",
            self.shared.enter(Operation::BootId, "")?.boot
        ))
    }
}
