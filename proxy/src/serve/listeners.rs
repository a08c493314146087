//! The sockets that clients connect to.

use anyhow::Context;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Listens on `address`.
pub(super) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// Listens on all of `addresses`, or on none.
pub(super) async fn bind_all(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        listeners.push(bind(*address).await?);
    }
    Ok(listeners)
}

/// Where they really listen: a port 0 has become one.
pub(super) fn own_listeners(
    listeners: &[TcpListener],
    admin: Option<&TcpListener>,
) -> std::io::Result<Vec<SocketAddr>> {
    listeners
        .iter()
        .chain(admin)
        .map(TcpListener::local_addr)
        .collect()
}
