//! What a stored response may answer, against a response of age 10.

use super::*;
use crate::time::UnixSeconds;
use http::header::{ACCEPT, CACHE_CONTROL};

const NOW: UnixSeconds = UnixSeconds(1_000_000);
const AGE: u64 = 10;

fn control(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(CACHE_CONTROL, value.parse().unwrap())])
}

fn decided(request: &str, response: &str, adjust: Adjust) -> Reuse {
    let (request, response) = (control(request), control(response));
    let fetched = UnixSeconds(NOW.0 - 10);
    let stored = Stored {
        status: StatusCode::OK,
        headers: &response,
        exchange: Exchange {
            requested: fetched,
            responded: fetched,
        },
        selection: &Selection::default(),
    };
    decide(
        &request,
        &RequestDirectives::of(&request),
        &stored,
        adjust,
        NOW,
    )
}

fn fresh(request: &str, response: &str, ttl: i64) {
    let answer = decided(request, response, Adjust::default());
    assert_eq!(
        answer,
        Reuse::Fresh { age: AGE, ttl },
        "{request:?} {response:?}"
    );
}

fn stale(request: &str, response: &str, why: StaleReason) {
    let answer = decided(request, response, Adjust::default());
    assert_eq!(
        answer,
        Reuse::Stale { age: AGE, why },
        "{request:?} {response:?}"
    );
}

#[test]
fn a_response_is_fresh_until_its_age_reaches_its_lifetime() {
    fresh("", "max-age=11", 1);
    stale("", "max-age=10", StaleReason::Expired);
    stale("", "", StaleReason::Expired);
    fresh("", "max-age=1, s-maxage=30", 20);
}

#[test]
fn no_cache_needs_revalidation_however_fresh() {
    stale("", "max-age=99, no-cache", StaleReason::ResponseNoCache);
    stale(
        "max-stale",
        "max-age=99, no-cache",
        StaleReason::ResponseNoCache,
    );
    // The named fields are not stored; the rest is reusable (§5.2.2.4).
    fresh("", "max-age=99, no-cache=\"x-a\"", 89);
}

#[test]
fn a_request_can_want_it_fresher() {
    stale("no-cache", "max-age=99", StaleReason::RequestDirective);
    stale("max-age=0", "max-age=99", StaleReason::RequestDirective);
    stale("max-age=9", "max-age=99", StaleReason::RequestDirective);
    fresh("max-age=10", "max-age=99", 89);
    stale("min-fresh=90", "max-age=99", StaleReason::RequestDirective);
    fresh("min-fresh=89", "max-age=99", 89);
    stale(
        "min-fresh=99999999999999999999",
        "max-age=99",
        StaleReason::RequestDirective,
    );
}

#[test]
fn max_stale_is_honored_unless_the_response_forbids_it() {
    fresh("max-stale", "max-age=1", -9);
    fresh("max-stale=9", "max-age=1", -9);
    stale("max-stale=8", "max-age=1", StaleReason::Expired);
    stale("max-stale=x", "max-age=1", StaleReason::Expired);
    for forbidding in ["must-revalidate", "proxy-revalidate", "s-maxage=1"] {
        stale(
            "max-stale",
            &format!("max-age=1, {forbidding}"),
            StaleReason::Expired,
        );
    }
    stale(
        "max-stale, no-cache",
        "max-age=1",
        StaleReason::RequestDirective,
    );
}

#[test]
fn a_rule_bounds_the_lifetime() {
    let adjust = Adjust {
        ttl_default: None,
        ttl_max: Some(5),
    };
    let expired = Reuse::Stale {
        age: AGE,
        why: StaleReason::Expired,
    };
    assert_eq!(decided("", "max-age=99", adjust), expired);
}

#[test]
fn another_representation_is_a_mismatch_before_anything_else() {
    let accepting = |value: &str| HeaderMap::from_iter([(ACCEPT, value.parse().unwrap())]);
    let selection = Selection::of(&["accept".to_owned()], &accepting("text/html"));
    let response = control("max-age=99");
    let exchange = Exchange {
        requested: NOW,
        responded: NOW,
    };
    let stored = Stored {
        status: StatusCode::OK,
        headers: &response,
        exchange,
        selection: &selection,
    };
    let answer = |request: &HeaderMap| {
        decide(
            request,
            &RequestDirectives::default(),
            &stored,
            Adjust::default(),
            NOW,
        )
    };
    assert_eq!(answer(&accepting("text/plain")), Reuse::Mismatch);
    assert_eq!(answer(&HeaderMap::new()), Reuse::Mismatch);
    assert_eq!(
        answer(&accepting("text/html")),
        Reuse::Fresh { age: 0, ttl: 99 }
    );
}
