//! One table from Pingora's errors to what the client is told and the log says.

use pingora::{Error, ErrorSource, ErrorType};
use std::io;
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

impl Failure {
    /// The one table from Pingora's errors to ours.
    pub(super) fn of(error: &Error, refusal: Option<String>) -> Self {
        let (status, what, outcome) = match (error.esource(), error.etype()) {
            (_, ErrorType::HTTPStatus(status)) => {
                let outcome = if *status < 500 {
                    Outcome::Refused
                } else {
                    Outcome::Failed
                };
                (*status, "", outcome)
            }
            (ErrorSource::Downstream, kind) => downstream_failure(error, kind),
            (ErrorSource::Upstream, error) => upstream_failure(error),
            (ErrorSource::Internal | ErrorSource::Unset, _) => (
                500,
                "the gateway could not hand the request through",
                Outcome::Failed,
            ),
        };
        Self {
            status,
            what: refusal.unwrap_or_else(|| what.to_owned()),
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

fn upstream_failure(error: &ErrorType) -> (u16, &'static str, Outcome) {
    let (status, what) = match error {
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => {
            (504, "no connection to the upstream in time")
        }
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
            (504, "the upstream did not go on in time")
        }
        ErrorType::ConnectRefused | ErrorType::ConnectNoRoute | ErrorType::ConnectError => {
            (502, "no connection to the upstream")
        }
        ErrorType::TLSHandshakeFailure | ErrorType::HandshakeError | ErrorType::InvalidCert => (
            502,
            "no secure connection to the upstream: its certificate or TLS is not accepted",
        ),
        ErrorType::InvalidHTTPHeader => (502, "the upstream's response is malformed"),
        _ => (502, "the upstream broke off before it had answered"),
    };
    (status, what, Outcome::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: Box<Error>, status: u16, outcome: Outcome) {
        let failure = Failure::of(&error, None);
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
    fn a_refused_peer_says_why_in_its_own_words() {
        let error = Error::new(ErrorType::HTTPStatus(403));
        let failure = Failure::of(&error, Some("the address is private".into()));
        assert_eq!((failure.status, failure.outcome), (403, Outcome::Refused));
        assert_eq!(failure.what, "the address is private");
    }
}
