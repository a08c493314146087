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

/// Whether values of `name` count as the same.
fn alike(name: &str, one: &str, other: &str, expected: bool) {
    let names = [name.to_owned()];
    let (one, other) = (fields(&[(name, one)]), fields(&[(name, other)]));
    let (first, second) = (Selection::of(&names, &one), Selection::of(&names, &other));
    assert_eq!(first == second, expected, "{name}: {one:?} {other:?}");
    assert_eq!(first.matches(&other), expected, "{name}: {one:?} {other:?}");
    assert_eq!(second.matches(&one), expected, "{name}: {one:?} {other:?}");
}

#[test]
fn codings_are_a_set_with_weights() {
    let same = |one, other| alike("accept-encoding", one, other, true);
    let different = |one, other| alike("accept-encoding", one, other, false);
    same("gzip, deflate, br", "br,gzip , deflate");
    same("GZIP", "gzip;q=1");
    same("x-gzip, gzip;q=1.000", "gzip");
    same("gzip;q=0.5", "gzip ; Q=0.500");
    same("gzip, br;q=0", "gzip");
    same("", "identity");
    same("identity;q=0.5", "identity");
    same("br;q=0", "identity");
    different("gzip", "gzip;q=0.5");
    different("gzip", "gzip, br");
    different("gzip, br;q=0.5", "gzip;q=0.5, br");
    different("gzip, identity;q=0", "gzip");
    different("gzip, identity", "gzip");
    different("*, br;q=0", "*");
    different("*;q=0", "");
    different("gzip, zzz", "gzip");
    // Not well-formed: taken by its words.
    different("gzip;q=2", "gzip");
    different("gzip;q=0.1234", "gzip;q=0.123");
    different("gzip;q=1, gzip;q=0.5", "gzip;q=1");
    same("gzip;q=2 ,br", "gzip;q=2, br");
}

#[test]
fn languages_are_a_set_with_weights() {
    let same = |one, other| alike("accept-language", one, other, true);
    let different = |one, other| alike("accept-language", one, other, false);
    same("en, de", "de, en");
    same("en, de", "eN, De");
    same("en, de", " en ,   de");
    same("de;q=0.9, en", "en,de;q=0.90");
    different("en, de;q=0.9", "en;q=0.9, de");
    different("en", "en-GB");
    different("en;q=0", "");
    different("en, de;q=0", "en");
}

#[test]
fn of_other_lists_only_the_whitespace_is_not_compared() {
    alike("foo", "1,2", " 1, 2 ", true);
    alike("foo", "1, 2", "2, 1", false);
    alike("foo", "a", "A", false);
    alike("foo", "a b", "a  b", false);
    alike("foo", "\"1,2\"", "\"1, 2\"", false);
    alike("foo", "\"1,2", "\"1, 2", true);
    alike(
        "accept",
        "text/html;q=0.5,*/*",
        "text/html ; q=0.5 , */*",
        true,
    );
    alike("accept", "a/b, c/d", "c/d, a/b", false);
    alike("accept", "a/b;x=\"1; 2\"", "a/b;x=\"1;2\"", false);
    let gecko = "X (KHTML, like Gecko)";
    alike("user-agent", gecko, "X (KHTML,like Gecko)", false);
    alike("user-agent", gecko, gecko, true);
}

#[test]
fn a_selection_stored_before_normal_forms_still_matches() {
    let raw = |value: &str| Selection(vec![("accept-encoding".to_owned(), Some(value.into()))]);
    let stored = raw("gzip, deflate, br");
    assert!(stored.matches(&fields(&[("accept-encoding", "gzip, deflate, br")])));
    assert!(stored.matches(&fields(&[
        ("accept-encoding", "br, gzip"),
        ("accept-encoding", "deflate")
    ])));
    assert!(!stored.matches(&fields(&[("accept-encoding", "gzip")])));
    assert!(!stored.matches(&fields(&[])));
}

/// What a value of Accept-Encoding asks for, worked out another way: the weight of every coding there is.
fn weights(value: &str) -> Vec<(String, u32)> {
    let listed: Vec<(String, u32)> = value
        .split(',')
        .map(str::trim)
        .filter(|member| !member.is_empty())
        .map(|member| {
            let (name, weight) = member.split_once(";q=").unwrap_or((member, "1"));
            let weight: f64 = weight.parse().unwrap();
            (
                name.to_ascii_lowercase(),
                format!("{:.0}", weight * 1000.0).parse().unwrap(),
            )
        })
        .collect();
    let of = |name: &str| {
        listed
            .iter()
            .find(|(listed, _)| listed == name)
            .map(|(_, weight)| *weight)
    };
    let weight = |name: &str, otherwise: u32| of(name).or(of("*")).unwrap_or(otherwise);
    let mut weights: Vec<(String, u32)> = ["gzip", "br", "zstd", "another"]
        .map(|name| (name.to_owned(), weight(name, 0)))
        .to_vec();
    // Acceptable unless refused; 1 stands for that, below every weight that is written.
    weights.push(("identity".to_owned(), weight("identity", 1)));
    weights
}

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

    #[test]
    fn normal_forms_are_their_own(
        name in prop::sample::select(vec!["accept", "accept-encoding", "accept-language", "cookie", "x-any"]),
        value in prop::collection::vec(
            prop::sample::select(b"ab*, \t;=q01.5\"\\".to_vec()), 0..24),
    ) {
        let once = normal(name, &value);
        prop_assert_eq!(normal(name, &once), once);
    }

    #[test]
    fn codings_that_ask_for_something_else_never_share_a_normal_form(
        one in codings(),
        other in codings(),
    ) {
        let form = |value: &str| normal("accept-encoding", value.as_bytes());
        if form(&one) == form(&other) {
            prop_assert_eq!(served(&one), served(&other), "{} {}", one, other);
        }
        let text = String::from_utf8(form(&one)).unwrap();
        prop_assert_eq!(served(&one), served(&text), "{}", one);
    }
}

/// Where nothing but the plain bytes is acceptable, no weight says any more.
fn served(value: &str) -> Vec<(String, u32)> {
    let mut weights = weights(value);
    let plain_only = weights
        .iter()
        .all(|(name, weight)| (name == "identity") == (*weight > 0));
    if plain_only {
        weights = vec![("identity".to_owned(), 1)];
    }
    weights
}

/// Each coding at most once, in any order, with any weight.
fn codings() -> impl Strategy<Value = String> {
    let member = prop::sample::select(vec!["gzip", "BR", "zstd", "identity", "*"]);
    let weight = prop::sample::select(vec!["", ";q=1", ";q=0", ";q=0.5", ";q=0.50", ";q=0.8"]);
    prop::collection::vec((member, weight), 0..5).prop_map(|members| {
        let mut names = std::collections::HashSet::new();
        let members = members.into_iter().filter(|(name, _)| names.insert(*name));
        members
            .map(|(name, weight)| format!("{name}{weight}"))
            .collect::<Vec<_>>()
            .join(" ,")
    })
}
