//! What a stored response may answer, against a response of age 10.

use super::*;
use crate::time::UnixSeconds;
use http::header::{ACCEPT, CACHE_CONTROL};

const NOW: UnixSeconds = UnixSeconds(1_000_000);
const AGE: u64 = 10;

fn control(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(CACHE_CONTROL, value.parse().unwrap())])
}

/// What is different from a plain stored response of age [`AGE`].
#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    invalidated: bool,
    immutable: bool,
    lifetime_max: Option<u64>,
}

fn decided_with(request: &str, response: &str, adjust: Adjust, marks: Marks) -> Reuse {
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
        invalidated: marks.invalidated,
        immutable: marks.immutable,
        lifetime_max: marks.lifetime_max,
    };
    let asked = RequestDirectives::of(&request);
    decide(&request, &asked, &stored, adjust, NOW)
}

fn decided(request: &str, response: &str, adjust: Adjust) -> Reuse {
    decided_with(request, response, adjust, Marks::default())
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
    match decided(request, response, Adjust::default()) {
        Reuse::Stale {
            age: AGE,
            why: found,
            ..
        } => {
            assert_eq!(found, why, "{request:?} {response:?}");
        }
        other => panic!("{request:?} {response:?}: {other:?}"),
    }
}

/// The stale use in letters: `w` while revalidating, `e` on error.
fn uses(request: &str, response: &str, adjust: Adjust, expected: &str) {
    let found = match decided(request, response, adjust) {
        Reuse::Stale { may, .. } => {
            let letter = |is: bool, letter: &'static str| if is { letter } else { "" };
            format!(
                "{}{}",
                letter(may.while_revalidating, "w"),
                letter(may.on_error, "e")
            )
        }
        other => format!("{other:?}"),
    };
    assert_eq!(found, expected, "{request:?} {response:?} {adjust:?}");
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
        ttl_max: Some(5),
        ..Adjust::default()
    };
    let answer = decided("", "max-age=99", adjust);
    assert!(matches!(
        answer,
        Reuse::Stale {
            why: StaleReason::Expired,
            ..
        }
    ));
}

const STANDARD: Adjust = Adjust {
    ttl_default: None,
    ttl_min: None,
    ttl_max: None,
    stale_for: None,
    immutable: false,
    cdn: false,
    overrides: crate::freshness::Overrides {
        no_store: false,
        no_cache: false,
        private: false,
        set_cookie: false,
    },
};
const KEPT_AN_HOUR: Adjust = Adjust {
    stale_for: Some(3600),
    ..STANDARD
};
const IMMUTABLE: Adjust = Adjust {
    immutable: true,
    ..STANDARD
};

#[test]
fn stale_while_revalidate_is_a_window_behind_the_lifetime() {
    // Nine seconds stale.
    uses("", "max-age=1, stale-while-revalidate=9", STANDARD, "we");
    uses("", "max-age=1, stale-while-revalidate=8", STANDARD, "");
    uses("", "max-age=1, stale-while-revalidate=8", KEPT_AN_HOUR, "e");
    uses("", "max-age=1, stale-while-revalidate", STANDARD, "");
}

#[test]
fn stale_if_error_is_a_window_and_rules_speak_only_where_nobody_did() {
    uses("", "max-age=1", STANDARD, "");
    uses("", "max-age=1", KEPT_AN_HOUR, "e");
    uses("", "max-age=1, stale-if-error=9", STANDARD, "e");
    uses("", "max-age=1, stale-if-error=8", KEPT_AN_HOUR, "");
    uses("", "max-age=1, stale-if-error=0", KEPT_AN_HOUR, "");
    // RFC 5861 §4: also said by a request.
    uses("stale-if-error=9", "max-age=1", STANDARD, "e");
    uses("stale-if-error=8", "max-age=1", STANDARD, "");
    let short = Adjust {
        stale_for: Some(8),
        ..STANDARD
    };
    uses("", "max-age=1", short, "");
}

#[test]
fn what_forbids_stale_responses_forbids_every_use() {
    let windows = "max-age=1, stale-while-revalidate=99, stale-if-error=99";
    for forbidding in [
        "must-revalidate",
        "proxy-revalidate",
        "s-maxage=1",
        "no-cache",
    ] {
        for adjust in [STANDARD, KEPT_AN_HOUR, IMMUTABLE] {
            let response = format!("{windows}, {forbidding}");
            uses("", &response, adjust, "");
            uses("stale-if-error=99", &response, adjust, "");
        }
    }
}

#[test]
fn a_request_that_wants_it_validated_still_gets_it_when_the_origin_fails() {
    let response = "max-age=1, stale-while-revalidate=99, stale-if-error=99";
    for request in ["no-cache", "max-age=0", "max-age=9", "min-fresh=1"] {
        uses(request, response, STANDARD, "e");
        // Fresh, but refused by the request: not stale, so nothing forbids it.
        uses(
            &format!("{request}, min-fresh=90"),
            "max-age=99, must-revalidate",
            STANDARD,
            "e",
        );
    }
    uses("max-age=10", response, STANDARD, "we");
}

#[test]
fn an_immutable_rule_lets_no_request_force_a_revalidation() {
    for request in ["no-cache", "max-age=0", "max-age=9", "min-fresh=90"] {
        let answer = decided(request, "max-age=99", IMMUTABLE);
        assert_eq!(answer, Reuse::Fresh { age: AGE, ttl: 89 }, "{request}");
        uses(request, "max-age=1", IMMUTABLE, "we");
    }
    let mut pragma = HeaderMap::new();
    pragma.insert("pragma", "no-cache".parse().unwrap());
    assert!(RequestDirectives::of(&pragma).no_cache);
    uses("", "", IMMUTABLE, "we");
}

