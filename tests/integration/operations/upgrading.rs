//! `weir serve --upgrade`: a new process takes over, and whoever is connected notices nothing.

mod broken_off;
mod meanwhile;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use std::io::{Read, Write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::stage::{FRESH, Stage};
use weir_tests::client::{Close, forward, get};
use weir_tests::deadline::within;
use weir_tests::{Content, Gate, Gateway, RawClient, Script};

const MIB: usize = 1024 * 1024;

/// A client that has read the first `bytes` of the body of `path`, and them.
async fn reading(stage: &Stage, path: &str, bytes: usize) -> (RawClient, Vec<u8>) {
    let mut client = stage.gateway.connect().await;
    let request = forward("GET", &stage.origin.url(path), "");
    client.send(request).await;
    assert_eq!(client.head().await.status, 200);
    let mut body = Vec::new();
    read_on(&mut client, &mut body, bytes).await;
    (client, body)
}

async fn read_on(client: &mut RawClient, body: &mut Vec<u8>, bytes: usize) {
    let mut keep = |piece: &[u8]| body.extend_from_slice(piece);
    let read = client.exactly(bytes, &mut keep).await;
    read.expect("no byte is lost");
}

/// Reads the rest of `content`, after which the process before closes.
async fn read_rest(mut client: RawClient, mut body: Vec<u8>, content: &Content) {
    let left = content.length() - body.len();
    read_on(&mut client, &mut body, left).await;
    assert!(content.holds_at(0, &body));
    assert_eq!(client.remainder().await.1, Close::Fin);
}

#[tokio::test]
async fn a_slow_hit_runs_on_in_the_old_process_to_its_last_byte() {
    let stage = Stage::new().await;
    let content = Content::new(1, 24 * MIB);
    stage.origin.on("/x", Script::ok(FRESH, &content.bytes()));
    stage.get("/x").await.assert_is(200, &content.bytes());
    stage.gateway.settled().await;
    let (client, body) = reading(&stage, "/x", 1000).await;
    let (stage, old) = stage.upgraded().await;
    stage.assert_hit("/x", &content.bytes()).await;
    read_rest(client, body, &content).await;
    old.ends_well().await;
    stage.finish().await;
}

#[tokio::test]
async fn a_fill_runs_on_in_the_old_process_for_readers_near_and_far() {
    let stage = Stage::with(Gateway::builder().set("server.upgrade_drain", "60s")).await;
    let content = Content::new(2, 24 * MIB);
    let (gate, half) = (Gate::new(), 16 * MIB);
    let script = Script::ok_in_halves(FRESH, &content.bytes(), half, &gate);
    stage.origin.on("/x", script);
    let (mut near, mut near_body) = reading(&stage, "/x", 1000).await;
    let (far, far_body) = reading(&stage, "/x", 1000).await;
    read_on(&mut near, &mut near_body, half - 1000).await;
    let (stage, old) = stage.upgraded().await;
    gate.open();
    tokio::join!(
        read_rest(near, near_body, &content),
        read_rest(far, far_body, &content),
    );
    old.ends_well().await;
    assert_eq!(stage.origin.requests(), 1, "one fetch for both");
    let fetched = stage.assert_fetched("/x").await;
    fetched.assert_is(200, &content.bytes());
    stage.assert_hit("/x", &content.bytes()).await;
    stage.finish().await;
}

#[tokio::test]
async fn a_kept_connection_is_answered_once_more_and_told_that_it_ends() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"kept");
    let request = forward("GET", &stage.origin.url("/x"), "");
    let mut client = stage.gateway.connect().await;
    client.exchange(&request).await.assert_is(200, b"kept");
    stage.gateway.settled().await;
    let (stage, old) = stage.upgraded().await;
    // What is sent in one go is answered to its last request, which is told.
    client.send(request.repeat(3)).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        let response = client.response("GET").await;
        response.assert_is(200, b"kept");
        told.push(response.field("connection").map(str::to_owned));
    }
    assert_eq!(told, [None, None, Some("close".to_owned())]);
    assert_eq!(client.remainder().await.1, Close::Fin);
    old.ends_well().await;
    stage.finish().await;
}

#[tokio::test]
async fn what_the_old_process_stored_is_found_and_the_new_one_stores() {
    let stage = Stage::new().await;
    stage.fresh("/old", b"old");
    stage.fresh("/new", b"new");
    stage.get("/old").await;
    stage.gateway.settled().await;
    let (stage, old) = stage.upgraded().await;
    old.ends_well().await;
    stage.assert_hit("/old", b"old").await;
    stage.assert_fetched("/new").await.assert_is(200, b"new");
    stage.assert_hit("/new", b"new").await;
    let pid = stage.gateway.pid().to_string();
    let second = stage.gateway.home().start_in_vain().await;
    assert!(
        second.assert_code(1).stderr.contains(&pid),
        "{}",
        second.stderr
    );
    let url = stage.origin.url("/old");
    let explained = stage.gateway.weir(["explain", &url]).await;
    explained.assert_code(0);
    stage.finish().await;
}

