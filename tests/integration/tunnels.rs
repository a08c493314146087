//! CONNECT: rows 57–62, what is carried, how it ends, and real clients through it.

mod carrying;
mod clients;
mod ending;
mod names;
mod policy;

use std::net::SocketAddr;
use tokio::net::TcpListener;
use weir_tests::gateway::Builder;
use weir_tests::{Gateway, RawClient};

/// The place that a tunnel leads to: takes connections and says only what the test says.
struct Peer {
    listener: TcpListener,
}

impl Peer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self { listener }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    /// The next connection.
    async fn accept(&self) -> RawClient {
        RawClient::accept(&self.listener).await
    }
}

/// The settings of every test, with tunnels to this port only.
fn tunnels_to(port: u16) -> Builder {
    Gateway::builder().set("tunnel.ports", vec![i64::from(port)])
}

/// A gateway, a place, and a tunnel between the client and it.
struct Tunnel {
    gateway: Gateway,
    peer: Peer,
    /// The end of the client.
    near: RawClient,
    /// The other end.
    far: RawClient,
}

impl Tunnel {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let peer = Peer::start().await;
        let gateway = change(tunnels_to(peer.address().port())).start().await;
        let near = open(&gateway, peer.address()).await;
        let far = peer.accept().await;
        Self {
            gateway,
            peer,
            near,
            far,
        }
    }

    /// Waits until the gateway knows of no tunnel any more.
    async fn over(&self) {
        weir_tests::deadline::until("the tunnel ends", async || {
            self.gateway.metric("weir_tunnel_active").await <= 0.0
        })
        .await;
    }
}

/// CONNECT to an address, as most clients write it.
fn request(address: impl std::fmt::Display) -> String {
    format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n")
}

/// A client whose tunnel stands.
async fn open(gateway: &Gateway, address: SocketAddr) -> RawClient {
    let mut client = gateway.connect().await;
    client.send(request(address)).await;
    let head = client.head().await;
    assert_eq!(head.status, 200, "{head:?}");
    client
}

/// Checks that exactly these bytes come next.
async fn hears(client: &mut RawClient, expected: &[u8]) {
    let mut heard = Vec::new();
    let read = client
        .exactly(expected.len(), &mut |bytes| heard.extend_from_slice(bytes))
        .await;
    assert!(read.is_ok(), "{read:?} after {heard:?}");
    assert!(heard == expected, "other bytes than were sent");
}
