//! Secondary keys (RFC 9111 §4.1): which request fields selected a response and whether another request matches.
//!
//! Values are compared in normal form, so that clients that ask for the same in other words share a response. A
//! selection that was stored before normal forms had one is normalized when it is compared.
//! Content-Encoding without Vary counts as `Vary: Accept-Encoding`, so encoded bytes never reach a client that did
//! not ask for them.

mod normal;
#[cfg(test)]
mod tests;

use normal::normal;

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderName, VARY};
use sha2::{Digest, Sha256};

/// The most fields that may select a response; above that it is not reused, as with `*`.
pub const VARY_FIELDS_MAX: usize = 16;

/// The selecting fields and their values in the request that fetched the response, in normal form; sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Selection(pub Vec<(String, Option<Vec<u8>>)>);

/// What a response varies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vary {
    /// Never reusable.
    Star,
    /// Lower-case field names, sorted, without duplicates; may be empty.
    Fields(Vec<String>),
}

impl Vary {
    /// Reads Vary (and Content-Encoding, see above) of a response.
    #[must_use]
    pub fn of(response: &HeaderMap) -> Self {
        let mut fields = Vec::new();
        for line in response.get_all(VARY) {
            for member in line.as_bytes().split(|byte| *byte == b',') {
                let member = member.trim_ascii();
                if member.is_empty() {
                    continue;
                }
                // `*` is a legal name byte for the parser below; anything unreadable selects nobody knows what.
                match HeaderName::from_bytes(member) {
                    Ok(name) if member != b"*" => fields.push(name.as_str().to_owned()),
                    _ => return Self::Star,
                }
            }
        }
        if is_encoded(response) {
            fields.push(ACCEPT_ENCODING.as_str().to_owned());
        }
        fields.sort_unstable();
        fields.dedup();
        if fields.len() > VARY_FIELDS_MAX {
            Self::Star
        } else {
            Self::Fields(fields)
        }
    }
}

impl Selection {
    /// The values that `request` has for `fields`.
    #[must_use]
    pub fn of(fields: &[String], request: &HeaderMap) -> Self {
        let mut names: Vec<String> = fields
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        names.sort_unstable();
        names.dedup();
        let pair = |name: String| {
            let value = joined(request, &name);
            (name, value)
        };
        Self(names.into_iter().map(pair).collect())
    }

    /// Whether `request` selects the same representation.
    #[must_use]
    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|(name, value)| {
            let stored = value.as_deref().map(|value| normal(name, value));
            joined(request, name) == stored
        })
    }

    /// 64 bits for file names and the index: 0 when nothing selects, else a stable hash (first 8 bytes of sha256 of
    /// the framed pairs; 0 is mapped to 1).
    #[must_use]
    pub fn variant(&self) -> u64 {
        if self.0.is_empty() {
            return 0;
        }
        let mut digest = Sha256::new();
        for (name, value) in &self.0 {
            frame(&mut digest, name.as_bytes());
            digest.update([u8::from(value.is_some())]);
            frame(&mut digest, value.as_deref().unwrap_or_default());
        }
        let head = digest.finalize().into_iter().take(8);
        head.fold(0_u64, |sum, byte| (sum << 8) | u64::from(byte))
            .max(1)
    }
}

/// Whether the bytes are in an encoding that not every client asked for.
fn is_encoded(response: &HeaderMap) -> bool {
    let mut lines = response.get_all(CONTENT_ENCODING).iter();
    lines.any(|line| {
        let coding = line.as_bytes().trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    })
}

/// The field as one line (RFC 9110 §5.3) in normal form; `None` when absent, which is not the same as empty.
fn joined(request: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = request
        .get_all(name)
        .iter()
        .map(|line| line.as_bytes().trim_ascii())
        .collect();
    (!lines.is_empty()).then(|| normal(name, &lines.join(&b", "[..])))
}

fn frame(digest: &mut Sha256, part: &[u8]) {
    digest.update((part.len() as u64).to_le_bytes());
    digest.update(part);
}
