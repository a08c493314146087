//! Rows 79 and 80: variants are capped, told apart, and not told apart where only the spelling differs.

use crate::stage::{FRESH, Stage};
use weir_tests::Script;
use weir_tests::client::forward;

#[tokio::test]
async fn row_79_vary_star_is_never_reused() {
    for star in ["*", "Accept, *", "*, Accept", "Accept\r\nVary: *"] {
        let stage = Stage::new().await;
        let fields = format!("{FRESH}Vary: {star}\r\n");
        let scripts = [Script::ok(&fields, b"hers"), Script::ok(&fields, b"his")];
        stage.origin.on_each("/x", scripts);
        stage.get("/x").await.assert_is(200, b"hers");
        stage.assert_fetched("/x").await.assert_is(200, b"his");
        stage.finish().await;
    }
}

#[tokio::test]
async fn row_79_a_thousand_variants_are_capped() {
    let stage = Stage::new().await;
    stage.fresh("/other", b"other");
    stage.get("/other").await.assert_is(200, b"other");
    let fields = format!("{FRESH}Vary: X-Choice\r\n");
    stage.origin.on("/x", Script::ok(&fields, b"x"));
    let mut client = stage.gateway.connect().await;
    for choice in 0..1000 {
        let choice = format!("X-Choice: {choice}\r\n");
        let request = forward("GET", &stage.origin.url("/x"), &choice);
        client.exchange(&request).await.assert_is(200, b"x");
    }
    stage.gateway.settled().await;
    let objects = stage.gateway.metric("weir_store_objects").await;
    assert!((2.0..=101.0).contains(&objects), "{objects} objects");
    // The flood took nobody else's place, and the last variants are there.
    stage.assert_hit("/other", b"other").await;
    let last = stage.get_with("/x", "X-Choice: 999\r\n").await;
    last.assert_is(200, b"x");
    assert!(last.is_hit());
    stage.finish().await;
}

#[tokio::test]
async fn row_80_plain_and_encoded_bytes_are_different_variants() {
    for vary in ["Vary: Accept-Encoding\r\n", ""] {
        let stage = Stage::new().await;
        let plain = format!("{FRESH}{vary}");
        let encoded = format!("{FRESH}{vary}Content-Encoding: gzip\r\n");
        stage.origin.on_each(
            "/x",
            [
                Script::ok(&encoded, b"zipped"),
                Script::ok(&plain, b"plain"),
            ],
        );
        let zip = "Accept-Encoding: gzip\r\n";
        stage.get_with("/x", zip).await.assert_is(200, b"zipped");
        stage.gateway.settled().await;
        let identity = stage.get("/x").await;
        identity.assert_is(200, b"plain");
        assert_eq!(identity.field("content-encoding"), None);
        stage.gateway.settled().await;
        stage.get("/x").await.assert_is(200, b"plain");
        if !vary.is_empty() {
            let again = stage.get_with("/x", zip).await;
            again.assert_is(200, b"zipped");
            assert!(again.is_hit());
            assert_eq!(stage.origin.requests(), 2);
        }
        stage.finish().await;
    }
}

/// Checks whether what was fetched with one field line answers another one.
async fn check_same(name: &str, one: &str, other: &str, is_same: bool) {
    let stage = Stage::new().await;
    let fields = format!("{FRESH}Vary: {name}\r\n");
    stage.origin.on("/x", Script::ok(&fields, b"x"));
    for value in [one, other] {
        let field = match value {
            "" => String::new(),
            value => format!("{name}: {value}\r\n"),
        };
        stage.get_with("/x", &field).await.assert_is(200, b"x");
        stage.gateway.settled().await;
    }
    let expected = if is_same { 1 } else { 2 };
    assert_eq!(stage.origin.requests(), expected, "{one:?} and {other:?}");
    stage.finish().await;
}

#[tokio::test]
async fn encodings_in_another_order_or_spelling_share_a_variant() {
    for (one, other, is_same) in [
        ("gzip, br", "br,gzip", true),
        ("gzip, br", "BR ,  GZIP", true),
        ("gzip, br", "gzip\r\nAccept-Encoding: br", true),
        ("gzip", "br", false),
        ("gzip", "gzip;q=0", false),
        ("gzip", "", false),
    ] {
        check_same("Accept-Encoding", one, other, is_same).await;
    }
}

#[tokio::test]
async fn languages_in_another_spelling_share_a_variant_and_in_another_order_do_not_have_to() {
    check_same("Accept-Language", "de, en;q=0.5", "de,EN;q=0.5", true).await;
    check_same("Accept-Language", "de", "en", false).await;
}
