//! Secondary keys (RFC 9111 §4.1): which request fields selected a response and whether another request matches.
//!
//! Exact match for now, after trimming and joining field lines; normalisation of Accept-Encoding comes later.
//! Content-Encoding without Vary counts as `Vary: Accept-Encoding`, so encoded bytes never reach a client that did
//! not ask for them.

use http::HeaderMap;

/// The selecting fields and their values in the request that fetched the response; sorted by name.
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
        let _ = response;
        unimplemented!()
    }
}

impl Selection {
    /// The values that `request` has for `fields`.
    #[must_use]
    pub fn of(fields: &[String], request: &HeaderMap) -> Self {
        let _ = (fields, request);
        unimplemented!()
    }

    /// Whether `request` selects the same representation.
    #[must_use]
    pub fn matches(&self, request: &HeaderMap) -> bool {
        let _ = request;
        unimplemented!()
    }

    /// 64 bits for file names and the index: 0 when nothing selects, else a stable hash (first 8 bytes of sha256 of
    /// the framed pairs; 0 is mapped to 1).
    #[must_use]
    pub fn variant(&self) -> u64 {
        unimplemented!()
    }
}
