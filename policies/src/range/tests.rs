//! Rows 103 and 104 of the hostile inputs, and the promise of the module as properties.

use super::*;
use http::HeaderValue;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn header(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(RANGE, HeaderValue::from_str(value).unwrap())])
}

fn single(start: u64, end: u64) -> Ranges {
    Ranges::Single(ByteRange { start, end })
}

fn multi(pairs: &[(u64, u64)]) -> Ranges {
    Ranges::Multi(
        pairs
            .iter()
            .map(|&(start, end)| ByteRange { start, end })
            .collect(),
    )
}

fn check(value: &str, length: u64, expected: &Ranges) {
    assert_eq!(
        &resolve(&header(value), length),
        expected,
        "{value} of {length}"
    );
}

#[test]
fn single_ranges_are_cut_to_the_representation() {
    check("bytes=0-0", 10, &single(0, 1));
    check("bytes=0-", 10, &single(0, 10));
    check("bytes=9-", 10, &single(9, 10));
    check("bytes=3-99", 10, &single(3, 10));
    check("bytes=-3", 10, &single(7, 10));
    check("bytes=-99", 10, &single(0, 10));
    check("BYTES= 1-2 ,", 10, &single(1, 3));
}

#[test]
fn row_104_the_impossible_is_416_and_the_unreadable_is_200() {
    check("bytes=-0", 10, &Ranges::Unsatisfiable);
    check("bytes=10-", 10, &Ranges::Unsatisfiable);
    check("bytes=18446744073709551615-", 10, &Ranges::Unsatisfiable);
    check(
        "bytes=18446744073709551616-18446744073709551617",
        10,
        &Ranges::Unsatisfiable,
    );
    check("bytes=0-18446744073709551616", 10, &single(0, 10));
    check(
        "bytes=0-18446744073709551615",
        u64::MAX,
        &single(0, u64::MAX),
    );
    check("bytes=-18446744073709551616", 10, &single(0, 10));
    for value in [
        "bytes=9-1",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=--1",
        "bytes=0x1-2",
        "bytes=1 -2",
        "bytes =1-2",
        "bits=1-2",
        "bytes",
        "bytes=0-1,x",
        "bytes=,",
    ] {
        check(value, 10, &Ranges::Whole);
    }
    let mut twice = header("bytes=0-1");
    twice.append(RANGE, HeaderValue::from_static("bytes=5-6"));
    assert_eq!(resolve(&twice, 10), Ranges::Whole);
    assert_eq!(resolve(&HeaderMap::new(), 10), Ranges::Whole);
}

#[test]
fn an_empty_representation_has_no_ranges() {
    check("bytes=0-", 0, &Ranges::Unsatisfiable);
    check("bytes=0-0", 0, &Ranges::Unsatisfiable);
    check("bytes=-0", 0, &Ranges::Unsatisfiable);
    check("bytes=-5", 0, &Ranges::Whole);
    check("bytes=0-0,-5", 0, &Ranges::Whole);
}

#[test]
fn several_ranges_are_coalesced_in_the_order_asked() {
    check("bytes=8-9,0-1", 10, &multi(&[(8, 10), (0, 2)]));
    check("bytes=0-1,2-3", 10, &single(0, 4));
    check("bytes=0-,0-,0-", 10, &single(0, 10));
    check("bytes=7-8,0-1,1-2,8-9", 10, &multi(&[(7, 10), (0, 3)]));
    check("bytes=0-1,50-60", 10, &single(0, 2));
    check("bytes=50-60,-0", 10, &Ranges::Unsatisfiable);
    check("bytes=4-4,0-0,2-2,3-3", 10, &multi(&[(2, 5), (0, 1)]));
}

#[test]
fn row_103_above_1024_ranges_everything_is_sent() {
    let asked = |count: u64| {
        let list: Vec<String> = (0..count)
            .map(|index| format!("{0}-{0}", index * 2))
            .collect();
        resolve(&header(&format!("bytes={}", list.join(","))), 100_000)
    };
    assert!(matches!(asked(1024), Ranges::Multi(ranges) if ranges.len() == 1024));
    assert_eq!(asked(1025), Ranges::Whole);
    assert_eq!(asked(1300), Ranges::Whole);
}

