//! The whole adapter against origins of its own on 127.0.0.1, honest and hostile.

mod origin;
mod streams;
mod tls;

use super::resolve::doubles::TableResolver;
use super::*;
use crate::pass::PeerSource as _;
use http::{HeaderMap, Method};
use origin::{Act, FakeOrigin};
use std::net::SocketAddr;
use weir_cache::ports::{Framing, OriginBody};
use weir_policies::target::Target;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Settings whose timeouts do not end a test that goes well.
fn settings() -> UpstreamSettings {
    UpstreamSettings::defaults("node-1".to_owned())
}

/// Long enough to strike, short enough to wait for; only ever given to the one timeout that a test is about.
const MOMENT: Duration = Duration::from_millis(300);

fn allowing(networks: &[&str]) -> Arc<Vetter> {
    let allowed = networks
        .iter()
        .map(|network| network.parse().unwrap())
        .collect();
    Arc::new(Vetter {
        allowed,
        ..Vetter::default()
    })
}

/// An adapter for which `origin.test` and `alias.test` are at `addresses`, and loopback is allowed.
fn adapter_at(settings: UpstreamSettings, addresses: &[&str]) -> HttpOrigin {
    let names = TableResolver::default()
        .with("origin.test", addresses, 60)
        .with("alias.test", addresses, 60);
    HttpOrigin::new(settings, Arc::new(names), allowing(&["127.0.0.0/8"])).unwrap()
}

fn adapter(settings: UpstreamSettings) -> HttpOrigin {
    adapter_at(settings, &["127.0.0.1"])
}

fn request(method: Method, url: &str) -> OriginRequest {
    OriginRequest {
        method,
        target: Target::parse(url).unwrap(),
        headers: HeaderMap::new(),
        interim: None,
    }
}

fn get(address: SocketAddr) -> OriginRequest {
    request(
        Method::GET,
        &format!("http://origin.test:{}/file", address.port()),
    )
}

async fn drain(body: &mut dyn OriginBody) -> Result<Vec<u8>, OriginError> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

async fn fetch(adapter: &HttpOrigin, request: OriginRequest) -> Result<Vec<u8>, OriginError> {
    let mut response = adapter.fetch(request).await?;
    drain(response.body.as_mut()).await
}

fn reason<T: std::fmt::Debug>(outcome: &Result<T, OriginError>) -> &'static str {
    outcome.as_ref().map_or_else(OriginError::as_str, |_| "ok")
}

#[tokio::test]
async fn a_response_arrives_and_its_connection_serves_the_next_request() {
    let origin = FakeOrigin::start(vec![vec![Act::Answer(HELLO), Act::Answer(HELLO)]]).await;
    let adapter = adapter(settings());
    let mut response = adapter.fetch(get(origin.address)).await.unwrap();
    assert_eq!(
        (response.status.as_u16(), response.framing),
        (200, Framing::Length(5))
    );
    assert_eq!(response.address, origin.address);
    assert_eq!(drain(response.body.as_mut()).await.unwrap(), b"hello");

    assert_eq!(
        fetch(&adapter, get(origin.address)).await.unwrap(),
        b"hello"
    );
    assert_eq!(origin.connections(), 1);
    let stats = adapter.stats();
    assert_eq!(
        (stats.connections_opened(), stats.connections_reused()),
        (1, 1)
    );
    let sent = origin.requests();
    let host = format!(
        "GET /file HTTP/1.1\r\nHost: origin.test:{}\r\n",
        origin.address.port()
    );
    assert!(
        sent.iter().all(|request| request.starts_with(&host)),
        "{sent:?}"
    );
}

