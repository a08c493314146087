//! Rows 82 to 84, 86, 88, 92 and 137 of the hostile inputs, as far as fields decide them.

use super::*;
use crate::freshness::Exchange;
use crate::time::UnixSeconds;

const OLD: &str = "Wed, 01 Jan 2020 00:00:00 GMT";
const NEW: &str = "Wed, 01 Jan 2020 00:00:01 GMT";
/// 2020-01-01 00:00:00 UTC
const OLD_SECONDS: i64 = 1_577_836_800;

fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
    let parse = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), value.parse().unwrap())
    };
    pairs.iter().map(parse).collect()
}

fn asks(stored: &[(&str, &str)], expected: &[(&str, &str)]) {
    assert_eq!(conditions(&fields(stored)), fields(expected), "{stored:?}");
}

#[test]
fn conditions_are_the_validators_that_can_be_read() {
    asks(&[], &[]);
    asks(&[("etag", "\"a\"")], &[("if-none-match", "\"a\"")]);
    asks(&[("etag", "W/\"a\"")], &[("if-none-match", "W/\"a\"")]);
    asks(&[("etag", "\"\"")], &[("if-none-match", "\"\"")]);
    asks(
        &[("etag", "\"a\""), ("last-modified", OLD)],
        &[("if-none-match", "\"a\""), ("if-modified-since", OLD)],
    );
    for nonsense in [
        "a",
        "W/a",
        "w/\"a\"",
        "\"a",
        "\"a b\"",
        "\"a\", \"b\"",
        "*",
        "",
    ] {
        asks(
            &[("etag", nonsense), ("last-modified", OLD)],
            &[("if-modified-since", OLD)],
        );
    }
    asks(&[("etag", "\"a\""), ("etag", "\"b\"")], &[]);
    asks(&[("last-modified", "yesterday")], &[]);
}

fn merges(stored: &[(&str, &str)], said: &[(&str, &str)], expected: Option<&[(&str, &str)]>) {
    let expected = expected.map_or(Merge::Other, |pairs| Merge::Updated(fields(pairs)));
    assert_eq!(
        merge(&fields(stored), &fields(said)),
        expected,
        "{stored:?} {said:?}"
    );
}

