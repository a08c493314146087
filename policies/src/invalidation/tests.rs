//! Row 91 of the hostile inputs.

use super::*;
use http::HeaderName;

const HERE: &str = "http://h.example/dir/page?q";

fn check(method: &str, status: u16, response: &[(&str, &str)], expected: &[&str]) {
    let parse = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), value.parse().unwrap())
    };
    let found = targets(
        &Method::from_bytes(method.as_bytes()).unwrap(),
        &Target::parse(HERE).unwrap(),
        StatusCode::from_u16(status).unwrap(),
        &response.iter().map(parse).collect(),
    );
    let found: Vec<String> = found.iter().map(Target::to_string).collect();
    assert_eq!(found, expected, "{method} {status} {response:?}");
}

#[test]
fn row_91_success_of_an_unsafe_method_invalidates_its_url() {
    for method in [
        "POST", "PUT", "DELETE", "PATCH", "MKCOL", "M-SEARCH", "WHATEVER", "post",
    ] {
        for status in [200, 201, 204, 299, 301, 303, 304] {
            check(method, status, &[], &[HERE]);
        }
        for status in [100, 199, 400, 404, 500, 503, 600] {
            check(method, status, &[("location", "/x")], &[]);
        }
    }
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "SEARCH"] {
        check(method, 200, &[("content-location", "/x")], &[]);
    }
}

#[test]
fn row_91_what_the_response_names_goes_too_on_the_same_origin_only() {
    let located = |location| [("location", location)];
    check(
        "POST",
        201,
        &located("new"),
        &[HERE, "http://h.example/dir/new"],
    );
    check(
        "POST",
        201,
        &located("http://H.example:80/x#y"),
        &[HERE, "http://h.example/x"],
    );
    for foreign in [
        "http://other.example/x",
        "https://h.example/x",
        "http://h.example:8080/x",
        "//other.example/x",
        "http://h.example@other.example/",
        "\u{1}",
    ] {
        if foreign.parse::<http::HeaderValue>().is_ok() {
            check("POST", 201, &located(foreign), &[HERE]);
        }
    }
    let both = [
        ("location", "/a"),
        ("content-location", "/b"),
        ("content-location", "page?q"),
    ];
    check(
        "PUT",
        200,
        &both,
        &[HERE, "http://h.example/a", "http://h.example/b"],
    );
}

#[test]
fn a_response_names_a_bounded_number() {
    let names: Vec<String> = (0..100).map(|number| format!("/{number}")).collect();
    let lines: Vec<(&str, &str)> = names
        .iter()
        .map(|name| ("location", name.as_str()))
        .collect();
    let mut expected = vec![HERE.to_owned()];
    expected.extend(
        names
            .iter()
            .take(NAMED_MAX)
            .map(|name| format!("http://h.example{name}")),
    );
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check("POST", 200, &lines, &expected);
}
