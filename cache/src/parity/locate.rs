//! Which shard lies, when all shards of a P+Q stripe were read and do not fit together.
//!
//! The two sums over all shards, P and Q included, are the syndromes P* and Q*: both zero where all is well. Damage e in
//! one shard alone leaves its mark in them:
//!
//! ```text
//! damaged   P*    Q*
//! Dz        e     g^z·e     so z is the logarithm of Q*/P*
//! P         e     0
//! Q         0     e
//! ```
//!
//! Every damaged position is asked, and all must name the same shard: that makes the answer trustworthy
//! ([`Verdict::OneBad`] has the numbers).

use std::ops::Range;

use super::kernel::Outputs;
use super::pq::PlusQ;
use super::shard::check_count;
use super::{DATA_SHARDS_MAX, ParityError, Verdict, field};

/// Syndromes are formed for so many bytes at a time: two buffers on the stack that stay in the nearest cache.
const BLOCK_BYTES: usize = 4096;

/// What one position says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Testimony {
    Fine,
    Names { role: usize },
    Nobody,
}

impl PlusQ {
    pub(super) fn locate(&self, shards: &[&[u8]]) -> Result<Verdict, ParityError> {
        check_count(shards.len(), self.data_shards + 2)?;
        let bytes = shards.first().map_or(0, |shard| shard.len());
        // Compares all lengths, so that the blocks below exist in all shards.
        self.sources(bytes, shards.iter().copied().enumerate())?;
        let mut verdict = Verdict::Consistent;
        let mut syndromes = [[0; BLOCK_BYTES]; 2];
        for at in (0..bytes).step_by(BLOCK_BYTES) {
            let block = at..bytes.min(at + BLOCK_BYTES);
            let [p, q] = self.syndromes(shards, block, &mut syndromes)?;
            if is_clean(p) && is_clean(q) {
                continue;
            }
            let testimonies = p.iter().zip(q).map(|(p, q)| self.testimony(*p, *q));
            verdict = testimonies.fold(verdict, weigh);
            if verdict == Verdict::Unlocatable {
                break;
            }
        }
        Ok(verdict)
    }

    /// P* and Q* of one block.
    fn syndromes<'a>(
        &self,
        shards: &[&[u8]],
        block: Range<usize>,
        buffers: &'a mut [[u8; BLOCK_BYTES]; 2],
    ) -> Result<[&'a [u8]; 2], ParityError> {
        let [p, q] = buffers
            .each_mut()
            .map(|buffer| buffer.get_mut(..block.len()).unwrap_or_default());
        let parts = shards
            .iter()
            .map(|shard| shard.get(block.clone()).unwrap_or_default());
        let sources = self.sources(block.len(), parts.enumerate())?;
        self.kernel.write(&sources, Outputs::Both([p, q]))?;
        Ok([p, q])
    }

    /// What the syndromes of one position say.
    fn testimony(&self, p: u8, q: u8) -> Testimony {
        match (p, q) {
            (0, 0) => Testimony::Fine,
            (_, 0) => Testimony::Names {
                role: self.data_shards,
            },
            (0, _) => Testimony::Names {
                role: self.data_shards + 1,
            },
            _ => match field::logarithm_of_quotient(q, p) {
                Some(role) if role < self.data_shards => Testimony::Names { role },
                _ => Testimony::Nobody,
            },
        }
    }
}

fn is_clean(syndromes: &[u8]) -> bool {
    const CLEAN: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
    CLEAN.starts_with(syndromes)
}

/// One contradiction is enough to trust no name.
fn weigh(so_far: Verdict, testimony: Testimony) -> Verdict {
    match (so_far, testimony) {
        (so_far, Testimony::Fine) => so_far,
        (Verdict::Consistent, Testimony::Names { role }) => Verdict::OneBad { role },
        (Verdict::OneBad { role: named }, Testimony::Names { role }) if named == role => so_far,
        (Verdict::OneBad { .. } | Verdict::Unlocatable, Testimony::Names { .. })
        | (_, Testimony::Nobody) => Verdict::Unlocatable,
    }
}

// The roles that a logarithm can name are those that a geometry can have.
const _: () = assert!(
    DATA_SHARDS_MAX < 255,
    "weights in Q repeat after 255 shards"
);
