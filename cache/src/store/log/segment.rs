//! One file of the log.
//!
//! ```text
//! 0    8  magic "WEIRLOG1"
//! 8    2  version, u16 LE, 1;  10 6 zeros
//! 16  16  pool uuid
//! 32   8  sequence, as in the name, u64 LE: taken from the pool's, so no two files ever have the same one
//! 40  16  zeros
//! 56   8  XXH3-64 of the 56 bytes before
//! 64   …  records (record.rs)
//! ```

use super::mirror::MirrorFile;
use crate::object::Sequence;
use crate::store::tlv::{Cursor, FormatError};
use std::sync::Arc;
use twox_hash::XxHash3_64;

/// The folder.
pub(in crate::store) const LOG: &str = "log";
/// Bytes in front of the first record.
pub(in crate::store) const HEADER_BYTES: u64 = 64;

const MAGIC: &[u8; 8] = b"WEIRLOG1";
const VERSION: u16 = 1;

/// How far a file can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Condition {
    /// As written.
    Sound,
    /// Damaged when the store was opened: what can be read of it is copied, then it goes.
    Damaged,
    /// Found damaged or unreadable later: left alone until the next start draws the consequences.
    Stuck,
}

/// A file of the log, open.
#[derive(Debug, Clone)]
pub(in crate::store) struct Segment {
    pub(in crate::store) file: Arc<MirrorFile>,
    /// Up to the end of its last record, bytes.
    pub(in crate::store) bytes: u64,
    /// Bytes of records that count and are no amendments.
    pub(in crate::store) kept_bytes: u64,
    pub(in crate::store) condition: Condition,
}

impl Segment {
    /// A record that stayed may go.
    pub(in crate::store) fn release(&mut self, bytes: u32) {
        self.kept_bytes = self.kept_bytes.saturating_sub(u64::from(bytes));
    }
}

pub(in crate::store) fn path(sequence: Sequence) -> String {
    format!("{LOG}/{}", file_name(sequence))
}

pub(in crate::store) fn file_name(sequence: Sequence) -> String {
    format!("{:016x}.lg", sequence.0)
}

/// The sequence in a name; `None` unless it is exactly what [`file_name`] writes.
pub(in crate::store) fn parse(name: &str) -> Option<Sequence> {
    let digits = name.strip_suffix(".lg")?;
    let sequence = Sequence(u64::from_str_radix(digits, 16).ok()?);
    (file_name(sequence) == name).then_some(sequence)
}

pub(in crate::store) fn encode_header(pool: [u8; 16], sequence: Sequence) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 6]);
    bytes.extend_from_slice(&pool);
    bytes.extend_from_slice(&sequence.0.to_le_bytes());
    bytes.extend_from_slice(&[0; 16]);
    let sum = XxHash3_64::oneshot(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

pub(in crate::store) fn check_header(
    bytes: &[u8],
    pool: [u8; 16],
    sequence: Sequence,
) -> Result<(), FormatError> {
    let mut cursor = Cursor::new(bytes);
    let summed = cursor.take(56)?;
    if cursor.u64()? != XxHash3_64::oneshot(summed) {
        return Err(FormatError::Mismatch("log checksum"));
    }
    let mut cursor = Cursor::new(summed);
    if cursor.take(8)? != MAGIC || cursor.u16()? != VERSION {
        return Err(FormatError::Mismatch("log version"));
    }
    cursor.take(6)?;
    if cursor.array::<16>()? != pool {
        return Err(FormatError::Mismatch("log pool"));
    }
    if cursor.u64()? != sequence.0 {
        return Err(FormatError::Mismatch("log sequence"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_good_for_one_file_of_one_pool() {
        let bytes = encode_header([1; 16], Sequence(5));
        assert_eq!(bytes.len() as u64, HEADER_BYTES);
        assert_eq!(check_header(&bytes, [1; 16], Sequence(5)), Ok(()));
        assert!(check_header(&bytes, [2; 16], Sequence(5)).is_err());
        assert!(check_header(&bytes, [1; 16], Sequence(6)).is_err());
        for place in 0..bytes.len() {
            let mut rotten = bytes.clone();
            rotten[place] ^= 1;
            assert!(check_header(&rotten, [1; 16], Sequence(5)).is_err());
            assert!(check_header(&rotten[..place], [1; 16], Sequence(5)).is_err());
        }
    }

    #[test]
    fn names_are_read_back_and_others_are_none() {
        assert_eq!(path(Sequence(0xab)), "log/00000000000000ab.lg");
        assert_eq!(parse("00000000000000ab.lg"), Some(Sequence(0xab)));
        for name in ["ab.lg", "00000000000000AB.lg", "00000000000000ab.s", ""] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
