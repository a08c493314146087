//! Arithmetic in GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11D) and the generator 2.
//!
//! Addition is XOR, so every element is its own negative. The tables are made by the compiler; they serve the few
//! scalars of a reconstruction and the bytes of a location, never the bulk of a unit: that is [`super::kernel`].
#![expect(
    clippy::indexing_slicing,
    reason = "tables of 256 are indexed with bytes, those of the exponentials with at most the sum of two logarithms"
)]

/// What remains of the polynomial after its leading term is cut off.
pub(super) const REDUCTION: u8 = 0x1d;

/// Elements that are not zero: the powers of the generator repeat after so many.
const ORDER: usize = 255;

/// `EXPONENTIAL[i]` is the generator to the power i; written twice, so that a sum of two logarithms needs no modulo.
const EXPONENTIAL: [u8; 2 * ORDER] = exponential();

/// `LOGARITHM[x]` is i where x is the generator to the power i; nothing meaningful for 0.
const LOGARITHM: [u8; 256] = logarithm();

const fn exponential() -> [u8; 2 * ORDER] {
    let mut table = [0; 2 * ORDER];
    let mut power = 1;
    let mut index = 0;
    while index < table.len() {
        table[index] = power;
        power = double(power);
        index += 1;
    }
    table
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the logarithm is below 255"
)]
const fn logarithm() -> [u8; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < ORDER {
        table[EXPONENTIAL[index] as usize] = index as u8;
        index += 1;
    }
    table
}

/// Times the generator.
pub(super) const fn double(element: u8) -> u8 {
    let carry = if element & 0x80 == 0 { 0 } else { REDUCTION };
    (element << 1) ^ carry
}

/// The product.
pub(super) const fn multiply(left: u8, right: u8) -> u8 {
    if left == 0 || right == 0 {
        return 0;
    }
    EXPONENTIAL[LOGARITHM[left as usize] as usize + LOGARITHM[right as usize] as usize]
}

/// The element whose product with this one is 1; 0 for 0, which has none.
pub(super) const fn inverse(element: u8) -> u8 {
    if element == 0 {
        return 0;
    }
    EXPONENTIAL[ORDER - LOGARITHM[element as usize] as usize]
}

/// The generator to this power: the weight of the data shard with this index in Q.
pub(super) const fn power(exponent: usize) -> u8 {
    EXPONENTIAL[exponent % ORDER]
}

/// The exponent that makes `numerator ÷ denominator` of the generator; None if either is 0.
pub(super) const fn logarithm_of_quotient(numerator: u8, denominator: u8) -> Option<usize> {
    if numerator == 0 || denominator == 0 {
        return None;
    }
    let difference =
        ORDER + LOGARITHM[numerator as usize] as usize - LOGARITHM[denominator as usize] as usize;
    Some(difference % ORDER)
}

/// The products of one factor with every half byte: what the table look-ups of the vector kernels need.
pub(super) const fn products_of_halves(factor: u8) -> HalfProducts {
    let mut halves = HalfProducts {
        low: [0; 16],
        high: [0; 16],
    };
    let mut half = 0_u8;
    while half < 16 {
        halves.low[half as usize] = multiply(factor, half);
        halves.high[half as usize] = multiply(factor, half << 4);
        half += 1;
    }
    halves
}

/// `factor × x` is `low[x & 15] + high[x >> 4]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct HalfProducts {
    /// By the lower four bits.
    pub(super) low: [u8; 16],
    /// By the upper four bits.
    pub(super) high: [u8; 16],
}

/// The multiplication by one factor as an 8×8 matrix of bits, as GF2P8AFFINEQB wants it: the row that makes bit 0 of the
/// result stands in the most significant byte, and bit j of a row says whether bit j of the operand takes part.
pub(super) const fn bit_matrix(factor: u8) -> u64 {
    let mut matrix = 0;
    let mut column = 0;
    while column < 8 {
        let image = multiply(factor, 1 << column);
        let mut row = 0;
        while row < 8 {
            if image >> row & 1 == 1 {
                matrix |= 1_u64 << (8 * (7 - row) + column);
            }
            row += 1;
        }
        column += 1;
    }
    matrix
}

#[cfg(test)]
mod tests {
    use reed_solomon_erasure::galois_8;

    use super::*;

    /// Long multiplication of polynomials, bit by bit: knows no table.
    fn multiply_bitwise(left: u8, right: u8) -> u8 {
        let mut product = 0;
        let mut shifted = left;
        for bit in 0..8 {
            if right >> bit & 1 == 1 {
                product ^= shifted;
            }
            shifted = double(shifted);
        }
        product
    }

    /// What GF2P8AFFINEQB does to one byte, as the manual's pseudocode says.
    fn apply(matrix: u64, element: u8) -> u8 {
        let rows = matrix.to_le_bytes();
        (0..8).fold(0, |result, bit| {
            let parity = (rows[7 - bit] & element).count_ones() as u8 & 1;
            result | parity << bit
        })
    }

    #[test]
    fn tables_bits_and_another_implementation_multiply_alike() {
        for left in 0..=255_u8 {
            let halves = products_of_halves(left);
            let matrix = bit_matrix(left);
            for right in 0..=255_u8 {
                let expected = multiply_bitwise(left, right);
                let by_halves = halves.low[right as usize & 15] ^ halves.high[right as usize >> 4];
                assert_eq!(multiply(left, right), expected, "{left} × {right}");
                assert_eq!(galois_8::mul(left, right), expected, "{left} × {right}");
                assert_eq!(by_halves, expected, "{left} × {right}");
                assert_eq!(apply(matrix, right), expected, "{left} × {right}");
            }
        }
    }

    #[test]
    fn powers_of_the_generator_visit_every_element_once() {
        let mut seen = std::collections::BTreeSet::new();
        for exponent in 0..255 {
            assert_eq!(power(exponent), galois_8::exp(2, exponent));
            assert!(
                seen.insert(power(exponent)),
                "2^{exponent} was there before"
            );
        }
        assert!(!seen.contains(&0));
        assert_eq!(power(255), 1);
    }

    #[test]
    fn inverses_and_logarithms_undo() {
        assert_eq!(inverse(0), 0);
        for element in 1..=255_u8 {
            assert_eq!(multiply_bitwise(element, inverse(element)), 1, "{element}");
            for exponent in 0..255 {
                let product = multiply(element, power(exponent));
                assert_eq!(logarithm_of_quotient(product, element), Some(exponent));
            }
        }
        assert_eq!(logarithm_of_quotient(0, 1), None);
        assert_eq!(logarithm_of_quotient(1, 0), None);
    }
}
