//! Moves body bytes to the client, from wherever they are.
//!
//! Invariant: a body that cannot be sent whole never looks whole. With Content-Length or chunked coding the short
//! body itself says so; without either the connection is reset.

use crate::front::conn::Conn;
use bytes::{Buf, Bytes};
use std::io::{self, IoSlice};
use std::sync::Arc;
use weir_cache::engine::{Assembly, FlightReader, ReadError};
use weir_cache::ports::{OriginBody, OriginError};
use weir_cache::store::{Object, Sent, StoreError, UNIT_BYTES};

/// A fast receiver must not hold its worker: after so many bytes the others get a turn.
const BURST_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The largest piece taken from a reader at once.
const PIECE_BYTES_MAX: usize = 256 * 1024;

/// Where a body comes from.
pub(crate) enum Source {
    Stored(Arc<Object>),
    Parts(Box<Assembly>),
    Growing(FlightReader),
    Private(Box<dyn OriginBody>),
}

/// Why a body could not be sent whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("the client left: {0}")]
    Client(#[from] io::Error),
    #[error(transparent)]
    Fill(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error("the body is shorter than its head said")]
    Short,
    #[error("stored bytes changed between verification and sending")]
    Changed,
}

impl SendError {
    /// The word for the log.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Client(_) => "client-left",
            Self::Fill(_) => "fill-failed",
            Self::Store(_) => "store-failed",
            Self::Origin(error) => error.as_str(),
            Self::Short => "short",
            Self::Changed => "corrupt",
        }
    }
}

/// How pieces are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// As they are.
    Plain,
    /// Each as a chunk, and the last chunk at the end.
    Chunked,
}

impl Source {
    /// The bytes `start..end`, where they are stored, few and in memory.
    pub(crate) fn at_hand(&self, start: u64, end: Option<u64>) -> Option<Bytes> {
        match self {
            Self::Stored(object) => {
                let end = end.unwrap_or(object.length());
                object.read_at_hand(start, end.checked_sub(start)?)
            }
            Self::Parts(_) | Self::Growing(_) | Self::Private(_) => None,
        }
    }

    /// Whether the next byte follows a head at once. Of a stream it may be long in coming.
    pub(crate) fn follows_at_once(&self, length: Option<u64>) -> bool {
        matches!(self, Self::Stored(_) | Self::Parts(_)) && length.is_some_and(|length| length > 0)
    }

    /// Sends `start..end` as it is (`end = None`: to the end). Counts into `sent`, also when it fails.
    pub(crate) async fn send(
        &mut self,
        conn: &mut Conn,
        start: u64,
        end: Option<u64>,
        coding: Coding,
        sent: &mut u64,
    ) -> Result<(), SendError> {
        match self {
            Self::Stored(object) => {
                send_stored(conn, object, start, end.unwrap_or(object.length()), sent).await
            }
            Self::Parts(assembly) => {
                let end = end.unwrap_or(assembly.length);
                for (object, from, to) in assembly.slices(start, end) {
                    send_stored(conn, object, from, to, sent).await?;
                }
                Ok(())
            }
            Self::Growing(reader) => send_growing(conn, reader, start, end, coding, sent).await,
            Self::Private(body) => {
                send_private(conn, body.as_mut(), start, end, coding, sent).await
            }
        }
    }
}

/// Verified, resident bytes go out by sendfile; others are read and verified first.
async fn send_stored(
    conn: &mut Conn,
    object: &Object,
    start: u64,
    end: u64,
    sent: &mut u64,
) -> Result<(), SendError> {
    let (mut offset, mut burst) = (start, 0);
    while offset < end {
        let wanted = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let moved = match object.send(offset, wanted, |file, at, length| {
            conn.try_sendfile(file, at, length)
        }) {
            Sent::Bytes(0) | Sent::Corrupt => return Err(SendError::Changed),
            Sent::Bytes(moved) => moved as u64,
            Sent::Failed(error) => return Err(error.into()),
            Sent::WouldBlock => {
                conn.writable().await?;
                burst = 0;
                continue;
            }
            Sent::NotVerified => {
                let left = (end - offset).min(UNIT_BYTES - offset % UNIT_BYTES);
                let bytes = object
                    .read(offset, usize::try_from(left).unwrap_or(usize::MAX))
                    .await?;
                conn.write_all(&bytes).await?;
                bytes.len() as u64
            }
        };
        offset += moved;
        burst += moved;
        *sent += moved;
        if burst >= BURST_BYTES_MAX {
            burst = 0;
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

async fn send_growing(
    conn: &mut Conn,
    reader: &mut FlightReader,
    start: u64,
    end: Option<u64>,
    coding: Coding,
    sent: &mut u64,
) -> Result<(), SendError> {
    reader.seek(start);
    let mut left = end.map_or(u64::MAX, |end| end - start);
    while left > 0 {
        let wanted = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(PIECE_BYTES_MAX);
        let Some(piece) = reader.next(wanted).await? else {
            return match end {
                Some(_) => Err(SendError::Short),
                None => Ok(write_last(conn, coding).await?),
            };
        };
        left -= piece.len() as u64;
        write_piece(conn, &piece, coding, sent).await?;
    }
    Ok(write_last(conn, coding).await?)
}

/// What lies before `start` is read and dropped; a stream that is not read to its end closes its connection.
async fn send_private(
    conn: &mut Conn,
    body: &mut dyn OriginBody,
    start: u64,
    end: Option<u64>,
    coding: Coding,
    sent: &mut u64,
) -> Result<(), SendError> {
    let mut skip = start;
    let mut left = end.map(|end| end - start);
    while left != Some(0) {
        let Some(mut piece) = body.next().await? else {
            return match left {
                Some(_) => Err(SendError::Short),
                None => Ok(write_last(conn, coding).await?),
            };
        };
        let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
        piece.advance(skipped);
        skip -= skipped as u64;
        if let Some(left) = &mut left {
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
        }
        if !piece.is_empty() {
            write_piece(conn, &piece, coding, sent).await?;
        }
    }
    Ok(())
}

async fn write_piece(
    conn: &mut Conn,
    piece: &Bytes,
    coding: Coding,
    sent: &mut u64,
) -> io::Result<()> {
    match coding {
        Coding::Plain => conn.write_all(piece).await?,
        Coding::Chunked => {
            let size = format!("{:x}\r\n", piece.len());
            let mut parts = [
                IoSlice::new(size.as_bytes()),
                IoSlice::new(piece),
                IoSlice::new(b"\r\n"),
            ];
            conn.write_vectored_all(&mut parts).await?;
        }
    }
    *sent += piece.len() as u64;
    Ok(())
}

async fn write_last(conn: &mut Conn, coding: Coding) -> io::Result<()> {
    match coding {
        Coding::Plain => Ok(()),
        Coding::Chunked => conn.write_all(b"0\r\n\r\n").await,
    }
}
