//! One control connection: a line in, perhaps a body, lines out, each with its bound and its deadline.

use super::protocol::{COMMAND_BYTES_MAX, Command, Reply};
use bytes::{Bytes, BytesMut};
use serde::Serialize;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::timeout;

/// For the line of a command: it is written by a program, at once.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10);
/// Between two pieces of a body, and for a reply to be taken.
const STALL_TIME_MAX: Duration = Duration::from_secs(60);
/// Bytes of a body that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// A connection.
pub(super) struct Dialog<S> {
    stream: BufReader<S>,
}

/// Why a connection came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialogError {
    /// Nothing was asked.
    #[error("the connection ended before a whole line")]
    Incomplete,
    /// No line end in sight.
    #[error("a command longer than {COMMAND_BYTES_MAX} bytes")]
    TooLong,
    /// Not a command that is known here.
    #[error("not a command of Weir {version}: {0}", version = env!("CARGO_PKG_VERSION"))]
    Unknown(#[from] serde_json::Error),
    /// The other side does nothing.
    #[error("the other side took too long")]
    Stalled,
    /// It broke.
    #[error(transparent)]
    Broken(#[from] io::Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialog<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Reads the command.
    pub(super) async fn command(&mut self) -> Result<Command, DialogError> {
        let line = timeout(COMMAND_TIME_MAX, self.line()).await;
        let line = line.map_err(|_| DialogError::Stalled)??;
        Ok(serde_json::from_slice(&line)?)
    }

    async fn line(&mut self) -> Result<Vec<u8>, DialogError> {
        let mut line = Vec::with_capacity(1024);
        let mut limited = (&mut self.stream).take(COMMAND_BYTES_MAX as u64);
        limited.read_until(b'\n', &mut line).await?;
        match line.last() {
            Some(b'\n') => Ok(line),
            _ if line.len() >= COMMAND_BYTES_MAX => Err(DialogError::TooLong),
            _ => Err(DialogError::Incomplete),
        }
    }

    /// The next piece of a body of which `left` bytes are still to come; never empty. An end before that is an error.
    pub(super) async fn piece(&mut self, left: u64) -> Result<Bytes, DialogError> {
        let wanted = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        let mut piece = BytesMut::with_capacity(wanted);
        let mut limited = (&mut self.stream).take(wanted as u64);
        let read = async {
            // A write to the store is worth more than one small packet.
            while piece.len() < wanted {
                if limited.read_buf(&mut piece).await? == 0 {
                    return Err(DialogError::Incomplete);
                }
            }
            Ok(())
        };
        timeout(STALL_TIME_MAX, read)
            .await
            .map_err(|_| DialogError::Stalled)??;
        Ok(piece.freeze())
    }

    /// Writes a line.
    pub(super) async fn say<T: Serialize + Sync>(
        &mut self,
        reply: &Reply<T>,
    ) -> Result<(), DialogError> {
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        let write = async {
            self.stream.write_all(&line).await?;
            self.stream.flush().await
        };
        timeout(STALL_TIME_MAX, write)
            .await
            .map_err(|_| DialogError::Stalled)??;
        Ok(())
    }
}
