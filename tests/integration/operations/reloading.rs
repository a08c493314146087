//! SIGHUP: the configuration is taken over whole or not at all, and what runs goes on as it began.

mod during;
mod refused;
mod taken_over;

use crate::stage::{FRESH, Stage};
use tokio::net::TcpListener;
use weir_tests::client::forward;
use weir_tests::{Content, Gate, RawClient, Script};

/// A client that has read the first half of `/slow`, and the door to the second.
struct HalfWay {
    client: RawClient,
    content: Content,
    gate: Gate,
}

impl HalfWay {
    async fn of(stage: &Stage) -> Self {
        let content = Content::new(21, 256 * 1024);
        let gate = Gate::new();
        let half = content.length() / 2;
        let script = Script::ok_in_halves(FRESH, &content.bytes(), half, &gate);
        stage.origin.on("/slow", script);
        let mut client = stage.gateway.connect().await;
        let request = forward("GET", &stage.origin.url("/slow"), "");
        client.send(request).await;
        assert_eq!(client.head().await.status, 200);
        let read = client.exactly(half, &mut |_| ()).await;
        read.expect("the first half");
        Self {
            client,
            content,
            gate,
        }
    }

    /// Lets the rest come and checks it; the connection is handed back.
    async fn finish(mut self) -> RawClient {
        self.gate.open();
        let half = self.content.length() / 2;
        let mut rest = Vec::new();
        let missing = self.content.length() - half;
        let read = self
            .client
            .exactly(missing, &mut |bytes| rest.extend_from_slice(bytes))
            .await;
        read.expect("the second half");
        assert!(self.content.holds_at(half, &rest), "other bytes");
        self.client
    }
}

fn reloads(result: &str) -> String {
    format!("weir_reloads_total{{result=\"{result}\"}}")
}

/// Somebody who answers what comes through a tunnel.
async fn tunnel(stage: &Stage, peer: &TcpListener) -> (RawClient, RawClient) {
    let mut near = stage.gateway.connect().await;
    let place = peer.local_addr().expect("bound");
    let request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n");
    near.send(request).await;
    assert_eq!(near.head().await.status, 200);
    (near, RawClient::accept(peer).await)
}

async fn carries(near: &mut RawClient, far: &mut RawClient) {
    carries_to(near, far).await;
    carries_to(far, near).await;
}

async fn carries_to(from: &mut RawClient, to: &mut RawClient) {
    from.send("ping").await;
    let mut heard = Vec::new();
    let read = to
        .exactly(4, &mut |bytes| heard.extend_from_slice(bytes))
        .await;
    read.expect("what was sent");
    assert_eq!(heard, b"ping");
}
