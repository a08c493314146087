//! Decodes the chunked transfer coding (RFC 9112 §7.1). Pure: bytes in, pieces out.
//!
//! Strict: a size is 1 to 16 hex digits, lines end in CRLF, data is followed by CRLF. Extensions and trailers are
//! dropped and bounded.
//!
//! Invariant: the result does not depend on how the bytes were split on their way.

use bytes::{Bytes, BytesMut};

/// Hex digits of a size: 64 bit.
const SIZE_DIGITS_MAX: usize = 16;
/// A chunk line: size, 4 KiB of extensions, CRLF.
const LINE_BYTES_MAX: usize = SIZE_DIGITS_MAX + 4 * 1024 + 2;
/// All trailer lines of a body: 16 KiB.
const TRAILER_BYTES_MAX: usize = 16 * 1024;
/// One piece: 256 KiB.
const PIECE_BYTES_MAX: usize = super::READ_BYTES_MAX;

/// What the bytes at hand amount to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Data, never empty.
    Data(Bytes),
    /// The last chunk and the trailers are behind us; what is left in the buffer is not of this body.
    End,
    /// More bytes are needed.
    Incomplete,
}

/// Where in the coding we are.
#[derive(Debug, Default)]
pub(super) struct ChunkDecoder {
    state: State,
    /// Bytes at the start of the buffer known to hold no line end.
    scanned: usize,
    trailer_bytes: usize,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Size,
    /// Bytes of the current chunk still to come.
    Data(u64),
    /// The CRLF behind the data.
    DataEnd,
    Trailers,
    Done,
}

impl ChunkDecoder {
    /// Takes the next piece out of `buffer`.
    ///
    /// # Errors
    /// What is malformed; nothing that follows can be trusted.
    pub(super) fn step(&mut self, buffer: &mut BytesMut) -> Result<Chunk, &'static str> {
        loop {
            match self.state {
                State::Done => return Ok(Chunk::End),
                State::Data(_) if buffer.is_empty() => return Ok(Chunk::Incomplete),
                State::Data(remaining) => return Ok(self.data(remaining, buffer)),
                State::Size => {
                    let Some(line) = self.line(buffer, LINE_BYTES_MAX)? else {
                        return Ok(Chunk::Incomplete);
                    };
                    self.state = match size(&line)? {
                        0 => State::Trailers,
                        length => State::Data(length),
                    };
                }
                State::DataEnd => match buffer.as_ref() {
                    [b'\r', b'\n', ..] => {
                        drop(buffer.split_to(2));
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(Chunk::Incomplete),
                    _ => return Err("chunk longer than its size"),
                },
                State::Trailers => {
                    let room = TRAILER_BYTES_MAX - self.trailer_bytes;
                    let Some(line) = self.line(buffer, room)? else {
                        return Ok(Chunk::Incomplete);
                    };
                    self.trailer_bytes += line.len() + 2;
                    match line.is_empty() {
                        true => self.state = State::Done,
                        false if line.contains(&b':') => {}
                        false => return Err("malformed trailer"),
                    }
                }
            }
        }
    }

    fn data(&mut self, remaining: u64, buffer: &mut BytesMut) -> Chunk {
        let most = usize::try_from(remaining)
            .unwrap_or(PIECE_BYTES_MAX)
            .min(PIECE_BYTES_MAX);
        let piece = buffer.split_to(most.min(buffer.len())).freeze();
        self.state = match remaining.saturating_sub(piece.len() as u64) {
            0 => State::DataEnd,
            left => State::Data(left),
        };
        Chunk::Data(piece)
    }

    /// Takes one line out of `buffer` and returns it without its CRLF; `None` while it is not all here.
    fn line(
        &mut self,
        buffer: &mut BytesMut,
        most: usize,
    ) -> Result<Option<BytesMut>, &'static str> {
        let fresh = buffer.get(self.scanned..).unwrap_or_default();
        let end = memchr::memchr(b'\n', fresh).map(|at| self.scanned + at + 1);
        if end.unwrap_or(buffer.len()) > most {
            return Err("chunk line or trailers too long");
        }
        let Some(end) = end else {
            self.scanned = buffer.len();
            return Ok(None);
        };
        self.scanned = 0;
        let mut line = buffer.split_to(end);
        if !line.ends_with(b"\r\n") {
            return Err("bare LF in the chunked coding");
        }
        line.truncate(end - 2);
        if line
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            return Err("control byte in the chunked coding");
        }
        Ok(Some(line))
    }
}

/// The size in a chunk line; extensions are not looked at.
fn size(line: &[u8]) -> Result<u64, &'static str> {
    let count = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let (digits, rest) = line.split_at(count);
    if count == 0 || count > SIZE_DIGITS_MAX {
        return Err("malformed chunk size");
    }
    // Old servers pad the size with spaces, which can be read only one way (§7.1.1 allows them before `;`).
    match rest.trim_ascii_start() {
        [] | [b';', ..] => {}
        _ => return Err("malformed chunk size"),
    }
    let size = digits
        .iter()
        .fold(0_u64, |size, digit| (size << 4) | u64::from(hex(*digit)));
    Ok(size)
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests;
