//! The front over real sockets: a raw client, a real pass proxy, a raw recording origin, all on 127.0.0.1.

use super::*;
use crate::pass::{PeerSource, RecordSink};
use crate::record::Record;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
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
const PATIENCE: Duration = Duration::from_secs(20);

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
struct Scripted {
    origin: SocketAddr,
    /// Permits for `/hold`, and how many requests reached it.
    hold: Semaphore,
    held: mpsc::Sender<()>,
    rejected: Mutex<Vec<(u16, &'static str)>>,
    file: std::fs::File,
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

const FILE_BYTES: usize = 3_000_000;

impl Scripted {
    fn pass(&self, conn: &Conn, path: &str) -> Flow {
        Flow::Pass(Box::new(PassOrder {
            target: Target::parse(&format!("http://{}{path}", self.origin)).unwrap(),
            record: record(conn.client()),
        }))
    }

    async fn send_file(&self, conn: &mut Conn, head: &str) {
        conn.cork();
        conn.write_all(head.as_bytes()).await.unwrap();
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
        conn.uncork();
    }
}

fn record(client: SocketAddr) -> Record {
    Record {
        request_id: 1,
        started_at: SystemTime::UNIX_EPOCH,
        started: Duration::ZERO,
        duration: Duration::ZERO,
        first_byte: None,
        client,
        method: String::new(),
        url: String::new(),
        version: "HTTP/1.1",
        form: None,
        status: 0,
        outcome: Outcome::Pass,
        detail: None,
        head_bytes: 0,
        body_bytes: 0,
        complete: false,
        upstream: None,
        referer: None,
        user_agent: None,
        media_type: None,
        rule: None,
    }
}

/// Pins every target to its own address, except those that start with `/refused`.
struct Pinned(SocketAddr);

#[async_trait]
impl PeerSource for Pinned {
    async fn peer(&self, target: &Target) -> Result<Box<HttpPeer>, (u16, String)> {
        if target.path().starts_with("/refused") {
            return Err((403, "the address is private".into()));
        }
        Ok(Box::new(HttpPeer::new(self.0, false, String::new())))
    }
}

#[derive(Default)]
struct Records(Mutex<Vec<Record>>);

impl RecordSink for Records {
    fn finished(&self, record: Record) {
        self.0.lock().unwrap().push(record);
    }
}

/// An origin that records what it gets and answers with `response` when it has a permit. `close`: it closes then.
struct Origin {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    arrived: tokio::sync::Mutex<mpsc::Receiver<()>>,
    permits: Arc<Semaphore>,
}

impl Origin {
    async fn start(response: &'static str, permits: usize, ending: OriginEnding) -> Arc<Self> {
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

    async fn wait_for_request(&self) {
        let mut arrived = self.arrived.lock().await;
        timeout(PATIENCE, arrived.recv()).await.unwrap().unwrap();
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OriginEnding {
    Stay,
    Close,
    Reset,
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
    loop {
        let Some(request) = read_request(&mut stream, &mut pending).await else {
            requests.lock().unwrap().push(format!("broken: {pending}"));
            return;
        };
        requests.lock().unwrap().push(request);
        let _ = arrived.send(()).await;
        permits.acquire().await.unwrap().forget();
        stream.write_all(response.as_bytes()).await.unwrap();
        match ending {
            OriginEnding::Stay => {}
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
struct World {
    address: SocketAddr,
    handler: Arc<Scripted>,
    held: mpsc::Receiver<()>,
    records: Arc<Records>,
    shutdown: watch::Sender<bool>,
    served: JoinHandle<()>,
}

fn settings() -> FrontSettings {
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
    async fn start(settings: FrontSettings, origin: SocketAddr) -> Self {
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
        let pass = Pass::new(
            Arc::new(Pinned(origin)),
            Arc::clone(&records) as Arc<dyn RecordSink>,
            Arc::clone(&clock),
            settings.node.clone(),
        );
        let proxy = pass.into_proxy(&Arc::new(ServerConf::default()));
        let front = Arc::new(Front::new(settings, Arc::clone(&handler), proxy, clock));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, signal) = watch::channel(false);
        let served = tokio::spawn(front.serve(listener, signal));
        Self {
            address,
            handler,
            held: held_receiver,
            records,
            shutdown,
            served,
        }
    }

    /// A front whose handler answers everything, or whose origin nobody asks.
    async fn local(settings: FrontSettings) -> Self {
        Self::start(settings, SocketAddr::from(([127, 0, 0, 1], 9))).await
    }

    async fn client(&self) -> Client {
        Client {
            stream: TcpStream::connect(self.address).await.unwrap(),
            pending: Vec::new(),
        }
    }

    fn rejected(&self) -> Vec<u16> {
        self.handler
            .rejected
            .lock()
            .unwrap()
            .iter()
            .map(|(status, _)| *status)
            .collect()
    }

    /// The records, once there are `count`.
    async fn records(&self, count: usize) -> Vec<Record> {
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
struct Client {
    stream: TcpStream,
    pending: Vec<u8>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Client {
    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn fill(&mut self) -> io::Result<usize> {
        timeout(PATIENCE, self.stream.read_buf(&mut self.pending))
            .await
            .expect("a hang")
    }

    /// One response with Content-Length, or without a body.
    async fn answer(&mut self) -> Answer {
        loop {
            let text = String::from_utf8(self.pending.clone()).unwrap();
            if let Some(length) = whole_length(&text) {
                self.pending.drain(..length);
                let (head, body) = text[..length].split_once("\r\n\r\n").unwrap();
                let status = head[9..12].parse().unwrap();
                return Answer {
                    status,
                    head: head.to_ascii_lowercase(),
                    body: body.into(),
                };
            }
            assert!(self.fill().await.unwrap() > 0, "closed behind {text:?}");
        }
    }

    async fn status(&mut self, request: &str) -> u16 {
        self.send(request).await;
        self.answer().await.status
    }

    /// Everything up to the end of the connection.
    async fn rest(&mut self) -> io::Result<String> {
        while self.fill().await? > 0 {}
        Ok(String::from_utf8(std::mem::take(&mut self.pending)).unwrap())
    }
}

const HIT: &str = "GET /hit HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npassed";

#[tokio::test]
async fn three_pipelined_requests_of_which_the_second_is_hostile() {
    let origin = Origin::start(OK, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send(
            "POST /first HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody\
             POST /hostile HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
             POST /third HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(client.answer().await.status, 400);
    assert_eq!(client.rest().await.unwrap(), "");
    let requests = origin.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(
        requests[0].starts_with("POST /first HTTP/1.1\r\n"),
        "{requests:?}"
    );
    assert!(requests[0].ends_with("\r\n\r\nbody"), "{requests:?}");
    assert_eq!(world.rejected(), [400]);
}

#[tokio::test]
async fn the_next_request_that_arrives_while_a_response_is_pending_is_answered_afterwards() {
    let origin = Origin::start(OK, 0, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /pending HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    origin.wait_for_request().await;
    for piece in ["G", "ET /hit HTT", "P/1.1\r\nHost: h\r\n\r\n"] {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    origin.permits.add_permits(1);
    assert_eq!(client.answer().await.body, "passed");
    assert_eq!(client.answer().await.body, "hit");
    assert_eq!(client.status(HIT).await, 200);
}

#[tokio::test]
async fn a_chunked_upload_keeps_the_connection_and_the_request_behind_it() {
    let origin = Origin::start(OK, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send(&format!(
            "POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{HIT}"
        ))
        .await;
    assert_eq!(client.answer().await.body, "passed");
    assert_eq!(client.answer().await.body, "hit");
    assert!(
        origin.requests()[0].contains("hello"),
        "{:?}",
        origin.requests()
    );
}

#[tokio::test]
async fn row_10_a_malformed_chunk_is_answered_400_and_aborts_the_upstream() {
    let origin = Origin::start(OK, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0x1\r\na\r\n0\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 400);
    assert_eq!(client.rest().await.unwrap(), "");
    let record = &world.records(1).await[0];
    assert_eq!((record.status, record.outcome), (400, Outcome::Refused));
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.starts_with("broken"))
    );
}

#[tokio::test]
async fn a_passed_request_ends_in_one_record() {
    let origin = Origin::start(OK, 1, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert!(answer.head.contains("\r\nvia: 1.1 node"), "{}", answer.head);
    assert!(
        answer.head.contains("\r\nconnection: keep-alive"),
        "{}",
        answer.head
    );
    let records = world.records(1).await;
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(
        (record.status, record.body_bytes, record.complete),
        (200, 6, true)
    );
    assert_eq!(record.upstream, Some(origin.address));
    assert_eq!(record.duration, Duration::from_secs(1));
}

#[tokio::test]
async fn a_refused_peer_is_said_to_the_client_and_the_log() {
    let world = World::local(settings()).await;
    let mut client = world.client().await;
    client
        .send("POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 403);
    assert!(
        answer.body.contains("the address is private"),
        "{}",
        answer.body
    );
    assert!(
        answer.head.contains("\r\nx-content-type-options: nosniff"),
        "{}",
        answer.head
    );
    assert_eq!(client.rest().await.unwrap(), "");
    let record = &world.records(1).await[0];
    assert_eq!(
        (record.status, record.outcome, record.complete),
        (403, Outcome::Refused, false)
    );
}

#[tokio::test]
async fn row_129_an_unasked_101_is_a_broken_upstream() {
    let response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n";
    let origin = Origin::start(response, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    let request = "POST /p HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(client.status(request).await, 502);
    assert!(
        !origin.requests()[0]
            .to_ascii_lowercase()
            .contains("upgrade")
    );
}

#[tokio::test]
async fn row_114_a_flood_of_interim_responses_is_a_broken_upstream() {
    static FLOOD: OnceLock<String> = OnceLock::new();
    let response = FLOOD.get_or_init(|| "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(11) + OK);
    let origin = Origin::start(response, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    let everything = client.rest().await.unwrap();
    assert!(everything.matches(" 103 ").count() <= 10, "{everything}");
    assert!(!everything.contains("passed"), "{everything}");
}

#[tokio::test]
async fn row_128_a_204_says_no_length_and_the_connection_goes_on() {
    let response =
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n";
    let origin = Origin::start(response, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client.send("DELETE /p HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 204);
    assert!(!answer.head.contains("content-length"), "{}", answer.head);
    assert!(!answer.head.contains("x-hop"), "{}", answer.head);
    assert_eq!(client.status(HIT).await, 200);
}

#[tokio::test]
async fn row_123_a_response_until_close_is_relayed_until_close() {
    let response = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
    let origin = Origin::start(response, 10, OriginEnding::Close).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    let response = client.rest().await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "until the end");
    assert!(
        head.to_ascii_lowercase().contains("\r\nconnection: close"),
        "{head}"
    );
    assert!(
        !head.to_ascii_lowercase().contains("transfer-encoding"),
        "{head}"
    );
}

#[tokio::test]
async fn row_123_a_reset_until_close_never_looks_complete() {
    let response = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
    let origin = Origin::start(response, 10, OriginEnding::Reset).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    match client.rest().await {
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        // The reset may overtake the response: then the client is told.
        Ok(response) => assert!(response.starts_with("HTTP/1.1 502 "), "{response}"),
    }
}

#[tokio::test]
async fn row_117_a_short_body_ends_in_a_reset() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort";
    let origin = Origin::start(response, 10, OriginEnding::Close).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert!(client.rest().await.is_err());
    assert!(!world.records(1).await[0].complete);
}

#[tokio::test]
async fn a_client_of_http_1_0_never_sees_chunks() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let origin = Origin::start(response, 10, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
        .await;
    let response = client.rest().await.unwrap();
    assert!(response.ends_with("\r\n\r\nhello"), "{response}");
    assert!(
        origin.requests()[0].starts_with("POST /p HTTP/1.1\r\n"),
        "{:?}",
        origin.requests()
    );
}

#[tokio::test]
async fn a_client_that_closed_its_sending_side_still_gets_the_response() {
    let origin = Origin::start(OK, 0, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    client.stream.shutdown().await.unwrap();
    origin.wait_for_request().await;
    origin.permits.add_permits(1);
    assert!(client.rest().await.unwrap().ends_with("passed"));
}

#[tokio::test]
async fn row_38_expect_is_passed_on_and_answered_once() {
    let response = "HTTP/1.1 100 Continue\r\n\r\n";
    let origin = Origin::start(response, 1, OriginEnding::Stay).await;
    let world = World::start(settings(), origin.address).await;
    let mut client = world.client().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: h\r\nExpect: bogus\r\nContent-Length: 4\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 417);
    assert_eq!(client.rest().await.unwrap(), "");
    assert!(origin.requests().is_empty());

    let mut client = world.client().await;
    client
        .send("GET /hit HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200, "never 100 where the body is not wanted");
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert_eq!(client.rest().await.unwrap(), "");
}

#[tokio::test]
async fn row_39_a_body_on_a_hit_is_drained_or_the_connection_closed() {
    let world = World::local(settings()).await;
    let mut client = world.client().await;
    client
        .send(&format!(
            "GET /hit HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n{:40}{HIT}",
            "GET /smuggled HTTP/1.1"
        ))
        .await;
    assert_eq!(client.answer().await.body, "hit");
    assert_eq!(client.answer().await.body, "hit");
    client
        .send(&format!(
            "GET /hit HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n{HIT}"
        ))
        .await;
    assert_eq!(client.answer().await.body, "hit");
    assert_eq!(client.answer().await.body, "hit");

    client
        .send("GET /hit HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert_eq!(client.rest().await.unwrap(), "");
}

#[tokio::test]
async fn row_40_a_thousand_pipelined_requests_are_answered_in_order() {
    let world = World::local(settings()).await;
    let client = world.client().await;
    let (mut reader, mut writer) = client.stream.into_split();
    let requests = HIT.repeat(999) + "GET /hit HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let writing = tokio::spawn(async move {
        writer.write_all(requests.as_bytes()).await.unwrap();
        writer
    });
    let mut responses = String::new();
    timeout(PATIENCE, reader.read_to_string(&mut responses))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(responses.matches("\r\n\r\nhit").count(), 1000);
    drop(writing.await);
}

#[tokio::test]
async fn row_97_a_head_that_drips_is_answered_408() {
    let head_timeout = Duration::from_millis(100);
    let world = World::local(FrontSettings {
        head_timeout,
        ..settings()
    })
    .await;
    let mut client = world.client().await;
    client.send("GET /hit HTTP/1.1\r\nHo").await;
    assert_eq!(client.answer().await.status, 408);
    assert_eq!(client.rest().await.unwrap(), "");
    assert_eq!(world.rejected(), [408]);
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let idle_timeout = Duration::from_millis(50);
    let world = World::local(FrontSettings {
        idle_timeout,
        ..settings()
    })
    .await;
    let mut client = world.client().await;
    assert_eq!(client.rest().await.unwrap(), "");
    assert!(world.rejected().is_empty());
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let world = World::local(settings()).await;
    let mut client = world.client().await;
    client
        .send(&format!("BAD\r\n{}", "x".repeat(500_000)))
        .await;
    assert!(
        client
            .rest()
            .await
            .unwrap()
            .starts_with("HTTP/1.1 400 Bad Request\r\n")
    );
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_lets_running_requests_finish() {
    let mut world = World::local(settings()).await;
    let mut idle = world.client().await;
    assert_eq!(idle.status(HIT).await, 200);
    let mut running = world.client().await;
    running.send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n").await;
    timeout(PATIENCE, world.held.recv()).await.unwrap().unwrap();

    world.shutdown.send(true).unwrap();
    assert_eq!(idle.rest().await.unwrap(), "");
    assert!(!world.served.is_finished());
    assert!(
        TcpStream::connect(world.address).await.is_err(),
        "nobody listens any more"
    );

    world.handler.hold.add_permits(1);
    assert_eq!(running.answer().await.body, "held");
    assert_eq!(running.rest().await.unwrap(), "");
    timeout(PATIENCE, world.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn row_100_a_client_gets_its_share_of_connections() {
    let world = World::local(FrontSettings {
        connections_per_client_max: 1,
        ..settings()
    })
    .await;
    let mut first = world.client().await;
    assert_eq!(first.status(HIT).await, 200);
    let mut second = world.client().await;
    let answer = second.answer().await;
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("retry-after: "), "{}", answer.head);
    assert_eq!(world.rejected(), [429]);
    assert_eq!(first.status(HIT).await, 200);
}

#[tokio::test]
async fn row_100_an_idle_connection_makes_room_for_a_new_one() {
    let world = World::local(FrontSettings {
        connections_max: 1,
        ..settings()
    })
    .await;
    let mut idle = world.client().await;
    assert_eq!(idle.status(HIT).await, 200);
    let mut fresh = world.client().await;
    assert_eq!(fresh.status(HIT).await, 200);
    assert_eq!(idle.rest().await.unwrap(), "");
}

#[tokio::test]
async fn an_aborted_response_ends_in_a_reset() {
    let world = World::local(settings()).await;
    let mut client = world.client().await;
    client.send("GET /abort HTTP/1.0\r\n\r\n").await;
    let error = client.rest().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_dropped_request_ends_in_a_reset_too() {
    let mut world = World::local(settings()).await;
    let mut client = world.client().await;
    client.send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n").await;
    timeout(PATIENCE, world.held.recv()).await.unwrap().unwrap();
    world.served.abort();
    let error = client.rest().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn files_are_sent_whole_and_the_connection_goes_on() {
    let world = World::local(settings()).await;
    let mut client = world.client().await;
    client.send("GET /file HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.body.len(), FILE_BYTES);
    assert!(answer.body.bytes().all(|byte| byte == b'f'));
    assert_eq!(client.status(HIT).await, 200);
}
