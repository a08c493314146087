//! How Weir is run: started, told by signals what to do, drained.
//!
//! Reading order: [`start`] (assembly, in order) → the loop in [`Running::go_on`] → [`reload`] → [`upgrade`] →
//! [`stop`]. [`shared`] is what outlives a configuration, [`data`] what runs only while the data folder is ours,
//! [`settings`] says what each component is told, [`signals`] what the process is told, [`listeners`], [`admin`] and
//! [`node`] where we are reached, [`sources`] and [`observers`] who is counted and who hears of it.
//!
//! The loop waits for nothing but what is to be done next: whatever takes long runs beside it.

mod admin;
mod data;
mod listeners;
mod node;
mod observers;
mod reload;
pub(crate) mod settings;
mod shared;
mod signals;
mod sources;
mod start;
mod stop;
mod summary;
mod upgrade;

use crate::access_log::AccessLog;
use crate::cli::{self, Exit};
use crate::conf::{Settings, Sources};
use crate::control::Control;
use crate::control::socket::Bound as Socket;
use crate::front::Front;
use crate::gateway::Gateway;
use crate::logging::{self, Verbosity};
use crate::metrics::Metrics;
use crate::notify::{Notifier, NotifySettings};
use crate::readiness::Readiness;
use admin::AdminListener;
use anyhow::Context;
use listeners::Listeners;
use reload::Reloading;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shared::Shared;
use signals::Signals;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use upgrade::{Predecessor, Successor};
use weir_cache::store::Store;

/// How a gateway begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// By itself: addresses and data must be free.
    Fresh,
    /// By taking over from the one that runs; where none runs, like `Fresh`.
    Upgrade,
}

/// Runs the gateway until it is told to stop.
pub(crate) fn run(sources: Sources, beginning: Beginning) -> Exit {
    let settings = match cli::settings(&sources) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    match try_run(sources, settings, beginning) {
        Ok(()) => Exit::Done,
        Err(error) => {
            cli::complain(&format!("weir: {error:#}"));
            Exit::Failed
        }
    }
}

fn try_run(sources: Sources, settings: Settings, beginning: Beginning) -> anyhow::Result<()> {
    let verbosity = logging::init(settings.log.level.as_str())?;
    // One TLS provider for the whole process; a second call would only say that there is one.
    drop(rustls::crypto::ring::default_provider().install_default());
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.server.threads.get())
        .thread_name("weir-worker")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(sources, settings, verbosity, beginning))
}

/// A download takes a connection, an upstream connection and a file: the usual soft limit of 1,024 descriptors is not
/// enough for 600 of them, and the hard limit is ours to use.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files: many downloads at once may fail");
    }
}

/// Everything that runs.
struct Running {
    shared: Shared,
    metrics: Arc<Metrics>,
    access_log: Arc<AccessLog>,
    readiness: Arc<Readiness>,
    front: Arc<Front<Gateway>>,
    listeners: Listeners,
    control: Arc<Control>,
    /// The control socket with its commands; ended before the store closes.
    control_tasks: JoinSet<()>,
    /// The store, while it is still another process's; at most one.
    arriving: JoinSet<Arc<Store>>,
    /// The handshake with a process that wants to take over; at most one.
    offering: JoinSet<Option<Successor>>,
    /// Where a new process takes over.
    upgrades: Option<Socket>,
    upgrade_socket: Option<PathBuf>,
    disks: Vec<PathBuf>,
    /// What keeps an eye on things, and where one can look; ended last.
    background: JoinSet<()>,
    admin: AdminListener,
    /// Tells operators; ended behind the store, which may still have something to say.
    notifier: Notifier,
    notify_settings: watch::Sender<Arc<NotifySettings>>,
    drain: Duration,
    upgrade_drain: Duration,
    reloading: Reloading,
    /// From the control socket.
    reload_requests: mpsc::Receiver<oneshot::Sender<reload::Outcome>>,
}

/// Why it ends.
enum Ending {
    /// Somebody said so.
    Told,
    /// Another process has taken over.
    HandedOver(Successor),
    /// It cannot do what it is for.
    Broken(anyhow::Error),
}

async fn serve(
    sources: Sources,
    settings: Settings,
    verbosity: Verbosity,
    beginning: Beginning,
) -> anyhow::Result<()> {
    // Before anything is started: a signal in the middle of the start must not be lost.
    let mut signals = Signals::listen()?;
    let predecessor = match beginning {
        Beginning::Fresh => None,
        Beginning::Upgrade => predecessor(&settings).await?,
    };
    let mut running = start::start(sources, settings, verbosity, predecessor).await?;
    let ending = running.go_on(&mut signals).await;
    end(running, ending, signals).await
}

