//! One direction of a tunnel.
//!
//! Invariants: nothing is read before all that was read is handed on, except while the first bytes are held, which
//! are bounded; a direction in which nothing moves holds no buffer; the end of one side is handed on after the last
//! byte, once.

use super::opening::{Look, Opening};
use bytes::{Buf, BytesMut};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// The most that is read at once, bytes.
const READ_BYTES: usize = 64 * 1024;

/// Reads from one side, writes to the other.
pub(super) struct Pump {
    /// Read and not yet written.
    buffer: BytesMut,
    /// Written, and perhaps still on this side of the socket.
    is_flushed: bool,
    phase: Phase,
    /// What looks at the first bytes; only where a client speaks.
    opening: Option<Opening>,
    carried: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There may be more.
    Open,
    /// The reading side has ended; the writing side does not know yet.
    Ending,
    /// The writing side knows.
    Ended,
}

/// Why a direction cannot go on.
#[derive(Debug)]
pub(super) enum Stuck {
    /// The side that is read broke off.
    Read(io::Error),
    /// The side that is written to broke off.
    Write(io::Error),
    /// The first bytes may not go on.
    Refused,
}

impl Pump {
    /// Looks at nothing.
    pub(super) fn new() -> Self {
        Self::starting_with(BytesMut::new(), None)
    }

    /// Hands `early` on first.
    pub(super) fn starting_with(early: BytesMut, opening: Option<Opening>) -> Self {
        Self {
            buffer: early,
            is_flushed: true,
            phase: Phase::Open,
            opening,
            carried: 0,
        }
    }

    /// Bytes handed on so far.
    pub(super) fn carried(&self) -> u64 {
        self.carried
    }

    /// What the log should say of the first bytes.
    pub(super) fn note(&self) -> Option<&'static str> {
        self.opening.as_ref().and_then(Opening::note)
    }

    /// Goes on as far as possible. Ready when the end has been handed on, also when asked again.
    pub(super) fn poll<R, W>(
        &mut self,
        context: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
    ) -> Poll<Result<(), Stuck>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            if !self.is_held()? {
                ready!(self.poll_empty(context, to)).map_err(Stuck::Write)?;
            }
            match self.phase {
                Phase::Open => ready!(self.poll_fill(context, from)).map_err(Stuck::Read)?,
                Phase::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(context)).map_err(Stuck::Write)?;
                    self.phase = Phase::Ended;
                }
                Phase::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Whether the bytes in the buffer have to wait for more.
    fn is_held(&mut self) -> Result<bool, Stuck> {
        let Some(opening) = &mut self.opening else {
            return Ok(false);
        };
        if self.phase != Phase::Open {
            opening.let_go();
        }
        if self.buffer.is_empty() {
            return Ok(false);
        }
        match opening.look(&self.buffer) {
            Look::Hold => Ok(true),
            Look::Pass => Ok(false),
            Look::Refuse => Err(Stuck::Refused),
        }
    }

    fn poll_empty<W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        while !self.buffer.is_empty() {
            let written = ready!(Pin::new(&mut *to).poll_write(context, &self.buffer))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.is_flushed = false;
            self.buffer.advance(written);
            self.carried = self.carried.saturating_add(written as u64);
        }
        if !self.is_flushed {
            ready!(Pin::new(to).poll_flush(context))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        from: &mut R,
    ) -> Poll<io::Result<()>> {
        self.buffer.reserve(READ_BYTES);
        // The future keeps no state between polls, so a fresh one each time loses nothing.
        match pin!(from.read_buf(&mut self.buffer)).poll(context)? {
            Poll::Ready(0) => self.phase = Phase::Ending,
            Poll::Ready(_) => {}
            Poll::Pending => {
                if self.buffer.is_empty() {
                    self.buffer = BytesMut::new();
                }
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}
