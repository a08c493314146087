//! What the tests of the front stand on: a raw client, a scripted handler, a real pass proxy and a raw recording
//! origin, all on 127.0.0.1.

use super::super::*;
use crate::pass::{PeerSource, RecordSink, UnsafeObserver};
use crate::record::Record;
use http::StatusCode;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use std::collections::VecDeque;
use std::io::{IoSlice, Write as _};
use std::os::fd::AsFd;
use std::sync::{Mutex, OnceLock};
use std::time::SystemTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use weir_policies::outcome::Outcome;
use weir_policies::target::Target;

/// Far longer than anything here takes; only a hang gets there.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct StillClock;

impl Clock for StillClock {
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
    fn elapsed(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// Answers `/hit`, `/hold`, `/file`, `/abort` itself; passes everything else.
pub(super) struct Scripted {
    pub(super) origin: SocketAddr,
    /// Permits for `/hold`, and how many requests reached it.
    pub(super) hold: Semaphore,
    pub(super) held: mpsc::Sender<()>,
    pub(super) rejected: Mutex<Vec<(u16, &'static str)>>,
    pub(super) file: std::fs::File,
}

#[async_trait]
impl Handler for Scripted {
    async fn handle(&self, conn: &mut Conn, request: &Request) -> Flow {
        let connection = if request.keep_alive {
            "keep-alive"
        } else {
            "close"
        };
        let flow = if request.keep_alive {
            Flow::KeepAlive
        } else {
            Flow::Close
        };
        let head = |length: usize| {
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n"
            )
        };
        match request.target.as_str() {
            "/hit" => {
                let head = head(3);
                let mut parts = [
                    IoSlice::new(head.as_bytes()),
                    IoSlice::new(b""),
                    IoSlice::new(b"hit"),
                ];
                conn.write_vectored_all(&mut parts).await.unwrap();
            }
            "/hold" => {
                self.held.send(()).await.unwrap();
                self.hold.acquire().await.unwrap().forget();
                conn.write_all(format!("{}held", head(4)).as_bytes())
                    .await
                    .unwrap();
            }
            "/file" => self.send_file(conn, &head(FILE_BYTES)).await,
            "/abort" => {
                conn.write_all(b"HTTP/1.1 200 OK\r\n\r\npart")
                    .await
                    .unwrap();
                conn.abort();
                return Flow::Close;
            }
            path => return self.pass(conn, path),
        }
        flow
    }

    fn rejected(&self, _: SocketAddr, status: u16, reason: &'static str, _: &[u8]) {
        self.rejected.lock().unwrap().push((status, reason));
    }
}

pub(super) const FILE_BYTES: usize = 3_000_000;

impl Scripted {
    fn pass(&self, conn: &Conn, path: &str) -> Flow {
        let target = Target::parse(&format!("http://{}{path}", self.origin)).unwrap();
        Flow::Pass(Box::new(PassOrder {
            identity: target.clone(),
            target,
            record: record(conn.client()),
        }))
    }

    async fn send_file(&self, conn: &mut Conn, head: &str) {
        conn.write_ahead(head.as_bytes()).await.unwrap();
        let mut sent = 0;
        while sent < FILE_BYTES {
            let offset = u64::try_from(sent).unwrap();
            match conn.try_sendfile(self.file.as_fd(), offset, FILE_BYTES - sent) {
                Ok(bytes) => sent += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    conn.writable().await.unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn record(client: SocketAddr) -> Record {
    let mut record = Record::new(1, client, SystemTime::UNIX_EPOCH, Duration::ZERO);
    record.outcome = Outcome::Pass;
    record
}

/// Pins every target to its own addresses, except those that start with `/refused`.
struct Pinned {
    addresses: Vec<SocketAddr>,
    connected: Arc<Mutex<Vec<SocketAddr>>>,
}

#[async_trait]
impl PeerSource for Pinned {
    async fn peers(&self, target: &Target) -> Result<VecDeque<HttpPeer>, (u16, String)> {
        if target.path().starts_with("/refused") {
            return Err((403, "the address is private".into()));
        }
        let peer = |address: &SocketAddr| HttpPeer::new(address, false, String::new());
        Ok(self.addresses.iter().map(peer).collect())
    }

    fn connected(&self, _: &Target, address: SocketAddr) {
        self.connected.lock().unwrap().push(address);
    }
}

#[derive(Default)]
pub(super) struct Records(Mutex<Vec<Record>>);

/// Method, path and status of every final head from an upstream.
#[derive(Default)]
pub(super) struct Heads(pub(super) Mutex<Vec<(String, String, u16)>>);

#[async_trait]
impl UnsafeObserver for Heads {
    async fn answered(&self, method: &Method, target: &Target, status: StatusCode, _: &HeaderMap) {
        let head = (
            method.to_string(),
            target.path().to_owned(),
            status.as_u16(),
        );
        self.0.lock().unwrap().push(head);
    }
}

impl RecordSink for Records {
    fn finished(&self, record: Record) {
        self.0.lock().unwrap().push(record);
    }
}

/// An origin that records what it gets and answers with `response` when it has a permit. `close`: it closes then.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    pub(super) arrived: tokio::sync::Mutex<mpsc::Receiver<()>>,
    pub(super) permits: Arc<Semaphore>,
}

impl Origin {
    pub(super) async fn start(
        response: &'static str,
        permits: usize,
        ending: OriginEnding,
    ) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (sender, arrived) = mpsc::channel(100);
        let origin = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            arrived: tokio::sync::Mutex::new(arrived),
            permits: Arc::new(Semaphore::new(permits)),
        });
        let (requests, permits) = (Arc::clone(&origin.requests), Arc::clone(&origin.permits));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (requests, permits) = (Arc::clone(&requests), Arc::clone(&permits));
                let sender = sender.clone();
                tokio::spawn(async move {
                    serve_origin(stream, response, ending, &requests, &permits, sender).await;
                });
            }
        });
        origin
    }

    pub(super) async fn wait_for_request(&self) {
        let mut arrived = self.arrived.lock().await;
        timeout(PATIENCE, arrived.recv()).await.unwrap().unwrap();
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OriginEnding {
    Stay,
    Close,
    Reset,
    /// At the second request, which is not answered.
    CloseUnanswered,
}

async fn serve_origin(
    mut stream: TcpStream,
    response: &str,
    ending: OriginEnding,
    requests: &Mutex<Vec<String>>,
    permits: &Semaphore,
    arrived: mpsc::Sender<()>,
) {
    let mut pending = String::new();
    let mut is_kept = false;
    loop {
        let Some(request) = read_request(&mut stream, &mut pending).await else {
            requests.lock().unwrap().push(format!("broken: {pending}"));
            return;
        };
        requests.lock().unwrap().push(request);
        if arrived.send(()).await.is_err() {
            return;
        }
        if ending == OriginEnding::CloseUnanswered && is_kept {
            return;
        }
        is_kept = true;
        permits.acquire().await.unwrap().forget();
        stream.write_all(response.as_bytes()).await.unwrap();
        match ending {
            OriginEnding::Stay | OriginEnding::CloseUnanswered => {}
            OriginEnding::Close => return,
            OriginEnding::Reset => return stream.set_zero_linger().unwrap(),
        }
    }
}

/// Head and body of one request, raw. `None`: the connection ended before.
async fn read_request(stream: &mut TcpStream, pending: &mut String) -> Option<String> {
    loop {
        if let Some(length) = whole_length(pending) {
            let rest = pending.split_off(length);
            return Some(std::mem::replace(pending, rest));
        }
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes).await {
            Ok(length) if length > 0 => {
                pending.push_str(std::str::from_utf8(&bytes[..length]).unwrap())
            }
            _ => return None,
        }
    }
}

