//! What stands in front of the bytes of a shard.
//!
//! ```text
//! 0    8  magic "WEIRSHD1"
//! 8    2  version, u16 LE, 1
//! 10   1  shard index
//! 11   1  checksum kind: 1 = XXH3-64 over 64 KiB blocks
//! 12   4  header length in bytes, u32 LE, a multiple of 4096, at most 1 MiB
//! 16   4  bytes of fields, u32 LE
//! 20   2  geometry, u16 LE
//! 22   2  0
//! 24   8  sequence, u64 LE
//! 32  16  pool uuid
//! 48   8  XXH3-64 of the whole header with these 8 bytes as 0, seeded as block u64::MAX of the shard
//! 56   8  0
//! 64   …  fields (tlv.rs, types in fields.rs), then zeros up to the header length
//! ```
//! The data starts at the header length, so units are page-aligned in the file.

use super::checksum::{HEADER_BLOCK, ShardIdentity};
use super::fields;
use super::layout::{Geometry, aligned};
use super::tlv::{Cursor, FormatError, UnknownField};
use crate::object::{ObjectHead, Sequence};

const MAGIC: &[u8; 8] = b"WEIRSHD1";
const VERSION: u16 = 1;
const CHECKSUM_XXH3_64: u8 = 1;
const PREFIX_BYTES: usize = 64;
const CHECKSUM_AT: usize = 48;
/// A longer header is refused: heads are bounded to 64 KiB long before they come here.
pub(crate) const HEADER_BYTES_MAX: u64 = 1024 * 1024;
/// What to read to learn the rest: the shortest header.
pub(crate) const HEADER_BYTES_MIN: u64 = 4096;

/// A decoded header.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) pool: [u8; 16],
    pub(crate) identity: ShardIdentity,
    pub(crate) geometry: Geometry,
    /// Known length of the body when the fill began, bytes.
    pub(crate) length: Option<u64>,
    pub(crate) head: ObjectHead,
    /// Optional fields of a newer version, kept for rewriting.
    pub(crate) unknown: Vec<UnknownField>,
}

impl Header {
    /// The bytes on disk, padded.
    ///
    /// # Errors
    /// The head does not fit into [`HEADER_BYTES_MAX`].
    pub(crate) fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let fields = fields::encode(&self.head, self.length, &self.unknown);
        let total = aligned((PREFIX_BYTES as u64).saturating_add(fields.len() as u64));
        if total > HEADER_BYTES_MAX {
            return Err(FormatError::Malformed("header: more than 1 MiB"));
        }
        let total_u32 =
            u32::try_from(total).map_err(|_| FormatError::Malformed("header length"))?;
        let fields_u32 =
            u32::try_from(fields.len()).map_err(|_| FormatError::Malformed("header fields"))?;
        let mut bytes = Vec::with_capacity(usize::try_from(total).unwrap_or(0));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[self.identity.index, CHECKSUM_XXH3_64]);
        bytes.extend_from_slice(&total_u32.to_le_bytes());
        bytes.extend_from_slice(&fields_u32.to_le_bytes());
        bytes.extend_from_slice(&self.geometry.0.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.identity.sequence.0.to_le_bytes());
        bytes.extend_from_slice(&self.pool);
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&fields);
        bytes.resize(usize::try_from(total).unwrap_or(0), 0);
        let sum = self.identity.checksum(HEADER_BLOCK, &bytes);
        if let Some(slot) = bytes.get_mut(CHECKSUM_AT..CHECKSUM_AT + 8) {
            slot.copy_from_slice(&sum.to_le_bytes());
        }
        Ok(bytes)
    }

    /// The header length that the first bytes of a file claim; checked for sanity only.
    pub(crate) fn claimed_bytes(start: &[u8]) -> Result<u64, FormatError> {
        let mut cursor = Cursor::new(start);
        if cursor.take(8)? != MAGIC {
            return Err(FormatError::Mismatch("magic"));
        }
        if cursor.u16()? != VERSION {
            return Err(FormatError::Mismatch("version"));
        }
        cursor.take(2)?;
        let total = u64::from(cursor.u32()?);
        let sane =
            (HEADER_BYTES_MIN..=HEADER_BYTES_MAX).contains(&total) && total == aligned(total);
        if sane {
            Ok(total)
        } else {
            Err(FormatError::Malformed("header length"))
        }
    }

    /// Reads a whole header and checks that it belongs to `expected`.
    pub(crate) fn decode(bytes: &[u8], expected: ShardIdentity) -> Result<Self, FormatError> {
        if Self::claimed_bytes(bytes)? != bytes.len() as u64 {
            return Err(FormatError::Malformed("header length"));
        }
        check_sum(bytes, expected)?;
        let mut cursor = Cursor::new(bytes);
        cursor.take(10)?;
        let index = cursor.u8()?;
        if cursor.u8()? != CHECKSUM_XXH3_64 {
            return Err(FormatError::Mismatch("checksum kind"));
        }
        cursor.take(4)?;
        let field_bytes = usize::try_from(cursor.u32()?).unwrap_or(usize::MAX);
        let geometry = Geometry(cursor.u16()?);
        cursor.take(2)?;
        let identity = ShardIdentity {
            sequence: Sequence(cursor.u64()?),
            geometry,
            index,
        };
        if identity != expected {
            return Err(FormatError::Mismatch("shard identity"));
        }
        let pool = cursor.array()?;
        cursor.take(16)?;
        let decoded = fields::decode(cursor.take(field_bytes)?)?;
        let (head, length, unknown) = (decoded.head, decoded.length, decoded.unknown);
        Ok(Self {
            pool,
            identity,
            geometry,
            length,
            head,
            unknown,
        })
    }
}

fn check_sum(bytes: &[u8], expected: ShardIdentity) -> Result<(), FormatError> {
    let mut blank = bytes.to_vec();
    let slot = blank
        .get_mut(CHECKSUM_AT..CHECKSUM_AT + 8)
        .ok_or(FormatError::Malformed("header length"))?;
    let stored = Cursor::new(slot).u64()?;
    slot.fill(0);
    if expected.checksum(HEADER_BLOCK, &blank) == stored {
        Ok(())
    } else {
        Err(FormatError::Mismatch("header checksum"))
    }
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
