//! Rows 35 to 37, 54, 55 and 73 of the hostile inputs.

use super::*;

fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
    let parse = |(name, value): &(&str, &str)| {
        (
            HeaderName::try_from(*name).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    };
    pairs.iter().map(parse).collect()
}

/// Sorted names.
fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

fn stripped(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = fields(pairs);
    strip(&mut headers);
    headers
}

#[test]
fn row_37_fields_of_one_connection_are_stripped() {
    let left = stripped(&[
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic c2VjcmV0"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authentication-info", "x"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABk"),
        ("accept", "*/*"),
    ]);
    assert_eq!(names(&left), ["accept"]);
}

#[test]
fn fields_named_by_connection_are_stripped() {
    let left = stripped(&[
        ("connection", "X-One, close"),
        ("connection", "x-two,\u{e9},, X-Three"),
        ("x-one", "1"),
        ("x-two", "2"),
        ("x-three", "3"),
        ("x-four", "4"),
    ]);
    assert_eq!(names(&left), ["x-four"]);
}

#[test]
fn row_36_connection_cannot_remove_what_is_protected() {
    let protected = [
        "host",
        "via",
        "authorization",
        "x-forwarded-for",
        "content-length",
        "cache-control",
        "cookie",
        "set-cookie",
        "range",
        "vary",
        "age",
        "cdn-loop",
        "x-jfrog-art-api",
    ];
    for name in protected {
        let left = stripped(&[("connection", name), (name, "x")]);
        assert_eq!(names(&left), [name]);
    }
}

#[test]
fn via_is_appended_behind_the_others() {
    let mut headers = fields(&[("via", "1.0 other")]);
    append_via(&mut headers, "1.1", "weir");
    let lines: Vec<&HeaderValue> = headers.get_all(VIA).iter().collect();
    assert_eq!(lines, ["1.0 other", "1.1 weir"]);
    append_via(&mut headers, "1.1", "we\r\nir");
    assert_eq!(headers.get_all(VIA).iter().count(), 2);
}

#[test]
fn rows_54_and_55_a_loop_is_seen_by_the_whole_name() {
    let looped = |name, value| has_looped(&fields(&[(name, value)]), "weir-1");
    assert!(looped("via", "1.1 weir-1"));
    assert!(looped("via", "1.0 a, HTTP/1.1  WEIR-1 (comment)"));
    assert!(looped("via", "1.1 a (\u{e9}), 1.1 weir-1"));
    assert!(looped("cdn-loop", "other; a=b, weir-1 ;x=y"));
    assert!(!looped("via", "1.1 weir-11, 1.1 weir"));
    assert!(!looped("via", "weir-1"));
    assert!(!looped("cdn-loop", "other; weir-1"));
    assert!(!has_looped(&HeaderMap::new(), "weir-1"));
}

#[test]
fn row_73_a_shared_request_carries_nothing_personal_and_no_tricks() {
    let kept = [
        ("accept", "*/*"),
        ("accept-encoding", "gzip"),
        ("accept-language", "de"),
        ("cdn-loop", "a"),
        ("git-protocol", "version=2"),
        ("user-agent", "apt"),
        ("via", "1.1 a"),
    ];
    let dropped = [
        ("host", "h"),
        ("expect", "100-continue"),
        ("authorization", "Basic x"),
        ("cookie", "a=b"),
        ("cookie2", "$Version=1"),
        ("private-token", "x"),
        ("x-api-key", "x"),
        ("x-jfrog-art-api", "x"),
        ("range", "bytes=0-1"),
        ("if-range", "\"a\""),
        ("if-none-match", "\"a\""),
        ("if-modified-since", "x"),
        ("cache-control", "no-cache"),
        ("pragma", "no-cache"),
        ("content-length", "4"),
        ("content-type", "text/plain"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "evil"),
        ("forwarded", "for=1.2.3.4"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("x-http-method-override", "DELETE"),
        ("proxy-authorization", "Basic x"),
        ("http2-settings", "x"),
        ("proxy", "http://evil/"),
        ("proxy-anything", "x"),
        ("connection", "close"),
    ];
    let all: Vec<(&str, &str)> = kept.into_iter().chain(dropped).collect();
    assert_eq!(
        names(&shared_request(&fields(&all))),
        kept.map(|(name, _)| name)
    );
}

#[test]
fn a_private_request_keeps_what_is_the_clients_own() {
    let client = fields(&[
        ("host", "h"),
        ("expect", "100-continue"),
        ("authorization", "Basic x"),
        ("cookie", "a=b"),
        ("range", "bytes=0-1"),
        ("if-none-match", "\"a\""),
        ("cache-control", "no-cache"),
        ("x-forwarded-proto", "https"),
        ("x-http-method-override", "DELETE"),
        ("proxy-authorization", "Basic x"),
        ("x-jfrog-art-api", "x"),
    ]);
    let expected = [
        "authorization",
        "cache-control",
        "cookie",
        "if-none-match",
        "range",
        "x-jfrog-art-api",
    ];
    assert_eq!(names(&private_request(&client)), expected);
}
