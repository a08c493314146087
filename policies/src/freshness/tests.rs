//! Lifetimes and ages. The clock of these tests starts at [`NOW`], 2024-01-10 00:00:00 UTC.

use super::*;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, HeaderName};
use proptest::prelude::*;

const NOW: i64 = 1_704_844_800;
const DAY: u64 = 86_400;
const TODAY: &str = "Wed, 10 Jan 2024 00:00:00 GMT";
const IN_AN_HOUR: &str = "Wed, 10 Jan 2024 01:00:00 GMT";
const TEN_DAYS_AGO: &str = "Sun, 31 Dec 2023 00:00:00 GMT";
const EXCHANGE: Exchange = Exchange {
    requested: UnixSeconds(NOW),
    responded: UnixSeconds(NOW),
};

fn fields(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.clone(), value.parse().unwrap()))
        .collect()
}

fn check(pairs: &[(HeaderName, &str)], seconds: u64, source: LifetimeSource) {
    let found = lifetime(StatusCode::OK, &fields(pairs), EXCHANGE, Adjust::default());
    assert_eq!(found, Lifetime { seconds, source }, "{pairs:?}");
}

#[test]
fn explicit_freshness_has_an_order() {
    use LifetimeSource as From;
    let expires = (EXPIRES, IN_AN_HOUR);
    check(
        &[(CACHE_CONTROL, "max-age=5, s-maxage=7"), expires.clone()],
        7,
        From::SMaxAge,
    );
    check(
        &[(CACHE_CONTROL, "max-age=5"), expires.clone()],
        5,
        From::MaxAge,
    );
    check(
        &[(CACHE_CONTROL, "max-age=x"), expires.clone()],
        0,
        From::MaxAge,
    );
    check(&[(DATE, TODAY), expires.clone()], 3600, From::Expires);
    // Without a Date the arrival takes its place (RFC 9110 §6.6.1).
    check(&[expires], 3600, From::Expires);
    check(&[], 0, From::None);
}

#[test]
fn row_90_unreadable_or_future_dates_are_stale() {
    use LifetimeSource as From;
    for garbage in ["0", "-1", "", "tomorrow", "Wed, 10 Jan 2024 25:00:00 GMT"] {
        check(
            &[(EXPIRES, garbage), (LAST_MODIFIED, TEN_DAYS_AGO)],
            0,
            From::Expires,
        );
    }
    check(&[(EXPIRES, IN_AN_HOUR), (EXPIRES, TODAY)], 0, From::Expires);
    check(&[(EXPIRES, TEN_DAYS_AGO)], 0, From::Expires);
    let tomorrow = "Thu, 11 Jan 2024 00:00:00 GMT";
    let later = "Fri, 12 Jan 2024 00:00:00 GMT";
    check(&[(DATE, tomorrow), (EXPIRES, later)], 0, From::Expires);
    check(
        &[(DATE, tomorrow), (LAST_MODIFIED, TEN_DAYS_AGO)],
        0,
        From::None,
    );
    // max-age does not depend on the origin's clock.
    check(
        &[(DATE, tomorrow), (CACHE_CONTROL, "max-age=9")],
        9,
        From::MaxAge,
    );
    // A clock that is a little fast is no lie.
    check(
        &[
            (DATE, "Wed, 10 Jan 2024 00:00:30 GMT"),
            (EXPIRES, IN_AN_HOUR),
        ],
        3570,
        From::Expires,
    );
}

#[test]
fn silence_is_a_tenth_of_the_age_up_to_a_week() {
    use LifetimeSource as From;
    check(
        &[(LAST_MODIFIED, TEN_DAYS_AGO), (DATE, TODAY)],
        DAY,
        From::Heuristic,
    );
    check(&[(LAST_MODIFIED, TEN_DAYS_AGO)], DAY, From::Heuristic);
    let ages_ago = "Thu, 01 Jan 1970 00:00:00 GMT";
    check(
        &[(LAST_MODIFIED, ages_ago)],
        HEURISTIC_SECONDS_MAX,
        From::Heuristic,
    );
    check(&[(LAST_MODIFIED, IN_AN_HOUR)], 0, From::Heuristic);
    check(&[(LAST_MODIFIED, "x")], 0, From::None);
}

