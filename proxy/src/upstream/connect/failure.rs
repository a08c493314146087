//! Why no connection came about, in words for the error page and the log.
//!
//! Pingora hands TLS failures over as text only, so the certificate's reason is found in rustls' wording; a test with
//! real certificates notices when that wording changes.

use pingora::{Error, ErrorType};
use std::io;
use std::net::SocketAddr;
use weir_cache::ports::OriginError;

/// The longest foreign text that goes into an error, bytes.
const WORDS_BYTES_MAX: usize = 200;

/// One address that could not be connected to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DialFailure {
    /// No answer in time.
    TimedOut,
    /// TCP works, TLS does not.
    Tls(String),
    /// Refused, unreachable, out of descriptors.
    Failed(String),
}

impl DialFailure {
    pub(super) fn from_pingora(address: SocketAddr, error: &Error) -> Self {
        match &error.etype {
            ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => Self::TimedOut,
            ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert | ErrorType::HandshakeError => {
                // Its text is all in the context; the chain ends in our own address.
                Self::Tls(tls_reason(
                    error
                        .context
                        .as_ref()
                        .map_or("", |context| context.as_str()),
                ))
            }
            ErrorType::ConnectRefused => Self::Failed(format!("{address} refused the connection")),
            ErrorType::ConnectNoRoute => Self::Failed(format!("no route to {address}")),
            _ => Self::Failed(format!("{address}: {}", cause(&error.to_string()))),
        }
    }
}

impl DialFailure {
    pub(super) fn from_io(address: SocketAddr, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::ConnectionRefused => {
                Self::Failed(format!("{address} refused the connection"))
            }
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                Self::Failed(format!("no route to {address}"))
            }
            _ => Self::Failed(format!("{address}: {}", cause(&error.to_string()))),
        }
    }
}

/// What is said of an origin of whose addresses one was tried.
pub(crate) fn not_connected(origin: String, address: SocketAddr, error: &Error) -> OriginError {
    blame(origin, vec![DialFailure::from_pingora(address, error)])
}

/// One error for all addresses that failed: the one that says most. A TLS failure means that somebody is there.
pub(super) fn blame(origin: String, failures: Vec<DialFailure>) -> OriginError {
    let mut last_failed = None;
    for failure in failures {
        match failure {
            DialFailure::Tls(why) => return OriginError::Tls(origin, why),
            DialFailure::Failed(why) => last_failed = Some(why),
            DialFailure::TimedOut => {}
        }
    }
    match last_failed {
        Some(why) => OriginError::Connect(origin, why),
        None => OriginError::ConnectTimeout(origin),
    }
}

/// What rustls says about a certificate, and what that means.
const CERTIFICATE_REASONS: [(&str, &str); 7] = [
    ("certificate expired", "the certificate has expired"),
    (
        "certificate not valid yet",
        "the certificate is not valid yet",
    ),
    (
        "certificate not valid for name",
        "the certificate is for another name",
    ),
    (
        "UnknownIssuer",
        "the certificate is self-signed or from an unknown issuer (to trust it: [upstream] ca_file)",
    ),
    (
        "CaUsedAsEndEntity",
        "the certificate is self-signed or from an unknown issuer (to trust it: [upstream] ca_file)",
    ),
    (
        "BadSignature",
        "the certificate was not signed by the authority it names",
    ),
    ("certificate revoked", "the certificate is revoked"),
];

fn tls_reason(text: &str) -> String {
    CERTIFICATE_REASONS
        .iter()
        .find(|(wording, _)| text.contains(wording))
        .map_or_else(|| cause(text), |(_, meaning)| (*meaning).to_owned())
}

/// The innermost cause of an error that prints its chain.
fn cause(text: &str) -> String {
    let innermost = text.rsplit("cause: ").next().unwrap_or(text);
    let words = innermost.split(", SNI: ").next().unwrap_or(innermost);
    words
        .chars()
        .filter(|letter| !letter.is_control())
        .take(WORDS_BYTES_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_that_says_most_is_reported() {
        let o = || "o:1".to_owned();
        let failed = || DialFailure::Failed("refused".to_owned());
        let tls = || DialFailure::Tls("expired".to_owned());
        let check = |failures: Vec<DialFailure>, expected: OriginError| {
            assert_eq!(blame(o(), failures), expected);
        };
        check(
            vec![DialFailure::TimedOut, failed()],
            OriginError::Connect(o(), "refused".into()),
        );
        check(
            vec![failed(), tls(), failed()],
            OriginError::Tls(o(), "expired".into()),
        );
        check(
            vec![DialFailure::TimedOut],
            OriginError::ConnectTimeout(o()),
        );
    }

    #[test]
    fn foreign_words_are_cut_and_cleaned() {
        assert_eq!(cause("a context: b cause: c\r\nd, SNI: host"), "cd");
        assert_eq!(cause(&"x".repeat(5000)).len(), WORDS_BYTES_MAX);
    }
}
