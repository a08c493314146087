//! Lengths of time as people write them: `"500ms"`, `"10s"`, `"5m"`, `"24h"`, `"7d"`.
//!
//! One whole number and one unit, so that a value can be read in one way only; `"0"` needs no unit. Invariant: a
//! [`TimeSpan`] is at most ten years, so that adding it to a clock can never overflow.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time with millisecond precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimeSpan(Duration);

/// A length of time, or never: written `"off"` or `"0"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanOrOff(Option<TimeSpan>);

/// What stands for never.
const OFF: &str = "off";

/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// Ten years of 365 days, in milliseconds.
const MILLISECONDS_MAX: u64 = 3650 * 24 * 60 * 60 * 1000;

/// Why a text is not a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpanError {
    /// Not a whole number followed by a unit.
    #[error(
        "not a length of time; write a whole number and one of the units ms, s, m, h, d, like \"10s\""
    )]
    Malformed,
    /// Longer than ten years.
    #[error("too long; at most \"3650d\"")]
    TooLong,
}

/// Why a text is neither a length of time nor `"off"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}, or \"{OFF}\"")]
pub(crate) struct SpanOrOffError(#[from] SpanError);

impl TimeSpan {
    /// So many seconds; for defaults.
    pub(crate) const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds; for bounds.
    pub(crate) const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// As the standard library's type.
    pub(crate) const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for TimeSpan {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or(SpanError::Malformed)?;
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        if number.is_empty() {
            return Err(SpanError::Malformed);
        }
        if unit.is_empty() && number.bytes().all(|digit| digit == b'0') {
            return Ok(Self(Duration::ZERO));
        }
        let (_, factor) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or(SpanError::Malformed)?;
        // Only digits are left, so the one way to fail is being too large.
        let number: u64 = number.parse().map_err(|_| SpanError::TooLong)?;
        let milliseconds = number.checked_mul(*factor).ok_or(SpanError::TooLong)?;
        if milliseconds > MILLISECONDS_MAX {
            return Err(SpanError::TooLong);
        }
        Ok(Self(Duration::from_millis(milliseconds)))
    }
}

impl fmt::Display for TimeSpan {
    /// In the longest unit that loses nothing; parses back to the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        if milliseconds == 0 {
            return f.write_str("0");
        }
        for (name, factor) in UNITS {
            if milliseconds.is_multiple_of(u128::from(factor)) {
                return write!(f, "{}{name}", milliseconds / u128::from(factor));
            }
        }
        Ok(())
    }
}

impl SpanOrOff {
    /// So many seconds; for defaults.
    pub(crate) const fn from_secs(seconds: u64) -> Self {
        Self(Some(TimeSpan::from_secs(seconds)))
    }

    /// As the standard library's type; `None` for never. Never `Some` of zero.
    pub(crate) fn get(self) -> Option<Duration> {
        self.0.map(TimeSpan::get)
    }
}

impl From<TimeSpan> for SpanOrOff {
    fn from(span: TimeSpan) -> Self {
        Self(Some(span).filter(|span| !span.get().is_zero()))
    }
}

impl FromStr for SpanOrOff {
    type Err = SpanOrOffError;

    fn from_str(text: &str) -> Result<Self, SpanOrOffError> {
        if text == OFF {
            Ok(Self(None))
        } else {
            Ok(text.parse::<TimeSpan>()?.into())
        }
    }
}

impl fmt::Display for SpanOrOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(span) => span.fmt(f),
            None => f.write_str(OFF),
        }
    }
}

impl Serialize for SpanOrOff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpanOrOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(std::marker::PhantomData))
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(std::marker::PhantomData))
    }
}

/// Only text: a bare number would leave the unit to be guessed.
struct Text<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time with its unit in quotes, like \"10s\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_and_one_unit_are_read() {
        let check = |text: &str, milliseconds: Result<u64, SpanError>| {
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(
                text.parse::<TimeSpan>().map(TimeSpan::get),
                expected,
                "{text:?}"
            );
        };
        check("0", Ok(0));
        check("0s", Ok(0));
        check("500ms", Ok(500));
        check("10s", Ok(10_000));
        check("10 s", Ok(10_000));
        check("5m", Ok(300_000));
        check("24h", Ok(86_400_000));
        check("3650d", Ok(MILLISECONDS_MAX));
        check("3651d", Err(SpanError::TooLong));
        check("99999999999999999999999s", Err(SpanError::TooLong));
        check("18446744073709551615d", Err(SpanError::TooLong));
        for malformed in [
            "", "s", "10", "10 ", "10S", "-1s", "+1s", "1.5h", "1h30m", " 1s", "1s ", "1 µs",
        ] {
            check(malformed, Err(SpanError::Malformed));
        }
    }

    #[test]
    fn off_and_zero_mean_never() {
        let check = |text: &str, shown: &str, seconds: Option<u64>| {
            let read: SpanOrOff = text.parse().unwrap();
            assert_eq!(read.get(), seconds.map(Duration::from_secs), "{text}");
            assert_eq!(read.to_string(), shown);
            assert_eq!(shown.parse(), Ok(read));
        };
        check("off", "off", None);
        check("0", "off", None);
        check("0d", "off", None);
        check("28d", "28d", Some(28 * 86_400));
        let malformed = Err(SpanOrOffError(SpanError::Malformed));
        assert_eq!("Off".parse::<SpanOrOff>(), malformed);
    }

    #[test]
    fn what_is_shown_reads_back_the_same() {
        for text in ["0", "1ms", "1500ms", "90s", "2m", "36h", "2d"] {
            assert_eq!(text.parse::<TimeSpan>().unwrap().to_string(), text);
        }
    }
}
