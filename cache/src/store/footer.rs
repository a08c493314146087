//! What stands behind the bytes of a shard. Without a valid trailer at the very end a file is not committed, whatever
//! its name says.
//!
//! ```text
//! data, padded with zeros to 4 KiB
//! T + 0      8·b  checksum table: XXH3-64 of each 64 KiB block, u64 LE
//!            …    fields (tlv.rs)
//! E − 64     8    magic "WEIREND1"                                    E = end of the file
//! E − 56     2    version, u16 LE, 1
//! E − 54     1    shard index
//! E − 53     1    0
//! E − 52     4    bytes of fields, u32 LE
//! E − 48     8    sequence, u64 LE
//! E − 40     8    final length of the data, bytes, u64 LE
//! E − 32     8    T, u64 LE
//! E − 24    16    XXH3-128 of table and fields
//! E − 8      8    XXH3-64 of the 56 bytes before, seeded as block u64::MAX − 1 of the shard
//! ```
//! Fields: `0x8001` sha256 of the object, `0x8002` md5, `0x8003` XXH3-128 of the table of every shard, in the order of
//! their indices (with these a scrub tells which of two plausible shards is the liar).

use super::BLOCK_BYTES;
use super::checksum::{ShardIdentity, TRAILER_BLOCK};
use super::layout::aligned;
use super::tlv::{Cursor, FieldReader, FieldWriter, FormatError, OPTIONAL};
use crate::object::{Digests, Sequence};
use twox_hash::XxHash3_128;

const MAGIC: &[u8; 8] = b"WEIREND1";
const VERSION: u16 = 1;
/// Bytes of the trailer.
pub(crate) const TRAILER_BYTES: u64 = 64;
/// Upper bound of everything in a footer of one shard besides the table, bytes: trailer and three fields.
pub(crate) const FOOTER_FIXED_BYTES_MAX: u64 = TRAILER_BYTES + (6 + 32) + (6 + 16) + (6 + 16);
/// Fields longer than this are refused, bytes.
const FIELD_BYTES_MAX: u32 = 64 * 1024;

const SHA256: u16 = OPTIONAL | 0x0001;
const MD5: u16 = OPTIONAL | 0x0002;
const TABLE_DIGESTS: u16 = OPTIONAL | 0x0003;

/// A footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Checksum of each block.
    pub(crate) table: Vec<u64>,
    /// Length of the data, bytes.
    pub(crate) length: u64,
    pub(crate) digests: Digests,
    /// XXH3-128 of the table of every shard, by index.
    pub(crate) table_digests: Vec<u128>,
}

/// A checked trailer: says where the rest of the footer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    length: u64,
    field_bytes: u32,
    /// Where the table starts in the file.
    pub(crate) start: u64,
    digest: u128,
}

impl Footer {
    /// The bytes from the table to the end of the file.
    pub(crate) fn encode(&self, identity: ShardIdentity, header_bytes: u64) -> Vec<u8> {
        let mut bytes: Vec<u8> = self
            .table
            .iter()
            .flat_map(|sum| sum.to_le_bytes())
            .collect();
        let mut fields = FieldWriter::default();
        if let Some(sha256) = &self.digests.sha256 {
            fields.put(SHA256, sha256);
        }
        if let Some(md5) = &self.digests.md5 {
            fields.put(MD5, md5);
        }
        let digests = self.table_digests.iter();
        let digests: Vec<u8> = digests.flat_map(|digest| digest.to_le_bytes()).collect();
        fields.put(TABLE_DIGESTS, &digests);
        bytes.extend_from_slice(&fields.bytes);
        let trailer = Trailer {
            length: self.length,
            field_bytes: u32::try_from(fields.bytes.len()).unwrap_or(u32::MAX),
            start: footer_start(header_bytes, self.length),
            digest: XxHash3_128::oneshot(&bytes),
        };
        bytes.extend_from_slice(&trailer.encode(identity));
        bytes
    }

    /// Reads table and fields, `bytes` being everything between [`Trailer::start`] and the trailer.
    pub(crate) fn decode(bytes: &[u8], trailer: &Trailer) -> Result<Self, FormatError> {
        if XxHash3_128::oneshot(bytes) != trailer.digest {
            return Err(FormatError::Mismatch("footer checksum"));
        }
        let blocks = usize::try_from(trailer.length.div_ceil(BLOCK_BYTES)).unwrap_or(usize::MAX);
        let mut cursor = Cursor::new(bytes);
        let table = cursor.take(blocks.saturating_mul(8))?;
        let table = table
            .chunks_exact(8)
            .map(|sum| Cursor::new(sum).u64())
            .collect::<Result<_, _>>()?;
        let fields = cursor.take(usize::try_from(trailer.field_bytes).unwrap_or(usize::MAX))?;
        let (digests, table_digests) = decode_digests(fields)?;
        Ok(Self {
            table,
            length: trailer.length,
            digests,
            table_digests,
        })
    }
}

fn decode_digests(fields: &[u8]) -> Result<(Digests, Vec<u128>), FormatError> {
    let mut digests = Digests::default();
    let mut table_digests = Vec::new();
    let mut reader = FieldReader::new(fields);
    while let Some((kind, value)) = reader.next()? {
        match kind {
            SHA256 => digests.sha256 = Some(Cursor::new(value).array()?),
            MD5 => digests.md5 = Some(Cursor::new(value).array()?),
            TABLE_DIGESTS => {
                let mut cursor = Cursor::new(value);
                while !cursor.is_empty() {
                    table_digests.push(u128::from_le_bytes(cursor.array()?));
                }
            }
            _ if kind & OPTIONAL != 0 => {}
            _ => return Err(FormatError::UnknownMandatory(kind)),
        }
    }
    Ok((digests, table_digests))
}

