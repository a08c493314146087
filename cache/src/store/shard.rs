//! One committed file, open: everything that is checked before a byte of it is believed.
//!
//! Opening checks trailer, header and identity; a name proves nothing. Reading checks the blocks it touches. Knows
//! nothing of index or policy, so that recovery uses it as well as the running store.

use super::checksum::ShardIdentity;
use super::footer::{Footer, TRAILER_BYTES, Trailer};
use super::header::{HEADER_BYTES_MIN, Header};
use super::layout::ShardName;
use super::pool::note_progress;
use super::tlv::{FormatError, UnknownField};
use super::{BLOCK_BYTES, UNIT_BYTES};
use crate::object::{Digests, ObjectHead};
use crate::ports::{Device, DeviceFile};
use bytes::Bytes;
use std::io;
use std::sync::Arc;

/// Why a file or a part of it cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShardFault {
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Header or footer are not what was written, or of a version this one does not know.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The checksum of a block does not fit.
    #[error("block {0} does not fit its checksum")]
    Block(u64),
}

/// An open file whose frame was checked.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) name: ShardName,
    pub(crate) file: Arc<dyn DeviceFile>,
    pub(crate) data_start: u64,
    pub(crate) table: Vec<u64>,
}

/// A file that was just opened, and what it says of its object.
#[derive(Debug)]
pub(crate) struct OpenedShard {
    pub(crate) shard: Shard,
    pub(crate) head: ObjectHead,
    pub(crate) digests: Digests,
    /// XXH3-128 of the table of every shard, by index.
    pub(crate) table_digests: Vec<u128>,
    /// What the header says besides: the length that was known when it was written, and fields of a newer version.
    pub(crate) length_promised: Option<u64>,
    pub(crate) unknown: Vec<UnknownField>,
}

impl Shard {
    /// Opens and checks the frame: three or four small reads.
    pub(crate) fn open(
        device: &dyn Device,
        pool: [u8; 16],
        name: ShardName,
    ) -> Result<OpenedShard, ShardFault> {
        Self::of_file(device.open(&name.path(), false)?, pool, name)
    }

    /// As [`Self::open`], of a file that is open already.
    pub(crate) fn of_file(
        file: Arc<dyn DeviceFile>,
        pool: [u8; 16],
        name: ShardName,
    ) -> Result<OpenedShard, ShardFault> {
        let identity = name.identity();
        let header_bytes = read_header(file.as_ref())?;
        let data_start = header_bytes.len() as u64;
        let header = Header::decode(&header_bytes, identity)?;
        let footer = read_footer(file.as_ref(), identity, data_start)?;
        let fits = header.pool == pool
            && header.geometry == name.geometry
            && header.head.key.short() == name.slot.key
            && footer.length == name.data_bytes();
        if !fits {
            return Err(FormatError::Mismatch("name").into());
        }
        let (head, table, digests) = (header.head, footer.table, footer.digests);
        let table_digests = footer.table_digests;
        let (length_promised, unknown) = (header.length, header.unknown);
        let shard = Self {
            name,
            file,
            data_start,
            table,
        };
        Ok(OpenedShard {
            shard,
            head,
            digests,
            table_digests,
            length_promised,
            unknown,
        })
    }

    /// Reads the head alone: one or two small reads. Whether the rest is whole is not known then.
    pub(crate) fn read_head(
        device: &dyn Device,
        pool: [u8; 16],
        name: &ShardName,
    ) -> Result<ObjectHead, ShardFault> {
        let file = device.open(&name.path(), false)?;
        let identity = name.identity();
        let header = Header::decode(&read_header(file.as_ref())?, identity)?;
        let fits = header.pool == pool && header.head.key.short() == name.slot.key;
        if !fits {
            return Err(FormatError::Mismatch("name").into());
        }
        Ok(header.head)
    }

    /// Reads and verifies bytes; the range must lie inside the shard's data.
    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Bytes, ShardFault> {
        let identity = self.name.identity();
        let blocks = BlockRange::covering(offset, length, self.name.data_bytes())?;
        let sums = self.table.get(blocks.table_range()).ok_or_else(outside)?;
        blocks.read(self.file.as_ref(), self.data_start, identity, sums)
    }

    /// As [`Self::read`], without waiting for the disk; `None` when that is not possible, or not what was written.
    pub(crate) fn read_resident(&self, offset: u64, length: usize) -> Option<Bytes> {
        let identity = self.name.identity();
        let blocks = BlockRange::covering(offset, length, self.name.data_bytes()).ok()?;
        let sums = self.table.get(blocks.table_range())?;
        let mut bytes = blocks.buffer().ok()?;
        let at = self.data_start.saturating_add(blocks.start);
        let is_read = bytes.is_empty() || self.file.read_resident_at(&mut bytes, at);
        is_read.then(|| blocks.verified(bytes, identity, sums).ok())?
    }

