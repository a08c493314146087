//! What h2's errors mean for a request: whether another connection may do better, and whose fault it is.
//!
//! Only GET and HEAD come this way, so sending one again is always allowed (RFC 9110 §9.2.2); a request is sent again
//! where the upstream cannot have answered it, or says that it has not (RFC 9113 §8.7).

use crate::upstream::ask::{Unanswered, unanswered};
use crate::upstream::head::HeadError;
use crate::upstream::interim::InterimRelay;
use h2::{Error, Reason};
use std::io::ErrorKind;

/// Why there is no head.
pub(super) fn head(error: &Error, relay: &InterimRelay, origin: &str) -> Unanswered {
    let failure = match (kind(error), relay.is_silent()) {
        (Kind::WantsHttp1, true) => return Unanswered::WantsHttp1,
        (Kind::Unprocessed | Kind::Closed(_), true) => HeadError::Silent,
        (Kind::Broken(reason), _) => HeadError::Protocol(bad_head(reason)),
        (Kind::Tls(why), _) => HeadError::Tls(why),
        (Kind::Reset | Kind::WantsHttp1 | Kind::Unprocessed | Kind::Closed(_), _) => {
            HeadError::Closed
        }
    };
    unanswered(failure, origin)
}

/// Why a body ended early.
pub(super) fn body(error: &Error) -> &'static str {
    match kind(error) {
        Kind::Broken(reason) => bad_body(reason),
        Kind::Closed(why) => why,
        Kind::Tls(_) => "TLS record damaged",
        Kind::Reset | Kind::WantsHttp1 | Kind::Unprocessed => "stream reset",
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// The upstream says that it did not look at the request, or is about to go.
    Unprocessed,
    /// HTTP_1_1_REQUIRED.
    WantsHttp1,
    /// The upstream gave this one request up.
    Reset,
    /// The connection went away.
    Closed(&'static str),
    /// TLS broke, in rustls' words.
    Tls(String),
    /// What came is not HTTP/2 as it must be; h2 has answered with this code.
    Broken(Reason),
}

fn kind(error: &Error) -> Kind {
    if let Some(error) = error.get_io() {
        return match error.kind() {
            ErrorKind::InvalidData => Kind::Tls(error.to_string()),
            ErrorKind::UnexpectedEof => Kind::Closed("TLS closed without close_notify"),
            ErrorKind::ConnectionReset => Kind::Closed("connection reset"),
            _ => Kind::Closed("connection closed before the end of the stream"),
        };
    }
    match error.reason() {
        Some(reason) if error.is_library() => Kind::Broken(reason),
        Some(Reason::HTTP_1_1_REQUIRED) => Kind::WantsHttp1,
        Some(Reason::REFUSED_STREAM) => Kind::Unprocessed,
        Some(_) if error.is_go_away() => Kind::Unprocessed,
        Some(_) => Kind::Reset,
        None => Kind::Closed("connection closed before the end of the stream"),
    }
}

/// What h2 found wrong with a head, by the code with which it answers.
fn bad_head(reason: Reason) -> &'static str {
    match reason {
        // Too large within reason is a matter of the stream; far too large, or endless, of the connection.
        Reason::PROTOCOL_ERROR => "response head malformed or too large",
        Reason::COMPRESSION_ERROR => "header block malformed or too large",
        other => bad_frame(other),
    }
}

/// What h2 found wrong with a body.
fn bad_body(reason: Reason) -> &'static str {
    match reason {
        Reason::PROTOCOL_ERROR => "another length than Content-Length says, or a malformed frame",
        other => bad_frame(other),
    }
}

fn bad_frame(reason: Reason) -> &'static str {
    match reason {
        Reason::FLOW_CONTROL_ERROR => "more bytes than the HTTP/2 window allows",
        Reason::FRAME_SIZE_ERROR => "HTTP/2 frame of a wrong size",
        Reason::ENHANCE_YOUR_CALM => "flood of HTTP/2 frames",
        Reason::STREAM_CLOSED => "HTTP/2 frames behind the end of the stream",
        _ => "malformed HTTP/2 frames",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_looked_at_may_be_sent_again_and_what_was_may_not() {
        let relay = InterimRelay::default();
        let check = |error: Error, expected: &str| {
            let outcome = match head(&error, &relay, "origin") {
                Unanswered::Silent => "again",
                Unanswered::WantsHttp1 => "http/1.1",
                Unanswered::Failed(error) => error.as_str(),
            };
            assert_eq!(outcome, expected, "{error}");
        };
        check(Reason::REFUSED_STREAM.into(), "again");
        check(Reason::HTTP_1_1_REQUIRED.into(), "http/1.1");
        check(Reason::INTERNAL_ERROR.into(), "no-answer");
        check(Reason::CANCEL.into(), "no-answer");
    }
}
