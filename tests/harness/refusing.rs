//! Addresses that answer in a way no server program offers.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

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

/// How long a connection to a full queue is tried before the queue counts as full.
const FULL_AFTER: Duration = Duration::from_millis(300);
/// Far more than a queue of one holds.
const QUEUED_MAX: usize = 16;

/// A port that swallows attempts to connect: its queue is full and nobody takes from it.
pub struct BlackHole {
    listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    /// Fills the queue of a listener.
    ///
    /// # Panics
    /// When the queue never gets full.
    pub async fn start() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .expect("a free port");
        let listener = socket.listen(1).expect("listens");
        let address = listener.local_addr().expect("bound");
        let mut queued = Vec::new();
        for _ in 0..QUEUED_MAX {
            match tokio::time::timeout(FULL_AFTER, TcpStream::connect(address)).await {
                Ok(stream) => queued.push(stream.expect("a full queue drops, it does not refuse")),
                Err(_) => {
                    return Self {
                        listener,
                        _queued: queued,
                    };
                }
            }
        }
        panic!("{QUEUED_MAX} connections fit into a queue of one");
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().expect("bound"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refusing_refuses() {
        let refusing = Refusing::start();
        let error = TcpStream::connect(refusing.address())
            .await
            .expect_err("nobody listens");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(refusing.url().starts_with("http://127.0.0.1:"));
    }

    #[tokio::test]
    async fn a_black_hole_can_be_made() {
        assert!(
            BlackHole::start()
                .await
                .url()
                .starts_with("http://127.0.0.1:")
        );
    }
}
