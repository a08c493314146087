//! Addresses that answer in a way no server program offers.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port that refuses connections and cannot be taken by anybody else meanwhile.
pub struct Refusing {
    socket: TcpSocket,
}

impl Refusing {
    /// Takes a port and never listens on it.
    ///
    /// # Panics
    /// When the system has no port left.
    pub fn start() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .expect("a free port");
        Self { socket }
    }

    /// The address that refuses.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}
