//! SIGHUP: the configuration is taken over whole or not at all, and what runs goes on as it began.

use crate::stage::{FRESH, Stage};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use toml::{Table, Value};
use weir_tests::client::{Close, forward};
use weir_tests::gateway::builder::binary;
use weir_tests::{Content, Gate, Gateway, Program, RawClient, Script};

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
        let read = self
            .client
            .exactly(self.content.length() - half, &mut |bytes| {
                rest.extend_from_slice(bytes);
            });
        read.await.expect("the second half");
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
    for (from, to) in [(&mut *near, &mut *far), (far, near)] {
        from.send("ping").await;
        let mut heard = Vec::new();
        let read = to.exactly(4, &mut |bytes| heard.extend_from_slice(bytes));
        read.await.expect("what was sent");
        assert_eq!(heard, b"ping");
    }
}

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
    set("log", "format", ["squid", "json"][turn as usize % 2].into());
    // A new connector reads every certificate of the system: not each time.
    set("upstream", "pool", (100 + turn / 20).into());
    let rule = toml::from_str::<Table>(&format!("ttl_default = \"{}s\"", turn + 1));
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
    let read = client.exactly(count, &mut |piece| bytes.extend_from_slice(piece));
    read.await.expect("the next piece");
    assert!(content.holds_at(at, &bytes), "other bytes at {at}");
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_the_next_good_one_counts() {
    let mut stage = Stage::new().await;
    stage.gateway.expect_log("configuration");
    stage.fresh("/x", b"x");
    let home = stage.gateway.home();
    let good = std::fs::read_to_string(home.config_file()).expect("reads");
    home.set("access.allow", vec!["192.0.2.0/24"]);
    home.set("fill.retrys", 3);
    home.set("fnil.retries", 3);
    let line = stage.gateway.reload().await;
    assert!(
        line.contains("ERROR") && line.contains("not reloaded"),
        "{line}"
    );
    let lines = stage.gateway.stderr().all();
    let named = |words: &str| {
        lines.iter().any(|line| {
            line.contains("ERROR") && line.contains("weir.toml:") && line.contains(words)
        })
    };
    assert!(named("retries") && named("fnil"), "{lines:#?}");
    stage.get("/x").await.assert_is(200, b"x");
    let succeeded = "weir_config_last_reload_successful";
    assert_eq!(stage.gateway.metric(succeeded).await, 0.0);
    assert_eq!(stage.gateway.metric(&reloads("refused")).await, 1.0);

    std::fs::write(home.config_file(), good).expect("writes");
    let line = stage.gateway.reload().await;
    assert!(line.contains("nothing has changed"), "{line}");
    home.set("access.allow", vec!["192.0.2.0/24"]);
    let line = stage.gateway.reload().await;
    assert!(line.contains("[access] allow"), "{line}");
    assert_eq!(stage.get("/x").await.status(), 403);
    assert_eq!(stage.gateway.metric(succeeded).await, 1.0);
    stage.finish().await;
}

#[tokio::test]
async fn a_rule_counts_for_the_next_request_and_not_for_a_running_one() {
    let stage = Stage::new().await;
    let half_way = HalfWay::of(&stage).await;
    stage.fresh("/next", b"next");
    let content = half_way.content.clone();
    stage.gateway.home().rewrite(|config| {
        let rule: Table = toml::from_str("[[rule]]\nstore = \"never\"").expect("a rule");
        config.extend(rule);
    });
    let line = stage.gateway.reload().await;
    assert!(line.contains("[[rule]]"), "{line}");
    stage.get("/next").await.assert_is(200, b"next");
    stage.assert_fetched("/next").await;
    half_way.finish().await;
    stage.gateway.settled().await;
    assert_eq!(stage.gateway.metric("weir_store_objects").await, 1.0);
    stage
        .gateway
        .home()
        .rewrite(|config| drop(config.remove("rule")));
    stage.gateway.reload().await;
    stage.assert_hit("/slow", &content.bytes()).await;
    stage.finish().await;
}

