//! The tags of a response, by which an operator may purge it: `Surrogate-Key` (separated by spaces) and `Cache-Tag`
//! (separated by commas), as the usual content networks read them.
//!
//! Bounded, because tags are stored with every object: what is longer, not visible ASCII, or beyond the bounds is passed
//! over, in the order of the fields.

use http::HeaderMap;

/// A longer tag is passed over, bytes.
pub const TAG_BYTES_MAX: usize = 1024;
/// Tags of one response.
const TAGS_MAX: usize = 512;
/// All tags of one response together, bytes.
const ALL_BYTES_MAX: usize = 16 * 1024;

/// The tags of a response, each once.
#[must_use]
pub fn of(headers: &HeaderMap) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    let mut bytes = 0_usize;
    for tag in all(headers) {
        let fits = tags.len() < TAGS_MAX && bytes.saturating_add(tag.len()) <= ALL_BYTES_MAX;
        if fits && is_tag(tag) && !tags.iter().any(|known| known == tag) {
            bytes = bytes.saturating_add(tag.len());
            tags.push(tag.to_owned());
        }
    }
    tags
}

/// Whether a text can be a tag: visible ASCII without a comma, and not too long.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let is_visible = |byte: u8| byte.is_ascii_graphic() && byte != b',';
    (1..=TAG_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_visible)
}

fn all(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    ["surrogate-key", "cache-tag"]
        .into_iter()
        .flat_map(|name| headers.get_all(name))
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split([' ', '\t', ',']))
        .filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn check(fields: &[(&'static str, &str)], expected: &[&str]) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        assert_eq!(of(&headers), expected, "{fields:?}");
    }

    #[test]
    fn both_fields_are_read_each_tag_once() {
        check(&[], &[]);
        check(&[("surrogate-key", "a b  c")], &["a", "b", "c"]);
        check(&[("cache-tag", "a, b,c,")], &["a", "b", "c"]);
        check(
            &[
                ("surrogate-key", "a b"),
                ("surrogate-key", "b c"),
                ("cache-tag", "c,d"),
            ],
            &["a", "b", "c", "d"],
        );
        check(&[("surrogate-key", "ä")], &[]);
    }

    #[test]
    fn tags_are_bounded_one_by_one_and_together() {
        let long = "x".repeat(TAG_BYTES_MAX + 1);
        check(&[("surrogate-key", &format!("{long} a"))], &["a"]);
        let many: Vec<String> = (0..2 * TAGS_MAX).map(|number| number.to_string()).collect();
        let mut headers = HeaderMap::new();
        headers.insert("surrogate-key", many.join(" ").parse().unwrap());
        assert_eq!(of(&headers), many[..TAGS_MAX]);
        let large: Vec<String> = (0..40).map(|n| format!("{n:0>1000}")).collect();
        headers.insert("surrogate-key", large.join(" ").parse().unwrap());
        assert_eq!(of(&headers).len(), 16);
    }
}
