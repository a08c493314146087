//! Bodies that end, break and stall, over in-memory streams.

use super::*;
use http::{HeaderMap, StatusCode};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task;
use tokio::io::{AsyncWriteExt, DuplexStream, ReadBuf};

/// A scripted connection: pieces in order, then an end of some kind.
struct Script {
    pieces: std::vec::IntoIter<Vec<u8>>,
    end: End,
    kept: Arc<AtomicBool>,
}

#[derive(Clone, Copy)]
enum End {
    Close,
    Error(io::ErrorKind),
    Silence,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> task::Poll<io::Result<()>> {
        match (self.pieces.next(), self.end) {
            (Some(piece), _) => {
                // What does not fit is read next, as from a socket.
                let (now, later) = piece.split_at(piece.len().min(buffer.remaining()));
                buffer.put_slice(now);
                if !later.is_empty() {
                    let rest = std::iter::once(later.to_vec()).chain(self.pieces.by_ref());
                    self.pieces = rest.collect::<Vec<_>>().into_iter();
                }
                task::Poll::Ready(Ok(()))
            }
            (None, End::Close) => task::Poll::Ready(Ok(())),
            (None, End::Error(kind)) => task::Poll::Ready(Err(kind.into())),
            (None, End::Silence) => task::Poll::Pending,
        }
    }
}

impl Conduit for Script {
    fn keep(self) {
        self.kept.store(true, Ordering::Relaxed);
    }
}

impl Conduit for DuplexStream {
    fn keep(self) {}
}

const STALL: Duration = Duration::from_secs(30);

fn head(framing: Framing) -> Head {
    let persistence = Persistence::Keep;
    Head {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        framing,
        persistence,
    }
}

fn context() -> Context {
    let stats = Arc::new(UpstreamStats::default());
    Context {
        origin: "o:1".to_owned(),
        stall_timeout: STALL,
        stats,
    }
}

/// Reads the body to its end; says also whether the connection was kept.
async fn read(
    framing: Framing,
    early: &[u8],
    pieces: &[&[u8]],
    end: End,
) -> (Vec<u8>, Result<(), OriginError>, bool) {
    let pieces: Vec<Vec<u8>> = pieces
        .iter()
        .map(|piece| piece.to_vec())
        .filter(|p| !p.is_empty())
        .collect();
    let kept = Arc::new(AtomicBool::new(false));
    let script = Script {
        pieces: pieces.into_iter(),
        end,
        kept: Arc::clone(&kept),
    };
    let mut body = HttpBody::new(script, BytesMut::from(early), &head(framing), context());
    let mut bytes = Vec::new();
    let outcome = loop {
        match body.next().await {
            Ok(Some(piece)) => {
                assert!(!piece.is_empty() && piece.len() <= READ_BYTES_MAX);
                bytes.extend_from_slice(&piece);
            }
            Ok(None) => break Ok(()),
            Err(error) => {
                assert_eq!(body.next().await, Err(error.clone()), "an error stays");
                break Err(error);
            }
        }
    };
    (bytes, outcome, kept.load(Ordering::Relaxed))
}

fn truncated<T: std::fmt::Debug>(outcome: &Result<T, OriginError>) -> bool {
    matches!(outcome, Err(OriginError::Truncated(..)))
}

#[tokio::test]
async fn a_body_ends_where_content_length_says_and_frees_its_connection() {
    for split in 0..=5 {
        let (early, late) = b"hello".split_at(split);
        let (bytes, outcome, kept) = read(Framing::Length(5), early, &[late], End::Silence).await;
        assert_eq!(
            (bytes.as_slice(), outcome, kept),
            (&b"hello"[..], Ok(()), true)
        );
    }
    assert_eq!(
        read(Framing::None, b"", &[], End::Silence).await,
        (vec![], Ok(()), true)
    );
    assert_eq!(
        read(Framing::Length(0), b"", &[], End::Silence).await,
        (vec![], Ok(()), true)
    );
}

#[tokio::test]
async fn the_connection_is_free_with_the_last_byte_before_the_end_is_asked_for() {
    let kept = Arc::new(AtomicBool::new(false));
    let pieces = vec![b"hello".to_vec()].into_iter();
    let script = Script {
        pieces,
        end: End::Silence,
        kept: Arc::clone(&kept),
    };
    let mut body = HttpBody::new(
        script,
        BytesMut::new(),
        &head(Framing::Length(5)),
        context(),
    );
    assert_eq!(body.next().await.unwrap().unwrap().as_ref(), b"hello");
    assert!(kept.load(Ordering::Relaxed));
}

