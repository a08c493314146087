//! Rows 57–59: what CONNECT may ask for, and that a refused one leaves nothing behind.

use super::{Peer, open, request, tunnels_to};
use crate::stage::{Stage, wire};
use std::net::SocketAddr;
use weir_tests::client::Close;
use weir_tests::gateway::Builder;
use weir_tests::refusing::{BlackHole, Refusing};
use weir_tests::{Gateway, Response};

/// Sends a request with another one behind it; the answer must be the only one, and nothing may reach the origin.
async fn answer(stage: &Stage, head: &str) -> Response {
    let smuggled = "GET http://{origin}/smuggled HTTP/1.1\r\nHost: {origin}\r\n\r\n";
    let mut client = stage.write(&format!("{head}{smuggled}")).await;
    let response = client.response("CONNECT").await;
    assert!(
        response.ending.is_clean(),
        "{head:?}: {:?}",
        response.ending
    );
    let (rest, close) = client.remainder().await;
    assert!(rest.is_empty(), "{head:?}: answered again: {rest:?}");
    assert_eq!(close, Close::Fin, "{head:?}");
    stage.origin.assert_untouched();
    response
}

/// Checks the status of CONNECT to `{origin}` or another place, and that the page says why.
async fn refused(builder: Builder, places: &[&str], status: u16, why: &str) {
    let stage = Stage::with(builder).await;
    for place in places {
        let response = answer(&stage, &request(place)).await;
        let text = response.text();
        assert_eq!(response.status(), status, "{place}: {text}");
        assert!(text.contains(why), "{place}: {text}");
    }
    stage.gateway.finish_with_warnings().await;
}

/// Tunnels to every port.
fn any_port() -> Builder {
    Gateway::builder().set("tunnel.ports", Vec::<i64>::new())
}

#[tokio::test]
async fn row_057_ports_that_are_not_listed_are_refused() {
    let places = ["25", "465", "587", "22", "6379", "80"].map(|port| format!("127.0.0.1:{port}"));
    let mut places: Vec<&str> = places.iter().map(String::as_str).collect();
    places.push("{origin}");
    refused(Gateway::builder(), &places, 403, "[tunnel] ports").await;
}

#[tokio::test]
async fn row_058_what_is_not_a_host_and_a_port_is_refused() {
    let stage = Stage::with(any_port()).await;
    let targets = [
        "127.0.0.1",
        "127.0.0.1:",
        ":443",
        "127.0.0.1:0",
        "127.0.0.1:70000",
        "127.0.0.1:+443",
        "127.0.0.1:443/",
        "http://{origin}/",
        "http://{origin}",
        "//{origin}",
        "secret:word@{origin}",
        "@{origin}",
        "[::1:443",
        "[::1]",
        "::1:443",
        "b\u{c3}\u{bc}cher.example:443",
        "127.1:443",
        "a..b:443",
        "*",
        "/",
    ];
    for target in targets {
        let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {{origin}}\r\n\r\n");
        let response = answer(&stage, &head).await;
        assert_eq!(response.status(), 400, "{target}: {}", response.text());
    }
    let home = stage.gateway.home();
    stage.finish().await;
    let log = home.access_log().join("\n");
    assert!(log.contains("CONNECT"), "{log}");
    assert!(!log.contains("secret") && !log.contains("word"), "{log}");
}

#[tokio::test]
async fn row_059_connect_has_no_body() {
    let stage = Stage::with(any_port()).await;
    for fields in [
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let head = format!("CONNECT {{origin}} HTTP/1.1\r\nHost: {{origin}}\r\n{fields}\r\n");
        let response = answer(&stage, &head).await;
        assert_eq!(response.status(), 400, "{fields}: {}", response.text());
    }
    stage.finish().await;
}

#[tokio::test]
async fn hosts_are_refused_by_name() {
    let denied = any_port().set("tunnel.deny_hosts", vec!["LOCAL*"]);
    refused(
        denied,
        &["localhost:443", "LocalHost.:443"],
        403,
        "deny_hosts",
    )
    .await;
    let listed = any_port().set("tunnel.hosts", vec!["*.example.org"]);
    refused(
        listed,
        &["{origin}", "example.org:443"],
        403,
        "[tunnel] hosts",
    )
    .await;
    let off = any_port().set("tunnel.enabled", false);
    refused(off, &["{origin}"], 403, "[tunnel] enabled").await;
}

