//! Tables named after the rows of hostile input they answer, and properties of the normal form.

use super::*;
use crate::key::CacheKey;
use http::Method;
use proptest::prelude::*;

fn normal(url: &str) -> String {
    match Target::parse(url) {
        Ok(target) => target.to_string(),
        Err(error) => error.to_string(),
    }
}

fn check(url: &str, expected: &str) {
    assert_eq!(normal(url), expected, "{url}");
}

fn refused(url: &str) {
    let answer = Target::parse(url);
    assert!(
        matches!(answer, Err(TargetError::Malformed(_))),
        "{url:?}: {answer:?}"
    );
}

#[test]
fn row_23_userinfo_is_refused_in_http_and_dropped_in_ftp() {
    refused("http://user@h/");
    refused("https://user:secret@h/");
    refused("http://@h/");
    check("ftp://user:secret@h/p", "ftp://h/p");
    refused("ftp://a@b@h/");
    // An @ in a path is just a character: npm scopes.
    check("https://h/@scope/name", "https://h/@scope/name");
    check("https://h?a@b", "https://h/?a@b");
}

#[test]
fn row_25_default_port_and_case_have_one_spelling() {
    check("http://h:80/", "http://h/");
    check("HTTP://H/", "http://h/");
    check("https://h:443/", "https://h/");
    check("ftp://h:21/", "ftp://h/");
    check("http://h:443/", "http://h:443/");
    check("http://h:/", "http://h/");
    check("http://h:65535/", "http://h:65535/");
    for port in [
        "0",
        "65536",
        "99999999999999999999",
        "-1",
        "+80",
        "080",
        "8 0",
        "http",
    ] {
        refused(&format!("http://h:{port}/"));
    }
}

#[test]
fn row_27_an_absent_path_is_the_root() {
    check("http://h", "http://h/");
    check("http://h?q", "http://h/?q");
    check("http://h/?", "http://h/?");
    assert_eq!(Target::parse("http://h?q").unwrap().path_and_query(), "/?q");
    assert_eq!(Target::parse("http://h?q").unwrap().path(), "/");
}

#[test]
fn row_28_an_unknown_scheme_is_named() {
    let scheme = |url| Target::parse(url).unwrap_err();
    assert_eq!(
        scheme("gopher://h/"),
        TargetError::Scheme("gopher".to_owned())
    );
    assert_eq!(
        scheme("FILE:///etc/passwd"),
        TargetError::Scheme("file".to_owned())
    );
    assert_eq!(scheme("ws://h/"), TargetError::Scheme("ws".to_owned()));
    for url in [
        "",
        "h/p",
        "//h/p",
        "localhost:80",
        "http:h",
        "http:/h",
        "1x://h/",
        "://h/",
    ] {
        refused(url);
    }
}

#[test]
fn row_29_backslashes_are_refused() {
    refused(r"http://h\@evil/");
    refused(r"http://evil\.h/");
    refused(r"http://h\p");
    refused(r"http://h/a\b");
}

#[test]
fn row_30_only_visible_ascii_and_no_fragment() {
    for bad in ['\0', ' ', '\t', '\r', '\n', '\x7f', 'é'] {
        refused(&format!("http://h/a{bad}b"));
        refused(&format!("http://h/?a{bad}b"));
    }
    refused("http://h/p#f");
    refused("http://h/?q#f");
    refused("http://h#f");
}

#[test]
fn row_31_paths_have_one_reading() {
    check("http://h/a/../..", "http://h/");
    check("http://h/a/./b/../c", "http://h/a/c");
    check("http://h/a/b/..", "http://h/a/");
    check("http://h/a/.", "http://h/a/");
    check("http://h/%2e%2e/%2E./a", "http://h/a");
    check("http://h//x", "http://h//x");
    check("http://h/a//../b", "http://h/a/b");
    check("http://h/a%2fb", "http://h/a%2fb");
    check("http://h/..%2f..%2fb", "http://h/..%2f..%2fb");
    check("http://h/...", "http://h/...");
}

#[test]
fn percent_encoding_is_kept_except_of_unreserved_characters() {
    check("http://h/%41%7e%2D%5f%30", "http://h/A~-_0");
    check("http://h/%c3%a9%20", "http://h/%c3%a9%20");
    check("http://h/+%2b", "http://h/+%2b");
    // Once, not until nothing is left.
    check("http://h/%252e%252e/", "http://h/%252e%252e/");
    for stray in ["%", "%2", "%zz", "%+1", "%2%65"] {
        refused(&format!("http://h/{stray}"));
    }
}

