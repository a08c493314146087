//! The second stage: the configuration checked and turned into what the rest of Weir works with.
//!
//! Deliberately without I/O: no address is bound, no folder made, no file opened, so that a configuration can be
//! checked on another machine than the one it is for.

use super::access::AccessSettings;
use super::cache_proxy::CacheProxySettings;
use super::check::Check;
use super::config::Config;
use super::fill::FillSettings;
use super::layers::Origins;
use super::listen::ListenSettings;
use super::log::LogSettings;
use super::problem::ConfigError;
use super::server::ServerSettings;
use super::upstream::UpstreamSettings;
use super::written::Written;
use super::{mirror, rule};
use crate::notify::NotifySettings;
use crate::tunnel::TunnelSettings;
use std::path::PathBuf;
use weir_cache::store::StoreSettings;
use weir_policies::rules::Rules;
use weir_policies::target::Forms;

/// Everything that Weir was told, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where clients connect.
    pub(crate) listen: ListenSettings,
    /// The process itself.
    pub(crate) server: ServerSettings,
    /// Data folders, one a disk; at least one.
    pub(crate) disks: Vec<PathBuf>,
    /// How objects are kept.
    pub(crate) store: StoreSettings,
    /// Fetching objects into the store.
    pub(crate) fill: FillSettings,
    /// Where Weir may connect to.
    pub(crate) upstream: UpstreamSettings,
    /// The ways to ask that are answered, mirrors included.
    pub(crate) forms: Forms,
    /// Exceptions from the standard, the shipped ones included.
    pub(crate) rules: Rules,
    /// Who may use the proxy port.
    pub(crate) access: AccessSettings,
    /// Where CONNECT may lead, and what a tunnel may cost.
    pub(crate) tunnel: TunnelSettings,
    /// What is logged.
    pub(crate) log: LogSettings,
    /// Who is told when something goes wrong.
    pub(crate) notify: NotifySettings,
    /// The ways of openEuler's cache-proxy; `None`: not wanted.
    pub(crate) cache_proxy: Option<CacheProxySettings>,
    /// All of it as it was written.
    pub(crate) written: Written,
}

impl Settings {
    /// Checks `config`; `origins` say where each value was written.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(super) fn build(config: &Config, origins: &Origins) -> Result<Self, ConfigError> {
        let mut check = Check::new(origins);
        let settings = Self {
            listen: config.listen.check(&mut check),
            server: config.server.check(&mut check),
            disks: config.store.check_disks(&mut check),
            store: config.store.check(&mut check),
            fill: config.fill.check(&mut check),
            upstream: config.upstream.check(&mut check),
            forms: check_forms(config, &mut check),
            rules: rule::check_all(&config.rule, &config.rules, &mut check),
            access: config.access.check(&mut check),
            tunnel: config.tunnel.check(&mut check),
            log: config.log.check(&mut check),
            notify: config.notify.check(config.upstream.ca_path(), &mut check),
            cache_proxy: config
                .cache_proxy
                .check(config.listen.path_forms, &mut check),
            written: Written::of(config),
        };
        ConfigError::unless_empty(check.into_problems())?;
        Ok(settings)
    }
}

fn check_forms(config: &Config, check: &mut Check<'_>) -> Forms {
    let path_forms = config.listen.path_forms;
    let mut mirrors = Vec::with_capacity(config.mirror.len());
    for (index, written) in config.mirror.iter().enumerate() {
        mirrors.extend(
            written
                .check(index, path_forms, check)
                .map(|mirror| (index, mirror)),
        );
    }
    mirror::check_distinct(&mirrors, check);
    Forms {
        path_forms,
        mirrors: mirrors.into_iter().map(|(_, mirror)| mirror).collect(),
    }
}
