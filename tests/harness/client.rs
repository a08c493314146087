//! A client that repairs nothing: it writes the bytes it is given and reads strictly.

use std::io::ErrorKind;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::deadline::within;
use crate::response::{Ending, Framing, Head, Response};

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// Orderly.
    Fin,
    /// RST.
    Reset,
}

/// One connection to a proxy or a server.
pub struct RawClient {
    stream: TcpStream,
    buffer: BytesMut,
}

impl RawClient {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = within("connect", TcpStream::connect(address))
            .await
            .expect("connects");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// The other end of a connection that somebody makes.
    ///
    /// # Panics
    /// When nobody does.
    pub async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = within("a connection", listener.accept())
            .await
            .expect("accepts");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// The bare stream.
    ///
    /// # Panics
    /// When bytes were read from it that nobody has asked for.
    pub fn into_stream(self) -> TcpStream {
        assert!(self.buffer.is_empty(), "unread: {:?}", self.buffer);
        self.stream
    }

    /// Writes; a peer that has closed already is not an error here, what it says is read later.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        match within("send", self.stream.write_all(bytes.as_ref())).await {
            Ok(()) => {}
            Err(error) if is_gone(error.kind()) => {}
            Err(error) => panic!("send: {error}"),
        }
    }

    /// Sends FIN and keeps reading.
    pub async fn finish_sending(&mut self) {
        match self.stream.shutdown().await {
            Ok(()) => {}
            Err(error) if is_gone(error.kind()) || error.kind() == ErrorKind::NotConnected => {}
            Err(error) => panic!("shutdown: {error}"),
        }
    }

    /// Leaves with RST instead of FIN, as a killed client with unread data does.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("linger 0");
    }

    /// Connects, unless nobody listens.
    pub async fn try_connect(address: SocketAddr) -> Option<Self> {
        let stream = within("connect", TcpStream::connect(address)).await.ok()?;
        Some(Self {
            stream,
            buffer: BytesMut::new(),
        })
    }

    /// Reads the head of the next final response; interim 1xx other than 101 are passed over.
    ///
    /// # Panics
    /// When the connection ends first or the head is not faultless.
    pub async fn head(&mut self) -> Head {
        match self.try_head().await {
            Ok(head) => head,
            Err(close) => panic!("{close:?} before a whole head: {:?}", self.buffer),
        }
    }

    /// Like [`Self::head`], where the connection may end first.
    ///
    /// # Errors
    /// How it ended.
    pub async fn try_head(&mut self) -> Result<Head, Close> {
        loop {
            let head = self.any_head().await?;
            if head.status >= 200 || head.status == 101 {
                return Ok(head);
            }
        }
    }

    /// Reads the next head, interim or final.
    async fn any_head(&mut self) -> Result<Head, Close> {
        let raw = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break self.buffer.split_to(at + 4);
            }
            self.fill("a response head").await?;
        };
        Ok(Head::parse(&raw).unwrap_or_else(|error| panic!("{error} in {raw:?}")))
    }

    /// Reads a whole response to a request with `method`.
    pub async fn response(&mut self, method: &str) -> Response {
        let head = self.head().await;
        let mut body = BytesMut::new();
        let ending = self
            .body(&head, method, |bytes| body.extend_from_slice(bytes))
            .await;
        Response {
            head,
            body: body.freeze(),
            ending,
        }
    }

    /// Sends a request and reads its response.
    pub async fn exchange(&mut self, request: &str) -> Response {
        self.send(request).await;
        let method = request.split(' ').next().unwrap_or_default().to_owned();
        self.response(&method).await
    }

    /// Reads the body that follows `head` and gives it away piece by piece.
    ///
    /// # Panics
    /// On framing that a strict reader refuses.
    pub async fn body(&mut self, head: &Head, method: &str, mut sink: impl FnMut(&[u8])) -> Ending {
        let framing = head
            .framing(method)
            .unwrap_or_else(|error| panic!("{error}: {head:?}"));
        match framing {
            Framing::Nothing => Ending::NoBody,
            Framing::Length(length) => match self.exactly(length, &mut sink).await {
                Ok(()) => Ending::Length,
                Err(close) => short(close),
            },
            Framing::Chunks => match self.chunks(&mut sink).await {
                Ok(()) => Ending::Chunked,
                Err(close) => short(close),
            },
            Framing::UntilClose => match self.until_close(&mut sink).await {
                Close::Fin => Ending::Closed,
                Close::Reset => Ending::ShortReset,
            },
        }
    }

    /// Reads at least one byte of a body whose head has been read, without framing.
    pub async fn some_bytes(&mut self) -> Result<Bytes, Close> {
        if self.buffer.is_empty() {
            self.fill("a first byte of the body").await?;
        }
        Ok(self.buffer.split().freeze())
    }

    /// Reads `count` bytes as they stand on the wire.
    ///
    /// # Errors
    /// How the connection ended before.
    pub async fn exactly(
        &mut self,
        count: usize,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<(), Close> {
        let mut missing = count;
        while missing > 0 {
            if self.buffer.is_empty() {
                self.fill("the body").await?;
            }
            let piece = self.buffer.split_to(missing.min(self.buffer.len()));
            missing -= piece.len();
            sink(&piece);
        }
        Ok(())
    }

    /// Reads everything until the peer ends the connection.
    pub async fn until_close(&mut self, sink: &mut impl FnMut(&[u8])) -> Close {
        loop {
            let piece = self.buffer.split();
            sink(&piece);
            if let Err(close) = self.fill("the end of the connection").await {
                return close;
            }
        }
    }

    /// Everything that still comes, and how the connection ended.
    pub async fn remainder(&mut self) -> (Bytes, Close) {
        let mut all = BytesMut::new();
        let close = self
            .until_close(&mut |bytes| all.extend_from_slice(bytes))
            .await;
        (all.freeze(), close)
    }

    async fn chunks(&mut self, sink: &mut impl FnMut(&[u8])) -> Result<(), Close> {
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default();
            let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_hex, "chunk size {line:?}");
            let size = usize::from_str_radix(digits, 16).expect("a size that fits");
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.exactly(size, sink).await?;
            assert_eq!(self.line().await?, "", "CRLF after a chunk");
        }
    }

    async fn line(&mut self) -> Result<String, Close> {
        loop {
            if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(at + 1);
                let line = line.strip_suffix(b"\r\n").expect("CRLF, not a bare LF");
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
            self.fill("a line of chunk framing").await?;
        }
    }

    async fn fill(&mut self, what: &str) -> Result<(), Close> {
        match within(what, self.stream.read_buf(&mut self.buffer)).await {
            Ok(0) => Err(Close::Fin),
            Ok(_) => Ok(()),
            Err(error) if is_gone(error.kind()) => Err(Close::Reset),
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

/// One GET of an absolute URL through the proxy at `proxy`, on a connection of its own.
pub async fn get(proxy: SocketAddr, url: &str) -> Response {
    get_with(proxy, url, "").await
}

/// Like [`get`], with more field lines, each ended by CRLF.
pub async fn get_with(proxy: SocketAddr, url: &str, fields: &str) -> Response {
    RawClient::connect(proxy)
        .await
        .exchange(&forward("GET", url, fields))
        .await
}

/// The text of a forward request: absolute-form, with the Host that belongs to it.
pub fn forward(method: &str, url: &str, fields: &str) -> String {
    let (_, rest) = url.split_once("://").expect("an absolute URL");
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    format!("{method} {url} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

fn short(close: Close) -> Ending {
    match close {
        Close::Fin => Ending::ShortFin,
        Close::Reset => Ending::ShortReset,
    }
}

fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}
