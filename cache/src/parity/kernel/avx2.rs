//! 32 bytes side by side with AVX2.
//!
//! Doubling is add, compare, and, xor: quicker than the two table look-ups that a multiplication takes.
#![expect(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_add_epi8, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_set1_epi8, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::lane::{self, Lane};
use super::{Outputs, Sources};
use crate::parity::field;

/// Writes what is wanted.
pub(super) fn write(sources: &Sources<'_>, outputs: Outputs<'_>) {
    // SAFETY: a kernel of this kind is made only where the CPU has AVX2; the caller compared the lengths.
    unsafe { with_instructions(sources, outputs) }
}

#[target_feature(enable = "avx2")]
unsafe fn with_instructions(sources: &Sources<'_>, outputs: Outputs<'_>) {
    // SAFETY: this function enables the instructions; the caller compared the lengths.
    unsafe { lane::write::<__m256i>(sources, outputs) }
}

// SAFETY: `load` and `store` touch 32 bytes.
unsafe impl Lane for __m256i {
    const BYTES: usize = 32;
    /// Products with the lower and the upper half of a byte, each table twice: a look-up stays within 128 bits.
    type Factor = (Self, Self);

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller vouches for the instructions and for 32 readable bytes.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller vouches for the instructions and for 32 writable bytes.
        unsafe { _mm256_storeu_si256(to.cast(), self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe { _mm256_xor_si256(self, other) }
    }

    #[inline(always)]
    unsafe fn double(self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            // A byte whose top bit is set is negative: the comparison turns the carry into a mask.
            let carries = _mm256_cmpgt_epi8(_mm256_setzero_si256(), self);
            let reduction = _mm256_set1_epi8(field::REDUCTION.cast_signed());
            let shifted = _mm256_add_epi8(self, self);
            _mm256_xor_si256(shifted, _mm256_and_si256(carries, reduction))
        }
    }

    #[inline(always)]
    unsafe fn factor(element: u8) -> Self::Factor {
        let halves = field::products_of_halves(element);
        // SAFETY: the caller vouches for the instructions; the tables are 16 bytes each.
        unsafe {
            let low = _mm_loadu_si128(halves.low.as_ptr().cast());
            let high = _mm_loadu_si128(halves.high.as_ptr().cast());
            (
                _mm256_broadcastsi128_si256(low),
                _mm256_broadcastsi128_si256(high),
            )
        }
    }

    #[inline(always)]
    unsafe fn multiply(self, (low, high): Self::Factor) -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            let mask = _mm256_set1_epi8(0x0f);
            let low_halves = _mm256_and_si256(self, mask);
            let high_halves = _mm256_and_si256(_mm256_srli_epi16::<4>(self), mask);
            _mm256_xor_si256(
                _mm256_shuffle_epi8(low, low_halves),
                _mm256_shuffle_epi8(high, high_halves),
            )
        }
    }
}
