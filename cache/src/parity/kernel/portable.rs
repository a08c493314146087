//! Plain integers: eight bytes side by side in a `u64`, and single bytes for what is left over.
//!
//! Every CPU runs these, all other kernels end with them, and the tests hold all other kernels against them.
#![expect(
    unsafe_code,
    reason = "the trait loads and stores through pointers, so that one algorithm serves all kernels"
)]

use super::lane::{self, Lane};
use super::{Outputs, Sources};
use crate::parity::field;

/// One in each of eight bytes.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Writes what is wanted.
pub(super) fn write(sources: &Sources<'_>, outputs: Outputs<'_>) {
    // SAFETY: integers need no special instructions; the caller compared the lengths.
    unsafe { lane::write::<u64>(sources, outputs) }
}

// SAFETY: `load` and `store` touch eight bytes.
unsafe impl Lane for u64 {
    const BYTES: usize = 8;
    /// What each bit of an element contributes to the product.
    type Factor = [Self; 8];

    #[inline(always)]
    unsafe fn zero() -> Self {
        0
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller has eight readable bytes there.
        unsafe { from.cast::<Self>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller has eight writable bytes there.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self ^ other
    }

    #[inline(always)]
    unsafe fn double(self) -> Self {
        let carries = (self >> 7) & ONES;
        // The top bit of each byte is cut off before it moves into the next byte; a carry of 1 times the rest of the
        // polynomial stays within its byte.
        ((self & (ONES * 0x7f)) << 1) ^ (carries * u64::from(field::REDUCTION))
    }

    #[inline(always)]
    unsafe fn factor(element: u8) -> Self::Factor {
        let mut bit = 0x80_u8;
        [(); 8].map(|()| {
            bit = bit.rotate_left(1);
            Self::from(field::multiply(element, bit))
        })
    }

    #[inline(always)]
    unsafe fn multiply(self, contributions: Self::Factor) -> Self {
        let mut product = 0;
        for (bit, contribution) in contributions.into_iter().enumerate() {
            // 0 or 1 in each byte times at most 255: no byte overflows into the next.
            product ^= ((self >> bit) & ONES) * contribution;
        }
        product
    }
}

// SAFETY: `load` and `store` touch one byte.
unsafe impl Lane for u8 {
    const BYTES: usize = 1;
    type Factor = Self;

    #[inline(always)]
    unsafe fn zero() -> Self {
        0
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller has a readable byte there.
        unsafe { from.read() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller has a writable byte there.
        unsafe { to.write(self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self ^ other
    }

    #[inline(always)]
    unsafe fn double(self) -> Self {
        field::double(self)
    }

    #[inline(always)]
    unsafe fn factor(element: u8) -> Self::Factor {
        element
    }

    #[inline(always)]
    unsafe fn multiply(self, factor: Self::Factor) -> Self {
        field::multiply(self, factor)
    }
}
