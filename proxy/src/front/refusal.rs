//! What is wrong with a head that cannot be read as a request.
//!
//! Lives apart from the parser because three rooms of the front speak it: the scanner that watches a head arrive, the
//! parser that reads it, and the conversation that answers. It carries no input of the client, so it can be logged
//! and sent as it is.

/// Why a request is answered by the front itself. The connection is closed afterwards: what follows a head that was
/// not understood cannot be told apart from the head (RFC 9112 §11.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Status of the answer.
    pub(crate) status: u16,
    /// One sentence for the client, the log and tests.
    pub(crate) reason: &'static str,
}

impl Refusal {
    /// 400: not one request that all readers would read the same way.
    pub(crate) const fn malformed(reason: &'static str) -> Self {
        Self {
            status: 400,
            reason,
        }
    }

    /// Any other status.
    pub(crate) const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason }
    }
}
