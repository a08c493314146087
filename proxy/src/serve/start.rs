//! How everything is put together: a list of steps, each with its why.
//!
//! Listeners first (a taken port fails before a disk is touched), then the store, then everything between, then the
//! first accept. In an upgrade the sockets come from the process before, which goes on until everything that may fail
//! is done ([`super::upgrade`]), and the store comes behind the first accept ([`super::data`]).

use super::admin::AdminListener;
use super::data::{Data, Found};
use super::listeners::{Bound, Change, Listeners};
use super::observers::Records;
use super::reload::Reloading;
use super::shared::Shared;
use super::upgrade::Predecessor;
use super::{Beginning, Running, node, settings as translate, sources, summary};
use crate::access_log::AccessLog;
use crate::admin::Admin;
use crate::conf::{self, Settings, Sources};
use crate::control::{Control, Vitals};
use crate::front::Front;
use crate::logging::Verbosity;
use crate::metrics::Metrics;
use crate::notify::{Notifier, NotifySettings};
use crate::readiness::Readiness;
use crate::tunnel::{Dialer, Tunnels};
use crate::upstream::{CurrentOrigin, SystemResolver};
use anyhow::Context;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use weir_cache::clock::SystemClock;
use weir_cache::engine::Engine;
use weir_cache::events::Events;
use weir_cache::ports::Clock;

/// Where clients and operators connect; nobody accepts there yet.
struct Sockets {
    proxy: Change,
    admin: Option<Bound>,
}

/// By what one sees from outside how it goes.
struct Outlook {
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    access_log: Arc<AccessLog>,
    notifier: Notifier,
    notify_settings: watch::Sender<Arc<NotifySettings>>,
}

/// Starts everything; the first accept is the last step.
///
/// # Errors
/// What could not be had: nothing is left running then, and a process before goes on.
pub(super) async fn start(
    sources: Sources,
    settings: Settings,
    verbosity: Verbosity,
    mut predecessor: Option<Predecessor>,
) -> anyhow::Result<Running> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let access_log = Arc::new(open_access_log(&settings.log)?);
    let sockets = Sockets::bind(
        &settings.listen.proxy,
        settings.listen.admin,
        predecessor.as_mut(),
    )
    .await?;
    let summary = summary::text(&sockets.proxy, sockets.admin.as_ref(), &settings.disks);
    let events = Events::default();
    let data = Data::new(&settings.disks, &settings.store, &clock, &events);
    let found = data.find(predecessor.as_ref()).await?;
    let node = node_name(&settings, &data, &found);
    let outlook = Outlook::start(access_log, &settings, &events, &node, &clock);
    let shared = shared(&settings, &sockets, &outlook, node, clock, events)?;
    let mut running = assemble(sources, settings, verbosity, shared, outlook);
    let beginning = take_over(&mut running, data, found, predecessor).await?;
    running.admin.apply(sockets.admin);
    running.listeners.apply(sockets.proxy, &running.front);
    // Last: who waits for these lines may use what they name.
    announce(&summary, beginning)?;
    Ok(running)
}

/// Relieves the process before, if there is one, and takes the data, or waits for it. From here on nobody else accepts:
/// what comes behind this must not fail.
async fn take_over(
    running: &mut Running,
    data: Data,
    found: Found,
    mut predecessor: Option<Predecessor>,
) -> anyhow::Result<Beginning> {
    let mut beginning = Beginning::Fresh;
    if let Some(predecessor) = &mut predecessor {
        predecessor.relieve().await?;
        tracing::info!("taking over: the gateway before accepts nothing any more");
        beginning = Beginning::Upgrade;
    }
    match (found, predecessor) {
        (Found::Owned, Some(predecessor)) => running.await_data(data, predecessor),
        (Found::Opened(store), _) => running.own(store),
        // Not possible: only with a predecessor it may be another's.
        (Found::Owned, None) => anyhow::bail!("the data folder is in use"),
    }
    Ok(beginning)
}

/// Says where we are. Who has taken over is alone with the clients by now, and goes on also where nobody listens.
fn announce(summary: &str, beginning: Beginning) -> anyhow::Result<()> {
    match (summary::print(summary), beginning) {
        (Err(error), Beginning::Upgrade) => {
            tracing::warn!(%error, "cannot write to the standard output where the gateway listens");
            Ok(())
        }
        (printed, _) => {
            printed.context("cannot write to the standard output where the gateway listens")
        }
    }
}

impl Sockets {
    /// Binds them, or takes those of the process before.
    async fn bind(
        proxy: &[SocketAddr],
        admin: Option<SocketAddr>,
        mut predecessor: Option<&mut Predecessor>,
    ) -> anyhow::Result<Self> {
        let proxy = match &mut predecessor {
            Some(predecessor) => Listeners::inherit(proxy, predecessor).await?,
            None => Listeners::default().prepare(proxy).await?,
        };
        let admin = match (admin, predecessor) {
            (Some(address), Some(predecessor)) => Some(Bound::inherit(address, predecessor).await?),
            (Some(address), None) => Some(Bound::bind(address).await?),
            (None, _) => None,
        };
        Ok(Self { proxy, admin })
    }
}

