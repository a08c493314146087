//! The control socket: how the commands of this binary ask and tell a running gateway.
//!
//! A Unix socket named `control.sock` in every data folder whose disk is there, so that any of them may be lost; mode
//! 0600, there from the moment the store is open until it closes. Whoever may write the data may use it, nobody else: the
//! mode keeps others out, and the kernel's word about the peer is checked as well. The TCP admin listener stays
//! read-only.
//!
//! One connection carries one command:
//!
//! ```text
//! command ► {"command":"explain","url":"http://host/file",…}⏎       one line of JSON, at most 128 KiB
//! gateway ◄ "ready"⏎                                                only when a body is wanted
//! command ► …                                                       the body: as many bytes as the line announced
//! gateway ◄ {"done":{…}}⏎ or {"failed":"why, and what to do"}⏎      the last line, then the connection closes
//! ```
//! Lines before the last one are news (`{"progress":{"bytes":1,"total":2}}`, `{"objects":[…]}`); a command that does
//! not know one of them gives up. A body that is not wanted
//! (refused, or there already) is never asked for; one that fails on its way is answered at once, unread.
//!
//! Invariants: no input panics; connections, lines and waiting have bounds; a connection that breaks in the middle of
//! a body leaves nothing. Deliberately absent: HTTP, several commands on a connection, and any access to what requests
//! carried.

mod conflict;
mod describe;
mod dialog;
mod disks;
mod ensure;
mod explain;
mod import;
mod list;
mod media_type;
pub(crate) mod notify;
pub(crate) mod owner;
mod pin;
pub(crate) mod protocol;
mod purge;
mod scrub;
pub(crate) mod shown;
pub(crate) mod socket;
mod stat;
mod subject;
#[cfg(test)]
mod tests;

use crate::gateway::Gateway;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::readiness::Readiness;
use arc_swap::ArcSwap;
use dialog::{Dialog, DialogError};
use protocol::{Command, Reply};
use rustix::process::geteuid;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use weir_cache::engine::Pinning;
use weir_cache::ports::Clock;

/// Commands at once: 64 that wait for fills, and enough for others meanwhile.
const CONNECTIONS_MAX: usize = 96;
/// Before accepting again after a failure (out of files): it would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What answers commands.
pub(crate) struct Control {
    gateway: ArcSwap<Gateway>,
    reloads: ReloadRequests,
    vitals: Vitals,
    permits: Arc<Semaphore>,
    /// Of those, commands that wait for fills.
    ensuring: Semaphore,
    /// And those that walk through the store.
    walks: list::Walks,
}

/// What is known of the process as a whole.
pub(crate) struct Vitals {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) notifier: Notifier,
    pub(crate) clock: Arc<dyn Clock>,
    /// By that clock, when it began to serve.
    pub(crate) started: Duration,
}

/// Where a reload is asked for: whoever runs the gateway answers when it is over. One at a time; more wait.
pub(crate) type ReloadRequests = mpsc::Sender<oneshot::Sender<Result<shown::Reloaded, Refused>>>;

/// Why a command was not done, in words for the operator.
pub(crate) type Refused = String;

impl Control {
    /// Answers for `gateway`.
    pub(crate) fn new(gateway: Arc<Gateway>, reloads: ReloadRequests, vitals: Vitals) -> Arc<Self> {
        Arc::new(Self {
            gateway: ArcSwap::new(gateway),
            reloads,
            vitals,
            permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            ensuring: Semaphore::new(ensure::ENSURED_MAX),
            walks: Semaphore::new(list::WALKS_MAX),
        })
    }

    /// Answers for `gateway` from the next command on.
    pub(crate) fn replace(&self, gateway: Arc<Gateway>) {
        self.gateway.store(gateway);
    }

