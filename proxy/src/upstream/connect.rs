//! Connections to vetted addresses: kept ones first, then new ones raced over the addresses of a name.
//!
//! Owns Pingora's [`TransportConnector`] and the peers made for it; tunnels get a [`bare`] connection. The address is
//! always a [`VettedAddr`] (a peer made from a name would resolve it behind policy's back, blocking), every timeout
//! is set (Pingora's defaults are "never"), verification of certificate and name is on, ALPN offers HTTP/2 only where the
//! request may go over it.
//!
//! Invariant: a connection is shared only between requests of the same scheme, host, port and address.

mod bare;
mod connection;
mod failure;
mod race;
mod roots;

use super::UpstreamSettings;
use super::http2::{Lease, Place, Sessions};
use super::stats::UpstreamStats;
use failure::DialFailure;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::protocols::{Stream, TcpKeepalive};
use pingora::upstreams::peer::{ALPN, HttpPeer, Peer};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use weir_cache::ports::OriginError;
use weir_policies::address::VettedAddr;
use weir_policies::target::{Scheme, Target};

pub(super) use connection::Connection;
pub(crate) use failure::not_connected;
pub(crate) use roots::{
    Roots, RootsError as ConnectorError, certificates as trusted_certificates,
    load as trusted_roots,
};

/// Pause before the next address is tried beside those that have not answered (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);
/// How a connection whose other end is gone without a word (a dropped NAT entry, a power cut) is found out: unanswered
/// data after 15 s, half of the deadline for a head, so that a retry still has a chance; a quiet line after a minute.
const TCP_KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(30),
    interval: Duration::from_secs(10),
    count: 3,
    user_timeout: Duration::from_secs(15),
};
/// Places whose last good address is remembered.
const REMEMBERED_MAX: usize = 10_000;

/// What a request may be sent by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 where the upstream speaks it, else HTTP/1.1.
    Both,
}

/// Where one request can be sent now.
pub(super) enum Line {
    /// A connection of its own.
    Http1(Connection),
    /// A stream beside others.
    Http2(Lease),
}

/// Opens, pools and remembers.
pub(super) struct Connector {
    transport: Arc<TransportConnector>,
    sessions: Arc<Sessions>,
    roots: Roots,
    settings: Arc<UpstreamSettings>,
    /// By host and port: which address answered last.
    remembered: Mutex<HashMap<String, SocketAddr>>,
    stats: Arc<UpstreamStats>,
}

impl Connector {
    pub(super) fn new(
        settings: Arc<UpstreamSettings>,
        stats: Arc<UpstreamStats>,
    ) -> Result<Self, ConnectorError> {
        let roots = roots::load(settings.ca_file.as_deref())?;
        let options = ConnectorOptions::new(settings.pool_size);
        Ok(Self {
            // Panics on certificates it cannot read; `roots::load` has just read the same ones.
            transport: Arc::new(TransportConnector::new(Some(options))),
            sessions: Sessions::new(
                settings.pool_size,
                settings.keepalive,
                settings.head_bytes_max,
            ),
            roots,
            settings,
            remembered: Mutex::default(),
            stats,
        })
    }

    /// A connection kept from an earlier request to one of `addresses`, or room on one, if there is any.
    pub(super) async fn pooled(
        &self,
        target: &Target,
        addresses: &[VettedAddr],
        versions: Versions,
    ) -> Option<Line> {
        let mut permit = self.permit(versions);
        for address in self.in_order(&place(target), addresses) {
            let peer = self.peer(target, address);
            if let Some(unused) = permit.take() {
                match self.sessions.lease(Place(peer.reuse_hash()), unused) {
                    Ok(lease) => {
                        self.stats.reused();
                        return Some(Line::Http2(lease));
                    }
                    Err(unused) => permit = Some(unused),
                }
            }
            if let Some(stream) = self.transport.reused_stream(&peer).await {
                self.stats.reused();
                return Some(Line::Http1(self.connection(stream, &peer, address)));
            }
        }
        None
    }

    /// A new connection to whichever of `addresses` answers first.
    ///
    /// Cancel-safe: attempts still under way are dropped.
    pub(super) async fn open(
        &self,
        target: &Target,
        addresses: &[VettedAddr],
        versions: Versions,
    ) -> Result<Line, OriginError> {
        let permit = self.permit(versions);
        let alpn = match permit {
            Some(_) => ALPN::H2H1,
            None => ALPN::H1,
        };
        let order = self.in_order(&place(target), addresses);
        let dial = |address| self.dial(target, address, alpn.clone());
        let winner = race::race(order, STAGGER, dial).await;
        let (address, connection) =
            winner.map_err(|failures| failure::blame(target.authority(), failures))?;
        self.remember(target, address.get());
        self.stats.opened();
        match permit {
            Some(permit) if connection.speaks_http2() => {
                self.greet(target, connection, permit).await
            }
            _ => Ok(Line::Http1(connection)),
        }
    }

