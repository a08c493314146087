//! How Weir is put together, started and drained: a list of steps, each with its why.
//!
//! Order of start: listeners first (a taken port fails before a disk is touched), then the store, then everything
//! between, then the first accept. Order of stop is in [`drain`].

mod node;
mod sources;
mod summary;

use crate::access_log::{AccessLog, Destination, Format};
use crate::admin::Admin;
use crate::cli::Exit;
use crate::conf::{self, Settings};
use crate::control::{self, Control};
use crate::front::{Front, FrontSettings};
use crate::gateway::Gateway;
use crate::logging;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::pass::{self, Pass, PeerSource, RecordSink};
use crate::readiness::{Readiness, State};
use crate::record::{Record, RequestIds};
use crate::tunnel::{Dialer, Tunnels};
use crate::upstream::{HttpOrigin, SystemResolver, UpstreamSettings};
use anyhow::Context;
use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode};
use pingora::server::configuration::ServerConf;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use weir_cache::clock::SystemClock;
use weir_cache::device::file::FileDevice;
use weir_cache::engine::{Engine, EngineSettings, OnAbandon};
use weir_cache::ports::{Clock, Device};
use weir_cache::store::Store;
use weir_policies::address::Vetter;
use weir_policies::target::Target;

/// What is kept for closing the store and the logs when the drain deadline is used up.
const CLOSE_TIME_MIN: Duration = Duration::from_secs(5);

const STORE_WATCH_INTERVAL: Duration = Duration::from_secs(5);

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
    /// Tells operators; ended behind the store, which may still have something to say.
    notifier: Notifier,
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
    let running = start(settings).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            Some(()) = rotated.recv() => running.access_log.reopen(),
        }
    }
    tracing::info!("stopping: running responses may end, a second signal exits at once");
    tokio::select! {
        () = drain(running) => Ok(()),
        _ = terminate.recv() => anyhow::bail!("stopped at once by a second signal"),
        _ = interrupt.recv() => anyhow::bail!("stopped at once by a second signal"),
    }
}

async fn start(settings: Settings) -> anyhow::Result<Running> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let readiness = Arc::new(Readiness::default());
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    let access_log = Arc::new(open_access_log(&settings.log)?);

    let listeners = bind_all(&settings.listen.proxy).await?;
    let admin_listener = match settings.listen.admin {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let own = own_listeners(&listeners, admin_listener.as_ref())?;

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

    let notifier = start_notifier(&settings, &store, &node, &clock);
    sources::watch_notifier(&metrics, notifier.clone(), Arc::clone(&store));

    let vetter = Arc::new(Vetter {
        allowed: settings.upstream.allow_networks.clone(),
        own_listeners: own,
        own_addresses: node::own_addresses(),
    });
    let resolver =
        Arc::new(SystemResolver::new().context("cannot read the system's resolver configuration")?);
    let origin = Arc::new(HttpOrigin::new(
        upstream_settings(&settings, &node),
        resolver,
        vetter,
    )?);
    let engine = Engine::new(
        Arc::clone(&store),
        Arc::clone(&origin) as _,
        Arc::clone(&clock),
        engine_settings(&settings),
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
    let front_settings = front_settings(&settings, &node);
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
        request_ids: RequestIds::default(),
    });
    let proxy = pass.into_proxy(&pass_configuration(
        settings.upstream.ca_file.as_deref(),
        settings.upstream.pool_size,
    ));
    let control = start_control(&settings.disks, &gateway, &notifier);
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
        notifier,
        control,
        background,
        stop,
        drain: settings.server.drain,
    })
}

/// Stop accepting → let responses end → finish or give up fills → close the store → flush the log. The admin
/// listener answers to the end, so that a load balancer can see why we are not ready.
async fn drain(mut running: Running) {
    let deadline = tokio::time::Instant::now() + running.drain;
    running.readiness.advance(State::Draining);
    running.stop.send_replace(true);
    let ended = tokio::time::timeout_at(deadline, async {
        while running.fronts.join_next().await.is_some() {}
    });
    if ended.await.is_err() {
        tracing::warn!(
            "responses and tunnels cut at the drain deadline: [server] drain allows more time"
        );
        running.fronts.shutdown().await;
    }
    let left = deadline
        .saturating_duration_since(tokio::time::Instant::now())
        .max(CLOSE_TIME_MIN);
    running.engine.close(left).await;
    // Before the folder is anybody else's: the socket in it is ours.
    running.control.shutdown().await;
    running.store.close(left.max(CLOSE_TIME_MIN)).await;
    running.notifier.close().await;
    running.background.shutdown().await;
    running.access_log.close().await;
    tracing::info!("stopped");
}

