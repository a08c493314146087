//! How everything is put together: a list of steps, each with its why.
//!
//! Listeners first (a taken port fails before a disk is touched), then the store, then everything between, then the
//! first accept.

use super::admin::AdminListener;
use super::listeners::{Bound, Listeners};
use super::observers::Records;
use super::reload::Reloading;
use super::shared::Shared;
use super::{Running, node, settings as translate, sources, summary};
use crate::access_log::AccessLog;
use crate::admin::Admin;
use crate::conf::{self, Settings, Sources};
use crate::control::{self, Control, Vitals};
use crate::front::{Front, Live};
use crate::logging::Verbosity;
use crate::metrics::Metrics;
use crate::notify::{Notifier, NotifySettings};
use crate::readiness::{Readiness, State};
use crate::tunnel::{Dialer, Tunnels};
use crate::upstream::{CurrentOrigin, SystemResolver};
use anyhow::Context;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use weir_cache::clock::SystemClock;
use weir_cache::device::file::FileDevice;
use weir_cache::engine::Engine;
use weir_cache::ports::{Clock, Device};
use weir_cache::store::Store;

const STORE_WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// Starts everything; the first accept is the last step.
///
/// # Errors
/// What could not be had: nothing is left running then.
pub(super) async fn start(
    sources: Sources,
    settings: Settings,
    verbosity: Verbosity,
) -> anyhow::Result<Running> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let readiness = Arc::new(Readiness::default());
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    let access_log = Arc::new(open_access_log(&settings.log)?);

    let listeners = Listeners::default();
    let bound = listeners.prepare(&settings.listen.proxy).await?;
    let admin_bound = match settings.listen.admin {
        Some(address) => Some(Bound::bind(address).await?),
        None => None,
    };
    let store = open_store(&settings, &clock).await?;
    let node = settings
        .server
        .name
        .clone()
        .unwrap_or_else(|| node::default_name(store.pool_id()));
    let (notify_settings, notifier) = start_notifier(&settings, &store, &node, &clock);
    sources::watch_notifier(&metrics, notifier.clone(), Arc::clone(&store));
    let summary = summary::text(&bound, admin_bound.as_ref(), &settings.disks);

    let resolver =
        Arc::new(SystemResolver::new().context("cannot read the system's resolver configuration")?);
    let vetter = translate::vetter(&settings, &bound, admin_bound.as_ref().map(Bound::local));
    let origin = Arc::new(CurrentOrigin::new(
        translate::upstream_settings(&settings, &node),
        resolver,
        vetter,
    )?);
    let engine = Engine::new(
        Arc::clone(&store),
        Arc::clone(&origin) as _,
        Arc::clone(&clock),
        translate::engine_settings(&settings),
    );
    let sink = Arc::new(Records {
        access_log: Arc::clone(&access_log),
        metrics: Arc::clone(&metrics),
    });
    let shared = Shared {
        engine,
        origin,
        clock,
        sink,
        request_ids: Arc::default(),
        node,
    };

    let tunnels = Tunnels::new(
        settings.tunnel.clone(),
        Arc::clone(&shared.origin) as Arc<dyn Dialer>,
        Arc::clone(&shared.sink) as _,
        Arc::clone(&shared.clock),
    );
    sources::watch_tunnels(&metrics, tunnels.stats());
    let upstream = &settings.upstream;
    let proxy = shared.pass_proxy(upstream.ca_file.as_deref(), upstream.pool_size);
    let reloading = Reloading::new(sources, settings.written.clone(), verbosity, &shared.clock);
    metrics.watch(reloading.source());
    let (disks, drain) = (settings.disks.clone(), settings.server.drain);
    let Live {
        settings: front_settings,
        handler,
        proxy,
    } = shared.live(settings, tunnels, proxy);
    let (reloads, reload_requests) = mpsc::channel(1);
    let vitals = Vitals {
        metrics: Arc::clone(&metrics),
        readiness: Arc::clone(&readiness),
        notifier: notifier.clone(),
        started: shared.clock.elapsed(),
        clock: Arc::clone(&shared.clock),
    };
    let control = Control::new(Arc::clone(&handler), reloads, vitals);
    let front = Front::new(front_settings, handler, proxy, Arc::clone(&shared.clock));
    let front = Arc::new(front);

    let stats = shared.origin.stats();
    sources::watch(&metrics, &store, &shared.engine, stats, &front);
    metrics.watch(access_log.source());
    let mut background = JoinSet::new();
    background.spawn(watch_store(Arc::clone(&store), Arc::clone(&readiness)));
    let admin = Admin::new(metrics, Arc::clone(&readiness), &[]);
    let mut running = Running {
        control_tasks: start_control(&disks, &control),
        shared,
        store,
        access_log,
        readiness,
        front,
        control,
        listeners,
        admin: AdminListener::new(admin),
        background,
        drain,
        notifier,
        notify_settings,
        reloading,
        reload_requests,
    };
    running.admin.apply(admin_bound);
    running.listeners.apply(bound, &running.front);
    running.readiness.advance(State::Ready);
    // Last: who waits for these lines may use what they name.
    summary::print(&summary)?;
    Ok(running)
}

async fn open_store(settings: &Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<Store>> {
    let disks = settings
        .disks
        .iter()
        .map(|disk| Arc::new(FileDevice::new(disk)) as Arc<dyn Device>)
        .collect();
    Ok(Store::open(disks, settings.store.clone(), Arc::clone(clock)).await?)
}

fn open_access_log(log: &conf::LogSettings) -> anyhow::Result<AccessLog> {
    let destination = translate::access_log_destination(log);
    AccessLog::start(&destination, translate::access_log_format(log))
        .context("cannot open the access log")
}

/// Tells operators of what the store and the engine emit, and of what the start has found.
fn start_notifier(
    settings: &Settings,
    store: &Store,
    node: &str,
    clock: &Arc<dyn Clock>,
) -> (watch::Sender<Arc<NotifySettings>>, Notifier) {
    let (swapped, current) = watch::channel(Arc::new(settings.notify.clone()));
    let events = store.events().subscribe();
    store.tell_findings();
    let notifier = Notifier::start(events, current, node.to_owned(), Arc::clone(clock));
    (swapped, notifier)
}

/// Commands are a convenience: a file system that knows no sockets does not keep the gateway from serving.
fn start_control(disks: &[PathBuf], control: &Arc<Control>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let Some(folder) = disks.first() else {
        return tasks;
    };
    match control::socket::Bound::make(folder) {
        Ok(socket) => {
            tasks.spawn(Arc::clone(control).serve(socket));
        }
        Err(error) => {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "no control socket: commands cannot reach this gateway");
        }
    }
    tasks
}

/// A store that is unwell is a reason to send no traffic here; `/readyz` says which.
async fn watch_store(store: Arc<Store>, readiness: Arc<Readiness>) {
    let mut every = tokio::time::interval(STORE_WATCH_INTERVAL);
    loop {
        every.tick().await;
        match store.problem() {
            Some(problem) => readiness.raise("store", problem),
            None => readiness.clear("store"),
        }
    }
}
