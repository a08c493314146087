//! A new process takes over from the one that runs, and no connection is lost.
//!
//! ```text
//! new ► "weir upgrade 1\n"                  over `[server] upgrade_socket`, before it has bound anything
//! old ◄ "sockets N\n" with N descriptors    all that it listens on; both can accept from now on, only the old one does
//! new ► "ready\n"                           everything is put together but the store
//! old ◄ "yours\n"                           the old one is willing; it still accepts
//! new ► "taken\n"                           the new one accepts; the old one stops, drains, retires its store
//! old ◄ "released\n"                        the lock of the data is free, or not to be waited for any longer
//! ```
//! An old process that dies on the way is no obstacle: the new one starts as where none ran, or goes on with what it has.
//! Until "taken" either end may leave: the old one goes on as if nothing had been, and the new one ends. Only what the
//! old one has heard makes it stop: a "yours" that nobody read leaves it where it is. Should a "taken" get lost on its
//! way both accept, which is harmless: the sockets are the same ones in both processes, what waits to be accepted waits
//! for whoever accepts next, and the lock of the data says who may store.
//!
//! Every step has a deadline, every message and the number of sockets a bound. Both ends check that the other one runs
//! under the same account. Deliberately not handed over: connections, the store's index, and what was counted.

use crate::control::{check_peer, socket};
use anyhow::{Context, bail};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

const HELLO: &str = "weir upgrade 1";
const READY: &str = "ready";
const YOURS: &str = "yours";
const TAKEN: &str = "taken";
const RELEASED: &str = "released";
/// Longest line, bytes.
const LINE_BYTES_MAX: usize = 64;
/// Most sockets that are handed over (the kernel takes 253 at once).
const SOCKETS_MAX: usize = 128;
/// For a line that needs nothing but a process that runs.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// From the sockets to "ready": reading certificates, and a store elsewhere that has to be scanned.
const READY_TIME_MAX: Duration = Duration::from_secs(120);
/// Of giving the data to the new process. A disk that takes longer keeps it until the old process ends.
pub(super) const RELEASE_TIME_MAX: Duration = Duration::from_secs(30);
/// From "taken" to "released": the data, and before it the commands that run.
const RELEASED_TIME_MAX: Duration = RELEASE_TIME_MAX.saturating_add(ANSWER_TIME_MAX);
/// For a process that ends: so many looks, and the pause between them.
const ENDING_LOOKS: u32 = 20;
const ENDING_PAUSE: Duration = Duration::from_millis(50);
/// Before accepting again after a failure (out of files): it would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the running process handed over so far; the new process holds it.
#[derive(Debug)]
pub(super) struct Predecessor {
    path: PathBuf,
    stream: UnixStream,
    sockets: Vec<(SocketAddr, TcpListener)>,
}

/// The process that has taken over; the old process holds it.
#[derive(Debug)]
pub(super) struct Successor(UnixStream);

impl Predecessor {
    /// Asks the process at `path` for its sockets; `None` when there is none, or none any more.
    ///
    /// # Errors
    /// It is there and does not do as it should.
    pub(super) async fn ask(path: &Path) -> anyhow::Result<Option<Self>> {
        let stream = match socket::connect_to(path) {
            Ok(stream) => stream,
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        stream.set_nonblocking(true)?;
        let mut stream = UnixStream::from_std(stream)?;
        check_peer(&stream).map_err(anyhow::Error::msg)?;
        match ask_for_sockets(&mut stream).await {
            Ok(sockets) => Ok(Some(Self {
                path: path.to_owned(),
                stream,
                sockets,
            })),
            Err(_) if is_gone(path).await => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// The socket that listens on `address`, if it was handed over.
    pub(super) fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let place = self
            .sockets
            .iter()
            .position(|(local, _)| *local == address)?;
        Some(self.sockets.swap_remove(place).1)
    }

    /// Tells it that we can go on, and returns when it is about to stop accepting: from here on we must. Sockets that
    /// nobody took are closed.
    ///
    /// # Errors
    /// It has changed its mind, or is gone: nothing was taken over.
    pub(super) async fn relieve(&mut self) -> anyhow::Result<()> {
        for (address, _) in self.sockets.drain(..) {
            tracing::info!(%address, "handed over and not configured: no longer listening");
        }
        let Err(error) = self.agree().await else {
            return Ok(());
        };
        if is_gone(&self.path).await {
            tracing::warn!("the gateway before has died: taking over without its word");
            return Ok(());
        }
        Err(error)
    }

    async fn agree(&mut self) -> anyhow::Result<()> {
        let ready = say(&mut self.stream, READY).await;
        ready.context("the running gateway waited no longer")?;
        let answer = timeout(ANSWER_TIME_MAX, hear(&mut self.stream)).await;
        match answer.context("the running gateway does not answer")? {
            Ok(line) if line == YOURS => {}
            Ok(line) => bail!("the running gateway says {line:?}, not {YOURS:?}"),
            Err(error) => return Err(error).context("the running gateway broke off the upgrade"),
        }
        let taken = say(&mut self.stream, TAKEN).await;
        taken.context("the running gateway waited no longer")
    }

    /// Returns when it has given the data back, is gone, or has had time enough: whose the data is, its lock says.
    pub(super) async fn released(mut self) {
        match timeout(RELEASED_TIME_MAX, hear(&mut self.stream)).await {
            Ok(Ok(line)) if line == RELEASED => {}
            Ok(other) => {
                tracing::warn!(
                    ?other,
                    "the gateway before left without a word about its data"
                );
            }
            Err(_) => {
                tracing::warn!("the gateway before keeps its data for long: trying to get it");
            }
        }
    }
}

impl Successor {
    /// Hands `sockets` over to the process at the other end of `stream`; `None` when it did not come to the end, which
    /// changes nothing. Cancel-safe: a handshake that is dropped ends the new process.
    pub(super) async fn offer(stream: UnixStream, sockets: Vec<OwnedFd>) -> Option<Self> {
        match offer(stream, &sockets).await {
            Ok(successor) => Some(successor),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "an upgrade came to nothing; everything goes on as before"
                );
                None
            }
        }
    }