fn open_access_log(log: &conf::LogSettings) -> anyhow::Result<AccessLog> {
    let destination = match &log.access {
        conf::AccessLog::Off => Destination::Off,
        conf::AccessLog::Stdout => Destination::Stdout,
        conf::AccessLog::Stderr => Destination::Stderr,
        conf::AccessLog::File(path) => Destination::File(path.clone()),
    };
    let format = match log.format {
        conf::AccessFormat::Squid => Format::Squid,
        conf::AccessFormat::Combined => Format::Combined,
        conf::AccessFormat::Json => Format::Json,
    };
    AccessLog::start(&destination, format).context("cannot open the access log")
}

/// Tells operators of what the store and the engine emit, and of what the start has found.
fn start_notifier(
    settings: &Settings,
    store: &Store,
    node: &str,
    clock: &Arc<dyn Clock>,
) -> Notifier {
    let (_, current) = watch::channel(Arc::new(settings.notify.clone()));
    let events = store.events().subscribe();
    store.tell_findings();
    Notifier::start(events, current, node.to_owned(), Arc::clone(clock))
}

/// Commands are a convenience: a file system that knows no sockets does not keep the gateway from serving.
fn start_control(
    disks: &[std::path::PathBuf],
    gateway: &Arc<Gateway>,
    notifier: &Notifier,
) -> JoinSet<()> {
    let mut control = JoinSet::new();
    let Some(folder) = disks.first() else {
        return control;
    };
    match control::socket::Bound::make(folder) {
        Ok(socket) => {
            let commands = Control::new(Arc::clone(gateway), notifier.clone());
            control.spawn(commands.serve(socket));
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

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

async fn bind_all(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        listeners.push(bind(*address).await?);
    }
    Ok(listeners)
}

fn own_listeners(
    listeners: &[TcpListener],
    admin: Option<&TcpListener>,
) -> std::io::Result<Vec<SocketAddr>> {
    listeners
        .iter()
        .chain(admin)
        .map(TcpListener::local_addr)
        .collect()
}

fn front_settings(settings: &Settings, node: &str) -> FrontSettings {
    let listen = &settings.listen;
    FrontSettings {
        node: node.to_owned(),
        head_timeout: listen.head_timeout,
        head_bytes_max: listen.head_bytes_max,
        head_fields_max: listen.head_fields_max,
        target_bytes_max: listen.target_bytes_max,
        idle_timeout: listen.idle_timeout,
        send_timeout: listen.send_timeout,
        connections_max: listen.connections_max,
        connections_per_client_max: listen.connections_per_client_max,
    }
}

fn upstream_settings(settings: &Settings, node: &str) -> UpstreamSettings {
    let upstream = &settings.upstream;
    UpstreamSettings {
        resolve_timeout: upstream.resolve_timeout,
        connect_timeout: upstream.connect_timeout,
        first_byte_timeout: upstream.first_byte_timeout,
        stall_timeout: upstream.stall_timeout,
        keepalive: upstream.keepalive,
        pool_size: upstream.pool_size,
        head_bytes_max: upstream.head_bytes_max,
        http2: upstream.http2,
        ca_file: upstream.ca_file.clone(),
        node_name: node.to_owned(),
    }
}

pub(crate) fn engine_settings(settings: &Settings) -> EngineSettings {
    let fill = &settings.fill;
    EngineSettings {
        memory_bytes: fill.memory_bytes as u64,
        on_abandon: match fill.on_abandon {
            conf::OnAbandon::Finish => OnAbandon::Finish,
            conf::OnAbandon::Stop => OnAbandon::Stop,
        },
        hold_down: fill.hold_down,
        flights_max: fill.flights_max,
        readers_max: fill.readers_max,
        total_time: fill.total_time_max,
        redirects_max: fill.redirects_max,
        retries_max: fill.retries_max,
        range_wait: fill.range_wait,
        rate_min: fill.rate_min,
    }
}

/// What Pingora's proxy takes from its own configuration on the pass path.
fn pass_configuration(ca_file: Option<&std::path::Path>, pool_size: usize) -> Arc<ServerConf> {
    Arc::new(ServerConf {
        ca_file: ca_file.map(|path| path.to_string_lossy().into_owned()),
        upstream_keepalive_pool_size: pool_size,
        // Of connecting, before anything is sent: a request that was handed through is not ours to repeat.
        max_retries: pass::CONNECT_ATTEMPTS_MAX,
        ..ServerConf::default()
    })
}

/// Passed requests that change something make the cache ask again.
struct Invalidation(Arc<Engine>);

#[async_trait]
impl pass::UnsafeObserver for Invalidation {
    async fn answered(
        &self,
        method: &Method,
        target: &Target,
        status: StatusCode,
        headers: &HeaderMap,
    ) {
        let Self(engine) = self;
        engine
            .answered_unsafe(method, target, status, headers)
            .await;
    }
}

/// One record, two readers.
struct Records {
    access_log: Arc<AccessLog>,
    metrics: Arc<Metrics>,
}

impl RecordSink for Records {
    fn finished(&self, record: Record) {
        self.metrics.observe(&record);
        self.access_log.log(&record);
    }
}
