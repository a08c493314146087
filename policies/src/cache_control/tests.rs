//! Row 89 of the hostile inputs and the spellings that origins use.

use super::*;
use http::HeaderValue;
use proptest::prelude::*;

fn headers(name: HeaderName, lines: &[&str]) -> HeaderMap {
    let pairs = lines
        .iter()
        .map(|line| (name.clone(), HeaderValue::from_str(line).unwrap()));
    pairs.collect()
}

fn response(lines: &[&str]) -> ResponseDirectives {
    ResponseDirectives::of(&headers(CACHE_CONTROL, lines))
}

fn request(lines: &[&str]) -> RequestDirectives {
    RequestDirectives::of(&headers(CACHE_CONTROL, lines))
}

#[test]
fn every_directive_of_a_response_is_read() {
    let read = response(&[
        "no-store, NO-CACHE, private,public , must-revalidate",
        "proxy-revalidate,must-understand,no-transform,immutable",
        "max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4, unknown=5",
    ]);
    let expected = ResponseDirectives {
        no_store: true,
        no_cache: true,
        private: true,
        public: true,
        must_revalidate: true,
        proxy_revalidate: true,
        must_understand: true,
        no_transform: true,
        immutable: true,
        max_age: Some(1),
        s_maxage: Some(2),
        stale_while_revalidate: Some(3),
        stale_if_error: Some(4),
        ..ResponseDirectives::default()
    };
    assert_eq!(read, expected);
}

#[test]
fn row_89_seconds_saturate_and_garbage_is_stale() {
    let table = [
        ("max-age=60", 60),
        ("max-age=\"60\"", 60),
        ("max-age=\"6\\0\"", 60),
        ("max-age = 60", 60),
        ("Max-Age=007", 7),
        ("max-age=99999999999", DELTA_SECONDS_MAX),
        (
            "max-age=99999999999999999999999999999999999999",
            DELTA_SECONDS_MAX,
        ),
        ("max-age=2147483649", DELTA_SECONDS_MAX),
        ("max-age=1.5", 0),
        ("max-age=-1", 0),
        ("max-age=+1", 0),
        ("max-age=1 2", 0),
        ("max-age='60'", 0),
        ("max-age=", 0),
        ("max-age", 0),
        ("max-age=0x10", 0),
        ("max-age=60, max-age=30", 30),
        ("max-age=60, max-age=x", 0),
    ];
    for (line, expected) in table {
        assert_eq!(response(&[line]).max_age, Some(expected), "{line}");
        assert_eq!(request(&[line]).max_age, Some(expected), "{line}");
    }
    assert_eq!(response(&["s-maxage=x"]).s_maxage, Some(0));
    assert_eq!(response(&["stale-if-error=x"]).stale_if_error, None);
}

#[test]
fn quotes_hide_commas_and_a_stray_quote_hides_nothing() {
    assert!(!response(&["a=\"b, no-store\""]).no_store);
    assert!(!response(&["a=\"b\\\", no-store\""]).no_store);
    assert!(response(&["a=\"b\", no-store"]).no_store);
    assert!(response(&["a=\"b, no-store"]).no_store);
    assert!(response(&["a=\"b\\\", no-store"]).no_store);
    assert!(response(&[",, ,no-store,"]).no_store);
    assert!(!response(&["no-store-x, xno-store"]).no_store);
}

#[test]
fn qualified_directives_name_fields() {
    let read = response(&["private=\"Set-Cookie, X-A\", no-cache=X-B"]);
    assert_eq!(read.private_fields, ["set-cookie", "x-a"]);
    assert_eq!(read.no_cache_fields, ["x-b"]);
    assert!(!read.private && !read.no_cache);
    for whole in [
        "private=\"\"",
        "private=\"a b\"",
        "private=\"cache-control\"",
        "private=\"a\",private",
    ] {
        assert!(response(&[whole]).private, "{whole}");
    }
    assert!(response(&["no-cache=\"expires\""]).no_cache);
}

#[test]
fn every_directive_of_a_request_is_read() {
    let read = request(&[
        "no-cache, no-store, only-if-cached",
        "max-age=1, min-fresh=2, max-stale=3",
    ]);
    let expected = RequestDirectives {
        no_cache: true,
        no_store: true,
        only_if_cached: true,
        max_age: Some(1),
        min_fresh: Some(2),
        max_stale: Some(3),
        stale_if_error: None,
    };
    assert_eq!(read, expected);
    assert_eq!(request(&["max-stale"]).max_stale, Some(u64::MAX));
    assert_eq!(request(&["max-stale, max-stale=5"]).max_stale, Some(5));
    assert_eq!(request(&["max-stale=x"]).max_stale, None);
    assert_eq!(request(&["min-fresh=5, min-fresh=9"]).min_fresh, Some(9));
}

#[test]
fn pragma_counts_only_without_cache_control() {
    let mut fields = headers(PRAGMA, &["foo, No-Cache"]);
    assert!(RequestDirectives::of(&fields).no_cache);
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=9"));
    assert!(!RequestDirectives::of(&fields).no_cache);
    assert!(!RequestDirectives::of(&headers(PRAGMA, &["no-cachex"])).no_cache);
}