    /// It may try to get the data: this process does nothing more to give it back. A retire that did not come to its
    /// end in time keeps the lock until this process ends.
    pub(super) async fn tell_released(mut self) {
        if let Err(error) = say(&mut self.0, RELEASED).await {
            tracing::warn!(%error, "the gateway that took over is gone");
        }
    }
}

/// A process that wants to take over. Cancel-safe.
pub(super) async fn newcomer(socket: &socket::Bound) -> UnixStream {
    loop {
        match socket.accept().await {
            Ok(stream) => return stream,
            Err(error) => {
                tracing::warn!(%error, "the upgrade socket cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn offer(mut stream: UnixStream, sockets: &[OwnedFd]) -> anyhow::Result<Successor> {
    check_peer(&stream).map_err(anyhow::Error::msg)?;
    let hello = timeout(ANSWER_TIME_MAX, hear(&mut stream)).await;
    let hello = hello.context("it says nothing")??;
    if hello != HELLO {
        bail!("it speaks another language ({hello:?})");
    }
    let sent = timeout(ANSWER_TIME_MAX, send_sockets(&stream, sockets)).await;
    sent.context("it takes no sockets")??;
    let ready = timeout(READY_TIME_MAX, hear(&mut stream)).await;
    let ready = ready.context("it was not ready in time")?;
    if ready.context("it ended before it was ready")? != READY {
        bail!("it was not ready");
    }
    say(&mut stream, YOURS).await?;
    let taken = timeout(ANSWER_TIME_MAX, hear(&mut stream)).await;
    let taken = taken.context("it did not say that it took over")?;
    if taken.context("it ended before it took over")? != TAKEN {
        bail!("it did not take over");
    }
    Ok(Successor(stream))
}

async fn ask_for_sockets(
    stream: &mut UnixStream,
) -> anyhow::Result<Vec<(SocketAddr, TcpListener)>> {
    const BUSY: &str =
        "the running gateway hung up: perhaps another upgrade is under way, its log says more";
    say(stream, HELLO).await.context(BUSY)?;
    let received = timeout(ANSWER_TIME_MAX, receive_sockets(stream)).await;
    received
        .context("the running gateway does not answer")?
        .context(BUSY)
}

/// Whether the process at `path` has died: one that was told to stop takes its socket away first, and then nobody is to
/// take its place. A process that dies closes one descriptor after the other.
async fn is_gone(path: &Path) -> bool {
    for _ in 0..ENDING_LOOKS {
        match socket::connect_to(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return true,
            Ok(_) | Err(_) => tokio::time::sleep(ENDING_PAUSE).await,
        }
    }
    false
}

/// Nobody listens there.
fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

async fn say(stream: &mut UnixStream, line: &str) -> io::Result<()> {
    let said = timeout(
        ANSWER_TIME_MAX,
        stream.write_all(format!("{line}\n").as_bytes()),
    )
    .await;
    said.map_err(io::Error::from)?
}

/// One line, byte by byte: what follows is not ours to read.
async fn hear(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => return String::from_utf8(line).map_err(io::Error::other),
            byte if line.len() < LINE_BYTES_MAX => line.push(byte),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

async fn send_sockets(stream: &UnixStream, sockets: &[OwnedFd]) -> io::Result<()> {
    if sockets.len() > SOCKETS_MAX {
        return Err(io::Error::other("too many sockets"));
    }
    let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    let line = format!("sockets {}\n", sockets.len());
    let send = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::Error::other("too many sockets"));
        }
        let sent = sendmsg(
            stream,
            &[IoSlice::new(line.as_bytes())],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        match sent == line.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::WriteZero.into()),
        }
    };
    stream.async_io(Interest::WRITABLE, send).await
}

/// The sockets, each with the address that it listens on. What is none is closed.
async fn receive_sockets(stream: &UnixStream) -> io::Result<Vec<(SocketAddr, TcpListener)>> {
    let receive = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut line = [0; LINE_BYTES_MAX];
        let received = recvmsg(
            stream,
            &mut [IoSliceMut::new(&mut line)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        let said = line.get(..received.bytes).unwrap_or_default();
        match said == format!("sockets {}\n", descriptors.len()).as_bytes() {
            true => Ok(descriptors),
            false => Err(io::Error::from(io::ErrorKind::InvalidData)),
        }
    };
    let descriptors = stream.async_io(Interest::READABLE, receive).await?;
    descriptors.into_iter().map(listener).collect()
}

fn listener(descriptor: OwnedFd) -> io::Result<(SocketAddr, TcpListener)> {
    if !rustix::net::sockopt::socket_acceptconn(&descriptor)? {
        return Err(io::Error::other("a socket that does not listen"));
    }
    let listener = TcpListener::from(descriptor);
    Ok((listener.local_addr()?, listener))
}

#[cfg(test)]
mod tests;