#[tokio::test]
async fn access_counts_for_the_next_request_of_every_connection() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"x");
    let half_way = HalfWay::of(&stage).await;
    let mut kept = stage.gateway.connect().await;
    let request = forward("GET", &stage.origin.url("/x"), "");
    kept.exchange(&request).await.assert_is(200, b"x");
    let home = stage.gateway.home();
    home.set("access.allow", vec!["192.0.2.0/24"]);
    stage.gateway.reload().await;
    assert_eq!(kept.exchange(&request).await.status(), 403);
    assert_eq!(stage.get("/x").await.status(), 403);
    let mut client = half_way.finish().await;
    assert_eq!(client.exchange(&request).await.status(), 403);
    home.set("access.allow", Vec::<String>::new());
    stage.gateway.reload().await;
    stage.get("/x").await.assert_is(200, b"x");
    stage.finish().await;
}

/// The address in the last line of the log that holds `words`.
fn told(gateway: &Gateway, words: &str) -> SocketAddr {
    let lines = gateway.stderr().all();
    let line = lines.iter().rfind(|line| line.contains(words));
    let line = line.unwrap_or_else(|| panic!("no {words}: {lines:#?}"));
    let (_, address) = line.rsplit_once("address=").expect("an address");
    address.trim().parse().expect("an address")
}

#[tokio::test]
async fn a_listener_is_added_and_another_one_closed_while_its_download_ends() {
    let stage = Stage::with(Gateway::builder().listening_by_file()).await;
    stage.fresh("/x", b"x");
    let home = stage.gateway.home();
    home.set("listen.proxy", vec!["127.0.0.1:0", "127.0.0.2:0"]);
    stage.gateway.reload().await;
    let added = told(&stage.gateway, "listening here as well");
    let url = stage.origin.url("/x");
    let request = forward("GET", &url, "");
    let ask = async |address| RawClient::connect(address).await.exchange(&request).await;
    ask(added).await.assert_is(200, b"x");
    ask(stage.gateway.proxy()).await.assert_is(200, b"x");
    // Neither may be reached through the other.
    let own = forward("GET", &format!("http://{added}/x"), "");
    let looped = stage.gateway.connect().await.exchange(&own).await;
    assert_eq!(looped.status(), 403, "{}", looped.text());

    let half_way = HalfWay::of(&stage).await;
    home.set("listen.proxy", vec!["127.0.0.2:0"]);
    stage.gateway.reload().await;
    assert_eq!(
        told(&stage.gateway, "no longer listening"),
        stage.gateway.proxy()
    );
    let gone = async {
        while RawClient::try_connect(stage.gateway.proxy())
            .await
            .is_some()
        {}
    };
    weir_tests::deadline::within("the listener closes", gone).await;
    ask(added).await.assert_is(200, b"x");
    let mut client = half_way.finish().await;
    assert_eq!(client.remainder().await.1, Close::Fin);
    stage.finish().await;
}

#[tokio::test]
async fn the_admin_port_moves() {
    let stage = Stage::with(Gateway::builder().listening_by_file()).await;
    stage.gateway.home().set("listen.admin", "127.0.0.2:0");
    stage.gateway.reload().await;
    let admin = told(&stage.gateway, "the admin pages are served here now");
    let mut client = RawClient::connect(admin).await;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {admin}\r\n\r\n");
    assert_eq!(client.exchange(&request).await.status(), 200);
    let gone = async {
        while RawClient::try_connect(stage.gateway.admin())
            .await
            .is_some()
        {}
    };
    weir_tests::deadline::within("the old one closes", gone).await;
    stage.finish().await;
}

#[tokio::test]
async fn a_taken_port_refuses_the_whole_reload() {
    let mut stage = Stage::with(Gateway::builder().listening_by_file()).await;
    stage.gateway.expect_log("configuration");
    stage.fresh("/x", b"x");
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let taken = taken.local_addr().map(|address| (taken, address));
    let (_taken, address) = taken.expect("bound");
    let home = stage.gateway.home();
    home.set(
        "listen.proxy",
        vec!["127.0.0.3:0".to_owned(), address.to_string()],
    );
    home.set("access.allow", vec!["192.0.2.0/24"]);
    let line = stage.gateway.reload().await;
    assert!(line.contains("not reloaded"), "{line}");
    let lines = stage.gateway.stderr().all();
    let why = format!("cannot listen on {address}");
    assert!(lines.iter().any(|line| line.contains(&why)), "{lines:#?}");
    stage.get("/x").await.assert_is(200, b"x");
    stage.finish().await;
}

