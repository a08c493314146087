//! A hundred of them, while a fill, a hit, a tunnel and an idle connection go on.

use super::{carries, reloads, tunnel};
use crate::stage::{FRESH, Stage};
use tokio::net::TcpListener;
use toml::{Table, Value};
use weir_tests::client::{Close, forward};
use weir_tests::{Content, Gate, Gateway, RawClient, Script};

/// What differs from one reload to the next: of everything something.
fn change(config: &mut Table, turn: i64) {
    let mut set = |section: &str, key: &str, value: Value| {
        let section = config
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()));
        let section = section.as_table_mut().expect("a section");
        section.insert(key.to_owned(), value);
    };
    set("listen", "idle_timeout", format!("{}s", 60 + turn).into());
    set("listen", "connections", (1000 + turn).into());
    set("fill", "memory", format!("{}MiB", 64 + turn).into());
    set("fill", "readers", (100 + turn).into());
    set("tunnel", "connections", (10 + turn).into());
    let format = if turn % 2 == 0 { "json" } else { "squid" };
    set("log", "format", format.into());
    // A new connector reads every certificate of the system: not each time.
    set("upstream", "pool", (100 + turn / 20).into());
    let rule =
        toml::from_str::<Table>(&format!("name = \"turn\"\nttl_default = \"{}s\"", turn + 1));
    let rules = Value::Array(vec![Value::Table(rule.expect("a rule"))]);
    config.insert("rule".to_owned(), rules);
}

#[tokio::test]
async fn a_hundred_reloads_during_a_download_drop_nothing() {
    const TURNS: usize = 100;
    const STEP: usize = 8 * 1024;
    const HIT_STEP: usize = 256 * 1024;
    let peer = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = i64::from(peer.local_addr().expect("bound").port());
    let stage = Stage::with(Gateway::builder().set("tunnel.ports", vec![port])).await;
    stage.fresh("/small", b"small");
    let big = Content::new(22, TURNS * HIT_STEP);
    stage.origin.on("/big", Script::ok(FRESH, &big.bytes()));
    stage.get("/big").await.assert_is(200, &big.bytes());
    stage.get("/small").await.assert_is(200, b"small");
    stage.gateway.settled().await;

    let slow = Content::new(23, TURNS * STEP);
    let gates: Vec<Gate> = (0..TURNS).map(|_| Gate::new()).collect();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{FRESH}\r\n",
        slow.length()
    );
    let mut script = Script::of(head);
    for (turn, gate) in gates.iter().enumerate() {
        let piece = slow.slice(turn * STEP, (turn + 1) * STEP).to_vec();
        script = script.wait(gate).then(piece);
    }
    stage.origin.on("/slow", script);
    let ask = async |path: &str| {
        let mut client = stage.gateway.connect().await;
        let request = forward("GET", &stage.origin.url(path), "");
        client.send(request).await;
        assert_eq!(client.head().await.status, 200);
        client
    };
    let (mut filling, mut hit, mut kept) = (
        ask("/slow").await,
        ask("/big").await,
        stage.gateway.connect().await,
    );
    let (mut near, mut far) = tunnel(&stage, &peer).await;
    let home = stage.gateway.home();
    for (turn, gate) in gates.iter().enumerate() {
        home.rewrite(|config| change(config, i64::try_from(turn).expect("small")));
        let line = stage.gateway.reload().await;
        assert!(line.contains("changed="), "{turn}: {line}");
        gate.open();
        assert_next(&mut filling, &slow, turn * STEP, STEP).await;
        assert_next(&mut hit, &big, turn * HIT_STEP, HIT_STEP).await;
        carries(&mut near, &mut far).await;
        stage.get("/small").await.assert_is(200, b"small");
        let request = forward("GET", &stage.origin.url("/small"), "");
        kept.exchange(&request).await.assert_is(200, b"small");
    }
    assert_eq!(stage.gateway.metric(&reloads("applied")).await, 100.0);
    near.finish_sending().await;
    far.finish_sending().await;
    assert_eq!(near.remainder().await.1, Close::Fin);
    stage.assert_hit("/slow", &slow.bytes()).await;
    stage.finish().await;
}

async fn assert_next(client: &mut RawClient, content: &Content, at: usize, count: usize) {
    let mut bytes = Vec::with_capacity(count);
    let read = client
        .exactly(count, &mut |piece| bytes.extend_from_slice(piece))
        .await;
    read.expect("the next piece");
    assert!(content.holds_at(at, &bytes), "other bytes at {at}");
}
