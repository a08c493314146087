//! Rows 130, 132, 133 and 140: upstreams that cannot be reached or do not answer.

use crate::stage::{FRESH, Stage};
use weir_tests::refusing::{BlackHole, Refusing};
use weir_tests::{Gate, Gateway, Script};

/// RST instead of an answer.
fn reset() -> Script {
    Script::of("").reset()
}

#[tokio::test]
async fn row_130_a_reset_before_the_head_is_tried_once_more() {
    let stage = Stage::new().await;
    stage
        .origin
        .on_each("/x", [reset(), Script::ok(FRESH, b"second try")]);
    stage.get("/x").await.assert_is(200, b"second try");
    assert_eq!(stage.origin.requests(), 2);
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_130_resets_before_the_head_end_in_502() {
    let stage = Stage::new().await;
    stage.origin.on("/x", reset());
    assert_eq!(stage.get("/x").await.status(), 502);
    assert_eq!(stage.origin.requests(), 2, "one retry");
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_130_what_may_have_had_an_effect_is_not_repeated() {
    let stage = Stage::new().await;
    stage.origin.on("/x", reset());
    let fields = "Content-Length: 0\r\n";
    let response = stage
        .gateway
        .request("POST", &stage.origin.url("/x"), fields)
        .await;
    assert_eq!(response.status(), 502);
    assert_eq!(stage.origin.requests(), 1);
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_132_an_address_that_swallows_connections_is_given_up() {
    let hole = BlackHole::start().await;
    let gateway = Gateway::builder()
        .set("upstream.connect_timeout", "500ms")
        .start()
        .await;
    let response = gateway.get(&format!("{}/x", hole.url())).await;
    assert_eq!(response.status(), 504, "{}", response.text());
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_132_behind_an_address_that_swallows_connections_the_next_is_tried() {
    let hole = BlackHole::start().await;
    let origin = weir_tests::Origin::start().await;
    origin.on("/x", Script::ok(FRESH, b"from the second"));
    let gateway = Gateway::builder()
        .set("upstream.connect_timeout", "500ms")
        .mirror("/m/", &[&format!("{}/", hole.url()), &origin.url("/")])
        .start()
        .await;
    gateway
        .get_path("/m/x")
        .await
        .assert_is(200, b"from the second");
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_refused_connection_is_answered_502() {
    let refusing = Refusing::start();
    let gateway = Gateway::start().await;
    let response = gateway.get(&format!("{}/x", refusing.url())).await;
    assert_eq!(response.status(), 502, "{}", response.text());
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_133_an_origin_that_says_nothing_is_given_up() {
    let stage = Stage::with(Gateway::builder().set("upstream.first_byte_timeout", "500ms")).await;
    let never = Gate::new();
    stage.origin.on("/x", Script::after(&never));
    for method in ["GET", "POST"] {
        let response = stage
            .gateway
            .request(method, &stage.origin.url("/x"), "")
            .await;
        assert_eq!(response.status(), 504, "{method}: {}", response.text());
    }
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_133_half_a_head_is_as_good_as_none() {
    let stage = Stage::with(Gateway::builder().set("upstream.first_byte_timeout", "500ms")).await;
    let never = Gate::new();
    stage
        .origin
        .on("/x", Script::of("HTTP/1.1 200 OK\r\nA: ").wait(&never));
    assert_eq!(stage.get("/x").await.status(), 504);
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_140_a_name_that_does_not_exist_is_a_failure_of_the_upstream() {
    let gateway = Gateway::start().await;
    for url in [
        "http://no-such-host.invalid/x",
        "http://no-such-host.invalid:8080/x",
    ] {
        let response = gateway.get(url).await;
        assert!(
            [502, 504].contains(&response.status()),
            "{}",
            response.status()
        );
        assert!(
            response.text().contains("no-such-host.invalid"),
            "{}",
            response.text()
        );
    }
    gateway.finish_with_warnings().await;
}
