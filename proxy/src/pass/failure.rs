//! One table from Pingora's errors to what the client is told and the log says.

use crate::upstream::not_connected;
use pingora::{Error, ErrorSource, ErrorType};
use std::io;
use std::net::SocketAddr;
use weir_policies::outcome::Outcome;

/// What a failed request is answered with.
pub(super) struct Failure {
    /// 0: nobody is left to answer.
    pub(super) status: u16,
    /// The cause in a sentence, for the client.
    pub(super) what: String,
    pub(super) outcome: Outcome,
    /// The cause in a word, for the log.
    pub(super) detail: &'static str,
}

/// Whom a request was for: what a client has to know to mend it.
#[derive(Debug)]
pub(super) struct Asked {
    /// Host and port.
    pub(super) origin: String,
    /// Where it was connected to last.
    pub(super) address: Option<SocketAddr>,
}

impl Failure {
    /// The one table from Pingora's errors to ours.
    pub(super) fn of(error: &Error, refusal: Option<String>, asked: &Asked) -> Self {
        let (status, what, outcome) = match (error.esource(), error.etype()) {
            (_, ErrorType::HTTPStatus(status)) => {
                let outcome = if *status < 500 {
                    Outcome::Refused
                } else {
                    Outcome::Failed
                };
                (*status, String::new(), outcome)
            }
            (ErrorSource::Downstream, kind) => {
                let (status, what, outcome) = downstream_failure(error, kind);
                (status, what.to_owned(), outcome)
            }
            (ErrorSource::Upstream, _) => {
                let (status, what) = upstream_failure(error, asked);
                (status, what, Outcome::Failed)
            }
            (ErrorSource::Internal | ErrorSource::Unset, _) => (
                500,
                "the gateway could not hand the request through".to_owned(),
                Outcome::Failed,
            ),
        };
        Self {
            status,
            what: refusal.unwrap_or(what),
            outcome,
            detail: error.etype().as_str(),
        }
    }
}

/// The client's side broke: a body that is malformed or too slow is answered, a client that left is not.
fn downstream_failure(error: &Error, kind: &ErrorType) -> (u16, &'static str, Outcome) {
    // What `front::lend` found wrong with a body comes as an error of the stream.
    let cause = error.root_cause().downcast_ref::<io::Error>();
    let slow = (408, "the request body arrives too slowly", Outcome::Refused);
    match (kind, cause.map(io::Error::kind)) {
        (ErrorType::ReadTimedout, _) | (_, Some(io::ErrorKind::TimedOut)) => slow,
        (_, Some(io::ErrorKind::InvalidData)) => MALFORMED_BODY,
        (
            ErrorType::ReadError
            | ErrorType::WriteError
            | ErrorType::WriteTimedout
            | ErrorType::ConnectionClosed,
            _,
        ) => (0, "", Outcome::Aborted),
        _ => MALFORMED_BODY,
    }
}

/// The answer to a body whose framing breaks.
const MALFORMED_BODY: (u16, &str, Outcome) =
    (400, "the request body is malformed", Outcome::Refused);

/// In the words that a fetch into the store has for the same failure.
fn upstream_failure(error: &Error, asked: &Asked) -> (u16, String) {
    let origin = &asked.origin;
    match (error.etype(), asked.address) {
        (
            ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::TLSHandshakeFailure
            | ErrorType::HandshakeError
            | ErrorType::InvalidCert,
            Some(address),
        ) => {
            let error = not_connected(origin.clone(), address, error);
            (error.status().as_u16(), error.to_string())
        }
        (ErrorType::ReadTimedout | ErrorType::WriteTimedout, _) => {
            (504, format!("{origin} did not go on in time"))
        }
        (ErrorType::InvalidHTTPHeader, _) => {
            (502, format!("the response of {origin} is malformed"))
        }
        _ => (502, format!("{origin} broke off before it had answered")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked {
            origin: "h:8081".to_owned(),
            address: Some(SocketAddr::from(([192, 0, 2, 1], 8081))),
        }
    }

    fn check(error: Box<Error>, status: u16, outcome: Outcome) {
        let failure = Failure::of(&error, None, &asked());
        assert_eq!(
            (failure.status, failure.outcome),
            (status, outcome),
            "{error}"
        );
        assert_eq!(
            failure.what.is_empty(),
            status == 0,
            "a page names its cause: {error}"
        );
    }

    #[test]
    fn the_client_learns_whose_fault_it_is() {
        use ErrorType::*;
        let up = |kind| Error::new_up(kind);
        let down = |kind| Error::new_down(kind);
        check(up(ConnectTimedout), 504, Outcome::Failed);
        check(up(ReadTimedout), 504, Outcome::Failed);
        check(up(ConnectRefused), 502, Outcome::Failed);
        check(up(InvalidCert), 502, Outcome::Failed);
        check(up(InvalidHTTPHeader), 502, Outcome::Failed);
        check(up(ConnectionClosed), 502, Outcome::Failed);
        check(down(ReadTimedout), 408, Outcome::Refused);
        check(down(ReadError), 0, Outcome::Aborted);
        let broken = |kind: io::ErrorKind| {
            Error::because(ReadError, "when reading body", io::Error::from(kind)).into_down()
        };
        check(broken(io::ErrorKind::InvalidData), 400, Outcome::Refused);
        check(broken(io::ErrorKind::TimedOut), 408, Outcome::Refused);
        check(broken(io::ErrorKind::ConnectionReset), 0, Outcome::Aborted);
        check(down(InvalidHTTPHeader), 400, Outcome::Refused);
        check(down(ConnectionClosed), 0, Outcome::Aborted);
        check(down(WriteError), 0, Outcome::Aborted);
        check(Error::new_in(InternalError), 500, Outcome::Failed);
    }

    #[test]
    fn what_failed_upstream_names_its_host() {
        use ErrorType::*;
        let check = |kind, what: &str| {
            let error = Error::new_up(kind);
            assert_eq!(Failure::of(&error, None, &asked()).what, what, "{error}");
        };
        check(
            ConnectRefused,
            "cannot connect to h:8081: 192.0.2.1:8081 refused the connection",
        );
        check(ConnectTimedout, "connecting to h:8081 timed out");
        check(ReadTimedout, "h:8081 did not go on in time");
        check(InvalidHTTPHeader, "the response of h:8081 is malformed");
        check(ConnectionClosed, "h:8081 broke off before it had answered");
    }

    #[test]
    fn a_refused_peer_says_why_in_its_own_words() {
        let error = Error::new(ErrorType::HTTPStatus(403));
        let failure = Failure::of(&error, Some("the address is private".into()), &asked());
        assert_eq!((failure.status, failure.outcome), (403, Outcome::Refused));
        assert_eq!(failure.what, "the address is private");
    }
}
