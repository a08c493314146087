//! Which failures of upstreams an operator is told of: those that were final, and that speak against an upstream.
//!
//! Final: after the last retry, the last source, and the last attempt to continue a body. Not told of: what one URL or
//! one client has brought about (404, refusals by policy, names that a client has mistyped), and errors that only a
//! request with credentials met: what its origin thinks of one client is nothing to the operator.

use super::{Engine, Failure, FetchRequest};
use crate::events::{ChosenBy, Event, without_query};
use crate::ports::OriginError;
use http::StatusCode;
use weir_policies::target::Form;

impl Engine {
    /// Tells of a failure, if it is one to tell of.
    pub(super) fn tell_failure(&self, request: &FetchRequest, failure: &Failure) {
        match failure {
            Failure::Origin(error) => self.tell_error(request, error),
            Failure::Status(answer) => self.tell_status(request, answer.status),
        }
    }

    /// As [`Self::tell_failure`], of a fetch without a usable answer.
    pub(super) fn tell_error(&self, request: &FetchRequest, error: &OriginError) {
        let concerns_all = request.plan.shared || error.is_about_the_origin();
        if concerns_all && speaks_against_upstream(error, request.resource.form) {
            self.tell(request, error.to_string());
        }
    }

    /// As [`Self::tell_failure`], of an answer with this status.
    pub(super) fn tell_status(&self, request: &FetchRequest, status: StatusCode) {
        if status.is_server_error() && request.plan.shared {
            self.tell(request, format!("answered {status}"));
        }
    }

    fn tell(&self, request: &FetchRequest, error: String) {
        let target = &request.resource.target;
        self.events.emit(Event::UpstreamFailed {
            authority: target.authority(),
            url: without_query(&target.to_string()).to_owned(),
            error,
            chosen_by: match request.resource.form {
                Form::Mirror => ChosenBy::Operator,
                Form::Forward | Form::Download | Form::Path => ChosenBy::Client,
            },
        });
    }
}

fn speaks_against_upstream(error: &OriginError, form: Form) -> bool {
    match error {
        OriginError::Refused { .. }
        | OriginError::TooLarge(..)
        | OriginError::Scheme(_)
        | OriginError::Redirect(..) => false,
        // The operator wrote the names behind a mirror, a client all others.
        OriginError::NoAddress(_) => form == Form::Mirror,
        OriginError::Resolver(_)
        | OriginError::Connect(..)
        | OriginError::ConnectTimeout(_)
        | OriginError::Tls(..)
        | OriginError::NoAnswer(_)
        | OriginError::HeadTimeout(_)
        | OriginError::Protocol(..)
        | OriginError::Stalled(_)
        | OriginError::Truncated(..)
        | OriginError::Suspended(..)
        | OriginError::Digest(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_what_speaks_against_an_upstream_is_told() {
        let host = || "h:80".to_owned();
        let check = |error: OriginError, expected: bool| {
            assert_eq!(
                speaks_against_upstream(&error, Form::Forward),
                expected,
                "{error}"
            );
        };
        check(OriginError::Connect(host(), "refused".to_owned()), true);
        check(OriginError::Truncated(host(), "early"), true);
        check(OriginError::Suspended(host(), Duration::ZERO), true);
        check(OriginError::Digest(host()), true);
        check(OriginError::TooLarge(host(), 1), false);
        check(OriginError::Scheme("ftp"), false);
        check(OriginError::Redirect(host(), "a circle"), false);
        check(OriginError::NoAddress(host()), false);
        assert!(speaks_against_upstream(
            &OriginError::NoAddress(host()),
            Form::Mirror
        ));
    }
}
