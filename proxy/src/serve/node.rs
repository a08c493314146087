//! What this node is called and where it can be reached: for Via, loop detection and the guard against requests
//! that lead back to our own listeners.

use std::net::IpAddr;

/// Host name and the first part of the pool's random id: unique per data folder, and the same after a restart.
pub(super) fn default_name(pool_id: &[u8; 16]) -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    let host: String = host
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        .collect();
    let id: String = pool_id
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if host.is_empty() {
        format!("weir-{id}")
    } else {
        format!("{host}-{id}")
    }
}

/// Addresses of this machine's interfaces.
pub(super) fn own_addresses() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces
            .into_iter()
            .map(|interface| interface.ip())
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot list this machine's addresses: only listed listeners are guarded against loops");
            Vec::new()
        }
    }
}
