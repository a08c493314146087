//! Asking an origin whether a stored response still holds, and merging what it says (RFC 9111 §4.3); and whether a
//! later answer belongs to the same bytes as an earlier one, so that a broken body can be resumed.
//!
//! Invariant: nothing here binds stored bytes to a validator that they did not come with.

mod resumption;
#[cfg(test)]
mod tests;

pub use resumption::{Resumption, resumption, strong_validator};

use crate::conditional::entity_tag::EntityTag;
use crate::storability::storable_fields;
use crate::time::DateField;
use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, HeaderName,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use http::{HeaderMap, StatusCode};

/// Fields that say how the stored bytes are to be read. They came with the bytes and stay with them, whatever an answer
/// without a body says (§3.2: what the stored response depends upon, and Content-Length).
const BOUND_TO_THE_BYTES: [HeaderName; 3] = [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE];

/// The conditions for a stored response: If-None-Match, If-Modified-Since. Empty when it has no validator.
///
/// Both are sent where both are known (§4.3.1): an origin without entity tags reads the date. An ETag that is not
/// written as one is kept back, for the origin could read it as anything.
#[must_use]
pub fn conditions(stored: &HeaderMap) -> HeaderMap {
    let mut conditions = HeaderMap::new();
    if EntityTag::of(stored).is_some_and(|tag| tag.is_well_formed())
        && let Some(tag) = stored.get(ETAG)
    {
        conditions.insert(IF_NONE_MATCH, tag.clone());
    }
    if DateField::of(stored, LAST_MODIFIED).at().is_some()
        && let Some(modified) = stored.get(LAST_MODIFIED)
    {
        conditions.insert(IF_MODIFIED_SINCE, modified.clone());
    }
    conditions
}

/// What a 304 does to the stored response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// It holds; these are its fields from now on (§3.2).
    Updated(HeaderMap),
    /// The 304 speaks of another representation: drop the stored one and ask without conditions.
    Other,
}

/// Merges a 304 into the stored fields.
#[must_use]
pub fn merge(stored: &HeaderMap, not_modified: &HeaderMap) -> Merge {
    if names_another(stored, not_modified) {
        return Merge::Other;
    }
    Merge::Updated(updated(stored, not_modified))
}

/// What a HEAD response says of a stored GET response (§4.3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshening {
    /// The same representation: these are its fields from now on.
    Updated(HeaderMap),
    /// Another one: the stored response is stale from now on.
    Outdated,
    /// Nothing can be told.
    Nothing,
}

/// Compares a HEAD response with the stored one (§4.3.5).
///
/// Only a 200 tells: there are origins that answer HEAD with 403, 404 or 405 and GET with the file. Another
/// Content-Encoding is another variant, of which the length says nothing.
#[must_use]
pub fn freshen(
    stored: &HeaderMap,
    stored_length: u64,
    status: StatusCode,
    head: &HeaderMap,
) -> Freshening {
    if status != StatusCode::OK || !same_lines(stored, head, &CONTENT_ENCODING) {
        return Freshening::Nothing;
    }
    let length = head.get(CONTENT_LENGTH).map(|value| value.as_bytes());
    let expected = stored_length.to_string();
    let same_length = length.is_none_or(|length| length.trim_ascii() == expected.as_bytes());
    let same = |name: HeaderName| !head.contains_key(&name) || same_lines(stored, head, &name);
    // Fields that are given must be the same; a validator that the stored one never had is not.
    if same_length && same(ETAG) && same(LAST_MODIFIED) {
        Freshening::Updated(updated(stored, head))
    } else {
        Freshening::Outdated
    }
}

/// Whether a 304 names a representation that is not the stored one (§4.3.4).
///
/// The tags are compared weakly: servers that compress on the way write `W/"a"` with the body and `"a"` into the 304.
/// Without a tag on one side the dates decide, and a tag that is news needs a date that agrees: a strong validator that
/// no stored response has updates none.
fn names_another(stored: &HeaderMap, not_modified: &HeaderMap) -> bool {
    let known = DateField::of(stored, LAST_MODIFIED).at();
    let said = DateField::of(not_modified, LAST_MODIFIED).at();
    let dates_differ = known.zip(said).is_some_and(|(known, said)| known != said);
    let dates_agree = known.is_some() && known == said;
    match (EntityTag::of(stored), EntityTag::of(not_modified)) {
        (Some(known), Some(said)) => !known.matches_weakly(&said),
        (None, Some(said)) if said.is_strong() => !dates_agree,
        _ => dates_differ,
    }
}

/// §3.2: the fields of the newer response replace those of the stored one, with the exceptions there.
///
/// Age and Date count from one exchange only: where the newer response has none, the old ones go too, and the time of
/// its arrival takes their place (RFC 9110 §6.6.1). The stored ETag stays: where another is given at all, it would make
/// a weak tag strong, or give the bytes one that they did not come with. What is left is filtered once more, for the
/// fields that the stored Cache-Control calls private may be among the new ones.
fn updated(stored: &HeaderMap, newer: &HeaderMap) -> HeaderMap {
    let mut fields = stored.clone();
    fields.remove(AGE);
    fields.remove(DATE);
    let mut given = storable_fields(newer);
    for name in BOUND_TO_THE_BYTES {
        given.remove(name);
    }
    given.remove(ETAG);
    for name in given.keys() {
        fields.remove(name);
    }
    // A key's name is given once, with its first value; the others follow without it.
    let mut current = None;
    for (name, value) in given {
        current = name.or(current);
        if let Some(name) = &current {
            fields.append(name.clone(), value);
        }
    }
    storable_fields(&fields)
}

/// Whether a field has the same lines in both, or none in both.
fn same_lines(one: &HeaderMap, other: &HeaderMap, name: &HeaderName) -> bool {
    one.get_all(name).iter().eq(other.get_all(name).iter())
}