fn whole_length(message: &str) -> Option<usize> {
    let head = message.find("\r\n\r\n")? + 4;
    if message[..head].contains("hunked") {
        return Some(head + message[head..].find("0\r\n\r\n")? + 5);
    }
    let length = head + content_length(&message[..head]).unwrap_or(0);
    (message.len() >= length).then_some(length)
}

fn content_length(head: &str) -> Option<usize> {
    head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    })
}

/// A front with everything around it.
pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) front: Arc<Front<Scripted>>,
    pub(super) handler: Arc<Scripted>,
    pub(super) held: mpsc::Receiver<()>,
    pub(super) records: Arc<Records>,
    /// Upstream connections that came about.
    pub(super) connected: Arc<Mutex<Vec<SocketAddr>>>,
    pub(super) heads: Arc<Heads>,
    pub(super) shutdown: watch::Sender<bool>,
    pub(super) served: JoinHandle<()>,
}

pub(super) fn settings() -> FrontSettings {
    FrontSettings {
        node: "node".into(),
        head_timeout: PATIENCE,
        head_bytes_max: 64 * 1024,
        head_fields_max: 100,
        target_bytes_max: 16 * 1024,
        idle_timeout: PATIENCE,
        send_timeout: PATIENCE,
        connections_max: 100,
        connections_per_client_max: 100,
    }
}