#[test]
fn an_endless_list_is_not_stored() {
    let line = "x,".repeat(DIRECTIVES_MAX);
    assert!(!response(&[&line]).no_store);
    assert!(response(&[&line, "x"]).no_store);
    assert!(request(&[&line, "x"]).no_store);
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(lines in prop::collection::vec(any_line(), 0..4)) {
        let mut fields = HeaderMap::new();
        for line in lines {
            if let Ok(value) = HeaderValue::from_bytes(&line) {
                fields.append(CACHE_CONTROL, value.clone());
                fields.append(PRAGMA, value);
            }
        }
        let read = ResponseDirectives::of(&fields);
        prop_assert!(read.max_age.is_none_or(|seconds| seconds <= DELTA_SECONDS_MAX));
        drop(RequestDirectives::of(&fields));
    }

    #[test]
    fn no_store_behind_any_closed_text_is_seen(before in "[a-z0-9=,; ]{0,20}") {
        let line = format!("{before},no-store");
        prop_assert!(response(&[&line]).no_store);
    }
}

/// Bytes that field values may hold, weighted towards the ones that mean something here.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => prop::sample::select(&b"\",=\\ -0129max-age"[..]),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..60)
}

fn targeted(lines: &[&str]) -> Option<ResponseDirectives> {
    let name = HeaderName::from_static("cdn-cache-control");
    let lines = lines
        .iter()
        .map(|line| (name.clone(), line.parse().unwrap()));
    ResponseDirectives::of_cdn(&lines.collect())
}

#[test]
fn a_targeted_field_is_a_dictionary() {
    let read = |lines: &[&str]| targeted(lines).unwrap();
    let all = read(&[
        "no-store, public, must-revalidate,\tproxy-revalidate , must-understand, no-transform",
        "immutable, max-age=1, s-maxage=2, stale-while-revalidate=3;why=\"x\", stale-if-error=4",
    ]);
    let expected = ResponseDirectives {
        no_store: true,
        public: true,
        must_revalidate: true,
        proxy_revalidate: true,
        must_understand: true,
        no_transform: true,
        immutable: true,
        max_age: Some(1),
        s_maxage: Some(2),
        stale_while_revalidate: Some(3),
        stale_if_error: Some(4),
        targeted: true,
        ..ResponseDirectives::default()
    };
    assert_eq!(all, expected);
    assert_eq!(
        read(&["private=\"x-a, x-b\""]).private_fields,
        ["x-a", "x-b"]
    );
    assert!(read(&["no-cache"]).no_cache);
    assert!(read(&["no-store;a;b=?0;c=tok/en:*"]).no_store);
    // The last of a name counts (RFC 8941 §3.2), and `?0` is as good as nothing.
    assert_eq!(read(&["max-age=1", "max-age=5"]).max_age, Some(5));
    assert!(!read(&["no-store, no-store=?0"]).no_store);
    assert_eq!(
        read(&["max-age=999999999999999"]).max_age,
        Some(DELTA_SECONDS_MAX)
    );
}

#[test]
fn directives_that_nobody_knows_may_have_any_value() {
    for value in [
        "",
        "=1",
        "=-1.5",
        "=tok",
        "=\"a\\\"b\"",
        "=?1",
        "=:YWI=:",
        "=(a \"b\";x=1 3)",
        "=()",
    ] {
        let read = targeted(&[&format!("foo{value}, max-age=7")]);
        assert_eq!(read.and_then(|read| read.max_age), Some(7), "{value}");
    }
}

#[test]
fn one_error_makes_a_targeted_field_as_good_as_absent() {
    for invalid in [
        "",
        " ",
        ",",
        "max-age=7,",
        ",max-age=7",
        "max-age=7 no-store",
        "max-age=7, &&&&&",
        "max-age =7",
        "max-age= 7",
        "max-age",
        "max-age=\"7\"",
        "max-age=7.0",
        "max-age=-7",
        "max-age=?1",
        "max-age=x",
        "max-age=1234567890123456",
        "max-age=+7",
        "Max-Age=7",
        "no-store=1",
        "no-store=yes",
        "private=x",
        "private=(\"a\")",
        "foo=",
        "foo=\"",
        "foo=\"\\a\"",
        "foo=?2",
        "foo=:a",
        "foo=(a",
        "foo=(a,b)",
        "foo=(a\"b\")",
        "foo=1.",
        "foo=1.2345",
        "foo=-",
        "foo;A",
        "foo;=1",
    ] {
        assert_eq!(targeted(&[invalid]), None, "{invalid:?}");
    }
    assert_eq!(targeted(&[]), None);
    let endless = "a, ".repeat(DIRECTIVES_MAX);
    assert!(
        targeted(&[&format!("{endless}a")]).is_some(),
        "one name, again and again"
    );
    let names: Vec<String> = (0..=DIRECTIVES_MAX)
        .map(|number| format!("a{number}"))
        .collect();
    assert_eq!(targeted(&[&names.join(",")]), None);
}

proptest! {
    #[test]
    fn no_targeted_field_makes_it_panic(value in prop::collection::vec(any::<u8>(), 0..60), text in "[a-z0-9=,;:?()\"*. -]{0,40}") {
        for value in [&value[..], text.as_bytes()] {
            if let Ok(value) = http::HeaderValue::from_bytes(value) {
                let headers = [(HeaderName::from_static("cdn-cache-control"), value)].into_iter().collect();
                // That there is an answer is all that is asked.
                let _read = ResponseDirectives::of_cdn(&headers);
            }
        }
    }
}
