//! Preconditions of a client's GET or HEAD against the selected representation (RFC 9110 §13).

pub(crate) mod entity_tag;
#[cfg(test)]
mod tests;

use crate::time::DateField;
use entity_tag::{EntityTag, EntityTags};
use http::HeaderMap;
use http::header::{
    CACHE_CONTROL, CONTENT_LOCATION, DATE, ETAG, EXPIRES, HeaderName, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, VARY,
};

/// The fields that a 304 repeats (RFC 9110 §15.4.5), and Last-Modified for clients that have no ETag to go by.
const NOT_MODIFIED_FIELDS: [HeaderName; 7] = [
    CACHE_CONTROL,
    CONTENT_LOCATION,
    DATE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
    VARY,
];

/// What the preconditions say, in the order of §13.2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Go on (and look at Range).
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since (ignored beside If-None-Match).
///
/// For 200 responses to GET and HEAD; of other statuses the caller asks nothing (§13.2.1).
#[must_use]
pub fn evaluate(request: &HeaderMap, response: &HeaderMap) -> Precondition {
    let current = EntityTag::of(response);
    let holds = if request.contains_key(IF_MATCH) {
        EntityTags::of(request, IF_MATCH).any_strong(current.as_ref())
    } else {
        unmodified_since(request, response)
    };
    if !holds {
        return Precondition::Failed;
    }
    let unchanged = if request.contains_key(IF_NONE_MATCH) {
        EntityTags::of(request, IF_NONE_MATCH).any_weak(current.as_ref())
    } else {
        not_modified_since(request, response)
    };
    if unchanged {
        Precondition::NotModified
    } else {
        Precondition::Proceed
    }
}

/// Whether Range may be honored: no If-Range, or it matches by strong ETag or exact date (§13.1.5).
///
/// A date counts when it equals Last-Modified and Date, where there is one, is at least a second later (§8.8.2.2: two
/// versions within one second would share it). apt resumes this way, so without a Date the exact match is enough.
#[must_use]
pub fn if_range_holds(request: &HeaderMap, response: &HeaderMap) -> bool {
    let mut lines = request.get_all(IF_RANGE).iter();
    let Some(line) = lines.next() else {
        return true;
    };
    if lines.next().is_some() {
        return false;
    }
    if let DateField::At(asked) = DateField::of(request, IF_RANGE) {
        let strong = |modified| {
            let date = DateField::of(response, DATE).at();
            date.is_none_or(|date| date.since(modified) >= 1)
        };
        let modified = DateField::of(response, LAST_MODIFIED).at();
        return modified.is_some_and(|modified| modified == asked && strong(modified));
    }
    match (EntityTag::parse(line.as_bytes()), EntityTag::of(response)) {
        (Some(asked), Some(current)) => asked.matches_strongly(&current),
        _ => false,
    }
}

/// Whether two responses name the same bytes by one strong entity tag (RFC 9110 §8.8.3.2).
#[must_use]
pub fn have_same_strong_tag(one: &HeaderMap, other: &HeaderMap) -> bool {
    let tags = EntityTag::of(one).zip(EntityTag::of(other));
    tags.is_some_and(|(one, other)| one.matches_strongly(&other))
}

/// The fields of a 304 (RFC 9110 §15.4.5): ETag, Date, Cache-Control, Content-Location, Expires, Vary, Last-Modified.
#[must_use]
pub fn not_modified_fields(response: &HeaderMap) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for name in NOT_MODIFIED_FIELDS {
        for value in response.get_all(&name) {
            fields.append(name.clone(), value.clone());
        }
    }
    fields
}

/// §13.1.4: true unless both dates can be read and the representation is younger.
fn unmodified_since(request: &HeaderMap, response: &HeaderMap) -> bool {
    let asked = DateField::of(request, IF_UNMODIFIED_SINCE).at();
    let modified = DateField::of(response, LAST_MODIFIED).at();
    asked
        .zip(modified)
        .is_none_or(|(asked, modified)| modified <= asked)
}

/// §13.1.3; a response without Last-Modified is as old as its Date (RFC 9111 §4.3.2).
fn not_modified_since(request: &HeaderMap, response: &HeaderMap) -> bool {
    let asked = DateField::of(request, IF_MODIFIED_SINCE).at();
    let modified = match DateField::of(response, LAST_MODIFIED) {
        DateField::Absent => DateField::of(response, DATE).at(),
        written => written.at(),
    };
    asked
        .zip(modified)
        .is_some_and(|(asked, modified)| modified <= asked)
}
