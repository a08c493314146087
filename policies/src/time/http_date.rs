//! HTTP-dates (RFC 9110 §5.6.7): all three spellings, read as origins write them.
//!
//! Lenient where no other instant could be meant: letters of any case, and the name of a day is not held against the
//! date (origins get it wrong; it adds nothing). Strict in everything else, so that what is no date is stale.

use super::UnixSeconds;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const LONG_DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// The instant that `text` names; `None` when it is no HTTP-date.
pub(crate) fn http_date(text: &[u8]) -> Option<UnixSeconds> {
    let text = std::str::from_utf8(text.trim_ascii())
        .ok()?
        .to_ascii_lowercase();
    match text.split_once(", ") {
        Some((day, rest)) if DAYS.contains(&day) => fixdate(rest),
        Some((day, rest)) if LONG_DAYS.contains(&day) => rfc850(rest),
        Some(_) => None,
        None => asctime(&text),
    }
}

/// `06 Nov 1994 08:49:37 GMT`
fn fixdate(text: &str) -> Option<UnixSeconds> {
    let mut words = text.strip_suffix(" gmt")?.split(' ');
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let time = words.next()?;
    words.next().is_none().then_some(())?;
    instant(number(year, 4)?, month, number(day, 2)?, time)
}

/// `06-Nov-94 08:49:37 GMT`. The century is the one that makes it a date from 1970 to 2069.
fn rfc850(text: &str) -> Option<UnixSeconds> {
    let (date, time) = text.strip_suffix(" gmt")?.split_once(' ')?;
    let mut parts = date.split('-');
    let (day, month, year) = (parts.next()?, parts.next()?, number(parts.next()?, 2)?);
    parts.next().is_none().then_some(())?;
    let century = if year < 70 { 2000 } else { 1900 };
    instant(century + year, month, number(day, 2)?, time)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &str) -> Option<UnixSeconds> {
    let (day_name, rest) = text.split_once(' ')?;
    let (month, rest) = rest.split_once(' ')?;
    let (day, rest) = rest.split_at_checked(2)?;
    let (time, year) = rest.strip_prefix(' ')?.split_once(' ')?;
    let day = match day.strip_prefix(' ') {
        Some(digit) => number(digit, 1)?,
        None => number(day, 2)?,
    };
    DAYS.contains(&day_name).then_some(())?;
    instant(number(year, 4)?, month, day, time)
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

fn instant(year: i64, month: &str, day: i64, time: &str) -> Option<UnixSeconds> {
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let month = i64::try_from(month).ok()?;
    let mut parts = time.split(':');
    let mut part = || number(parts.next()?, 2);
    let (hour, minute, second) = (part()?, part()?, part()?);
    parts.next().is_none().then_some(())?;
    // A leap second is the last second of its minute here: nothing is fresh or stale by it.
    let valid =
        (1..=days_in(year, month)).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let seconds = (hour * 60 + minute) * 60 + second.min(59);
    valid.then_some(UnixSeconds(
        days_since_epoch(year, month, day) * 86_400 + seconds,
    ))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// Years begin in March here, so that the leap day is the last of one.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let months = (month + 9) % 12;
    let within_year = (153 * months + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between March 1 of the year 0 and the epoch.
    year * 365 + leap_days + within_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(
            http_date(text.as_bytes()),
            expected.map(UnixSeconds),
            "{text:?}"
        );
    }

    #[test]
    fn letters_of_any_case_and_a_wrong_day_are_no_other_instant() {
        let august = 2_544_400_878;
        check("Thu, 18 Aug 2050 02:01:18 GMT", Some(august));
        check("THU, 18 Aug 2050 02:01:18 GMT", Some(august));
        check("Thu, 18 AUG 2050 02:01:18 GMT", Some(august));
        check("Thu, 18 Aug 2050 02:01:18 gMT", Some(august));
        check("Mon, 18 Aug 2050 02:01:18 GMT", Some(august));
        check("Thursday, 18-Aug-50 02:01:18 GMT", Some(august));
        check("Thu Aug 18 02:01:18 2050", Some(august));
        check("Thu Aug  8 02:01:18 2050", Some(august - 10 * 86_400));
        check("Sun, 21 Nov 2286 04:46:39 GMT", Some(10_000_039_599));
        check("Wed, 31 Dec 1969 23:59:59 GMT", Some(-1));
        check("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_799));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_date() {
        for text in [
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 2050 02:01:18 AEST",
            "Thu, 18 Aug 2050 02:01:18",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 18  Aug  2050 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Thu, 8 Aug 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 24:01:18 GMT",
            "Thu, 31 Sep 2050 02:01:18 GMT",
            "Thu, 29 Feb 2100 02:01:18 GMT",
            "Xyz, 18 Aug 2050 02:01:18 GMT",
            "Thu, +8 Aug 2050 02:01:18 GMT",
            "0",
            "-1",
            "",
        ] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn every_date_that_is_written_is_read_back(seconds in 0_u64..253_402_300_800) {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            prop_assert_eq!(http_date(text.as_bytes()), i64::try_from(seconds).ok().map(UnixSeconds));
        }

        #[test]
        fn no_text_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
            // A verdict is all that is asked.
            let _verdict = http_date(&text);
        }
    }
}
