//! What is counted about tunnels while they run; a tunnel of a day must not be invisible until its end.

use weir_cache::metrics::{Counter, Gauge};

/// Counters of all tunnels.
#[derive(Debug, Default)]
pub(crate) struct TunnelStats {
    /// Open now.
    pub(crate) active: Gauge,
    /// Bytes from clients to upstreams.
    pub(crate) up_bytes: Counter,
    /// Bytes from upstreams to clients.
    pub(crate) down_bytes: Counter,
    /// Refused because there were as many as allowed.
    pub(crate) crowded: Counter,
}
