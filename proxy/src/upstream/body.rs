//! Reads a response body.
//!
//! Large reads into a reused buffer: with 256 KiB a read the reader costs a quarter of what 64 KiB costs. A small
//! body gets a small buffer.
//!
//! Invariants: `None` is only ever returned at the end that the framing promised; an early end, a reset, a TLS end
//! without close_notify and a malformed chunk are errors, for good; the connection goes back to the pool with the
//! last byte and only when nothing follows it; a body dropped half-way closes its connection.
//!
//! Deliberately absent: decoding of content, minimum rates, resume.

mod chunked;
#[cfg(test)]
mod tests;

use super::head::{Head, Persistence};
use super::stats::UpstreamStats;
use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use chunked::{Chunk, ChunkDecoder};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use weir_cache::ports::{Framing, OriginBody, OriginError};

/// The most that one read takes and one piece holds: 256 KiB, as [`OriginBody::next`] promises.
const READ_BYTES_MAX: usize = 256 * 1024;
/// With less room than this a new block is taken rather than the rest of the old one filled: 32 KiB.
const READ_BYTES_LOW: usize = 32 * 1024;

/// A stream that can be kept for another request.
pub(super) trait Conduit: AsyncRead + Unpin + Send + 'static {
    /// Back to the pool. Dropping it closes it instead.
    fn keep(self);
}

/// What a body needs to know besides its bytes.
pub(super) struct Context {
    /// Host and port, for errors.
    pub(super) origin: String,
    /// Between two reads.
    pub(super) stall_timeout: Duration,
    /// Where a broken body is counted.
    pub(super) stats: Arc<UpstreamStats>,
}

/// The body of one response.
pub(super) struct HttpBody<C> {
    /// Gone once the body has ended, well or not.
    conduit: Option<C>,
    /// Read and not yet delivered.
    buffer: BytesMut,
    progress: Progress,
    persistence: Persistence,
    context: Context,
}

enum Progress {
    /// This many bytes are still to be delivered.
    Length(u64),
    Chunked(ChunkDecoder),
    UntilClose,
    Done,
    Failed(OriginError),
}

/// What the buffer yields without reading.
enum Step {
    Piece(Bytes),
    End,
    /// Nothing: read more.
    Read,
}

impl<C: Conduit> HttpBody<C> {
    /// The body behind `head`; `buffer` holds what was read beyond it.
    pub(super) fn new(conduit: C, buffer: BytesMut, head: &Head, context: Context) -> Self {
        let progress = match head.framing {
            Framing::None => Progress::Length(0),
            Framing::Length(length) => Progress::Length(length),
            Framing::Chunked => Progress::Chunked(ChunkDecoder::default()),
            Framing::UntilClose => Progress::UntilClose,
        };
        let persistence = head.persistence;
        let mut body = Self {
            conduit: Some(conduit),
            buffer,
            progress,
            persistence,
            context,
        };
        if matches!(body.progress, Progress::Length(0)) {
            // Nobody need ask for an empty body before its connection is free.
            body.finish();
        }
        body
    }

    async fn advance(&mut self) -> Result<Option<Bytes>, OriginError> {
        loop {
            match self.step()? {
                Step::Piece(piece) => return Ok(Some(piece)),
                Step::End => return Ok(None),
                Step::Read => self.read().await?,
            }
        }
    }

    fn step(&mut self) -> Result<Step, OriginError> {
        match &mut self.progress {
            Progress::Done => Ok(Step::End),
            Progress::Failed(error) => Err(error.clone()),
            _ if self.buffer.is_empty() => Ok(Step::Read),
            Progress::Length(remaining) => {
                let count = bounded(*remaining).min(self.buffer.len());
                *remaining = remaining.saturating_sub(count as u64);
                let is_last = *remaining == 0;
                let piece = self.buffer.split_to(count).freeze();
                if is_last {
                    self.finish();
                }
                Ok(Step::Piece(piece))
            }
            Progress::UntilClose => {
                let count = self.buffer.len().min(READ_BYTES_MAX);
                Ok(Step::Piece(self.buffer.split_to(count).freeze()))
            }
            Progress::Chunked(decoder) => match decoder.step(&mut self.buffer) {
                Ok(Chunk::Data(piece)) => Ok(Step::Piece(piece)),
                Ok(Chunk::Incomplete) => Ok(Step::Read),
                Ok(Chunk::End) => {
                    self.finish();
                    Ok(Step::End)
                }
                Err(why) => Err(self.truncated(why)),
            },
        }
    }

    /// Cancel-safe: bytes are in the buffer or still in the socket.
    async fn read(&mut self) -> Result<(), OriginError> {
        let room = self.make_room();
        let Some(conduit) = &mut self.conduit else {
            return Err(self.truncated("the connection is gone"));
        };
        let mut window = (&mut self.buffer).limit(room);
        let read = conduit.read_buf(&mut window);
        match tokio::time::timeout(self.context.stall_timeout, read).await {
            Err(_elapsed) => Err(OriginError::Stalled(self.context.origin.clone())),
            Ok(Ok(0)) => self.closed(),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.truncated(reason(&error))),
        }
    }

    /// Makes room for the next read and says how much of it to use.
    ///
    /// The rest of the current block is used up first, so that a body that drips in does not pin a block per piece.
    fn make_room(&mut self) -> usize {
        let wanted = match &self.progress {
            Progress::Length(remaining) => bounded(*remaining),
            _ => READ_BYTES_MAX,
        };
        if self.buffer.capacity() - self.buffer.len() < wanted.min(READ_BYTES_LOW) {
            self.buffer.reserve(wanted);
        }
        wanted
    }

    /// The upstream closed its side in good order.
    fn closed(&mut self) -> Result<(), OriginError> {
        match &self.progress {
            Progress::UntilClose => {
                self.finish();
                Ok(())
            }
            Progress::Chunked(_) => Err(self.truncated("closed before the last chunk")),
            _ => Err(self.truncated("closed before the end of Content-Length")),
        }
    }

    fn finish(&mut self) {
        self.progress = Progress::Done;
        let Some(conduit) = self.conduit.take() else {
            return;
        };
        // Bytes behind the end belong to no request: such a connection would answer the next one with them.
        if self.persistence == Persistence::Keep && self.buffer.is_empty() {
            conduit.keep();
        }
        self.buffer = BytesMut::new();
    }

    fn truncated(&self, why: &'static str) -> OriginError {
        OriginError::Truncated(self.context.origin.clone(), why)
    }
}

#[async_trait]
impl<C: Conduit> OriginBody for HttpBody<C> {
    async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        let outcome = self.advance().await;
        if let Err(error) = &outcome
            && self.conduit.take().is_some()
        {
            self.context.stats.broke(error);
            self.progress = Progress::Failed(error.clone());
            self.buffer = BytesMut::new();
        }
        outcome
    }
}

/// A length cut to what one read may take.
fn bounded(length: u64) -> usize {
    usize::try_from(length)
        .unwrap_or(READ_BYTES_MAX)
        .min(READ_BYTES_MAX)
}

fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        // How rustls reports an end of the stream without close_notify.
        io::ErrorKind::UnexpectedEof => "TLS closed without close_notify",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "connection reset",
        io::ErrorKind::InvalidData => "TLS record damaged",
        _ => "read failed",
    }
}
