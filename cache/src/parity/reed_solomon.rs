//! Codes with other parity counts than two, by the matrix and the field of reed-solomon-erasure.
//!
//! The crate supplies what defines the code on disk: its systematic Vandermonde matrix, and the multiplication of whole
//! slices. Its own reconstruction is not used, because it wants all shards mutable and allocates; solving for at most
//! [`PARITY_SHARDS_MAX`] unknowns is short, and the tests compare the two.
//!
//! No vector instructions: about 1.7 GB/s. P+Q is the code for those who want speed.

use reed_solomon_erasure::galois_8::{self, mul_slice, mul_slice_xor};

use super::shard::{Shard, Sorted, check_count, check_length};
use super::{
    DATA_SHARDS_MAX, PARITY_SHARDS_MAX, ParityError, ParityShards, ROLES_MAX, Verdict, field,
};

/// Parity is recomputed for so many bytes at a time when shards are compared: a buffer on the stack.
const BLOCK_BYTES: usize = 4096;

/// How much each shard, by role, counts in a sum.
type Weights = [u8; ROLES_MAX];

/// A square matrix with as many rows in use as there are unknowns.
type Square = [[u8; PARITY_SHARDS_MAX]; PARITY_SHARDS_MAX];

/// A Reed–Solomon code over a given number of data shards.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReedSolomon {
    data_shards: usize,
    parity_shards: usize,
    /// What each parity shard is made of; zero for roles that are not data.
    rows: [Weights; PARITY_SHARDS_MAX],
}

impl ReedSolomon {
    /// The caller has checked the number of data shards.
    pub(super) fn new(data_shards: usize, count: ParityShards) -> Result<Self, ParityError> {
        let parity_shards = usize::from(count.0);
        let refused = |_| ParityError::DataShards { data_shards };
        let code = galois_8::ReedSolomon::new(data_shards, parity_shards).map_err(refused)?;
        // The crate keeps its matrix to itself, but the parity of a unit vector is a column of it.
        let mut rows = [[0; ROLES_MAX]; PARITY_SHARDS_MAX];
        for column in 0..data_shards {
            let mut unit = [[0_u8]; DATA_SHARDS_MAX];
            set(&mut unit, column, [1]);
            let mut parity = [[0_u8]; PARITY_SHARDS_MAX];
            let unit = unit.get(..data_shards).unwrap_or_default();
            let made = parity.get_mut(..parity_shards).unwrap_or_default();
            code.encode_sep(unit, made).map_err(refused)?;
            for (row, [weight]) in rows.iter_mut().zip(parity) {
                set(row, column, weight);
            }
        }
        Ok(Self {
            data_shards,
            parity_shards,
            rows,
        })
    }

    pub(super) fn encode(
        &self,
        data: &[&[u8]],
        parity: &mut [&mut [u8]],
    ) -> Result<(), ParityError> {
        check_count(data.len(), self.data_shards)?;
        check_count(parity.len(), self.parity_shards)?;
        let bytes = data.first().map_or(0, |shard| shard.len());
        let lengths = data.iter().map(|shard| shard.len());
        for found in lengths.chain(parity.iter().map(|shard| shard.len())) {
            check_length(found, bytes)?;
        }
        for (row, output) in self.rows.iter().zip(parity) {
            sum(row, data.iter().copied().enumerate(), output);
        }
        Ok(())
    }

