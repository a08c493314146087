//! The table of failures.

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
