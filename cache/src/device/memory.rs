//! A disk in memory that can fail in every way a real one does: the double of the [`Device`] port.
//!
//! It keeps two images: what a process sees now, and what is surely on the platter. Between them lies the ordered
//! list of changes that no sync has covered yet. A kill keeps the first image; a power loss keeps the second plus a
//! seeded random subset of the changes, names and 4 KiB pages of data independently, because that is what file
//! systems were measured to do.
//!
//! Every call is counted. At a chosen call the machine crashes: a write is torn in half, any other call does nothing,
//! and everything afterwards fails. A test loops over that number until its scenario runs through. The disks of a
//! [group](MemoryDevice::group) count together and crash together.
//!
//! Besides that a disk can hang, vanish, die, rot and fill up; see the functions. What a test looks at
//! ([`MemoryDevice::bytes`] and its kin) and what it damages is no call: it is not counted and never hangs.

mod damage;
mod device;
mod faults;
mod file;
mod hang;
mod image;
mod machine;

pub use faults::{Fault, Operation};

use faults::{By, Fate, Faults};
use hang::Hang;
use image::{Change, Image};
use machine::Machine;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Every new disk is a file system of its own; 0 is the one below a mount point.
static NEXT_FILE_SYSTEM: AtomicU64 = AtomicU64::new(1);

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
    name: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Hanging calls wait for it.
    released: Condvar,
    /// Tests wait for it: one more call hangs.
    stuck: Condvar,
}

#[derive(Debug)]
struct State {
    machine: Arc<Machine>,
    file_system: u64,
    seen: Image,
    durable: Image,
    pending: Vec<Change>,
    next_inode: u64,
    faults: Faults,
    hang: Hang,
    locked: bool,
}

impl MemoryDevice {
    /// An empty disk in a machine of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::empty("memory".to_owned(), Arc::new(Machine::new(1)))
    }

    /// So many empty disks of one machine: they count calls together, and a crash takes all of them.
    #[must_use]
    pub fn group(count: usize) -> Vec<Arc<Self>> {
        let machine = Arc::new(Machine::new(1));
        (0..count)
            .map(|number| {
                Arc::new(Self::empty(
                    format!("memory-{number}"),
                    Arc::clone(&machine),
                ))
            })
            .collect()
    }

    /// One more empty disk of the same machine: a replacement, say.
    #[must_use]
    pub fn another(&self, name: &str) -> Arc<Self> {
        let machine = Arc::clone(&self.shared.lock().machine);
        Arc::new(Self::empty(name.to_owned(), machine))
    }

    fn empty(name: String, machine: Arc<Machine>) -> Self {
        let file_system = NEXT_FILE_SYSTEM.fetch_add(1, Ordering::Relaxed);
        let state = State::with(machine, file_system, Image::default());
        Self::holding(name, state)
    }

    fn holding(name: String, state: State) -> Self {
        let shared = Shared {
            state: Mutex::new(state),
            released: Condvar::new(),
            stuck: Condvar::new(),
        };
        Self {
            name,
            shared: Arc::new(shared),
        }
    }

    /// Calls so far, of all disks of the machine.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.machine().calls()
    }

    /// The machine crashes at its `call`-th call from the start (the first one is 1), or at the next one if that has
    /// been.
    pub fn crash_at(&self, call: u64) {
        self.machine().crash_at(call);
    }

    /// Whether the crash point was reached.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.machine().has_crashed()
    }

    fn machine(&self) -> Arc<Machine> {
        Arc::clone(&self.shared.lock().machine)
    }

    /// The number that [`Device::file_system`](crate::ports::Device::file_system) answers with: that of another disk
    /// for two folders on one file system.
    pub fn set_file_system(&self, number: u64) {
        self.shared.lock().file_system = number;
    }

    /// The disk as the next process finds it, in a machine of its own and without its faults and limits. The original
    /// is left as it is.
    #[must_use]
    pub fn surviving(&self, survival: Survival) -> Self {
        let state = self.shared.lock();
        let machine = Arc::new(state.machine.after(survival));
        Self::holding(self.name.clone(), state.surviving(survival, machine))
    }

    /// The disks as the next process finds them, all at the same instant: one machine again, without faults and
    /// limits. A power loss takes something else from each disk.
    ///
    /// The boot is that of the first disk's machine; a disk of another machine moves into this one.
    #[must_use]
    pub fn survivors(disks: &[Arc<Self>], survival: Survival) -> Vec<Arc<Self>> {
        // All of them are stopped before the first one is copied. Nobody else holds two.
        let states: Vec<_> = disks.iter().map(|disk| disk.shared.lock()).collect();
        let Some(first) = states.first() else {
            return Vec::new();
        };
        let machine = Arc::new(first.machine.after(survival));
        let copies = disks.iter().zip(&states).enumerate();
        copies
            .map(|(number, (disk, state))| {
                let state = state.surviving(survival.of(number), Arc::clone(&machine));
                Arc::new(Self::holding(disk.name.clone(), state))
            })
            .collect()
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

    /// Bytes of a file.
    #[must_use]
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        self.shared.lock().seen.content(path).cloned()
    }
}

