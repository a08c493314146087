//! The handshake of an upgrade, one message at a time: the test sits between both processes, passes on what it likes,
//! and ends whom it likes in between.
//!
//! The socket of the gateway that runs is moved aside, and the new process finds the test's own in its place.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};

use crate::deadline::within;
use crate::gateway::Home;

/// Most descriptors that are passed on.
const SOCKETS_MAX: usize = 8;

/// The place where a new process begins a handshake.
pub struct Doorway {
    listener: UnixListener,
    place: PathBuf,
    aside: PathBuf,
}

/// One handshake.
pub struct Handshake {
    new: UnixStream,
    old: UnixStream,
}

impl Doorway {
    /// Takes the place of the gateway that lives in `home`.
    ///
    /// # Panics
    /// When none runs there.
    pub fn of(home: &Home) -> Self {
        let place = home.data().join("upgrade.sock");
        let aside = home.data().join("aside.sock");
        std::fs::rename(&place, &aside).expect("a gateway runs here");
        let listener = UnixListener::bind(&place).expect("binds");
        Self {
            listener,
            place,
            aside,
        }
    }

    /// Waits for a new process and connects it to the one that runs. Nothing is passed on yet.
    ///
    /// # Panics
    /// When none comes.
    pub async fn newcomer(&self) -> Handshake {
        let accepted = within("a new process", self.listener.accept()).await;
        let (new, _) = accepted.expect("accepts");
        let old = UnixStream::connect(&self.aside).await.expect("connects");
        Handshake { new, old }
    }

    /// Gives the gateway its place back.
    ///
    /// # Panics
    /// When that is not possible.
    pub fn give_back(self) {
        std::fs::rename(&self.aside, &self.place).expect("both are there");
    }
}

impl Handshake {
    /// The hello and the sockets: the new process has everything then that it needs to accept.
    ///
    /// # Panics
    /// When one side does not do its part.
    pub async fn begin(&mut self) {
        self.pass_up("weir upgrade 1").await;
        let (line, sockets) = within("the sockets", receive(&self.old)).await;
        assert!(line.starts_with(b"sockets "), "{line:?}");
        within("sending the sockets", send(&self.new, &line, &sockets)).await;
    }

    /// Waits for `line` from the new process and passes it to the old one.
    ///
    /// # Panics
    /// When it says something else.
    pub async fn pass_up(&mut self, line: &str) {
        self.keep_up(line).await;
        say(&mut self.old, line).await;
    }

    /// Waits for `line` from the old process and passes it to the new one.
    ///
    /// # Panics
    /// When it says something else.
    pub async fn pass_down(&mut self, line: &str) {
        assert_eq!(hear(&mut self.old).await, line);
        say(&mut self.new, line).await;
    }

    /// Waits for `line` from the new process and keeps it.
    ///
    /// # Panics
    /// When it says something else.
    pub async fn keep_up(&mut self, line: &str) {
        assert_eq!(hear(&mut self.new).await, line);
    }

    /// Waits until the new process has ended, which the old one is not told of; nor of what it says until then.
    pub async fn new_is_gone(&mut self) {
        let gone = async { while self.new.read_u8().await.is_ok() {} };
        within("the end of the new process", gone).await;
    }

    /// Waits until the old process wants nothing of it any more, which the new one is not told of.
    ///
    /// # Panics
    /// When it speaks instead.
    pub async fn old_is_gone(&mut self) {
        let left = within("the old process hangs up", self.old.read_u8()).await;
        assert!(left.is_err(), "it speaks");
    }
}

async fn say(stream: &mut UnixStream, line: &str) {
    let line = format!("{line}\n");
    let said = within("a line is taken", stream.write_all(line.as_bytes())).await;
    said.expect("the other end is there");
}

/// Byte by byte: descriptors may follow.
async fn hear(stream: &mut UnixStream) -> String {
    let mut line = String::new();
    loop {
        let byte = within("a line", stream.read_u8()).await;
        match byte.expect("the other end is there") {
            b'\n' => return line,
            byte => line.push(char::from(byte)),
        }
    }
}

async fn receive(stream: &UnixStream) -> (Vec<u8>, Vec<OwnedFd>) {
    let receive = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut line = [0; 64];
        let pieces = &mut [IoSliceMut::new(&mut line)];
        let received = recvmsg(stream, pieces, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let mut sockets = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                sockets.extend(rights);
            }
        }
        Ok((line[..received.bytes].to_vec(), sockets))
    };
    let received = stream.async_io(Interest::READABLE, receive).await;
    received.expect("receives")
}

async fn send(stream: &UnixStream, line: &[u8], sockets: &[OwnedFd]) {
    let sockets: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    let send = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&sockets)));
        let pieces = &[IoSlice::new(line)];
        Ok(sendmsg(stream, pieces, &mut control, SendFlags::NOSIGNAL)?)
    };
    let sent = stream.async_io(Interest::WRITABLE, send).await;
    assert_eq!(sent.expect("sends"), line.len());
}