#[test]
fn an_imported_object_is_always_fresh() {
    let ttl = signed(DELTA_SECONDS_MAX);
    for (request, response) in [
        ("", ""),
        ("no-cache", "max-age=0"),
        ("min-fresh=999", "no-cache"),
    ] {
        for invalidated in [false, true] {
            let marks = Marks {
                immutable: true,
                invalidated,
                lifetime_max: Some(0),
            };
            let answer = decided_with(request, response, STANDARD, marks);
            assert_eq!(
                answer,
                Reuse::Fresh { age: AGE, ttl },
                "{request:?} {response:?}"
            );
        }
    }
}

#[test]
fn a_permission_that_was_taken_back_is_gone_for_every_use() {
    let forbidden = Reuse::Stale {
        age: AGE,
        why: StaleReason::Forbidden,
        may: StaleUse::default(),
    };
    let windows = "stale-while-revalidate=99, stale-if-error=99";
    for directive in ["private", "no-store", "no-store, private"] {
        for (lifetime, invalidated) in [("max-age=99", false), ("max-age=1", false), ("", true)] {
            let response = format!("{lifetime}, {windows}, {directive}");
            let marks = Marks {
                invalidated,
                ..Marks::default()
            };
            for adjust in [STANDARD, KEPT_AN_HOUR, IMMUTABLE] {
                for request in ["", "max-stale", "stale-if-error=99"] {
                    let found = decided_with(request, &response, adjust, marks);
                    assert_eq!(found, forbidden, "{request:?} {response:?} {adjust:?}");
                }
            }
        }
    }
}

#[test]
fn a_permission_is_there_where_a_rule_or_must_understand_gives_it() {
    let answer = Reuse::Fresh { age: AGE, ttl: 89 };
    let of = |response: &str, adjust| decided("", response, adjust);
    let mut adjust = STANDARD;
    adjust.overrides.private = true;
    assert_eq!(of("max-age=99, private", adjust), answer);
    assert_ne!(of("max-age=99, no-store", adjust), answer);
    adjust = STANDARD;
    adjust.overrides.no_store = true;
    assert_eq!(of("max-age=99, no-store", adjust), answer);
    assert_ne!(of("max-age=99, private", adjust), answer);
    // Only of the fields that it names, which are not stored (§5.2.2.7).
    assert_eq!(of("max-age=99, private=\"x-a\"", STANDARD), answer);
    assert_eq!(
        of("max-age=99, no-store, must-understand", STANDARD),
        answer
    );
}

#[test]
fn row_91_what_was_invalidated_is_of_no_use_unasked() {
    let marks = Marks {
        invalidated: true,
        ..Marks::default()
    };
    let expected = Reuse::Stale {
        age: AGE,
        why: StaleReason::Invalidated,
        may: StaleUse::default(),
    };
    for adjust in [STANDARD, KEPT_AN_HOUR] {
        for request in ["", "max-stale", "no-cache"] {
            let response = "max-age=99, stale-while-revalidate=99, stale-if-error=99";
            assert_eq!(
                decided_with(request, response, adjust, marks),
                expected,
                "{request}"
            );
        }
    }
}

#[test]
fn an_invalidated_response_is_still_the_right_one_where_the_name_never_changes() {
    let marks = Marks {
        invalidated: true,
        ..Marks::default()
    };
    let check = |response: &str, is_useful: bool| {
        let expected = Reuse::Stale {
            age: AGE,
            why: StaleReason::Invalidated,
            may: StaleUse {
                while_revalidating: is_useful,
                on_error: is_useful,
            },
        };
        for request in ["", "no-cache", "max-age=0"] {
            let found = decided_with(request, response, IMMUTABLE, marks);
            assert_eq!(found, expected, "{request:?} {response:?}");
        }
    };
    check("max-age=99", true);
    check("max-age=99, must-revalidate", true);
    check("max-age=1", true);
    check("", true);
    // An invalidation takes nothing away and gives nothing.
    check("max-age=1, must-revalidate", false);
    check("max-age=99, no-cache", false);
}

#[test]
fn redirects_bound_the_lifetime_unless_the_name_never_changes() {
    let marks = |bound| Marks {
        lifetime_max: Some(bound),
        ..Marks::default()
    };
    let of = |bound, adjust| decided_with("", "max-age=99", adjust, marks(bound));
    assert_eq!(of(30, STANDARD), Reuse::Fresh { age: AGE, ttl: 20 });
    assert_eq!(of(200, STANDARD), Reuse::Fresh { age: AGE, ttl: 89 });
    let expired = StaleReason::Expired;
    assert!(matches!(of(0, STANDARD), Reuse::Stale { why, .. } if why == expired));
    assert_eq!(of(0, IMMUTABLE), Reuse::Fresh { age: AGE, ttl: 89 });
}

#[test]
fn an_overridden_no_cache_and_a_targeted_field_count_here_too() {
    let mut adjust = STANDARD;
    adjust.overrides.no_cache = true;
    let answer = decided("", "max-age=99, no-cache", adjust);
    assert_eq!(answer, Reuse::Fresh { age: AGE, ttl: 89 });
    // The request's own is another matter.
    uses("no-cache", "max-age=99", adjust, "e");
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
        invalidated: false,
        immutable: false,
        lifetime_max: None,
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