impl Default for MemoryDevice {
    fn default() -> Self {
        Self::new()
    }
}

impl Survival {
    /// What it means for the `number`-th disk.
    fn of(self, number: usize) -> Self {
        match self {
            Self::Kill => Self::Kill,
            Self::PowerLoss { seed } => Self::PowerLoss {
                seed: image::seed_of(seed, number),
            },
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, waits while such calls hang, and decides whether it fails.
    fn enter(&self, operation: Operation, path: &str) -> io::Result<MutexGuard<'_, State>> {
        let (mut state, call) = self.admit(operation);
        let pulse = state.machine.pulse(call);
        state.faults.check(operation, By::Path(path), pulse)?;
        Ok(state)
    }

    /// As [`Self::enter`], for an open file: faults match the name it has now.
    fn enter_file(&self, operation: Operation, inode: u64) -> io::Result<MutexGuard<'_, State>> {
        Ok(self.enter_with_fate(operation, inode)?.0)
    }

    /// As [`Self::enter_file`], for the one call that may do something else than it says.
    fn enter_write(&self, inode: u64) -> io::Result<(MutexGuard<'_, State>, Fate)> {
        self.enter_with_fate(Operation::Write, inode)
    }

    fn enter_with_fate(
        &self,
        operation: Operation,
        inode: u64,
    ) -> io::Result<(MutexGuard<'_, State>, Fate)> {
        let (mut state, call) = self.admit(operation);
        let pulse = state.machine.pulse(call);
        let path = state.seen.path_of(inode).unwrap_or_default();
        let fate = state.faults.check(operation, By::File(&path), pulse)?;
        Ok((state, fate))
    }
}

impl State {
    fn with(machine: Arc<Machine>, file_system: u64, image: Image) -> Self {
        Self {
            machine,
            file_system,
            next_inode: image.next_inode(),
            durable: image.clone(),
            seen: image,
            pending: Vec::new(),
            faults: Faults::default(),
            hang: Hang::default(),
            locked: false,
        }
    }

    fn surviving(&self, survival: Survival, machine: Arc<Machine>) -> Self {
        match survival {
            Survival::Kill => Self {
                seen: self.seen.clone(),
                durable: self.durable.clone(),
                pending: self.pending.clone(),
                next_inode: self.next_inode,
                ..Self::with(machine, self.file_system, Image::default())
            },
            Survival::PowerLoss { seed } => {
                let image = self.durable.after_power_loss(&self.pending, seed);
                Self::with(machine, self.file_system, image)
            }
        }
    }

    fn new_inode(&mut self) -> u64 {
        self.next_inode += 1;
        self.next_inode
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    /// The length of a write without its bytes.
    fn lengthen(&mut self, inode: u64, length: u64) {
        if self.seen.length(inode) < length {
            self.change(Change::SetLength { inode, length });
        }
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

#[cfg(test)]
mod tests;
