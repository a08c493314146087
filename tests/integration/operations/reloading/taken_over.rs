//! What counts for the next request, and not for the running one.

use super::{HalfWay, carries, tunnel};
use crate::stage::Stage;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use toml::Table;
use weir_tests::client::{Close, forward};
use weir_tests::{Gateway, RawClient};

/// The address in the last line of the log that holds `words`.
fn told(gateway: &Gateway, words: &str) -> SocketAddr {
    let lines = gateway.stderr().all();
    let line = lines.iter().rfind(|line| line.contains(words));
    let line = line.unwrap_or_else(|| panic!("no {words}: {lines:#?}"));
    let (_, address) = line.rsplit_once("address=").expect("an address");
    address.trim().parse().expect("an address")
}

#[tokio::test]
async fn a_rule_counts_for_the_next_request_and_not_for_a_running_one() {
    let stage = Stage::new().await;
    let half_way = HalfWay::of(&stage).await;
    stage.fresh("/next", b"next");
    let content = half_way.content.clone();
    stage.gateway.home().rewrite(|config| {
        let rule: Table =
            toml::from_str("[[rule]]\nname = \"none\"\nstore = \"never\"").expect("a rule");
        config.extend(rule);
    });
    let line = stage.gateway.reload().await;
    assert!(line.contains("[[rule]]"), "{line}");
    // Not to be stored, so there is nothing to wait for between the two.
    for _ in 0..2 {
        stage.get("/next").await.assert_is(200, b"next");
    }
    assert_eq!(stage.origin.record().count("/next"), 2);
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
    weir_tests::deadline::until("the listener closes", async || {
        RawClient::try_connect(stage.gateway.proxy())
            .await
            .is_none()
    })
    .await;
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
    weir_tests::deadline::until("the old one closes", async || {
        RawClient::try_connect(stage.gateway.admin())
            .await
            .is_none()
    })
    .await;
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