    pub(super) fn reconstruct(&self, shards: &mut [Shard<'_>]) -> Result<(), ParityError> {
        let mut sorted = Sorted::new(shards, self.data_shards, self.parity_shards)?;
        let data = self.solutions(&sorted);
        for role in 0..self.data_shards + self.parity_shards {
            let Some(output) = sorted.take_wanted(role) else {
                continue;
            };
            let weights = if role < self.data_shards {
                get(&data, role)
            } else {
                self.parity_weights(role - self.data_shards, &data)
            };
            sum(&weights, sorted.present(), output);
        }
        Ok(())
    }

    pub(super) fn locate(&self, shards: &[&[u8]]) -> Result<Verdict, ParityError> {
        check_count(shards.len(), self.data_shards + self.parity_shards)?;
        let bytes = shards.first().map_or(0, |shard| shard.len());
        for shard in shards {
            check_length(shard.len(), bytes)?;
        }
        let (data, parity) = shards.split_at(self.data_shards);
        let mut block = [0; BLOCK_BYTES];
        for (row, shard) in self.rows.iter().zip(parity) {
            for (index, found) in shard.chunks(BLOCK_BYTES).enumerate() {
                let at = index * BLOCK_BYTES;
                let parts = data
                    .iter()
                    .enumerate()
                    .filter_map(|(role, shard)| Some((role, shard.get(at..at + found.len())?)));
                let expected = block.get_mut(..found.len()).unwrap_or_default();
                sum(row, parts, expected);
                if expected != found {
                    return Ok(Verdict::Unlocatable);
                }
            }
        }
        Ok(Verdict::Consistent)
    }

    /// What each data shard is made of, in terms of the shards that are there: itself where it is there.
    fn solutions(&self, sorted: &Sorted<'_>) -> [Weights; DATA_SHARDS_MAX] {
        let mut solutions = [[0; ROLES_MAX]; DATA_SHARDS_MAX];
        for (role, _) in sorted.present() {
            if let Some(weights) = solutions.get_mut(role) {
                set(weights, role, 1);
            }
        }
        // As many equations as unknowns: there are enough, because no more shards are missing than there are parities.
        let unknowns = || sorted.missing().filter(|role| *role < self.data_shards);
        let rows = || {
            let parities = self.rows.iter().enumerate();
            parities.filter_map(|(index, row)| {
                let role = self.data_shards + index;
                get(&sorted.present, role).map(|_| (role, row))
            })
        };
        let mut coefficients = Square::default();
        for ((_, row), equation) in rows().zip(&mut coefficients) {
            for (role, coefficient) in unknowns().zip(equation) {
                *coefficient = get(row, role);
            }
        }
        let inverse = invert(coefficients, unknowns().count());
        for (unknown, factors) in unknowns().zip(inverse) {
            let Some(solution) = solutions.get_mut(unknown) else {
                continue;
            };
            for ((role, row), factor) in rows().zip(factors) {
                // The right side of an equation: the parity, and all of its data shards that are there.
                set(solution, role, factor);
                for (present, _) in sorted
                    .present()
                    .filter(|(role, _)| *role < self.data_shards)
                {
                    let before = get(solution, present);
                    let share = field::multiply(factor, get(row, present));
                    set(solution, present, before ^ share);
                }
            }
        }
        solutions
    }

    /// What a parity shard is made of, where some of its data shards are combinations of others.
    fn parity_weights(&self, index: usize, data: &[Weights; DATA_SHARDS_MAX]) -> Weights {
        let mut weights = [0; ROLES_MAX];
        for (factor, made_of) in get(&self.rows, index).into_iter().zip(data) {
            for (weight, share) in weights.iter_mut().zip(made_of) {
                *weight ^= field::multiply(factor, *share);
            }
        }
        weights
    }
}

/// Overwrites the output with the weighted sum.
fn sum<'a>(weights: &Weights, shards: impl Iterator<Item = (usize, &'a [u8])>, output: &mut [u8]) {
    let mut is_first = true;
    for (role, shard) in shards {
        match get(weights, role) {
            0 => {}
            weight if is_first => {
                mul_slice(weight, shard, output);
                is_first = false;
            }
            weight => mul_slice_xor(weight, shard, output),
        }
    }
    if is_first {
        output.fill(0);
    }
}

/// The inverse of the upper left corner, by Gauss and Jordan. It exists: any k rows of the code's matrix are
/// independent.
fn invert(mut matrix: Square, size: usize) -> Square {
    let mut inverse = Square::default();
    for (index, row) in inverse.iter_mut().enumerate() {
        set(row, index, 1);
    }
    for pivot in 0..size {
        let is_usable = |row: &usize| get(&get(&matrix, *row), pivot) != 0;
        let Some(found) = (pivot..size).find(is_usable) else {
            continue;
        };
        matrix.swap(pivot, found);
        inverse.swap(pivot, found);
        let factor = field::inverse(get(&get(&matrix, pivot), pivot));
        for square in [&mut matrix, &mut inverse] {
            let scaled = get(square, pivot).map(|weight| field::multiply(weight, factor));
            set(square, pivot, scaled);
        }
        for row in (0..size).filter(|row| *row != pivot) {
            let factor = get(&get(&matrix, row), pivot);
            for square in [&mut matrix, &mut inverse] {
                let mut reduced = get(square, row);
                for (weight, of_pivot) in reduced.iter_mut().zip(get(square, pivot)) {
                    *weight ^= field::multiply(factor, of_pivot);
                }
                set(square, row, reduced);
            }
        }
    }
    inverse
}

/// An entry of a small table; zero beyond its end.
fn get<T: Copy + Default>(table: &[T], index: usize) -> T {
    table.get(index).copied().unwrap_or_default()
}

/// Changes an entry of a small table; does nothing beyond its end.
fn set<T>(table: &mut [T], index: usize, value: T) {
    if let Some(entry) = table.get_mut(index) {
        *entry = value;
    }
}