#[test]
fn nobody_guesses_about_other_statuses() {
    let of = |status: u16, control: &str, adjust: Adjust| {
        let headers = fields(&[(LAST_MODIFIED, TEN_DAYS_AGO), (CACHE_CONTROL, control)]);
        lifetime(
            StatusCode::from_u16(status).unwrap(),
            &headers,
            EXCHANGE,
            adjust,
        )
        .seconds
    };
    let standard = Adjust::default();
    for status in [200, 203, 204, 301, 308, 404, 410] {
        assert_eq!(of(status, "x", standard), DAY, "{status}");
    }
    let rule = Adjust {
        ttl_default: Some(60),
        ..Adjust::default()
    };
    for status in [302, 307, 400, 403, 500, 503] {
        assert_eq!(of(status, "x", standard), 0, "{status}");
        assert_eq!(of(status, "x", rule), 0, "{status}");
        assert_eq!(of(status, "public", standard), DAY, "{status}");
        assert_eq!(of(status, "max-age=5", standard), 5, "{status}");
    }
}

#[test]
fn rules_fill_silence_and_bound_everything() {
    let of = |pairs: &[(HeaderName, &str)], adjust: Adjust| {
        lifetime(StatusCode::OK, &fields(pairs), EXCHANGE, adjust)
    };
    let fill = Adjust {
        ttl_default: Some(60),
        ..Adjust::default()
    };
    let by_rule = Lifetime {
        seconds: 60,
        source: LifetimeSource::Rule,
    };
    assert_eq!(of(&[], fill), by_rule);
    assert_eq!(of(&[(LAST_MODIFIED, TEN_DAYS_AGO)], fill), by_rule);
    assert_eq!(of(&[(CACHE_CONTROL, "max-age=5")], fill).seconds, 5);
    assert_eq!(of(&[(EXPIRES, "0")], fill).seconds, 0);
    let bound = Adjust {
        ttl_default: Some(60),
        ttl_max: Some(30),
        ..Adjust::default()
    };
    assert_eq!(of(&[], bound).seconds, 30);
    assert_eq!(of(&[(CACHE_CONTROL, "s-maxage=99")], bound).seconds, 30);
    assert_eq!(of(&[(CACHE_CONTROL, "s-maxage=9")], bound).seconds, 9);
}

fn under(adjust: Adjust, status: u16, pairs: &[(HeaderName, &str)]) -> Lifetime {
    let status = StatusCode::from_u16(status).unwrap();
    lifetime(status, &fields(pairs), EXCHANGE, adjust)
}

#[test]
fn ttl_min_raises_a_plain_200_only() {
    let adjust = Adjust {
        ttl_min: Some(60),
        ..Adjust::default()
    };
    let seconds = |status, pairs: &[(HeaderName, &str)]| under(adjust, status, pairs).seconds;
    let raised = Lifetime {
        seconds: 60,
        source: LifetimeSource::RuleMin,
    };
    assert_eq!(under(adjust, 200, &[]), raised);
    assert_eq!(under(adjust, 200, &[(CACHE_CONTROL, "max-age=5")]), raised);
    assert_eq!(under(adjust, 200, &[(EXPIRES, "0")]), raised);
    assert_eq!(seconds(200, &[(CACHE_CONTROL, "max-age=99")]), 99);
    for status in [203, 206, 301, 404, 500] {
        assert_eq!(
            seconds(status, &[(CACHE_CONTROL, "max-age=5")]),
            5,
            "{status}"
        );
    }
    for refused in [
        "max-age=5, no-store",
        "max-age=5, private",
        "max-age=5, no-cache",
    ] {
        assert_eq!(seconds(200, &[(CACHE_CONTROL, refused)]), 5, "{refused}");
    }
    let cookie = (SET_COOKIE, "a=b");
    assert_eq!(
        seconds(200, &[(CACHE_CONTROL, "max-age=5"), cookie.clone()]),
        5
    );
    // Shared by the standard; the store drops the cookie, and the lifetime must not change by that.
    assert_eq!(
        seconds(200, &[(CACHE_CONTROL, "max-age=5, public"), cookie]),
        60
    );
}

#[test]
fn ttl_min_goes_over_what_the_rule_overrides() {
    let adjust = Adjust {
        ttl_min: Some(60),
        overrides: Overrides {
            no_store: true,
            no_cache: true,
            private: true,
            set_cookie: true,
        },
        ..Adjust::default()
    };
    let said = [
        (CACHE_CONTROL, "no-store, no-cache, private"),
        (SET_COOKIE, "a=b"),
    ];
    assert_eq!(under(adjust, 200, &said).seconds, 60);
}

#[test]
fn ttl_max_wins_over_ttl_min() {
    let adjust = Adjust {
        ttl_min: Some(60),
        ttl_max: Some(30),
        ..Adjust::default()
    };
    let bounded = Lifetime {
        seconds: 30,
        source: LifetimeSource::RuleMax,
    };
    assert_eq!(under(adjust, 200, &[]), bounded);
    assert_eq!(
        under(adjust, 200, &[(CACHE_CONTROL, "max-age=99")]),
        bounded
    );
}

