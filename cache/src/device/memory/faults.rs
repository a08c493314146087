//! What goes wrong on a memory disk, and when.
//!
//! One call meets at most one of these, in this order: the crash, the disk that is gone or dead, the read-only file
//! system, the rules of the test. Limits of space are the business of the calls that take space.

use super::MemoryDevice;
use super::machine::Pulse;
use std::io;

/// Kinds of calls; faults and hangs choose by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the calls of the port")]
pub enum Operation {
    Create,
    Open,
    OpenForWriting,
    OpenUnbuffered,
    Rename,
    Unlink,
    MakeFolder,
    ReadFolder,
    SyncFolder,
    SyncAll,
    Space,
    Lock,
    BootId,
    FileSystem,
    Read,
    Write,
    Allocate,
    Truncate,
    SyncData,
    Length,
}

impl Operation {
    /// Refused on a read-only file system.
    fn changes_something(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::OpenForWriting
                | Self::Rename
                | Self::Unlink
                | Self::MakeFolder
                | Self::Write
                | Self::Allocate
                | Self::Truncate
        )
    }
}

/// Calls of one kind on some paths fail with an error of the system.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Which calls.
    pub operation: Operation,
    /// Paths that contain this; empty: all.
    pub path_contains: String,
    /// `libc::EIO` and its kin.
    pub errno: i32,
    /// So many calls fail, then none does.
    pub times: u64,
}

/// Whether the disk answers at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Presence {
    #[default]
    Present,
    /// Unmounted, lazily.
    Removed,
    /// It answers with errors.
    Dead,
}

/// How a call gets at its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By<'a> {
    Path(&'a str),
    /// An open file; its name is what rules match.
    File(&'a str),
}

/// What becomes of a call that is not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Whole,
    /// A write at the crash point: half of it, and then nothing works any more.
    Torn,
    /// A write that is acknowledged and never happens.
    Lost,
}

/// All faults of a disk.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<Fault>,
    pub(super) limit_bytes: Option<u64>,
    pub(super) limit_inodes: Option<u64>,
    read_only: bool,
    presence: Presence,
    /// One write to a path that contains this is lost, for each entry.
    phantom_writes: Vec<String>,
}

impl MemoryDevice {
    /// From now on matching calls fail.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.lock().faults.rules.push(fault);
    }

    /// No faults and no lost writes any more (a crash stays a crash, and a disk that is gone stays gone).
    pub fn clear_faults(&self) {
        let mut state = self.shared.lock();
        state.faults.rules.clear();
        state.faults.phantom_writes.clear();
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

    /// The disk is unmounted lazily, and its folder is the empty one below: every path is ENOENT, the folder itself is
    /// empty, and syncs, space and the number of the file system are those of another file system and say nothing of
    /// this disk. Open files go on working.
    pub fn remove(&self) {
        self.shared.lock().faults.presence = Presence::Removed;
    }

    /// The disk is dead: every call fails with EIO, on open files too.
    pub fn die(&self) {
        self.shared.lock().faults.presence = Presence::Dead;
    }

    /// Undoes [`Self::remove`] and [`Self::die`]; everything is as it was.
    pub fn restore(&self) {
        self.shared.lock().faults.presence = Presence::Present;
    }

    /// The next write to a file whose path contains this is acknowledged and dropped: the file gets its length, and
    /// the platter keeps what was there (zeros where nothing was). Call it twice for two writes.
    pub fn phantom_write(&self, path_contains: &str) {
        let mut state = self.shared.lock();
        state.faults.phantom_writes.push(path_contains.to_owned());
    }
}

impl Faults {
    /// Whether paths lead to the file system below.
    pub(super) fn is_removed(&self) -> bool {
        self.presence == Presence::Removed
    }

    /// Decides the fate of one call. A write at the crash point is let through: it tears itself in half.
    pub(super) fn check(
        &mut self,
        operation: Operation,
        by: By<'_>,
        pulse: Pulse,
    ) -> io::Result<Fate> {
        match pulse {
            Pulse::Alive => {}
            Pulse::Crashes if operation == Operation::Write => return Ok(Fate::Torn),
            Pulse::Crashes | Pulse::Crashed => return Err(crashed()),
        }
        self.check_presence(operation, by)?;
        if self.read_only && operation.changes_something() {
            return Err(io::Error::from_raw_os_error(libc::EROFS));
        }
        let (By::Path(path) | By::File(path)) = by;
        self.check_rules(operation, path)?;
        Ok(self.write_fate(operation, path))
    }

    fn check_presence(&self, operation: Operation, by: By<'_>) -> io::Result<()> {
        match (self.presence, by) {
            // The machine answers this one, not the disk.
            _ if operation == Operation::BootId => Ok(()),
            (Presence::Dead, _) => Err(io::Error::from_raw_os_error(libc::EIO)),
            (Presence::Removed, By::Path(path)) if !path.is_empty() => {
                Err(io::Error::from_raw_os_error(libc::ENOENT))
            }
            (Presence::Present | Presence::Removed, _) => Ok(()),
        }
    }

    fn check_rules(&mut self, operation: Operation, path: &str) -> io::Result<()> {
        let rule = self.rules.iter_mut().find(|rule| {
            rule.times > 0 && rule.operation == operation && path.contains(&rule.path_contains)
        });
        match rule {
            Some(rule) => {
                rule.times -= 1;
                Err(io::Error::from_raw_os_error(rule.errno))
            }
            None => Ok(()),
        }
    }

    fn write_fate(&mut self, operation: Operation, path: &str) -> Fate {
        if operation != Operation::Write {
            return Fate::Whole;
        }
        let lost = self
            .phantom_writes
            .iter()
            .position(|part| path.contains(part.as_str()));
        match lost {
            Some(at) => {
                self.phantom_writes.remove(at);
                Fate::Lost
            }
            None => Fate::Whole,
        }
    }
}

pub(super) fn crashed() -> io::Error {
    io::Error::other("crashed")
}

pub(super) fn no_space() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}
