//! P+Q: two parities from two sums (H. P. Anvin, "The mathematics of RAID-6").
//!
//! With the data shards D0 … Dk−1 and the generator g = 2, byte by byte in GF(2^8):
//!
//! ```text
//! P = D0 + D1 + … + Dk−1                     Q = g^0·D0 + g^1·D1 + … + g^(k−1)·Dk−1
//! ```
//!
//! For a loss, let S and W be the same two sums over what is left, P and Q included where they are left. Each missing
//! shard is then a combination of S and W:
//!
//! ```text
//! missing    shard  plain S          weighted W
//! P          P      1
//! Q          Q                       1
//! Dx         Dx     1
//! P, Q       P, Q   1 for P          1 for Q
//! Dx, P      Dx                      g^−x
//!            P      1                g^−x
//! Dx, Q      Dx     1
//!            Q      g^x              1
//! Dx, Dy     Dx     g^y/(g^x+g^y)    1/(g^x+g^y)
//!            Dy     g^x/(g^x+g^y)    1/(g^x+g^y)
//! ```

use super::kernel::{Kernel, Outputs, Sources, Weights};
use super::shard::{Shard, Sorted, check_count};
use super::{ParityError, field};

/// Parities of this code.
const PARITY_SHARDS: usize = 2;

/// P+Q over a given number of data shards.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlusQ {
    pub(super) data_shards: usize,
    pub(super) kernel: Kernel,
}

impl PlusQ {
    /// The caller has checked the number.
    pub(super) fn new(data_shards: usize, kernel: Kernel) -> Self {
        Self {
            data_shards,
            kernel,
        }
    }

    pub(super) fn encode(
        &self,
        data: &[&[u8]],
        parity: &mut [&mut [u8]],
    ) -> Result<(), ParityError> {
        check_count(data.len(), self.data_shards)?;
        let found = parity.len();
        let [p, q] = parity else {
            return Err(ParityError::ShardCount {
                shards: PARITY_SHARDS,
                found,
            });
        };
        let sources = self.sources(p.len(), data.iter().copied().enumerate())?;
        self.kernel.write(&sources, Outputs::Both([p, q]))
    }

    pub(super) fn reconstruct(&self, shards: &mut [Shard<'_>]) -> Result<(), ParityError> {
        let mut sorted = Sorted::new(shards, self.data_shards, PARITY_SHARDS)?;
        let sources = self.sources(sorted.bytes, sorted.present())?;
        let (first, second) = {
            let mut missing = sorted.missing();
            (missing.next(), missing.next())
        };
        let Some(first) = first else {
            return Ok(());
        };
        let [of_first, of_second] = self.solution(first, second);
        let to_second = second.and_then(|role| sorted.take_wanted(role));
        let outputs = match (sorted.take_wanted(first), to_second) {
            (Some(first), Some(second)) if of_second == of_first.rest() => {
                Outputs::OneAndRest(of_first, [first, second])
            }
            (Some(p), Some(q)) if of_first == Weights::PLAIN && of_second == Weights::WEIGHTED => {
                Outputs::Both([p, q])
            }
            (Some(first), Some(second)) => {
                self.kernel.write(&sources, Outputs::one(of_first, first))?;
                Outputs::one(of_second, second)
            }
            (Some(first), None) => Outputs::one(of_first, first),
            (None, Some(second)) => Outputs::one(of_second, second),
            (None, None) => return Ok(()),
        };
        self.kernel.write(&sources, outputs)
    }

    /// The shards that are there, by role.
    pub(super) fn sources<'a>(
        &self,
        bytes: usize,
        present: impl Iterator<Item = (usize, &'a [u8])>,
    ) -> Result<Sources<'a>, ParityError> {
        let mut sources = Sources::new(self.data_shards, bytes)?;
        for (role, shard) in present {
            sources.add(role, shard)?;
        }
        Ok(sources)
    }

    /// How the missing shards, by role and in order, come from the two sums: the table above. The second of the pair is
    /// meaningless where only one is missing.
    fn solution(&self, first: usize, second: Option<usize>) -> [Weights; 2] {
        let p = self.data_shards;
        let q = p + 1;
        let Some(second) = second else {
            let only = if first == q {
                Weights::WEIGHTED
            } else {
                Weights::PLAIN
            };
            return [only, only];
        };
        let of_first = field::power(first);
        if first == p {
            [Weights::PLAIN, Weights::WEIGHTED]
        } else if second == p {
            let weighted = field::inverse(of_first);
            [
                Weights { plain: 0, weighted },
                Weights { plain: 1, weighted },
            ]
        } else if second == q {
            [
                Weights::PLAIN,
                Weights {
                    plain: of_first,
                    weighted: 1,
                },
            ]
        } else {
            let of_second = field::power(second);
            let weighted = field::inverse(of_first ^ of_second);
            let combine = |other| Weights {
                plain: field::multiply(other, weighted),
                weighted,
            };
            [combine(of_second), combine(of_first)]
        }
    }
}
