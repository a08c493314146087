//! Reads the body of one stream.
//!
//! Invariants: `None` is only returned after END_STREAM, and after exactly as many bytes as Content-Length has promised;
//! a reset, a lost connection and a length that does not hold are errors, for good; the upstream may send on only as far
//! as bytes were taken here; a body dropped half-way resets its stream and leaves the others alone.

use super::failure;
use super::session::Lease;
use crate::upstream::body::Context;
use async_trait::async_trait;
use bytes::Bytes;
use h2::RecvStream;
use std::future::poll_fn;
use weir_cache::ports::{Framing, OriginBody, OriginError};

/// The body of one response.
pub(in crate::upstream) struct StreamBody {
    progress: Progress,
    context: Context,
}

enum Progress {
    Open {
        /// Dropped before the lease, so that a leased stream is one that may receive.
        stream: RecvStream,
        /// Still promised by Content-Length.
        remaining: Option<u64>,
        lease: Lease,
    },
    Done,
    Failed(OriginError),
}

impl StreamBody {
    /// The body that comes by `stream`.
    pub(in crate::upstream) fn new(
        stream: RecvStream,
        lease: Lease,
        framing: Framing,
        context: Context,
    ) -> Self {
        let progress = match framing {
            Framing::None => Progress::Done,
            Framing::Length(length) => Progress::Open {
                stream,
                remaining: Some(length),
                lease,
            },
            Framing::Chunked | Framing::UntilClose => Progress::Open {
                stream,
                remaining: None,
                lease,
            },
        };
        Self { progress, context }
    }

    /// The next piece, without a deadline.
    async fn advance(&mut self) -> Result<Option<Bytes>, OriginError> {
        let Progress::Open {
            stream, remaining, ..
        } = &mut self.progress
        else {
            return Ok(None);
        };
        let truncated = |why| OriginError::Truncated(self.context.origin.clone(), why);
        loop {
            let Some(piece) = poll_fn(|context| stream.poll_data(context)).await else {
                return match remaining {
                    Some(1..) => Err(truncated("ended before the end of Content-Length")),
                    Some(0) | None => Ok(None),
                };
            };
            let piece = piece.map_err(|error| truncated(failure::body(&error)))?;
            // Fails only where there is nothing to give back.
            drop(stream.flow_control().release_capacity(piece.len()));
            if let Some(remaining) = remaining {
                *remaining = remaining
                    .checked_sub(piece.len() as u64)
                    .ok_or_else(|| truncated("longer than Content-Length"))?;
            }
            // A frame may be empty, a piece may not.
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    fn fail(&mut self, error: OriginError) -> OriginError {
        self.context.stats.broke(&error);
        self.progress = Progress::Failed(error.clone());
        error
    }
}

#[async_trait]
impl OriginBody for StreamBody {
    async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        if let Progress::Failed(error) = &self.progress {
            return Err(error.clone());
        }
        let deadline = self.context.stall_timeout;
        match tokio::time::timeout(deadline, self.advance()).await {
            Ok(Ok(Some(piece))) => Ok(Some(piece)),
            Ok(Ok(None)) => {
                self.progress = Progress::Done;
                Ok(None)
            }
            Ok(Err(error)) => Err(self.fail(error)),
            Err(_elapsed) => {
                if let Progress::Open { lease, .. } = &self.progress {
                    // It may be the connection that stands still: the next request takes another one.
                    lease.retire();
                }
                Err(self.fail(OriginError::Stalled(self.context.origin.clone())))
            }
        }
    }
}
