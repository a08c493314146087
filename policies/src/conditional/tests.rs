//! Preconditions, table by table.

use super::*;
use http::HeaderValue;

const OLD: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
const MODIFIED: &str = "Tue, 02 Jan 2024 00:00:00 GMT";
const NEW: &str = "Wed, 03 Jan 2024 00:00:00 GMT";

fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
    let parse = |(name, value): &(&str, &str)| {
        (
            HeaderName::try_from(*name).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    pairs.iter().map(parse).collect()
}

fn check(request: &[(&str, &str)], expected: Precondition) {
    let response = fields(&[
        ("etag", "\"a\""),
        ("last-modified", MODIFIED),
        ("date", NEW),
    ]);
    assert_eq!(
        evaluate(&fields(request), &response),
        expected,
        "{request:?}"
    );
}

#[test]
fn if_none_match_compares_weakly() {
    use Precondition::{NotModified, Proceed};
    check(&[], Proceed);
    check(&[("if-none-match", "\"a\"")], NotModified);
    check(&[("if-none-match", "W/\"a\"")], NotModified);
    check(&[("if-none-match", "\"x\", W/\"y,\" ,\"a\"")], NotModified);
    check(
        &[("if-none-match", "\"x\""), ("if-none-match", "\"a\"")],
        NotModified,
    );
    check(&[("if-none-match", "*")], NotModified);
    check(&[("if-none-match", "\"b\"")], Proceed);
    check(&[("if-none-match", "\"x,\"a\"\"")], Proceed);
    check(&[("if-none-match", "a")], Proceed);
    check(&[("if-none-match", "\"a")], Proceed);
    check(&[("if-none-match", "")], Proceed);
}

#[test]
fn if_modified_since_counts_only_alone() {
    use Precondition::{NotModified, Proceed};
    check(&[("if-modified-since", MODIFIED)], NotModified);
    check(&[("if-modified-since", NEW)], NotModified);
    check(&[("if-modified-since", OLD)], Proceed);
    check(&[("if-modified-since", "yesterday")], Proceed);
    check(
        &[("if-modified-since", NEW), ("if-modified-since", OLD)],
        Proceed,
    );
    check(
        &[("if-none-match", "\"b\""), ("if-modified-since", NEW)],
        Proceed,
    );
}

#[test]
fn if_match_compares_strongly_and_comes_first() {
    use Precondition::{Failed, NotModified, Proceed};
    check(&[("if-match", "\"a\"")], Proceed);
    check(&[("if-match", "*")], Proceed);
    check(&[("if-match", "W/\"a\"")], Failed);
    check(&[("if-match", "\"b\"")], Failed);
    check(&[("if-match", "\"b\""), ("if-none-match", "\"a\"")], Failed);
    check(
        &[("if-match", "\"a\""), ("if-none-match", "\"a\"")],
        NotModified,
    );
    check(
        &[("if-match", "\"a\""), ("if-unmodified-since", OLD)],
        Proceed,
    );
}

#[test]
fn if_unmodified_since_fails_on_a_younger_representation() {
    use Precondition::{Failed, Proceed};
    check(&[("if-unmodified-since", OLD)], Failed);
    check(&[("if-unmodified-since", MODIFIED)], Proceed);
    check(&[("if-unmodified-since", "garbage")], Proceed);
}

#[test]
fn a_response_without_last_modified_is_as_old_as_its_date() {
    let request = fields(&[("if-modified-since", MODIFIED)]);
    let evaluated = |pairs: &[(&str, &str)]| evaluate(&request, &fields(pairs));
    assert_eq!(evaluated(&[("date", MODIFIED)]), Precondition::NotModified);
    assert_eq!(evaluated(&[("date", NEW)]), Precondition::Proceed);
    assert_eq!(
        evaluated(&[("date", OLD), ("last-modified", "x")]),
        Precondition::Proceed
    );
    assert_eq!(evaluated(&[]), Precondition::Proceed);
}

#[test]
fn tags_without_quotes_are_compared_as_they_stand() {
    let response = fields(&[("etag", "abc")]);
    let evaluated = |value| evaluate(&fields(&[("if-none-match", value)]), &response);
    assert_eq!(evaluated("abc"), Precondition::NotModified);
    assert_eq!(evaluated("x, abc"), Precondition::NotModified);
    assert_eq!(evaluated("\"abc\""), Precondition::Proceed);
}

#[test]
fn row_84_if_range_never_takes_a_weak_tag() {
    let holds = |request: &[(&str, &str)], response: &[(&str, &str)]| {
        if_range_holds(&fields(request), &fields(response))
    };
    assert!(holds(&[], &[]));
    assert!(holds(&[("if-range", "\"a\"")], &[("etag", "\"a\"")]));
    assert!(!holds(&[("if-range", "\"a\"")], &[("etag", "\"b\"")]));
    assert!(!holds(&[("if-range", "W/\"a\"")], &[("etag", "W/\"a\"")]));
    assert!(!holds(&[("if-range", "\"a\"")], &[("etag", "W/\"a\"")]));
    assert!(!holds(&[("if-range", "\"a\"")], &[]));
    assert!(!holds(&[("if-range", "*")], &[("etag", "\"a\"")]));
    assert!(!holds(
        &[("if-range", "\"a\", \"b\"")],
        &[("etag", "\"a\"")]
    ));
    assert!(!holds(
        &[("if-range", "\"a\""), ("if-range", "\"a\"")],
        &[("etag", "\"a\"")]
    ));
}

#[test]
fn if_range_takes_the_exact_date_that_apt_repeats() {
    let holds = |asked: &str, response: &[(&str, &str)]| {
        if_range_holds(&fields(&[("if-range", asked)]), &fields(response))
    };
    assert!(holds(
        MODIFIED,
        &[("last-modified", MODIFIED), ("date", NEW)]
    ));
    assert!(holds(MODIFIED, &[("last-modified", MODIFIED)]));
    assert!(!holds(NEW, &[("last-modified", MODIFIED), ("date", NEW)]));
    assert!(!holds(OLD, &[("last-modified", MODIFIED), ("date", NEW)]));
    // Generated in the second it was sent: another version may bear the same date.
    assert!(!holds(
        MODIFIED,
        &[("last-modified", MODIFIED), ("date", MODIFIED)]
    ));
    assert!(!holds(MODIFIED, &[("etag", "\"a\"")]));
    assert!(!holds("yesterday", &[("last-modified", "yesterday")]));
}

#[test]
fn a_304_repeats_what_a_client_refreshes_by() {
    let response = fields(&[
        ("etag", "\"a\""),
        ("date", NEW),
        ("cache-control", "max-age=1"),
        ("cache-control", "public"),
        ("vary", "accept"),
        ("expires", NEW),
        ("last-modified", MODIFIED),
        ("content-location", "/x"),
        ("content-length", "5"),
        ("content-type", "text/plain"),
        ("set-cookie", "a=b"),
    ]);
    let repeated = not_modified_fields(&response);
    assert_eq!(repeated.len(), 8);
    assert_eq!(repeated.get_all("cache-control").iter().count(), 2);
    for left_out in ["content-length", "content-type", "set-cookie"] {
        assert!(!repeated.contains_key(left_out), "{left_out}");
    }
}
