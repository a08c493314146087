//! SIGHUP: the configuration is read again and taken over whole, or not at all.
//!
//! Three steps. **Read**: the same sources as at the start, checked like there. **Prepare**: whatever can fail is
//! done beside what runs (sockets bound, certificates read, log files opened). **Take over**: swaps that cannot fail.
//! Dropped before the third step, a reload has changed nothing.
//!
//! Requests, fills and tunnels that run keep what they began with. What a running process cannot take over
//! ([`Changes::at_start`]) makes the whole reload fail, so that the file and the process never say different things.

use super::admin::AdminChange;
use super::listeners::Change;
use super::settings as translate;
use super::{Running, Shared};
use crate::access_log::{self, AccessLog};
use crate::conf::{self, Changes, Settings, Sources, Written};
use crate::control::shown::Reloaded;
use crate::logging::Verbosity;
use crate::metrics::{Collected, Samples, Source};
use crate::pass::Pass;
use crate::upstream::{Made, UpstreamSettings};
use pingora::proxy::HttpProxy;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use weir_cache::metrics::Counter;
use weir_cache::ports::Clock;
use weir_policies::address::Vetter;

/// What a reload needs to know of the past.
pub(super) struct Reloading {
    sources: Sources,
    written: Written,
    verbosity: Verbosity,
    clock: Arc<dyn Clock>,
    stats: Arc<ReloadStats>,
}

/// How a reload ended; where it was refused, one problem a line.
pub(super) type Outcome = Result<Reloaded, String>;

/// Everything that could fail, done.
struct Prepared {
    listeners: Change,
    admin: AdminChange,
    connecting: Option<(Made, Arc<HttpProxy<Pass>>)>,
    access_log: Option<access_log::Opened>,
}

#[derive(Debug, Default)]
struct ReloadStats {
    applied: Counter,
    unchanged: Counter,
    refused: Counter,
    was_refused: AtomicBool,
    succeeded_at_seconds: AtomicU64,
}

impl Reloading {
    /// The start has just read `written` from `sources`.
    pub(super) fn new(
        sources: Sources,
        written: Written,
        verbosity: Verbosity,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let stats = ReloadStats::default();
        stats.succeeded(clock.wall());
        Self {
            sources,
            written,
            verbosity,
            clock: Arc::clone(clock),
            stats: Arc::new(stats),
        }
    }

    /// What is counted, for the metrics page.
    pub(super) fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.stats) as _
    }

    fn note(&self, result: &Result<Reloaded, Vec<String>>) {
        let stats = &self.stats;
        match result {
            Ok(Reloaded { changed, .. }) if changed.is_empty() => {
                stats.unchanged.add(1);
                stats.succeeded(self.clock.wall());
                tracing::info!("configuration reloaded: nothing has changed");
            }
            Ok(Reloaded { changed, .. }) => {
                stats.applied.add(1);
                stats.succeeded(self.clock.wall());
                tracing::info!(changed = changed.join(", "), "configuration reloaded");
            }
            Err(problems) => {
                stats.refused.add(1);
                stats.was_refused.store(true, Ordering::Relaxed);
                for problem in problems {
                    tracing::error!("configuration: {problem}");
                }
                tracing::error!("configuration not reloaded: everything stays as it was");
            }
        }
    }
}

impl Running {
    /// Takes over the configuration as it is written now. Cancel-safe: what has not been taken over by then is not.
    pub(super) async fn reload(&mut self) -> Outcome {
        let result = self.try_reload().await;
        self.reloading.note(&result);
        result.map_err(|problems| problems.join("\n"))
    }

    async fn try_reload(&mut self) -> Result<Reloaded, Vec<String>> {
        let sources = self.reloading.sources.clone();
        let read = tokio::task::spawn_blocking(move || conf::load(&sources)).await;
        let settings = read.map_err(in_one)?.map_err(|error| {
            let problems = error.into_problems().into_iter();
            problems
                .map(|problem| problem.to_string())
                .collect::<Vec<_>>()
        })?;
        let Changes { at_once, at_start } = self.reloading.written.changes(&settings.written);
        if !at_start.is_empty() {
            return Err(at_start.iter().map(|key| needs_start(key)).collect());
        }
        // Also where nothing differs: a certificate file may have other content, and the machine another address.
        let prepared = self.prepare(&settings, &at_once).await.map_err(in_one)?;
        self.take_over(settings, prepared);
        let file = self.reloading.sources.file.as_deref();
        // Absolute: who asked is in a folder of their own.
        let file = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        Ok(Reloaded {
            changed: at_once,
            file: file.map(|file| file.display().to_string()),
        })
    }