#[test]
fn cdn_cache_control_replaces_cache_control_and_expires_for_those_who_act_for_the_origin() {
    let name = HeaderName::from_static("cdn-cache-control");
    let of = |cdn: bool, targeted: &str, more: &[(HeaderName, &str)]| {
        let mut pairs = vec![(name.clone(), targeted)];
        pairs.extend(more.iter().cloned());
        let found = under(
            Adjust {
                cdn,
                ..Adjust::default()
            },
            200,
            &pairs,
        );
        (found.seconds, found.source)
    };
    use LifetimeSource as From;
    let control = |value| (CACHE_CONTROL, value);
    assert_eq!(
        of(true, "max-age=3600", &[control("max-age=1")]),
        (3600, From::Cdn)
    );
    assert_eq!(
        of(false, "max-age=3600", &[control("max-age=1")]),
        (1, From::MaxAge)
    );
    assert_eq!(
        of(true, "max-age=1", &[control("s-maxage=3600")]),
        (1, From::Cdn)
    );
    assert_eq!(of(true, "max-age=60", &[(EXPIRES, "0")]), (60, From::Cdn));
    assert_eq!(
        of(true, "max-age=0", &[(EXPIRES, IN_AN_HOUR)]),
        (0, From::Cdn)
    );
    assert_eq!(of(true, "foo", &[(EXPIRES, IN_AN_HOUR)]), (0, From::None));
    assert_eq!(
        of(true, "max-age=99999999999", &[]),
        (DELTA_SECONDS_MAX, From::Cdn)
    );
    // Not valid: as if it was not there.
    for invalid in [
        "max-age =100",
        "max-age= 100",
        "max-age=1.5",
        "MaX-aGe=100",
        "max-age=-1",
        "",
    ] {
        assert_eq!(
            of(true, invalid, &[control("max-age=1")]),
            (1, From::MaxAge),
            "{invalid}"
        );
    }
}

#[test]
fn age_counts_what_happened_before_us_and_since() {
    let exchange = Exchange {
        requested: UnixSeconds(NOW - 5),
        responded: UnixSeconds(NOW),
    };
    let age =
        |pairs: &[(HeaderName, &str)], now| current_age(&fields(pairs), exchange, UnixSeconds(now));
    // Age 100, 5 of delay, 7 here.
    assert_eq!(age(&[(AGE, "100"), (DATE, TODAY)], NOW + 7), 112);
    assert_eq!(age(&[], NOW + 7), 12);
    // An apparent age of ten days outweighs an upstream Age of 100.
    assert_eq!(age(&[(AGE, "100"), (DATE, TEN_DAYS_AGO)], NOW), 10 * DAY);
    assert_eq!(age(&[(DATE, IN_AN_HOUR)], NOW), 5);
    // Our own clock went back.
    assert_eq!(age(&[], NOW - 1000), 5);
}

#[test]
fn row_89_age_saturates_and_nonsense_is_ignored() {
    let age = |values: &[&str]| {
        let pairs: Vec<(HeaderName, &str)> = values.iter().map(|value| (AGE, *value)).collect();
        current_age(&fields(&pairs), EXCHANGE, UnixSeconds(NOW))
    };
    assert_eq!(age(&["99999999999999999999999"]), DELTA_SECONDS_MAX);
    assert_eq!(age(&["7, 100"]), 7);
    assert_eq!(age(&["7", "100"]), 7);
    for nonsense in ["-1", "1.5", "x", "", "+7", "\"7\""] {
        assert_eq!(age(&[nonsense]), 0, "{nonsense}");
    }
}

proptest! {
    #[test]
    fn no_head_and_no_clock_make_freshness_panic(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 5),
        clocks: [i64; 3],
        status in 100_u16..1000,
    ) {
        let names = [CACHE_CONTROL, EXPIRES, DATE, LAST_MODIFIED, AGE];
        let mut headers = HeaderMap::new();
        for (name, value) in names.into_iter().zip(values) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.insert(name, value);
            }
        }
        let [requested, responded, now] = clocks.map(UnixSeconds);
        let exchange = Exchange { requested, responded };
        let status = StatusCode::from_u16(status).unwrap();
        let found = lifetime(status, &headers, exchange, Adjust::default());
        prop_assert!(found.seconds <= DELTA_SECONDS_MAX);
        prop_assert!(current_age(&headers, exchange, now) >= now.since(responded));
    }

    #[test]
    fn age_never_shrinks_while_the_clock_runs(first in 0_i64..10_000, more in 0_i64..10_000) {
        let headers = fields(&[(AGE, "50"), (DATE, TODAY)]);
        let at = |seconds| current_age(&headers, EXCHANGE, UnixSeconds(NOW + seconds));
        prop_assert!(at(first) <= at(first + more));
    }
}
