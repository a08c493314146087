//! Reads a response head.
//!
//! Strict on purpose (RFC 9112 §4, §5): HTTP/0.9, odd versions and statuses, NUL, bare CR, folded fields and space
//! before a colon are protocol errors. A bare LF as line end is accepted (§2.2); Weir always writes CRLF.
//!
//! Invariants: at most `head_bytes_max` bytes and [`FIELDS_MAX`] fields a head are read, and as many interim responses as
//! [`InterimRelay`] takes; bytes behind the head stay in the buffer. The deadline is the caller's.

mod framing;
#[cfg(test)]
mod tests;

pub(super) use framing::Persistence;

use super::interim::InterimRelay;
use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::io::ErrorKind;
use tokio::io::{AsyncRead, AsyncReadExt};
use weir_cache::ports::Framing;
use weir_policies::hop;

/// Fields in a response head.
pub(super) const FIELDS_MAX: usize = 256;
/// How every HTTP/1 response begins.
const VERSION_PREFIX: &[u8] = b"HTTP/1.";

/// A final response head.
#[derive(Debug)]
pub(super) struct Head {
    /// Final status, never 1xx.
    pub(super) status: StatusCode,
    /// End-to-end fields. Content-Length appears at most once and only where it holds.
    pub(super) headers: HeaderMap,
    /// How the body ends.
    pub(super) framing: Framing,
    /// Whether the connection may serve another request after the body.
    pub(super) persistence: Persistence,
}

/// Why there is no head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    /// Closed or reset before a single byte.
    Silent,
    /// Closed or reset in the middle of it.
    Closed,
    /// TLS broke after its handshake, for one because a client certificate is demanded; in rustls' words.
    Tls(String),
    /// Not here in time; said by the caller, who holds the clock.
    TimedOut,
    /// Not HTTP/1 as it must be.
    Protocol(&'static str),
}

/// One head as parsed, final or interim.
struct Parsed {
    minor_version: u8,
    status: StatusCode,
    headers: HeaderMap,
}

/// Reads until the final head is complete and takes it out of `buffer`.
///
/// Not cancel-safe: a caller that gives up drops the connection.
pub(super) async fn read<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    method: &Method,
    head_bytes_max: usize,
    relay: &mut InterimRelay,
) -> Result<Head, HeadError>
where
    S: AsyncRead + Unpin,
{
    loop {
        let length = match await_head(stream, buffer, head_bytes_max).await {
            // Silent is the claim that nothing at all was said; an interim response is something.
            Err(HeadError::Silent) if !relay.is_silent() => return Err(HeadError::Closed),
            other => other?,
        };
        let parsed = parse(&buffer.split_to(length)).map_err(HeadError::Protocol)?;
        if !parsed.status.is_informational() {
            let Parsed {
                minor_version,
                status,
                headers,
            } = parsed;
            return framed(status, headers, minor_version, method).map_err(HeadError::Protocol);
        }
        relay
            .pass(parsed.status, parsed.headers)
            .map_err(HeadError::Protocol)?;
    }
}

/// Reads until `buffer` begins with a whole head; returns its length.
async fn await_head<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    head_bytes_max: usize,
) -> Result<usize, HeadError>
where
    S: AsyncRead + Unpin,
{
    let mut scanned = 0;
    loop {
        if !VERSION_PREFIX
            .iter()
            .zip(buffer.iter())
            .all(|(expected, got)| expected == got)
        {
            return Err(HeadError::Protocol("the response is not HTTP/1"));
        }
        match head_end(buffer, scanned) {
            Some(length) if length <= head_bytes_max => return Ok(length),
            None if buffer.len() < head_bytes_max => scanned = buffer.len(),
            _ => return Err(HeadError::Protocol("response head too large")),
        }
        buffer.reserve(4096);
        match stream.read_buf(buffer).await {
            Ok(count) if count > 0 => {}
            // What rustls makes of an alert or a damaged record.
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Err(HeadError::Tls(error.to_string()));
            }
            _ if buffer.is_empty() => return Err(HeadError::Silent),
            _ => return Err(HeadError::Closed),
        }
    }
}

/// Where the head ends: behind the first empty line. The first `scanned` bytes are known to hold no end, so that a
/// head that drips in is not searched again from its start.
fn head_end(buffer: &[u8], scanned: usize) -> Option<usize> {
    // An end that straddles the old border begins at most two bytes before it ("\n\r" + "\n").
    let from = scanned.saturating_sub(2);
    let tail = buffer.get(from..)?;
    memchr::memchr_iter(b'\n', tail).find_map(|at| match tail.get(at + 1..)? {
        [b'\n', ..] => Some(from + at + 2),
        [b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

fn parse(bytes: &[u8]) -> Result<Parsed, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let parsed = httparse::ParserConfig::default().parse_response(&mut response, bytes);
    match parsed.map_err(malformed)? {
        httparse::Status::Complete(length) if length == bytes.len() => {}
        _ => return Err("malformed response head"),
    }
    let code = response.code.ok_or("no status")?;
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for field in response.headers.iter() {
        let name =
            HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| "malformed field name")?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| "malformed field value")?;
        headers.append(name, value);
    }
    Ok(Parsed {
        minor_version: response.version.ok_or("no version")?,
        status: StatusCode::from_u16(code).map_err(|_| "status out of range")?,
        headers,
    })
}

fn malformed(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "malformed field name",
        httparse::Error::HeaderValue => "malformed field value",
        httparse::Error::Status => "malformed status line",
        httparse::Error::TooManyHeaders => "more than 256 response fields",
        httparse::Error::Version => "unknown HTTP version",
        httparse::Error::NewLine | httparse::Error::Token => "malformed response head",
    }
}

/// Reads the framing out of a final head and leaves its end-to-end fields.
///
/// # Errors
/// What is wrong with the framing, in words: 502.
pub(super) fn framed(
    status: StatusCode,
    mut headers: HeaderMap,
    minor_version: u8,
    method: &Method,
) -> Result<Head, &'static str> {
    let (framing, persistence) = framing::decide(method, status, minor_version, &mut headers)?;
    hop::strip(&mut headers);
    Ok(Head {
        status,
        headers,
        framing,
        persistence,
    })
}
