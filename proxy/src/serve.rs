//! How Weir is run: started, told by signals what to do, drained.
//!
//! Reading order: [`start`] (assembly, in order) → the loop in [`serve`] → [`reload`] → [`stop`]. [`shared`] is what
//! outlives a configuration, [`settings`] says what each component is told, [`listeners`], [`admin`] and [`node`] where
//! we are reached, [`sources`] and [`observers`] who is counted and who hears of it.

mod admin;
mod listeners;
mod node;
mod observers;
mod reload;
pub(crate) mod settings;
mod shared;
mod sources;
mod start;
mod stop;
mod summary;

use crate::access_log::AccessLog;
use crate::cli::{self, Exit};
use crate::conf::{Settings, Sources};
use crate::control::Control;
use crate::front::Front;
use crate::gateway::Gateway;
use crate::logging::{self, Verbosity};
use crate::notify::{Notifier, NotifySettings};
use crate::readiness::Readiness;
use admin::AdminListener;
use anyhow::Context;
use listeners::Listeners;
use reload::Reloading;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use weir_cache::store::Store;

/// Runs the gateway until it is told to stop.
pub(crate) fn run(sources: Sources) -> Exit {
    let settings = match cli::settings(&sources) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    match try_run(sources, settings) {
        Ok(()) => Exit::Done,
        Err(error) => {
            cli::complain(&format!("weir: {error:#}"));
            Exit::Failed
        }
    }
}

fn try_run(sources: Sources, settings: Settings) -> anyhow::Result<()> {
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
    runtime.block_on(serve(sources, settings, verbosity))
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
    store: Arc<Store>,
    access_log: Arc<AccessLog>,
    readiness: Arc<Readiness>,
    front: Arc<Front<Gateway>>,
    listeners: Listeners,
    control: Arc<Control>,
    /// The control socket with its commands; ended before the store closes.
    control_tasks: JoinSet<()>,
    /// What keeps an eye on things, and where one can look; ended last.
    background: JoinSet<()>,
    admin: AdminListener,
    /// Tells operators; ended behind the store, which may still have something to say.
    notifier: Notifier,
    notify_settings: watch::Sender<Arc<NotifySettings>>,
    drain: Duration,
    reloading: Reloading,
    /// From the control socket.
    reload_requests: mpsc::Receiver<oneshot::Sender<reload::Outcome>>,
}

async fn serve(sources: Sources, settings: Settings, verbosity: Verbosity) -> anyhow::Result<()> {
    // Before anything is started: a signal in the middle of the start must not be lost.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut rotated = signal(SignalKind::user_defined1()).context("cannot listen for SIGUSR1")?;
    let mut hung_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let mut running = start::start(sources, settings, verbosity).await?;
    loop {
        let reload_for;
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            Some(()) = rotated.recv() => {
                running.access_log.reopen();
                continue;
            }
            Some(()) = hung_up.recv() => reload_for = None,
            Some(asker) = running.reload_requests.recv() => reload_for = Some(asker),
        }
        let outcome = tokio::select! {
            outcome = running.reload() => outcome,
            // Before it has changed anything: see there.
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        if let Some(asker) = reload_for {
            // Who asked may have gone: the log says it as well.
            drop(asker.send(outcome));
        }
    }
    tracing::info!("stopping: running responses may end, a second signal exits at once");
    tokio::select! {
        () = stop::drain(running) => Ok(()),
        _ = terminate.recv() => anyhow::bail!("stopped at once by a second signal"),
        _ = interrupt.recv() => anyhow::bail!("stopped at once by a second signal"),
    }
}
