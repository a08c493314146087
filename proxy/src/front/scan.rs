//! Watches a request head arrive: finds its end, and finds out as early as possible that it will never be one.
//!
//! Sans-IO: the conversation reads bytes, the scanner looks at each of them once, so a head that trickles in costs
//! O(n). It knows lines and limits only; fields are the parser's business ([`super::head`]).
//!
//! Invariants: a line ends with CRLF and nothing else (a bare LF is refused, RFC 9112 §2.2 allows that); a limit is
//! noticed while the head arrives, not when it is over.

use super::head::{HeadLimits, check_request_line};
use super::refusal::Refusal;
use std::ops::Range;

/// Empty lines tolerated before a request line (RFC 9112 §2.2): some old clients send one behind a body.
const LEADING_EMPTY_LINES_MAX: usize = 2;
/// What a request line holds besides its target: a method, two spaces, the version, and room for odd methods.
const REQUEST_LINE_EXTRA_BYTES: usize = 128;

/// Follows one head.
#[derive(Debug)]
pub(super) struct HeadScanner {
    limits: HeadLimits,
    /// Where the request line begins.
    start: usize,
    /// Where the line that is arriving begins.
    line_start: usize,
    /// Everything before was looked at.
    scanned: usize,
    /// Whole lines seen, the request line included.
    lines: usize,
    leading_empty_lines: usize,
}

impl HeadScanner {
    /// At the first byte of a head.
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            start: 0,
            line_start: 0,
            scanned: 0,
            lines: 0,
            leading_empty_lines: 0,
        }
    }

    /// Looks at what was added to `buffer` since the last call. `Some`: the head is whole, and where it is.
    ///
    /// # Errors
    /// [`Refusal`] as soon as no continuation could make it a request.
    pub(super) fn advance(&mut self, buffer: &[u8]) -> Result<Option<Range<usize>>, Refusal> {
        let fresh = buffer.get(self.scanned..).unwrap_or_default();
        let base = self.scanned;
        for line_feed in memchr::memchr_iter(b'\n', fresh) {
            if let Some(head) = self.end_line(buffer, base + line_feed)? {
                return Ok(Some(head));
            }
        }
        self.scanned = buffer.len();
        self.check_open_line(buffer)?;
        Ok(None)
    }

    /// A line ends at `line_feed`.
    fn end_line(
        &mut self,
        buffer: &[u8],
        line_feed: usize,
    ) -> Result<Option<Range<usize>>, Refusal> {
        let line = buffer.get(self.line_start..line_feed).unwrap_or_default();
        let Some(line) = line.strip_suffix(b"\r") else {
            return Err(Refusal::malformed("a line ends with LF alone"));
        };
        self.line_start = line_feed + 1;
        match (line.is_empty(), self.lines) {
            (true, 0) => self.skip_leading_empty_line()?,
            (true, _) => return self.whole().map(Some),
            (false, 0) => {
                check_request_line(line, self.limits.target_bytes_max)?;
                self.lines = 1;
            }
            (false, _) => {
                self.lines += 1;
                if self.lines > self.limits.fields_max + 1 {
                    return Err(Refusal::new(431, "too many header fields"));
                }
            }
        }
        Ok(None)
    }

    fn skip_leading_empty_line(&mut self) -> Result<(), Refusal> {
        self.leading_empty_lines += 1;
        if self.leading_empty_lines > LEADING_EMPTY_LINES_MAX {
            return Err(Refusal::malformed("empty lines instead of a request line"));
        }
        self.start = self.line_start;
        Ok(())
    }

    fn whole(&self) -> Result<Range<usize>, Refusal> {
        if self.line_start - self.start > self.limits.bytes_max {
            return Err(Refusal::new(431, "the request head is too large"));
        }
        Ok(self.start..self.line_start)
    }

    /// Judges what is there of a line that has not ended.
    fn check_open_line(&self, buffer: &[u8]) -> Result<(), Refusal> {
        let open = buffer.get(self.line_start..).unwrap_or_default();
        if self.lines == 0 {
            // A TLS hello or any other protocol is told at its first byte, not after the deadline.
            if open.first().is_some_and(|byte| !starts_request_line(*byte)) {
                return Err(Refusal::malformed("this is not an HTTP request"));
            }
            if open.len() > self.limits.target_bytes_max + REQUEST_LINE_EXTRA_BYTES {
                return Err(Refusal::new(414, "the request target is too long"));
            }
        }
        if buffer.len() - self.start > self.limits.bytes_max {
            return Err(Refusal::new(431, "the request head is too large"));
        }
        Ok(())
    }
}

/// A method's byte, or the CR of a leading empty line.
fn starts_request_line(byte: u8) -> bool {
    byte == b'\r' || super::head::is_token_byte(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits {
        bytes_max: 400,
        fields_max: 3,
        target_bytes_max: 100,
    };

    /// What the scanner says of `input` that arrives byte by byte: where the head is, or the status of the refusal.
    fn check(input: &str, expected: Result<Option<Range<usize>>, u16>) {
        let bytes = input.as_bytes();
        let mut scanner = HeadScanner::new(LIMITS);
        let mut found = Ok(None);
        for length in 1..=bytes.len() {
            found = scanner
                .advance(&bytes[..length])
                .map_err(|refusal| refusal.status);
            if found != Ok(None) {
                break;
            }
        }
        assert_eq!(found, expected, "byte by byte: {input:?}");
        let whole = HeadScanner::new(LIMITS)
            .advance(bytes)
            .map_err(|refusal| refusal.status);
        assert_eq!(whole, expected, "at once: {input:?}");
    }

    #[test]
    fn the_end_is_the_empty_line() {
        check("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET", Ok(Some(0..27)));
        check("GET / HTTP/1.1\r\nHost: h\r\n\r", Ok(None));
        check("\r\nGET / HTTP/1.0\r\n\r\n", Ok(Some(2..20)));
    }

    #[test]
    fn row_16_bare_line_feeds_are_refused_where_they_stand() {
        check("GET / HTTP/1.1\nHost: h\n\n", Err(400));
        check("GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", Err(400));
        check("\nGET / HTTP/1.1\r\n", Err(400));
    }

    #[test]
    fn row_32_a_wrong_version_is_told_after_the_first_line() {
        check("GET /\r\n", Err(400));
        check("GET / HTTP/1.9\r\n", Err(505));
        check("PRI * HTTP/2.0\r\n", Err(505));
    }

    #[test]
    fn another_protocol_is_told_at_its_first_byte() {
        check("\u{16}", Err(400));
        check(" GET / HTTP/1.1\r\n", Err(400));
        check("\r\n\r\n\r\n", Err(400));
    }

    #[test]
    fn row_102_limits_are_noticed_while_the_head_arrives() {
        let endless = "x".repeat(101);
        check(&format!("GET /{endless} HTTP/1.1\r\n"), Err(414));
        assert_eq!(advance_status(&"G".repeat(300)), Some(414));
        check(
            "GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n",
            Ok(Some(0..36)),
        );
        check(
            "GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n",
            Err(431),
        );
        let large = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(400));
        assert_eq!(advance_status(&large), Some(431));
        assert_eq!(advance_status(&format!("{large}\r\n\r\n")), Some(431));
    }

    fn advance_status(input: &str) -> Option<u16> {
        let verdict = HeadScanner::new(LIMITS).advance(input.as_bytes());
        verdict.err().map(|refusal| refusal.status)
    }
}
