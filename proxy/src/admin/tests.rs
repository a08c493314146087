//! The server over an in-memory connection, and once over a socket.

use super::*;
use crate::readiness::State;
use tokio::io::DuplexStream;

const GET_READY: &str = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn admin() -> (Arc<Admin>, Arc<Readiness>, Arc<Metrics>) {
    let (metrics, readiness) = (
        Arc::new(Metrics::new("1.2.3")),
        Arc::new(Readiness::default()),
    );
    let hosts = ["weir.example".to_owned()];
    (
        Admin::new(Arc::clone(&metrics), Arc::clone(&readiness), &hosts),
        readiness,
        metrics,
    )
}

/// The client's end of a connection that the server has accepted.
fn connect(admin: &Arc<Admin>, connections: &mut JoinSet<()>) -> DuplexStream {
    let (client, server) = tokio::io::duplex(64 * 1024);
    admin.start(server, connections);
    client
}

async fn ask(admin: &Arc<Admin>, request: &str) -> String {
    let mut connections = JoinSet::new();
    let mut client = connect(admin, &mut connections);
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(admin: &Arc<Admin>, path: &str) -> (String, String) {
    let answer = ask(
        admin,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    )
    .await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())),
        "{head}"
    );
    assert!(head.ends_with("\r\nConnection: close"), "{head}");
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn what_is_degraded_is_ready_and_says_so() {
    let (admin, readiness, _) = admin();
    let page = |status: &str, body: &str| (format!("HTTP/1.1 {status}"), body.to_owned());
    readiness.advance(State::Ready);
    let words = "disk 2 (/data/c) is out: Input/output error\nforged";
    readiness.note("degraded", Some(words.to_owned()));
    let degraded = "degraded: disk 2 (/data/c) is out: Input/output error forged\n";
    let expected = page("200 OK", &format!("ready\n{degraded}"));
    assert_eq!(get(&admin, "/readyz").await, expected);
    readiness.raise("bind", "address in use");
    let reasons = format!("bind: address in use\n{degraded}");
    let expected = page("503 Service Unavailable", &reasons);
    assert_eq!(get(&admin, "/readyz").await, expected);
    readiness.clear("bind");
    readiness.note("degraded", None);
    assert_eq!(get(&admin, "/readyz").await, page("200 OK", "ready\n"));
}

#[tokio::test]
async fn health_readiness_and_the_index_are_pages() {
    let (admin, readiness, _) = admin();
    let page = |status: &str, body: &str| (format!("HTTP/1.1 {status}"), body.to_owned());
    assert_eq!(get(&admin, "/healthz").await, page("200 OK", "ok\n"));
    assert_eq!(
        get(&admin, "/readyz").await,
        page("503 Service Unavailable", "starting\n")
    );
    readiness.advance(State::Ready);
    assert_eq!(get(&admin, "/readyz").await, page("200 OK", "ready\n"));
    readiness.raise("disk ./weir-data", "read-only\r\nforged");
    readiness.advance(State::Draining);
    let reasons = "draining\ndisk ./weir-data: read-only  forged\n";
    assert_eq!(
        get(&admin, "/readyz").await,
        page("503 Service Unavailable", reasons)
    );
    assert_eq!(
        get(&admin, "/healthz?verbose").await,
        page("200 OK", "ok\n")
    );
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(get(&admin, "/").await.1.contains(path));
    }
    assert_eq!(get(&admin, "/healthz/").await.0, "HTTP/1.1 404 Not Found");
}

#[tokio::test]
async fn metrics_travel_with_their_content_type() {
    let (admin, ..) = admin();
    let answer = ask(
        &admin,
        "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n",
    )
    .await;
    let field = "\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(answer.contains(field), "{answer}");
    assert!(
        answer.contains("\nweir_build_info{version=\"1.2.3\"} 1\n"),
        "{answer}"
    );
    assert!(answer.ends_with("# EOF\n"), "{answer}");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let (admin, ..) = admin();
    let answer = ask(&admin, "HEAD /healthz HTTP/1.1\r\nHost: [::1]:8081\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nContent-Length: 3\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn other_methods_hosts_and_forms_are_refused() {
    let (admin, ..) = admin();
    for (request, status) in [
        (
            "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
            "405",
        ),
        (
            "GET /metrics HTTP/1.1\r\nHost: rebound.example\r\n\r\n",
            "421",
        ),
        ("GET /metrics HTTP/1.1\r\nHost: weir.example\r\n\r\n", "200"),
        (
            "GET http://127.0.0.1/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            "400",
        ),
        (
            "CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            "405",
        ),
        ("\x16\x03\x01\x02", "400"),
    ] {
        let answer = ask(&admin, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_head_over_the_bound_is_refused() {
    let (admin, ..) = admin();
    let long = "x".repeat(HEAD_BYTES_MAX + 1);
    let answer = ask(&admin, &format!("GET /{long} HTTP/1.1\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_head_may_arrive_in_pieces() {
    let (admin, readiness, _) = admin();
    readiness.advance(State::Ready);
    let mut connections = JoinSet::new();
    let mut client = connect(&admin, &mut connections);
    for byte in GET_READY.bytes() {
        client.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("ready\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_gone_after_the_deadline() {
    let (admin, ..) = admin();
    let mut connections = JoinSet::new();
    let mut client = connect(&admin, &mut connections);
    client.write_all(b"GET /").await.unwrap();
    let before = tokio::time::Instant::now();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty());
    assert_eq!(before.elapsed(), DEADLINE);
}

#[tokio::test]
async fn connections_over_the_bound_are_closed_and_counted() {
    let (admin, _, metrics) = admin();
    let mut connections = JoinSet::new();
    let held: Vec<_> = (0..CONNECTIONS_MAX)
        .map(|_| connect(&admin, &mut connections))
        .collect();
    let mut extra = connect(&admin, &mut connections);
    assert_eq!(extra.read(&mut [0]).await.unwrap(), 0);
    let text = metrics.text().unwrap();
    assert!(
        text.contains("weir_bound_hits_total{bound=\"admin-connections\"} 1\n"),
        "{text}"
    );

    drop(held);
    while connections.join_next().await.is_some() {}
    let mut client = connect(&admin, &mut connections);
    client.write_all(GET_READY.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[tokio::test]
async fn it_serves_a_socket_until_it_is_stopped() {
    let (admin, ..) = admin();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(admin.serve(listener, async { drop(stopped.await) }));
    for _ in 0..2 {
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(GET_READY.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("\r\n\r\nstarting\n"), "{answer}");
    }
    stop.send(()).unwrap();
    server.await.unwrap();
}
