//! Both directions of a tunnel, and what ends it.
//!
//! One future polls both, so that no lock and no second task is needed. Generic over what the ends run on: the tests
//! own the ends and time.

use super::opening::Opening;
use super::pump::{Pump, Stuck};
use bytes::BytesMut;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep};

/// How long a tunnel may last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Without a byte in either direction.
    pub(super) idle: Duration,
    /// In all.
    pub(super) total: Option<Duration>,
}

/// How a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Both ends have closed, or one had and the other is gone since.
    Closed,
    /// Nothing moved for too long.
    Idle,
    /// An end broke off while it was needed.
    Broken,
    /// It had lasted as long as it may.
    TotalTime,
    /// The client asked for what it may not have.
    Refused,
}

/// Carries bytes between `client` and `upstream` until the tunnel has ended; also tells what the log should say of the
/// client's first words. `early` was read from the client before; `count` hears how many more bytes went up and down.
pub(super) async fn relay<C, U>(
    (client, upstream): (&mut C, &mut U),
    (early, opening): (BytesMut, Opening),
    limits: Limits,
    mut count: impl FnMut(u64, u64),
) -> (End, Option<&'static str>)
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let mut up = Direction::of(Pump::starting_with(early, Some(opening)));
    let mut down = Direction::of(Pump::new());
    let mut clocks = Clocks::start(limits);
    let end = poll_fn(|context| {
        let before = (up.pump.carried(), down.pump.carried());
        let ended = up
            .poll(context, client, upstream)
            .or_else(|| down.poll(context, upstream, client));
        let more = (up.pump.carried() - before.0, down.pump.carried() - before.1);
        if more != (0, 0) {
            count(more.0, more.1);
            clocks.moved();
        }
        let both = (up.is_over && down.is_over).then_some(End::Closed);
        match ended.or(both).or_else(|| clocks.poll(context)) {
            Some(end) => Poll::Ready(end),
            None => Poll::Pending,
        }
    })
    .await;
    (end, up.pump.note())
}

/// A pump, until there is nothing left to do for it.
struct Direction {
    pump: Pump,
    is_over: bool,
}

impl Direction {
    fn of(pump: Pump) -> Self {
        Self {
            pump,
            is_over: false,
        }
    }

    /// Goes on; says what ends the tunnel as a whole.
    fn poll<R, W>(&mut self, context: &mut Context<'_>, from: &mut R, to: &mut W) -> Option<End>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if self.is_over {
            return None;
        }
        match self.pump.poll(context, from, to) {
            Poll::Pending => return None,
            Poll::Ready(Err(Stuck::Read(error))) => {
                tracing::debug!(%error, "an end of a tunnel broke off");
                return Some(End::Broken);
            }
            Poll::Ready(Err(Stuck::Refused)) => return Some(End::Refused),
            // Who takes no more may have said something before, which the other direction finds, with its end.
            Poll::Ready(Err(Stuck::Write(error))) => {
                tracing::debug!(%error, "an end of a tunnel takes no more");
            }
            Poll::Ready(Ok(())) => {}
        }
        self.is_over = true;
        None
    }
}

/// What ends a tunnel that does not end by itself.
struct Clocks {
    idle_timeout: Duration,
    /// When a byte was handed on last.
    moved_at: Instant,
    /// Looked at when it fires, not moved with every byte.
    idle: Pin<Box<Sleep>>,
    total: Option<Pin<Box<Sleep>>>,
}

impl Clocks {
    fn start(limits: Limits) -> Self {
        Self {
            idle_timeout: limits.idle,
            moved_at: Instant::now(),
            idle: Box::pin(sleep(limits.idle)),
            total: limits.total.map(|total| Box::pin(sleep(total))),
        }
    }

    fn moved(&mut self) {
        self.moved_at = Instant::now();
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Option<End> {
        if let Some(total) = &mut self.total
            && total.as_mut().poll(context).is_ready()
        {
            return Some(End::TotalTime);
        }
        while self.idle.as_mut().poll(context).is_ready() {
            let quiet = self.moved_at.elapsed();
            let left = self.idle_timeout.saturating_sub(quiet);
            if left.is_zero() {
                return Some(End::Idle);
            }
            self.idle = Box::pin(sleep(left));
        }
        None
    }
}
