//! Frames of HTTP/2 byte by byte (RFC 9113 §4, §6), for what no library would send.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// END_HEADERS of HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 0x4;
/// END_STREAM of HEADERS and DATA.
pub const END_STREAM: u8 = 0x1;
/// The stream of a client's first request.
pub const FIRST_STREAM: u32 = 1;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const CONTINUATION: u8 = 0x9;

/// HEADERS on the first stream.
pub fn headers(flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags, FIRST_STREAM, block)
}

/// CONTINUATION on the first stream.
pub fn continuation(flags: u8, block: &[u8]) -> Vec<u8> {
    frame(CONTINUATION, flags, FIRST_STREAM, block)
}

/// DATA on the first stream.
pub fn data(flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, FIRST_STREAM, bytes)
}

/// A field in a block, neither indexed nor compressed (RFC 7541 §6.2.2).
///
/// # Panics
/// When name or value are longer than a test needs: 127 bytes and 16 KiB.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let short = u8::try_from(name.len()).ok().filter(|length| *length < 127);
    let mut field = vec![0, short.expect("a short name")];
    field.extend_from_slice(name.as_bytes());
    field.extend_from_slice(&string_length(value.len()));
    field.extend_from_slice(value.as_bytes());
    field
}

/// An integer with a prefix of 7 bits (RFC 7541 §5.1), of at most two further bytes.
fn string_length(length: usize) -> Vec<u8> {
    let Some(rest) = length.checked_sub(127) else {
        return vec![u8::try_from(length).expect("below 127")];
    };
    let low = u8::try_from(rest % 128).expect("7 bits");
    let high = u8::try_from(rest / 128).expect("at most 16 KiB");
    vec![127, low | 0x80, high]
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Greets, waits for a request, writes `frames`, and reads until the peer has had enough.
pub(super) async fn write(stream: &mut TlsStream<TcpStream>, frames: &Bytes) {
    let greeting = frame(SETTINGS, 0, 0, &[]);
    let mut preface = [0; 24];
    let ready = stream.read_exact(&mut preface).await.is_ok()
        && stream.write_all(&greeting).await.is_ok()
        && stream.flush().await.is_ok()
        && read_until_request(stream).await;
    if ready && stream.write_all(frames).await.is_ok() && stream.flush().await.is_ok() {
        let mut rest = Vec::new();
        // Its end is all that matters; that it is reset is an end as well.
        drop(stream.read_to_end(&mut rest).await);
    }
}

async fn read_until_request(stream: &mut TlsStream<TcpStream>) -> bool {
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return false;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("a frame")];
        if stream.read_exact(&mut payload).await.is_err() {
            return false;
        }
        if head[3] == HEADERS {
            return true;
        }
    }
}
