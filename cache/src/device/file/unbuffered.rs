//! Reading what is on the platter, not what the page cache remembers of it.
//!
//! A scrub that reads through the page cache finds the bytes that were written an hour ago, and finds them good. So the
//! file is opened with O_DIRECT: the kernel writes dirty pages of the range back first and then asks the disk. Where a
//! file system refuses that, at the open or only at the first read, pages are dropped before each read so that the
//! disk has to be asked, and after it so that a scrub does not push out what clients are being served from.
//!
//! Offsets and lengths are the caller's business, alignment is ours: reads go through an aligned buffer of at most
//! [`PIECE_BYTES`]. The end of a file is seldom aligned; there the kernel delivers what is left.
//!
//! It deliberately does not write and does not sync; a file opened here is an eye, not a hand.

use super::aligned::{ALIGNMENT_BYTES, AlignedBuffer};
use crate::ports::DeviceFile;
use rustix::fs::{Advice, OFlags};
use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The most that one system call reads, and so the most memory that one reader takes, bytes.
const PIECE_BYTES: usize = 1 << 20;

/// Pages are dropped in units of this, bytes: the kernel keeps a folio that is only partly in the range, and none is
/// larger than 2 MiB.
const DROP_BYTES: u64 = 2 << 20;

/// One file open for reading past the page cache.
#[derive(Debug)]
pub(super) struct UnbufferedFile {
    file: File,
    /// Cleared for good once the file system has refused.
    direct: AtomicBool,
}

impl UnbufferedFile {
    /// Opens with O_DIRECT, or without where that is refused.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(path);
        match opened {
            Ok(file) => Ok(Self {
                file,
                direct: AtomicBool::new(true),
            }),
            Err(error) if is_refusal(&error) => Ok(Self::past_the_cache(File::open(path)?)),
            Err(error) => Err(error),
        }
    }

    /// Over a file system without O_DIRECT.
    fn past_the_cache(file: File) -> Self {
        read_no_further_than_asked(&file);
        Self {
            file,
            direct: AtomicBool::new(false),
        }
    }

    /// From now on through the page cache; reads of other threads that are under way go on as they are.
    fn give_up_direct(&self) -> io::Result<()> {
        let flags = rustix::fs::fcntl_getfl(&self.file)?;
        rustix::fs::fcntl_setfl(&self.file, flags - OFlags::DIRECT)?;
        read_no_further_than_asked(&self.file);
        self.direct.store(false, Ordering::Release);
        Ok(())
    }

    /// Reads all of it with O_DIRECT; `UnexpectedEof` when the disk delivers less.
    fn read_direct(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let lead = remainder(offset);
        let wanted = lead.saturating_add(buffer.len());
        let mut aligned = AlignedBuffer::new(wanted.min(PIECE_BYTES));
        let mut rest = buffer;
        let mut position = offset;
        while !rest.is_empty() {
            let found = read_around(&self.file, &mut aligned, position, rest.len())?;
            if found.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (target, behind) = rest.split_at_mut(found.len());
            target.copy_from_slice(found);
            position = position.saturating_add(found.len() as u64);
            rest = behind;
        }
        Ok(())
    }

    /// Reads all of it through a page cache that was made to forget it.
    fn read_past_the_cache(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut position = offset;
        for piece in buffer.chunks_mut(PIECE_BYTES) {
            let length = piece.len() as u64;
            self.drop_pages(position, length);
            let read = self.file.read_exact_at(piece, position);
            self.drop_pages(position, length);
            read?;
            position = position.saturating_add(length);
        }
        Ok(())
    }

    /// Best effort: a file system that cannot drop pages has no other place for the bytes, or keeps them dirty.
    fn drop_pages(&self, offset: u64, length: u64) {
        let start = offset - offset % DROP_BYTES;
        let end = offset.saturating_add(length).div_ceil(DROP_BYTES);
        let length = end.saturating_mul(DROP_BYTES) - start;
        // Without O_DIRECT there is no other way, and the bytes are compared with their checksum in any case.
        rustix::fs::fadvise(&self.file, start, NonZeroU64::new(length), Advice::DontNeed).ok();
    }
}

impl DeviceFile for UnbufferedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if self.direct.load(Ordering::Acquire) {
            let end = offset.saturating_add(buffer.len() as u64);
            match self.read_direct(buffer, offset) {
                Err(error) if is_refusal(&error) => self.give_up_direct()?,
                // The end of the file, unless it is longer: then the other way has to say what is there.
                Err(error) if is_end(&error) && self.length()? >= end => self.give_up_direct()?,
                result => return result,
            }
        }
        self.read_past_the_cache(buffer, offset)
    }

    /// Never: what is resident is in the page cache, which is not asked.
    fn read_resident_at(&self, _: &mut [u8], _: u64) -> bool {
        false
    }

    fn write_all_at(&self, _: &[io::IoSlice<'_>], _: u64) -> io::Result<()> {
        Err(only_read())
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Err(only_read())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Err(only_read())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(only_read())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// None: sendfile would go through the page cache.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Reads the aligned blocks around `position` and returns what they hold from there on, at most `wanted` bytes and at
/// most a buffer full; nothing at the end of the file.
fn read_around<'a>(
    file: &File,
    aligned: &'a mut AlignedBuffer,
    position: u64,
    wanted: usize,
) -> io::Result<&'a [u8]> {
    let lead = remainder(position);
    let blocks = lead
        .saturating_add(wanted)
        .checked_next_multiple_of(ALIGNMENT_BYTES)
        .unwrap_or(usize::MAX)
        .min(aligned.bytes().len());
    let target = aligned.bytes_mut().get_mut(..blocks).unwrap_or_default();
    let read = loop {
        match file.read_at(target, position - lead as u64) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    let end = read.min(lead.saturating_add(wanted));
    Ok(aligned.bytes().get(lead..end).unwrap_or_default())
}

/// How far `offset` is from the block that it lies in.
fn remainder(offset: u64) -> usize {
    // Smaller than the alignment, so it fits.
    usize::try_from(offset % ALIGNMENT_BYTES as u64).unwrap_or(0)
}

/// Readahead would bring in pages that nobody drops again.
fn read_no_further_than_asked(file: &File) {
    // A file system that takes no advice reads ahead: that costs a few pages of the cache and nothing else.
    rustix::fs::fadvise(file, 0, None, Advice::Random).ok();
}

/// How the kernel says that a file system has no O_DIRECT, or not with this alignment.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP))
}

fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

fn only_read() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "opened for reading what is on the platter only",
    )
}

#[cfg(test)]
mod tests;
