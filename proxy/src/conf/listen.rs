//! `[listen]`: where clients connect, and what a connection and a request head may cost.

use super::address::parse_listener;
use super::check::{Check, quoted};
use super::size::ByteSize;
use super::span::TimeSpan;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;
use weir_policies::target::TARGET_BYTES_MAX;

/// `[listen]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ListenConfig {
    /// Addresses of the proxy port.
    pub(crate) proxy: Vec<String>,
    /// Address of the admin port, empty for none.
    pub(crate) admin: String,
    /// `/download/URL`, `/https://…`, `/https/…` are answered.
    pub(crate) path_forms: bool,
    /// For a whole request head.
    pub(crate) head_timeout: TimeSpan,
    /// Of a whole request head.
    pub(crate) head_size: ByteSize,
    /// Fields in a request head.
    pub(crate) head_fields: u64,
    /// Of a request target.
    pub(crate) target_size: ByteSize,
    /// Between two requests on one connection.
    pub(crate) idle_timeout: TimeSpan,
    /// For a client that takes no more bytes.
    pub(crate) send_timeout: TimeSpan,
    /// Open client connections.
    pub(crate) connections: u64,
    /// Open connections of one client address.
    pub(crate) connections_per_client: u64,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            proxy: vec!["127.0.0.1:8080".to_owned()],
            admin: "127.0.0.1:8081".to_owned(),
            path_forms: true,
            head_timeout: TimeSpan::from_secs(10),
            head_size: ByteSize::from_bytes(64 * 1024),
            head_fields: 100,
            target_size: ByteSize::from_bytes(16 * 1024),
            idle_timeout: TimeSpan::from_secs(60),
            send_timeout: TimeSpan::from_secs(60),
            connections: 10_000,
            // A whole build farm may stand behind one address: 600 downloads at once, and room for retries.
            connections_per_client: 2_000,
        }
    }
}

/// `[listen]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenSettings {
    /// Never empty, no duplicates.
    pub(crate) proxy: Vec<SocketAddr>,
    /// `None`: no admin port.
    pub(crate) admin: Option<SocketAddr>,
    /// From the first byte of a head to its end.
    pub(crate) head_timeout: Duration,
    /// Bytes of a head.
    pub(crate) head_bytes_max: usize,
    /// Fields of a head.
    pub(crate) head_fields_max: usize,
    /// Bytes of a request target; at most `TARGET_BYTES_MAX`.
    pub(crate) target_bytes_max: usize,
    /// Between two requests on one connection.
    pub(crate) idle_timeout: Duration,
    /// For a client that takes no more bytes.
    pub(crate) send_timeout: Duration,
    /// Open client connections.
    pub(crate) connections_max: usize,
    /// Open connections of one client address.
    pub(crate) connections_per_client_max: usize,
}

/// Bounds of `head_size`: below, real clients break; above, each connection could hold that much memory.
const HEAD_SIZE: (ByteSize, ByteSize) = (
    ByteSize::from_bytes(4 * 1024),
    ByteSize::from_bytes(1024 * 1024),
);
/// Least `target_size`.
const TARGET_SIZE_MIN: ByteSize = ByteSize::from_bytes(1024);

impl ListenConfig {
    /// Checks every key but `path_forms`, which is part of the forms.
    pub(super) fn check(&self, check: &mut Check<'_>) -> ListenSettings {
        let (proxy, admin) = self.check_addresses(check);
        let mut section = check.section("listen");
        let target_size_max = ByteSize::from_bytes(TARGET_BYTES_MAX as u64);
        let settings = ListenSettings {
            proxy,
            admin,
            head_timeout: section.positive("head_timeout", self.head_timeout),
            head_bytes_max: section.bytes("head_size", self.head_size, HEAD_SIZE.0..=HEAD_SIZE.1),
            head_fields_max: section.count("head_fields", self.head_fields, 16..=1_000),
            target_bytes_max: section.bytes(
                "target_size",
                self.target_size,
                TARGET_SIZE_MIN..=target_size_max,
            ),
            idle_timeout: section.positive("idle_timeout", self.idle_timeout),
            send_timeout: section.positive("send_timeout", self.send_timeout),
            connections_max: section.count("connections", self.connections, 1..=1_000_000),
            connections_per_client_max: section.count(
                "connections_per_client",
                self.connections_per_client,
                1..=1_000_000,
            ),
        };
        if self.target_size >= self.head_size {
            let reason = format!("must be smaller than head_size (\"{}\")", self.head_size);
            section.refuse("target_size", quoted(self.target_size), reason);
        }
        settings
    }

    fn check_addresses(&self, check: &mut Check<'_>) -> (Vec<SocketAddr>, Option<SocketAddr>) {
        let mut section = check.section("listen");
        if self.proxy.is_empty() {
            section.refuse(
                "proxy",
                "[]",
                "at least one address is needed, like \"127.0.0.1:8080\"",
            );
        }
        let proxy = section.each("proxy", &self.proxy, parse_listener);
        for (number, address) in proxy.iter().enumerate() {
            // Port 0 asks for any free port, a different one each time.
            if address.port() != 0 && proxy.iter().skip(number + 1).any(|later| later == address) {
                section.refuse("proxy", quoted(address), "listed twice");
            }
        }
        if self.admin.is_empty() {
            return (proxy, None);
        }
        match parse_listener(&self.admin) {
            Ok(admin) if admin.port() != 0 && proxy.contains(&admin) => {
                section.refuse(
                    "admin",
                    quoted(admin),
                    "the proxy port; choose another port",
                );
                (proxy, None)
            }
            Ok(admin) => (proxy, Some(admin)),
            Err(reason) => {
                section.refuse("admin", quoted(&self.admin), reason);
                (proxy, None)
            }
        }
    }
}