impl Trailer {
    fn encode(&self, identity: ShardIdentity) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[identity.index, 0]);
        bytes.extend_from_slice(&self.field_bytes.to_le_bytes());
        bytes.extend_from_slice(&identity.sequence.0.to_le_bytes());
        bytes.extend_from_slice(&self.length.to_le_bytes());
        bytes.extend_from_slice(&self.start.to_le_bytes());
        bytes.extend_from_slice(&self.digest.to_le_bytes());
        let sum = identity.checksum(TRAILER_BLOCK, &bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the last 64 bytes of a file of `file_bytes` whose header has `header_bytes`.
    pub(crate) fn decode(
        bytes: &[u8; 64],
        identity: ShardIdentity,
        header_bytes: u64,
        file_bytes: u64,
    ) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(bytes);
        let summed = cursor.take(56)?;
        if cursor.u64()? != identity.checksum(TRAILER_BLOCK, summed) {
            return Err(FormatError::Mismatch("trailer checksum"));
        }
        let mut cursor = Cursor::new(summed);
        if cursor.take(8)? != MAGIC {
            return Err(FormatError::Mismatch("trailer magic"));
        }
        if cursor.u16()? != VERSION {
            return Err(FormatError::Mismatch("trailer version"));
        }
        let found_index = cursor.u8()?;
        cursor.u8()?;
        let field_bytes = cursor.u32()?;
        let found = ShardIdentity {
            sequence: Sequence(cursor.u64()?),
            geometry: identity.geometry, // part of the seed alone
            index: found_index,
        };
        let trailer = Self {
            field_bytes,
            length: cursor.u64()?,
            start: cursor.u64()?,
            digest: u128::from_le_bytes(cursor.array()?),
        };
        let fits = trailer.start == footer_start(header_bytes, trailer.length)
            && trailer.end() == Some(file_bytes)
            && field_bytes <= FIELD_BYTES_MAX;
        if found == identity && fits {
            Ok(trailer)
        } else {
            Err(FormatError::Mismatch("file length"))
        }
    }

    fn end(&self) -> Option<u64> {
        let table = self.length.div_ceil(BLOCK_BYTES).checked_mul(8)?;
        self.start
            .checked_add(table)?
            .checked_add(u64::from(self.field_bytes))?
            .checked_add(TRAILER_BYTES)
    }
}

/// Where the table starts: behind the data, page-aligned.
pub(crate) fn footer_start(header_bytes: u64, length: u64) -> u64 {
    header_bytes.saturating_add(aligned(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::layout::Geometry;
    use proptest::prelude::*;

    const IDENTITY: ShardIdentity = ShardIdentity {
        sequence: Sequence(5),
        geometry: Geometry::ONE_DISK,
        index: 0,
    };
    const HEADER_BYTES: u64 = 4096;

    fn footer(length: u64) -> Footer {
        let table = (0..length.div_ceil(BLOCK_BYTES))
            .map(|block| block.wrapping_mul(77))
            .collect();
        Footer {
            table,
            length,
            digests: Digests {
                sha256: Some([1; 32]),
                md5: Some([2; 16]),
            },
            table_digests: vec![3, 4],
        }
    }

    fn read(bytes: &[u8], length: u64) -> Result<Footer, FormatError> {
        let (rest, trailer) = bytes
            .split_last_chunk::<64>()
            .ok_or(FormatError::Malformed("length"))?;
        let file_bytes = footer_start(HEADER_BYTES, length) + bytes.len() as u64;
        Footer::decode(
            rest,
            &Trailer::decode(trailer, IDENTITY, HEADER_BYTES, file_bytes)?,
        )
    }

    #[test]
    fn a_footer_is_read_back_at_every_length() {
        for length in [0, 1, 65_535, 65_536, 65_537, 300_000] {
            let footer = footer(length);
            let bytes = footer.encode(IDENTITY, HEADER_BYTES);
            assert_eq!(read(&bytes, length), Ok(footer), "{length}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let bytes = footer(200_000).encode(IDENTITY, HEADER_BYTES);
        for place in 0..bytes.len() {
            let mut rotten = bytes.clone();
            rotten[place] ^= 1;
            assert!(read(&rotten, 200_000).is_err(), "{place}");
        }
    }

    #[test]
    fn a_file_of_another_length_or_shard_is_refused() {
        let bytes = footer(10).encode(IDENTITY, HEADER_BYTES);
        let trailer = bytes.last_chunk::<64>().unwrap();
        let whole = footer_start(HEADER_BYTES, 10) + bytes.len() as u64;
        assert!(Trailer::decode(trailer, IDENTITY, HEADER_BYTES, whole).is_ok());
        assert!(Trailer::decode(trailer, IDENTITY, HEADER_BYTES, whole + 1).is_err());
        assert!(Trailer::decode(trailer, IDENTITY, 2 * HEADER_BYTES, whole).is_err());
        let other = ShardIdentity {
            sequence: Sequence(6),
            ..IDENTITY
        };
        assert!(Trailer::decode(trailer, other, HEADER_BYTES, whole).is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), length: u64) {
            prop_assert!(read(&bytes, length % (1 << 40)).is_err());
        }
    }
}
