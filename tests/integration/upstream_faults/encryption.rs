//! Rows 135 and 136: certificates that prove nothing, and encrypted streams that end without saying so.

use crate::stage::FRESH;
use weir_tests::certificate::{Authority, Leaf};
use weir_tests::{Gateway, Origin, Script};

/// An encrypted origin with this leaf and a gateway that trusts its authority.
async fn arrange(leaf: Leaf) -> (Gateway, Origin) {
    let authority = Authority::new();
    let origin = Origin::start_tls(authority.server(leaf)).await;
    (
        Gateway::builder().trusting(&authority).start().await,
        origin,
    )
}

#[tokio::test]
async fn a_certificate_of_a_configured_authority_is_trusted() {
    let (gateway, origin) = arrange(Leaf::Good).await;
    origin.on("/x?y=1", Script::ok(FRESH, b"secret"));
    let port = origin.address().port();
    for host in ["localhost", "127.0.0.1"] {
        let path = format!("/download/https://{host}:{port}/x?y=1");
        gateway.get_path(&path).await.assert_is(200, b"secret");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn row_135_certificates_that_prove_nothing_are_refused_with_the_reason() {
    let table = [
        (Leaf::Expired, "expired"),
        (Leaf::OtherHost, "name"),
        (Leaf::SelfSigned, "self-signed"),
    ];
    for (leaf, reason) in table {
        let (gateway, origin) = arrange(leaf).await;
        origin.on("/x", Script::ok(FRESH, b"secret"));
        let path = format!("/download/https://localhost:{}/x", origin.address().port());
        let response = gateway.get_path(&path).await;
        assert_eq!(response.status(), 502, "{leaf:?}: {}", response.text());
        let text = response.text().to_lowercase();
        assert!(
            text.contains("certificate") && text.contains(reason),
            "{leaf:?}: {text}"
        );
        assert_eq!(
            origin.requests(),
            0,
            "{leaf:?}: never sent, never downgraded"
        );
        gateway.finish_with_warnings().await;
    }
}

#[tokio::test]
async fn row_135_a_plaintext_server_is_not_spoken_to_in_plaintext() {
    let origin = Origin::start().await;
    let gateway = Gateway::builder()
        .set("upstream.connect_timeout", "1s")
        .start()
        .await;
    let path = format!("/download/https://{}/x", origin.authority());
    let status = gateway.get_path(&path).await.status();
    assert!([502, 504].contains(&status), "{status}");
    assert_eq!(origin.requests(), 0);
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_136_an_encrypted_stream_that_is_cut_is_not_complete() {
    let open = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nperhaps all");
    let length = format!("HTTP/1.1 200 OK\r\n{FRESH}Content-Length: 99\r\n\r\nnot all");
    for head in [open, length] {
        let (gateway, origin) = arrange(Leaf::Good).await;
        let whole = Script::ok(FRESH, b"whole");
        origin.on_each("/x", [Script::of(head.clone()).truncate(), whole]);
        let path = format!("/download/https://localhost:{}/x", origin.address().port());
        let response = gateway.get_path(&path).await;
        assert!(
            !response.ending.is_clean() || response.status() == 502,
            "{head:?}: {response:?}"
        );
        gateway.settled().await;
        gateway.get_path(&path).await.assert_is(200, b"whole");
        assert_eq!(origin.requests(), 2, "{head:?}: the cut body was stored");
        gateway.finish_with_warnings().await;
    }
}
