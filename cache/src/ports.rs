//! The ports: what the cache needs from the world, named by the caller. Every port has its doubles (manual clock,
//! scripted origin, memory device with crash points) and a contract test that all its adapters run.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use weir_policies::target::Target;

/// Time. Wall time for HTTP dates, monotonic time for everything that measures.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall clock.
    fn wall(&self) -> SystemTime;
    /// Monotonic time since an arbitrary start.
    fn elapsed(&self) -> Duration;
}

/// The file operations of one disk. Paths are relative to the disk's folder, `/`-separated.
///
/// Synchronous: only ever called on that disk's own pool threads (or at start-up), never on a proxy worker.
pub trait Device: Send + Sync + fmt::Debug {
    /// A name for logs: the folder as configured.
    fn name(&self) -> &str;
    /// Creates a file for reading and writing; fails when it exists.
    fn create(&self, path: &str) -> io::Result<Arc<dyn DeviceFile>>;
    /// Opens a file for reading (`write`: and writing).
    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn DeviceFile>>;
    /// Opens a file for reading what is really on the platter, past the page cache, as a scrub has to. Any offset and
    /// length will do. Such a file is only read: it has no descriptor for sendfile, and nothing of it is resident.
    ///
    /// Where the file system has no way past its cache, pages are dropped before and after each read, which is as near
    /// as one gets: pages that are dirty or mapped stay. An adapter without it says `Unsupported`, never reads the
    /// cache instead.
    fn open_unbuffered(&self, _path: &str) -> io::Result<Arc<dyn DeviceFile>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Renames; replaces the target.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn unlink(&self, path: &str) -> io::Result<()>;
    /// Creates a folder in one that is there (the empty path: with all above it); an existing one is fine.
    fn mkdir(&self, path: &str) -> io::Result<()>;
    /// Names in a folder, without `.` and `..`.
    fn read_dir(&self, path: &str) -> io::Result<Vec<String>>;
    /// fsync of a folder.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// syncfs of the whole file system.
    fn sync_all(&self) -> io::Result<()>;
    /// Space.
    fn space(&self) -> io::Result<Space>;
    /// Takes the exclusive owner lock on `path` (created if absent) for the life of the device; `Ok(false)` when
    /// another process holds it.
    fn lock(&self, path: &str) -> io::Result<bool>;
    /// Gives the owner lock back, so that another process (or a later store of this one) may open the folder.
    fn unlock(&self);
    /// Identifies this boot (`/proc/sys/kernel/random/boot_id`).
    fn boot_id(&self) -> io::Result<String>;
    /// A number of the file system that the folder is on (`st_dev`), good for this boot: two disks with the same one
    /// die together, and a folder whose number changes has lost its mount. `Unsupported` where this cannot be told.
    fn file_system(&self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// One open file of a [`Device`].
pub trait DeviceFile: Send + Sync + fmt::Debug {
    /// Reads exactly `buffer.len()` bytes at `offset`; `UnexpectedEof` when the file is shorter.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Reads exactly `buffer.len()` bytes at `offset` if that needs no waiting for the disk. `false`, and the buffer
    /// holds anything, when it does or when this cannot be told.
    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> bool;
    /// Writes all of `buffers`, one after the other, at `offset`.
    fn write_all_at(&self, buffers: &[io::IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Reserves space; file systems that cannot are `Ok`.
    fn allocate(&self, length: u64) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// fdatasync.
    fn sync_data(&self) -> io::Result<()>;
    /// Length, bytes.
    fn length(&self) -> io::Result<u64>;
    /// The raw descriptor for sendfile; `None` for doubles.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

/// Space of a file system, bytes and inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All bytes.
    pub total_bytes: u64,
    /// Bytes an ordinary user may still take (`f_bavail`).
    pub free_bytes: u64,
    /// All inodes (0: the file system has no such limit).
    pub total_inodes: u64,
    /// Free inodes.
    pub free_inodes: u64,
}

/// Where bytes come from: an upstream.
#[async_trait]
pub trait Origin: Send + Sync {
    /// Sends one request and returns when the final response head has arrived.
    ///
    /// Tries one target only; which target comes next is the engine's decision. Cancel-safe: dropping the future
    /// drops the connection.
    async fn fetch(&self, request: OriginRequest) -> Result<OriginResponse, OriginError>;
}

/// A request to an upstream. `Host`, `Via`, `Connection` and framing are the adapter's business.
#[derive(Debug, Clone)]
pub struct OriginRequest {
    /// GET or HEAD.
    pub method: Method,
    /// What, and where.
    pub target: Target,
    /// End-to-end fields.
    pub headers: HeaderMap,
    /// Who is told of interim responses (103 and the like; never 100 and 101), if anybody. Never waited for: what does
    /// not fit is dropped, so room for ten loses nothing.
    pub interim: Option<mpsc::Sender<Interim>>,
}

/// An interim response (RFC 9110 §15.2) on its way to whoever waits for the final one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interim {
    /// 1xx, neither 100 nor 101.
    pub status: StatusCode,
    /// End-to-end fields.
    pub headers: HeaderMap,
}

/// A response whose head is here and whose body is still to be read.
pub struct OriginResponse {
    /// Final status (never 1xx).
    pub status: StatusCode,
    /// Fields as received, without hop-by-hop ones. Content-Length is only present when it holds.
    pub headers: HeaderMap,
    /// How the body ends.
    pub framing: Framing,
    /// Which address answered.
    pub address: SocketAddr,
    /// The body; ends at once where there is none.
    pub body: Box<dyn OriginBody>,
}

impl fmt::Debug for OriginResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginResponse")
            .field("status", &self.status)
            .field("framing", &self.framing)
            .finish_non_exhaustive()
    }
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body (HEAD, 204, 304).
    None,
    /// Content-Length.
    Length(u64),
    /// Chunked: its end is explicit.
    Chunked,
    /// Until the connection closes: a clean FIN on plaintext proves nothing, so such a body is never stored.
    UntilClose,
}

/// A body being read. Any error means that the bytes so far are a truncated body.
#[async_trait]
pub trait OriginBody: Send {
    /// The next piece (at most 256 KiB, never empty); `None` at the end that [`Framing`] promised.
    ///
    /// Cancel-safe: yes, a dropped call loses no byte.
    async fn next(&mut self) -> Result<Option<Bytes>, OriginError>;
}

/// What went wrong upstream; the words are shared by log, metric (`reason`) and error page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// The name does not exist or has no address: 502.
    #[error("no address for {0}")]
    NoAddress(String),
    /// The name server failed or was too slow: 504.
    #[error("name server did not answer for {0}")]
    Resolver(String),
    /// Every address of the name is refused by policy: 403.
    #[error("{host} is at {address}, refused: {refusal}")]
    Refused {
        /// The name.
        host: String,
        /// Its first refused address.
        address: SocketAddr,
        /// Why.
        refusal: weir_policies::address::AddressRefusal,
    },
    /// No address accepted a connection: 502.
    #[error("cannot connect to {0}: {1}")]
    Connect(String, String),
    /// No address answered in time: 504.
    #[error("connecting to {0} timed out")]
    ConnectTimeout(String),
    /// TLS handshake or certificate: 502, never downgraded.
    #[error("TLS with {0} failed: {1}")]
    Tls(String, String),
    /// Closed or reset before a head: 502.
    #[error("{0} closed the connection without an answer")]
    NoAnswer(String),
    /// No head in time: 504.
    #[error("{0} did not answer in time")]
    HeadTimeout(String),
    /// The head is not HTTP as it must be: 502.
    #[error("{0} broke the protocol: {1}")]
    Protocol(String, &'static str),
    /// The body stalled: 504 before the head went out, an abort afterwards.
    #[error("{0} stalled")]
    Stalled(String),
    /// The body ended early or was malformed.
    #[error("{0} cut the body short: {1}")]
    Truncated(String, &'static str),
    /// A redirect that is not followed: 502.
    #[error("a redirect of {0} is not followed: {1}")]
    Redirect(String, &'static str),
    /// The origin is left alone after failures or because it asked for it: 503.
    #[error(
        "{0} failed several times in a row or asked to wait, and is left alone for {secs} s more",
        secs = whole_seconds(*.1)
    )]
    Suspended(String, Duration),
    /// The whole body is here and is not what was expected: 502.
    #[error("{0} delivered bytes with another digest than the rule expects")]
    Digest(String),
    /// The body is larger than its rule allows: 403.
    #[error("{0}: the object is larger than the limit of {1} bytes")]
    TooLarge(String, u64),
    /// The scheme has no adapter yet: 501.
    #[error("scheme {0} is not served yet")]
    Scheme(&'static str),
}

impl OriginError {
    /// The `reason` label.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoAddress(_) => "no-address",
            Self::Resolver(_) => "resolver",
            Self::Refused { .. } => "refused",
            Self::Connect(..) => "connect",
            Self::ConnectTimeout(_) => "connect-timeout",
            Self::Tls(..) => "tls",
            Self::NoAnswer(_) => "no-answer",
            Self::HeadTimeout(_) => "head-timeout",
            Self::Protocol(..) => "protocol",
            Self::Stalled(_) => "stalled",
            Self::Truncated(..) => "truncated",
            Self::Redirect(..) => "redirect",
            Self::Suspended(..) => "suspended",
            Self::Digest(_) => "digest",
            Self::TooLarge(..) => "too-large",
            Self::Scheme(_) => "scheme",
        }
    }