#[test]
fn row_74_the_query_is_kept_byte_for_byte() {
    check(
        "http://h/p;x=1?b=2&a=1&a=%41;%zz/../\\?",
        "http://h/p;x=1?b=2&a=1&a=%41;%zz/../\\?",
    );
}

#[test]
fn row_48_no_number_is_read_as_an_address() {
    let shorthand = [
        "2852039166",
        "0xa9fea9fe",
        "0XA9FEA9FE",
        "0251.0376.0251.0376",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "127.0.0.0x1",
        "1.2.3.4.5",
        "256.1.1.1",
        "a.0",
        "a.0x",
        "127.0.0.1..",
        "１２７.1",
    ];
    for host in shorthand {
        refused(&format!("http://{host}/"));
    }
    check("http://127.0.0.1/", "http://127.0.0.1/");
    check("http://127.0.0.1./", "http://127.0.0.1/");
    check("http://1.example/", "http://1.example/");
    check("http://0xa.example/", "http://0xa.example/");
}

#[test]
fn row_63_hosts_have_one_spelling() {
    check("http://Example.ORG./", "http://example.org/");
    check("http://bücher.example/", "http://xn--bcher-kva.example/");
    check("http://BÜCHER.example/", "http://xn--bcher-kva.example/");
    check(
        "http://XN--BCHER-KVA.example/",
        "http://xn--bcher-kva.example/",
    );
    check("http://a_b.example/", "http://a_b.example/");
    check("http://[::1]/", "http://[::1]/");
    check("http://[0:0:0:0:0:0:0:1]:8080/", "http://[::1]:8080/");
    check("http://[2001:DB8::A]/", "http://[2001:db8::a]/");
    let long = format!("http://{}/", "a".repeat(64));
    let longer = format!("http://{}a/", "ab.".repeat(90));
    for url in [
        "http:///p",
        "http://./",
        "http://a..b/",
        "http://:80/",
        &long,
        &longer,
    ] {
        refused(url);
    }
    let odd = [
        "a b",
        "a<b",
        "a,b",
        "a%2eb",
        "a%",
        "a;b",
        "[::1",
        "::1",
        "[::1]x",
        "[fe80::1%eth0]",
    ];
    for host in odd {
        refused(&format!("http://{host}/"));
    }
    refused("http://xn--\u{fffd}/");
}

#[test]
fn row_69_escaped_controls_are_refused_in_ftp() {
    for escape in ["%0d%0aDELE", "%00", "%0A", "%1f", "%7F"] {
        refused(&format!("ftp://h/a{escape}"));
        refused(&format!("ftp://h/a?{escape}"));
    }
    check("ftp://h/a%20b", "ftp://h/a%20b");
    check("http://h/%0a.css", "http://h/%0a.css");
}

