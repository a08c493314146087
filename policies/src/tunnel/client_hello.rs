//! The server name in what a TLS client says first (RFC 8446 §4.1.2, RFC 6066 §3).
//!
//! Read to compare it with the host that CONNECT named. Nothing else is looked at, and nothing is decided here.
//!
//! Invariants: total, in time linear in the bytes given, and it never waits for more bytes of what cannot become a
//! ClientHello any more, so that protocols in which a client says something else are not held up. A hello may be cut
//! into records and packets anywhere.
//!
//! Deliberately absent: what is inside of an encrypted ClientHello; its outer name is read.

use crate::target::normal_host;

/// The content type of handshake records (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// The type of a ClientHello (RFC 8446 §4).
const CLIENT_HELLO: u8 = 1;
/// The extension that holds the name, and the type of a DNS name in it (RFC 6066 §3).
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
/// Most bytes in one record of plaintext (RFC 8446 §5.1).
const RECORD_BYTES_MAX: usize = 1 << 14;

/// What the first bytes of a client say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hello {
    /// The beginning of a ClientHello, or too little to tell.
    Incomplete,
    /// No ClientHello.
    Other,
    /// A ClientHello that names nobody.
    Nameless,
    /// A ClientHello with this name, in normal form.
    Named(String),
    /// A ClientHello that cannot be read to its end, or whose name is no host name.
    Malformed,
}

/// Reads what a client has said so far.
#[must_use]
pub fn read(said: &[u8]) -> Hello {
    let message = match handshake(said) {
        Ok(message) => message,
        Err(hello) => return hello,
    };
    let Some((&kind, rest)) = message.split_first() else {
        return Hello::Incomplete;
    };
    if kind != CLIENT_HELLO {
        return Hello::Other;
    }
    let mut reader = Reader(rest);
    let Some(length) = reader.number(3) else {
        return Hello::Incomplete;
    };
    match reader.take(length) {
        Some(body) => name(body).unwrap_or(Hello::Malformed),
        None => Hello::Incomplete,
    }
}

/// The handshake bytes of all records so far, without their headers.
///
/// # Errors
/// What is to be said when there is no use in going on.
fn handshake(said: &[u8]) -> Result<Vec<u8>, Hello> {
    let mut message = Vec::with_capacity(said.len());
    let mut reader = Reader(said);
    while let Some(&kind) = reader.0.first() {
        let is_first = message.is_empty();
        if kind != HANDSHAKE {
            return Err(if is_first {
                Hello::Other
            } else {
                Hello::Malformed
            });
        }
        let Some(header) = reader.take(5) else {
            // The major version of every TLS and of SSL 3.
            let may_be = reader.0.get(1).is_none_or(|major| *major == 3);
            return Err(if may_be || !is_first {
                Hello::Incomplete
            } else {
                Hello::Other
            });
        };
        let length = Reader(header.get(3..).unwrap_or_default())
            .number(2)
            .unwrap_or_default();
        if header.get(1) != Some(&3) || length == 0 || length > RECORD_BYTES_MAX {
            return Err(if is_first {
                Hello::Other
            } else {
                Hello::Malformed
            });
        }
        let present = length.min(reader.0.len());
        message.extend_from_slice(reader.take(present).unwrap_or_default());
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(Hello::Other);
        }
        if is_whole(&message) {
            break;
        }
    }
    Ok(message)
}

/// Whether all of the first message is there: what follows it in the stream need not be of its kind.
fn is_whole(message: &[u8]) -> bool {
    let mut reader = Reader(message.get(1..).unwrap_or_default());
    reader
        .number(3)
        .is_some_and(|length| reader.0.len() >= length)
}

/// What the body of a ClientHello names; `None` where it ends too early.
fn name(body: &[u8]) -> Option<Hello> {
    let mut reader = Reader(body);
    // legacy_version, random
    reader.take(2 + 32)?;
    // legacy_session_id, cipher_suites, legacy_compression_methods
    for bytes_of_length in [1, 2, 1] {
        reader.vector(bytes_of_length)?;
    }
    if reader.0.is_empty() {
        return Some(Hello::Nameless);
    }
    let mut extensions = Reader(reader.vector(2)?);
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let data = extensions.vector(2)?;
        if kind == usize::from(SERVER_NAME) {
            return host_name(data);
        }
    }
    Some(Hello::Nameless)
}

/// The name in the extension. There is exactly one of its type; others are not defined.
fn host_name(data: &[u8]) -> Option<Hello> {
    let mut names = Reader(Reader(data).vector(2)?);
    let kind = names.number(1)?;
    let name = names.vector(2)?;
    if kind != usize::from(HOST_NAME) || !names.0.is_empty() {
        return None;
    }
    let host = normal_host(std::str::from_utf8(name).ok()?).ok()?;
    Some(Hello::Named(host))
}

/// Bytes not yet read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next `count` bytes; none are used up when there are fewer.
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of `bytes` bytes, most significant first; at most 4.
    fn number(&mut self, bytes: usize) -> Option<usize> {
        let digits = self.take(bytes)?;
        Some(
            digits
                .iter()
                .fold(0, |number, byte| (number << 8) | usize::from(*byte)),
        )
    }

    /// A vector behind its length of `bytes` bytes.
    fn vector(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let length = self.number(bytes)?;
        self.take(length)
    }
}
