//! SIGTERM drains, a second one does not wait.

use rustix::process::Signal;

use crate::stage::{FRESH, Stage};
use weir_tests::client::{Close, forward};
use weir_tests::{Content, Gate, Gateway, RawClient, Script};

/// A stage with a download that stands at half, and the client that waits for the rest.
async fn half_way(drain: &str) -> (Stage, RawClient, Content, Gate) {
    let stage = Stage::with(Gateway::builder().set("server.drain", drain)).await;
    let content = Content::new(9, 64 * 1024);
    let gate = Gate::new();
    let half = content.length() / 2;
    stage.origin.on(
        "/x",
        Script::ok_in_halves(FRESH, &content.bytes(), half, &gate),
    );
    let mut client = stage.gateway.connect().await;
    client
        .send(forward("GET", &stage.origin.url("/x"), ""))
        .await;
    assert_eq!(client.head().await.status, 200);
    client
        .exactly(half, &mut |_| ())
        .await
        .expect("the first half");
    (stage, client, content, gate)
}

#[tokio::test]
async fn sigterm_lets_a_download_end() {
    let (mut stage, mut client, content, gate) = half_way("30s").await;
    stage.gateway.signal(Signal::TERM);
    refuses_newcomers(&stage).await;
    gate.open();
    let mut rest = Vec::new();
    let half = content.length() - content.length() / 2;
    let read = client
        .exactly(half, &mut |bytes| rest.extend_from_slice(bytes))
        .await;
    read.expect("the second half");
    assert!(content.holds_at(content.length() / 2, &rest));
    assert_eq!(client.remainder().await.1, Close::Fin);
    assert_eq!(stage.gateway.exited().await, Some(0));
}

/// Waits until the proxy port is closed, or what connects there gets nothing served.
async fn refuses_newcomers(stage: &Stage) {
    let is_closed = async || {
        let stream = tokio::net::TcpStream::connect(stage.gateway.proxy()).await;
        stream.is_err()
    };
    weir_tests::deadline::until("the proxy port closes", is_closed).await;
}

#[tokio::test]
async fn a_second_sigterm_does_not_wait() {
    let (mut stage, mut client, _, _gate) = half_way("10m").await;
    stage.gateway.signal(Signal::TERM);
    refuses_newcomers(&stage).await;
    stage.gateway.signal(Signal::TERM);
    stage.gateway.exited().await;
    let (rest, _) = client.remainder().await;
    assert!(rest.is_empty(), "bytes from nowhere");
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let (mut stage, mut client, _, _gate) = half_way("1s").await;
    stage.gateway.terminate().await;
    let (rest, _) = client.remainder().await;
    assert!(rest.is_empty(), "bytes from nowhere");
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let stage = Stage::with(Gateway::builder().set("server.drain", "10m")).await;
    stage.fresh("/x", b"x");
    let mut used = stage.gateway.connect().await;
    used.exchange(&forward("GET", &stage.origin.url("/x"), ""))
        .await
        .assert_is(200, b"x");
    let mut fresh = stage.gateway.connect().await;
    stage.gateway.finish().await;
    assert!(used.remainder().await.0.is_empty());
    assert!(fresh.remainder().await.0.is_empty());
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let stage = Stage::new().await;
    let content = Content::new(10, 300_000);
    stage.origin.on("/x", Script::ok(FRESH, &content.bytes()));
    stage.get("/x").await.assert_is(200, &content.bytes());
    stage.gateway.settled().await;
    let home = stage.gateway.home();
    let Stage { gateway, origin } = stage;
    gateway.finish().await;
    let again = Stage {
        gateway: home.start().await,
        origin,
    };
    again.assert_hit("/x", &content.bytes()).await;
    again.finish().await;
}

#[tokio::test]
async fn sigint_ends_it_as_well() {
    let mut gateway = Gateway::start().await;
    gateway.signal(Signal::INT);
    assert_eq!(gateway.exited().await, Some(0));
}
