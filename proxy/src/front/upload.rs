//! A request body on its way to an upstream: where it ends, and whether it comes fast enough.
//!
//! Pure accounting, no I/O. The rate is counted over the time in which the client was waited for, so an upstream that
//! takes the body slowly is never held against the client.

use super::BodyFraming;
use super::chunk::ChunkScanner;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes per second of waiting that a request body must bring.
const BODY_RATE_MIN: u64 = 1024;
/// Waiting for a body that is not counted, so that a slow start is no offense.
const BODY_GRACE: Duration = Duration::from_secs(10);

/// What is still to come of a request body.
#[derive(Debug)]
pub(super) enum Remainder {
    /// Nothing.
    Done,
    /// So many bytes.
    Length(u64),
    /// Up to the last chunk.
    Chunked(ChunkScanner),
}

impl Remainder {
    /// Before the first byte.
    pub(super) fn new(framing: BodyFraming) -> Self {
        match framing {
            BodyFraming::None | BodyFraming::Length(0) => Self::Done,
            BodyFraming::Length(length) => Self::Length(length),
            BodyFraming::Chunked => Self::Chunked(ChunkScanner::new()),
        }
    }

    /// Whether the next byte belongs to the next request.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// How many of `bytes` belong to the body; those are counted as taken.
    ///
    /// # Errors
    /// `InvalidData`: not chunked as it should be.
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (taken, is_over) = match self {
            Self::Done => (0, true),
            Self::Length(left) => {
                let taken =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left = left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
                (taken, *left == 0)
            }
            Self::Chunked(scanner) => {
                let taken = scanner
                    .scan(bytes)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                (taken, scanner.is_done())
            }
        };
        if is_over {
            *self = Self::Done;
        }
        Ok(taken)
    }
}

/// Measures how fast a body arrives, counting only the time in which the client was waited for.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waiting_since: Option<Instant>,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// The client is waited for from now.
    pub(super) fn wait(&mut self, now: Instant) {
        self.waiting_since.get_or_insert(now);
    }

    /// `bytes` came.
    ///
    /// # Errors
    /// `TimedOut`: less than [`BODY_RATE_MIN`].
    pub(super) fn arrive(&mut self, bytes: usize, now: Instant) -> io::Result<()> {
        if let Some(since) = self.waiting_since.take() {
            self.waited += now.saturating_duration_since(since);
        }
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        let counted = self.waited.saturating_sub(BODY_GRACE).as_secs();
        if self.bytes < counted.saturating_mul(BODY_RATE_MIN) {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the request body arrives too slowly",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_98_a_dripping_body_is_cut_off_and_a_slow_start_is_not() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.wait(start);
        assert!(pace.arrive(1, start + Duration::from_secs(9)).is_ok());
        pace.wait(start + Duration::from_secs(9));
        assert!(pace.arrive(1, start + Duration::from_secs(18)).is_err());
    }

    #[test]
    fn time_in_which_nobody_waits_for_the_client_is_not_held_against_it() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert!(pace.arrive(1, start + Duration::from_secs(3600)).is_ok());
    }

    #[test]
    fn a_body_takes_exactly_its_own_bytes() {
        let mut length = Remainder::new(BodyFraming::Length(5));
        assert_eq!(length.take(b"hel").ok(), Some(3));
        assert_eq!(length.take(b"loGET").ok(), Some(2));
        assert!(length.is_done());
        assert_eq!(length.take(b"GET").ok(), Some(0));

        let mut chunked = Remainder::new(BodyFraming::Chunked);
        assert_eq!(chunked.take(b"1\r\na\r\n0\r\n\r\nGET").ok(), Some(11));
        assert!(chunked.is_done());

        assert!(Remainder::new(BodyFraming::Length(0)).is_done());
        assert!(Remainder::new(BodyFraming::Chunked).take(b"zz").is_err());
    }
}
