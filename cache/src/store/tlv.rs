//! Type-length-value fields, the extensible part of headers and footers.
//!
//! ```text
//! 0   2  type, u16 LE; bit 15 set: optional
//! 2   4  length of the value in bytes, u32 LE
//! 6   n  value
//! ```
//! A reader that meets an unknown mandatory type must refuse the file: whoever wrote it relied on it. Unknown optional
//! fields are kept, so that rewriting a file by an older version loses nothing.
//!
//! Decoding takes bytes from a disk: every length is checked and nothing panics.

/// Bit of a type that marks a field a reader may not know.
pub(crate) const OPTIONAL: u16 = 0x8000;

/// Why fields cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    /// Ends in the middle, or a value has an impossible size or content.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A field that must be understood and is not.
    #[error("unknown mandatory field {0:#06x}")]
    UnknownMandatory(u16),
    /// A mandatory field is absent.
    #[error("no field {0}")]
    Missing(&'static str),
    /// Checksum, magic or identity do not fit.
    #[error("wrong {0}")]
    Mismatch(&'static str),
}

/// A field that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownField {
    pub(crate) kind: u16,
    pub(crate) value: Vec<u8>,
}

/// Appends fields to a buffer.
#[derive(Debug, Default)]
pub(crate) struct FieldWriter {
    pub(crate) bytes: Vec<u8>,
}

impl FieldWriter {
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) {
        // Values come from bounded heads (64 KiB) and block tables; a longer one is cut here and refused on reading.
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&kind.to_le_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(value);
    }
}

/// Reads fields one after the other.
#[derive(Debug)]
pub(crate) struct FieldReader<'a> {
    cursor: Cursor<'a>,
}

impl<'a> FieldReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(bytes),
        }
    }

    /// The next field; `None` at the exact end.
    pub(crate) fn next(&mut self) -> Result<Option<(u16, &'a [u8])>, FormatError> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let kind = self.cursor.u16()?;
        let value = self.cursor.counted()?;
        Ok(Some((kind, value)))
    }
}

/// Reads numbers and counted bytes from a slice.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], FormatError> {
        let (now, later) = self
            .rest
            .split_at_checked(length)
            .ok_or(FormatError::Malformed("length"))?;
        self.rest = later;
        Ok(now)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        self.take(N)?
            .try_into()
            .map_err(|_| FormatError::Malformed("length"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FormatError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, FormatError> {
        self.array().map(i64::from_le_bytes)
    }

    /// A u32 length and so many bytes.
    pub(crate) fn counted(&mut self) -> Result<&'a [u8], FormatError> {
        let length = usize::try_from(self.u32()?).map_err(|_| FormatError::Malformed("length"))?;
        self.take(length)
    }
}

/// Appends a u32 length and the bytes: what [`Cursor::counted`] reads.
pub(crate) fn put_counted(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_field_is_malformed() {
        let mut writer = FieldWriter::default();
        writer.put(1, b"abc");
        for cut in 1..writer.bytes.len() {
            let mut reader = FieldReader::new(&writer.bytes[..cut]);
            assert_eq!(
                reader.next(),
                Err(FormatError::Malformed("length")),
                "{cut}"
            );
        }
    }

    proptest! {
        #[test]
        fn fields_are_read_back(
            fields in proptest::collection::vec(
                (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..50)),
                0..10,
            ),
        ) {
            let mut writer = FieldWriter::default();
            for (kind, value) in &fields {
                writer.put(*kind, value);
            }
            let mut reader = FieldReader::new(&writer.bytes);
            for (kind, value) in &fields {
                prop_assert_eq!(reader.next(), Ok(Some((*kind, value.as_slice()))));
            }
            prop_assert_eq!(reader.next(), Ok(None));
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let mut reader = FieldReader::new(&bytes);
            while let Ok(Some(_)) = reader.next() {}
        }
    }
}
