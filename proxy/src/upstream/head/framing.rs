//! How a response body ends (RFC 9112 §6.3) and whether the connection outlives it (§9.3). Pure.
//!
//! Invariant: whenever two readers could disagree on the length, the response is refused, or its explicit end is
//! taken and the connection is not used again.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use weir_cache::ports::Framing;

/// What may become of a connection after its current response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// It may serve another request.
    Keep,
    /// It is closed.
    Close,
}

/// Decides framing and persistence, and leaves in `headers` only a Content-Length that holds, once.
///
/// # Errors
/// What is wrong, in words: 502.
pub(super) fn decide(
    method: &Method,
    status: StatusCode,
    minor_version: u8,
    headers: &mut HeaderMap,
) -> Result<(Framing, Persistence), &'static str> {
    let length = content_length(headers)?;
    let chunked = is_chunked(headers, minor_version)?;
    let persistence = persistence(headers, minor_version);

    // Chunked wins over Content-Length, which then promises nothing (§6.3 rule 3); a 204 has neither (RFC 9110 §8.6).
    let lying =
        (chunked && length.is_some()) || (status == StatusCode::NO_CONTENT && length.is_some());
    match length {
        Some(length) if !lying => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        _ => {
            headers.remove(header::CONTENT_LENGTH);
        }
    }
    if has_no_body(method, status) {
        // Whoever announces a body here may also send it: what follows on this connection cannot be trusted.
        let suspicious = chunked || lying;
        return Ok((
            Framing::None,
            if suspicious {
                Persistence::Close
            } else {
                persistence
            },
        ));
    }
    Ok(match length {
        _ if chunked && lying => (Framing::Chunked, Persistence::Close),
        _ if chunked => (Framing::Chunked, persistence),
        Some(length) => (Framing::Length(length), persistence),
        None => (Framing::UntilClose, Persistence::Close),
    })
}

fn has_no_body(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The one value of Content-Length; repeated identical ones count as one (RFC 9110 §8.6).
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for item in value.as_bytes().split(|byte| *byte == b',') {
            let parsed = decimal(item.trim_ascii()).ok_or("malformed Content-Length")?;
            if length.is_some_and(|other| other != parsed) {
                return Err("differing Content-Length values");
            }
            length = Some(parsed);
        }
    }
    Ok(length)
}

/// Digits and nothing else: no sign, no space, no underscore, no overflow.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether the body is chunked. Any other coding is refused: Weir asks for none, and guessing where it ends is how
/// responses are smuggled.
fn is_chunked(headers: &HeaderMap, minor_version: u8) -> Result<bool, &'static str> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        (Some(_), _) if minor_version == 0 => Err("Transfer-Encoding in HTTP/1.0"),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err("Transfer-Encoding other than chunked"),
    }
}

fn persistence(headers: &HeaderMap, minor_version: u8) -> Persistence {
    let says = |option: &[u8]| {
        headers
            .get_all(header::CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(option))
    };
    let keeps = !says(b"close") && (minor_version >= 1 || says(b"keep-alive"));
    if keeps {
        Persistence::Keep
    } else {
        Persistence::Close
    }
}
