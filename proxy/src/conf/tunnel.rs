//! `[tunnel]`: where CONNECT may lead, and what a tunnel may cost.

use super::check::{Check, Section, quoted};
use super::size::ByteSize;
use super::span::TimeSpan;
use crate::tunnel::TunnelSettings;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use weir_policies::tunnel::{TunnelPolicy, TunnelSpec};

/// `[tunnel]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TunnelConfig {
    /// Whether there are tunnels at all.
    pub(crate) enabled: bool,
    /// Ports that may be asked for, empty for all.
    pub(crate) ports: Vec<u64>,
    /// Globs of hosts that may be asked for, empty for all.
    pub(crate) hosts: Vec<String>,
    /// Globs of hosts that may not.
    pub(crate) deny_hosts: Vec<String>,
    /// Without a byte in either direction.
    pub(crate) idle_timeout: TimeSpan,
    /// Of one tunnel, 0 for no limit.
    pub(crate) total_time: TimeSpan,
    /// Tunnels at once.
    pub(crate) connections: u64,
    /// Of what a client says first, read for a TLS server name.
    pub(crate) early_size: ByteSize,
}

impl Default for TunnelConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            ports: vec![443],
            hosts: Vec::new(),
            deny_hosts: Vec::new(),
            idle_timeout: TimeSpan::from_secs(5 * 60),
            total_time: TimeSpan::from_secs(24 * 60 * 60),
            connections: 2_000,
            early_size: ByteSize::from_bytes(16 * 1024),
        }
    }
}

/// Bounds of `early_size`: below, the first words of real clients do not fit; above, reading them again with every
/// packet would cost too much.
const EARLY_SIZE: (ByteSize, ByteSize) = (
    ByteSize::from_bytes(4 * 1024),
    ByteSize::from_bytes(64 * 1024),
);

impl TunnelConfig {
    /// Checks every key.
    pub(super) fn check(&self, check: &mut Check<'_>) -> TunnelSettings {
        let mut section = check.section("tunnel");
        let policy = self.check_policy(&mut section);
        let total = self.total_time.get();
        TunnelSettings {
            policy,
            idle_timeout: section.positive("idle_timeout", self.idle_timeout),
            total_time_max: Some(total).filter(|total| *total > Duration::ZERO),
            tunnels_max: section.count("connections", self.connections, 1..=1_000_000),
            early_bytes_max: section.bytes(
                "early_size",
                self.early_size,
                EARLY_SIZE.0..=EARLY_SIZE.1,
            ),
        }
    }

    fn check_policy(&self, section: &mut Section<'_, '_>) -> TunnelPolicy {
        let mut ports = Vec::with_capacity(self.ports.len());
        for written in &self.ports {
            match u16::try_from(*written) {
                Ok(port) if port > 0 => ports.push(port),
                _ => section.refuse("ports", written, "not a port; one is from 1 to 65535"),
            }
        }
        let spec = TunnelSpec {
            enabled: self.enabled,
            ports,
            hosts: self.hosts.clone(),
            deny_hosts: self.deny_hosts.clone(),
        };
        TunnelPolicy::compile(&spec).unwrap_or_else(|error| {
            section.refuse(error.key, quoted(&error.glob), error.reason);
            TunnelPolicy::none()
        })
    }
}