#[tokio::test]
async fn row_117_a_short_body_is_an_error() {
    let reset = End::Error(io::ErrorKind::ConnectionReset);
    let no_close_notify = End::Error(io::ErrorKind::UnexpectedEof);
    for end in [End::Close, reset, no_close_notify] {
        for framing in [Framing::Length(6), Framing::Length(u64::MAX)] {
            let (bytes, outcome, kept) = read(framing, b"he", &[b"llo"], end).await;
            assert_eq!(bytes, b"hello");
            assert!(truncated(&outcome) && !kept, "{outcome:?}");
        }
        let (bytes, outcome, kept) = read(Framing::Chunked, b"5\r\nhello\r\n", &[], end).await;
        assert_eq!(bytes, b"hello");
        assert!(truncated(&outcome) && !kept, "{outcome:?}");
    }
}

#[tokio::test]
async fn row_118_bytes_behind_the_end_spend_the_connection() {
    let check = |framing, early: &'static [u8]| async move {
        let (bytes, outcome, kept) = read(framing, early, &[], End::Silence).await;
        assert_eq!((outcome, kept), (Ok(()), false));
        bytes
    };
    assert_eq!(
        check(Framing::Length(5), b"helloHTTP/1.1 200 OK").await,
        b"hello"
    );
    assert_eq!(check(Framing::None, b"body of a 304").await, b"");
    assert_eq!(
        check(Framing::Chunked, b"5\r\nhello\r\n0\r\n\r\nx").await,
        b"hello"
    );
}

#[tokio::test]
async fn row_123_until_close_ends_by_fin_and_breaks_by_reset() {
    let (bytes, outcome, _) = read(Framing::UntilClose, b"he", &[b"llo"], End::Close).await;
    assert_eq!((bytes.as_slice(), outcome), (&b"hello"[..], Ok(())));
    for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof] {
        let (bytes, outcome, _) =
            read(Framing::UntilClose, b"", &[b"hello"], End::Error(kind)).await;
        assert_eq!(bytes, b"hello");
        assert!(truncated(&outcome), "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up() {
    let started = tokio::time::Instant::now();
    let (bytes, outcome, kept) = read(Framing::Length(6), b"", &[b"hello"], End::Silence).await;
    assert_eq!(bytes, b"hello");
    assert_eq!(
        (outcome, kept),
        (Err(OriginError::Stalled("o:1".to_owned())), false)
    );
    assert_eq!(started.elapsed(), STALL);
}

#[tokio::test]
async fn a_broken_body_is_counted_once() {
    let context = context();
    let stats = Arc::clone(&context.stats);
    let script = Script {
        pieces: vec![].into_iter(),
        end: End::Close,
        kept: Arc::default(),
    };
    let mut body = HttpBody::new(script, BytesMut::new(), &head(Framing::Length(1)), context);
    for _ in 0..3 {
        assert!(truncated(&body.next().await));
    }
    assert_eq!(stats.errors().map(|(_, count)| count).sum::<u64>(), 1);
}

#[tokio::test]
async fn a_body_dropped_half_way_closes_its_connection() {
    let (mut origin, conduit) = tokio::io::duplex(64);
    origin.write_all(b"he").await.unwrap();
    let mut body = HttpBody::new(
        conduit,
        BytesMut::new(),
        &head(Framing::Length(5)),
        context(),
    );
    assert_eq!(body.next().await.unwrap().unwrap().as_ref(), b"he");
    drop(body);
    assert_eq!(
        origin.write_all(b"llo").await.unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
}

#[tokio::test]
async fn large_bodies_come_in_large_pieces_of_one_reused_block() {
    let whole = vec![7_u8; 3 * READ_BYTES_MAX + 11];
    let length = u64::try_from(whole.len()).unwrap();
    let pieces = vec![whole.clone()].into_iter();
    let script = Script {
        pieces,
        end: End::Silence,
        kept: Arc::default(),
    };
    let mut body = HttpBody::new(
        script,
        BytesMut::new(),
        &head(Framing::Length(length)),
        context(),
    );
    let mut sizes = Vec::new();
    while let Some(piece) = body.next().await.unwrap() {
        sizes.push(piece.len());
    }
    assert_eq!(sizes, [READ_BYTES_MAX, READ_BYTES_MAX, READ_BYTES_MAX, 11]);
}

#[tokio::test]
async fn a_drip_does_not_pin_a_block_per_piece() {
    let drips = vec![vec![7_u8; 100]; 1000].into_iter();
    let script = Script {
        pieces: drips,
        end: End::Close,
        kept: Arc::default(),
    };
    let mut body = HttpBody::new(
        script,
        BytesMut::new(),
        &head(Framing::UntilClose),
        context(),
    );
    let mut held: Vec<Bytes> = Vec::new();
    while let Some(piece) = body.next().await.unwrap() {
        held.push(piece);
    }
    // Pieces of one block lie side by side; 100 kB fit in a single block.
    let neighbors = held
        .windows(2)
        .filter(|pair| pair[0].as_ptr_range().end == pair[1].as_ptr());
    assert_eq!(neighbors.count(), held.len() - 1);
}
