//! From a name to addresses that policy allows.
//!
//! [`Resolver`] is the port (names a question to a name server, nothing more); [`system`] is its adapter,
//! [`book`] keeps answers and bounds the asking, [`vetted`] judges. Tests use the doubles in [`doubles`].
//!
//! Invariant: what leaves this room is judged, and the very addresses that were judged are connected to; nothing
//! resolves a name a second time (row 50: DNS rebinding).

pub(super) mod book;
#[cfg(test)]
pub(super) mod doubles;
pub(super) mod system;
#[cfg(test)]
mod tests;
pub(super) mod vetted;

use async_trait::async_trait;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Asks for the addresses of a name.
///
/// Callers bound time and concurrency. Cancel-safe: dropping the future drops the question.
#[async_trait]
pub(crate) trait Resolver: Send + Sync + fmt::Debug {
    /// The addresses of `name`, a normalized host name and never an IP literal.
    async fn resolve(&self, name: &str) -> Result<Answer, ResolveError>;
}

/// What a name server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// In the name server's order; may be empty, which means the same as [`ResolveError::NoAddress`].
    pub(crate) addresses: Vec<IpAddr>,
    /// For how long.
    pub(crate) ttl: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResolveError {
    /// The name does not exist or has no address (NXDOMAIN, NODATA).
    NoAddress,
    /// The name server failed, refused or was too slow (SERVFAIL, timeout).
    Failed,
}
