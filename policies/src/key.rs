//! The identity of a cached resource: sha256 over a version, the namespace, the followed mark and the normal URL,
//! each length-prefixed, so that no two different resources can be framed into the same bytes.

use crate::target::Target;
use sha2::{Digest, Sha256};
use std::fmt;

/// sha256(version ‖ namespace ‖ followed ‖ normal URL), each part preceded by its length as u64 LE.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey([u8; 32]);

/// Version of the framing; a change makes every old object a miss.
pub const KEY_VERSION: u8 = 1;

impl CacheKey {
    /// Key of `target` in `namespace` (empty for now). `followed`: the bytes were reached through a redirect that
    /// Weir followed for the client.
    #[must_use]
    pub fn of(namespace: &str, followed: bool, target: &Target) -> Self {
        let url = target.to_string();
        let parts: [&[u8]; 4] = [
            &[KEY_VERSION],
            namespace.as_bytes(),
            &[u8::from(followed)],
            url.as_bytes(),
        ];
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }

    /// From the bytes in a file name or header.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// All 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 128 bits, as they stand in file names and the index.
    #[must_use]
    pub fn short(&self) -> u128 {
        let (head, _) = self.0.split_at(16);
        head.iter()
            .fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheKey({:032x})", self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, followed: bool, url: &str) -> CacheKey {
        CacheKey::of(namespace, followed, &Target::parse(url).unwrap())
    }

    #[test]
    fn row_72_every_part_is_in_the_key() {
        let urls = [
            "http://h/p",
            "https://h/p",
            "http://i/p",
            "http://h:81/p",
            "http://h/q",
            "http://h/p?",
            "http://h/p?q",
        ];
        let mut keys: Vec<CacheKey> = urls.iter().map(|url| key("", false, url)).collect();
        keys.push(key("n", false, "http://h/p"));
        keys.push(key("", true, "http://h/p"));
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn the_framing_of_version_1_is_fixed() {
        // Computed apart from this code; a change here needs a new KEY_VERSION.
        let expected = "1577bfba1614bee2a12c73cb7d35c2a76b281040dd99be327ba9360faf6c9298";
        let bytes = key("", false, "http://h/p");
        let hex: String = bytes
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, expected);
        assert_eq!(format!("{:032x}", bytes.short()), expected[..32]);
        assert_eq!(CacheKey::from_bytes(*bytes.as_bytes()), bytes);
    }
}