impl Running {
    /// Does what it is told, until it is to end.
    async fn go_on(&mut self, signals: &mut Signals) -> Ending {
        loop {
            let reload_for;
            tokio::select! {
                () = signals.stop.received() => return Ending::Told,
                Some(arrived) = self.arriving.join_next() => {
                    match arrived {
                        Ok(store) => {
                            self.own(store);
                            // Behind it: who reads this line may ask at once.
                            tracing::info!("the data folder is ours: storing from now on");
                        },
                        Err(error) => return Ending::Broken(never_opened(error)),
                    }
                    continue;
                }
                // One at a time: the next one waits, as long as it likes to.
                stream = newcomer(self.upgrades.as_ref()), if self.offering.is_empty() => {
                    self.offer(stream);
                    continue;
                }
                Some(offered) = self.offering.join_next() => match successor(offered) {
                    Some(successor) => return Ending::HandedOver(successor),
                    None => continue,
                },
                Some(()) = signals.rotated.recv() => {
                    self.access_log.reopen();
                    continue;
                }
                Some(()) = signals.hung_up.recv() => reload_for = None,
                Some(asker) = self.reload_requests.recv() => reload_for = Some(asker),
            }
            let outcome = tokio::select! {
                outcome = self.reload() => outcome,
                // Before it has changed anything: see there.
                () = signals.stop.received() => return Ending::Told,
            };
            if outcome
                .as_ref()
                .is_ok_and(|reloaded| !reloaded.changed.is_empty())
            {
                // Who is about to take over may have read what was written before, and would bring it back.
                self.offering.abort_all();
            }
            if let Some(asker) = reload_for {
                // Who asked may have gone: the log says it as well.
                drop(asker.send(outcome));
            }
        }
    }
}

/// Ends in good order; a signal more ends it at once.
async fn end(running: Running, ending: Ending, mut signals: Signals) -> anyhow::Result<()> {
    let access_log = Arc::clone(&running.access_log);
    let mut end = std::pin::pin!(end_in_order(running, ending));
    loop {
        tokio::select! {
            outcome = &mut end => return outcome,
            () = signals.stop.received() => anyhow::bail!("stopped at once by a second signal"),
            // Responses that run on are logged on.
            Some(()) = signals.rotated.recv() => access_log.reopen(),
            Some(()) = signals.hung_up.recv() => {
                tracing::warn!("configuration not reloaded: this process is about to end");
            }
        }
    }
}

async fn end_in_order(running: Running, ending: Ending) -> anyhow::Result<()> {
    match ending {
        Ending::Told => {
            tracing::info!("stopping: running responses may end, a second signal exits at once");
            stop::drain(running).await;
            Ok(())
        }
        Ending::HandedOver(successor) => {
            tracing::info!("another process takes over: a signal exits at once");
            stop::hand_over(running, successor).await;
            Ok(())
        }
        Ending::Broken(error) => {
            tracing::error!(
                error = format!("{error:#}"),
                "stopping: running responses may end"
            );
            stop::drain(running).await;
            Err(error)
        }
    }
}

/// Who has taken over, if somebody has.
fn successor(offered: Result<Option<Successor>, JoinError>) -> Option<Successor> {
    match offered {
        Ok(successor) => successor,
        Err(error) if error.is_cancelled() => {
            tracing::warn!(
                "an upgrade came to nothing: the configuration was reloaded meanwhile; try it again"
            );
            None
        }
        Err(error) => {
            tracing::error!(%error, "an upgrade came to nothing by a bug; everything goes on as before");
            None
        }
    }
}

/// Nobody would ever try again: better a gateway that is started anew than one that never stores.
fn never_opened(error: JoinError) -> anyhow::Error {
    anyhow::Error::new(error).context("the store cannot be opened, by a bug")
}

/// The gateway to take over from, if one runs.
async fn predecessor(settings: &Settings) -> anyhow::Result<Option<Predecessor>> {
    let Some(name) = &settings.server.upgrade_socket else {
        tracing::info!("[server] upgrade_socket is empty: starting as usual");
        return Ok(None);
    };
    // It is in the first folder whose disk was there when that gateway started; others may fail by now.
    let mut paths: Vec<_> = settings.disks.iter().map(|disk| disk.join(name)).collect();
    paths.dedup();
    let mut failure = None;
    for path in &paths {
        match Predecessor::ask(path).await {
            Ok(Some(predecessor)) => return Ok(Some(predecessor)),
            Ok(None) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if let Some(error) = failure {
        return Err(error.context("cannot upgrade"));
    }
    if let Some(path) = paths.first() {
        let path = path.display();
        tracing::info!(%path, "no gateway runs here: starting as usual");
    }
    Ok(None)
}

/// A process that wants to take over. Cancel-safe.
async fn newcomer(upgrades: Option<&Socket>) -> UnixStream {
    match upgrades {
        Some(socket) => upgrade::newcomer(socket).await,
        None => std::future::pending().await,
    }
}
