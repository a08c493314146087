//! Digests of a body that passes by.

use md5::Md5;
use sha2::{Digest, Sha256};

/// Which digests are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithms {
    /// sha256.
    Sha256,
    /// sha256 and md5: for archives that publish nothing better.
    Sha256AndMd5,
}

/// The digests of a whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundDigests {
    /// sha256.
    pub sha256: [u8; 32],
    /// md5, where it was asked for.
    pub md5: Option<[u8; 16]>,
}

/// sha256, and md5 where it is asked for, of bytes in order.
#[derive(Debug, Clone)]
pub struct BodyDigests {
    sha256: Sha256,
    md5: Option<Md5>,
}

impl BodyDigests {
    /// Of nothing yet.
    #[must_use]
    pub fn new(algorithms: Algorithms) -> Self {
        Self {
            sha256: Sha256::new(),
            md5: (algorithms == Algorithms::Sha256AndMd5).then(Md5::new),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    /// The digests of everything.
    #[must_use]
    pub fn finish(self) -> FoundDigests {
        FoundDigests {
            sha256: self.sha256.finalize().into(),
            md5: self.md5.map(|md5| md5.finalize().into()),
        }
    }
}

/// As lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

/// Exactly `N` bytes from hexadecimal digits, in either case.
#[must_use]
pub fn from_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let (pairs, odd) = digits.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok())
        .collect();
    bytes.filter(|_| odd.is_empty())?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_have_exactly_their_digits() {
        let check = |digits: &str, expected: Option<[u8; 2]>| {
            assert_eq!(from_hex::<2>(digits), expected, "{digits:?}");
        };
        check("01fF", Some([1, 255]));
        check("", None);
        check("01f", None);
        check("01ff0", None);
        check("01ff00", None);
        check("01fg", None);
        check("+1ff", None);
        check("01f\u{e9}", None);
    }

    #[test]
    fn digests_of_pieces_are_those_of_the_whole() {
        let mut digests = BodyDigests::new(Algorithms::Sha256AndMd5);
        digests.update(b"a");
        digests.update(b"bc");
        let found = digests.finish();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&found.sha256), sha256);
        assert_eq!(hex(&found.md5.unwrap()), "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn md5_is_computed_only_when_asked_for() {
        assert_eq!(BodyDigests::new(Algorithms::Sha256).finish().md5, None);
    }
}