#[test]
fn row_88_only_storable_fields_are_updated() {
    merges(
        &[
            ("content-encoding", "gzip"),
            ("content-length", "36"),
            ("content-type", "text/plain"),
            ("etag", "\"a\""),
            ("x-kept", "1"),
            ("x-many", "1"),
            ("x-new", "1"),
        ],
        &[
            ("connection", "x-hop"),
            ("content-encoding", "br"),
            ("content-length", "10"),
            ("content-range", "bytes 0-1/2"),
            ("content-type", "text/html"),
            ("etag", "\"a\""),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("set-cookie", "a=b"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-hop", "1"),
            ("x-many", "2"),
            ("x-many", "3"),
            ("x-new", "2"),
        ],
        Some(&[
            ("content-encoding", "gzip"),
            ("content-length", "36"),
            ("content-type", "text/html"),
            ("etag", "\"a\""),
            ("x-kept", "1"),
            ("x-many", "2"),
            ("x-many", "3"),
            ("x-new", "2"),
        ]),
    );
}

#[test]
fn row_88_fields_that_are_private_stay_out_whoever_said_so() {
    let control = ("cache-control", "max-age=9, private=\"x-a\"");
    merges(&[control], &[("x-a", "1")], Some(&[control]));
    merges(&[("x-a", "0")], &[control, ("x-a", "1")], Some(&[control]));
}

#[test]
fn age_and_date_belong_to_the_newer_exchange() {
    let stored = [("age", "500"), ("date", OLD), ("expires", OLD)];
    merges(&stored, &[], Some(&[("expires", OLD)]));
    let said = [("age", "5"), ("date", NEW), ("expires", NEW)];
    merges(&stored, &said, Some(&said));
}

#[test]
fn a_304_for_another_representation_updates_nothing() {
    let held = |stored: &[(&str, &str)], said: &[(&str, &str)], expected: bool| {
        let found = merge(&fields(stored), &fields(said)) != Merge::Other;
        assert_eq!(found, expected, "{stored:?} {said:?}");
    };
    let (a, b, weak) = (("etag", "\"a\""), ("etag", "\"b\""), ("etag", "W/\"a\""));
    let (old, new) = (("last-modified", OLD), ("last-modified", NEW));
    held(&[a], &[a], true);
    held(&[a], &[b], false);
    held(&[a], &[("etag", "W/\"b\"")], false);
    held(&[a], &[], true);
    held(&[], &[], true);
    held(&[a], &[weak], true);
    held(&[weak], &[a], true);
    // Mirrors of one file often differ in its date.
    held(&[a, old], &[a, new], true);
    held(&[a, old], &[b, old], false);
    held(&[old], &[old], true);
    held(&[old], &[new], false);
    held(&[a, old], &[new], false);
    held(&[old], &[], true);
    // A strong tag that the stored response never had.
    held(&[], &[a], false);
    held(&[old], &[a], false);
    held(&[old], &[a, old], true);
    held(&[old], &[weak], true);
}

#[test]
fn no_tag_becomes_strong_and_none_is_invented() {
    merges(
        &[("etag", "W/\"a\"")],
        &[("etag", "\"a\"")],
        Some(&[("etag", "W/\"a\"")]),
    );
    let old = ("last-modified", OLD);
    merges(&[old], &[old, ("etag", "\"a\"")], Some(&[old]));
}

fn heads(stored: &[(&str, &str)], status: u16, head: &[(&str, &str)]) -> Freshening {
    let status = StatusCode::from_u16(status).unwrap();
    freshen(&fields(stored), 36, status, &fields(head))
}

#[test]
fn row_92_another_length_or_validator_outdates() {
    let stored = [("etag", "\"a\""), ("last-modified", OLD), ("x-a", "1")];
    for same in [
        &[
            ("content-length", "36"),
            ("etag", "\"a\""),
            ("last-modified", OLD),
        ][..],
        &[("content-length", "36")],
        &[("etag", "\"a\"")],
        &[],
    ] {
        assert_eq!(
            heads(&stored, 200, same),
            Freshening::Updated({
                let mut expected = fields(&stored);
                expected.extend(
                    fields(same).into_iter().filter(|(name, _)| {
                        name.as_ref().is_some_and(|name| *name != CONTENT_LENGTH)
                    }),
                );
                expected
            }),
            "{same:?}"
        );
    }
    for other in [
        ("content-length", "37"),
        ("content-length", "x"),
        ("etag", "\"b\""),
        ("etag", "W/\"a\""),
        ("last-modified", NEW),
    ] {
        assert_eq!(
            heads(&stored, 200, &[other]),
            Freshening::Outdated,
            "{other:?}"
        );
    }
    assert_eq!(heads(&[], 200, &[("etag", "\"a\"")]), Freshening::Outdated);
}

#[test]
fn a_head_that_is_no_200_or_of_another_variant_tells_nothing() {
    for status in [204, 206, 304, 403, 404, 405, 410, 500] {
        assert_eq!(
            heads(&[], status, &[("content-length", "1")]),
            Freshening::Nothing,
            "{status}"
        );
    }
    let encoded = [("content-encoding", "gzip"), ("content-length", "9")];
    assert_eq!(heads(&[], 200, &encoded), Freshening::Nothing);
    assert_eq!(
        heads(&[("content-encoding", "gzip")], 200, &[]),
        Freshening::Nothing
    );
}

fn binds(headers: &[(&str, &str)], expected: Option<&str>) {
    let exchange = |after: i64| Exchange {
        requested: UnixSeconds(OLD_SECONDS + after),
        responded: UnixSeconds(OLD_SECONDS + after),
    };
    let found = strong_validator(&fields(headers), exchange(60));
    assert_eq!(
        found.as_ref().map(|value| value.to_str().unwrap()),
        expected,
        "{headers:?}"
    );
}

#[test]
fn row_84_only_a_strong_validator_binds_parts() {
    let old = ("last-modified", OLD);
    binds(&[("etag", "\"a\"")], Some("\"a\""));
    binds(&[("etag", "\"a\""), old], Some("\"a\""));
    for weak in ["W/\"a\"", "a", "", "\"a"] {
        binds(&[("etag", weak), old, ("date", NEW)], None);
    }
    binds(&[old, ("date", NEW)], Some(OLD));
    binds(&[old, ("date", OLD)], None);
    binds(&[old, ("date", "x")], None);
    binds(&[old], Some(OLD));
    binds(&[("last-modified", NEW)], None);
    binds(&[("last-modified", "x"), ("date", NEW)], None);
    binds(&[], None);
}

const STRONG: (&str, &str) = ("etag", "\"a\"");

fn resumes(
    begun: &[(&str, &str)],
    total: Option<u64>,
    status: u16,
    answer: &[(&str, &str)],
    expected: Resumption,
) {
    let status = StatusCode::from_u16(status).unwrap();
    let found = resumption(&fields(begun), total, 10, status, &fields(answer));
    assert_eq!(found, expected, "{begun:?} {total:?} {status} {answer:?}");
}

#[test]
fn row_82_a_part_continues_only_where_it_was_asked_for_and_of_the_same_whole() {
    let part = |range, expected| {
        resumes(
            &[STRONG],
            Some(100),
            206,
            &[STRONG, ("content-range", range)],
            expected,
        );
    };
    part("bytes 10-99/100", Resumption::Continues);
    part("bytes 10-49/100", Resumption::Continues);
    for wrong in [
        "bytes 11-99/100",
        "bytes 9-99/100",
        "bytes 0-99/100",
        "bytes 10-99/101",
        "bytes 10-99/*",
        "bytes 10-100/100",
        "bytes */100",
        "items 10-99/100",
        "bytes=10-99/100",
        "",
    ] {
        part(wrong, Resumption::Useless);
    }
    resumes(&[STRONG], Some(100), 206, &[STRONG], Resumption::Useless);
    let unknown = |range, expected| {
        resumes(
            &[STRONG],
            None,
            206,
            &[STRONG, ("content-range", range)],
            expected,
        );
    };
    unknown("bytes 10-99/100", Resumption::Continues);
    unknown("bytes 10-99/*", Resumption::Useless);
}

#[test]
fn row_83_a_part_of_another_representation_is_of_no_use() {
    let range = ("content-range", "bytes 10-99/100");
    let (old, new) = (("last-modified", OLD), ("last-modified", NEW));
    let part = |begun: &[(&str, &str)], answer: &[(&str, &str)], expected| {
        let answer: Vec<_> = answer.iter().copied().chain([range]).collect();
        resumes(begun, Some(100), 206, &answer, expected);
    };
    use Resumption::{Continues, Useless};
    part(&[STRONG], &[("etag", "\"b\"")], Useless);
    part(&[STRONG, old], &[("etag", "\"b\""), old], Useless);
    part(&[STRONG, old], &[STRONG, new], Continues);
    // The tag is left out: the date has to stand for it.
    part(&[STRONG, old], &[old], Continues);
    part(&[STRONG, old], &[new], Useless);
    part(&[STRONG, old], &[], Useless);
    part(&[STRONG], &[], Useless);
    part(&[old], &[old], Continues);
    part(&[old], &[new], Useless);
    part(&[old], &[], Useless);
}

#[test]
fn row_84_a_weak_tag_never_binds_parts() {
    let range = ("content-range", "bytes 10-99/100");
    let (weak, old) = (("etag", "W/\"a\""), ("last-modified", OLD));
    for begun in [&[weak][..], &[weak, old], &[STRONG, old], &[old]] {
        resumes(
            begun,
            Some(100),
            206,
            &[weak, old, range],
            Resumption::Useless,
        );
    }
    resumes(
        &[weak, old],
        Some(100),
        206,
        &[old, range],
        Resumption::Useless,
    );
    resumes(
        &[weak, old],
        Some(100),
        206,
        &[STRONG, old, range],
        Resumption::Useless,
    );
}

#[test]
fn a_part_in_another_coding_is_of_no_use() {
    let range = ("content-range", "bytes 10-99/100");
    let gzip = ("content-encoding", "gzip");
    use Resumption::{Continues, Useless};
    resumes(
        &[STRONG, gzip],
        Some(100),
        206,
        &[STRONG, gzip, range],
        Continues,
    );
    // It may be left out of an answer to If-Range.
    resumes(&[STRONG, gzip], Some(100), 206, &[STRONG, range], Continues);
    resumes(&[STRONG], Some(100), 206, &[STRONG, gzip, range], Useless);
    let brotli = ("content-encoding", "br");
    resumes(
        &[STRONG, gzip],
        Some(100),
        206,
        &[STRONG, brotli, range],
        Useless,
    );
}

#[test]
fn row_85_a_whole_answer_repeats_or_replaces() {
    use Resumption::{Repeats, Replaced};
    let length = ("content-length", "100");
    resumes(&[STRONG], Some(100), 200, &[STRONG, length], Repeats);
    resumes(&[STRONG], None, 200, &[STRONG, length], Repeats);
    resumes(&[STRONG], Some(100), 200, &[STRONG], Repeats);
    resumes(
        &[STRONG],
        Some(100),
        200,
        &[STRONG, ("content-length", "101")],
        Replaced,
    );
    resumes(
        &[STRONG],
        Some(100),
        200,
        &[STRONG, length, ("content-encoding", "gzip")],
        Replaced,
    );
    resumes(&[STRONG], Some(100), 200, &[length], Replaced);
}

#[test]
fn row_137_an_object_that_changed_meanwhile_is_a_new_one() {
    let length = ("content-length", "100");
    let changed = ("etag", "\"b\"");
    resumes(
        &[STRONG],
        Some(100),
        200,
        &[changed, length],
        Resumption::Replaced,
    );
    let old = ("last-modified", OLD);
    let new = ("last-modified", NEW);
    resumes(&[old], Some(100), 200, &[new, length], Resumption::Replaced);
}

#[test]
fn row_86_only_a_416_whose_total_is_what_is_here_completes() {
    use Resumption::{Complete, Useless};
    let all = ("content-range", "bytes */10");
    resumes(&[STRONG], None, 416, &[all], Complete);
    resumes(&[STRONG], Some(10), 416, &[all, STRONG], Complete);
    resumes(&[STRONG], None, 416, &[all, ("etag", "\"b\"")], Useless);
    for lie in [
        "bytes */9",
        "bytes */11",
        "bytes */*",
        "bytes 0-9/10",
        "x",
        "bytes */0",
    ] {
        resumes(&[STRONG], None, 416, &[("content-range", lie)], Useless);
    }
    resumes(&[STRONG], Some(100), 416, &[all], Useless);
    resumes(
        &[STRONG],
        Some(100),
        416,
        &[("content-range", "bytes */100")],
        Useless,
    );
    resumes(&[STRONG], None, 416, &[], Useless);
}

#[test]
fn every_other_status_is_of_no_use() {
    let range = ("content-range", "bytes 10-99/100");
    for status in [100, 204, 304, 301, 404, 412, 500, 503] {
        resumes(
            &[STRONG],
            Some(100),
            status,
            &[STRONG, range],
            Resumption::Useless,
        );
    }
}
