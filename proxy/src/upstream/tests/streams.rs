//! HTTP/2 seen from inside: what is told, what is kept, and what happens when all windows are given away.

use super::tls::Authority;
use super::*;
use bytes::Bytes;
use h2::server::SendResponse;
use http::{Response, StatusCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Streams in all, see `http2`.
const STREAMS_MAX: usize = 32;

/// Speaks HTTP/2: a 103, a 200, and for `/open` no end. Says `plain` to HTTP/1.1.
struct StreamOrigin {
    address: SocketAddr,
    /// Connections that speak HTTP/2 and are open.
    open: Arc<AtomicUsize>,
}

impl StreamOrigin {
    async fn start(authority: &Authority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = authority.acceptor(|_| {});
        let mut config = rustls::ServerConfig::clone(acceptor.config());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let open = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
                tokio::spawn(async move { serve(acceptor.accept(stream).await, &counted).await });
            }
        });
        Self { address, open }
    }

    fn request(&self, path: &str) -> OriginRequest {
        let port = self.address.port();
        request(Method::GET, &format!("https://origin.test:{port}{path}"))
    }
}

async fn serve(stream: std::io::Result<TlsStream<TcpStream>>, open: &AtomicUsize) {
    let Ok(mut stream) = stream else { return };
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nplain";
        stream.write_all(plain).await.unwrap();
        return stream.shutdown().await.unwrap();
    }
    open.fetch_add(1, Ordering::SeqCst);
    if let Ok(mut connection) = h2::server::handshake(stream).await {
        while let Some(Ok((request, respond))) = connection.accept().await {
            let path = request.uri().path().to_owned();
            tokio::spawn(answer(path, respond));
        }
    }
    open.fetch_sub(1, Ordering::SeqCst);
}

async fn answer(path: String, mut respond: SendResponse<Bytes>) {
    let mut hints = Response::new(());
    *hints.status_mut() = StatusCode::EARLY_HINTS;
    hints.headers_mut().insert("link", "</a>".parse().unwrap());
    respond.send_informational(hints).unwrap();
    let mut body = respond.send_response(Response::new(()), false).unwrap();
    body.send_data(Bytes::from_static(b"streamed"), path != "/open")
        .unwrap();
    // Until the other side gives the stream up.
    let _reset = std::future::poll_fn(|context| body.poll_reset(context)).await;
}

#[tokio::test]
async fn interim_responses_of_a_stream_are_told() {
    let authority = Authority::new();
    let origin = StreamOrigin::start(&authority).await;
    let (told, mut heard) = tokio::sync::mpsc::channel(10);
    let request = OriginRequest {
        interim: Some(told),
        ..origin.request("/x")
    };
    let adapter = adapter(authority.settings());
    let mut response = adapter.fetch(request).await.unwrap();
    assert_eq!(response.framing, Framing::Chunked);
    assert_eq!(response.address, origin.address);
    assert_eq!(drain(response.body.as_mut()).await.unwrap(), b"streamed");
    assert!(response.body.next().await.unwrap().is_none(), "for good");
    let interim = heard.recv().await.unwrap();
    assert_eq!((interim.status.as_u16(), interim.headers.len()), (103, 1));
    assert!(heard.recv().await.is_none());
}

#[tokio::test]
async fn a_stream_beyond_all_windows_goes_over_http_1_1() {
    let authority = Authority::new();
    let origin = StreamOrigin::start(&authority).await;
    let adapter = adapter(authority.settings());
    let mut held = Vec::new();
    for _ in 0..STREAMS_MAX {
        held.push(adapter.fetch(origin.request("/open")).await.unwrap());
    }
    let body = fetch(&adapter, origin.request("/x")).await.unwrap();
    assert_eq!(body, b"plain");
    assert_eq!(origin.open.load(Ordering::SeqCst), STREAMS_MAX / 8);
    drop(held);
    let body = fetch(&adapter, origin.request("/x")).await.unwrap();
    assert_eq!(body, b"streamed", "windows are given back");
}

#[tokio::test]
async fn without_a_pool_every_request_has_a_connection_of_its_own() {
    let authority = Authority::new();
    let origin = StreamOrigin::start(&authority).await;
    let adapter = adapter(UpstreamSettings {
        pool_size: 0,
        ..authority.settings()
    });
    for _ in 0..3 {
        let body = fetch(&adapter, origin.request("/x")).await.unwrap();
        assert_eq!(body, b"streamed");
    }
    let stats = adapter.stats();
    assert_eq!(
        (stats.connections_opened(), stats.connections_reused()),
        (3, 0)
    );
}

#[tokio::test]
async fn a_kept_connection_serves_the_next_request() {
    let authority = Authority::new();
    let origin = StreamOrigin::start(&authority).await;
    let adapter = adapter(authority.settings());
    for _ in 0..3 {
        assert!(fetch(&adapter, origin.request("/x")).await.is_ok());
    }
    let stats = adapter.stats();
    assert_eq!(
        (stats.connections_opened(), stats.connections_reused()),
        (1, 2)
    );
}
