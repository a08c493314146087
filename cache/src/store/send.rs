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
use super::fetch::ShardSource;
use super::layout::TEMPORARY;
use super::reader::Object;
use super::shard::Shard;
use super::stripe::Piece;
use crate::ports::{Device, DeviceFile};
use rustix::fs::Advice;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

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
    /// These bytes must be read (and verified) first: [`Object::read`]. Nothing went out.
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
        let Some(core) = self.core.upgrade() else {
            return Sent::NotVerified;
        };
        let Some((shard, piece)) = self.resident_piece(&core, offset) else {
            return Sent::NotVerified;
        };
        let Some(file) = shard.file.descriptor() else {
            return Sent::NotVerified;
        };
        let unit = offset / UNIT_BYTES;
        let length = length.min(piece.bytes);
        let at = shard.data_start.saturating_add(piece.shard_offset);
        let is_known = self.marks.is_fresh(unit, core.clock.elapsed())
            && kernel::is_resident(file, at, length as u64).unwrap_or(false);
        if length == 0 || !is_known {
            return Sent::NotVerified;
        }
        let Ok(before) = kernel::blocks_read() else {
            return Sent::NotVerified;
        };
        let sent = send(file, at, length);
        if sent.as_ref().is_err_and(is_of_the_file) {
            // Nothing went out, and whoever reads may have it from other disks.
            self.marks.clear(unit);
            return Sent::NotVerified;
        }
        if kernel::blocks_read().is_ok_and(|after| after == before) {
            return outcome(sent);
        }
        self.marks.clear(unit);
        self.recheck(&core, shard, piece)
            .unwrap_or_else(|| outcome(sent))
    }

    /// The shard that has the byte at `offset`, if its disk can be observed, and what of the unit follows there.
    fn resident_piece(&self, core: &Core, offset: u64) -> Option<(&Arc<Shard>, Piece)> {
        let rest = UNIT_BYTES - offset % UNIT_BYTES;
        let piece = self.shards.map.pieces(offset, rest).next()?;
        if self.shards.is_bad(piece.index) {
            return None;
        }
        let slot = self.shards.disk(piece.index)?;
        let is_observed = core.array.get(slot).is_some_and(|disk| disk.is_resident());
        let shard = self.shards.opened(piece.index)?;
        is_observed.then_some((shard, piece))
    }

    /// The send read from the disk: what went out may not be what was verified. Blocks, for what was just read.
    fn recheck(&self, core: &Arc<Core>, shard: &Arc<Shard>, piece: Piece) -> Option<Sent> {
        let (start, end) = (piece.shard_offset, shard.name.data_bytes());
        let length = UNIT_BYTES.min(end.saturating_sub(start));
        if let Some(slot) = self
            .shards
            .disk(piece.index)
            .and_then(|slot| core.array.get(slot))
        {
            slot.stats.resend_checks.add(1);
        }
        let read = shard.read(start, usize::try_from(length).unwrap_or(usize::MAX));
        let fault = read.err()?;
        self.shards.set_bad(piece.index);
        if core.array.only().is_some() {
            core.judge(self.name(), piece.index, &fault);
            return Some(Sent::Corrupt);
        }
        // Other disks may have to be asked, and may take their time.
        let (judging, name) = (Arc::clone(core), *self.name());
        let judge = move || {
            judging.judge(&name, piece.index, &fault);
        };
        if let Err(error) = core.pool.try_submit(judge) {
            tracing::warn!(
                error = error.as_str(),
                "a damaged shard is judged when it is read again"
            );
        }
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

/// Whether only the file can have failed in this way, never the receiver: its disk is dying, or gone.
fn is_of_the_file(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::ENXIO | libc::ENODEV | libc::EUCLEAN | libc::EBADMSG | libc::ESTALE)
    )
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
