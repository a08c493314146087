//! Rows 75 to 79 of the hostile inputs: what a shared cache may keep.

use super::*;
use crate::freshness::Overrides;
use crate::time::UnixSeconds;
use http::header::HeaderName;

const EXCHANGE: Exchange = Exchange {
    requested: UnixSeconds(0),
    responded: UnixSeconds(0),
};

fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
    let parse = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), value.parse().unwrap())
    };
    pairs.iter().map(parse).collect()
}

fn judged(request: &[(&str, &str)], status: u16, response: &[(&str, &str)]) -> Storability {
    let status = StatusCode::from_u16(status).unwrap();
    let (request, response) = (fields(request), fields(response));
    judge(
        &Method::GET,
        &request,
        status,
        &response,
        EXCHANGE,
        Adjust::default(),
    )
}

/// A 200 with this Cache-Control and these other fields.
fn check(request: &[(&str, &str)], control: &str, more: &[(&str, &str)], expected: Storability) {
    let mut response = vec![("cache-control", control)];
    response.extend(more);
    assert_eq!(
        judged(request, 200, &response),
        expected,
        "{request:?} {response:?}"
    );
}

const STORE: Storability = Storability::Store;

fn refuse(reason: NotStored) -> Storability {
    Storability::Refuse(reason)
}

#[test]
fn a_plain_fresh_response_is_stored() {
    check(&[], "max-age=60", &[], STORE);
    check(&[], "public, s-maxage=60", &[], STORE);
}

#[test]
fn only_get_is_stored() {
    let fresh = fields(&[("cache-control", "public, max-age=60")]);
    for method in [Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
        let empty = HeaderMap::new();
        let answer = judge(
            &method,
            &empty,
            StatusCode::OK,
            &fresh,
            EXCHANGE,
            Adjust::default(),
        );
        assert_eq!(answer, refuse(NotStored::Method), "{method}");
    }
}

#[test]
fn row_76_an_error_is_stored_only_with_freshness_in_so_many_words() {
    let etag = ("etag", "\"a\"");
    for status in [200, 203, 204, 301, 308, 404, 410] {
        assert_eq!(judged(&[], status, &[etag]), STORE, "{status}");
    }
    for status in [
        201, 302, 303, 307, 400, 403, 405, 413, 414, 431, 500, 501, 502, 503,
    ] {
        assert_eq!(
            judged(&[], status, &[etag]),
            refuse(NotStored::Status),
            "{status}"
        );
        let zero = [etag, ("cache-control", "max-age=0")];
        assert_eq!(
            judged(&[], status, &zero),
            refuse(NotStored::Status),
            "{status}"
        );
        assert_eq!(
            judged(&[], status, &[("cache-control", "max-age=9")]),
            STORE,
            "{status}"
        );
    }
    for status in [100, 101, 103, 206, 304, 600, 999] {
        let fresh = [etag, ("cache-control", "max-age=9")];
        assert_eq!(
            judged(&[], status, &fresh),
            refuse(NotStored::Status),
            "{status}"
        );
    }
}

#[test]
fn row_78_no_store_and_private_are_obeyed() {
    check(&[], "max-age=60, no-store", &[], refuse(NotStored::NoStore));
    check(
        &[("cache-control", "no-store")],
        "max-age=60",
        &[],
        refuse(NotStored::NoStore),
    );
    check(&[], "max-age=60, private", &[], refuse(NotStored::Private));
    check(&[], "max-age=60, private=\"x-a\"", &[], STORE);
}

#[test]
fn must_understand_takes_no_store_back_where_the_status_is_understood() {
    check(&[], "max-age=60, no-store, must-understand", &[], STORE);
    let strange = [("cache-control", "max-age=60, must-understand")];
    assert_eq!(judged(&[], 299, &strange), refuse(NotStored::NoStore));
    let asked = [("cache-control", "no-store")];
    check(
        &asked,
        "max-age=60, no-store, must-understand",
        &[],
        refuse(NotStored::NoStore),
    );
}

