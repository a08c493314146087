//! `[upstream]`: where Weir may connect to, how long it waits there, and whom it trusts.

use super::address::parse_network;
use super::check::{Check, quoted};
use super::size::ByteSize;
use super::span::TimeSpan;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[upstream]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UpstreamConfig {
    /// Destination networks that would be refused otherwise.
    pub(crate) allow_networks: Vec<String>,
    /// For the addresses of a name.
    pub(crate) resolve_timeout: TimeSpan,
    /// For each address.
    pub(crate) connect_timeout: TimeSpan,
    /// From the request to the response head.
    pub(crate) first_byte_timeout: TimeSpan,
    /// Between two pieces of a body.
    pub(crate) stall_timeout: TimeSpan,
    /// Of a response head.
    pub(crate) head_size: ByteSize,
    /// How long an idle connection is kept.
    pub(crate) keepalive: TimeSpan,
    /// Idle connections kept.
    pub(crate) pool: u64,
    /// Whether HTTP/2 is offered to encrypted upstreams.
    pub(crate) http2: bool,
    /// More certificate authorities.
    pub(crate) ca_file: String,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            allow_networks: Vec::new(),
            resolve_timeout: TimeSpan::from_secs(5),
            connect_timeout: TimeSpan::from_secs(5),
            first_byte_timeout: TimeSpan::from_secs(30),
            stall_timeout: TimeSpan::from_secs(30),
            head_size: ByteSize::from_bytes(64 * 1024),
            keepalive: TimeSpan::from_secs(60),
            pool: 1024,
            http2: true,
            ca_file: String::new(),
        }
    }
}

/// `[upstream]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamSettings {
    /// Destination networks that would be refused otherwise; for the address vetter.
    pub(crate) allow_networks: Vec<IpNet>,
    /// For the addresses of a name.
    pub(crate) resolve_timeout: Duration,
    /// For each address, TLS included.
    pub(crate) connect_timeout: Duration,
    /// From the request to the end of the response head.
    pub(crate) first_byte_timeout: Duration,
    /// Between two pieces of a body.
    pub(crate) stall_timeout: Duration,
    /// Bytes of a response head.
    pub(crate) head_bytes_max: usize,
    /// How long an idle connection is kept; zero: not at all.
    pub(crate) keepalive: Duration,
    /// Idle connections kept in all.
    pub(crate) pool_size: usize,
    /// Whether HTTP/2 is offered to `https` upstreams.
    pub(crate) http2: bool,
    /// PEM file with certificate authorities trusted besides the system's; read at the start and at reloads.
    pub(crate) ca_file: Option<PathBuf>,
}

/// Bounds of `head_size`.
const HEAD_SIZE: (ByteSize, ByteSize) = (
    ByteSize::from_bytes(4 * 1024),
    ByteSize::from_bytes(1024 * 1024),
);

impl UpstreamConfig {
    /// Checks every key.
    pub(super) fn check(&self, check: &mut Check<'_>) -> UpstreamSettings {
        let mut section = check.section("upstream");
        if self.ca_file.contains('\0') {
            section.refuse("ca_file", quoted(&self.ca_file), "not a path");
        }
        UpstreamSettings {
            allow_networks: section.each("allow_networks", &self.allow_networks, parse_network),
            resolve_timeout: section.positive("resolve_timeout", self.resolve_timeout),
            connect_timeout: section.positive("connect_timeout", self.connect_timeout),
            first_byte_timeout: section.positive("first_byte_timeout", self.first_byte_timeout),
            stall_timeout: section.positive("stall_timeout", self.stall_timeout),
            head_bytes_max: section.bytes("head_size", self.head_size, HEAD_SIZE.0..=HEAD_SIZE.1),
            keepalive: self.keepalive.get(),
            pool_size: section.count("pool", self.pool, 0..=1_000_000),
            http2: self.http2,
            ca_file: Some(&self.ca_file)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
        }
    }
}
