//! Requests that are handed through and never stored: what clients send arrives, what upstreams answer comes back, and
//! neither side is told that it has everything when it has not.

mod faults;
mod hops;
mod uploads;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use weir_tests::deadline::within;

/// An upstream that the test plays by hand.
struct Manual {
    listener: TcpListener,
}

impl Manual {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self { listener }
    }

    fn url(&self, path: &str) -> String {
        let address = self.listener.local_addr().expect("bound");
        format!("http://{address}{path}")
    }

    /// The next connection, and the head of its request.
    async fn request(&self) -> (TcpStream, String) {
        let (mut stream, _) = within("a connection", self.listener.accept())
            .await
            .expect("accepts");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = within("a request", stream.read_u8()).await;
            head.push(byte.expect("the head is whole"));
        }
        (stream, String::from_utf8_lossy(&head).into_owned())
    }
}
