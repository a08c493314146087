//! CONNECT (RFC 9110 §9.3.6): bytes both ways between a client and the place it named, read by nobody here.
//!
//! Reading order: [`Tunnels::open`] (may it be, and does anybody answer) → [`Tunnel::carry`] → [`relay`] (both
//! directions and their limits) → [`pump`] (one direction) → [`opening`] (the one thing that is looked at) →
//! [`ledger`] (what is counted, and the line in the log).
//!
//! Invariants:
//! - the client is told 200 only when the connection stands, and what it sent behind its head goes out first;
//! - the address was judged by policy, as everywhere;
//! - a slow end slows the other one down: one buffer for each direction, and none while nothing moves;
//! - an end that closed in good order is passed on as FIN, one that broke off as RST; so is a tunnel that is cut.
//!
//! Deliberately absent: splice(2), which would save copies and cost a pipe a direction; looking into TLS.

mod ledger;
mod opening;
mod pump;
mod relay;
mod stats;
#[cfg(test)]
mod tests;

pub(crate) use stats::TunnelStats;

use crate::front::conn::Conn;
use crate::pass::RecordSink;
use crate::record::Record;
use async_trait::async_trait;
use ledger::Ledger;
use opening::Opening;
use relay::{End, Limits, relay};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use weir_cache::allowance::{Allowance, Taken};
use weir_cache::ports::{Clock, OriginError};
use weir_policies::tunnel::{TunnelPolicy, TunnelRefusal};

/// What the configuration says of tunnels.
#[derive(Debug, Clone)]
pub(crate) struct TunnelSettings {
    /// Where they may lead.
    pub(crate) policy: TunnelPolicy,
    /// Without a byte in either direction.
    pub(crate) idle_timeout: Duration,
    /// Of one tunnel, from its 200 on.
    pub(crate) total_time_max: Option<Duration>,
    /// At once.
    pub(crate) tunnels_max: usize,
    /// Bytes of a client that are held to find the name it asks for by TLS.
    pub(crate) early_bytes_max: usize,
}

/// Connects to a place by its name: resolved, judged, raced. The upstream room, seen from here.
#[async_trait]
pub(crate) trait Dialer: Send + Sync + 'static {
    /// A TCP connection to `host` (normal form) and whom it reached.
    ///
    /// # Errors
    /// [`OriginError`] as for a fetch.
    async fn dial(&self, host: &str, port: u16) -> Result<(TcpStream, SocketAddr), OriginError>;
}

/// Why there is no tunnel.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// Policy.
    Refused(TunnelRefusal),
    /// There are as many as there may be.
    Crowded,
    /// Nobody could be reached, or nobody may be.
    Failed(OriginError),
}

/// Opens tunnels and bounds them.
pub(crate) struct Tunnels {
    settings: Arc<TunnelSettings>,
    dialer: Arc<dyn Dialer>,
    sink: Arc<dyn RecordSink>,
    clock: Arc<dyn Clock>,
    seats: Arc<Allowance>,
    stats: Arc<TunnelStats>,
}

/// A connection that stands; the client does not know yet.
pub(crate) struct Opened {
    upstream: TcpStream,
    address: SocketAddr,
    host: String,
    seat: Taken,
}

/// A tunnel that the client was told of.
pub(crate) struct Tunnel {
    upstream: TcpStream,
    opening: Opening,
    limits: Limits,
    ledger: Ledger,
}

/// How the client's connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// FIN.
    Orderly,
    /// RST: what was carried may not be everything.
    Cut,
}

impl Tunnels {
    /// Nothing open.
    pub(crate) fn new(
        settings: TunnelSettings,
        dialer: Arc<dyn Dialer>,
        sink: Arc<dyn RecordSink>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let seats = Allowance::new(settings.tunnels_max.max(1) as u64);
        Self {
            settings: Arc::new(settings),
            dialer,
            sink,
            clock,
            seats,
            stats: Arc::default(),
        }
    }

    /// The same tunnels by other settings: those that stand keep theirs, and count against the new bound.
    pub(crate) fn reconfigured(&self, settings: TunnelSettings) -> Self {
        self.seats.set_most(settings.tunnels_max.max(1) as u64);
        Self {
            settings: Arc::new(settings),
            dialer: Arc::clone(&self.dialer),
            sink: Arc::clone(&self.sink),
            clock: Arc::clone(&self.clock),
            seats: Arc::clone(&self.seats),
            stats: Arc::clone(&self.stats),
        }
    }

    /// The counters, for the metrics page.
    pub(crate) fn stats(&self) -> Arc<TunnelStats> {
        Arc::clone(&self.stats)
    }

    /// Judges and connects; `host` in normal form. Cancel-safe.
    pub(crate) async fn open(&self, host: &str, port: u16) -> Result<Opened, NotOpened> {
        let policy = &self.settings.policy;
        policy.judge(host, port).map_err(NotOpened::Refused)?;
        // Before the connection: connecting is what would pile up first.
        let Some(seat) = self.seats.try_take(1) else {
            self.stats.crowded.add(1);
            return Err(NotOpened::Crowded);
        };
        let dialed = self.dialer.dial(host, port).await;
        let (upstream, address) = dialed.map_err(NotOpened::Failed)?;
        Ok(Opened {
            upstream,
            address,
            host: host.to_owned(),
            seat,
        })
    }

    /// The tunnel of a client that was told 200. `record` is finished when the tunnel ends.
    pub(crate) fn begin(&self, opened: Opened, record: Record) -> Tunnel {
        let settings = &self.settings;
        Tunnel {
            upstream: opened.upstream,
            opening: Opening::new(Arc::clone(settings), opened.host, record.request_id),
            limits: Limits {
                idle: settings.idle_timeout,
                total: settings.total_time_max,
            },
            ledger: Ledger::new(
                record,
                opened.seat,
                Arc::clone(&self.stats),
                Arc::clone(&self.sink),
                Arc::clone(&self.clock),
            ),
        }
    }
}

impl Opened {
    /// Whom the connection reached.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Tunnel {
    /// Carries bytes until both ends have closed, one broke off, or a limit is reached. Dropped before, the tunnel
    /// counts as cut by the shutdown, for nothing else drops it.
    pub(crate) async fn carry(mut self: Box<Self>, conn: &mut Conn) -> Farewell {
        let early = conn.take_read_ahead();
        let upstream = &mut self.upstream;
        let ledger = &mut self.ledger;
        let (end, note) = relay(
            (conn.stream(), upstream),
            (early, self.opening),
            self.limits,
            |up, down| ledger.carried(up, down),
        )
        .await;
        let farewell = end.farewell();
        if farewell == Farewell::Orderly {
            // An end that is gone already needs no farewell.
            upstream.shutdown().await.ok();
        } else if let Err(error) = upstream.set_zero_linger() {
            tracing::debug!(%error, "could not reset the far end of a tunnel");
        }
        self.ledger.close(farewell, end.as_str().or(note));
        farewell
    }
}

impl End {
    fn farewell(self) -> Farewell {
        match self {
            Self::Closed | Self::Idle => Farewell::Orderly,
            Self::Broken | Self::TotalTime | Self::Refused => Farewell::Cut,
        }
    }

    /// The word for the log; a tunnel that was closed needs none.
    fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Closed => None,
            Self::Idle => Some("idle"),
            Self::Broken => Some("broken-off"),
            Self::TotalTime => Some("total-time"),
            Self::Refused => Some("server-name-refused"),
        }
    }
}