    /// The status of the error page when no head was sent yet.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused { .. } | Self::TooLarge(..) => StatusCode::FORBIDDEN,
            Self::Suspended(..) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Resolver(_)
            | Self::ConnectTimeout(_)
            | Self::HeadTimeout(_)
            | Self::Stalled(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Scheme(_) => StatusCode::NOT_IMPLEMENTED,
            Self::NoAddress(_)
            | Self::Connect(..)
            | Self::Tls(..)
            | Self::NoAnswer(_)
            | Self::Protocol(..)
            | Self::Redirect(..)
            | Self::Digest(_)
            | Self::Truncated(..) => StatusCode::BAD_GATEWAY,
        }
    }

    /// Seconds after which it is worth asking again, where that is known: the same number as in the text.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Suspended(_, wait) => Some(whole_seconds(*wait)),
            _ => None,
        }
    }

    /// Whether it speaks against the origin as a whole, not against one URL or our own policy.
    #[must_use]
    pub fn is_about_the_origin(&self) -> bool {
        matches!(
            self,
            Self::NoAddress(_)
                | Self::Resolver(_)
                | Self::Connect(..)
                | Self::ConnectTimeout(_)
                | Self::Tls(..)
                | Self::NoAnswer(_)
                | Self::HeadTimeout(_)
                | Self::Stalled(_)
        )
    }

    /// Whether trying again in a moment may help, and costs little.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Connect(..) | Self::Resolver(_))
    }
}

/// Rounded up, and at least one: whoever comes back after so many seconds is not too early.
fn whole_seconds(wait: Duration) -> u64 {
    let begun = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(begun).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_and_the_field_name_the_same_wait() {
        let check = |wait_ms: u64, seconds: u64| {
            let error = OriginError::Suspended("h".to_owned(), Duration::from_millis(wait_ms));
            assert_eq!(error.retry_after_seconds(), Some(seconds), "{wait_ms} ms");
            let text = error.to_string();
            assert!(text.ends_with(&format!(" for {seconds} s more")), "{text}");
        };
        check(0, 1);
        check(1, 1);
        check(1000, 1);
        check(2001, 3);
        check(29_999, 30);
    }
}
