//! One record of the log: its frame, and finding records in bytes that may be damaged.
//!
//! ```text
//! 0   8  XXH3-64 of the rest of the record, seeded as block <offset in the file> of shard 255 of the log's sequence
//! 8   4  magic "WREC"
//! 12  2  kind, u16 LE; bit 15 set: a reader may not know it
//! 14  2  0
//! 16  4  bytes of the payload, u32 LE
//! 20  4  0
//! 24  8  number, u64 LE: grows with every record of the pool; of two records of one object the higher one counts
//! 32  n  payload, then zeros up to a multiple of 8
//! ```
//! Kinds: 1 amendment, 2 doubt, 3 ban, 0x8005 survivors (which bans are not over). Reserved: 0x8004 last-use hints.
//! Kinds are never reused.
//!
//! The seed names file and place, so a record that was written somewhere else, or that an earlier file left in the
//! same blocks of the disk, fails like a flipped bit does. Pure: bytes in, records out, nothing panics.

use crate::object::Sequence;
use crate::store::checksum::ShardIdentity;
use crate::store::layout::Geometry;
use crate::store::tlv::{Cursor, FormatError};

/// Changes the head of one object.
pub(in crate::store) const AMENDMENT: u16 = 1;
/// Says that part of the log was lost.
pub(in crate::store) const DOUBT: u16 = 2;
/// A purge that is remembered.
pub(in crate::store) const BAN: u16 = 3;
/// Which bans are not over. Who does not know it obeys them for longer.
pub(in crate::store) const SURVIVORS: u16 = 0x8005;
/// Bytes in front of a payload.
pub(in crate::store) const FRAME_BYTES: usize = 32;
/// A longer payload is refused: heads are bounded to 64 KiB long before they come here.
pub(in crate::store) const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

const MAGIC: &[u8; 4] = b"WREC";
const SUM_BYTES: usize = 8;
const ALIGNMENT_BYTES: usize = 8;
/// No shard has this index: no checksum of an object is one of a record.
const LOG_INDEX: u8 = u8::MAX;
/// Places that look like a record and are not, before the search for the next one is given up.
const ATTEMPTS_MAX: u32 = 1024;

/// A record as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Record<'a> {
    pub(in crate::store) kind: u16,
    pub(in crate::store) number: u64,
    pub(in crate::store) payload: &'a [u8],
}

/// What stands at some place of a log.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) enum Piece<'a> {
    /// A record, whole and at its own place.
    Record {
        offset: u64,
        bytes: u32,
        record: Record<'a>,
    },
    /// Bytes that are no record, up to the next one or to the end.
    Gap { offset: u64, record_follows: bool },
}

/// Bytes of a record in the file.
pub(in crate::store) fn framed_bytes(payload: usize) -> usize {
    FRAME_BYTES.saturating_add(payload.next_multiple_of(ALIGNMENT_BYTES))
}

fn checksum(log: Sequence, offset: u64, rest: &[u8]) -> u64 {
    let identity = ShardIdentity {
        sequence: log,
        geometry: Geometry::ONE_DISK,
        index: LOG_INDEX,
    };
    identity.checksum(offset, rest)
}

impl<'a> Record<'a> {
    /// Appends the bytes for this place of this log.
    pub(in crate::store) fn encode(
        &self,
        log: Sequence,
        offset: u64,
        into: &mut Vec<u8>,
    ) -> Result<u32, FormatError> {
        if self.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(FormatError::Malformed("record: more than 1 MiB"));
        }
        let length = u32::try_from(self.payload.len())
            .map_err(|_| FormatError::Malformed("record length"))?;
        let mut rest = Vec::with_capacity(framed_bytes(self.payload.len()));
        rest.extend_from_slice(MAGIC);
        rest.extend_from_slice(&self.kind.to_le_bytes());
        rest.extend_from_slice(&[0; 2]);
        rest.extend_from_slice(&length.to_le_bytes());
        rest.extend_from_slice(&[0; 4]);
        rest.extend_from_slice(&self.number.to_le_bytes());
        rest.extend_from_slice(self.payload);
        rest.resize(framed_bytes(self.payload.len()) - SUM_BYTES, 0);
        into.extend_from_slice(&checksum(log, offset, &rest).to_le_bytes());
        into.extend_from_slice(&rest);
        u32::try_from(framed_bytes(self.payload.len()))
            .map_err(|_| FormatError::Malformed("record length"))
    }

    /// The record at the start of `bytes`, which stand at this place of this log.
    pub(in crate::store) fn decode(
        bytes: &'a [u8],
        log: Sequence,
        offset: u64,
    ) -> Result<(Self, u32), FormatError> {
        let mut cursor = Cursor::new(bytes);
        let sum = cursor.u64()?;
        if cursor.take(4)? != MAGIC {
            return Err(FormatError::Mismatch("record magic"));
        }
        let kind = cursor.u16()?;
        cursor.take(2)?;
        let length = cursor.u32()?;
        cursor.take(4)?;
        let number = cursor.u64()?;
        let payload_bytes = usize::try_from(length).unwrap_or(usize::MAX);
        if payload_bytes > PAYLOAD_BYTES_MAX {
            return Err(FormatError::Malformed("record length"));
        }
        let payload = cursor.take(payload_bytes)?;
        let framed = framed_bytes(payload_bytes);
        let rest = bytes
            .get(SUM_BYTES..framed)
            .ok_or(FormatError::Malformed("record length"))?;
        if checksum(log, offset, rest) != sum {
            return Err(FormatError::Mismatch("record checksum"));
        }
        let record = Self {
            kind,
            number,
            payload,
        };
        let framed = u32::try_from(framed).map_err(|_| FormatError::Malformed("record length"))?;
        Ok((record, framed))
    }
}

/// Goes through the bytes of a log file.
#[derive(Debug)]
pub(in crate::store) struct Scan<'a> {
    bytes: &'a [u8],
    log: Sequence,
    at: usize,
}

impl<'a> Scan<'a> {
    /// `bytes` is the whole file, `start` where its records begin.
    pub(in crate::store) fn new(bytes: &'a [u8], log: Sequence, start: usize) -> Self {
        Self {
            bytes,
            log,
            at: start,
        }
    }

    /// The record that begins exactly here.
    pub(in crate::store::log) fn record_at(&self, at: usize) -> Option<(Record<'a>, u32)> {
        let rest = self.bytes.get(at..)?;
        Record::decode(rest, self.log, at as u64).ok()
    }

    /// Where the next record begins behind a damaged place.
    pub(in crate::store::log) fn next_record(&self, after: usize) -> Option<usize> {
        let mut attempts = 0;
        let mut at = after.checked_add(ALIGNMENT_BYTES)?;
        while at.saturating_add(FRAME_BYTES) <= self.bytes.len() && attempts < ATTEMPTS_MAX {
            let magic = self.bytes.get(at + SUM_BYTES..at + SUM_BYTES + MAGIC.len());
            if magic == Some(MAGIC.as_slice()) {
                if self.record_at(at).is_some() {
                    return Some(at);
                }
                attempts += 1;
            }
            at += ALIGNMENT_BYTES;
        }
        None
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let at = self.at;
        if at >= self.bytes.len() {
            return None;
        }
        let offset = at as u64;
        if let Some((record, bytes)) = self.record_at(at) {
            self.at = at.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
            return Some(Piece::Record {
                offset,
                bytes,
                record,
            });
        }
        let next = self.next_record(at);
        self.at = next.unwrap_or(self.bytes.len());
        Some(Piece::Gap {
            offset,
            record_follows: next.is_some(),
        })
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
