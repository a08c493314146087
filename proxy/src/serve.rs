//! How Weir is run: started, told by signals what to do, drained.
//!
//! Reading order: [`start`] (assembly, in order) → the loop in [`serve`] → [`stop`]. [`settings`] says what each
//! component is told, [`listeners`] and [`node`] where we are reached, [`sources`] and [`observers`] who is counted
//! and who hears of it.

mod listeners;
mod node;
mod observers;
pub(crate) mod settings;
mod sources;
mod start;
mod stop;
mod summary;

use crate::access_log::AccessLog;
use crate::cli::Exit;
use crate::conf::Settings;
use crate::logging;
use crate::readiness::Readiness;
use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use weir_cache::engine::Engine;
use weir_cache::store::Store;

/// Runs the gateway until it is told to stop.
pub(crate) fn run(settings: Settings) -> Exit {
    match try_run(settings) {
        Ok(()) => Exit::Done,
        Err(error) => {
            crate::cli::complain(&format!("weir: {error:#}"));
            Exit::Failed
        }
    }
}

fn try_run(settings: Settings) -> anyhow::Result<()> {
    logging::init(settings.log.level.as_str())?;
    // One TLS provider for the whole process; a second call would only say that there is one.
    drop(rustls::crypto::ring::default_provider().install_default());
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.server.threads.get())
        .thread_name("weir-worker")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(settings))
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
    store: Arc<Store>,
    engine: Arc<Engine>,
    access_log: Arc<AccessLog>,
    readiness: Arc<Readiness>,
    /// Proxy listeners with their connections.
    fronts: JoinSet<()>,
    /// The control socket with its commands; ended before the store closes.
    control: JoinSet<()>,
    /// The admin listener and what keeps an eye on things; ended last.
    background: JoinSet<()>,
    stop: watch::Sender<bool>,
    drain: Duration,
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    // Before anything is started: a signal in the middle of the start must not be lost.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut rotated = signal(SignalKind::user_defined1()).context("cannot listen for SIGUSR1")?;
    let running = start::start(settings).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            Some(()) = rotated.recv() => running.access_log.reopen(),
        }
    }
    tracing::info!("stopping: running responses may end, a second signal exits at once");
    tokio::select! {
        () = stop::drain(running) => Ok(()),
        _ = terminate.recv() => anyhow::bail!("stopped at once by a second signal"),
        _ = interrupt.recv() => anyhow::bail!("stopped at once by a second signal"),
    }
}
