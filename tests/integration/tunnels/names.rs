//! Row 62: a client that asks inside of its tunnel for another host than it named outside.

use super::{Tunnel, hears};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::sync::Arc;
use weir_tests::client::Close;

/// The first words of a real TLS client that asks for `name`.
fn greeting(name: &str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut said = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut said).expect("writes to memory");
    }
    said
}

#[tokio::test]
async fn row_062_a_denied_name_inside_of_a_tunnel_is_refused() {
    let mut tunnel = Tunnel::with(|builder| {
        builder
            .set("tunnel.deny_hosts", vec!["denied.test"])
            .set("log.format", "json")
    })
    .await;
    tunnel.near.send(greeting("denied.test")).await;
    let (heard, close) = tunnel.far.remainder().await;
    assert!(heard.is_empty(), "it was let through");
    assert_eq!(close, Close::Reset);
    assert_eq!(tunnel.near.remainder().await.1, Close::Reset);
    let told = tunnel.gateway.stderr();
    told.wait_for("a line that says why", |line| line.contains("denied.test"))
        .await;
    tunnel.over().await;
    let home = tunnel.gateway.home();
    tunnel.gateway.finish().await;
    let log = home.access_log().join("\n");
    assert!(log.contains("\"detail\":\"server-name-refused\""), "{log}");
}

#[tokio::test]
async fn row_062_another_name_is_let_through_and_logged() {
    for (name, is_noted) in [("other.test", true), ("127.0.0.1", false)] {
        let mut tunnel = Tunnel::with(|builder| {
            builder
                .set("tunnel.deny_hosts", vec!["denied.test"])
                .set("log.format", "json")
        })
        .await;
        let greeting = greeting(name);
        let (start, rest) = greeting.split_at(20);
        tunnel.near.send(start).await;
        // What the other end says is not held up by that.
        tunnel.far.send("hello?").await;
        hears(&mut tunnel.near, b"hello?").await;
        tunnel.near.send(rest).await;
        hears(&mut tunnel.far, &greeting).await;
        tunnel.near.finish_sending().await;
        tunnel.far.finish_sending().await;
        tunnel.over().await;
        let home = tunnel.gateway.home();
        tunnel.gateway.finish().await;
        let log = home.access_log().join("\n");
        assert_eq!(
            log.contains("\"detail\":\"server-name-differs\""),
            is_noted,
            "{log}"
        );
    }
}
