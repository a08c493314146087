//! One download on one connection: request, head, and a body that is checked and dropped.
//!
//! All connections read into the same buffer, which therefore stays in the processor's cache: what a receiver costs is
//! then the copy out of the socket and little else. A borrow of the buffer never lasts across an await.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::arguments::Arguments;
use crate::content::first_wrong;
use crate::head::{self, Head};

/// Bytes that are read at once: as much as one wake-up usually finds, and small enough to stay in the cache.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;

/// A transfer that brought all its bytes.
#[derive(Debug)]
pub(crate) struct Done {
    /// Bytes of the body.
    pub(crate) bytes: u64,
    /// From the start to the first byte of the response.
    pub(crate) first_byte: Duration,
    /// Whether the connection takes another request.
    pub(crate) may_be_reused: bool,
}

/// A client connection.
pub(crate) struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| format!("connecting: {error}"))?;
        Ok(Self { stream })
    }

    /// Downloads the object once. `started` is when the wait for the first byte began. Not cancel-safe: what is left of
    /// the body would be taken for the next response.
    pub(crate) async fn transfer(
        &mut self,
        arguments: &Arguments,
        buffer: &RefCell<Vec<u8>>,
        started: Instant,
    ) -> Result<Done, String> {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: weir-load\r\nAccept: */*\r\n\r\n",
            arguments.path, arguments.address
        );
        let sent = self.stream.write_all(request.as_bytes()).await;
        sent.map_err(|error| format!("sending: {error}"))?;
        let mut arrival = Arrival::new(arguments.length, started);
        while arrival.is_expected() {
            let readable = timeout(arguments.stall, self.stream.readable()).await;
            let readable = readable.map_err(|_| arrival.broken("stalled"))?;
            readable.map_err(|error| arrival.broken(&error.to_string()))?;
            self.read_once(buffer, &mut arrival)?;
        }
        arrival.done()
    }

    /// Takes in what is there; nothing being there after all is no failure.
    fn read_once(&self, buffer: &RefCell<Vec<u8>>, arrival: &mut Arrival) -> Result<(), String> {
        let mut buffer = buffer.borrow_mut();
        match self.stream.try_read(&mut buffer) {
            Ok(0) => Err(arrival.broken("closed")),
            Ok(count) => arrival.take_in(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(arrival.broken(&error.to_string())),
        }
    }
}

/// What of a response has arrived.
struct Arrival {
    length: u64,
    started: Instant,
    first_byte: Option<Duration>,
    /// Pieces of a head that is not complete; seldom more than one.
    pending: Vec<u8>,
    head: Option<Head>,
    bytes: u64,
}

impl Arrival {
    fn new(length: u64, started: Instant) -> Self {
        Self {
            length,
            started,
            first_byte: None,
            pending: Vec::new(),
            head: None,
            bytes: 0,
        }
    }

    fn is_expected(&self) -> bool {
        self.head.is_none() || self.bytes < self.length
    }

    fn broken(&self, why: &str) -> String {
        let total = self.length;
        format!("{why} at byte {} of {total}", self.bytes)
    }

    fn take_in(&mut self, piece: &[u8]) -> Result<(), String> {
        if self.first_byte.is_none() {
            self.first_byte = Some(self.started.elapsed());
        }
        if self.head.is_some() {
            return self.take_body(piece);
        }
        self.pending.extend_from_slice(piece);
        let Some(head) = head::parse(&self.pending)? else {
            return Ok(());
        };
        if head.length != self.length {
            return Err(format!("announced {} bytes", head.length));
        }
        let pending = std::mem::take(&mut self.pending);
        let body = pending.get(head.bytes..).unwrap_or_default();
        self.head = Some(head);
        self.take_body(body)
    }

    fn take_body(&mut self, piece: &[u8]) -> Result<(), String> {
        if let Some(at) = first_wrong(self.bytes, piece) {
            return Err(format!("wrong bytes at {at}"));
        }
        self.bytes += piece.len() as u64;
        if self.bytes > self.length {
            return Err(self.broken("more than announced"));
        }
        Ok(())
    }

    fn done(self) -> Result<Done, String> {
        let head = self.head.ok_or("no response")?;
        Ok(Done {
            bytes: self.bytes,
            first_byte: self.first_byte.unwrap_or_default(),
            may_be_reused: head.may_be_reused,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(length: u64) -> Arrival {
        Arrival::new(length, Instant::now())
    }

    #[test]
    fn a_response_in_pieces_is_one_response() {
        let mut arrival = arrival(4);
        for piece in ["HTTP/1.1 200 OK\r\nContent-Le", "ngth: 4\r\n\r\nab", "cd"] {
            assert!(arrival.is_expected());
            arrival.take_in(piece.as_bytes()).expect(piece);
        }
        assert!(!arrival.is_expected());
        let done = arrival.done().expect("all is there");
        assert_eq!((done.bytes, done.may_be_reused), (4, true));
    }

    #[test]
    fn another_length_or_other_bytes_are_failures() {
        let other_length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert!(arrival(4).take_in(other_length.as_bytes()).is_err());
        let other_bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsomething";
        assert!(arrival(9).take_in(other_bytes.as_bytes()).is_err());
        let too_many = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcde";
        assert!(arrival(4).take_in(too_many.as_bytes()).is_err());
    }
}