fn file() -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![b'f'; FILE_BYTES]).unwrap();
    file
}

impl World {
    pub(super) async fn start(settings: FrontSettings, origin: SocketAddr) -> Self {
        Self::with_addresses(settings, origin, vec![origin]).await
    }

    /// A front for which `origin` is to be found at one of `addresses`.
    pub(super) async fn with_addresses(
        settings: FrontSettings,
        origin: SocketAddr,
        addresses: Vec<SocketAddr>,
    ) -> Self {
        static CRYPTO: OnceLock<()> = OnceLock::new();
        CRYPTO.get_or_init(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let (held, held_receiver) = mpsc::channel(100);
        let handler = Arc::new(Scripted {
            origin,
            hold: Semaphore::new(0),
            held,
            rejected: Mutex::default(),
            file: file(),
        });
        let clock: Arc<dyn Clock> = Arc::new(StillClock);
        let records = Arc::new(Records::default());
        let connected = Arc::default();
        let heads = Arc::new(Heads::default());
        let peers = Pinned {
            addresses,
            connected: Arc::clone(&connected),
        };
        let pass = Pass::new(
            Arc::new(peers),
            Arc::clone(&records) as Arc<dyn RecordSink>,
            Arc::clone(&heads) as Arc<dyn UnsafeObserver>,
            Arc::clone(&clock),
            settings.node.clone(),
        );
        let proxy = pass.into_proxy(&Arc::new(ServerConf::default()));
        let front = Arc::new(Front::new(settings, Arc::clone(&handler), proxy, clock));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, signal) = watch::channel(false);
        let served = tokio::spawn(Arc::clone(&front).serve(listener, signal));
        Self {
            address,
            front,
            handler,
            held: held_receiver,
            records,
            connected,
            heads,
            shutdown,
            served,
        }
    }

    /// A front whose handler answers everything, or whose origin nobody asks.
    pub(super) async fn local(settings: FrontSettings) -> Self {
        Self::start(settings, SocketAddr::from(([127, 0, 0, 1], 9))).await
    }

    pub(super) async fn client(&self) -> Client {
        Client {
            stream: TcpStream::connect(self.address).await.unwrap(),
            pending: Vec::new(),
        }
    }

    pub(super) fn rejected(&self) -> Vec<u16> {
        self.handler
            .rejected
            .lock()
            .unwrap()
            .iter()
            .map(|(status, _)| *status)
            .collect()
    }

    /// The records, once there are `count`.
    pub(super) async fn records(&self, count: usize) -> Vec<Record> {
        let enough = async {
            while self.records.0.lock().unwrap().len() < count {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, enough).await.unwrap();
        self.records.0.lock().unwrap().clone()
    }
}

/// A client that sends what it is told, byte for byte.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    pub(super) pending: Vec<u8>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    /// In lower case.
    pub(super) head: String,
    /// As it came.
    pub(super) raw_head: String,
    pub(super) body: String,
}

impl Client {
    pub(super) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn fill(&mut self) -> io::Result<usize> {
        timeout(PATIENCE, self.stream.read_buf(&mut self.pending))
            .await
            .expect("a hang")
    }

    /// One response with Content-Length, or without a body.
    pub(super) async fn answer(&mut self) -> Answer {
        loop {
            let text = String::from_utf8(self.pending.clone()).unwrap();
            if let Some(length) = whole_length(&text) {
                self.pending.drain(..length);
                let (head, body) = text[..length].split_once("\r\n\r\n").unwrap();
                let status = head[9..12].parse().unwrap();
                return Answer {
                    status,
                    head: head.to_ascii_lowercase(),
                    raw_head: head.into(),
                    body: body.into(),
                };
            }
            assert!(self.fill().await.unwrap() > 0, "closed behind {text:?}");
        }
    }

    pub(super) async fn status(&mut self, request: &str) -> u16 {
        self.send(request).await;
        self.answer().await.status
    }

    /// Everything up to the end of the connection.
    pub(super) async fn rest(&mut self) -> io::Result<String> {
        while self.fill().await? > 0 {}
        Ok(String::from_utf8(std::mem::take(&mut self.pending)).unwrap())
    }
}

pub(super) const HIT: &str = "GET /hit HTTP/1.1\r\nHost: h\r\n\r\n";
pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npassed";
