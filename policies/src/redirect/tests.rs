//! Where redirects lead, and what of a request and of a lifetime survives them.

use super::*;
use crate::freshness::Overrides;
use crate::time::UnixSeconds;
use http::HeaderValue;

fn target(url: &str) -> Target {
    Target::parse(url).unwrap()
}

fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
    let parse = |(name, value): &(&str, &str)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        (HeaderName::try_from(*name).unwrap(), value)
    };
    pairs.iter().map(parse).collect()
}

fn check(from: &str, location: &str, expected: Result<&str, RedirectRefusal>) {
    let found = next(&target(from), &fields(&[("location", location)]));
    let found = found.map(|url| url.to_string());
    assert_eq!(found, expected.map(str::to_owned), "{from} {location}");
}

#[test]
fn references_are_resolved_as_rfc_3986_has_it() {
    let from = "http://h.example/a/b/c?q";
    check(from, "http://o.example/x?y", Ok("http://o.example/x?y"));
    check(from, "HTTPS://O.example:443", Ok("https://o.example/"));
    check(from, "//o.example/x", Ok("http://o.example/x"));
    check(from, "/x/./y/../z", Ok("http://h.example/x/z"));
    check(from, "d", Ok("http://h.example/a/b/d"));
    check(from, "../d", Ok("http://h.example/a/d"));
    check(from, "../../../d", Ok("http://h.example/d"));
    check(from, "?r", Ok("http://h.example/a/b/c?r"));
    check(from, "", Ok("http://h.example/a/b/c?q"));
    check(from, "#frag", Ok("http://h.example/a/b/c?q"));
    check(
        from,
        "d?x=http://e/#frag",
        Ok("http://h.example/a/b/d?x=http://e/"),
    );
    check(from, "d/x:y", Ok("http://h.example/a/b/d/x:y"));
    check("http://h.example:8080", "d", Ok("http://h.example:8080/d"));
}

#[test]
fn what_no_url_may_have_is_escaped_where_it_means_one_thing_only() {
    let from = "http://h.example/";
    check(from, "/a b", Ok("http://h.example/a%20b"));
    check(from, "/\u{e9}", Ok("http://h.example/%C3%A9"));
    for nonsense in [
        "http://h b/x",
        "/a\tb",
        "/a\\b",
        "/%zz",
        "http:x",
        "mailto:x",
        "://x",
    ] {
        check(from, nonsense, Err(RedirectRefusal::Location));
    }
}

#[test]
fn a_location_that_is_missing_repeated_or_has_userinfo_is_refused() {
    let from = target("http://h.example/");
    let refused = Err(RedirectRefusal::Location);
    assert_eq!(next(&from, &HeaderMap::new()), refused);
    let two = fields(&[("location", "/a"), ("location", "/a")]);
    assert_eq!(next(&from, &two), refused);
    check(
        "http://h.example/",
        "http://u:p@o.example/",
        Err(RedirectRefusal::Location),
    );
    let endless = "/".repeat(crate::target::TARGET_BYTES_MAX + 1);
    check(
        "http://h.example/",
        &endless,
        Err(RedirectRefusal::Location),
    );
}

#[test]
fn security_is_never_lost_on_the_way() {
    let refused = Err(RedirectRefusal::Downgrade);
    check("https://h.example/", "http://h.example/", refused);
    check("https://h.example/", "ftp://h.example/", refused);
    check("http://h.example/", "ftp://h.example/", refused);
    check(
        "http://h.example/",
        "https://h.example/",
        Ok("https://h.example/"),
    );
    check(
        "ftp://h.example/",
        "ftp://o.example/",
        Ok("ftp://o.example/"),
    );
    let metadata = Err(RedirectRefusal::MetadataService);
    check(
        "http://h.example/",
        "http://Metadata.Google.Internal./x",
        metadata,
    );
}

#[test]
fn row_134_a_loop_is_a_chain_like_any_other_and_ends_at_the_callers_bound() {
    let mut at = target("http://h.example/a");
    for location in ["/b", "/a", "/b", "/a"] {
        at = next(&at, &fields(&[("location", location)])).unwrap();
    }
    assert_eq!(at, target("http://h.example/a"));
}

