//! How everything is put together: a list of steps, each with its why.
//!
//! Listeners first (a taken port fails before a disk is touched), then the store, then everything between, then the
//! first accept.

use super::observers::{Invalidation, Records};
use super::{Running, listeners, node, settings as translate, sources, summary};
use crate::access_log::AccessLog;
use crate::admin::Admin;
use crate::conf::{self, Settings};
use crate::control::{self, Control};
use crate::front::Front;
use crate::gateway::Gateway;
use crate::metrics::Metrics;
use crate::pass::{Pass, PeerSource};
use crate::readiness::{Readiness, State};
use crate::record::RequestIds;
use crate::tunnel::{Dialer, Tunnels};
use crate::upstream::{HttpOrigin, SystemResolver};
use anyhow::Context;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use weir_cache::clock::SystemClock;
use weir_cache::device::file::FileDevice;
use weir_cache::engine::Engine;
use weir_cache::ports::{Clock, Device};
use weir_cache::store::Store;
use weir_policies::address::Vetter;

const STORE_WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// Starts everything; the first accept is the last step.
///
/// # Errors
/// What could not be had: nothing is left running then.
pub(super) async fn start(settings: Settings) -> anyhow::Result<Running> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let readiness = Arc::new(Readiness::default());
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    let access_log = Arc::new(open_access_log(&settings.log)?);

    let listeners = listeners::bind_all(&settings.listen.proxy).await?;
    let admin_listener = match settings.listen.admin {
        Some(address) => Some(listeners::bind(address).await?),
        None => None,
    };
    let own = listeners::own_listeners(&listeners, admin_listener.as_ref())?;

    let disks = settings
        .disks
        .iter()
        .map(|disk| Arc::new(FileDevice::new(disk)) as Arc<dyn Device>)
        .collect();
    let store = Store::open(disks, settings.store.clone(), Arc::clone(&clock)).await?;
    let node = settings
        .server
        .name
        .clone()
        .unwrap_or_else(|| node::default_name(store.pool_id()));

    let vetter = Arc::new(Vetter {
        allowed: settings.upstream.allow_networks.clone(),
        own_listeners: own,
        own_addresses: node::own_addresses(),
    });
    let resolver =
        Arc::new(SystemResolver::new().context("cannot read the system's resolver configuration")?);
    let origin = Arc::new(HttpOrigin::new(
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
    let peers: Arc<dyn PeerSource> = Arc::clone(&origin) as _;
    let pass = Pass::new(
        peers,
        Arc::clone(&sink) as _,
        Arc::new(Invalidation(Arc::clone(&engine))),
        Arc::clone(&clock),
        node.clone(),
    );
    let front_settings = translate::front_settings(&settings, &node);
    let tunnels = Tunnels::new(
        settings.tunnel,
        Arc::clone(&origin) as Arc<dyn Dialer>,
        Arc::clone(&sink) as _,
        Arc::clone(&clock),
    );
    sources::watch_tunnels(&metrics, tunnels.stats());
    let gateway = Arc::new(Gateway {
        engine: Arc::clone(&engine),
        forms: settings.forms,
        rules: Arc::new(settings.rules),
        access: settings.access,
        stale_for_seconds: settings.fill.stale_for.as_secs(),
        cache_proxy: settings.cache_proxy,
        node,
        clock: Arc::clone(&clock),
        tunnels,
        sink,
        request_ids: Arc::new(RequestIds::default()),
    });
    let proxy = pass.into_proxy(&translate::pass_configuration(
        settings.upstream.ca_file.as_deref(),
        settings.upstream.pool_size,
    ));
    let control = start_control(&settings.disks, &gateway);
    let front = Arc::new(Front::new(front_settings, gateway, proxy, clock));

    sources::watch(&metrics, &store, &engine, origin.stats(), &front);
    metrics.watch(access_log.source());
    let summary = summary::text(&listeners, admin_listener.as_ref(), &settings.disks)?;
    let (stop, stopped) = watch::channel(false);
    let mut background = JoinSet::new();
    background.spawn(watch_store(Arc::clone(&store), Arc::clone(&readiness)));
    if let Some(listener) = admin_listener {
        let pages = Admin::new(metrics, Arc::clone(&readiness), &[]);
        background.spawn(pages.serve(listener, std::future::pending()));
    }
    let mut fronts = JoinSet::new();
    for listener in listeners {
        fronts.spawn(Arc::clone(&front).serve(listener, stopped.clone()));
    }
    readiness.advance(State::Ready);
    // Last: who waits for these lines may use what they name.
    summary::print(&summary)?;
    Ok(Running {
        store,
        engine,
        access_log,
        readiness,
        fronts,
        control,
        background,
        stop,
        drain: settings.server.drain,
    })
}

fn open_access_log(log: &conf::LogSettings) -> anyhow::Result<AccessLog> {
    let destination = translate::access_log_destination(log);
    AccessLog::start(&destination, translate::access_log_format(log))
        .context("cannot open the access log")
}

/// Commands are a convenience: a file system that knows no sockets does not keep the gateway from serving.
fn start_control(disks: &[std::path::PathBuf], gateway: &Arc<Gateway>) -> JoinSet<()> {
    let mut control = JoinSet::new();
    let Some(folder) = disks.first() else {
        return control;
    };
    match control::socket::Bound::make(folder) {
        Ok(socket) => {
            control.spawn(Control::new(Arc::clone(gateway)).serve(socket));
        }
        Err(error) => {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "no control socket: commands cannot reach this gateway");
        }
    }
    control
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
