//! The one algorithm of all kernels, generic over a vector of bytes.
//!
//! Everything here is inlined into the function of a kernel that enables its instructions; that, and not the functions
//! here, is where machine code is made. So whatever handles vectors by value is `inline(always)`, and the loop passes none
//! through a closure, which might stay a call. Pointers instead of slices, because a bounds check per shard and vector is
//! a measurable part of so short a loop.
#![expect(
    unsafe_code,
    reason = "vector instructions and pointers into slices whose lengths were compared once"
)]

use super::{Outputs, Sources, Weights};

/// Bytes that are computed with side by side, each an element of the field.
///
/// # Safety
/// `load` and `store` touch exactly `BYTES` bytes. Every method may only be called on a CPU with the instructions of the
/// implementation.
pub(super) unsafe trait Lane: Copy {
    /// Elements in one.
    const BYTES: usize;
    /// A factor, prepared for being multiplied with often.
    type Factor: Copy;

    /// All zero.
    unsafe fn zero() -> Self;
    /// Reads `BYTES` bytes, aligned or not.
    unsafe fn load(from: *const u8) -> Self;
    /// Writes `BYTES` bytes, aligned or not.
    unsafe fn store(self, to: *mut u8);
    /// The sum: XOR.
    unsafe fn add(self, other: Self) -> Self;
    /// Times the generator.
    unsafe fn double(self) -> Self;
    /// Prepares a factor.
    unsafe fn factor(element: u8) -> Self::Factor;
    /// Times a factor.
    unsafe fn multiply(self, factor: Self::Factor) -> Self;
}

/// Where results go. Its methods are as unsafe as those of the lane.
trait Target: Copy {
    /// Whether the weighted sum is looked at; where not, it is not formed.
    const IS_WEIGHTED: bool;
    /// What is prepared once for all vectors.
    type Factors<L: Lane>: Copy;

    unsafe fn factors<L: Lane>(self) -> Self::Factors<L>;
    /// Writes the vector `at` bytes from the beginning.
    unsafe fn store<L: Lane>(self, factors: Self::Factors<L>, sums: Sums<L>, at: usize);
}

/// The two sums, of one vector or of some abreast.
#[derive(Clone, Copy)]
struct Sums<L> {
    plain: L,
    weighted: L,
}

/// Writes the outputs, as far as vectors of this kind reach, then the rest in narrower ones.
///
/// # Safety
/// The CPU has the instructions of the lane, and each output is as long as the sources.
#[inline(always)]
pub(super) unsafe fn write<L: Lane>(sources: &Sources<'_>, outputs: Outputs<'_>) {
    // SAFETY: the caller vouches for both; the pointers come from exclusive borrows that live through the calls.
    unsafe {
        match outputs {
            Outputs::Plain(output) => sweep::<L, _>(sources, Plain(output.as_mut_ptr())),
            Outputs::Both([plain, weighted]) => {
                sweep::<L, _>(sources, Both([plain.as_mut_ptr(), weighted.as_mut_ptr()]));
            }
            Outputs::One(weights, output) => {
                sweep::<L, _>(sources, One(weights, output.as_mut_ptr()));
            }
            Outputs::OneAndRest(weights, [one, rest]) => {
                let one = One(weights, one.as_mut_ptr());
                sweep::<L, _>(sources, OneAndRest(one, rest.as_mut_ptr()));
            }
        }
    }
}

/// From the first byte to the last.
#[inline(always)]
unsafe fn sweep<L: Lane, T: Target>(sources: &Sources<'_>, target: T) {
    // SAFETY: as the caller vouches; each walk begins where the one before it ended, which is never past the end.
    unsafe {
        // Four vectors at a time: the additions and doublings of one wait for nothing of the others, and all sums still
        // fit into 16 registers. Measured against two: a third more.
        let at = walk::<L, T, 4>(sources, target, 0);
        let at = walk::<L, T, 1>(sources, target, at);
        let at = walk::<u64, T, 1>(sources, target, at);
        walk::<u8, T, 1>(sources, target, at);
    }
}

/// Takes `ABREAST` vectors at a time while that many are left, and returns where it stopped.
#[inline(always)]
unsafe fn walk<L: Lane, T: Target, const ABREAST: usize>(
    sources: &Sources<'_>,
    target: T,
    start: usize,
) -> usize {
    let step = ABREAST * L::BYTES;
    let mut at = start;
    // SAFETY: the loop keeps `at + step` within the length, which every source and output has.
    unsafe {
        let factors = target.factors::<L>();
        while sources.bytes - at >= step {
            let sums = sum::<L, T, ABREAST>(sources, at);
            let pairs = sums.plain.iter().zip(&sums.weighted).enumerate();
            for (index, (&plain, &weighted)) in pairs {
                target.store(factors, Sums { plain, weighted }, at + index * L::BYTES);
            }
            at += step;
        }
    }
    at
}