#[test]
fn an_overlong_target_is_refused() {
    let url = |bytes: usize| format!("http://h/{}", "a".repeat(bytes - 1));
    assert!(Target::parse(&url(TARGET_BYTES_MAX)).is_ok());
    let error = Target::parse(&url(TARGET_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error, TargetError::TooLong(TARGET_BYTES_MAX));
    let asked = ask(&Method::GET, &url(TARGET_BYTES_MAX + 1), &Forms::default());
    assert_eq!(asked, Err(TargetError::TooLong(TARGET_BYTES_MAX)));
}

#[test]
fn a_base_is_never_left() {
    let base = Target::parse("https://h/debian").unwrap();
    let joined = |rest: &str| base.join(rest).map(|target| target.to_string());
    assert_eq!(joined("").unwrap(), "https://h/debian/");
    assert_eq!(joined("dists/x?q").unwrap(), "https://h/debian/dists/x?q");
    assert_eq!(joined("a/../b").unwrap(), "https://h/debian/b");
    assert_eq!(joined("/x").unwrap(), "https://h/debian//x");
    assert_eq!(joined("a/..b").unwrap(), "https://h/debian/a/..b");
    let climbing = [
        "..",
        "../x",
        "a/../../x",
        "%2e%2e/x",
        "a/..%2f..%2fx",
        "..%5cx",
        "a#f",
    ];
    for rest in climbing {
        assert!(
            matches!(joined(rest), Err(TargetError::Malformed(_))),
            "{rest}"
        );
    }
    let odd = Target::parse("https://h/debian?q").unwrap();
    assert!(odd.join("x").is_err());
}

#[test]
fn row_22_host_fields_are_one_host() {
    let good: [&[u8]; 7] = [
        b"h",
        b"h:80",
        b"H.example.",
        b"[::1]:8080",
        b"1.2.3.4",
        b"a_b",
        b"h:",
    ];
    for value in good {
        assert!(host_is_valid(value), "{:?}", String::from_utf8_lossy(value));
    }
    let bad: [&[u8]; 14] = [
        b"", b"a b", b"a<b", b"a,b", b"a, b", b"\xff", b"u@h", b"h:x", b"h:0", b"h:70000", b"[::1",
        b"a\0", b"h/p", b"[x]",
    ];
    for value in bad {
        assert!(
            !host_is_valid(value),
            "{:?}",
            String::from_utf8_lossy(value)
        );
    }
}

/// Text that is close enough to a URL to reach every branch.
fn any_url() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-zA-Z0-9._-]{1,20}",
        "[a-z]{1,5}\\.[a-zäöß]{1,5}\\.?",
        "xn--[a-z0-9-]{1,10}",
        "[0-9.x]{1,12}",
        "\\[[0-9a-f:.]{2,20}\\]",
    ];
    let path = prop_oneof![
        "(/|%2[eEfF]|\\.|[a-z]|%[0-9a-fA-F]{2}){0,20}",
        "[ -~]{0,20}"
    ];
    let query = prop_oneof![Just(String::new()), "\\?[!-~]{0,12}"];
    let port = prop_oneof![Just(String::new()), ":[0-9]{0,6}"];
    ("(http|https|ftp|HTTP)", host, port, path, query).prop_map(
        |(scheme, host, port, path, query)| format!("{scheme}://{host}{port}/{path}{query}"),
    )
}

proptest! {
    #[test]
    fn the_normal_form_is_its_own_normal_form(url in any_url()) {
        if let Ok(target) = Target::parse(&url) {
            prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
        }
    }

    #[test]
    fn a_normal_target_is_visible_and_without_dot_segments(url in any_url()) {
        if let Ok(target) = Target::parse(&url) {
            prop_assert!(target.to_string().bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(target.path().starts_with('/'));
            prop_assert!(!target.path().split('/').any(|part| part == "." || part == ".."));
        }
    }

    #[test]
    fn two_spellings_of_one_resource_share_a_key(
        host in "[a-z]{1,8}\\.example",
        segment in "[a-zA-Z0-9_~-]{1,8}",
        query in "[a-zA-Z0-9%=&]{0,8}",
    ) {
        let escaped: String = segment.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let plain = format!("http://{host}/{segment}?{query}");
        let odd =
            format!("HTTP://{}.:80/x/../%2E/{escaped}?{query}", host.to_ascii_uppercase());
        let (plain, odd) = (Target::parse(&plain).unwrap(), Target::parse(&odd).unwrap());
        prop_assert_eq!(CacheKey::of("", false, &plain), CacheKey::of("", false, &odd));
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in "\\PC{0,40}", url in any_url()) {
        let forms = Forms { path_forms: true, mirrors: Vec::new() };
        for text in [&text, &url, &format!("/{text}"), &format!("/download/{text}")] {
            for method in [Method::GET, Method::CONNECT, Method::OPTIONS] {
                drop(ask(&method, text, &forms));
            }
            let dangerous = text.contains(['@', ' ', ',', '<', '/']) || !text.is_ascii();
            prop_assert!(!(dangerous && host_is_valid(text.as_bytes())));
        }
    }

    #[test]
    fn whatever_is_joined_stays_below_the_base(rest in "(/|\\.|%2[eEfF]|%5[cC]|[a-z?]){0,24}") {
        let base = Target::parse("http://h/base/").unwrap();
        if let Ok(target) = base.join(&rest) {
            let as_slash = |path: &str, escape: &str| path.replace(escape, "/");
            let reader = ["%2f", "%2F", "%5c", "%5C"].iter().fold(target.path().to_owned(), |path, escape| {
                as_slash(&path, escape)
            });
            prop_assert!(reader.starts_with("/base/"));
            prop_assert!(!reader.split('/').any(|part| part == ".."));
        }
    }
}
