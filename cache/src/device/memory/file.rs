//! The files of a memory disk.

use super::Shared;
use super::faults::{Fate, Operation, crashed};
use super::image::{Change, range};
use crate::ports::DeviceFile;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// One open file; stays usable after its name is gone.
#[derive(Debug)]
pub(super) struct MemoryFile {
    pub(super) shared: Arc<Shared>,
    pub(super) inode: u64,
}

impl DeviceFile for MemoryFile {
    /// Never: what the crash tests count are the reads that may fail.
    fn read_resident_at(&self, _: &mut [u8], _: u64) -> bool {
        false
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.shared.enter_file(Operation::Read, self.inode)?;
        let bytes = state
            .seen
            .contents
            .get(&self.inode)
            .map_or(&[][..], Vec::as_slice);
        let found = range(offset, buffer.len())
            .and_then(|range| bytes.get(range))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(found);
        Ok(())
    }

    fn write_all_at(&self, buffers: &[io::IoSlice<'_>], offset: u64) -> io::Result<()> {
        let (mut state, fate) = self.shared.enter_write(self.inode)?;
        let mut bytes = Vec::new();
        for part in buffers {
            bytes.extend_from_slice(part);
        }
        if fate == Fate::Torn {
            bytes.truncate(bytes.len() / 2);
        }
        let end = offset.saturating_add(bytes.len() as u64);
        let length = state.seen.stored_bytes(self.inode).max(end);
        state.room_for(self.inode, length)?;
        if fate == Fate::Lost {
            state.lengthen(self.inode, end);
        } else {
            state.change(Change::Write {
                inode: self.inode,
                offset,
                bytes,
            });
        }
        match fate {
            Fate::Torn => Err(crashed()),
            Fate::Whole | Fate::Lost => Ok(()),
        }
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut state = self.shared.enter_file(Operation::Allocate, self.inode)?;
        state.room_for(self.inode, length)?;
        state.seen.reserved.insert(self.inode, length);
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.shared.enter_file(Operation::Truncate, self.inode)?;
        state.change(Change::SetLength {
            inode: self.inode,
            length,
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.shared.enter_file(Operation::SyncData, self.inode)?;
        state.sync(|change| change.is_data_of(self.inode));
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        let state = self.shared.enter_file(Operation::Length, self.inode)?;
        Ok(state.seen.length(self.inode))
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