#[tokio::test]
async fn a_chunked_response_and_a_head_request_keep_the_connection() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let acts = vec![Act::Answer(chunked), Act::Answer(head), Act::Answer(HELLO)];
    let origin = FakeOrigin::start(vec![acts]).await;
    let adapter = adapter(settings());
    assert_eq!(
        fetch(&adapter, get(origin.address)).await.unwrap(),
        b"hello"
    );
    let url = format!("http://origin.test:{}/", origin.address.port());
    assert_eq!(
        fetch(&adapter, request(Method::HEAD, &url)).await.unwrap(),
        b""
    );
    assert_eq!(
        fetch(&adapter, get(origin.address)).await.unwrap(),
        b"hello"
    );
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn connections_are_not_shared_between_hosts_at_one_address() {
    let origin = FakeOrigin::start(vec![vec![Act::Answer(HELLO), Act::Answer(HELLO)]]).await;
    let adapter = adapter(settings());
    assert!(fetch(&adapter, get(origin.address)).await.is_ok());
    let alias = format!("http://alias.test:{}/", origin.address.port());
    assert!(fetch(&adapter, request(Method::GET, &alias)).await.is_ok());
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn rows_118_121_and_128_connections_of_doubtful_responses_are_not_reused() {
    for doubtful in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 304 Not Modified\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
    ] {
        let acts = vec![
            Act::Answer(doubtful),
            Act::Answer("HTTP/1.1 500 Reused\r\n\r\n"),
        ];
        let origin = FakeOrigin::start(vec![acts, vec![Act::Answer(HELLO)]]).await;
        let adapter = adapter(settings());
        assert!(
            fetch(&adapter, get(origin.address)).await.is_ok(),
            "{doubtful}"
        );
        assert_eq!(
            fetch(&adapter, get(origin.address)).await.unwrap(),
            b"hello",
            "{doubtful}"
        );
        assert_eq!(origin.connections(), 2, "{doubtful}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_closes_on_the_next_request_costs_one_retry() {
    for end in [Act::Close, Act::Reset] {
        let script = vec![vec![Act::Answer(HELLO), end], vec![Act::Answer(HELLO)]];
        let origin = FakeOrigin::start(script).await;
        let adapter = adapter(settings());
        assert!(fetch(&adapter, get(origin.address)).await.is_ok());
        assert_eq!(
            fetch(&adapter, get(origin.address)).await.unwrap(),
            b"hello"
        );
        assert_eq!(
            (origin.connections(), adapter.stats().requests_retried()),
            (2, 1)
        );
    }
}

#[tokio::test]
async fn row_130_a_reset_before_the_head_is_retried_once() {
    for end in [Act::Close, Act::Reset] {
        let origin = FakeOrigin::start(vec![vec![end], vec![Act::Answer(HELLO)]]).await;
        assert_eq!(
            fetch(&adapter(settings()), get(origin.address))
                .await
                .unwrap(),
            b"hello"
        );

        let origin = FakeOrigin::start(vec![vec![end], vec![end], vec![Act::Answer(HELLO)]]).await;
        let outcome = fetch(&adapter(settings()), get(origin.address)).await;
        assert_eq!(reason(&outcome), "no-answer");
        assert_eq!(outcome.unwrap_err().status(), 502);
        assert_eq!(origin.connections(), 2);
    }
}

#[tokio::test]
async fn a_head_that_breaks_off_is_not_asked_for_again() {
    let acts = vec![Act::AnswerAndClose("HTTP/1.1 200 OK\r\nContent-Le")];
    let origin = FakeOrigin::start(vec![acts, vec![Act::Answer(HELLO)]]).await;
    assert_eq!(
        reason(&fetch(&adapter(settings()), get(origin.address)).await),
        "no-answer"
    );
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn rows_117_and_119_bodies_that_break_are_truncated() {
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello";
    let malformed = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\nhello";
    for act in [
        Act::AnswerAndClose(length),
        Act::AnswerAndClose(chunked),
        Act::AnswerAndReset(length),
        Act::AnswerAndReset(chunked),
        Act::AnswerAndReset(until_close),
        Act::Answer(malformed),
    ] {
        let origin = FakeOrigin::start(vec![vec![act]]).await;
        let adapter = adapter(settings());
        let outcome = fetch(&adapter, get(origin.address)).await;
        assert_eq!(reason(&outcome), "truncated", "{act:?}");
        let counted = adapter
            .stats()
            .errors()
            .find(|(reason, _)| *reason == "truncated");
        assert_eq!(counted, Some(("truncated", 1)), "{act:?}");
    }
}

#[tokio::test]
async fn row_123_a_plaintext_body_may_end_by_fin() {
    let act = Act::AnswerAndClose("HTTP/1.1 200 OK\r\n\r\nhello");
    let origin = FakeOrigin::start(vec![vec![act]]).await;
    let mut response = adapter(settings())
        .fetch(get(origin.address))
        .await
        .unwrap();
    assert_eq!(response.framing, Framing::UntilClose);
    assert_eq!(drain(response.body.as_mut()).await.unwrap(), b"hello");
}

#[tokio::test]
async fn row_133_a_head_that_does_not_come_or_drips_is_given_up_as_a_whole() {
    for act in [Act::Silence, Act::Drip(HELLO)] {
        let origin = FakeOrigin::start(vec![vec![act]]).await;
        let impatient = UpstreamSettings {
            first_byte_timeout: MOMENT,
            ..settings()
        };
        let outcome = fetch(&adapter(impatient), get(origin.address)).await;
        assert_eq!(reason(&outcome), "head-timeout", "{act:?}");
        assert_eq!(outcome.unwrap_err().status(), 504);
    }
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up_on_a_real_connection() {
    let act = Act::Answer("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
    let origin = FakeOrigin::start(vec![vec![act]]).await;
    let impatient = UpstreamSettings {
        stall_timeout: MOMENT,
        ..settings()
    };
    let outcome = fetch(&adapter(impatient), get(origin.address)).await;
    assert_eq!(reason(&outcome), "stalled");
}

#[tokio::test]
async fn hostile_heads_are_502() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "hello, this is HTTP/0.9\n",
    ] {
        let origin = FakeOrigin::start(vec![vec![Act::Answer(answer)]]).await;
        let outcome = fetch(&adapter(settings()), get(origin.address)).await;
        assert_eq!(reason(&outcome), "protocol", "{answer}");
        assert_eq!(outcome.unwrap_err().status(), 502);
    }
}

#[tokio::test]
async fn interim_responses_are_told_without_what_concerns_the_connection() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let origin = FakeOrigin::start(vec![vec![Act::Answer(answer)]]).await;
    let (told, mut heard) = tokio::sync::mpsc::channel(10);
    let request = OriginRequest {
        interim: Some(told),
        ..get(origin.address)
    };
    assert_eq!(
        fetch(&adapter(settings()), request).await.unwrap(),
        b"hello"
    );
    let interim = heard.recv().await.unwrap();
    assert_eq!(interim.status.as_u16(), 103);
    assert_eq!(interim.headers.len(), 1, "{interim:?}");
    assert!(heard.recv().await.is_none(), "neither the 100 nor the 200");
}

#[tokio::test]
async fn a_body_dropped_half_way_closes_the_connection() {
    let act = Act::Answer("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
    let origin = FakeOrigin::start(vec![vec![act], vec![Act::Answer(HELLO)]]).await;
    let adapter = adapter(settings());
    let mut response = adapter.fetch(get(origin.address)).await.unwrap();
    assert_eq!(
        response.body.next().await.unwrap().unwrap().as_ref(),
        b"hello"
    );
    drop(response);
    origin.closed(1).await;
    assert_eq!(
        fetch(&adapter, get(origin.address)).await.unwrap(),
        b"hello"
    );
}

#[tokio::test]
async fn row_132_the_next_address_is_used_when_one_refuses_or_is_a_black_hole() {
    let origin = FakeOrigin::start(vec![vec![Act::Answer(HELLO)]]).await;
    let refusing = adapter_at(settings(), &["127.0.0.2", "127.0.0.1"]);
    assert_eq!(
        fetch(&refusing, get(origin.address)).await.unwrap(),
        b"hello"
    );

    let origin = FakeOrigin::start(vec![vec![Act::Answer(HELLO)]]).await;
    let _hole = origin::black_hole("127.0.0.4", origin.address.port()).await;
    let holed = adapter_at(settings(), &["127.0.0.4", "127.0.0.1"]);
    let response = holed.fetch(get(origin.address)).await.unwrap();
    assert_eq!(response.address, origin.address);
}

#[tokio::test]
async fn row_132_all_addresses_dead_is_an_error_of_its_kind() {
    let impatient = || UpstreamSettings {
        connect_timeout: MOMENT,
        ..settings()
    };
    let hole = origin::black_hole("127.0.0.2", 0).await;
    let timed_out = fetch(&adapter_at(impatient(), &["127.0.0.2"]), get(hole.address)).await;
    assert_eq!(reason(&timed_out), "connect-timeout");
    assert_eq!(timed_out.unwrap_err().status(), 504);

    // Nobody listens at that port on 127.0.0.3; one refusal says more than any timeout.
    let dead = adapter_at(impatient(), &["127.0.0.2", "127.0.0.3"]);
    let refused = fetch(&dead, get(hole.address)).await;
    assert_eq!(reason(&refused), "connect");
    let words = refused.unwrap_err().to_string();
    assert!(
        words.contains("127.0.0.3") && words.contains("refused"),
        "{words}"
    );
}

#[tokio::test]
async fn row_44_refused_addresses_are_never_connected_to() {
    let origin = FakeOrigin::start(vec![vec![Act::Answer(HELLO)]]).await;
    let names = TableResolver::default().with("origin.test", &["127.0.0.1"], 60);
    let strict = HttpOrigin::new(settings(), Arc::new(names), Arc::default()).unwrap();
    let outcome = fetch(&strict, get(origin.address)).await;
    assert_eq!(reason(&outcome), "refused");
    assert_eq!(outcome.unwrap_err().status(), 403);
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn a_scheme_without_adapter_is_501_before_anything_is_resolved() {
    let outcome = fetch(
        &adapter(settings()),
        request(Method::GET, "ftp://nowhere.test/x"),
    )
    .await;
    assert_eq!(outcome.unwrap_err().status(), 501);
}

#[tokio::test]
async fn peers_for_the_pass_path_have_every_timeout_and_verify() {
    let adapter = adapter(settings());
    let target = Target::parse("https://127.0.0.1:8443/").unwrap();
    let peers = adapter.peers(&target).await.unwrap();
    let peer = peers.front().unwrap();
    let options = &peer.options;
    for timeout in [
        options.connection_timeout,
        options.total_connection_timeout,
        options.read_timeout,
        options.write_timeout,
        options.idle_timeout,
    ] {
        assert!(timeout.is_some_and(|timeout| !timeout.is_zero()));
    }
    assert!(options.verify_cert && options.verify_hostname && peer.is_tls());
    assert_eq!(peer.sni, "127.0.0.1");
}

#[tokio::test]
async fn the_pass_path_tries_the_address_first_that_answered_last() {
    let addresses = ["127.0.0.2", "127.0.0.1"];
    let target = Target::parse("http://origin.test:8080/").unwrap();
    let first_after = async |adapter: &HttpOrigin| {
        let peers = adapter.peers(&target).await.unwrap();
        assert_eq!(peers.len(), addresses.len());
        peers.front().unwrap().to_string()
    };
    let adapter = adapter_at(settings(), &addresses);
    let first = first_after(&adapter).await;
    assert!(first.contains("127.0.0.2:8080"), "{first}");
    adapter.connected(&target, SocketAddr::from(([127, 0, 0, 1], 8080)));
    let first = first_after(&adapter).await;
    assert!(first.contains("127.0.0.1:8080"), "{first}");

    // What a fetch has learned counts as well.
    let origin = FakeOrigin::start(vec![vec![Act::Answer(HELLO)]]).await;
    let target = Target::parse(&format!("http://origin.test:{}/", origin.address.port())).unwrap();
    fetch(&adapter, get(origin.address)).await.unwrap();
    let peers = adapter.peers(&target).await.unwrap();
    let first = peers.front().unwrap().to_string();
    assert!(first.contains("127.0.0.1"), "{first}");
}

#[tokio::test]
async fn the_pass_path_never_gets_a_refused_address() {
    let names = TableResolver::default().with("origin.test", &["127.0.0.1"], 60);
    let strict = HttpOrigin::new(settings(), Arc::new(names), Arc::default()).unwrap();
    let target = Target::parse("http://origin.test:8080/").unwrap();
    let (status, _) = strict.peers(&target).await.unwrap_err();
    assert_eq!(status, 403);
}
