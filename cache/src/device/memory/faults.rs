//! What goes wrong on a memory disk, and when.

use std::io;

/// Kinds of calls; faults and hangs choose by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the calls of the port")]
pub enum Operation {
    Create,
    Open,
    OpenForWriting,
    Rename,
    Unlink,
    MakeFolder,
    ReadFolder,
    SyncFolder,
    SyncAll,
    Space,
    Lock,
    BootId,
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

/// All faults of a disk.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) crash_at: Option<u64>,
    pub(super) crashed: bool,
    pub(super) rules: Vec<Fault>,
    pub(super) limit_bytes: Option<u64>,
    pub(super) limit_inodes: Option<u64>,
    pub(super) read_only: bool,
    pub(super) held: Option<Operation>,
}

impl Faults {
    /// Decides the fate of one call. A write at the crash point is let through: it tears itself in half.
    pub(super) fn check(&mut self, operation: Operation, path: &str, call: u64) -> io::Result<()> {
        if self.crashed {
            return Err(crashed());
        }
        if self.crash_at == Some(call) {
            self.crashed = true;
            return if operation == Operation::Write {
                Ok(())
            } else {
                Err(crashed())
            };
        }
        if self.read_only && operation.changes_something() {
            return Err(io::Error::from_raw_os_error(libc::EROFS));
        }
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
}

pub(super) fn crashed() -> io::Error {
    io::Error::other("crashed")
}

pub(super) fn no_space() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}
