//! Reads one whole request head, strictly (RFC 9112 §3, §5, §6).
//!
//! A caching proxy stands between two readers, so a head that two readers could read in two ways is refused, never
//! repaired: request smuggling lives in the repairs. What is read here is what goes upstream; nothing of the client's
//! bytes is forwarded unread.
//!
//! Deliberately not here: what the target means (`weir_policies::target`), which methods are served (the gateway), and
//! whether an absolute-form target agrees with Host (the target wins, RFC 9112 §3.2.2).

use super::refusal::Refusal;
use super::{BodyFraming, Request, Version};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method};
use std::time::Duration;

/// How much a client may say before its request begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadLimits {
    /// The whole head, bytes.
    pub(super) bytes_max: usize,
    /// Header fields.
    pub(super) fields_max: usize,
    /// The request target, bytes.
    pub(super) target_bytes_max: usize,
}

/// Reads `head`, which ends with the empty line and has passed the scanner.
///
/// # Errors
/// [`Refusal`]: the connection must be closed and nothing may reach an upstream.
pub(super) fn parse(
    head: &Bytes,
    limits: &HeadLimits,
    arrived: Duration,
) -> Result<Request, Refusal> {
    let line_end = memchr::memchr(b'\r', head).unwrap_or(head.len());
    let line = RequestLine::parse(head.get(..line_end).unwrap_or_default())?;
    line.check(limits.target_bytes_max)?;
    let fields = head.get(line_end + 2..).unwrap_or_default();
    let headers = parse_fields(head, fields, limits.fields_max)?;
    check_host(&headers, line.version)?;
    let body = body_framing(&headers, line.version)?;
    let method = Method::from_bytes(line.method)
        .map_err(|_| Refusal::malformed("the method is not a token"))?;
    // Also a length of 0: what follows the head goes to the other end, whatever the head says of it.
    if method == Method::CONNECT
        && (headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING))
    {
        return Err(Refusal::malformed("CONNECT has no body"));
    }
    Ok(Request {
        method,
        target: String::from_utf8_lossy(line.target).into_owned(),
        version: line.version,
        keep_alive: wants_keep_alive(line.version, &headers),
        headers,
        body,
        arrived,
    })
}

/// Judges a request line alone, as soon as it has arrived.
pub(super) fn check_request_line(line: &[u8], target_bytes_max: usize) -> Result<(), Refusal> {
    RequestLine::parse(line)?.check(target_bytes_max)
}

/// Whether the client wants the connection to stay (RFC 9112 §9.3).
pub(super) fn wants_keep_alive(version: Version, headers: &HeaderMap) -> bool {
    let mut keep = version == Version::Http11;
    for option in headers.get_all(CONNECTION).iter().flat_map(list_members) {
        if option.eq_ignore_ascii_case(b"close") {
            return false;
        }
        keep |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    keep
}

/// Members of a comma-separated field value, without the space around them.
fn list_members(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
}

/// `tchar` of RFC 9110 §5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `method SP request-target SP HTTP-version`, taken apart.
struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: Version,
}

impl<'a> RequestLine<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Refusal::malformed(
                "the request line is not: method, target, HTTP version",
            ));
        };
        Ok(Self {
            method,
            target,
            version: parse_version(version)?,
        })
    }

    fn check(&self, target_bytes_max: usize) -> Result<(), Refusal> {
        if self.method.is_empty() || !self.method.iter().all(|byte| is_token_byte(*byte)) {
            return Err(Refusal::malformed("the method is not a token"));
        }
        if self.target.len() > target_bytes_max {
            return Err(Refusal::new(414, "the request target is too long"));
        }
        if self.target.is_empty() || !self.target.iter().all(u8::is_ascii_graphic) {
            return Err(Refusal::malformed(
                "the target holds a byte that must be percent-encoded",
            ));
        }
        if self.target.contains(&b'#') {
            return Err(Refusal::malformed("the target holds a fragment"));
        }
        Ok(())
    }
}

fn parse_version(word: &[u8]) -> Result<Version, Refusal> {
    match word {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Refusal::new(
                505,
                "only HTTP/1.0 and HTTP/1.1 are spoken here",
            ))
        }
        _ => Err(Refusal::malformed("the HTTP version is not readable")),
    }
}

/// The fields; their values share the bytes of `head`.
fn parse_fields(head: &Bytes, fields: &[u8], fields_max: usize) -> Result<HeaderMap, Refusal> {
    let lines = memchr::memchr_iter(b'\n', fields).count();
    if lines > fields_max + 1 {
        return Err(Refusal::new(431, "too many header fields"));
    }
    let mut slots = vec![httparse::EMPTY_HEADER; lines];
    let parsed = match httparse::parse_headers(fields, &mut slots) {
        Ok(httparse::Status::Complete((end, parsed))) if end == fields.len() => parsed,
        _ => return Err(Refusal::malformed("a header field is malformed")),
    };
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| Refusal::malformed("a field name is not a token"))?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value))
            .map_err(|_| Refusal::malformed("a field value holds a control byte"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Exactly one valid Host in HTTP/1.1, at most one in HTTP/1.0 (RFC 9112 §3.2).
fn check_host(headers: &HeaderMap, version: Version) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::Http10 => Ok(()),
        (None, _) => Err(Refusal::malformed("Host is missing")),
        (Some(host), None) if weir_policies::target::host_is_valid(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(Refusal::malformed("Host is not one host with a port")),
        (Some(_), Some(_)) => Err(Refusal::malformed("Host is said twice")),
    }
}

/// How the body is framed; anything that another reader could frame differently is refused (RFC 9112 §6.3).
fn body_framing(headers: &HeaderMap, version: Version) -> Result<BodyFraming, Refusal> {
    let length = content_length(headers)?;
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(match length {
            None | Some(0) => BodyFraming::None,
            Some(length) => BodyFraming::Length(length),
        });
    };
    if length.is_some() {
        return Err(Refusal::malformed(
            "Content-Length and Transfer-Encoding contradict each other",
        ));
    }
    if version == Version::Http10 {
        return Err(Refusal::malformed("Transfer-Encoding in HTTP/1.0"));
    }
    if codings.next().is_some() {
        return Err(Refusal::malformed("Transfer-Encoding is said twice"));
    }
    match coding.as_bytes() {
        value if value.eq_ignore_ascii_case(b"chunked") => Ok(BodyFraming::Chunked),
        value if !value.is_empty() && value.iter().all(|byte| is_token_byte(*byte)) => Err(
            Refusal::new(501, "the only transfer coding served here is chunked"),
        ),
        _ => Err(Refusal::malformed("Transfer-Encoding is not: chunked")),
    }
}

/// The one Content-Length (RFC 9110 §8.6). `4, 4` and repeated lines are refused although they could be collapsed:
/// no client sends them in good faith.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Refusal::malformed("Content-Length is said twice"));
    }
    let digits = value.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::malformed("Content-Length is not a number"));
    }
    // 63 bits: what every reader behind us can hold.
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse::<i64>().ok())
        .and_then(|length| u64::try_from(length).ok())
        .map(Some)
        .ok_or(Refusal::malformed("Content-Length is too large"))
}

#[cfg(test)]
#[path = "head/tests.rs"]
mod tests;
