//! The first stage: the configuration as somebody wrote it, key by key, with a default for each.
//!
//! Nothing is checked here beyond the type of each value; [`super::settings`] does that. What each key means to an
//! operator is written in `conf/weir.toml`, which a test keeps equal to these types and their defaults.

use super::access::AccessConfig;
use super::cache_proxy::CacheProxyConfig;
use super::fill::FillConfig;
use super::listen::ListenConfig;
use super::log::LogConfig;
use super::mirror::MirrorConfig;
use super::notify::NotifyConfig;
use super::rule::{RangeMissWord, RuleConfig, RulesConfig};
use super::server::ServerConfig;
use super::size::ByteSize;
use super::span::TimeSpan;
use super::store::StoreConfig;
use super::tunnel::TunnelConfig;
use super::upstream::UpstreamConfig;
use serde::{Deserialize, Serialize};

/// A whole configuration as written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where clients connect.
    pub(crate) listen: ListenConfig,
    /// The process itself.
    pub(crate) server: ServerConfig,
    /// Where objects are kept.
    pub(crate) store: StoreConfig,
    /// Fetching objects into the store.
    pub(crate) fill: FillConfig,
    /// Where Weir may connect to.
    pub(crate) upstream: UpstreamConfig,
    /// Who may use the proxy port.
    pub(crate) access: AccessConfig,
    /// Where CONNECT may lead.
    pub(crate) tunnel: TunnelConfig,
    /// What is logged.
    pub(crate) log: LogConfig,
    /// Who is told when something goes wrong.
    pub(crate) notify: NotifyConfig,
    /// The ways of openEuler's cache-proxy.
    pub(crate) cache_proxy: CacheProxyConfig,
    /// The rules as a whole.
    pub(crate) rules: RulesConfig,
    /// Sites behind paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) mirror: Vec<MirrorConfig>,
    /// Exceptions from the standard.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rule: Vec<RuleConfig>,
}

impl Config {
    /// The defaults, and one of everything that is absent by default, so that serializing it names every key.
    pub(super) fn with_every_key() -> Self {
        let zero = Some(TimeSpan::from_secs(0));
        let nothing = Some(ByteSize::from_bytes(0));
        Self {
            mirror: vec![MirrorConfig {
                key: Some(String::new()),
                ..MirrorConfig::default()
            }],
            rule: vec![RuleConfig {
                size_min: nothing,
                size_max: nothing,
                ttl_default: zero,
                ttl_min: zero,
                ttl_max: zero,
                stale_for: zero,
                negative_ttl: zero,
                range_miss: Some(RangeMissWord::Whole),
                follow_redirects: Some(false),
                limit: nothing,
                ..RuleConfig::default()
            }],
            ..Self::default()
        }
    }
}
