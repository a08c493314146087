//! Pauses, waits, budgets and the breaker, with time and chance made up.

use super::*;
use http::HeaderValue;
use proptest::prelude::*;

const NOW: UnixSeconds = UnixSeconds(784_111_777);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn pauses_double_up_to_a_bound_and_spread_over_their_whole_length() {
    let millis = |attempt, chance| pause(attempt, chance).as_millis();
    assert_eq!(millis(1, 1.0), 100);
    assert_eq!(millis(2, 1.0), 200);
    assert_eq!(millis(3, 0.5), 200);
    assert_eq!(millis(0, 1.0), 100);
    assert_eq!(millis(3, 0.0), 0);
    assert_eq!(pause(u32::MAX, 1.0), PAUSE_MAX);
    assert_eq!(pause(u32::MAX, f64::NAN), PAUSE_MAX / 2);
    assert_eq!(pause(9, f64::INFINITY), PAUSE_MAX);
    assert_eq!(pause(9, -1.0), Duration::ZERO);
}

fn check(lines: &[&str], expected: Option<u64>) {
    let line = |value: &&str| (RETRY_AFTER, HeaderValue::from_str(value).unwrap());
    let headers = lines.iter().map(line).collect();
    assert_eq!(
        retry_after(&headers, NOW),
        expected.map(seconds),
        "{lines:?}"
    );
}

#[test]
fn row_139_retry_after_is_seconds_or_a_date_and_bounded() {
    check(&["120"], Some(120));
    check(&["Sun, 06 Nov 1994 08:50:37 GMT"], Some(60));
    check(&["3601"], Some(3600));
    check(&["99999999999999999999999999"], Some(3600));
    check(&["Fri, 31 Dec 9999 23:59:59 GMT"], Some(3600));
    check(&["5", "7"], Some(7));
    check(&["x", "7"], Some(7));
    for nothing in [
        "0",
        "-1",
        "1.5",
        "soon",
        "",
        "+5",
        "5 s",
        "Sun, 06 Nov 1994 08:49:37 GMT",
    ] {
        check(&[nothing], None);
    }
    check(&[], None);
}

#[test]
fn a_budget_lets_a_fifth_of_the_requests_be_retried() {
    let mut budget = RetryBudget::default();
    let spent = (0..100).filter(|_| budget.spend()).count();
    assert_eq!(spent, 10);
    for _ in 0..5 {
        assert!(!budget.spend());
        budget.earn();
    }
    assert!(budget.spend());
    assert!(!budget.spend());
    for _ in 0..10_000 {
        budget.earn();
    }
    assert_eq!((0..100).filter(|_| budget.spend()).count(), 10);
}

/// A breaker that has just opened for the first time, and until when.
fn opened(now: Duration) -> (Breaker, Duration) {
    let mut breaker = Breaker::default();
    for _ in 0..5 {
        assert_eq!(breaker.admit(now), Ok(()));
        breaker.failed(now, 0.0);
    }
    let wait = breaker.admit(now).unwrap_err();
    (breaker, now + wait)
}

#[test]
fn five_failures_in_a_row_open_it_and_fewer_do_not() {
    let mut breaker = Breaker::default();
    for _ in 0..100 {
        for _ in 0..4 {
            breaker.failed(seconds(1), 1.0);
        }
        assert_eq!(breaker.admit(seconds(1)), Ok(()));
        breaker.succeeded();
    }
    let (mut breaker, until) = opened(seconds(10));
    assert_eq!(until, seconds(11));
    assert_eq!(breaker.admit(seconds(10)), Err(seconds(1)));
}

#[test]
fn half_open_lets_one_probe_through_and_its_result_decides() {
    let (mut breaker, until) = opened(seconds(10));
    assert_eq!(breaker.admit(until), Ok(()));
    assert!(breaker.admit(until).is_err());
    breaker.succeeded();
    assert_eq!(breaker.admit(until), Ok(()));
    assert_eq!(breaker.admit(until), Ok(()));
    let (mut breaker, until) = opened(seconds(10));
    assert_eq!(breaker.admit(until), Ok(()));
    breaker.failed(until, 0.0);
    assert_eq!(breaker.admit(until), Err(seconds(2)));
}

#[test]
fn a_probe_that_never_reports_does_not_block_for_ever() {
    let (mut breaker, until) = opened(seconds(10));
    assert_eq!(breaker.admit(until), Ok(()));
    assert_eq!(
        breaker.admit(until),
        Err(seconds(1)),
        "worth another try soon"
    );
    let patience = seconds(30);
    assert!(breaker.admit(until + patience - seconds(1)).is_err());
    assert_eq!(breaker.admit(until + patience), Ok(()));
    assert!(breaker.admit(until + patience).is_err());
}

#[test]
fn answers_from_before_it_opened_change_nothing() {
    let (mut breaker, until) = opened(seconds(10));
    breaker.succeeded();
    breaker.failed(seconds(10), 1.0);
    assert_eq!(breaker.admit(seconds(10)), Err(until - seconds(10)));
}

#[test]
fn the_time_open_grows_to_half_a_minute_and_starts_over_after_success() {
    let (mut breaker, mut now) = opened(seconds(0));
    for expected in [4, 8, 16, 30, 30, 30] {
        assert_eq!(breaker.admit(now), Ok(()));
        breaker.failed(now, 1.0);
        assert_eq!(breaker.admit(now), Err(seconds(expected)), "{now:?}");
        now += seconds(expected);
    }
    assert_eq!(breaker.admit(now), Ok(()));
    breaker.succeeded();
    for _ in 0..5 {
        breaker.failed(now, 1.0);
    }
    assert_eq!(breaker.admit(now), Err(seconds(2)));
}

#[test]
fn row_139_an_origin_that_asks_for_peace_gets_it_for_a_minute_at_most() {
    let mut breaker = Breaker::default();
    breaker.told_to_wait(seconds(5), seconds(20));
    assert_eq!(breaker.admit(seconds(5)), Err(seconds(20)));
    breaker.succeeded();
    assert_eq!(breaker.admit(seconds(5)), Err(seconds(20)));
    breaker.told_to_wait(seconds(5), seconds(1));
    assert_eq!(breaker.admit(seconds(5)), Err(seconds(20)));
    breaker.told_to_wait(seconds(5), seconds(3600));
    assert_eq!(breaker.admit(seconds(5)), Err(seconds(60)));
    assert_eq!(breaker.admit(seconds(65)), Ok(()));
    breaker.told_to_wait(Duration::MAX, Duration::MAX);
}

proptest! {
    #[test]
    fn whatever_happens_somebody_is_let_through_within_a_minute(
        events in prop::collection::vec((0_u8..4, 0_u64..100, -0.5_f64..1.5), 0..60),
    ) {
        let mut breaker = Breaker::default();
        let mut now = Duration::ZERO;
        for (event, elapsed, chance) in events {
            now += seconds(elapsed);
            match event {
                0 => breaker.succeeded(),
                1 => breaker.failed(now, chance),
                2 => breaker.told_to_wait(now, seconds(elapsed * 100)),
                _ => {
                    let wait = breaker.admit(now).err().unwrap_or_default();
                    prop_assert!(wait <= seconds(60));
                }
            }
        }
        prop_assert_eq!(breaker.admit(now + seconds(60)), Ok(()));
    }

    #[test]
    fn the_first_time_open_is_one_to_two_seconds(chance in 0.0_f64..1.0) {
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            breaker.failed(Duration::ZERO, chance);
        }
        let wait = breaker.admit(Duration::ZERO).unwrap_err();
        prop_assert!((seconds(1)..=seconds(2)).contains(&wait));
    }
}
