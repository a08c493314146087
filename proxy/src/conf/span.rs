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

impl TimeSpan {
    /// So many seconds; for defaults.
    pub(crate) const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
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

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Only text: a bare number would leave the unit to be guessed.
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = TimeSpan;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time with its unit in quotes, like \"10s\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeSpan, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
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
    fn what_is_shown_reads_back_the_same() {
        for text in ["0", "1ms", "1500ms", "90s", "2m", "36h", "2d"] {
            assert_eq!(text.parse::<TimeSpan>().unwrap().to_string(), text);
        }
    }
}
