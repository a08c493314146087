//! HTTP/2 towards upstreams (RFC 9113), where TLS has agreed on it.
//!
//! The frames are crate h2's; what is decided here is how much may be in flight, which connection a request takes, and
//! what an error means. Reading order: [`pool`] (which connection) → [`session`] (one connection and its task) →
//! [`exchange`] (request and head) → [`body`] → [`failure`] (what h2's errors mean).
//!
//! **Windows.** A stream may run [`STREAM_WINDOW_BYTES`] ahead of its reader, so that 1 Gbit/s over 50 ms (6 MB under
//! way) is not throttled. What nobody reads stays in its window, so a connection carries no more streams than its own
//! window has room for: a client that reads slowly never holds up the requests that share its connection. All windows
//! together are bounded by [`STREAMS_MAX`]; what is asked for beyond that goes over HTTP/1.1, where the kernel's buffers
//! are the bound.
//!
//! **Dead connections** are found by the kernel, which gives up on bytes that nobody acknowledges (see the keepalive of
//! [`super::connect`]), and by the request that waits in vain: no further one is sent where a head or a body has timed
//! out. No pings of our own.
//!
//! Invariants: a connection comes from the [`super::connect::Connector`], so its address was vetted and its certificate
//! verified; every stream holds a [`session::Lease`] for as long as bytes may arrive for it; nothing is pushed to us.
//!
//! Deliberately absent: h2c, request bodies, priorities, and requests of the pass path, which Pingora sends.

mod body;
mod exchange;
mod failure;
mod pool;
mod session;

pub(super) use body::StreamBody;
pub(super) use exchange::{Question, ask, question};
pub(super) use pool::{Place, Sessions};
pub(super) use session::Lease;

use h2::client::Builder;

/// What a stream may receive before its reader takes any of it: 8 MiB.
const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// Streams that share a connection; more open another one.
const STREAMS_PER_CONNECTION_MAX: usize = 8;
/// The window of a connection: all its streams' windows, 64 MiB.
const CONNECTION_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES * 8;
/// Streams in all: 32 windows are 256 MiB, should no reader take anything.
const STREAMS_MAX: usize = 32;
/// The largest frame, and so the largest piece of a body: 64 KiB.
const FRAME_BYTES_MAX: u32 = 64 * 1024;
/// What HTTP/2 counts for a field besides its name and value (RFC 9113 §6.5.2).
const FIELD_OVERHEAD_BYTES: usize = 32;

/// The promises that we make to an upstream about heads of at most `head_bytes_max` bytes.
fn settings(head_bytes_max: usize) -> Builder {
    // The same head passes here and over HTTP/1.1, which counts no overhead.
    let list_bytes = head_bytes_max + super::head::FIELDS_MAX * FIELD_OVERHEAD_BYTES;
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        // Until the upstream has said how many it takes: a second one could wait for a place that only the first frees.
        .initial_max_send_streams(1)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(u32::try_from(list_bytes).unwrap_or(u32::MAX));
    builder
}
