//! Bases and their layouts, and what a client's URL cannot do with them.

use super::*;

fn located(base: &str, missing: &str) -> String {
    let missing = Target::parse(missing).unwrap();
    match Fallback::parse(base).unwrap().target(&missing) {
        Ok(target) => target.to_string(),
        Err(error) => error.to_string(),
    }
}

fn check(base: &str, missing: &str, expected: &str) {
    assert_eq!(located(base, missing), expected, "{base} {missing}");
}

#[test]
fn without_placeholders_path_and_query_stand_behind_the_base() {
    check("http://a", "http://h/p/f", "http://a/p/f");
    check("https://a/b", "http://h/p/f?q", "https://a/b/p/f?q");
    check("https://a/b/", "http://h/", "https://a/b/");
    check("https://a/b", "http://h//p", "https://a/b//p");
}

#[test]
fn placeholders_lay_out_the_archive() {
    let whole = "https://a/x/{scheme}/{host}/{path}";
    check(whole, "http://h/p/f", "https://a/x/http/h/p/f");
    check(
        whole,
        "https://h:8443/p/f?q",
        "https://a/x/https/h:8443/p/f?q",
    );
    check("https://a/{file}.old", "http://h/p/f", "https://a/f.old");
    check(
        "https://a/{file}",
        "http://h/p/",
        "malformed target: no file name for {file}",
    );
}

#[test]
fn the_bucket_of_a_cache_proxy_is_a_layout() {
    // `printf http://h/p/f.iso?x=1 | sha256sum`, computed apart from this code.
    let digest = "dc502d81968e5a05dc82dd3faed41134a2d493ef83e7aac26d2fbf1c75490b58";
    check(
        "https://bucket/{sha256}/{file}",
        "http://h/p/f.iso?x=1",
        &format!("https://bucket/{digest}/f.iso"),
    );
}

#[test]
fn the_digest_is_of_the_url_as_it_was_asked() {
    let fallback = Fallback::parse("https://bucket/{sha256}").unwrap();
    let resource = |form, as_asked: &str| {
        let target = Target::parse("http://h/f").unwrap();
        Resource {
            form,
            upstreams: vec![target.clone()],
            target,
            as_asked: as_asked.to_owned(),
            cdn: false,
        }
    };
    let located = |form, as_asked| fallback.target_of(&resource(form, as_asked)).unwrap();
    let normal = located(Form::Download, "http://h/f");
    assert_ne!(located(Form::Download, "http://H/f"), normal);
    assert_eq!(located(Form::Mirror, "/debian/f"), normal);
}

#[test]
fn a_url_cannot_climb_out_of_the_base() {
    for base in ["https://a/b", "https://a/b/{path}", "https://a/b/{file}"] {
        for missing in ["http://h/..%2f..%2fx", "http://h/..%5C..%5Cx"] {
            let located = located(base, missing);
            assert!(
                located.starts_with("malformed"),
                "{base} {missing}: {located}"
            );
        }
    }
}

#[test]
fn a_base_that_cannot_work_is_refused() {
    let refused = |written: &str| Fallback::parse(written).unwrap_err();
    assert!(matches!(refused("a.example"), FallbackError::Target(_)));
    assert!(matches!(refused("{scheme}"), FallbackError::Target(_)));
    assert!(matches!(
        refused("http://a/../{path}"),
        FallbackError::Target(_)
    ));
    assert_eq!(refused("ftp://a/"), FallbackError::Scheme);
    assert_eq!(refused("ftp://a/{path}"), FallbackError::Scheme);
    for base in [
        "http://metadata.google.internal/",
        "http://metadata.google.internal/{path}",
    ] {
        assert_eq!(refused(base), FallbackError::MetadataService);
    }
    assert_eq!(refused("http://a/?x"), FallbackError::Query);
    assert_eq!(refused("http://a/{path}?x"), FallbackError::Query);
    assert_eq!(refused("http://{host}/"), FallbackError::PlaceholderInHost);
    assert_eq!(
        refused("http://a.{host}/"),
        FallbackError::PlaceholderInHost
    );
    for base in [
        "http://a/{}",
        "http://a/{query}",
        "http://a/{path",
        "http://a/path}",
        "http://a/{a{path}",
    ] {
        assert_eq!(refused(base), FallbackError::Placeholder, "{base}");
    }
    assert_eq!(
        refused(&format!("http://a/{}", "x".repeat(1024))),
        FallbackError::TooLong
    );
    assert_eq!(
        refused(&format!("http://a/{}", "{file}".repeat(9))),
        FallbackError::TooLong
    );
}

#[test]
fn the_longest_path_in_every_placeholder_is_refused_and_not_sent() {
    let missing = format!("http://h/{}", "x".repeat(16_000));
    let located = located("http://a/{path}/{path}", &missing);
    assert!(located.contains("longer than"), "{located}");
}

#[test]
fn a_base_is_shown_as_it_is_written() {
    for written in [
        "http://a.example/",
        "https://a.example:81/base/",
        "https://a.example/{scheme}/{host}/x-{path}",
        "https://a.example/{sha256}/{file}",
    ] {
        assert_eq!(Fallback::parse(written).unwrap().to_string(), written);
    }
}
