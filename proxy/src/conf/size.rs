//! Numbers of bytes as people write them: `"64KiB"`, `"10TB"`, `"512B"`, or a plain number.
//!
//! `KiB MiB GiB TiB PiB` are powers of 1024, `KB MB GB TB PB` powers of 1000. A bare `K` or `M` is refused, because
//! it means one thing to some and another to others.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ByteSize(u64);

/// A number of bytes, or no bound: written `""` or `"0"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteBound(Option<ByteSize>);

/// The units in bytes. Binary ones first and largest first: that is the order in which a size picks its unit.
const UNITS: [(&str, u64); 11] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Why a text is not a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SizeError {
    /// Not a whole number followed by a unit.
    #[error(
        "not a size; write a whole number and one of the units B, KiB, MiB, GiB, TiB, PiB (1024) \
         or KB, MB, GB, TB, PB (1000), like \"64KiB\""
    )]
    Malformed,
    /// Does not fit 64 bits.
    #[error("too large; at most 16383PiB")]
    TooLarge,
}

impl ByteSize {
    /// So many bytes; for defaults.
    pub(crate) const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes.
    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

impl ByteBound {
    /// No bound; for defaults.
    pub(crate) const NONE: Self = Self(None);

    /// Bytes, `None` for no bound. Never `Some(0)`.
    pub(crate) fn get(self) -> Option<u64> {
        self.0.map(ByteSize::get)
    }
}

impl From<ByteSize> for ByteBound {
    fn from(size: ByteSize) -> Self {
        Self(Some(size).filter(|size| size.get() > 0))
    }
}

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or(SizeError::Malformed)?;
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        if number.is_empty() {
            return Err(SizeError::Malformed);
        }
        let factor = if unit.is_empty() {
            1
        } else {
            UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or(SizeError::Malformed)?
                .1
        };
        // Only digits are left, so the one way to fail is being too large.
        let number: u64 = number.parse().map_err(|_| SizeError::TooLarge)?;
        number
            .checked_mul(factor)
            .map(Self)
            .ok_or(SizeError::TooLarge)
    }
}

impl FromStr for ByteBound {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        if text.is_empty() {
            Ok(Self::NONE)
        } else {
            text.parse::<ByteSize>().map(Self::from)
        }
    }
}

impl fmt::Display for ByteSize {
    /// In the largest unit that loses nothing; parses back to the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |factor: u64| self.0 >= factor && self.0.is_multiple_of(factor);
        match UNITS.iter().find(|(_, factor)| fits(*factor)) {
            Some((name, factor)) => write!(f, "{}{name}", self.0 / factor),
            None => f.write_str("0"),
        }
    }
}

impl fmt::Display for ByteBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |size| size.fmt(f))
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for ByteBound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a size from text or from a plain number of bytes.
struct TextOrBytes<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = SizeError> + From<ByteSize>> de::Visitor<'_> for TextOrBytes<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size in quotes, like \"64KiB\", or a number of bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<T, E> {
        Ok(ByteSize(bytes).into())
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<T, E> {
        u64::try_from(bytes)
            .map(|bytes| ByteSize(bytes).into())
            .map_err(|_| {
                E::custom(
                    "a size cannot be negative; write a size like \"64KiB\", or a number of bytes",
                )
            })
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrBytes(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for ByteBound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrBytes(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_and_one_unit_are_read() {
        let check = |text: &str, bytes: Result<u64, SizeError>| {
            assert_eq!(
                text.parse::<ByteSize>().map(ByteSize::get),
                bytes,
                "{text:?}"
            );
        };
        check("0", Ok(0));
        check("65536", Ok(65_536));
        check("512B", Ok(512));
        check("64KiB", Ok(65_536));
        check("64 KiB", Ok(65_536));
        check("10TB", Ok(10_000_000_000_000));
        check("10TiB", Ok(10 << 40));
        check("16383PiB", Ok(16_383 << 50));
        check("16384PiB", Err(SizeError::TooLarge));
        check("99999999999999999999999", Err(SizeError::TooLarge));
        for malformed in [
            "", "KiB", "64K", "64k", "64kib", "-1", "+1", "1.5GiB", "1GiB ", " 1", "1 µB",
        ] {
            check(malformed, Err(SizeError::Malformed));
        }
    }

    #[test]
    fn nothing_and_zero_mean_no_bound() {
        let bound = |text: &str| text.parse::<ByteBound>().map(ByteBound::get);
        assert_eq!(bound(""), Ok(None));
        assert_eq!(bound("0"), Ok(None));
        assert_eq!(bound("0GiB"), Ok(None));
        assert_eq!(bound("1KiB"), Ok(Some(1024)));
    }

    #[test]
    fn what_is_shown_reads_back_the_same() {
        for text in ["0", "1B", "1000B", "1KiB", "1536KiB", "10TiB", "3PB"] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(
                size.to_string().parse(),
                Ok(size),
                "{text} was shown as {size}"
            );
        }
        assert_eq!(ByteSize(65_536).to_string(), "64KiB");
        assert_eq!(
            ByteSize(10_000_000_000_000).to_string().parse(),
            Ok(ByteSize(10_000_000_000_000))
        );
    }
}
