//! The erasure codes of the local store: any lost shards up to the parity count are computed from the others.
//!
//! A stripe is k data shards and some parity shards, all of one length. A shard's place in the code is its **role**:
//! data 0 … k−1, then the parities (P is role k, Q is role k+1). Which disk plays which role is not known here.
//!
//! Reading order: [`Codec`] (which code, and its number on disk) → [`Coder`] (a code for one k) → `pq` (P+Q, the
//! everyday code) with `locate` (which shard lies) → `kernel` (its bulk arithmetic, chosen by CPU) → `reed_solomon`
//! (other parity counts) → `field` (the arithmetic below all of it).
//!
//! Invariants
//! - What a codec number means never changes: objects on disks carry it.
//! - Wrong counts and lengths are errors, never panics; no length is too short, too odd or misaligned (4 KiB-aligned
//!   buffers are only faster).
//! - Nothing is allocated by any call, and nothing is remembered between calls.
//!
//! Deliberately absent: checksums. A code computes what is known to be missing; that a shard is damaged is for the
//! store's checksums to say, and [`Coder::locate`] is the second opinion of a deep scrub.

mod field;
mod kernel;
mod locate;
mod pq;
mod reed_solomon;
mod shard;
#[cfg(test)]
mod tests;

pub use kernel::Kernel;
pub use shard::Shard;

use pq::PlusQ;
use reed_solomon::ReedSolomon;

/// Most data shards of a stripe: the store's widest array is 10 data disks and two parity disks. (P+Q itself would reach
/// to 255, where the weights of Q begin to repeat.)
pub const DATA_SHARDS_MAX: usize = 10;

/// Most parity shards of any code.
pub const PARITY_SHARDS_MAX: usize = 4;

/// Most roles of a stripe.
const ROLES_MAX: usize = DATA_SHARDS_MAX + PARITY_SHARDS_MAX;

/// Which code. The numbers are part of the format on disk:
///
/// | id | code |
/// | --- | --- |
/// | 0 | none: whole copies. Not a codec of this module |
/// | 1 | P+Q over GF(2^8), polynomial 0x11D, generator 2 |
/// | 2, 3, 4, 5 | Reed–Solomon with 1, 2, 3, 4 parity shards: the systematic Vandermonde matrix of reed-solomon-erasure 6 |
///
/// Code 3 and code 1 both survive two losses but share no parity bytes. Code 2 is the XOR of the data only where k is
/// 1, 3 or 7; elsewhere its parity has other weights and is read by code 2 alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Two parities: the sum and the weighted sum.
    PQ,
    /// Another number of parities; slower, as no vector instructions serve it.
    ReedSolomon(ParityShards),
}

/// Parity shards of a Reed–Solomon code: 1 … [`PARITY_SHARDS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParityShards(u8);

impl ParityShards {
    /// One disk may be lost.
    pub const ONE: Self = Self(1);

    /// None for 0 and for more than [`PARITY_SHARDS_MAX`].
    #[must_use]
    pub fn new(count: u8) -> Option<Self> {
        (1..=PARITY_SHARDS_MAX)
            .contains(&usize::from(count))
            .then_some(Self(count))
    }
}

impl Codec {
    /// Its number on disk.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::PQ => 1,
            Self::ReedSolomon(ParityShards(count)) => 1 + count,
        }
    }

    /// The codec with this number; None if this version knows none, or for 0, which is whole copies.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => None,
            1 => Some(Self::PQ),
            _ => ParityShards::new(id - 1).map(Self::ReedSolomon),
        }
    }

    /// How many shards may be lost.
    #[must_use]
    pub fn parity_shards(self) -> usize {
        match self {
            Self::PQ => 2,
            Self::ReedSolomon(ParityShards(count)) => usize::from(count),
        }
    }
}

