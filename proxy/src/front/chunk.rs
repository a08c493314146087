//! Finds the end of a chunked request body without decoding it (RFC 9112 §7.1).
//!
//! The front needs the end of a body for two jobs: to drain a body nobody read, and to show a lent connection exactly
//! one request. Both only count bytes, so this is a scanner: bytes go in, and out comes how many of them belong to the
//! body.
//!
//! Invariants: state is a few integers whatever the client sends; every byte is looked at once; a line end is CRLF and
//! nothing else, because a lone CR or LF is where two readers begin to disagree. Chunk extensions and trailer fields
//! are passed over, bounded, and never interpreted.

/// Longest chunk-size line and longest trailer section, bytes. Nobody legitimate comes near.
const LINE_BYTES_MAX: usize = 1024;
/// Hexadecimal digits of a 63-bit size.
const SIZE_DIGITS_MAX: usize = 16;

/// Where in the body the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the digits of a chunk size; so many were read.
    Size { digits: usize, value: u64 },
    /// In a chunk extension, of which so many bytes were read.
    Extension { value: u64, bytes: usize },
    /// Behind the CR of a size line.
    SizeEnd { value: u64 },
    /// In chunk data with so many bytes to go.
    Data { left: u64 },
    /// Behind chunk data: its CR, then its LF.
    DataEnd { carriage_return_seen: bool },
    /// At the start of a trailer line; the section has had so many bytes.
    TrailerStart { bytes: usize },
    /// Inside a trailer line.
    Trailer { bytes: usize },
    /// Behind the CR of a trailer line.
    TrailerEnd { bytes: usize },
    /// Behind the CR of the empty line.
    LastEnd,
    /// The body is over.
    Done,
}

