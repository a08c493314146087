//! From the checked configuration to what each component wants to be told, in its own words.
//!
//! Components do not know the configuration file; this is the one place that knows both.

use super::listeners::Change;
use super::node;
use crate::access_log::{Destination, Format};
use crate::conf::{self, Settings};
use crate::front::FrontSettings;
use crate::pass;
use crate::upstream::UpstreamSettings;
use pingora::server::configuration::ServerConf;
use std::net::SocketAddr;
use std::sync::Arc;
use weir_cache::engine::{EngineSettings, OnAbandon};
use weir_policies::address::Vetter;

/// Where finished requests are written.
pub(super) fn access_log_destination(log: &conf::LogSettings) -> Destination {
    match &log.access {
        conf::AccessLog::Off => Destination::Off,
        conf::AccessLog::Stdout => Destination::Stdout,
        conf::AccessLog::Stderr => Destination::Stderr,
        conf::AccessLog::File(path) => Destination::File(path.clone()),
    }
}

/// How finished requests are written.
pub(super) fn access_log_format(log: &conf::LogSettings) -> Format {
    match log.format {
        conf::AccessFormat::Squid => Format::Squid,
        conf::AccessFormat::Combined => Format::Combined,
        conf::AccessFormat::Json => Format::Json,
    }
}

/// What the front is told; `node` is its name.
pub(super) fn front_settings(settings: &Settings, node: &str) -> FrontSettings {
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

/// What the origin connector is told.
pub(super) fn upstream_settings(settings: &Settings, node: &str) -> UpstreamSettings {
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

/// Where may be connected to, once it is listened as `bound` and `admin` say.
pub(super) fn vetter(settings: &Settings, bound: &Change, admin: Option<SocketAddr>) -> Vetter {
    Vetter {
        allowed: settings.upstream.allow_networks.clone(),
        own_listeners: bound.locals().chain(admin).collect(),
        own_addresses: node::own_addresses(),
    }
}

/// What the engine is told.
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
pub(super) fn pass_configuration(
    ca_file: Option<&std::path::Path>,
    pool_size: usize,
) -> Arc<ServerConf> {
    Arc::new(ServerConf {
        ca_file: ca_file.map(|path| path.to_string_lossy().into_owned()),
        upstream_keepalive_pool_size: pool_size,
        // Of connecting, before anything is sent: a request that was handed through is not ours to repeat.
        max_retries: pass::CONNECT_ATTEMPTS_MAX,
        ..ServerConf::default()
    })
}
