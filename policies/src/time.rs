//! Wall-clock instants as policies see them: whole seconds since the Unix epoch, always passed in.

mod http_date;

pub(crate) use http_date::http_date;

use http::HeaderMap;
use http::header::HeaderName;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch (UTC). Arithmetic saturates: a lying origin must never overflow us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixSeconds(pub i64);

impl UnixSeconds {
    /// Seconds from `earlier` to `self`, zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

impl From<SystemTime> for UnixSeconds {
    fn from(time: SystemTime) -> Self {
        let whole = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(whole(after)),
            Err(before) => Self(-whole(before.duration())),
        }
    }
}

/// A field that holds an HTTP-date (RFC 9110 §5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateField {
    /// No such field.
    Absent,
    /// More than one, or not a date.
    Invalid,
    /// A date.
    At(UnixSeconds),
}

impl DateField {
    /// Reads `name`. Two different lines are no date: nobody can say which one counts.
    pub(crate) fn of(headers: &HeaderMap, name: HeaderName) -> Self {
        let mut values = headers.get_all(name).iter();
        let Some(first) = values.next() else {
            return Self::Absent;
        };
        if values.any(|other| other != first) {
            return Self::Invalid;
        }
        http_date(first.as_bytes()).map_or(Self::Invalid, Self::At)
    }

    /// The date, if it is one.
    pub(crate) fn at(self) -> Option<UnixSeconds> {
        match self {
            Self::At(time) => Some(time),
            Self::Absent | Self::Invalid => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::DATE;

    fn date(lines: &[&str]) -> DateField {
        let lines = lines.iter().map(|line| (DATE, line.parse().unwrap()));
        DateField::of(&lines.collect(), DATE)
    }

    #[test]
    fn all_three_spellings_of_a_date_are_read() {
        let expected = DateField::At(UnixSeconds(784_111_777));
        assert_eq!(date(&["Sun, 06 Nov 1994 08:49:37 GMT"]), expected);
        assert_eq!(date(&["Sunday, 06-Nov-94 08:49:37 GMT"]), expected);
        assert_eq!(date(&["Sun Nov  6 08:49:37 1994"]), expected);
        assert_eq!(date(&["Sun, 06 Nov 1994 08:49:37 GMT"; 2]), expected);
    }

    #[test]
    fn what_is_no_date_is_told_from_its_absence() {
        assert_eq!(date(&[]), DateField::Absent);
        for nonsense in [
            "",
            "0",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(date(&[nonsense]), DateField::Invalid, "{nonsense}");
        }
        let two = [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:38 GMT",
        ];
        assert_eq!(date(&two), DateField::Invalid);
    }

    #[test]
    fn arithmetic_saturates() {
        let (first, last) = (UnixSeconds(i64::MIN), UnixSeconds(i64::MAX));
        assert_eq!(first.since(last), 0);
        assert_eq!(last.since(first), i64::MAX.unsigned_abs());
    }
}