/// A body that is not chunked as RFC 9112 says; the reason fits a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed chunked body: {0}")]
pub(crate) struct ChunkError(pub(crate) &'static str);

/// Follows one chunked body.
#[derive(Debug)]
pub(crate) struct ChunkScanner {
    state: State,
}

impl ChunkScanner {
    /// At the first byte of a body.
    pub(crate) fn new() -> Self {
        Self {
            state: State::Size {
                digits: 0,
                value: 0,
            },
        }
    }

    /// Whether the final CRLF has been seen.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Follows `bytes` and returns how many of them belong to the body: all of them, unless it ends before.
    ///
    /// # Errors
    /// [`ChunkError`]; the scanner is of no use afterwards.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<usize, ChunkError> {
        let mut rest = bytes;
        while !self.is_done() {
            if let State::Data { left } = self.state {
                let taken = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                rest = rest.get(taken..).unwrap_or_default();
                self.skip_data(left, taken);
            }
            let Some((byte, behind)) = rest.split_first() else {
                break;
            };
            if !matches!(self.state, State::Data { .. }) {
                self.state = self.state.step(*byte)?;
                rest = behind;
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn skip_data(&mut self, left: u64, taken: usize) {
        let left = left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
        self.state = if left == 0 {
            State::DataEnd {
                carriage_return_seen: false,
            }
        } else {
            State::Data { left }
        };
    }
}

impl State {
    /// The state behind one byte that is not chunk data.
    fn step(self, byte: u8) -> Result<Self, ChunkError> {
        match self {
            Self::Size { digits, value } => Self::size(digits, value, byte),
            Self::Extension { value, bytes } => Self::extension(value, bytes, byte),
            Self::SizeEnd { value } => match (byte, value) {
                (b'\n', 0) => Ok(Self::TrailerStart { bytes: 0 }),
                (b'\n', left) => Ok(Self::Data { left }),
                _ => Err(ChunkError("a chunk size ends with CR alone")),
            },
            Self::DataEnd {
                carriage_return_seen,
            } => match (byte, carriage_return_seen) {
                (b'\r', false) => Ok(Self::DataEnd {
                    carriage_return_seen: true,
                }),
                (b'\n', true) => Ok(Self::Size {
                    digits: 0,
                    value: 0,
                }),
                _ => Err(ChunkError("chunk data is not followed by CRLF")),
            },
            Self::TrailerStart { .. } | Self::Trailer { .. } | Self::TrailerEnd { .. } => {
                self.trailer(byte)
            }
            Self::LastEnd if byte == b'\n' => Ok(Self::Done),
            Self::LastEnd => Err(ChunkError("the body ends with CR alone")),
            Self::Data { .. } | Self::Done => Ok(self),
        }
    }

    fn size(digits: usize, value: u64, byte: u8) -> Result<Self, ChunkError> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if digits >= SIZE_DIGITS_MAX || value >> 59 != 0 {
                return Err(ChunkError("a chunk size needs more than 63 bits"));
            }
            return Ok(Self::Size {
                digits: digits + 1,
                value: (value << 4) | u64::from(digit),
            });
        }
        match byte {
            _ if digits == 0 => Err(ChunkError("a chunk size is missing")),
            b'\r' => Ok(Self::SizeEnd { value }),
            b';' => Ok(Self::Extension { value, bytes: 0 }),
            _ => Err(ChunkError("a chunk size is not hexadecimal")),
        }
    }

    fn extension(value: u64, bytes: usize, byte: u8) -> Result<Self, ChunkError> {
        match byte {
            b'\r' => Ok(Self::SizeEnd { value }),
            _ if is_forbidden(byte) => Err(ChunkError("control byte in a chunk extension")),
            _ if bytes >= LINE_BYTES_MAX => Err(ChunkError("a chunk extension is too long")),
            _ => Ok(Self::Extension {
                value,
                bytes: bytes + 1,
            }),
        }
    }

    fn trailer(self, byte: u8) -> Result<Self, ChunkError> {
        match (self, byte) {
            (Self::TrailerStart { .. }, b'\r') => Ok(Self::LastEnd),
            (Self::TrailerStart { .. }, b' ' | b'\t') => {
                Err(ChunkError("a trailer field is folded"))
            }
            (Self::Trailer { bytes }, b'\r') => Ok(Self::TrailerEnd { bytes }),
            (Self::TrailerEnd { bytes }, b'\n') => Ok(Self::TrailerStart { bytes }),
            (Self::TrailerEnd { .. }, _) => Err(ChunkError("a trailer field ends with CR alone")),
            (Self::TrailerStart { bytes } | Self::Trailer { bytes }, _) if !is_forbidden(byte) => {
                if bytes >= LINE_BYTES_MAX {
                    return Err(ChunkError("the trailer section is too long"));
                }
                Ok(Self::Trailer { bytes: bytes + 1 })
            }
            _ => Err(ChunkError("control byte in a trailer field")),
        }
    }
}

/// Bytes that no field and no extension may hold. HTAB is fine, LF and NUL are not.
fn is_forbidden(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces of `step` bytes; returns the body's length, or `None` while it is not over.
    fn scan(input: &[u8], step: usize) -> Result<Option<usize>, ChunkError> {
        let mut scanner = ChunkScanner::new();
        let mut total = 0;
        for piece in input.chunks(step) {
            let taken = scanner.scan(piece)?;
            total += taken;
            if scanner.is_done() {
                return Ok(Some(total));
            }
            assert_eq!(taken, piece.len(), "an open body takes every byte");
        }
        Ok(None)
    }

    /// The verdict must not depend on where the network cut the bytes.
    fn check(input: &str, expected: Result<Option<usize>, ()>) {
        for step in 1..=input.len().max(1) {
            let found = scan(input.as_bytes(), step).map_err(|_| ());
            assert_eq!(found, expected, "{input:?} in pieces of {step}");
        }
    }

    #[test]
    fn the_end_is_found_however_the_body_is_cut() {
        check("0\r\n\r\n", Ok(Some(5)));
        check("5\r\nhello\r\n0\r\n\r\n", Ok(Some(15)));
        check("5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1", Ok(Some(15)));
        check("A;x=\"y\"\r\n0123456789\r\n00\r\n\r\n", Ok(Some(27)));
        check("1\r\na\r\n0\r\nX: y\r\nZ: 1\r\n\r\nrest", Ok(Some(23)));
        check("2\r\n\r\n\r\n0\r\n\r\n", Ok(Some(12)));
    }

    #[test]
    fn an_unfinished_body_is_not_over() {
        check("", Ok(None));
        check("5\r\nhel", Ok(None));
        check("5\r\nhello\r\n0\r\n", Ok(None));
        check("0\r\nX: y\r\n\r", Ok(None));
    }

    #[test]
    fn row_10_chunk_sizes_that_are_not_plain_hexadecimal() {
        for size in ["0x5", "+5", "-5", "5_0", " 5", "5 ", "", ";", "g"] {
            check(&format!("{size}\r\nhello\r\n0\r\n\r\n"), Err(()));
        }
        check("ffffffffffffffffff\r\n", Err(()));
        check("00000000000000001\r\n", Err(()));
        check("7fffffffffffffff\r\n", Ok(None));
        check("8000000000000000\r\n", Err(()));
    }

    #[test]
    fn rows_11_and_12_bare_line_feeds() {
        check("5\nhello\r\n0\r\n\r\n", Err(()));
        check("5;a\nb\r\nhello\r\n0\r\n\r\n", Err(()));
        check("5\r\nhello\n0\r\n\r\n", Err(()));
        check("0\r\n\n", Err(()));
        check("0\r\nX: y\n\r\n", Err(()));
        check("5\rhello\r\n0\r\n\r\n", Err(()));
    }

    #[test]
    fn row_13_extensions_and_trailers_are_bounded() {
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        assert!(scan(format!("1;{long}").as_bytes(), 7).is_err());
        assert!(scan(format!("0\r\n{long}").as_bytes(), 7).is_err());
        let many = "a: b\r\n".repeat(LINE_BYTES_MAX);
        assert!(scan(format!("0\r\n{many}").as_bytes(), 7).is_err());
    }

    #[test]
    fn data_that_is_longer_than_its_size_is_refused() {
        check("3\r\nhello\r\n0\r\n\r\n", Err(()));
    }

    #[test]
    fn folded_and_control_bytes_in_trailers_are_refused() {
        check("0\r\nX: y\r\n folded\r\n\r\n", Err(()));
        check("0\r\nX: \0\r\n\r\n", Err(()));
    }
}