#[tokio::test]
async fn row_045_metadata_services_are_refused_by_name_and_address() {
    refused(
        any_port(),
        &["Metadata.google.internal.:80"],
        403,
        "metadata",
    )
    .await;
    refused(
        any_port(),
        &["169.254.169.254:80", "[fd00:ec2::254]:80"],
        403,
        "refused",
    )
    .await;
}

#[tokio::test]
async fn row_046_private_networks_are_refused() {
    let guarded = any_port().set("upstream.allow_networks", Vec::<String>::new());
    let places = [
        "{origin}",
        "localhost:443",
        "[::1]:443",
        "[::ffff:127.0.0.1]:443",
        "10.0.0.1:443",
    ];
    refused(guarded, &places, 403, "refused").await;
}

#[tokio::test]
async fn row_053_the_gateways_own_ports_are_refused() {
    let gateway = any_port().start().await;
    for address in [gateway.proxy(), gateway.admin()] {
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let head = request(format!("{host}:{}", address.port()));
            let response = gateway.connect().await.exchange(&head).await;
            assert_eq!(response.status(), 403, "{host}: {}", response.text());
        }
    }
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn clients_that_are_not_allowed_get_no_tunnel() {
    let others = any_port().set("access.allow", vec!["192.0.2.0/24"]);
    refused(others, &["{origin}"], 403, "[access] allow").await;
}

#[tokio::test]
async fn nobody_at_the_other_end_is_said_instead_of_200() {
    let refusing = Refusing::start();
    let black_hole = BlackHole::start().await;
    let black_hole_address: SocketAddr = black_hole
        .url()
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    let gateway = any_port()
        .set("upstream.connect_timeout", "300ms")
        .start()
        .await;
    for (address, status) in [(refusing.address(), 502), (black_hole_address, 504)] {
        let response = gateway.connect().await.exchange(&request(address)).await;
        assert_eq!(response.status(), status, "{}", response.text());
        assert!(response.text().contains(&address.to_string()));
    }
    assert!(
        gateway
            .metric("weir_upstream_errors_total{reason=\"connect\"}")
            .await
            > 0.0
    );
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn the_number_of_tunnels_is_bounded() {
    let peer = Peer::start().await;
    let builder = tunnels_to(peer.address().port()).set("tunnel.connections", 1);
    let gateway = builder.start().await;
    let mut first = open(&gateway, peer.address()).await;
    let far = peer.accept().await;
    let response = gateway
        .connect()
        .await
        .exchange(&request(peer.address()))
        .await;
    assert_eq!(response.status(), 503, "{}", response.text());
    assert!(response.field("retry-after").is_some());
    assert_eq!(
        gateway
            .metric("weir_bound_hits_total{bound=\"tunnels\"}")
            .await,
        1.0
    );
    first.finish_sending().await;
    drop(far);
    first.remainder().await;
    weir_tests::deadline::until("the first tunnel ends", async || {
        gateway.metric("weir_tunnel_active").await <= 0.0
    })
    .await;
    open(&gateway, peer.address()).await;
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_host_that_is_missing_is_only_missed_in_http_1_1() {
    let peer = Peer::start().await;
    let gateway = tunnels_to(peer.address().port()).start().await;
    let address = peer.address();
    for (head, status) in [
        (format!("CONNECT {address} HTTP/1.0\r\n\r\n"), 200),
        (
            format!("CONNECT {address} HTTP/1.0\r\nHost: {address}\r\n\r\n"),
            200,
        ),
        (
            format!("CONNECT {address} HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n"),
            200,
        ),
        // RFC 9112 §3.2
        (format!("CONNECT {address} HTTP/1.1\r\n\r\n"), 400),
    ] {
        let mut client = gateway.connect().await;
        client.send(wire(&head)).await;
        let answer = client.head().await;
        assert_eq!(answer.status, status, "{head:?}");
        if status == 200 {
            // RFC 9110 §9.3.6
            assert!(answer.field("content-length").is_none());
            assert!(answer.field("transfer-encoding").is_none());
            drop(peer.accept().await);
        }
    }
    gateway.finish_with_warnings().await;
}
