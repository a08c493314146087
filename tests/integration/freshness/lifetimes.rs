//! How long a stored response is used (RFC 9111 §4.2).

use super::Second::{Fetch, Hit};
use super::check;
use crate::stage::Stage;
use weir_tests::Script;

#[tokio::test]
async fn explicit_lifetimes_count() {
    check(&[
        ("200 OK", "Cache-Control: max-age=600\r\n", Hit),
        ("200 OK", "Cache-Control: MAX-AGE=600\r\n", Hit),
        (
            "200 OK",
            "Cache-Control: public, max-age=99999999999\r\n",
            Hit,
        ),
        ("200 OK", "Cache-Control: max-age=0\r\n", Fetch),
        ("200 OK", "Expires: Fri, 01 Jan 2100 00:00:00 GMT\r\n", Hit),
        (
            "200 OK",
            "Expires: Mon, 01 Jan 2001 00:00:00 GMT\r\n",
            Fetch,
        ),
        ("200 OK", "Expires: 0\r\n", Fetch),
        ("200 OK", "Expires: whenever\r\n", Fetch),
    ])
    .await;
}

#[tokio::test]
async fn the_stronger_statement_wins() {
    let expires_later = "Expires: Fri, 01 Jan 2100 00:00:00 GMT\r\nCache-Control: max-age=0\r\n";
    let expired = "Expires: Mon, 01 Jan 2001 00:00:00 GMT\r\nCache-Control: max-age=600\r\n";
    check(&[
        ("200 OK", "Cache-Control: s-maxage=600, max-age=0\r\n", Hit),
        (
            "200 OK",
            "Cache-Control: s-maxage=0, max-age=600\r\n",
            Fetch,
        ),
        ("200 OK", expires_later, Fetch),
        ("200 OK", expired, Hit),
    ])
    .await;
}

#[tokio::test]
async fn age_at_the_upstream_counts() {
    check(&[
        ("200 OK", "Cache-Control: max-age=600\r\nAge: 100\r\n", Hit),
        (
            "200 OK",
            "Cache-Control: max-age=600\r\nAge: 700\r\n",
            Fetch,
        ),
        (
            "200 OK",
            "Cache-Control: max-age=600\r\nAge: 99999999999999999999\r\n",
            Fetch,
        ),
        (
            "200 OK",
            "Cache-Control: max-age=600\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\n",
            Fetch,
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_old_object_without_a_lifetime_is_used_for_a_while() {
    let old = "Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT\r\n";
    check(&[
        ("200 OK", old, Hit),
        ("200 OK", "", Fetch),
        ("302 Found", old, Fetch),
    ])
    .await;
}

#[tokio::test]
async fn a_stale_object_is_fetched_again_and_replaced() {
    let stage = Stage::new().await;
    stage.origin.on_each(
        "/x",
        [
            Script::ok("Cache-Control: max-age=0\r\n", b"old"),
            Script::ok("Cache-Control: max-age=600\r\n", b"new"),
        ],
    );
    stage.get("/x").await.assert_is(200, b"old");
    stage.assert_fetched("/x").await.assert_is(200, b"new");
    stage.assert_hit("/x", b"new").await;
    stage.finish().await;
}

#[tokio::test]
async fn a_hit_tells_its_age() {
    let stage = Stage::new().await;
    stage.origin.on(
        "/x",
        Script::ok("Cache-Control: max-age=600\r\nAge: 100\r\n", b"x"),
    );
    stage.get("/x").await.assert_is(200, b"x");
    stage.gateway.settled().await;
    let hit = stage.get("/x").await;
    let age: u64 = hit
        .field("age")
        .and_then(|text| text.parse().ok())
        .expect("an Age");
    assert!(hit.is_hit() && (100..600).contains(&age), "{age}");
    stage.finish().await;
}

#[tokio::test]
async fn a_client_can_insist_on_a_fetch_or_on_none() {
    let stage = Stage::new().await;
    stage.origin.on(
        "/x",
        Script::ok("Cache-Control: max-age=600\r\nAge: 5\r\n", b"x"),
    );
    let only = "Cache-Control: only-if-cached\r\n";
    assert_eq!(stage.get_with("/x", only).await.status(), 504);
    assert_eq!(stage.origin.requests(), 0);
    stage.get("/x").await.assert_is(200, b"x");
    stage.gateway.settled().await;
    stage.get_with("/x", only).await.assert_is(200, b"x");
    for fields in [
        "Cache-Control: no-cache\r\n",
        "Cache-Control: max-age=0\r\n",
    ] {
        let before = stage.origin.requests();
        stage.get_with("/x", fields).await.assert_is(200, b"x");
        assert_eq!(stage.origin.requests(), before + 1, "{fields}");
        stage.gateway.settled().await;
    }
    stage.finish().await;
}
