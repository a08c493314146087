//! An origin that writes exactly the bytes of its script and records exactly the bytes it receives.
//!
//! Scripts belong to paths; several scripts for one path are used up one request after the other, the
//! last one for ever; or a script is made of what was asked. It listens on a port the system chose and is gone when the value is dropped.
//! It never answers on its own account, but for 404 where no script exists.

mod connection;
mod script;

pub use script::{Gate, Script};

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::deadline::within;
use connection::Wire;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Request line and fields, with the final empty line.
    pub head: String,
    /// Body as it stood on the wire, chunk framing included.
    pub body: Vec<u8>,
}

impl Seen {
    /// The second word of the request line.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The first word of the request line.
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// The body without its framing.
    ///
    /// # Panics
    /// When the framing is not faultless.
    pub fn content(&self) -> Vec<u8> {
        if self.values("transfer-encoding").is_empty() {
            return self.body.clone();
        }
        let mut rest = self.body.as_slice();
        let mut content = Vec::new();
        loop {
            let line = rest.iter().position(|byte| *byte == b'\r').expect("CR");
            let size = std::str::from_utf8(&rest[..line]).expect("digits");
            let size = usize::from_str_radix(size, 16).expect("a size in hex");
            if size == 0 {
                return content;
            }
            let chunk = &rest[line + 2..];
            content.extend_from_slice(&chunk[..size]);
            rest = &chunk[size + 2..];
        }
    }

    /// All values of a field, in order.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let lines = self.head.split("\r\n").skip(1);
        let fields = lines.filter_map(|line| line.split_once(':'));
        let named = fields.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim()).collect()
    }
}

/// Everything that has happened at an origin so far.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Connections accepted.
    pub connections: usize,
    /// Bytes received on each of them.
    pub received: Vec<Vec<u8>>,
    /// Requests whose head and body have arrived, in order.
    pub requests: Vec<Seen>,
    /// Scripts that were written to their end.
    pub completed: usize,
}

impl Record {
    /// Requests for one target.
    pub fn count(&self, target: &str) -> usize {
        self.requests
            .iter()
            .filter(|seen| seen.target() == target)
            .count()
    }
}

/// How the requests for one target are answered.
enum Answers {
    /// One script after the other, then the last one for ever.
    Each(Vec<Script>),
    /// By what was asked.
    By(Arc<dyn Fn(&Seen) -> Script + Send + Sync>),
}

/// What the connections of one origin share.
struct Shared {
    answers: Mutex<HashMap<String, Answers>>,
    record: watch::Sender<Record>,
}

impl Shared {
    /// The script for a request.
    fn script_for(&self, seen: &Seen) -> Script {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match answers.get_mut(seen.target()) {
            Some(Answers::Each(list)) if list.len() > 1 => list.remove(0),
            Some(Answers::Each(list)) => list[0].clone(),
            Some(Answers::By(answer)) => answer(seen),
            None => Script::of("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        }
    }
}

/// A running origin.
pub struct Origin {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Origin {
    /// Starts one that speaks plaintext.
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    /// Starts one that speaks TLS.
    pub async fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::listen(Some(TlsAcceptor::from(config))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            answers: Mutex::default(),
            record: watch::Sender::new(Record::default()),
        });
        let accepting = tokio::spawn(accept(listener, tls, Arc::clone(&shared)));
        Self {
            address,
            scheme,
            shared,
            accepting,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The absolute URL of a path of this origin.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// `127.0.0.1:PORT`
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Answers every request for `target` by `script`.
    pub fn on(&self, target: &str, script: Script) {
        self.on_each(target, [script]);
    }

    /// Answers the requests for `target` by one script after the other, then by the last one.
    ///
    /// # Panics
    /// Without any script.
    pub fn on_each(&self, target: &str, scripts: impl IntoIterator<Item = Script>) {
        let list: Vec<Script> = scripts.into_iter().collect();
        assert!(!list.is_empty(), "a path has at least one script");
        self.answer(target, Answers::Each(list));
    }

    /// Answers every request for `target` by the script that `answer` makes of it.
    pub fn on_request(
        &self,
        target: &str,
        answer: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    ) {
        self.answer(target, Answers::By(Arc::new(answer)));
    }

    fn answer(&self, target: &str, answers: Answers) {
        let all = self.shared.answers.lock();
        let mut all = all.unwrap_or_else(PoisonError::into_inner);
        all.insert(target.to_owned(), answers);
    }

    /// What has happened so far.
    pub fn record(&self) -> Record {
        self.shared.record.borrow().clone()
    }

    /// How many requests have arrived.
    pub fn requests(&self) -> usize {
        self.shared.record.borrow().requests.len()
    }

    /// Waits until the record fulfills `condition`.
    pub async fn wait_for(&self, what: &str, condition: impl FnMut(&Record) -> bool) -> Record {
        let mut receiver = self.shared.record.subscribe();
        let record = within(what, receiver.wait_for(condition)).await;
        record.expect("the origin is running").clone()
    }

    /// Checks that nobody has sent a byte.
    ///
    /// # Panics
    /// When somebody has, showing what.
    #[track_caller]
    pub fn assert_untouched(&self) {
        let record = self.record();
        let bytes: Vec<u8> = record.received.concat();
        assert!(
            bytes.is_empty(),
            "reached the upstream: {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts until aborted; the connections end with it.
async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            if let Some(wire) = open(stream, tls).await {
                connection::serve(wire, &shared).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn open(stream: TcpStream, tls: Option<TlsAcceptor>) -> Option<Wire> {
    stream.set_nodelay(true).expect("no delay");
    match tls {
        None => Some(Wire::Plain(stream)),
        Some(acceptor) => acceptor
            .accept(stream)
            .await
            .ok()
            .map(|stream| Wire::Tls(Box::new(stream))),
    }
}

#[cfg(test)]
mod tests;
