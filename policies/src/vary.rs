//! Secondary keys (RFC 9111 §4.1): which request fields selected a response and whether another request matches.
//!
//! Exact match for now, after trimming and joining field lines; normalisation of Accept-Encoding comes later.
//! Content-Encoding without Vary counts as `Vary: Accept-Encoding`, so encoded bytes never reach a client that did
//! not ask for them.

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderName, VARY};
use sha2::{Digest, Sha256};

/// The most fields that may select a response; above that it is not reused, as with `*`.
pub const VARY_FIELDS_MAX: usize = 16;

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
        self.0
            .iter()
            .all(|(name, value)| joined(request, name) == *value)
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

/// The field as one line (RFC 9110 §5.3), trimmed; `None` when absent.
fn joined(request: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = request
        .get_all(name)
        .iter()
        .map(|line| line.as_bytes().trim_ascii())
        .collect();
    (!lines.is_empty()).then(|| lines.join(&b", "[..]))
}

fn frame(digest: &mut Sha256, part: &[u8]) {
    digest.update((part.len() as u64).to_le_bytes());
    digest.update(part);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), value.parse().unwrap())
        };
        pairs.iter().map(parse).collect()
    }

    fn check(response: &[(&str, &str)], expected: &[&str]) {
        let expected = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            Vary::of(&fields(response)),
            Vary::Fields(expected),
            "{response:?}"
        );
    }

    fn star(response: &[(&str, &str)]) {
        assert_eq!(Vary::of(&fields(response)), Vary::Star, "{response:?}");
    }

    #[test]
    fn the_fields_are_sorted_lower_case_and_named_once() {
        check(&[], &[]);
        check(&[("vary", "")], &[]);
        check(
            &[("vary", "User-Agent,,accept"), ("vary", " ACCEPT ")],
            &["accept", "user-agent"],
        );
    }

    #[test]
    fn row_79_star_garbage_and_endless_lists_are_never_reused() {
        star(&[("vary", "*")]);
        star(&[("vary", "accept, *")]);
        star(&[("vary", "accept"), ("vary", "*")]);
        star(&[("vary", "a b")]);
        let list = |count: usize| (0..count).map(|n| format!("x-{n:02}")).collect::<Vec<_>>();
        assert!(matches!(
            Vary::of(&fields(&[("vary", &list(VARY_FIELDS_MAX).join(","))])),
            Vary::Fields(names) if names.len() == VARY_FIELDS_MAX
        ));
        star(&[("vary", &list(VARY_FIELDS_MAX + 1).join(","))]);
    }

    #[test]
    fn row_80_encoded_bytes_vary_on_accept_encoding() {
        check(&[("content-encoding", "gzip")], &["accept-encoding"]);
        check(
            &[("content-encoding", "br"), ("vary", "accept")],
            &["accept", "accept-encoding"],
        );
        check(&[("content-encoding", "Identity")], &[]);
        let selection = Selection::of(
            &["accept-encoding".to_owned()],
            &fields(&[("accept-encoding", "gzip")]),
        );
        assert!(selection.matches(&fields(&[("accept-encoding", " gzip")])));
        assert!(!selection.matches(&fields(&[])));
        assert!(!selection.matches(&fields(&[("accept-encoding", "br")])));
    }

    #[test]
    fn lines_are_joined_and_absence_is_not_emptiness() {
        let names = ["Accept".to_owned()];
        let two = Selection::of(&names, &fields(&[("accept", "a"), ("accept", "b")]));
        assert!(two.matches(&fields(&[("accept", "a, b")])));
        assert!(!two.matches(&fields(&[("accept", "b, a")])));
        let absent = Selection::of(&names, &fields(&[]));
        let empty = Selection::of(&names, &fields(&[("accept", "")]));
        assert!(!absent.matches(&fields(&[("accept", "")])));
        assert_ne!(absent.variant(), empty.variant());
    }

    #[test]
    fn the_variant_is_stable() {
        assert_eq!(Selection::default().variant(), 0);
        let of = |value: &str| {
            Selection::of(&["accept".to_owned()], &fields(&[("accept", value)])).variant()
        };
        assert_ne!(of("a"), of("b"));
        // It stands in file names: another number here makes stored variants unreachable.
        assert_eq!(of("a"), VARIANT_OF_ACCEPT_A);
    }

    const VARIANT_OF_ACCEPT_A: u64 = 0xd9fc_4a54_51fd_6523;

    proptest! {
        #[test]
        fn a_request_matches_its_own_selection(
            names in prop::collection::vec("[a-z]{1,3}", 0..5),
            values in prop::collection::vec("[a-z ]{0,4}", 5),
        ) {
            let pairs: Vec<(&str, &str)> =
                names.iter().map(String::as_str).zip(values.iter().map(String::as_str)).collect();
            let request = fields(&pairs);
            let selection = Selection::of(&names, &request);
            prop_assert!(selection.matches(&request));
            prop_assert_eq!(selection.variant() == 0, names.is_empty());
        }
    }
}
