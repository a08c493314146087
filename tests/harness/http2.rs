//! An encrypted origin that speaks HTTP/2, and HTTP/1.1 to those who do not ask for more.
//!
//! Scripts belong to paths, as those of [`crate::Origin`] do; a path without one is answered 404. What the framing
//! library would refuse to send comes as [`frames`], byte by byte, from an origin that knows nothing else.

mod connection;
pub mod frames;
mod script;

pub use script::StreamScript;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificate::{Authority, Leaf};
use crate::deadline::within;

/// One request on a stream.
#[derive(Debug, Clone)]
pub struct StreamSeen {
    /// The connection, counted from 0.
    pub connection: usize,
    /// `:method`.
    pub method: String,
    /// `:scheme`, `:authority` and `:path` as one URL.
    pub url: String,
    /// The fields.
    pub fields: Vec<(String, String)>,
}

impl StreamSeen {
    /// All values of a field, in order.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(own, _)| own == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

/// Everything that has happened at an origin so far.
#[derive(Debug, Clone, Default)]
pub struct StreamRecord {
    /// Connections that have agreed on HTTP/2.
    pub connections: usize,
    /// Those that have ended.
    pub closed: usize,
    /// Requests by HTTP/2, in order.
    pub requests: Vec<StreamSeen>,
    /// Requests by HTTP/1.1.
    pub plain_requests: usize,
    /// Streams that the gateway has reset.
    pub resets: usize,
}

/// How every connection of an origin behaves.
#[derive(Clone, Default)]
pub struct Http2Settings {
    /// SETTINGS_MAX_CONCURRENT_STREAMS.
    pub streams_max: Option<u32>,
    /// Instead of answering by scripts: what is written once a request is there.
    pub frames: Option<Bytes>,
}

/// What the connections of one origin share.
struct Shared {
    scripts: Mutex<HashMap<String, Vec<StreamScript>>>,
    record: watch::Sender<StreamRecord>,
    settings: Http2Settings,
}

impl Shared {
    /// The script for a path: the next one, or the last one again.
    fn next_script(&self, path: &str) -> StreamScript {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        match scripts.get_mut(path) {
            Some(list) if list.len() > 1 => list.remove(0),
            Some(list) => list[0].clone(),
            None => StreamScript::head(404, &[]),
        }
    }
}

/// A running origin.
pub struct Http2Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Http2Origin {
    /// Starts one with a leaf of `authority`.
    pub async fn start(authority: &Authority) -> Self {
        Self::start_with(authority, Http2Settings::default()).await
    }

    /// The same, behaving as `settings` say.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start_with(authority: &Authority, settings: Http2Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            scripts: Mutex::default(),
            record: watch::Sender::new(StreamRecord::default()),
            settings,
        });
        let tls = TlsAcceptor::from(offering(authority, &["h2", "http/1.1"]));
        let accepting = tokio::spawn(accept(listener, tls, Arc::clone(&shared)));
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// The absolute URL of a path of this origin.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// The path by which a gateway fetches from here.
    pub fn download(&self, path: &str) -> String {
        format!("/download/{}", self.url(path))
    }

    /// Answers every request for `path` by `script`.
    pub fn on(&self, path: &str, script: StreamScript) {
        self.on_each(path, [script]);
    }

    /// Answers the requests for `path` by one script after the other, then by the last one.
    ///
    /// # Panics
    /// Without any script.
    pub fn on_each(&self, path: &str, scripts: impl IntoIterator<Item = StreamScript>) {
        let list: Vec<StreamScript> = scripts.into_iter().collect();
        assert!(!list.is_empty(), "a path has at least one script");
        let mut all = self
            .shared
            .scripts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.insert(path.to_owned(), list);
    }

    /// What has happened so far.
    pub fn record(&self) -> StreamRecord {
        self.shared.record.borrow().clone()
    }

    /// Waits until the record fulfills `condition`.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn wait_for(
        &self,
        what: &str,
        condition: impl FnMut(&StreamRecord) -> bool,
    ) -> StreamRecord {
        let mut receiver = self.shared.record.subscribe();
        let record = within(what, receiver.wait_for(condition)).await;
        record.expect("the origin is running").clone()
    }
}

impl Drop for Http2Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A server configuration that agrees to the first of `protocols` that the client offers too.
pub fn offering(authority: &Authority, protocols: &[&str]) -> Arc<ServerConfig> {
    let mut config = ServerConfig::clone(&authority.server(Leaf::Good));
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Arc::new(config)
}

/// Accepts until aborted; the connections end with it.
async fn accept(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            if let Ok(stream) = tls.accept(stream).await {
                talk(stream, &shared).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn talk(mut stream: TlsStream<TcpStream>, shared: &Arc<Shared>) {
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return connection::speak_plain(&mut stream, shared).await;
    }
    let mut index = 0;
    shared.record.send_modify(|record| {
        index = record.connections;
        record.connections += 1;
    });
    match &shared.settings.frames {
        Some(frames) => frames::write(&mut stream, frames).await,
        None => connection::serve(stream, shared, index).await,
    }
    shared.record.send_modify(|record| record.closed += 1);
}
