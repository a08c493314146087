//! How everything is put together: a list of steps, each with its why.
//!
//! Listeners first (a taken port fails before a disk is touched), then the store, then everything between, then the
//! first accept. In an upgrade the process before goes on until all of that is done ([`super::upgrade`]), and the store
//! comes last ([`super::data`]).

use super::admin::AdminListener;
use super::data::{Data, Found};
use super::listeners::{Bound, Listeners};
use super::observers::Records;
use super::reload::Reloading;
use super::shared::Shared;
use super::upgrade::Predecessor;
use super::{Running, node, settings as translate, sources, summary};
use crate::access_log::AccessLog;
use crate::admin::Admin;
use crate::conf::{self, Settings, Sources};
use crate::control::{Control, Vitals};
use crate::front::{Front, Live};
use crate::logging::Verbosity;
use crate::metrics::Metrics;
use crate::notify::{Notifier, NotifySettings};
use crate::readiness::Readiness;
use crate::tunnel::{Dialer, Tunnels};
use crate::upstream::{CurrentOrigin, SystemResolver};
use anyhow::Context;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use weir_cache::clock::SystemClock;
use weir_cache::engine::Engine;
use weir_cache::events::Events;
use weir_cache::ports::Clock;
use weir_cache::store::OpenError;

/// Starts everything; the first accept is the last step.
///
/// # Errors
/// What could not be had: nothing is left running then.
pub(super) async fn start(
    sources: Sources,
    settings: Settings,
    verbosity: Verbosity,
    mut predecessor: Option<Predecessor>,
) -> anyhow::Result<Running> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let readiness = Arc::new(Readiness::default());
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    let access_log = Arc::new(open_access_log(&settings.log)?);

    let listeners = Listeners::default();
    let wanted = &settings.listen.proxy;
    let bound = match &mut predecessor {
        Some(predecessor) => Listeners::inherit(wanted, predecessor).await?,
        None => listeners.prepare(wanted).await?,
    };
    let admin_bound = match (settings.listen.admin, &mut predecessor) {
        (Some(address), Some(predecessor)) => Some(Bound::inherit(address, predecessor).await?),
        (Some(address), None) => Some(Bound::bind(address).await?),
        (None, _) => None,
    };
    let events = Events::default();
    let data = Data::new(&settings.disks, &settings.store, &clock, &events);
    let found = match data.open().await {
        Ok(store) => Found::Opened(store),
        Err(OpenError::Owned { .. }) if predecessor.is_some() => Found::Owned,
        Err(error) => return Err(error.into()),
    };
    let node = match (&settings.server.name, &found) {
        (Some(name), _) => name.clone(),
        (None, Found::Opened(store)) => node::default_name(store.pool_id()),
        (None, Found::Owned) => node::default_name(&data.pool_id().unwrap_or_default()),
    };
    let (notify_settings, notifier) = start_notifier(&settings, &events, &node, &clock);
    sources::watch_notifier(&metrics, notifier.clone(), events.clone());
    let summary = summary::text(&bound, admin_bound.as_ref(), &settings.disks);

    let resolver =
        Arc::new(SystemResolver::new().context("cannot read the system's resolver configuration")?);
    let vetter = translate::vetter(&settings, &bound, admin_bound.as_ref().map(Bound::local));
    let origin = Arc::new(CurrentOrigin::new(
        translate::upstream_settings(&settings, &node),
        resolver,
        vetter,
    )?);
    let engine = Engine::awaiting_store(
        Arc::clone(&origin) as _,
        Arc::clone(&clock),
        translate::engine_settings(&settings),
        events,
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
    let upgrade_socket = settings.server.upgrade_socket.clone();
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
    sources::watch(&metrics, &shared.engine, stats, &front);
    metrics.watch(access_log.source());
    let admin = Admin::new(Arc::clone(&metrics), Arc::clone(&readiness), &[]);
    let mut running = Running {
        control_tasks: JoinSet::new(),
        arriving: JoinSet::new(),
        upgrades: None,
        upgrade_socket,
        disks,
        metrics,
        shared,
        access_log,
        readiness,
        front,
        control,
        listeners,
        admin: AdminListener::new(admin),
        background: JoinSet::new(),
        drain,
        notifier,
        notify_settings,
        reloading,
        reload_requests,
    };
    if let Some(predecessor) = &mut predecessor {
        // Whatever could fail is done.
        predecessor.relieve().await?;
        tracing::info!("taking over: the gateway before accepts nothing any more");
    }
    match (found, predecessor) {
        (Found::Owned, Some(predecessor)) => running.await_data(data, predecessor),
        (Found::Opened(store), _) => running.own(store),
        // Not possible: only with a predecessor it may be another's.
        (Found::Owned, None) => anyhow::bail!("the data folder is in use"),
    }
    running.admin.apply(admin_bound);
    running.listeners.apply(bound, &running.front);
    // Last: who waits for these lines may use what they name.
    summary::print(&summary)?;
    Ok(running)
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
