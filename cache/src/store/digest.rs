//! Digests of a body that arrives in pieces, and what they are compared with.
//!
//! sha256 is computed where the settings say so; both are computed where somebody expects one. md5 proves nothing
//! against an attacker: it is there because old archives publish nothing else.

use crate::digest::hex;
use crate::object::Digests;
use md5::Md5;
use sha2::{Digest, Sha256};
use weir_policies::effect::ExpectedDigests;

/// The running digests of one body.
#[derive(Debug)]
pub(crate) struct Digesting {
    sha256: Option<Sha256>,
    md5: Option<Md5>,
    expected: ExpectedDigests,
}

/// A body that is not what was published. Each as `algorithm:hex`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(super) expected: String,
    pub(super) found: String,
}

impl Digesting {
    /// `sha256_of_all`: whether a sha256 is wanted although nobody expects one.
    pub(crate) fn new(expected: ExpectedDigests, sha256_of_all: bool) -> Self {
        let wants_sha256 = sha256_of_all || expected.sha256.is_some();
        Self {
            sha256: wants_sha256.then(Sha256::new),
            md5: expected.md5.is_some().then(Md5::new),
            expected,
        }
    }

    /// Takes the next piece.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(piece);
        }
        if let Some(md5) = &mut self.md5 {
            md5.update(piece);
        }
    }

    /// Of the pieces so far; a copy of the state is finished, the state goes on.
    pub(super) fn sha256_so_far(&self) -> Option<[u8; 32]> {
        let sha256 = self.sha256.clone()?;
        Some(sha256.finalize().into())
    }

    /// The digests of the whole body, if they are what was expected.
    pub(crate) fn finish(&mut self) -> Result<Digests, Mismatch> {
        let digests = Digests {
            sha256: self.sha256.take().map(|digest| digest.finalize().into()),
            md5: self.md5.take().map(|digest| digest.finalize().into()),
        };
        compare("sha256", self.expected.sha256, digests.sha256)?;
        compare("md5", self.expected.md5, digests.md5)?;
        Ok(digests)
    }
}

fn compare<const N: usize>(
    algorithm: &str,
    expected: Option<[u8; N]>,
    found: Option<[u8; N]>,
) -> Result<(), Mismatch> {
    if expected.is_none() || expected == found {
        return Ok(());
    }
    Err(Mismatch {
        expected: named(algorithm, &expected.unwrap_or([0; N])),
        found: found.map_or_else(|| "nothing".to_owned(), |found| named(algorithm, &found)),
    })
}

fn named(algorithm: &str, digest: &[u8]) -> String {
    format!("{algorithm}:{}", hex(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC_MD5: [u8; 16] = [
        0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0, 0xd6, 0x96, 0x3f, 0x7d, 0x28, 0xe1, 0x7f,
        0x72,
    ];

    fn finished(expected: ExpectedDigests, sha256_of_all: bool) -> Result<Digests, Mismatch> {
        let mut digesting = Digesting::new(expected, sha256_of_all);
        digesting.update(b"a");
        digesting.update(b"bc");
        digesting.finish()
    }

    #[test]
    fn only_what_is_asked_for_is_computed() {
        let nothing = ExpectedDigests::default();
        assert_eq!(finished(nothing, false), Ok(Digests::default()));
        assert!(finished(nothing, true).unwrap().sha256.is_some());
        let md5 = ExpectedDigests {
            md5: Some(ABC_MD5),
            ..nothing
        };
        let digests = finished(md5, false).unwrap();
        assert_eq!((digests.sha256, digests.md5), (None, Some(ABC_MD5)));
    }

    #[test]
    fn a_mismatch_says_both() {
        let expected = ExpectedDigests {
            md5: Some([0; 16]),
            sha256: None,
        };
        let mismatch = finished(expected, false).unwrap_err();
        assert_eq!(mismatch.expected, format!("md5:{}", "0".repeat(32)));
        assert_eq!(mismatch.found, "md5:900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn the_digest_so_far_does_not_disturb_the_final_one() {
        let mut digesting = Digesting::new(ExpectedDigests::default(), true);
        digesting.update(b"a");
        let early = digesting.sha256_so_far().unwrap();
        digesting.update(b"bc");
        assert_ne!(digesting.sha256_so_far(), Some(early));
        let whole = finished(ExpectedDigests::default(), true).unwrap();
        assert_eq!(digesting.sha256_so_far(), whole.sha256);
        assert_eq!(digesting.finish(), Ok(whole));
    }
}