    /// Answers on `socket` until it is dropped, and with it every connection and the socket's file.
    pub(crate) async fn serve(self: Arc<Self>, socket: socket::Bound) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = socket.accept() => match accepted {
                    Ok(stream) => self.start(stream, &mut connections),
                    Err(error) => {
                        tracing::warn!(%error, "the control socket cannot accept");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                // Takes finished connections out of the set, so that it stays as small as the bound says.
                Some(ended) = connections.join_next() => report(ended),
            }
        }
    }

    fn start(self: &Arc<Self>, stream: UnixStream, connections: &mut JoinSet<()>) {
        if let Err(reason) = check_peer(&stream) {
            tracing::warn!(reason, "a control connection was refused");
            return;
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            tracing::warn!(bound = CONNECTIONS_MAX, "too many commands at once");
            return;
        };
        let control = Arc::clone(self);
        connections.spawn(async move { control.connection(stream, permit).await });
    }

    async fn connection<S>(&self, stream: S, _permit: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if let Err(error) = self.converse(&mut Dialog::new(stream)).await {
            tracing::debug!(%error, "a control connection broke");
        }
    }

    async fn reload(&self) -> Result<shown::Reloaded, Refused> {
        let (answer, answered) = oneshot::channel();
        let asked = self.reloads.send(answer).await;
        let stopping = || Refused::from("the gateway is stopping");
        asked.map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?
    }

    async fn converse<S>(&self, dialog: &mut Dialog<S>) -> Result<(), DialogError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let command = dialog.command().await;
        let gateway = &self.gateway.load_full();
        match command {
            Ok(Command::Explain(question)) => {
                let explained = explain::explain(gateway, &question).await;
                answer(dialog, explained).await
            }
            Ok(Command::ConflictShow(subject)) => {
                let shown = conflict::show(gateway, &subject).await;
                answer(dialog, shown).await
            }
            Ok(Command::ConflictAccept(subject)) => {
                let accepted = conflict::accept(gateway, &subject).await;
                answer(dialog, accepted).await
            }
            Ok(Command::ConflictReject(subject)) => {
                let rejected = conflict::reject(gateway, &subject).await;
                answer(dialog, rejected).await
            }
            Ok(Command::Import(announced)) => {
                let imported = import::import(gateway, announced, dialog).await?;
                answer(dialog, imported).await
            }
            Ok(Command::Reload) => answer(dialog, self.reload().await).await,
            Ok(Command::Ensure(wanted)) => {
                let ensured = ensure::ensure(gateway, &self.ensuring, &wanted, dialog).await?;
                answer(dialog, ensured).await
            }
            Ok(Command::Stat) => answer(dialog, Ok(stat::stat(&self.vitals, gateway).await)).await,
            Ok(Command::NotifyTest) => {
                let tested = notify::test(&self.vitals.notifier).await;
                answer(dialog, Ok(tested)).await
            }
            Ok(Command::Purge(purging)) => {
                let purged = purge::purge(gateway, &purging).await;
                answer(dialog, purged).await
            }
            Ok(Command::WouldPurge(scope)) => {
                let would = purge::would_purge(gateway, &self.walks, &scope, dialog).await?;
                answer(dialog, would).await
            }
            Ok(Command::List(listing)) => {
                let listed = list::list(gateway, &self.walks, &listing, dialog).await?;
                answer(dialog, listed).await
            }
            Ok(Command::Pin(subject)) => {
                let pinned = pin::pin(gateway, &subject, Pinning::Pin).await;
                answer(dialog, pinned).await
            }
            Ok(Command::Unpin(subject)) => {
                let unpinned = pin::pin(gateway, &subject, Pinning::Unpin).await;
                answer(dialog, unpinned).await
            }
            Ok(Command::Disks) => answer(dialog, disks::report(gateway)).await,
            Ok(Command::DiskChange(change)) => {
                let changed = disks::change(gateway, &change).await;
                answer(dialog, changed).await
            }
            Ok(Command::Scrub(order)) => answer(dialog, scrub::scrub(gateway, &order)).await,
            Err(error) => {
                answer::<S, ()>(dialog, Err(error.to_string())).await?;
                Err(error)
            }
        }
    }
}

async fn answer<S, T>(dialog: &mut Dialog<S>, answer: Result<T, Refused>) -> Result<(), DialogError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    T: Serialize + Sync,
{
    let reply = match answer {
        Ok(done) => Reply::Done(done),
        Err(reason) => Reply::Failed(reason),
    };
    dialog.say(&reply).await
}

/// The mode of the socket says the same; this holds where a file system has no modes.
pub(crate) fn check_peer(stream: &UnixStream) -> Result<(), &'static str> {
    let Ok(peer) = stream.peer_cred() else {
        return Err("the system does not say who connects");
    };
    if peer.uid() == 0 || peer.uid() == geteuid().as_raw() {
        Ok(())
    } else {
        Err("another account than the gateway's connects")
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a control connection panicked, which is a bug");
    }
}
