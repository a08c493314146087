//! Origins that do exactly what a script says, on 127.0.0.1 and a free port.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What an origin does with one request, once its head has been read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Writes this and waits for the next request.
    Answer(&'static str),
    /// Writes this and closes in good order (TLS: with close_notify).
    AnswerAndClose(&'static str),
    /// Writes this and closes the TCP connection with a FIN, TLS or not.
    AnswerAndCut(&'static str),
    /// Writes this and, when it has arrived, resets the connection.
    AnswerAndReset(&'static str),
    /// One byte every 20 ms.
    Drip(&'static str),
    Close,
    Reset,
    Silence,
}

/// A running origin; ends when dropped.
pub(super) struct FakeOrigin {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    /// Acts by connection; the last list serves all later ones.
    script: Vec<Vec<Act>>,
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
    /// How many connections the other side has closed.
    closed: watch::Sender<usize>,
    tls: Option<TlsAcceptor>,
}

impl FakeOrigin {
    pub(super) async fn start(script: Vec<Vec<Act>>) -> Self {
        Self::run(script, None).await
    }

    pub(super) async fn start_tls(script: Vec<Vec<Act>>, tls: TlsAcceptor) -> Self {
        Self::run(script, Some(tls)).await
    }

    async fn run(script: Vec<Vec<Act>>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            script,
            connections: AtomicUsize::new(0),
            requests: Mutex::default(),
            closed: watch::Sender::new(0),
            tls,
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            task,
        }
    }

    /// Connections accepted so far.
    pub(super) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Request heads received so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Waits until the other side has closed `count` connections.
    pub(super) async fn closed(&self, count: usize) {
        let mut closed = self.state.closed.subscribe();
        closed.wait_for(|closed| *closed >= count).await.unwrap();
    }
}

impl Drop for FakeOrigin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let index = state.connections.fetch_add(1, Ordering::Relaxed);
        let acts = state
            .script
            .get(index)
            .or(state.script.last())
            .cloned()
            .unwrap_or_default();
        tokio::spawn(serve(stream, acts, Arc::clone(&state)));
    }
}

async fn serve(tcp: TcpStream, acts: Vec<Act>, state: Arc<State>) {
    // A handshake that fails and a connection that breaks are what some tests are about.
    let _broken = match &state.tls {
        None => play(tcp, acts, &state, |tcp| tcp).await,
        Some(tls) => match tls.accept(tcp).await {
            Ok(stream) => play(stream, acts, &state, |stream| stream.into_inner().0).await,
            Err(error) => Err(error),
        },
    };
}

async fn play<S>(
    mut stream: S,
    acts: Vec<Act>,
    state: &State,
    tcp: fn(S) -> TcpStream,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for act in acts {
        let Some(request) = read_head(&mut stream).await? else {
            break;
        };
        state.requests.lock().unwrap().push(request);
        match act {
            Act::Answer(bytes) => write(&mut stream, bytes).await?,
            Act::AnswerAndClose(bytes) => {
                write(&mut stream, bytes).await?;
                return stream.shutdown().await;
            }
            Act::AnswerAndCut(bytes) => {
                write(&mut stream, bytes).await?;
                return tcp(stream).shutdown().await;
            }
            Act::AnswerAndReset(bytes) => {
                write(&mut stream, bytes).await?;
                // A reset overtakes what was not read yet; let it be read first.
                tokio::time::sleep(Duration::from_millis(100)).await;
                return tcp(stream).set_zero_linger();
            }
            Act::Drip(bytes) => {
                for byte in bytes.as_bytes().chunks(1) {
                    stream.write_all(byte).await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Act::Close => return stream.shutdown().await,
            Act::Reset => return tcp(stream).set_zero_linger(),
            Act::Silence => {}
        }
    }
    // Nothing left to do but to notice when the other side goes.
    let _end = stream.read_to_end(&mut Vec::new()).await;
    state.closed.send_modify(|closed| *closed += 1);
    Ok(())
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &str) -> io::Result<()> {
    stream.write_all(bytes.as_bytes()).await?;
    stream.flush().await
}

/// One request head; `None` when the other side closed instead.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// A listener whose queue is full: further connections get no answer at all.
pub(super) struct BlackHole {
    pub(super) address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

pub(super) async fn black_hole(ip: &str, port: u16) -> BlackHole {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(ip.parse().unwrap(), port))
        .unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    // The kernel decides how many fit; the first that gets no answer shows that the queue is full.
    for _ in 0..64 {
        let attempt = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address));
        match attempt.await {
            Ok(connected) => queued.push(connected.unwrap()),
            Err(_) => {
                return BlackHole {
                    address,
                    _listener: listener,
                    _queued: queued,
                };
            }
        }
    }
    panic!("the queue of {address} never fills");
}