#[test]
fn only_statuses_that_redirect_are_followed() {
    let located = fields(&[("location", "/")]);
    for status in 100..600 {
        let status = StatusCode::from_u16(status).unwrap();
        let expected = [301, 302, 303, 307, 308].contains(&status.as_u16());
        assert_eq!(is_redirect(status, &located), expected, "{status}");
        assert!(!is_redirect(status, &HeaderMap::new()));
    }
}

#[test]
fn credentials_never_reach_another_origin() {
    let sent = fields(&[
        ("authorization", "Basic x"),
        ("cookie", "a=b"),
        ("host", "h.example"),
        ("cookie2", "$Version=1"),
        ("private-token", "x"),
        ("x-amz-security-token", "x"),
        ("accept", "*/*"),
        ("accept", "text/html"),
    ]);
    let from = target("https://h.example/a");
    assert_eq!(
        hop_fields(&sent, &from, &target("https://h.example:443/b")),
        sent
    );
    for other in [
        "http://h.example/",
        "https://h.example:444/",
        "https://o.h.example/",
    ] {
        let kept = hop_fields(&sent, &from, &target(other));
        let public = fields(&[("accept", "*/*"), ("accept", "text/html")]);
        assert_eq!(kept, public, "{other}");
    }
}

fn bound(response: &[(&str, &str)], adjust: Adjust) -> HopBound {
    let exchange = Exchange {
        requested: UnixSeconds(1_000),
        responded: UnixSeconds(1_000),
    };
    chain_lifetime(StatusCode::FOUND, &fields(response), exchange, adjust)
}

#[test]
fn a_redirect_bounds_the_lifetime_by_what_it_says_of_its_own() {
    let of = |response: &[(&str, &str)]| bound(response, Adjust::default());
    let control = |value: &str| bound(&[("cache-control", value)], Adjust::default());
    assert_eq!(of(&[]), HopBound::Seconds(0));
    assert_eq!(
        of(&[("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT")]),
        HopBound::Seconds(0)
    );
    assert_eq!(control("max-age=60"), HopBound::Seconds(60));
    assert_eq!(
        of(&[("cache-control", "max-age=60"), ("age", "50")]),
        HopBound::Seconds(10)
    );
    assert_eq!(
        of(&[("cache-control", "max-age=60"), ("age", "70")]),
        HopBound::Seconds(0)
    );
    assert_eq!(control("max-age=60, no-cache"), HopBound::Seconds(0));
    assert_eq!(
        of(&[("cache-control", "max-age=9"), ("set-cookie", "a=b")]),
        HopBound::Seconds(9)
    );
    let capped = Adjust {
        ttl_max: Some(5),
        ..Adjust::default()
    };
    assert_eq!(
        bound(&[("cache-control", "max-age=60")], capped),
        HopBound::Seconds(5)
    );
}

#[test]
fn a_redirect_for_one_client_leads_to_nothing_that_is_shared() {
    for control in ["no-store", "private", "max-age=60, private"] {
        let response = [("cache-control", control)];
        assert_eq!(
            bound(&response, Adjust::default()),
            HopBound::NotStorable,
            "{control}"
        );
    }
    // The bytes behind an archive's name are everybody's, unless the hop forbids to store outright.
    let immutable = Adjust {
        immutable: true,
        ..Adjust::default()
    };
    let forbidden = bound(&[("cache-control", "no-store")], immutable);
    assert_eq!(forbidden, HopBound::NotStorable);
    let github = bound(&[("cache-control", "max-age=0, private")], immutable);
    assert_eq!(github, HopBound::Seconds(0));
    let star = [("cache-control", "max-age=60"), ("vary", "*")];
    assert_eq!(bound(&star, Adjust::default()), HopBound::NotStorable);
    let overridden = Adjust {
        overrides: Overrides {
            private: true,
            ..Overrides::default()
        },
        ..Adjust::default()
    };
    let private = [("cache-control", "max-age=60, private")];
    assert_eq!(bound(&private, overridden), HopBound::Seconds(60));
}

#[test]
fn the_least_of_all_hops_counts() {
    let (short, long) = (HopBound::Seconds(1), HopBound::Seconds(2));
    assert_eq!(short.and(long), short);
    assert_eq!(long.and(short), short);
    assert_eq!(long.and(HopBound::NotStorable), HopBound::NotStorable);
    assert_eq!(HopBound::NotStorable.and(long), HopBound::NotStorable);
}