#[test]
fn an_explicit_start_is_known_before_the_length_is() {
    let start = |value| explicit_start(&header(value));
    assert_eq!(start("bytes=5-"), Some((5, None)));
    assert_eq!(start("bytes=5-9"), Some((5, Some(10))));
    assert_eq!(
        start("bytes=0-18446744073709551615"),
        Some((0, Some(u64::MAX)))
    );
    for value in ["bytes=-5", "bytes=0-1,5-6", "bytes=9-1", "x=0-"] {
        assert_eq!(start(value), None, "{value}");
    }
    assert_eq!(explicit_start(&HeaderMap::new()), None);
}

/// The bytes that a list of `first-last`, `first-` and `-length` asks for, counted one by one.
fn union(specs: &[(Option<u64>, Option<u64>)], length: u64) -> BTreeSet<u64> {
    let holds = |at: &u64, spec: &(Option<u64>, Option<u64>)| match *spec {
        (Some(first), Some(last)) => (first..=last).contains(at),
        (Some(first), None) => *at >= first,
        (None, Some(suffix)) => length - at <= suffix,
        (None, None) => false,
    };
    (0..length)
        .filter(|at| specs.iter().any(|spec| holds(at, spec)))
        .collect()
}

fn any_spec() -> impl Strategy<Value = (Option<u64>, Option<u64>)> {
    prop_oneof![
        (0_u64..70, 0_u64..20).prop_map(|(first, more)| (Some(first), Some(first + more))),
        (40_u64..70).prop_map(|first| (Some(first), None)),
        (0_u64..20).prop_map(|suffix| (None, Some(suffix))),
    ]
}

proptest! {
    #[test]
    fn exactly_the_union_is_sent_and_nothing_twice(
        specs in prop::collection::vec(any_spec(), 1..12),
        length in 1_u64..60,
    ) {
        let text = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
        let list: Vec<String> =
            specs.iter().map(|(first, last)| format!("{}-{}", text(*first), text(*last))).collect();
        let ranges = match resolve(&header(&format!("bytes={}", list.join(","))), length) {
            Ranges::Whole => vec![ByteRange { start: 0, end: length }],
            Ranges::Single(range) => vec![range],
            Ranges::Multi(ranges) => { prop_assert!(ranges.len() > 1); ranges }
            Ranges::Unsatisfiable => Vec::new(),
        };
        prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= length));
        let sent: Vec<u64> = ranges.iter().flat_map(|range| range.start..range.end).collect();
        let distinct: BTreeSet<u64> = sent.iter().copied().collect();
        prop_assert_eq!(sent.len(), distinct.len());
        prop_assert_eq!(distinct, union(&specs, length));
    }

    #[test]
    fn no_value_leaves_the_representation(value in "bytes=[0-9,-]{0,60}", length: u64) {
        let inside = |range: &ByteRange| range.start < range.end && range.end <= length;
        match resolve(&header(&value), length) {
            Ranges::Whole | Ranges::Unsatisfiable => {}
            Ranges::Single(range) => prop_assert!(inside(&range)),
            Ranges::Multi(ranges) => prop_assert!(ranges.iter().all(inside)),
        }
        if let Some((start, Some(end))) = explicit_start(&header(&value)) {
            prop_assert!(start <= end);
        }
    }
}

fn says(lines: &[&str], expected: Option<ContentRange>) {
    let line = |value: &&str| (http::header::CONTENT_RANGE, value.parse().unwrap());
    let headers = lines.iter().map(line).collect();
    assert_eq!(ContentRange::of(&headers), expected, "{lines:?}");
}