#[tokio::test]
async fn newcomers_are_answered_at_every_moment_of_three_upgrades() {
    let mut stage = Stage::new().await;
    stage.fresh("/x", b"always");
    let (proxy, url) = (stage.gateway.proxy(), stage.origin.url("/x"));
    let enough = Arc::new(AtomicBool::new(false));
    let mut newcomers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (url, enough) = (url.clone(), Arc::clone(&enough));
        newcomers.spawn(async move {
            let mut answered = 0_u32;
            while !enough.load(Ordering::Relaxed) {
                get(proxy, &url).await.assert_is(200, b"always");
                answered += 1;
            }
            answered
        });
    }
    for _ in 0..3 {
        let (next, old) = stage.upgraded().await;
        stage = next;
        old.ends_well().await;
    }
    enough.store(true, Ordering::Relaxed);
    while let Some(answered) = newcomers.join_next().await {
        assert!(answered.expect("no newcomer is lost") > 0);
    }
    stage.finish().await;
}

#[tokio::test]
async fn a_client_that_connected_before_and_asks_after_is_answered() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"x");
    let mut early = stage.gateway.connect().await;
    // Answered behind it on the same listener: by then the first one is accepted.
    stage.get("/x").await;
    let (stage, old) = stage.upgraded().await;
    let request = forward("GET", &stage.origin.url("/x"), "");
    early.exchange(&request).await.assert_is(200, b"x");
    old.ends_well().await;
    stage.finish().await;
}

#[tokio::test]
async fn a_tunnel_carries_on() {
    let peer = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = peer.local_addr().expect("an address");
    let ports = vec![i64::from(address.port())];
    let stage = Stage::with(Gateway::builder().set("tunnel.ports", ports)).await;
    let mut client = stage.gateway.connect().await;
    let request = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    client.send(request).await;
    let (mut far, _) = within("the far end", peer.accept()).await.expect("accepts");
    assert_eq!(client.head().await.status, 200);
    let (stage, old) = stage.upgraded().await;
    client.send("up").await;
    let mut up = [0; 2];
    within("bytes up", far.read_exact(&mut up))
        .await
        .expect("reads");
    assert_eq!(&up, b"up");
    far.write_all(b"down").await.expect("writes");
    drop(far);
    let (down, close) = client.remainder().await;
    assert_eq!((&down[..], close), (&b"down"[..], Close::Fin));
    client.finish_sending().await;
    drop(client);
    old.ends_well().await;
    stage.finish().await;
}

#[tokio::test]
async fn an_upgrade_that_fails_changes_nothing() {
    let mut stage = Stage::new().await;
    stage.fresh("/x", b"x");
    stage.get("/x").await;
    let home = stage.gateway.home();
    home.set("store.capacity", "lots");
    stage.gateway.upgrade_in_vain().await.assert_code(78);
    home.set("store.capacity", "1GiB");
    stage.assert_hit("/x", b"x").await;

    // A process that dies in the middle of the handshake.
    let socket = home.data().join("upgrade.sock");
    for words in ["", "weir upgrade 1\n", "weir upgrade 2\n"] {
        let mut newcomer = UnixStream::connect(&socket).expect("connects");
        newcomer.write_all(words.as_bytes()).expect("writes");
        if words.ends_with("1\n") {
            let mut said = [0; 10];
            newcomer.read_exact(&mut said).expect("is answered");
            assert!(said.starts_with(b"sockets "), "{said:?}");
        }
        drop(newcomer);
        stage.assert_hit("/x", b"x").await;
    }
    stage.gateway.expect_log("an upgrade came to nothing");
    let (stage, old) = stage.upgraded().await;
    old.ends_well().await;
    stage.assert_hit("/x", b"x").await;
    stage.finish().await;
}

#[tokio::test]
async fn the_old_process_ends_at_the_drain_deadline() {
    let stage = Stage::with(Gateway::builder().set("server.upgrade_drain", "1s")).await;
    let (content, gate) = (Content::new(3, MIB), Gate::new());
    let script = Script::ok_in_halves(FRESH, &content.bytes(), 1000, &gate);
    stage.origin.on("/x", script);
    let (mut client, _) = reading(&stage, "/x", 1000).await;
    let (stage, mut old) = stage.upgraded().await;
    old.expect_log("cut at the drain deadline");
    old.expect_log("fills given up at the deadline");
    old.ends_well().await;
    assert!(client.remainder().await.0.is_empty(), "bytes from nowhere");
    stage.finish().await;
}

#[tokio::test]
async fn where_nothing_runs_an_upgrade_is_a_start() {
    let gateway = Gateway::builder().home().start_upgrading_nothing().await;
    gateway.ready().await;
    gateway.finish().await;
}