#[test]
fn row_77_authorization_needs_permission() {
    for name in ["authorization", "x-jfrog-art-api", "x-api-key"] {
        let asked = [(name, "Basic x")];
        check(&asked, "max-age=60", &[], refuse(NotStored::Authorization));
        for permission in ["public", "s-maxage=60", "must-revalidate"] {
            check(&asked, &format!("max-age=60, {permission}"), &[], STORE);
        }
        check(
            &asked,
            "max-age=60, proxy-revalidate",
            &[],
            refuse(NotStored::Authorization),
        );
    }
}

#[test]
fn row_78_cookies_need_permission() {
    let sets = [("set-cookie", "a=b")];
    check(&[], "max-age=60", &sets, refuse(NotStored::SetCookie));
    check(
        &[],
        "max-age=60, must-revalidate",
        &sets,
        refuse(NotStored::SetCookie),
    );
    check(&[], "max-age=60, public", &sets, STORE);
    check(&[], "s-maxage=60", &sets, STORE);
    check(&[], "max-age=60, private=\"Set-Cookie\"", &sets, STORE);
    let asked = [("cookie", "a=b")];
    check(&asked, "max-age=60", &[], refuse(NotStored::Cookie));
    check(&asked, "max-age=60, public", &[], STORE);
}

#[test]
fn row_79_vary_star_is_never_reused() {
    check(
        &[],
        "max-age=60",
        &[("vary", "accept, *")],
        refuse(NotStored::VaryStar),
    );
    check(&[], "max-age=60", &[("vary", "accept")], STORE);
}

#[test]
fn what_could_never_be_served_is_not_stored() {
    check(&[], "x", &[], refuse(NotStored::NoFreshness));
    check(&[], "max-age=0", &[], refuse(NotStored::NoFreshness));
    check(
        &[],
        "max-age=60, no-cache",
        &[],
        refuse(NotStored::NoFreshness),
    );
    check(&[], "max-age=0", &[("etag", "\"a\"")], STORE);
    check(
        &[],
        "no-cache",
        &[("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT")],
        STORE,
    );
    let silent = HeaderMap::new();
    let rule = Adjust {
        ttl_default: Some(60),
        ..Adjust::default()
    };
    let answer = judge(
        &Method::GET,
        &silent,
        StatusCode::OK,
        &silent,
        EXCHANGE,
        rule,
    );
    assert_eq!(answer, STORE);
}

#[test]
fn a_head_above_the_limit_is_not_stored() {
    let long = "x".repeat(STORED_HEAD_BYTES_MAX);
    check(
        &[],
        "max-age=60",
        &[("x-a", &long)],
        refuse(NotStored::HeadTooLarge),
    );
    let fitting = "x".repeat(STORED_HEAD_BYTES_MAX - 200);
    check(&[], "max-age=60", &[("x-a", &fitting)], STORE);
}