    /// A new TCP connection to whichever of `addresses` answers first, with nothing on top of it, and whom it reached.
    ///
    /// Cancel-safe: attempts still under way are dropped.
    pub(super) async fn open_bare(
        &self,
        host: &str,
        port: u16,
        addresses: &[VettedAddr],
    ) -> Result<(TcpStream, SocketAddr), OriginError> {
        let place = format!("{host}:{port}");
        let order = self.in_order(&place, addresses);
        let limit = self.settings.connect_timeout;
        let winner = race::race(order, STAGGER, |address| bare::dial(address, limit)).await;
        let (address, stream) =
            winner.map_err(|failures| failure::blame(place.clone(), failures))?;
        self.remember_place(place, address.get());
        self.stats.opened();
        Ok((stream, address.get()))
    }

    /// Begins HTTP/2 on a new connection that has agreed to it.
    async fn greet(
        &self,
        target: &Target,
        connection: Connection,
        permit: OwnedSemaphorePermit,
    ) -> Result<Line, OriginError> {
        let Connection {
            stream,
            address,
            pool_key,
            ..
        } = connection;
        let greeting = self.sessions.open(Place(pool_key), stream, address, permit);
        match tokio::time::timeout(self.settings.connect_timeout, greeting).await {
            Ok(Ok(lease)) => Ok(Line::Http2(lease)),
            Ok(Err(_closed)) => Err(OriginError::NoAnswer(target.authority())),
            Err(_elapsed) => Err(OriginError::ConnectTimeout(target.authority())),
        }
    }

    /// The right to an HTTP/2 stream; without one the request goes over HTTP/1.1.
    fn permit(&self, versions: Versions) -> Option<OwnedSemaphorePermit> {
        match versions {
            Versions::Http1 => None,
            Versions::Both => self.sessions.permit(),
        }
    }

    /// Peers for `target`, for connections made elsewhere, in the order they are worth trying.
    pub(super) fn peers(
        &self,
        target: &Target,
        addresses: &[VettedAddr],
    ) -> impl Iterator<Item = HttpPeer> {
        self.in_order(&place(target), addresses)
            .into_iter()
            .map(|address| self.peer(target, address))
    }

    fn peer(&self, target: &Target, address: VettedAddr) -> HttpPeer {
        let tls = target.scheme() == Scheme::Https;
        // The name is part of the pool's key, so it is set for plaintext as well.
        let name = target.host().trim_matches(['[', ']']).to_owned();
        let mut peer = HttpPeer::new(address.get(), tls, name);
        let settings = &self.settings;
        let options = &mut peer.options;
        options.connection_timeout = Some(settings.connect_timeout);
        options.total_connection_timeout = Some(settings.connect_timeout);
        options.read_timeout = Some(settings.first_byte_timeout.max(settings.stall_timeout));
        options.write_timeout = Some(settings.stall_timeout);
        options.idle_timeout = Some(settings.keepalive);
        options.tcp_keepalive = Some(TCP_KEEPALIVE);
        options.verify_cert = true;
        options.verify_hostname = true;
        options.alpn = ALPN::H1;
        options.ca = self.roots.listed();
        peer
    }

    async fn dial(
        &self,
        target: &Target,
        address: VettedAddr,
        alpn: ALPN,
    ) -> Result<Connection, DialFailure> {
        let mut peer = self.peer(target, address);
        peer.options.alpn = alpn;
        let opened = Box::pin(self.transport.new_stream(&peer)).await;
        opened
            .map(|stream| self.connection(stream, &peer, address))
            .map_err(|error| DialFailure::from_pingora(address.get(), &error))
    }

    fn connection(&self, stream: Stream, peer: &HttpPeer, address: VettedAddr) -> Connection {
        Connection {
            stream,
            address: address.get(),
            pool: Arc::clone(&self.transport),
            pool_key: peer.reuse_hash(),
            keepalive: self.settings.keepalive,
        }
    }

    /// The remembered good address first, the others as RFC 8305 §4 wants them.
    fn in_order(&self, place: &str, addresses: &[VettedAddr]) -> Vec<VettedAddr> {
        let remembered = self.lock().get(place).copied();
        race::interleave(
            addresses,
            |address| address.get().is_ipv6(),
            |address| Some(address.get()) == remembered,
        )
    }

    /// `address` took a connection: it comes first from now on.
    pub(super) fn remember(&self, target: &Target, address: SocketAddr) {
        self.remember_place(place(target), address);
    }

    fn remember_place(&self, place: String, address: SocketAddr) {
        let mut remembered = self.lock();
        if remembered.len() >= REMEMBERED_MAX {
            // Forgetting costs one race each; not worth an order of use.
            remembered.clear();
        }
        remembered.insert(place, address);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, SocketAddr>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(target: &Target) -> String {
    format!("{}:{}", target.host(), target.port())
}
