//! One client connection: the socket, the bytes read from it that belong to no request yet, and how it will end.
//!
//! Invariants:
//! - bytes that were read ahead are owned here and nowhere else, so no request is ever lost between two readers;
//! - a connection that is dropped in the middle of a response ends with RST: a body that is delimited by the end of
//!   the connection can then never look complete (that covers panics and aborted tasks as well);
//! - every write fails when the client takes nothing for `send_timeout`.
//!
//! What the connection runs on is behind `Transport`, so that TLS can join without a change above.

use bytes::BytesMut;
use rustix::net::sockopt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Space made for one read, bytes: more than nearly every request head.
const READ_BYTES: usize = 4 * 1024;
/// The most handed to one sendfile call, bytes: long calls starve the other connections of the thread.
const SENDFILE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a closed connection is read from, see [`Conn::close`].
const LINGER: Duration = Duration::from_secs(2);

/// How a connection ends when it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Between responses: FIN.
    Clean,
    /// In the middle of a response: RST.
    Unfinished,
    /// The response is broken and no later one can mend it: RST.
    Aborted,
}

/// A client connection. Boxed once; the same box serves every request on it.
#[derive(Debug)]
pub(crate) struct Conn {
    transport: Transport,
    /// Read from the client, part of no request that was taken.
    pub(super) buffer: BytesMut,
    client: SocketAddr,
    send_timeout: Duration,
    ending: Ending,
}

/// What the bytes travel on.
#[derive(Debug)]
pub(super) enum Transport {
    /// TCP as it is.
    Plain(TcpStream),
}

