//! XXH3-64 over 64 KiB blocks, each seeded with its own place.
//!
//! `seed = XXH3-64(sequence ‖ place ‖ block number)`, three u64 little-endian, unseeded. The place is the shard index
//! and, from bit 16 up, the geometry, with 0 for that of one disk. A block that was written somewhere else, by somebody
//! else, for an earlier generation, or before the object was spread anew therefore fails like a flipped bit does.

use super::BLOCK_BYTES;
use super::geometry::Geometry;
use crate::object::Sequence;
use std::hash::Hasher;
use twox_hash::XxHash3_64;

/// Block number that stands for the header.
pub(crate) const HEADER_BLOCK: u64 = u64::MAX;
/// Block number that stands for the trailer.
pub(crate) const TRAILER_BLOCK: u64 = u64::MAX - 1;

/// Which shard of which object; the seed of all its checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShardIdentity {
    pub(crate) sequence: Sequence,
    pub(crate) geometry: Geometry,
    pub(crate) index: u8,
}

impl ShardIdentity {
    /// Checksum of a whole block.
    pub(crate) fn checksum(self, block: u64, bytes: &[u8]) -> u64 {
        XxHash3_64::oneshot_with_seed(self.seed(block), bytes)
    }

    fn seed(self, block: u64) -> u64 {
        let mut place = [0_u8; 24];
        let words = [self.sequence.0, self.place(), block];
        for (slot, word) in place.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        XxHash3_64::oneshot(&place)
    }

    /// One disk came first: its files know of no geometry here.
    fn place(self) -> u64 {
        let geometry = match self.geometry {
            Geometry::ONE_DISK => 0,
            other => other.0,
        };
        u64::from(geometry) << 16 | u64::from(self.index)
    }
}

/// Checksums of a body that arrives in pieces of any size.
pub(crate) struct BlockHasher {
    identity: ShardIdentity,
    hasher: XxHash3_64,
    block: u64,
    filled: u64,
}

impl std::fmt::Debug for BlockHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockHasher")
            .field("block", &self.block)
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}

impl BlockHasher {
    pub(crate) fn new(identity: ShardIdentity) -> Self {
        let hasher = XxHash3_64::with_seed(identity.seed(0));
        Self {
            identity,
            hasher,
            block: 0,
            filled: 0,
        }
    }

    /// Takes a piece; pushes the checksum of every block that it completes.
    pub(crate) fn update(&mut self, piece: &[u8], completed: &mut Vec<u64>) {
        let mut rest = piece;
        while !rest.is_empty() {
            let room =
                usize::try_from(BLOCK_BYTES.saturating_sub(self.filled)).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.hasher.write(now);
            self.filled = self.filled.saturating_add(now.len() as u64);
            if self.filled == BLOCK_BYTES {
                completed.push(self.turn());
            }
            rest = later;
        }
    }

    /// The checksum of the last, short block, if there is one.
    pub(crate) fn finish(&mut self) -> Option<u64> {
        (self.filled > 0).then(|| self.turn())
    }

    fn turn(&mut self) -> u64 {
        self.block = self.block.saturating_add(1);
        self.filled = 0;
        let next = XxHash3_64::with_seed(self.identity.seed(self.block));
        std::mem::replace(&mut self.hasher, next).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDENTITY: ShardIdentity = ShardIdentity {
        sequence: Sequence(7),
        geometry: Geometry::ONE_DISK,
        index: 0,
    };

    #[test]
    fn the_same_bytes_elsewhere_have_another_checksum() {
        let other_sequence = ShardIdentity {
            sequence: Sequence(8),
            ..IDENTITY
        };
        let other_index = ShardIdentity {
            index: 1,
            ..IDENTITY
        };
        let other_geometry = ShardIdentity {
            geometry: Geometry::copies(3),
            ..IDENTITY
        };
        let sum = IDENTITY.checksum(0, b"block");
        assert_ne!(sum, IDENTITY.checksum(1, b"block"));
        assert_ne!(sum, other_sequence.checksum(0, b"block"));
        assert_ne!(sum, other_index.checksum(0, b"block"));
        assert_ne!(sum, other_geometry.checksum(0, b"block"));
    }

    #[test]
    fn the_seed_of_one_disk_is_that_of_its_first_version() {
        let mut place = [0; 24];
        place[0] = 7;
        place[16] = 3;
        assert_eq!(IDENTITY.seed(3), XxHash3_64::oneshot(&place));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn pieces_of_any_size_give_the_checksums_of_whole_blocks(
            sizes in proptest::collection::vec(0_usize..90_000, 0..8),
        ) {
            let places = 0..sizes.iter().sum::<usize>();
            let body: Vec<u8> = places.map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
            let (mut hasher, mut sums, mut rest) = (BlockHasher::new(IDENTITY), Vec::new(), body.as_slice());
            for size in sizes {
                let (now, later) = rest.split_at(size);
                hasher.update(now, &mut sums);
                rest = later;
            }
            sums.extend(hasher.finish());
            let blocks = (0_u64..).zip(body.chunks(65_536));
            let expected: Vec<u64> = blocks.map(|(block, bytes)| IDENTITY.checksum(block, bytes)).collect();
            prop_assert_eq!(sums, expected);
        }
    }
}