/// The sums over all sources of the vectors that begin `at` bytes from their beginnings.
#[inline(always)]
unsafe fn sum<L: Lane, T: Target, const ABREAST: usize>(
    sources: &Sources<'_>,
    at: usize,
) -> Sums<[L; ABREAST]> {
    let mut shards = sources.data.iter().take(sources.data_shards).rev();
    // SAFETY: the caller keeps all vectors within the length, which every source has.
    unsafe {
        // Horner's rule begins with the last shard as it is.
        let mut plain = match shards.next() {
            Some(Some(bytes)) => load::<L, ABREAST>(bytes, at),
            Some(None) | None => [L::zero(); ABREAST],
        };
        let mut weighted = plain;
        for shard in shards {
            if T::IS_WEIGHTED {
                double(&mut weighted);
            }
            if let Some(bytes) = shard {
                let vectors = load(bytes, at);
                add(&mut plain, vectors);
                if T::IS_WEIGHTED {
                    add(&mut weighted, vectors);
                }
            }
        }
        if let Some(bytes) = sources.p {
            add(&mut plain, load(bytes, at));
        }
        if let (true, Some(bytes)) = (T::IS_WEIGHTED, sources.q) {
            add(&mut weighted, load(bytes, at));
        }
        Sums { plain, weighted }
    }
}

#[inline(always)]
unsafe fn load<L: Lane, const ABREAST: usize>(bytes: &[u8], at: usize) -> [L; ABREAST] {
    // SAFETY: the caller vouches for the instructions and keeps the vectors within the bytes.
    unsafe {
        let mut vectors = [L::zero(); ABREAST];
        for (index, vector) in vectors.iter_mut().enumerate() {
            *vector = L::load(bytes.as_ptr().add(at + index * L::BYTES));
        }
        vectors
    }
}

#[inline(always)]
unsafe fn add<L: Lane, const ABREAST: usize>(sums: &mut [L; ABREAST], vectors: [L; ABREAST]) {
    for (sum, vector) in sums.iter_mut().zip(&vectors) {
        // SAFETY: the caller vouches for the instructions.
        *sum = unsafe { sum.add(*vector) };
    }
}

#[inline(always)]
unsafe fn double<L: Lane, const ABREAST: usize>(sums: &mut [L; ABREAST]) {
    for sum in sums {
        // SAFETY: the caller vouches for the instructions.
        *sum = unsafe { sum.double() };
    }
}

/// The plain sum.
#[derive(Clone, Copy)]
struct Plain(*mut u8);

impl Target for Plain {
    const IS_WEIGHTED: bool = false;
    type Factors<L: Lane> = ();

    #[inline(always)]
    unsafe fn factors<L: Lane>(self) {}

    #[inline(always)]
    unsafe fn store<L: Lane>(self, (): (), sums: Sums<L>, at: usize) {
        // SAFETY: the caller keeps the vector within the output.
        unsafe { sums.plain.store(self.0.add(at)) }
    }
}

/// The plain and the weighted sum.
#[derive(Clone, Copy)]
struct Both([*mut u8; 2]);

impl Target for Both {
    const IS_WEIGHTED: bool = true;
    type Factors<L: Lane> = ();

    #[inline(always)]
    unsafe fn factors<L: Lane>(self) {}

    #[inline(always)]
    unsafe fn store<L: Lane>(self, (): (), sums: Sums<L>, at: usize) {
        let Self([plain, weighted]) = self;
        // SAFETY: the caller keeps the vector within the outputs.
        unsafe {
            sums.plain.store(plain.add(at));
            sums.weighted.store(weighted.add(at));
        }
    }
}

/// A combination of the two sums.
#[derive(Clone, Copy)]
struct One(Weights, *mut u8);

impl One {
    #[inline(always)]
    unsafe fn combine<L: Lane>((plain, weighted): (L::Factor, L::Factor), sums: Sums<L>) -> L {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            sums.plain
                .multiply(plain)
                .add(sums.weighted.multiply(weighted))
        }
    }
}

impl Target for One {
    const IS_WEIGHTED: bool = true;
    type Factors<L: Lane> = (L::Factor, L::Factor);

    #[inline(always)]
    unsafe fn factors<L: Lane>(self) -> Self::Factors<L> {
        // SAFETY: the caller vouches for the instructions.
        unsafe { (L::factor(self.0.plain), L::factor(self.0.weighted)) }
    }

    #[inline(always)]
    unsafe fn store<L: Lane>(self, factors: Self::Factors<L>, sums: Sums<L>, at: usize) {
        // SAFETY: the caller vouches for the instructions and keeps the vector within the output.
        unsafe { Self::combine(factors, sums).store(self.1.add(at)) }
    }
}

/// A combination, and what it leaves of the plain sum.
#[derive(Clone, Copy)]
struct OneAndRest(One, *mut u8);

impl Target for OneAndRest {
    const IS_WEIGHTED: bool = true;
    type Factors<L: Lane> = (L::Factor, L::Factor);

    #[inline(always)]
    unsafe fn factors<L: Lane>(self) -> Self::Factors<L> {
        // SAFETY: the caller vouches for the instructions.
        unsafe { self.0.factors::<L>() }
    }

    #[inline(always)]
    unsafe fn store<L: Lane>(self, factors: Self::Factors<L>, sums: Sums<L>, at: usize) {
        // SAFETY: the caller vouches for the instructions and keeps the vector within the outputs.
        unsafe {
            let one = One::combine(factors, sums);
            one.store(self.0.1.add(at));
            sums.plain.add(one).store(self.1.add(at));
        }
    }
}
