//! One file of the log on one disk, as a whole: read as far as it can be, and written so that it is there or not.
//!
//! ```text
//! tmp/<sequence>.lg: create → write → fdatasync → rename to log/ → fsync of log/
//! ```
//! The folder tmp/ is emptied at every start, so what a crash leaves there is nobody's.

use super::super::SEGMENT_BYTES_MAX;
use super::super::segment;
use crate::object::Sequence;
use crate::ports::{Device, DeviceFile};
use crate::store::layout::TEMPORARY;
use std::io::{self, IoSlice};

/// Read at once where a whole file cannot be, bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that cannot be read, before the file is given up.
const BAD_PIECES_MAX: u32 = 64;

/// The bytes of a file; `None` where there is none. What cannot be read of it is zeros, which are no record.
pub(in crate::store::log) fn read_copy(
    device: &dyn Device,
    log: Sequence,
) -> io::Result<Option<Vec<u8>>> {
    let file = match device.open(&segment::path(log), false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let length = file.length()?;
    if length > SEGMENT_BYTES_MAX.saturating_mul(2) {
        let reason = "larger than any log file";
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    read_pieces(file.as_ref(), length).map(Some)
}

/// As [`read_copy`], of an open file of at least so many bytes.
pub(super) fn read_pieces(file: &dyn DeviceFile, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    if file.read_exact_at(&mut bytes, 0).is_ok() {
        return Ok(bytes);
    }
    let mut bad_pieces = 0;
    let mut offset = 0_u64;
    for piece in bytes.chunks_mut(PIECE_BYTES) {
        if let Err(error) = file.read_exact_at(piece, offset) {
            piece.fill(0);
            bad_pieces += 1;
            if bad_pieces > BAD_PIECES_MAX {
                return Err(error);
            }
        }
        offset = offset.saturating_add(piece.len() as u64);
    }
    Ok(bytes)
}

/// Puts a file into log/, in place of the one that is there.
pub(in crate::store::log) fn write_copy(
    device: &dyn Device,
    log: Sequence,
    bytes: &[u8],
) -> io::Result<()> {
    let temporary = format!("{TEMPORARY}/{}", segment::file_name(log));
    device.mkdir(TEMPORARY)?;
    device.mkdir(segment::LOG)?;
    unlink_if_there(device, &temporary)?;
    let written = device.create(&temporary).and_then(|file| {
        file.write_all_at(&[IoSlice::new(bytes)], 0)?;
        file.sync_data()
    });
    let placed = written.and_then(|()| device.rename(&temporary, &segment::path(log)));
    if let Err(error) = placed {
        if let Err(error) = unlink_if_there(device, &temporary) {
            tracing::debug!(disk = device.name(), %error, "a temporary file stays until the next start");
        }
        return Err(error);
    }
    device.sync_dir(segment::LOG)
}

/// Removes whatever is in log/, which is there afterwards.
pub(super) fn empty(device: &dyn Device) -> io::Result<()> {
    device.mkdir(segment::LOG)?;
    device.sync_dir("")?;
    for name in device.read_dir(segment::LOG)? {
        unlink_if_there(device, &format!("{}/{name}", segment::LOG))?;
    }
    device.sync_dir(segment::LOG)
}

fn unlink_if_there(device: &dyn Device, path: &str) -> io::Result<()> {
    match device.unlink(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
