//! Verified bytes at the price of sendfile (`verify = "resident"`).
//!
//! A range goes out without being read again only if all three hold:
//! 1. this process verified its unit less than [`VERIFY_INTERVAL`](super::marks::VERIFY_INTERVAL) ago;
//! 2. cachestat(2) shows every page of it in the page cache;
//! 3. this thread's count of blocks read from disk (`ru_inblock`) is the same before and after the send.
//!
//! Residency is not identity: a page can be evicted and read back between 1 and 2, hence the bounded interval; and
//! between 2 and the send, hence 3. If the count rose, the unit's mark is cleared and the unit is read and verified
//! right there; when it does not fit, the caller must abort the connection, so that no complete response carries an
//! unverified byte.
//!
//! Whether the three can be trusted is probed on the disk itself at every start. Where not, everything is read and
//! verified each time.

mod kernel;

use super::UNIT_BYTES;
use super::core::Core;
use super::layout::TEMPORARY;
use super::reader::Object;
use crate::ports::{Device, DeviceFile};
use rustix::fs::Advice;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

/// File systems whose pages are not the disk's, or whose reads are not counted: FUSE, NFS, CIFS, SMB2, 9p, Ceph, tmpfs.
const REMOTE_FILE_SYSTEMS: [u64; 7] = [
    0x6573_5546,
    0x6969,
    0xFF53_4D42,
    0xFE53_4D42,
    0x0102_1997,
    0x00C3_6400,
    0x0102_1994,
];
/// Bytes of the probe file: more than any block, less than a readahead window matters.
const PROBE_BYTES: usize = 256 * 1024;

/// What became of an attempt to send stored bytes without copying them.
#[derive(Debug)]
pub enum Sent {
    /// So many bytes went out of a verified, resident range.
    Bytes(usize),
    /// The receiver cannot take more now.
    WouldBlock,
    /// These bytes must be read (and verified) first: [`Object::read`].
    NotVerified,
    /// What was just sent is not what was stored: the connection must be aborted. The object has been dropped.
    Corrupt,
    /// The receiver failed.
    Failed(io::Error),
}

impl Object {
    /// Sends from a verified, resident range without blocking the caller. `send(file, file_offset, length)` is called
    /// at most once with a length up to `length` that stays inside one unit; it does the sendfile.
    pub fn send(
        &self,
        offset: u64,
        length: usize,
        send: impl FnOnce(BorrowedFd<'_>, u64, usize) -> io::Result<usize>,
    ) -> Sent {
        let Some(core) = self.core.upgrade().filter(|core| core.resident) else {
            return Sent::NotVerified;
        };
        let Some(file) = self.shard.file.descriptor() else {
            return Sent::NotVerified;
        };
        let unit = offset / UNIT_BYTES;
        let end = self
            .length()
            .min(unit.saturating_add(1).saturating_mul(UNIT_BYTES));
        let length = length.min(usize::try_from(end.saturating_sub(offset)).unwrap_or(0));
        let at = self.shard.data_start.saturating_add(offset);
        let is_known = self.marks.is_fresh(unit, core.clock.elapsed())
            && kernel::is_resident(file, at, length as u64).unwrap_or(false);
        if length == 0 || !is_known {
            return Sent::NotVerified;
        }
        let Ok(before) = kernel::blocks_read() else {
            return Sent::NotVerified;
        };
        let sent = send(file, at, length);
        if kernel::blocks_read().is_ok_and(|after| after == before) {
            return outcome(sent);
        }
        self.recheck(&core, unit).unwrap_or_else(|| outcome(sent))
    }

    /// The send read from the disk: what went out may not be what was verified. Blocks, for the one unit that was just
    /// read.
    fn recheck(&self, core: &Core, unit: u64) -> Option<Sent> {
        self.marks.clear(unit);
        core.disk().resend_checks.add(1);
        let start = unit.saturating_mul(UNIT_BYTES);
        let length = UNIT_BYTES.min(self.length().saturating_sub(start));
        let fault = self
            .shard
            .read(start, usize::try_from(length).unwrap_or(usize::MAX))
            .err()?;
        core.judge(&self.shard.name, &fault);
        Some(Sent::Corrupt)
    }
}

fn outcome(sent: io::Result<usize>) -> Sent {
    match sent {
        Ok(bytes) => Sent::Bytes(bytes),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Sent::WouldBlock,
        Err(error) => Sent::Failed(error),
    }
}

/// Turns the kernel's own readahead off on an object's file: what it fetched would be resident and never verified.
pub(super) fn prepare(file: &dyn DeviceFile) {
    if let Some(descriptor) = file.descriptor() {
        // Advice only: without it the third condition still holds.
        rustix::fs::fadvise(descriptor, 0, None, Advice::Random).ok();
    }
}

/// Whether residency and disk reads can be observed on this disk; the reason if not. Pool only.
pub(super) fn probe(device: &dyn Device) -> Result<(), String> {
    let path = format!("{TEMPORARY}/probe");
    let probed = device
        .create(&path)
        .map_err(|error| error.to_string())
        .and_then(|file| {
            let removed = device.unlink(&path);
            removed
                .map_err(|error| error.to_string())
                .and_then(|()| observe(file.as_ref()))
        });
    probed.map_err(|reason| format!("cannot observe the page cache: {reason}"))
}

fn observe(file: &dyn DeviceFile) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let descriptor = file.descriptor().ok_or("no file descriptor")?;
    let kind = rustix::fs::fstatfs(descriptor)
        .map_err(|error| error.to_string())?
        .f_type;
    if u64::try_from(kind).is_ok_and(|kind| REMOTE_FILE_SYSTEMS.contains(&(kind & 0xFFFF_FFFF))) {
        return Err("network, FUSE or memory file system".to_owned());
    }
    let mut bytes = vec![7; PROBE_BYTES];
    file.write_all_at(&[IoSlice::new(&bytes)], 0)
        .map_err(text)?;
    file.sync_data().map_err(text)?;
    if !kernel::is_resident(descriptor, 0, PROBE_BYTES as u64).map_err(text)? {
        return Err("written pages are not resident".to_owned());
    }
    rustix::fs::fadvise(descriptor, 0, None, Advice::DontNeed)
        .map_err(|error| error.to_string())?;
    if kernel::is_resident(descriptor, 0, PROBE_BYTES as u64).map_err(text)? {
        return Err("dropped pages stay resident".to_owned());
    }
    let before = kernel::blocks_read().map_err(text)?;
    file.read_exact_at(&mut bytes, 0).map_err(text)?;
    if kernel::blocks_read().map_err(text)? == before {
        return Err("reads from the disk are not counted".to_owned());
    }
    Ok(())
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