#[test]
fn stored_fields_are_those_that_everybody_may_have() {
    let response = fields(&[
        ("age", "5"),
        ("age", "6"),
        (
            "cache-control",
            "public, max-age=60, private=\"x-private\", no-cache=\"x-check\"",
        ),
        ("connection", "x-hop"),
        ("content-type", "text/plain"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("set-cookie", "a=b"),
        ("transfer-encoding", "chunked"),
        ("x-check", "1"),
        ("x-end", "1"),
        ("x-end", "2"),
        ("x-hop", "1"),
        ("x-private", "1"),
    ]);
    let expected = fields(&[
        ("age", "5"),
        (
            "cache-control",
            "public, max-age=60, private=\"x-private\", no-cache=\"x-check\"",
        ),
        ("content-type", "text/plain"),
        ("x-end", "1"),
        ("x-end", "2"),
    ]);
    assert_eq!(storable_fields(&response), expected);
}

/// A 200 with this head under a rule that sets something aside.
fn overridden(
    request: &[(&str, &str)],
    response: &[(&str, &str)],
    overrides: Overrides,
) -> Storability {
    let adjust = Adjust {
        overrides,
        ..Adjust::default()
    };
    let (request, response) = (fields(request), fields(response));
    judge(
        &Method::GET,
        &request,
        StatusCode::OK,
        &response,
        EXCHANGE,
        adjust,
    )
}

#[test]
fn a_rule_sets_aside_what_it_names_and_nothing_else() {
    let control = |value: &'static str| [("cache-control", value)];
    let no_store = Overrides {
        no_store: true,
        ..Overrides::default()
    };
    let no_cache = Overrides {
        no_cache: true,
        ..Overrides::default()
    };
    let private = Overrides {
        private: true,
        ..Overrides::default()
    };
    let set_cookie = Overrides {
        set_cookie: true,
        ..Overrides::default()
    };
    for (response, lifting, reason) in [
        (control("max-age=9, no-store"), no_store, NotStored::NoStore),
        (
            control("max-age=9, no-cache"),
            no_cache,
            NotStored::NoFreshness,
        ),
        (control("max-age=9, private"), private, NotStored::Private),
    ] {
        for overrides in [
            Overrides::default(),
            no_store,
            no_cache,
            private,
            set_cookie,
        ] {
            let expected = if overrides == lifting {
                STORE
            } else {
                refuse(reason)
            };
            assert_eq!(
                overridden(&[], &response, overrides),
                expected,
                "{response:?} {overrides:?}"
            );
        }
    }
    let sets = [("cache-control", "max-age=9"), ("set-cookie", "a=b")];
    assert_eq!(overridden(&[], &sets, set_cookie), STORE);
    assert_eq!(
        overridden(&[], &sets, private),
        refuse(NotStored::SetCookie)
    );
}

#[test]
fn row_78_no_rule_sets_aside_what_the_client_asked_for() {
    let everything = Overrides {
        no_store: true,
        no_cache: true,
        private: true,
        set_cookie: true,
    };
    let fresh = [("cache-control", "max-age=9")];
    let asked = [("cache-control", "no-store")];
    assert_eq!(
        overridden(&asked, &fresh, everything),
        refuse(NotStored::NoStore)
    );
    let known = [("authorization", "Basic x")];
    assert_eq!(
        overridden(&known, &fresh, everything),
        refuse(NotStored::Authorization)
    );
    let cookie = [("cookie", "a=b")];
    assert_eq!(
        overridden(&cookie, &fresh, everything),
        refuse(NotStored::Cookie)
    );
}

#[test]
fn where_weir_acts_for_the_origin_its_own_field_decides() {
    let of = |cdn: bool, targeted: &str, control: &str| {
        let response = fields(&[("cdn-cache-control", targeted), ("cache-control", control)]);
        let adjust = Adjust {
            cdn,
            ..Adjust::default()
        };
        judge(
            &Method::GET,
            &HeaderMap::new(),
            StatusCode::OK,
            &response,
            EXCHANGE,
            adjust,
        )
    };
    assert_eq!(of(true, "max-age=9", "no-store"), STORE);
    assert_eq!(
        of(false, "max-age=9", "no-store"),
        refuse(NotStored::NoStore)
    );
    assert_eq!(
        of(true, "no-store", "max-age=9"),
        refuse(NotStored::NoStore)
    );
    assert_eq!(of(false, "no-store", "max-age=9"), STORE);
    assert_eq!(of(true, "private", "max-age=9"), refuse(NotStored::Private));
    assert_eq!(
        of(true, "max-age=9, &&&&&", "no-store"),
        refuse(NotStored::NoStore)
    );
    assert_eq!(
        of(true, "max-age=\"9\"", "no-store"),
        refuse(NotStored::NoStore)
    );
}

#[test]
fn fields_that_either_of_the_two_keeps_private_are_not_stored() {
    let control = ("cache-control", "private=\"x-a\"");
    let targeted = ("cdn-cache-control", "max-age=9, private=\"x-b\"");
    let response = fields(&[control, targeted, ("x-a", "1"), ("x-b", "1"), ("x-c", "1")]);
    let kept = fields(&[control, targeted, ("x-c", "1")]);
    assert_eq!(storable_fields(&response), kept);
}
