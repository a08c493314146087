//! 16 bytes side by side with NEON.
#![expect(unsafe_code, reason = "vector instructions")]

use std::arch::aarch64::{
    uint8x16_t, vandq_u8, vdupq_n_u8, veorq_u8, vld1q_u8, vqtbl1q_u8, vreinterpretq_s8_u8,
    vreinterpretq_u8_s8, vshlq_n_u8, vshrq_n_s8, vshrq_n_u8, vst1q_u8,
};

use super::lane::{self, Lane};
use super::{Outputs, Sources};
use crate::parity::field;

/// Writes what is wanted.
pub(super) fn write(sources: &Sources<'_>, outputs: Outputs<'_>) {
    // SAFETY: a kernel of this kind is made only where the CPU has NEON; the caller compared the lengths.
    unsafe { with_instructions(sources, outputs) }
}

#[target_feature(enable = "neon")]
unsafe fn with_instructions(sources: &Sources<'_>, outputs: Outputs<'_>) {
    // SAFETY: this function enables the instructions; the caller compared the lengths.
    unsafe { lane::write::<uint8x16_t>(sources, outputs) }
}

// SAFETY: `load` and `store` touch 16 bytes.
unsafe impl Lane for uint8x16_t {
    const BYTES: usize = 16;
    /// Products with the lower and the upper half of a byte.
    type Factor = (Self, Self);

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe { vdupq_n_u8(0) }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller vouches for the instructions and for 16 readable bytes.
        unsafe { vld1q_u8(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller vouches for the instructions and for 16 writable bytes.
        unsafe { vst1q_u8(to, self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe { veorq_u8(self, other) }
    }

    #[inline(always)]
    unsafe fn double(self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            // Shifted with its sign, the top bit fills the byte: the carry becomes a mask.
            let carries = vreinterpretq_u8_s8(vshrq_n_s8::<7>(vreinterpretq_s8_u8(self)));
            let reduction = vandq_u8(carries, vdupq_n_u8(field::REDUCTION));
            veorq_u8(vshlq_n_u8::<1>(self), reduction)
        }
    }

    #[inline(always)]
    unsafe fn factor(element: u8) -> Self::Factor {
        let halves = field::products_of_halves(element);
        // SAFETY: the caller vouches for the instructions; the tables are 16 bytes each.
        unsafe {
            (
                vld1q_u8(halves.low.as_ptr()),
                vld1q_u8(halves.high.as_ptr()),
            )
        }
    }

    #[inline(always)]
    unsafe fn multiply(self, (low, high): Self::Factor) -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            let low_halves = vandq_u8(self, vdupq_n_u8(0x0f));
            let high_halves = vshrq_n_u8::<4>(self);
            veorq_u8(vqtbl1q_u8(low, low_halves), vqtbl1q_u8(high, high_halves))
        }
    }
}