#[test]
fn row_82_a_content_range_is_read_to_the_letter() {
    let part = |start, end, total| {
        let range = ByteRange { start, end };
        Some(ContentRange::Part { range, total })
    };
    says(&["bytes 0-0/1"], part(0, 1, Some(1)));
    says(&["bytes 10-19/*"], part(10, 20, None));
    says(&["Bytes 4-9/10"], part(4, 10, Some(10)));
    says(
        &["bytes */10"],
        Some(ContentRange::Unsatisfied { total: 10 }),
    );
    says(&["bytes */0"], Some(ContentRange::Unsatisfied { total: 0 }));
    let most = u64::MAX;
    says(
        &[&format!("bytes 0-{}/{most}", most - 1)],
        part(0, most, Some(most)),
    );
    for wrong in [
        "bytes 10-9/20",
        "bytes 10-20/20",
        "bytes 0-18446744073709551615/*",
        "bytes 0-18446744073709551616/*",
        "bytes 0-9/18446744073709551616",
        "bytes -9/20",
        "bytes 9-/20",
        "bytes 0-9",
        "bytes 0-9/",
        "bytes 0-9/+20",
        "bytes  0-9/20",
        "bytes 0 - 9/20",
        "bytes 0-9/20/30",
        "bytes=0-9/20",
        "bytes */*",
        "items 0-9/20",
        "bytes",
        "",
    ] {
        says(&[wrong], None);
    }
    says(&[], None);
    says(&["bytes 0-9/20", "bytes 0-9/20"], None);
}

fn span(start: u64, end: u64) -> ByteRange {
    ByteRange { start, end }
}

#[test]
fn parts_cover_what_they_can_with_as_few_pieces_as_possible() {
    let parts = [
        span(50, 60),
        span(0, 10),
        span(5, 30),
        span(8, 9),
        span(30, 30),
    ];
    let held = |part, start, end| Piece::Held {
        part,
        range: span(start, end),
    };
    assert_eq!(
        pieces(&parts, span(0, 100)),
        [
            held(1, 0, 10),
            held(2, 10, 30),
            Piece::Missing(span(30, 50)),
            held(0, 50, 60),
            Piece::Missing(span(60, 100)),
        ]
    );
    assert_eq!(pieces(&parts, span(6, 28)), [held(2, 6, 28)]);
    assert_eq!(pieces(&[], span(3, 4)), [Piece::Missing(span(3, 4))]);
    assert_eq!(pieces(&parts, span(7, 7)), []);
    assert_eq!(missing(&parts, span(0, 100)), [span(30, 50), span(60, 100)]);
    assert_eq!(missing(&parts, span(0, 30)), []);
}

proptest! {
    #[test]
    fn pieces_cover_the_wanted_bytes_exactly_and_truly(
        parts in prop::collection::vec((0_u64..40, 0_u64..40), 0..12),
        wanted in (0_u64..40, 0_u64..40),
    ) {
        let parts: Vec<ByteRange> = parts.into_iter().map(|(start, end)| span(start, end)).collect();
        let wanted = span(wanted.0, wanted.1);
        let mut at = wanted.start;
        let is_held = |byte: u64| parts.iter().any(|part| (part.start..part.end).contains(&byte));
        for piece in pieces(&parts, wanted) {
            let range = piece.range();
            prop_assert!(range.start == at && range.start < range.end && range.end <= wanted.end);
            at = range.end;
            match piece {
                Piece::Held { part, range } => {
                    prop_assert!(parts[part].start <= range.start && range.end <= parts[part].end);
                }
                Piece::Missing(range) => prop_assert!(!(range.start..range.end).any(is_held)),
            }
        }
        prop_assert!(at == wanted.end || wanted.start >= wanted.end);
    }

    #[test]
    fn no_content_range_makes_it_panic_or_lie(value in "bytes [0-9]{0,21}[-*]{0,2}[0-9]{0,21}/?[*0-9]{0,21}") {
        let headers = [(http::header::CONTENT_RANGE, value.parse().unwrap())].into_iter().collect();
        if let Some(ContentRange::Part { range, total }) = ContentRange::of(&headers) {
            prop_assert!(range.start < range.end);
            prop_assert!(total.is_none_or(|total| range.end <= total));
        }
    }
}
