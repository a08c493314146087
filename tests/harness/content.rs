//! Bytes that know where they belong: each is a function of a seed and its offset, so that a wrong,
//! shifted or foreign byte is seen without keeping what was sent.

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// A deterministic body of a known length.
#[derive(Clone)]
pub struct Content {
    bytes: Bytes,
}

impl Content {
    /// The body of `length` bytes that belongs to `seed`.
    pub fn new(seed: u64, length: usize) -> Self {
        let mut bytes = Vec::with_capacity(length + 8);
        let mut word_index = 0_u64;
        while bytes.len() < length {
            bytes.extend_from_slice(&mix(seed, word_index).to_le_bytes());
            word_index += 1;
        }
        bytes.truncate(length);
        Self {
            bytes: Bytes::from(bytes),
        }
    }

    /// All of it.
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// The bytes from `start` up to, not including, `end`.
    pub fn slice(&self, start: usize, end: usize) -> Bytes {
        self.bytes.slice(start..end)
    }

    /// Length in bytes.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Lower-case hexadecimal SHA-256 of all of it.
    pub fn sha256(&self) -> String {
        sha256(&self.bytes)
    }

    /// Whether `received` is what stands at `offset`.
    pub fn holds_at(&self, offset: usize, received: &[u8]) -> bool {
        self.bytes
            .get(offset..offset + received.len())
            .is_some_and(|own| own == received)
    }
}

/// The bytes from `start` up to, not including, `end` of the endless body that belongs to `seed`, without keeping it:
/// those of a [`Content`] of that seed.
pub fn piece(seed: u64, start: usize, end: usize) -> Vec<u8> {
    let words = start / 8..end.div_ceil(8);
    let mut bytes = Vec::with_capacity(words.len() * 8);
    for index in words {
        let index = u64::try_from(index).expect("an index");
        bytes.extend_from_slice(&mix(seed, index).to_le_bytes());
    }
    bytes.truncate(end - start / 8 * 8);
    bytes.drain(..start % 8);
    bytes
}

/// Lower-case hexadecimal SHA-256.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A finalizer in the manner of SplitMix64: neighboring inputs give unrelated words.
fn mix(seed: u64, index: u64) -> u64 {
    let mut word = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_depends_on_seed_and_offset_only() {
        let long = Content::new(7, 1000);
        let short = Content::new(7, 13);
        assert_eq!(long.slice(0, 13), short.bytes());
        assert!(
            !long.holds_at(8, &long.slice(0, 8)),
            "a shifted slice is noticed"
        );
        assert!(
            !Content::new(8, 13).holds_at(0, &short.bytes()),
            "a foreign slice is noticed"
        );
        assert!(
            !short.holds_at(10, &long.slice(10, 20)),
            "beyond the end is noticed"
        );
    }

    #[test]
    fn pieces_are_those_of_the_whole() {
        let whole = Content::new(7, 100);
        for (start, end) in [(0, 100), (0, 0), (3, 4), (8, 16), (7, 17), (63, 100)] {
            assert_eq!(
                piece(7, start, end),
                whole.slice(start, end),
                "{start}-{end}"
            );
        }
    }

    #[test]
    fn the_digest_is_sha256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Content::new(1, 0).sha256(), empty);
    }
}
