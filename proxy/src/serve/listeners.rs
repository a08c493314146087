//! The sockets that clients connect to: bound, served, and exchanged while others go on.
//!
//! A listener that is no longer wanted closes at once; its connections end like those of a gateway that stops: idle
//! ones now, the others behind the response or the tunnel that runs.

use super::upgrade::Predecessor;
use crate::front::{Front, Handler};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The listeners of the proxy port, with their connections.
#[derive(Default)]
pub(super) struct Listeners {
    open: Vec<Listening>,
    tasks: JoinSet<()>,
}

/// One address that is listened on.
pub(super) struct Listening {
    /// As it was configured; its port may be 0.
    configured: SocketAddr,
    local: SocketAddr,
    /// To be handed over; without it the listener cannot be.
    socket: Option<OwnedFd>,
    stop: watch::Sender<bool>,
}

/// A socket that nobody accepts from yet.
pub(super) struct Bound {
    configured: SocketAddr,
    local: SocketAddr,
    listener: TcpListener,
}

/// What it takes to get from the addresses that are open to those that are wanted.
#[derive(Default)]
pub(super) struct Change {
    kept: Vec<SocketAddr>,
    added: Vec<Bound>,
}

impl Bound {
    /// Listens on `address`.
    ///
    /// # Errors
    /// Somebody else does, or the address is none of this machine's.
    pub(super) async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| unbound(address, &error))?;
        Ok(Self {
            configured: address,
            local: listener.local_addr()?,
            listener,
        })
    }

    /// Listens on `address` with the socket of the process before, where it has handed one over.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub(super) async fn inherit(
        address: SocketAddr,
        from: &mut Predecessor,
    ) -> anyhow::Result<Self> {
        let Some(socket) = from.take(address) else {
            return Self::bind(address).await;
        };
        socket.set_nonblocking(true)?;
        Ok(Self {
            configured: address,
            local: address,
            listener: TcpListener::from_std(socket)?,
        })
    }

    /// Where it really listens: a port 0 has become one.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// The socket, to be served until the other value says so.
    pub(super) fn serve(self) -> (Listening, TcpListener, watch::Receiver<bool>) {
        let (stop, stopped) = watch::channel(false);
        let listening = Listening {
            configured: self.configured,
            local: self.local,
            socket: self.listener.as_fd().try_clone_to_owned().ok(),
            stop,
        };
        (listening, self.listener, stopped)
    }
}

fn unbound(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; stop whoever listens there, choose another address (--listen, --admin, [listen]), or take over from a \
             running gateway with `weir serve --upgrade`"
        }
        _ => "",
    };
    anyhow::anyhow!("cannot listen on {address}: {error}{advice}")
}

impl Listening {
    /// As it was configured.
    pub(super) fn configured(&self) -> SocketAddr {
        self.configured
    }

    /// Where it really listens.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// A second descriptor of its socket.
    pub(super) fn socket(&self) -> Option<OwnedFd> {
        self.socket.as_ref()?.try_clone().ok()
    }

    /// Closes it, once this is dropped.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Change {
    /// Where nobody has listened before.
    pub(super) fn added(&self) -> impl Iterator<Item = SocketAddr> {
        self.added.iter().map(Bound::local)
    }

    /// Where will be listened afterwards.
    pub(super) fn locals(&self) -> impl Iterator<Item = SocketAddr> {
        self.kept.iter().copied().chain(self.added())
    }
}

impl Listeners {
    /// Binds what is wanted and not open yet: all of it, or nothing.
    ///
    /// # Errors
    /// As [`Bound::bind`].
    pub(super) async fn prepare(&self, wanted: &[SocketAddr]) -> anyhow::Result<Change> {
        let mut open: Vec<&Listening> = self.open.iter().collect();
        let mut change = Change::default();
        for address in wanted {
            let place = open.iter().position(|one| one.configured == *address);
            match place {
                Some(place) => change.kept.push(open.swap_remove(place).local),
                None => change.added.push(self.bind(*address).await?),
            }
        }
        Ok(change)
    }

    /// What is wanted, with the sockets of the process before where it has handed them over.
    ///
    /// # Errors
    /// As [`Bound::bind`].
    pub(super) async fn inherit(
        wanted: &[SocketAddr],
        from: &mut Predecessor,
    ) -> anyhow::Result<Change> {
        let mut change = Change::default();
        for address in wanted {
            change.added.push(Bound::inherit(*address, from).await?);
        }
        Ok(change)
    }

    /// Second descriptors of all sockets.
    pub(super) fn sockets(&self) -> impl Iterator<Item = OwnedFd> {
        self.open.iter().filter_map(Listening::socket)
    }

    /// A listener on all addresses and one on a single address cannot have the same port, not even for the moment of an
    /// exchange.
    async fn bind(&self, address: SocketAddr) -> anyhow::Result<Bound> {
        let bound = Bound::bind(address).await;
        let overlaps = |one: &&Listening| one.local.port() == address.port();
        bound.map_err(|error| match self.open.iter().find(overlaps) {
            Some(own) => error.context(format!(
                "this gateway listens on {}: reload without that first, then with {address}",
                own.local
            )),
            None => error,
        })
    }

    /// Serves what was bound, and closes what is no longer wanted.
    pub(super) fn apply<H: Handler>(&mut self, change: Change, front: &Arc<Front<H>>) {
        self.open.retain(|listening| {
            let stays = change.kept.contains(&listening.local);
            if !stays {
                tracing::info!(address = %listening.local, "no longer listening");
                listening.stop();
            }
            stays
        });
        for bound in change.added {
            let (listening, listener, stopped) = bound.serve();
            self.tasks.spawn(Arc::clone(front).serve(listener, stopped));
            self.open.push(listening);
        }
        // Those that have ended since the last change.
        while self.tasks.try_join_next().is_some() {}
    }

    /// Closes all of them.
    pub(super) fn stop(&mut self) {
        self.open.drain(..).for_each(|listening| listening.stop());
    }

    /// Waits until every connection has ended.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Ends every connection where it is.
    pub(super) async fn cut(&mut self) {
        self.tasks.shutdown().await;
    }
}
