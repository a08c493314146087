//! 64 bytes side by side with AVX-512 and GFNI.
//!
//! GF2P8MULB multiplies modulo another polynomial (0x11B), so every product, a doubling too, is GF2P8AFFINEQB with the
//! matrix of the factor: one instruction whatever the factor is.
#![expect(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::{
    __m512i, _mm512_gf2p8affine_epi64_epi8, _mm512_loadu_si512, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_storeu_si512, _mm512_xor_si512,
};

use super::lane::{self, Lane};
use super::{Outputs, Sources};
use crate::parity::field;

/// Multiplies by the generator.
const DOUBLE: u64 = field::bit_matrix(2);

/// Writes what is wanted.
pub(super) fn write(sources: &Sources<'_>, outputs: Outputs<'_>) {
    // SAFETY: a kernel of this kind is made only where the CPU has both; the caller compared the lengths.
    unsafe { with_instructions(sources, outputs) }
}

#[target_feature(enable = "avx512f,gfni")]
unsafe fn with_instructions(sources: &Sources<'_>, outputs: Outputs<'_>) {
    // SAFETY: this function enables the instructions; the caller compared the lengths.
    unsafe { lane::write::<__m512i>(sources, outputs) }
}

// SAFETY: `load` and `store` touch 64 bytes.
unsafe impl Lane for __m512i {
    const BYTES: usize = 64;
    /// The matrix of the factor, once per eight bytes.
    type Factor = Self;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller vouches for the instructions and for 64 readable bytes.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller vouches for the instructions and for 64 writable bytes.
        unsafe { _mm512_storeu_si512(to.cast(), self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe { _mm512_xor_si512(self, other) }
    }

    #[inline(always)]
    unsafe fn double(self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            let matrix = _mm512_set1_epi64(DOUBLE.cast_signed());
            _mm512_gf2p8affine_epi64_epi8::<0>(self, matrix)
        }
    }

    #[inline(always)]
    unsafe fn factor(element: u8) -> Self::Factor {
        // SAFETY: the caller vouches for the instructions.
        unsafe { _mm512_set1_epi64(field::bit_matrix(element).cast_signed()) }
    }

    #[inline(always)]
    unsafe fn multiply(self, factor: Self::Factor) -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe { _mm512_gf2p8affine_epi64_epi8::<0>(self, factor) }
    }
}
