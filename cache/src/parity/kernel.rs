//! The bulk arithmetic of P+Q, with the widest instructions that this CPU has.
//!
//! One operation serves encoding, reconstruction and location: it walks over the shards that are there, forms per byte
//! the plain sum `ΣDi` and the weighted sum `Σ g^i·Di` (both including P and Q where these are given), and writes either
//! of them, both, or linear combinations of the two. A missing shard counts as zero. [`super::pq`] knows which
//! combination means what.
//!
//! The weighted sum is formed by Horner's rule, from the last shard to the first: a doubling per shard, which no CPU
//! needs a table for, instead of a multiplication. Only a combination multiplies, and that once per output, not per
//! shard. [`lane`] holds the one algorithm, generic over a vector; the other files each hold one vector.
//!
//! Invariants
//! - Every kernel gives the same bytes: the tests compare each one that the CPU has with the portable one.
//! - A [`Kernel`] of instructions that the CPU lacks cannot be made; [`Sources`] of unequal lengths cannot be made.
//!   The unsafe code below rests on these two.

use std::sync::OnceLock;

use super::shard::check_length;
use super::{DATA_SHARDS_MAX, ParityError};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod gfni512;
mod lane;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

/// The instructions that do the bulk arithmetic. Which ones never changes a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Instructions);

/// Private, so that only [`Kernel::available`], which asks the CPU, makes one of the vector kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instructions {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Gfni512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Kernel {
    /// Eight bytes at a time in plain integers: on every CPU.
    pub const PORTABLE: Self = Self(Instructions::Portable);

    /// The fastest that this CPU has. The CPU is asked once per process.
    #[must_use]
    pub fn best() -> Self {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().last().unwrap_or(Self::PORTABLE))
    }

    /// Those that this CPU has, the slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        let vectors = vector_instructions().into_iter().flatten();
        std::iter::once(Instructions::Portable)
            .chain(vectors)
            .map(Self)
    }

    /// For logs and benchmarks.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Instructions::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Instructions::Gfni512 => "avx512-gfni",
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => "neon",
        }
    }

    /// Writes what is wanted of the sums over the sources.
    pub(super) fn write(
        self,
        sources: &Sources<'_>,
        outputs: Outputs<'_>,
    ) -> Result<(), ParityError> {
        outputs.check(sources.bytes)?;
        match self.0 {
            Instructions::Portable => portable::write(sources, outputs),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => avx2::write(sources, outputs),
            #[cfg(target_arch = "x86_64")]
            Instructions::Gfni512 => gfni512::write(sources, outputs),
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => neon::write(sources, outputs),
        }
        Ok(())
    }
}

#[cfg(target_arch = "x86_64")]
fn vector_instructions() -> [Option<Instructions>; 2] {
    let has_avx2 = is_x86_feature_detected!("avx2");
    let has_gfni512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("gfni");
    [
        has_avx2.then_some(Instructions::Avx2),
        has_gfni512.then_some(Instructions::Gfni512),
    ]
}

#[cfg(target_arch = "aarch64")]
fn vector_instructions() -> [Option<Instructions>; 1] {
    [std::arch::is_aarch64_feature_detected!("neon").then_some(Instructions::Neon)]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn vector_instructions() -> [Option<Instructions>; 0] {
    []
}

/// The shards that are summed: all of one length.
#[derive(Debug)]
pub(super) struct Sources<'a> {
    /// By index; None is a missing shard, which counts as zero. Entries from `data_shards` on are None.
    data: [Option<&'a [u8]>; DATA_SHARDS_MAX],
    /// At most [`DATA_SHARDS_MAX`].
    data_shards: usize,
    p: Option<&'a [u8]>,
    q: Option<&'a [u8]>,
    /// Length of each that is there.
    bytes: usize,
}

impl<'a> Sources<'a> {
    /// No shard yet, of `data_shards` and two parities of this length.
    pub(super) fn new(data_shards: usize, bytes: usize) -> Result<Self, ParityError> {
        if !(1..=DATA_SHARDS_MAX).contains(&data_shards) {
            return Err(ParityError::DataShards { data_shards });
        }
        Ok(Self {
            data: [None; DATA_SHARDS_MAX],
            data_shards,
            p: None,
            q: None,
            bytes,
        })
    }

    /// Adds a shard that is there: data by index, then P, then Q.
    pub(super) fn add(&mut self, shard: usize, bytes: &'a [u8]) -> Result<(), ParityError> {
        check_length(bytes.len(), self.bytes)?;
        let shards = self.data_shards + 2;
        let place = match shard.checked_sub(self.data_shards) {
            Some(0) => &mut self.p,
            Some(1) => &mut self.q,
            Some(_) => {
                return Err(ParityError::ShardCount {
                    shards,
                    found: shard + 1,
                });
            }
            None => self.data.get_mut(shard).ok_or(ParityError::DataShards {
                data_shards: self.data_shards,
            })?,
        };
        *place = Some(bytes);
        Ok(())
    }
}

/// How much the two sums count in an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weights {
    /// Of the plain sum.
    pub(super) plain: u8,
    /// Of the weighted sum.
    pub(super) weighted: u8,
}

impl Weights {
    /// The plain sum as it is.
    pub(super) const PLAIN: Self = Self {
        plain: 1,
        weighted: 0,
    };
    /// The weighted sum as it is.
    pub(super) const WEIGHTED: Self = Self {
        plain: 0,
        weighted: 1,
    };

    /// What the combination leaves of the plain sum.
    pub(super) const fn rest(self) -> Self {
        Self {
            plain: self.plain ^ 1,
            weighted: self.weighted,
        }
    }
}

/// What is written, and where to. What needs no multiplication, or one for two outputs, has its own variant.
#[derive(Debug)]
pub(super) enum Outputs<'a> {
    /// The plain sum.
    Plain(&'a mut [u8]),
    /// The plain and the weighted sum.
    Both([&'a mut [u8]; 2]),
    /// One combination.
    One(Weights, &'a mut [u8]),
    /// A combination, and what it leaves of the plain sum.
    OneAndRest(Weights, [&'a mut [u8]; 2]),
}

impl<'a> Outputs<'a> {
    /// The cheapest way to write one combination.
    pub(super) fn one(weights: Weights, output: &'a mut [u8]) -> Self {
        if weights == Weights::PLAIN {
            Self::Plain(output)
        } else {
            Self::One(weights, output)
        }
    }

    fn check(&self, bytes: usize) -> Result<(), ParityError> {
        match self {
            Self::Plain(output) | Self::One(_, output) => check_length(output.len(), bytes),
            Self::Both([first, second]) | Self::OneAndRest(_, [first, second]) => {
                check_length(first.len(), bytes)?;
                check_length(second.len(), bytes)
            }
        }
    }
}