    /// Reads and verifies all of it.
    pub(crate) fn verify_all(&self) -> Result<(), ShardFault> {
        let (mut offset, end) = (0, self.name.data_bytes());
        while offset < end {
            let length = UNIT_BYTES.min(end - offset);
            self.read(offset, usize::try_from(length).unwrap_or(usize::MAX))?;
            offset += length;
            note_progress();
        }
        Ok(())
    }
}

fn read_header(file: &dyn DeviceFile) -> Result<Vec<u8>, ShardFault> {
    let mut bytes = vec![0; usize::try_from(HEADER_BYTES_MIN).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    let claimed = Header::claimed_bytes(&bytes)?;
    if claimed > HEADER_BYTES_MIN {
        bytes = vec![0; usize::try_from(claimed).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
    }
    Ok(bytes)
}

fn read_footer(
    file: &dyn DeviceFile,
    identity: ShardIdentity,
    data_start: u64,
) -> Result<Footer, ShardFault> {
    let file_bytes = file.length()?;
    let end = file_bytes
        .checked_sub(TRAILER_BYTES)
        .ok_or(FormatError::Malformed("file length"))?;
    let mut last = [0; 64];
    file.read_exact_at(&mut last, end)?;
    let trailer = Trailer::decode(&last, identity, data_start, file_bytes)?;
    // The trailer's checksum fits, so its numbers are ours; the length of the footer follows from the file's.
    let length = end
        .checked_sub(trailer.start)
        .ok_or(FormatError::Malformed("file length"))?;
    let mut bytes =
        vec![0; usize::try_from(length).map_err(|_| FormatError::Malformed("file length"))?];
    file.read_exact_at(&mut bytes, trailer.start)?;
    Ok(Footer::decode(&bytes, &trailer)?)
}

/// Whole blocks around a range of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockRange {
    first: u64,
    last: u64,
    start: u64,
    end: u64,
    offset: u64,
    length: usize,
}

impl BlockRange {
    /// The blocks around `length` bytes at `offset` of a body of `total` bytes.
    pub(crate) fn covering(offset: u64, length: usize, total: u64) -> Result<Self, ShardFault> {
        let until = offset
            .checked_add(length as u64)
            .filter(|until| *until <= total)
            .ok_or_else(outside)?;
        let first = offset / BLOCK_BYTES;
        // One past the last block; equal to `first` when nothing is asked for.
        let last = if length == 0 {
            first
        } else {
            until.div_ceil(BLOCK_BYTES)
        };
        let start = first.saturating_mul(BLOCK_BYTES);
        let end = last
            .saturating_mul(BLOCK_BYTES)
            .min(total)
            .max(start.min(total));
        Ok(Self {
            first,
            last,
            start: start.min(total),
            end,
            offset,
            length,
        })
    }

    pub(crate) fn table_range(&self) -> std::ops::Range<usize> {
        let index = |block: u64| usize::try_from(block).unwrap_or(usize::MAX);
        index(self.first)..index(self.last)
    }

    /// Reads the blocks, and returns the bytes that were asked for when every block is what was written.
    pub(crate) fn read(
        &self,
        file: &dyn DeviceFile,
        data_start: u64,
        identity: ShardIdentity,
        sums: &[u64],
    ) -> Result<Bytes, ShardFault> {
        let mut bytes = self.buffer()?;
        if !bytes.is_empty() {
            file.read_exact_at(&mut bytes, data_start.saturating_add(self.start))?;
        }
        self.verified(bytes, identity, sums)
    }

    /// For the bytes of the blocks.
    fn buffer(&self) -> Result<Vec<u8>, ShardFault> {
        let size = match self.length {
            0 => 0,
            _ => usize::try_from(self.end - self.start).map_err(|_| outside())?,
        };
        Ok(vec![0; size])
    }

    /// Compares each block with its checksum, and returns the bytes that were asked for.
    fn verified(
        &self,
        bytes: Vec<u8>,
        identity: ShardIdentity,
        sums: &[u64],
    ) -> Result<Bytes, ShardFault> {
        if self.length == 0 {
            return Ok(Bytes::new());
        }
        if sums.len() as u64 != self.last - self.first {
            return Err(outside().into());
        }
        let block_bytes = usize::try_from(BLOCK_BYTES).unwrap_or(usize::MAX);
        for ((block, chunk), sum) in (self.first..).zip(bytes.chunks(block_bytes)).zip(sums) {
            if identity.checksum(block, chunk) != *sum {
                return Err(ShardFault::Block(block));
            }
        }
        let skip = usize::try_from(self.offset - self.start).map_err(|_| outside())?;
        let bytes = Bytes::from(bytes);
        let until = skip
            .checked_add(self.length)
            .filter(|until| *until <= bytes.len())
            .ok_or_else(outside)?;
        Ok(bytes.slice(skip..until))
    }
}

fn outside() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "range outside of the object")
}