    async fn prepare(&self, settings: &Settings, changed: &[String]) -> anyhow::Result<Prepared> {
        let listeners = self.listeners.prepare(&settings.listen.proxy).await?;
        let admin = self.admin.prepare(settings.listen.admin).await?;
        let local = self.admin.local_after(&admin);
        let vetter = translate::vetter(settings, &listeners, local);
        let upstream = translate::upstream_settings(settings, &self.shared.node);
        let shared = self.shared.clone();
        let connecting = move || connecting(&shared, upstream, vetter);
        let connecting = tokio::task::spawn_blocking(connecting).await??;
        let access_log = if changed.iter().any(|key| key.starts_with("[log] ")) {
            let destination = translate::access_log_destination(&settings.log);
            let format = translate::access_log_format(&settings.log);
            let open = move || AccessLog::open(&destination, format);
            Some(tokio::task::spawn_blocking(open).await??)
        } else {
            None
        };
        Ok(Prepared {
            listeners,
            admin,
            connecting,
            access_log,
        })
    }

    /// From here on nothing fails. Where may be connected to comes first, who is answered how last.
    fn take_over(&mut self, settings: Settings, prepared: Prepared) {
        let live = self.front.live();
        let proxy = match prepared.connecting {
            Some((made, proxy)) => {
                self.shared.origin.replace(made);
                proxy
            }
            None => Arc::clone(&live.proxy),
        };
        let engine_settings = translate::engine_settings(&settings);
        self.shared.engine.reconfigure(engine_settings);
        if let Err(error) = self.reloading.verbosity.set(settings.log.level.as_str()) {
            tracing::error!(%error, "the log level stays as it was");
        }
        if let Some(opened) = prepared.access_log {
            self.access_log.switch(opened);
        }
        self.drain = settings.server.drain;
        self.upgrade_drain = settings.server.upgrade_drain;
        self.notify_settings
            .send_replace(Arc::new(settings.notify.clone()));
        self.reloading.written = settings.written.clone();
        let tunnels = live.handler.tunnels.reconfigured(settings.tunnel.clone());
        let live = self.shared.live(settings, tunnels, proxy);
        self.control.replace(Arc::clone(&live.handler));
        self.front.replace(live);
        if let AdminChange::Replace(bound) = prepared.admin {
            if let Some(bound) = &bound {
                tracing::info!(address = %bound.local(), "the admin pages are served here now");
            }
            self.admin.apply(bound);
        }
        for address in prepared.listeners.added() {
            tracing::info!(%address, "listening here as well");
        }
        self.listeners.apply(prepared.listeners, &self.front);
    }
}

/// Both ways to upstreams; `None` where they would be as they are. Blocks.
fn connecting(
    shared: &Shared,
    settings: UpstreamSettings,
    vetter: Vetter,
) -> anyhow::Result<Option<(Made, Arc<HttpProxy<Pass>>)>> {
    let (ca_file, pool_size) = (settings.ca_file.clone(), settings.pool_size);
    let made = shared.origin.another(settings, vetter)?;
    Ok(made.map(|made| (made, shared.pass_proxy(ca_file.as_deref(), pool_size))))
}

fn in_one(error: impl Into<anyhow::Error>) -> Vec<String> {
    vec![format!("{:#}", error.into())]
}

fn needs_start(key: &str) -> String {
    format!("{key}: a running gateway keeps this; restart it, or use `weir serve --upgrade`")
}

impl ReloadStats {
    fn succeeded(&self, now: SystemTime) {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.succeeded_at_seconds
            .store(since.as_secs(), Ordering::Relaxed);
        self.was_refused.store(false, Ordering::Relaxed);
    }
}

impl Source for ReloadStats {
    fn samples(&self, samples: &mut Samples) {
        for (result, counter) in [
            ("applied", &self.applied),
            ("unchanged", &self.unchanged),
            ("refused", &self.refused),
        ] {
            samples.add(Collected::Reloads, result, counter.get());
        }
        let succeeded = !self.was_refused.load(Ordering::Relaxed);
        samples.add(Collected::ReloadSucceeded, "", u64::from(succeeded));
        let at = self.succeeded_at_seconds.load(Ordering::Relaxed);
        samples.add(Collected::ReloadTime, "", at);
    }
}
