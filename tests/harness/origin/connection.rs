//! One connection of an origin: read a request, write its script, again.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::script::{Script, Step};
use super::{Seen, Shared};

/// Plaintext or TLS.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => stream.read_buf(buffer).await,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }

    fn reset_on_drop(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_zero_linger(),
            Self::Tls(stream) => stream.get_ref().0.set_zero_linger(),
        }
    }
}

/// What follows a script.
enum Next {
    Request,
    End,
}

/// Serves requests until either side ends; an error of the connection is the end of it as well.
pub(super) async fn serve(mut wire: Wire, shared: &Shared) {
    let mut index = 0;
    shared.record.send_modify(|record| {
        index = record.connections;
        record.connections += 1;
        record.received.push(Vec::new());
    });
    let mut buffer = BytesMut::new();
    while let Ok(Some(seen)) = request(&mut wire, &mut buffer, shared, index).await {
        let script = shared.script_for(&seen);
        shared
            .record
            .send_modify(|record| record.requests.push(seen));
        match play(&mut wire, &script).await {
            Ok(next) => {
                shared.record.send_modify(|record| record.completed += 1);
                if matches!(next, Next::End) {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

async fn play(wire: &mut Wire, script: &Script) -> io::Result<Next> {
    for step in &script.steps {
        match step {
            Step::Send(bytes) => wire.write(bytes).await?,
            Step::Repeat(bytes, length) => {
                let mut left = *length;
                while left > 0 {
                    let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    wire.write(&bytes[..count]).await?;
                    left -= count as u64;
                }
            }
            Step::Drip(bytes, pause) => {
                for byte in bytes {
                    wire.write(&[*byte]).await?;
                    tokio::time::sleep(*pause).await;
                }
            }
            Step::Wait(gate) => gate.opened().await,
            Step::Reached(gate) => gate.open(),
            Step::Close => {
                wire.close().await?;
                return Ok(Next::End);
            }
            Step::Truncate => return Ok(Next::End),
            Step::Reset => {
                wire.reset_on_drop()?;
                return Ok(Next::End);
            }
        }
    }
    Ok(Next::Request)
}

/// Reads one request with its body; none when the peer has closed between two.
async fn request(
    wire: &mut Wire,
    buffer: &mut BytesMut,
    shared: &Shared,
    index: usize,
) -> io::Result<Option<Seen>> {
    let end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        if more(wire, buffer, shared, index).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer.split_to(end)).into_owned();
    let mut seen = Seen {
        head,
        body: Vec::new(),
    };
    let is_chunked = !seen.values("transfer-encoding").is_empty();
    let length = seen
        .values("content-length")
        .first()
        .and_then(|text| text.parse().ok());
    let mut chunks = Chunks::default();
    let body_end = loop {
        match (is_chunked, length) {
            (true, _) => {
                if let Some(end) = chunks.end(buffer) {
                    break end;
                }
            }
            (false, None) => break 0,
            (false, Some(length)) if buffer.len() >= length => break length,
            _ => {}
        }
        if more(wire, buffer, shared, index).await? == 0 {
            return Ok(None);
        }
    };
    seen.body = buffer.split_to(body_end).to_vec();
    Ok(Some(seen))
}

/// Where a chunked body ends, found piece by piece.
#[derive(Default)]
struct Chunks {
    /// Where the next chunk begins.
    next: usize,
}

impl Chunks {
    /// The end, once it is in `buffer`; the trailer section is empty or was not meant to be understood.
    fn end(&mut self, buffer: &[u8]) -> Option<usize> {
        loop {
            let rest = buffer.get(self.next..)?;
            let line = rest.get(..find(&rest[..rest.len().min(64)], b"\r\n")?)?;
            let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
            let size = std::str::from_utf8(digits).unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).unwrap_or_default();
            if size == 0 {
                return find(rest, b"\r\n\r\n").map(|at| self.next + at + 4);
            }
            self.next += line.len() + 2 + size + 2;
        }
    }
}

/// Reads once and records what came.
async fn more(
    wire: &mut Wire,
    buffer: &mut BytesMut,
    shared: &Shared,
    index: usize,
) -> io::Result<usize> {
    let before = buffer.len();
    let count = wire.read(buffer).await?;
    let fresh = &buffer[before..];
    shared
        .record
        .send_modify(|record| record.received[index].extend_from_slice(fresh));
    Ok(count)
}

fn find(buffer: &[u8], pattern: &[u8]) -> Option<usize> {
    buffer
        .windows(pattern.len())
        .position(|window| window == pattern)
}