/// Why shards cannot be encoded, rebuilt or compared. Each is a mistake of the caller or a loss beyond the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParityError {
    /// No such geometry.
    #[error("a stripe has 1 to {DATA_SHARDS_MAX} data shards, not {data_shards}")]
    DataShards {
        /// How many were asked for.
        data_shards: usize,
    },
    /// Another number of shards than the geometry has.
    #[error("{found} shards were given where the geometry has {shards}")]
    ShardCount {
        /// Of the geometry.
        shards: usize,
        /// Were given.
        found: usize,
    },
    /// The shards of a stripe are of one length.
    #[error("a shard of {found_bytes} bytes is in a stripe of shards of {bytes} bytes")]
    UnequalLengths {
        /// Of the shards before it.
        bytes: usize,
        /// Of this one.
        found_bytes: usize,
    },
    /// More is lost than the code can compute.
    #[error("{missing} shards are missing where the code survives the loss of {parity_shards}")]
    TooManyMissing {
        /// Not there.
        missing: usize,
        /// May be missing.
        parity_shards: usize,
    },
}

/// What the parities say about the shards of a stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All shards fit together.
    Consistent,
    /// The shards fit together once this one is computed from the others.
    ///
    /// Certain as long as one shard is damaged. If two or more are, a single position where both are damaged by random
    /// bytes names some third shard with the probability k/255 (one of k roles among 255 quotients), so m such
    /// positions all name the same one with k/255^m: 4 % for one position and k = 10, below 10^-8 from four on.
    /// Positions where only one of the two is damaged name that one and so contradict the others.
    OneBad {
        /// Which: data 0 … k−1, P is k, Q is k+1.
        role: usize,
    },
    /// They do not fit together, and no single shard explains it; always so for Reed–Solomon codes, which are compared
    /// but not solved for the culprit.
    Unlocatable,
}

/// A code for stripes with a given number of data shards: made once per geometry, shared by all threads.
#[derive(Debug, Clone, Copy)]
pub struct Coder(Code);

#[derive(Debug, Clone, Copy)]
enum Code {
    PQ(PlusQ),
    ReedSolomon(ReedSolomon),
}

impl Coder {
    /// For stripes of this many data shards, on the best kernel of this CPU.
    pub fn new(codec: Codec, data_shards: usize) -> Result<Self, ParityError> {
        Self::on_kernel(codec, data_shards, Kernel::best())
    }

    /// As [`Coder::new`], on a kernel of the caller's choice: for tests and benchmarks. Reed–Solomon codes have no
    /// kernels to choose from.
    pub fn on_kernel(
        codec: Codec,
        data_shards: usize,
        kernel: Kernel,
    ) -> Result<Self, ParityError> {
        if !(1..=DATA_SHARDS_MAX).contains(&data_shards) {
            return Err(ParityError::DataShards { data_shards });
        }
        Ok(Self(match codec {
            Codec::PQ => Code::PQ(PlusQ::new(data_shards, kernel)),
            Codec::ReedSolomon(count) => Code::ReedSolomon(ReedSolomon::new(data_shards, count)?),
        }))
    }

    /// Overwrites the parity shards with what belongs to the data.
    pub fn encode(&self, data: &[&[u8]], parity: &mut [&mut [u8]]) -> Result<(), ParityError> {
        match &self.0 {
            Code::PQ(code) => code.encode(data, parity),
            Code::ReedSolomon(code) => code.encode(data, parity),
        }
    }

    /// Overwrites each [`Shard::Wanted`] with its content, computed from those that are [`Shard::Present`]. By role.
    ///
    /// Wanted and absent shards together may be as many as the code has parities. On an error nothing was written.
    pub fn reconstruct(&self, shards: &mut [Shard<'_>]) -> Result<(), ParityError> {
        match &self.0 {
            Code::PQ(code) => code.reconstruct(shards),
            Code::ReedSolomon(code) => code.reconstruct(shards),
        }
    }

    /// Whether the shards of a stripe, all of them and by role, fit together, and if not, which one is to blame.
    pub fn locate(&self, shards: &[&[u8]]) -> Result<Verdict, ParityError> {
        match &self.0 {
            Code::PQ(code) => code.locate(shards),
            Code::ReedSolomon(code) => code.locate(shards),
        }
    }
}