#[tokio::test]
async fn what_needs_a_restart_refuses_the_whole_reload_by_its_name() {
    let mut stage = Stage::new().await;
    stage.gateway.expect_log("configuration");
    stage.fresh("/x", b"x");
    let home = stage.gateway.home();
    home.set("store.durability", "strict");
    home.set("server.name", "another");
    home.set("access.allow", vec!["192.0.2.0/24"]);
    stage.gateway.reload().await;
    let lines = stage.gateway.stderr().all();
    for key in ["[store] durability", "[server] name"] {
        let is_named = |line: &&String| line.contains(key) && line.contains("restart");
        assert!(lines.iter().find(is_named).is_some(), "{key}: {lines:#?}");
    }
    stage.get("/x").await.assert_is(200, b"x");
    stage.finish().await;
}

#[tokio::test]
async fn networks_are_closed_to_new_fetches_and_tunnels_and_running_ones_end_well() {
    let peer = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = i64::from(peer.local_addr().expect("bound").port());
    let stage = Stage::with(Gateway::builder().set("tunnel.ports", vec![port])).await;
    stage.fresh("/stored", b"stored");
    stage.fresh("/new", b"new");
    stage.get("/stored").await.assert_is(200, b"stored");
    stage.gateway.settled().await;
    let half_way = HalfWay::of(&stage).await;
    let (mut near, mut far) = tunnel(&stage, &peer).await;
    let home = stage.gateway.home();
    home.set("upstream.allow_networks", Vec::<String>::new());
    stage.gateway.reload().await;
    let refused = stage.get("/new").await;
    assert_eq!(refused.status(), 403, "{}", refused.text());
    assert_eq!(
        stage
            .gateway
            .request("POST", &stage.origin.url("/new"), "Content-Length: 0\r\n")
            .await
            .status(),
        403
    );
    let place = peer.local_addr().expect("bound");
    let mut client = stage.gateway.connect().await;
    let connect = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n");
    client.send(connect).await;
    assert_eq!(client.head().await.status, 403);
    stage.get("/stored").await.assert_is(200, b"stored");
    carries(&mut near, &mut far).await;
    half_way.finish().await;
    home.set("upstream.allow_networks", vec!["127.0.0.0/8"]);
    stage.gateway.reload().await;
    stage.get("/new").await.assert_is(200, b"new");
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn the_command_says_how_a_reload_ended() {
    let mut stage = Stage::new().await;
    stage.gateway.expect_log("configuration");
    let home = stage.gateway.home();
    let data = home.data().display().to_string();
    // By the folder alone: the command does not read the file.
    let command = async || {
        let program = Program::new(binary()).args(["reload", "--data", &data]);
        program.run().await
    };
    let run = command().await;
    assert_eq!(run.assert_code(0).stdout, "nothing has changed\n");
    home.set("fill.retries", 1);
    let run = command().await;
    assert_eq!(run.assert_code(0).stdout, "changed [fill] retries\n");
    home.set("store.durability", "strict");
    home.set("fill.retries", 2);
    let run = command().await;
    let said = &run.assert_code(1).stderr;
    assert!(said.contains("[store] durability"), "{said}");
    stage.finish().await;
}

#[tokio::test]
async fn the_logs_change_their_level_and_place() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"x");
    stage.get("/x").await.assert_is(200, b"x");
    let home = stage.gateway.home();
    let other = home.folder().join("other.log");
    home.set("log.access", other.display().to_string());
    home.set("log.format", "json");
    home.set("log.level", "debug");
    let line = stage.gateway.reload().await;
    assert!(
        line.contains("[log] access, [log] format, [log] level"),
        "{line}"
    );
    stage.get("/x").await.assert_is(200, b"x");
    let stage_url = stage.origin.url("/x");
    stage.finish().await;
    let before = home.access_log();
    assert!(
        before.len() == 1 && before[0].contains(&stage_url),
        "{before:?}"
    );
    let after = std::fs::read_to_string(other).expect("the other log");
    let after: Vec<&str> = after.lines().collect();
    assert!(after.len() == 1 && after[0].starts_with('{'), "{after:?}");
}
