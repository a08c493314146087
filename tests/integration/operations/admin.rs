//! The admin port, and that nothing of it leaks to the proxy port.

use crate::stage::Stage;
use weir_tests::Gateway;

/// Names that dashboards rely on.
const NAMES: [&str; 13] = [
    "weir_requests_total",
    "weir_request_duration_seconds",
    "weir_response_bytes_total",
    "weir_upstream_requests_total",
    "weir_upstream_errors_total",
    "weir_fill_active",
    "weir_fill_bytes_total",
    "weir_fill_abandoned_total",
    "weir_store_bytes",
    "weir_store_objects",
    "weir_store_corrupt_blocks_total",
    "weir_bound_hits_total",
    "weir_build_info",
];

#[tokio::test]
async fn health_and_readiness_are_told() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.get_admin("/healthz").await.status(), 200);
    gateway.ready().await;
    assert_eq!(gateway.get_admin("/nothing").await.status(), 404);
    gateway.finish().await;
}

#[tokio::test]
async fn metrics_have_their_names_from_the_start() {
    let gateway = Gateway::start().await;
    let response = gateway.get_admin("/metrics").await;
    assert_eq!(response.status(), 200);
    let text = response.text_whole();
    for name in NAMES {
        // OpenMetrics announces counters and facts without their suffix.
        let family = name
            .strip_suffix("_total")
            .or(name.strip_suffix("_info"))
            .unwrap_or(name);
        let is_declared = text.lines().any(|line| {
            let mut words = line.split_whitespace();
            (words.next(), words.next()) == (Some("#"), Some("TYPE"))
                && words.next().is_some_and(|own| own == family || own == name)
        });
        assert!(is_declared, "{name} is not declared in {text}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn metrics_count_hits_and_misses() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"x");
    stage.get("/x").await.assert_is(200, b"x");
    stage.assert_hit("/x", b"x").await;
    let hits = "weir_requests_total{form=\"forward\",result=\"hit\"}";
    let misses = "weir_requests_total{form=\"forward\",result=\"miss\"}";
    // A request is counted once it is over, which may be a moment after its last byte.
    weir_tests::deadline::until("both are counted", async || {
        stage.gateway.metric(hits).await >= 1.0 && stage.gateway.metric(misses).await >= 1.0
    })
    .await;
    stage.finish().await;
}

#[tokio::test]
async fn nothing_of_the_admin_port_is_on_the_proxy_port() {
    let gateway = Gateway::start().await;
    for path in ["/metrics", "/healthz", "/readyz", "//metrics", "/./metrics"] {
        let response = gateway.get_path(path).await;
        assert!(
            (400..500).contains(&response.status()),
            "{path}: {}",
            response.status()
        );
        assert!(!response.text().contains("weir_requests_total"), "{path}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn the_admin_port_is_no_proxy() {
    let stage = Stage::new().await;
    let mut client = weir_tests::RawClient::connect(stage.gateway.admin()).await;
    let url = stage.origin.url("/x");
    let request = weir_tests::client::forward("GET", &url, "");
    let response = client.exchange(&request).await;
    assert!(response.status() >= 400, "{}", response.status());
    stage.origin.assert_untouched();
    stage.finish().await;
}

#[tokio::test]
async fn hostile_requests_to_the_admin_port_do_no_harm() {
    let gateway = Gateway::start().await;
    for raw in [
        "\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET /metrics HTTP/9\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let mut client = weir_tests::RawClient::connect(gateway.admin()).await;
        client.send(raw).await;
        client.finish_sending().await;
        let (answer, _) = client.remainder().await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{raw:?}");
    }
    assert_eq!(gateway.get_admin("/healthz").await.status(), 200);
    gateway.finish_with_warnings().await;
}