impl Outlook {
    fn start(
        access_log: Arc<AccessLog>,
        settings: &Settings,
        events: &Events,
        node: &str,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
        let (notify_settings, notifier) = start_notifier(settings, events, node, clock);
        sources::watch_notifier(&metrics, notifier.clone(), events.clone());
        metrics.watch(access_log.source());
        Self {
            metrics,
            readiness: Arc::default(),
            access_log,
            notifier,
            notify_settings,
        }
    }
}

fn node_name(settings: &Settings, data: &Data, found: &Found) -> String {
    match (&settings.server.name, found) {
        (Some(name), _) => name.clone(),
        (None, Found::Opened(store)) => node::default_name(store.pool_id()),
        (None, Found::Owned) => node::default_name(&data.pool_id().unwrap_or_default()),
    }
}

/// What outlives a configuration. The engine has no store yet.
fn shared(
    settings: &Settings,
    sockets: &Sockets,
    outlook: &Outlook,
    node: String,
    clock: Arc<dyn Clock>,
    events: Events,
) -> anyhow::Result<Shared> {
    let resolver =
        Arc::new(SystemResolver::new().context("cannot read the system's resolver configuration")?);
    let admin = sockets.admin.as_ref().map(Bound::local);
    let vetter = translate::vetter(settings, &sockets.proxy, admin);
    let upstream = translate::upstream_settings(settings, &node);
    let origin = Arc::new(CurrentOrigin::new(upstream, resolver, vetter)?);
    let engine = Engine::awaiting_store(
        Arc::clone(&origin) as _,
        Arc::clone(&clock),
        translate::engine_settings(settings),
        events,
    );
    let sink = Arc::new(Records {
        access_log: Arc::clone(&outlook.access_log),
        metrics: Arc::clone(&outlook.metrics),
    });
    Ok(Shared {
        engine,
        origin,
        clock,
        sink,
        request_ids: Arc::default(),
        node,
    })
}

/// Everything but the data and the first accept. Nothing of it fails.
fn assemble(
    sources: Sources,
    settings: Settings,
    verbosity: Verbosity,
    shared: Shared,
    outlook: Outlook,
) -> Running {
    let Outlook {
        metrics,
        readiness,
        access_log,
        notifier,
        notify_settings,
    } = outlook;
    let tunnels = tunnels(&settings, &shared);
    sources::watch_tunnels(&metrics, tunnels.stats());
    let upstream = &settings.upstream;
    let proxy = shared.pass_proxy(upstream.ca_file.as_deref(), upstream.pool_size);
    let reloading = Reloading::new(sources, settings.written.clone(), verbosity, &shared.clock);
    metrics.watch(reloading.source());
    let disks = settings.disks.clone();
    let (drain, upgrade_drain) = (settings.server.drain, settings.server.upgrade_drain);
    let upgrade_socket = settings.server.upgrade_socket.clone();
    let live = shared.live(settings, tunnels, proxy);
    let (reloads, reload_requests) = mpsc::channel(1);
    let vitals = Vitals {
        metrics: Arc::clone(&metrics),
        readiness: Arc::clone(&readiness),
        notifier: notifier.clone(),
        started: shared.clock.elapsed(),
        clock: Arc::clone(&shared.clock),
    };
    let control = Control::new(Arc::clone(&live.handler), reloads, vitals);
    let front = Front::new(
        live.settings,
        live.handler,
        live.proxy,
        Arc::clone(&shared.clock),
    );
    let front = Arc::new(front);
    sources::watch(&metrics, &shared.engine, shared.origin.stats(), &front);
    let admin = Admin::new(Arc::clone(&metrics), Arc::clone(&readiness), &[]);
    Running {
        control_tasks: JoinSet::new(),
        arriving: JoinSet::new(),
        offering: JoinSet::new(),
        upgrades: None,
        upgrade_socket,
        disks,
        metrics,
        shared,
        access_log,
        readiness,
        front,
        control,
        listeners: Listeners::default(),
        admin: AdminListener::new(admin),
        background: JoinSet::new(),
        drain,
        upgrade_drain,
        notifier,
        notify_settings,
        reloading,
        reload_requests,
    }
}

fn tunnels(settings: &Settings, shared: &Shared) -> Tunnels {
    Tunnels::new(
        settings.tunnel.clone(),
        Arc::clone(&shared.origin) as Arc<dyn Dialer>,
        Arc::clone(&shared.sink) as _,
        Arc::clone(&shared.clock),
    )
}

fn open_access_log(log: &conf::LogSettings) -> anyhow::Result<AccessLog> {
    let destination = translate::access_log_destination(log);
    AccessLog::start(&destination, translate::access_log_format(log))
}

/// Tells operators of what the store and the engine emit.
fn start_notifier(
    settings: &Settings,
    events: &Events,
    node: &str,
    clock: &Arc<dyn Clock>,
) -> (watch::Sender<Arc<NotifySettings>>, Notifier) {
    let (swapped, current) = watch::channel(Arc::new(settings.notify.clone()));
    let stream = events.subscribe();
    let notifier = Notifier::start(stream, current, node.to_owned(), Arc::clone(clock));
    (swapped, notifier)
}
