//! Wall clock as text, in UTC: log lines of several machines have to sort together.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds of a day: 24 h × 60 min × 60 s.
const DAY_SECONDS: u64 = 24 * 60 * 60;
/// Days of the 400 years after which the Gregorian calendar repeats: 400 × 365 + 100 leap days - 3 centuries.
const ERA_DAYS: u64 = 400 * 365 + 100 - 3;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAY: u64 = 719_468;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A moment taken apart. A clock before 1970 reads as 1970.
struct Calendar {
    year: u64,
    /// 1..=12
    month: u64,
    /// 1..=31
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    millisecond: u32,
}

/// Seconds since 1970 with milliseconds: `1700000000.042`.
pub(super) fn unix(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:03}", since.as_secs(), since.subsec_millis())
}

/// As Apache writes it: `14/Nov/2023:22:13:20 +0000`.
pub(super) fn common(moment: SystemTime) -> String {
    let Calendar {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = calendar(moment);
    let name = usize::try_from(month - 1)
        .ok()
        .and_then(|place| MONTHS.get(place))
        .unwrap_or(&"");
    format!("{day:02}/{name}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
}

/// RFC 3339 with milliseconds: `2023-11-14T22:13:20.042Z`.
pub(crate) fn rfc3339(moment: SystemTime) -> String {
    let Calendar {
        year,
        month,
        day,
        hour,
        minute,
        second,
        millisecond,
    } = calendar(moment);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// Counts from 1 March, so that the leap day is the last of its year and needs no case of its own.
fn calendar(moment: SystemTime) -> Calendar {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / DAY_SECONDS, since.as_secs() % DAY_SECONDS);
    let (era, era_day) = ((days + EPOCH_DAY) / ERA_DAYS, (days + EPOCH_DAY) % ERA_DAYS);
    // Take out the leap days that have passed (one in 4 years, none in 100, one in 400): what is left counts 365 a year.
    let leap_days = era_day / 1_460 - era_day / 36_524 + era_day / (ERA_DAYS - 1);
    let era_year = (era_day - leap_days) / 365;
    let year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    // March to July and August to December take 153 days each: five months of 31, 30, 31, 30, 31.
    let march_month = (5 * year_day + 2) / 153;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    Calendar {
        year: 400 * era + era_year + u64::from(month <= 2),
        month,
        day: year_day - (153 * march_month + 2) / 5 + 1,
        hour: seconds / 3_600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        millisecond: since.subsec_millis(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn check(seconds: u64, expected: &str) {
        let moment = UNIX_EPOCH + Duration::from_millis(seconds * 1_000 + 42);
        assert_eq!(rfc3339(moment), expected);
    }

    #[test]
    fn dates_around_leap_days_and_centuries() {
        check(0, "1970-01-01T00:00:00.042Z");
        check(951_782_399, "2000-02-28T23:59:59.042Z");
        check(951_782_400, "2000-02-29T00:00:00.042Z");
        check(951_868_800, "2000-03-01T00:00:00.042Z");
        check(1_704_067_199, "2023-12-31T23:59:59.042Z");
        check(1_709_164_800, "2024-02-29T00:00:00.042Z");
        check(4_107_542_400, "2100-03-01T00:00:00.042Z");
        check(4_107_542_399, "2100-02-28T23:59:59.042Z");
    }

    #[test]
    fn every_day_of_four_centuries_agrees_with_another_calendar() {
        for day in 0..ERA_DAYS {
            let moment = UNIX_EPOCH + Duration::from_secs(day * DAY_SECONDS);
            let other = httpdate::fmt_http_date(moment);
            let expected = other.get(5..16).map(|date| date.replace(' ', "/"));
            assert_eq!(common(moment).get(..11), expected.as_deref(), "day {day}");
        }
    }

    #[test]
    fn a_clock_before_the_epoch_reads_as_the_epoch() {
        let moment = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(unix(moment), "0.000");
        assert_eq!(common(moment), "01/Jan/1970:00:00:00 +0000");
    }
}