impl Conn {
    /// Takes over an accepted connection.
    pub(super) fn new(stream: TcpStream, client: SocketAddr, send_timeout: Duration) -> Self {
        // Responses leave when they are written; what belongs together is corked together.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%client, %error, "TCP_NODELAY not set");
        }
        Self {
            transport: Transport::Plain(stream),
            buffer: BytesMut::new(),
            client,
            send_timeout,
            ending: Ending::Clean,
        }
    }

    /// How long the client may take nothing, from now on.
    pub(super) fn set_send_timeout(&mut self, send_timeout: Duration) {
        self.send_timeout = send_timeout;
    }

    /// Who is at the other end.
    pub(crate) fn client(&self) -> SocketAddr {
        self.client
    }

    /// What was read from the client and belongs to no request. Whoever takes it answers for it.
    pub(crate) fn take_read_ahead(&mut self) -> BytesMut {
        std::mem::take(&mut self.buffer)
    }

    /// The bare stream, for a tunnel: without the bytes read ahead and without the send timeout.
    pub(crate) fn stream(&mut self) -> &mut (impl AsyncRead + AsyncWrite + Unpin) {
        &mut self.transport
    }

    /// Writes all of `bytes`. Cancel-safe: no; a dropped future leaves a part written.
    ///
    /// # Errors
    /// `TimedOut` when the client took nothing for the send timeout, or what the socket says.
    pub(crate) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = timeout(self.send_timeout, self.transport.write(bytes)).await??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
        self.flush().await
    }

    /// Writes all of `parts`, one behind the other, in as few calls as the socket allows. The slices are used up.
    ///
    /// # Errors
    /// As [`Conn::write_all`].
    pub(crate) async fn write_vectored_all(
        &mut self,
        mut parts: &mut [IoSlice<'_>],
    ) -> io::Result<()> {
        // Advancing by nothing drops empty slices at the front: they would make an empty write look like the end.
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            let written =
                timeout(self.send_timeout, self.transport.write_vectored(parts)).await??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut parts, written);
        }
        self.flush().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        timeout(self.send_timeout, self.transport.flush()).await?
    }

    /// Waits until the socket takes bytes again, after [`Conn::try_sendfile`] said `WouldBlock`.
    ///
    /// # Errors
    /// `TimedOut` when that takes longer than the send timeout.
    pub(crate) async fn writable(&mut self) -> io::Result<()> {
        match &self.transport {
            Transport::Plain(stream) => timeout(self.send_timeout, stream.writable()).await?,
        }
    }

    /// Sends up to `length` bytes of `file` from `offset` without copying them; returns how many went out. It never
    /// waits, so a caller with much to send yields now and then.
    ///
    /// # Errors
    /// `WouldBlock` as it is; `UnexpectedEof` when the file has no byte at `offset`.
    pub(crate) fn try_sendfile(
        &mut self,
        file: BorrowedFd<'_>,
        offset: u64,
        length: usize,
    ) -> io::Result<usize> {
        let Transport::Plain(stream) = &self.transport;
        let sent = stream.try_io(Interest::WRITABLE, || {
            let mut from = offset;
            rustix::io::retry_on_intr(|| {
                rustix::fs::sendfile(
                    stream,
                    file,
                    Some(&mut from),
                    length.min(SENDFILE_BYTES_MAX),
                )
            })
            .map_err(io::Error::from)
        })?;
        if sent == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(sent)
    }

    /// Holds small packets back until [`Conn::uncork`], so that a head and the file behind it share one.
    pub(crate) fn cork(&mut self) {
        self.set_cork(true);
    }

    /// Sends what is held back.
    pub(crate) fn uncork(&mut self) {
        self.set_cork(false);
    }

    fn set_cork(&mut self, value: bool) {
        let Transport::Plain(stream) = &self.transport;
        // Only a matter of packets: a socket that refuses still sends everything.
        if let Err(error) = sockopt::set_tcp_cork(stream, value) {
            tracing::debug!(client = %self.client, %error, "TCP_CORK not set");
        }
    }

    /// The response is broken: the connection will be closed with RST, so that what was sent cannot look complete.
    pub(crate) fn abort(&mut self) {
        self.ending = Ending::Aborted;
    }

    /// From here to [`Conn::end_response`] the connection must not end cleanly.
    pub(super) fn begin_response(&mut self) {
        if self.ending == Ending::Clean {
            self.ending = Ending::Unfinished;
        }
    }

    /// The response is out.
    pub(super) fn end_response(&mut self) {
        if self.ending == Ending::Unfinished {
            self.ending = Ending::Clean;
        }
    }

    /// Whether another request may be read.
    pub(super) fn is_aborted(&self) -> bool {
        self.ending == Ending::Aborted
    }

    /// [`Conn::fill`] for a client that may stay silent for long: holds no buffer meanwhile. Cancel-safe.
    pub(super) async fn fill_from_idle(&mut self) -> io::Result<usize> {
        loop {
            if self.buffer.is_empty() {
                self.buffer = BytesMut::new();
            }
            let Transport::Plain(stream) = &self.transport;
            stream.readable().await?;
            self.buffer.reserve(READ_BYTES);
            // Readiness may be a false alarm: then the wait goes on, and with it the idle time.
            match stream.try_read_buf(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                filled => return filled,
            }
        }
    }

    /// Reads once into the buffer; 0 is the client's FIN. Cancel-safe.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ_BYTES);
        self.transport.read_buf(&mut self.buffer).await
    }

    /// [`Conn::fill`] for a caller that is polled.
    pub(super) fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // The future keeps no state between polls, so a fresh one each time loses nothing.
        pin!(self.fill()).poll(context)
    }

    /// Closes politely: FIN, then reads what the client still sends for a moment. Closing with unread bytes would be a
    /// RST, which may take the response away from a client that has not read it yet.
    pub(super) async fn close(mut self: Box<Self>) {
        if self.is_aborted() {
            return;
        }
        let client = self.client;
        let polite = async {
            self.transport.shutdown().await?;
            loop {
                self.buffer.clear();
                if self.fill().await? == 0 {
                    return io::Result::Ok(());
                }
            }
        };
        match timeout(LINGER, polite).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::trace!(%client, %error, "closed by the client"),
            Err(_) => tracing::trace!(%client, "the client sends on after the end"),
        }
    }

    /// The descriptor, for Pingora's digests only. Never to be written to: TLS would be bypassed.
    pub(super) fn descriptor(&self) -> RawFd {
        match &self.transport {
            Transport::Plain(stream) => stream.as_raw_fd(),
        }
    }

    /// The raw writer, for the connection when it is lent.
    pub(super) fn writer(&mut self) -> Pin<&mut Transport> {
        Pin::new(&mut self.transport)
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if self.ending == Ending::Clean {
            return;
        }
        let Transport::Plain(stream) = &self.transport;
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!(client = %self.client, %error, "could not reset the connection");
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, out),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
