//! Rows 79 and 80 of the hostile inputs, and the numbers that stand in file names.

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
