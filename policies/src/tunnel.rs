//! Whether a tunnel (CONNECT, RFC 9110 §9.3.6) may be opened, and whether what a client then says first agrees.
//!
//! A tunnel is blind: nobody here sees what is asked inside it, so all that can be judged is where it leads. That is
//! judged twice: the host and port of the request ([`TunnelPolicy::judge`]), and the name that a TLS client then asks
//! the other end for ([`TunnelPolicy::judge_name`]), which may be another one.
//!
//! Deliberately absent: addresses. Whatever name is allowed here, `address` still judges where it leads.

pub mod client_hello;
#[cfg(test)]
mod tests;

use crate::address::is_metadata_service;
use crate::rules::glob::{Subject, globs};
use globset::GlobSet;

/// Where tunnels may lead, as written. Empty lists of ports and hosts allow all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TunnelSpec {
    /// Whether there are tunnels at all.
    pub enabled: bool,
    /// Ports that may be asked for.
    pub ports: Vec<u16>,
    /// Globs of hosts that may be asked for, case-insensitive; `*` spans labels.
    pub hosts: Vec<String>,
    /// Globs of hosts that may not, whatever `hosts` says.
    pub deny_hosts: Vec<String>,
}

/// Where tunnels may lead.
#[derive(Debug, Clone)]
pub struct TunnelPolicy {
    enabled: bool,
    ports: Vec<u16>,
    hosts: Option<GlobSet>,
    deny_hosts: Option<GlobSet>,
}

/// A glob that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct TunnelSpecError {
    /// The list it stands in.
    pub key: &'static str,
    /// The glob; empty when it is about the list as a whole.
    pub glob: String,
    /// Why.
    pub reason: String,
}

/// Why a tunnel is refused. All of them are a 403: somebody decided so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TunnelRefusal {
    /// There are none.
    #[error("tunnels are switched off: [tunnel] enabled")]
    Off,
    /// Not one of the ports.
    #[error("tunnels to port {0} are not allowed: [tunnel] ports")]
    Port(u16),
    /// Not one of the hosts.
    #[error("tunnels to this host are not allowed: [tunnel] hosts")]
    HostNotListed,
    /// One of the denied hosts.
    #[error("tunnels to this host are not allowed: [tunnel] deny_hosts")]
    HostDenied,
    /// The name of a cloud's metadata service, whatever it resolves to.
    #[error("metadata services are not reached through this gateway")]
    MetadataService,
}

impl TunnelRefusal {
    /// The word for log and metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "tunnel-off",
            Self::Port(_) => "tunnel-port",
            Self::HostNotListed | Self::HostDenied => "tunnel-host",
            Self::MetadataService => "metadata-service",
        }
    }
}

impl TunnelPolicy {
    /// Refuses everything.
    #[must_use]
    pub fn none() -> Self {
        Self {
            enabled: false,
            ports: Vec::new(),
            hosts: None,
            deny_hosts: None,
        }
    }

    /// Compiles.
    ///
    /// # Errors
    /// The first glob that cannot be used.
    pub fn compile(spec: &TunnelSpec) -> Result<Self, TunnelSpecError> {
        let compiled = |key, patterns: &[String]| {
            globs(patterns, Subject::Host).map_err(|wrong| TunnelSpecError {
                key,
                glob: wrong.glob,
                reason: wrong.reason,
            })
        };
        Ok(Self {
            enabled: spec.enabled,
            ports: spec.ports.clone(),
            hosts: compiled("hosts", &spec.hosts)?,
            deny_hosts: compiled("deny_hosts", &spec.deny_hosts)?,
        })
    }

    /// Judges what CONNECT asks for; `host` in normal form.
    ///
    /// # Errors
    /// [`TunnelRefusal`] names the first reason.
    pub fn judge(&self, host: &str, port: u16) -> Result<(), TunnelRefusal> {
        if !self.enabled {
            return Err(TunnelRefusal::Off);
        }
        if !self.ports.is_empty() && !self.ports.contains(&port) {
            return Err(TunnelRefusal::Port(port));
        }
        self.judge_name(host)
    }

    /// Judges a name alone: the one that a TLS client asks for inside of the tunnel; in normal form.
    ///
    /// # Errors
    /// [`TunnelRefusal`] names the first reason.
    pub fn judge_name(&self, host: &str) -> Result<(), TunnelRefusal> {
        if is_metadata_service(host) {
            return Err(TunnelRefusal::MetadataService);
        }
        let listed = |globs: &Option<GlobSet>| globs.as_ref().map(|globs| globs.is_match(host));
        if listed(&self.deny_hosts) == Some(true) {
            return Err(TunnelRefusal::HostDenied);
        }
        if listed(&self.hosts) == Some(false) {
            return Err(TunnelRefusal::HostNotListed);
        }
        Ok(())
    }
}
