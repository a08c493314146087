//! Upstreams that speak HTTP/2: what must work, and what they do wrong (RFC 9113 §5–§8).

use crate::stage::FRESH;
use weir_tests::certificate::Authority;
use weir_tests::client::RawClient;
use weir_tests::gateway::Builder;
use weir_tests::http2::{Http2Origin, Http2Settings, frames};
use weir_tests::{Gate, Gateway, Origin, Response, Script, StreamScript};

/// Fresh for a while, as HTTP/2 says it.
const LONG: (&str, &str) = ("cache-control", "max-age=600");
/// Codes of RFC 9113 §7.
const INTERNAL_ERROR: u32 = 0x2;
const REFUSED_STREAM: u32 = 0x7;
const HTTP_1_1_REQUIRED: u32 = 0xd;

/// A gateway in front of an encrypted origin that it trusts.
struct Pair {
    gateway: Gateway,
    origin: Http2Origin,
}

impl Pair {
    async fn new() -> Self {
        Self::with(Gateway::builder(), Http2Settings::default()).await
    }

    async fn with(builder: Builder, settings: Http2Settings) -> Self {
        let authority = Authority::new();
        let origin = Http2Origin::start_with(&authority, settings).await;
        let gateway = builder.trusting(&authority).start().await;
        Self { gateway, origin }
    }

    /// One whose origin answers by these frames.
    async fn framed(frames: Vec<u8>) -> Self {
        let frames = Some(frames.into());
        let settings = Http2Settings {
            frames,
            ..Http2Settings::default()
        };
        Self::with(Gateway::builder(), settings).await
    }

    async fn get(&self, path: &str) -> Response {
        self.gateway.get_path(&self.origin.download(path)).await
    }

    /// Begins a GET; the response is for the test to read.
    async fn begin(&self, path: &str, fields: &str) -> RawClient {
        let mut client = self.gateway.connect().await;
        let path = self.origin.download(path);
        client
            .send(format!(
                "GET {path} HTTP/1.1\r\nHost: gateway\r\n{fields}\r\n"
            ))
            .await;
        client
    }

    /// Checks that a response by this script fails for the client, is not stored, and that the next request heals.
    async fn fails_and_heals(broken: StreamScript) {
        let pair = Self::new().await;
        let whole = StreamScript::ok(&[LONG], b"whole");
        pair.origin.on_each("/x", [broken, whole]);
        let response = pair.get("/x").await;
        let failed = response.status() == 502 || !response.ending.is_clean();
        assert!(failed, "passed off as complete: {response:?}");
        pair.gateway.settled().await;
        pair.get("/x").await.assert_is(200, b"whole");
        assert_eq!(pair.origin.record().requests.len(), 2, "it was stored");
        pair.gateway.finish_with_warnings().await;
    }

    /// Checks that a request is answered 502 with these words in the explanation.
    async fn refuses(self, words: &str) {
        let response = self.get("/x").await;
        assert_eq!(response.status(), 502, "{}", response.text());
        assert!(response.text().contains(words), "{}", response.text());
        self.gateway.finish_with_warnings().await;
    }
}

#[tokio::test]
async fn requests_share_one_connection_and_arrive_as_they_should() {
    let pair = Pair::new().await;
    pair.origin.on("/a", StreamScript::ok(&[LONG], b"first"));
    pair.origin.on("/b", StreamScript::ok(&[LONG], b"second"));
    pair.get("/a?q=1").await.assert_is(200, b"first");
    pair.get("/b").await.assert_is(200, b"second");
    pair.gateway.settled().await;
    pair.get("/b").await.assert_is(200, b"second");
    let record = pair.origin.record();
    assert_eq!((record.connections, record.requests.len()), (1, 2));
    let seen = &record.requests[0];
    assert_eq!(
        (seen.method.as_str(), seen.url.as_str()),
        ("GET", pair.origin.url("/a?q=1").as_str())
    );
    assert_eq!(seen.values("via"), ["1.1 weir-test"]);
    assert_eq!(seen.values("cdn-loop"), ["weir-test"]);
    for name in ["host", "connection", "te", "upgrade"] {
        assert!(seen.values(name).is_empty(), "{name}: {seen:?}");
    }
    pair.gateway.finish().await;
}

#[tokio::test]
async fn a_body_larger_than_every_window_arrives_whole_and_is_stored() {
    let pair = Pair::new().await;
    let body: Vec<u8> = (0..20_u32 << 18).flat_map(u32::to_be_bytes).collect();
    pair.origin.on("/big", StreamScript::ok(&[LONG], &body));
    pair.get("/big").await.assert_is(200, &body);
    pair.gateway.settled().await;
    let response = pair.get("/big").await;
    response.assert_is(200, &body);
    assert!(response.is_hit());
    pair.gateway.finish().await;
}

#[tokio::test]
async fn a_body_without_a_length_has_an_explicit_end_and_is_stored() {
    let pair = Pair::new().await;
    let script = StreamScript::head(200, &[LONG]).data("some").data("thing");
    pair.origin.on("/x", script);
    pair.get("/x").await.assert_is(200, b"something");
    pair.gateway.settled().await;
    assert!(pair.get("/x").await.is_hit());
    pair.gateway.finish().await;
}

#[tokio::test]
async fn what_speaks_only_http_1_1_is_spoken_to_in_http_1_1() {
    let authority = Authority::new();
    let gateway = Gateway::builder().trusting(&authority).start().await;
    let tls = weir_tests::http2::offering(&authority, &["http/1.1"]);
    let origin = Origin::start_tls(tls).await;
    origin.on("/x", Script::ok(FRESH, b"old"));
    let path = format!("/download/{}", origin.url("/x"));
    gateway.get_path(&path).await.assert_is(200, b"old");
    gateway.finish().await;
}

#[tokio::test]
async fn http_2_can_be_switched_off() {
    let builder = Gateway::builder().set("upstream.http2", false);
    let pair = Pair::with(builder, Http2Settings::default()).await;
    pair.get("/x").await.assert_is(200, b"http/1.1");
    assert_eq!(pair.origin.record().connections, 0);
    pair.gateway.finish().await;
}

#[tokio::test]
async fn an_upstream_that_requires_http_1_1_gets_it() {
    let pair = Pair::new().await;
    pair.origin
        .on("/x", StreamScript::new().reset(HTTP_1_1_REQUIRED));
    pair.get("/x").await.assert_is(200, b"http/1.1");
    pair.gateway.finish().await;
}

#[tokio::test]
async fn many_at_once_share_connections_up_to_what_the_upstream_takes() {
    // A new connection takes a second stream only once its upstream has said that it may: then there are some more.
    for (streams_max, connections) in [(None, 1..=1), (Some(2), 3..=6)] {
        let settings = Http2Settings {
            streams_max,
            frames: None,
        };
        let pair = Pair::with(Gateway::builder(), settings).await;
        pair.origin.on("/warm", StreamScript::ok(&[], b""));
        pair.get("/warm").await;
        let gate = Gate::new();
        let mut clients = Vec::new();
        for number in 0..6 {
            let path = format!("/{number}");
            pair.origin
                .on(&path, StreamScript::ok(&[LONG], b"shared").wait(&gate));
            clients.push(pair.begin(&path, "").await);
            let sent = number + 2;
            pair.origin
                .wait_for("one more request", |record| record.requests.len() == sent)
                .await;
        }
        gate.open();
        for mut client in clients {
            client.response("GET").await.assert_is(200, b"shared");
        }
        let opened = pair.origin.record().connections;
        assert!(connections.contains(&opened), "{streams_max:?}: {opened}");
        pair.gateway.finish().await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nobody_else_up() {
    let pair = Pair::new().await;
    let body = vec![b'x'; 40 << 20];
    pair.origin.on("/private", StreamScript::ok(&[], &body));
    pair.origin.on("/other", StreamScript::ok(&[LONG], &body));
    let mut slow = pair.begin("/private", "Authorization: Basic x\r\n").await;
    let head = slow.head().await;
    assert_eq!(head.status, 200);
    pair.get("/other").await.assert_is(200, &body);
    let mut received = 0;
    let ending = slow
        .body(&head, "GET", |bytes| received += bytes.len())
        .await;
    assert!(
        ending.is_clean() && received == body.len(),
        "{ending:?} {received}"
    );
    assert_eq!(pair.origin.record().connections, 1);
    pair.gateway.finish().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let builder = Gateway::builder().set("upstream.keepalive", "500ms");
    let pair = Pair::with(builder, Http2Settings::default()).await;
    pair.origin.on("/x", StreamScript::ok(&[], b"x"));
    pair.get("/x").await.assert_is(200, b"x");
    pair.origin
        .wait_for("the end of the connection", |record| record.closed == 1)
        .await;
    pair.get("/x").await.assert_is(200, b"x");
    assert_eq!(pair.origin.record().connections, 2);
    pair.gateway.finish().await;
}

#[tokio::test]
async fn a_connection_that_says_goodbye_ends_its_streams_and_takes_no_more() {
    let pair = Pair::new().await;
    let gate = Gate::new();
    let script = StreamScript::head(200, &[("content-length", "8"), LONG]);
    pair.origin.on(
        "/long",
        script.data("half").go_away().wait(&gate).data("full"),
    );
    pair.origin.on("/next", StreamScript::ok(&[LONG], b"next"));
    let mut long = pair.begin("/long", "").await;
    let head = long.head().await;
    // GOAWAY is on its way behind the first half; a request that is quicker is sent again.
    pair.get("/next").await.assert_is(200, b"next");
    gate.open();
    let mut body = Vec::new();
    let ending = long
        .body(&head, "GET", |bytes| body.extend_from_slice(bytes))
        .await;
    assert!(ending.is_clean());
    assert_eq!(body, b"halffull");
    pair.get("/next?2").await.assert_is(200, b"next");
    let last = pair
        .origin
        .record()
        .requests
        .last()
        .map(|seen| seen.connection);
    assert_eq!(last, Some(1));
    pair.gateway.finish().await;
}

#[tokio::test]
async fn row_117_streams_that_end_early_or_late_abort() {
    let head = || StreamScript::head(200, &[("content-length", "9"), LONG]);
    let open = || StreamScript::head(200, &[LONG]);
    for broken in [
        head().data("only"),
        head().data("much more than nine"),
        head().data("only").reset(INTERNAL_ERROR),
        head().data("only").reset(0),
        open().data("only").reset(INTERNAL_ERROR),
        head(),
    ] {
        Pair::fails_and_heals(broken).await;
    }
}

#[tokio::test]
async fn row_131_a_connection_that_is_cut_aborts_its_streams() {
    for fields in [&[("content-length", "9"), LONG][..], &[LONG]] {
        let pair = Pair::new().await;
        let gate = Gate::new();
        let broken = StreamScript::head(200, fields).data("only");
        let whole = StreamScript::ok(&[LONG], b"whole");
        pair.origin
            .on_each("/x", [broken.wait(&gate).cut().wait(&Gate::new()), whole]);
        let mut client = pair.begin("/x", "").await;
        let head = client.head().await;
        gate.open();
        let ending = client.body(&head, "GET", |_| ()).await;
        assert!(!ending.is_clean(), "{ending:?}");
        pair.gateway.settled().await;
        pair.get("/x").await.assert_is(200, b"whole");
        pair.gateway.finish_with_warnings().await;
    }
}

#[tokio::test]
async fn row_128_no_content_has_neither_body_nor_length() {
    let pair = Pair::new().await;
    let script = StreamScript::head(204, &[("content-length", "4")]).data("junk");
    pair.origin.on("/204", script);
    let response = pair.get("/204").await;
    assert_eq!(response.status(), 204);
    assert_eq!(response.field("content-length"), None);
    pair.origin.on("/y", StreamScript::ok(&[], b"own"));
    pair.get("/y").await.assert_is(200, b"own");
    pair.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_head_request_has_a_length_and_no_body() {
    let pair = Pair::new().await;
    let script = StreamScript::head(200, &[("content-length", "9")]);
    pair.origin.on("/x", script);
    let path = pair.origin.download("/x");
    let request = format!("HEAD {path} HTTP/1.1\r\nHost: gateway\r\n\r\n");
    let response = pair.gateway.connect().await.exchange(&request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.field("content-length"), Some("9"));
    assert_eq!(pair.origin.record().requests[0].method, "HEAD");
    pair.gateway.finish().await;
}

#[tokio::test]
async fn row_130_what_the_upstream_did_not_look_at_is_sent_once_more() {
    let pair = Pair::new().await;
    let refused = StreamScript::new().reset(REFUSED_STREAM);
    let whole = StreamScript::ok(&[LONG], b"second try");
    pair.origin.on_each("/x", [refused.clone(), whole]);
    pair.get("/x").await.assert_is(200, b"second try");
    let connections = pair
        .origin
        .record()
        .requests
        .iter()
        .map(|seen| seen.connection)
        .collect::<Vec<_>>();
    assert_eq!(connections, [0, 1], "on another connection");
    pair.gateway.finish().await;

    let pair = Pair::new().await;
    pair.origin.on("/x", refused);
    assert_eq!(pair.get("/x").await.status(), 502);
    assert_eq!(pair.origin.record().requests.len(), 2, "one retry");
    pair.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_130_a_connection_that_is_cut_before_the_head_is_tried_once_more() {
    let pair = Pair::new().await;
    let gate = Gate::new();
    let whole = StreamScript::ok(&[LONG], b"second try");
    pair.origin
        .on_each("/x", [StreamScript::new().cut().wait(&gate), whole]);
    pair.get("/x").await.assert_is(200, b"second try");
    pair.gateway.finish().await;
}

#[tokio::test]
async fn a_request_that_was_looked_at_is_not_sent_again() {
    let pair = Pair::new().await;
    pair.origin
        .on("/x", StreamScript::new().reset(INTERNAL_ERROR));
    assert_eq!(pair.get("/x").await.status(), 502);
    assert_eq!(pair.origin.record().requests.len(), 1);
    pair.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_133_a_silent_stream_is_given_up_and_its_connection_avoided() {
    let builder = Gateway::builder()
        .set("upstream.first_byte_timeout", "500ms")
        .set("upstream.stall_timeout", "500ms");
    let pair = Pair::with(builder, Http2Settings::default()).await;
    let never = Gate::new();
    pair.origin.on("/silent", StreamScript::new().wait(&never));
    let half = StreamScript::head(200, &[("content-length", "9"), LONG]).data("half");
    pair.origin.on("/stall", half.wait(&never));
    pair.origin.on("/x", StreamScript::ok(&[LONG], b"x"));
    assert_eq!(pair.get("/silent").await.status(), 504);
    assert!(!pair.get("/stall").await.ending.is_clean());
    pair.get("/x").await.assert_is(200, b"x");
    assert_eq!(pair.origin.record().connections, 3);
    pair.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_114_interim_responses_are_passed_over_up_to_ten() {
    let pair = Pair::new().await;
    let hints = |count| StreamScript::new().interim(count, 103, &[("link", "</a>")]);
    let head = [("content-length", "1")];
    pair.origin
        .on("/few", hints(10).then_head(200, &head).data("x"));
    pair.get("/few").await.assert_is(200, b"x");
    pair.origin
        .on("/x", hints(11).then_head(200, &head).data("x"));
    pair.refuses("more than 10 interim responses").await;
}

#[tokio::test]
async fn row_127_heads_that_are_too_large_are_refused() {
    let pair = Pair::new().await;
    let value = "x".repeat(100_000);
    pair.origin
        .on("/x", StreamScript::ok(&[("x-large", &value)], b""));
    pair.refuses("too large").await;
    let pair = Pair::new().await;
    let names: Vec<String> = (0..300).map(|number| format!("x-{number}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    pair.origin.on("/x", StreamScript::ok(&fields, b""));
    pair.refuses("more than 256 response fields").await;
}

#[tokio::test]
async fn row_127_a_head_that_never_ends_is_refused() {
    let mut endless = frames::headers(0, &frames::field(":status", "200"));
    for _ in 0..2000 {
        endless.extend_from_slice(&frames::continuation(0, &frames::field("x-a", "1")));
    }
    Pair::framed(endless).await.refuses("").await;
}

#[tokio::test]
async fn row_127_a_small_block_that_unpacks_to_a_large_head_is_refused() {
    // One entry of 4000 bytes in the table (RFC 7541 §6.2.1), then a thousand references to it (§6.1).
    let mut block = frames::field(":status", "200");
    let mut entry = frames::field("x-bomb", &"x".repeat(4000));
    entry[0] = 0x40;
    block.extend_from_slice(&entry);
    block.extend_from_slice(&[0xbe; 1000]);
    Pair::framed(frames::headers(frames::END_HEADERS, &block))
        .await
        .refuses("")
        .await;
}

#[tokio::test]
async fn heads_that_http_2_forbids_are_refused() {
    let forbidden: [&[(&str, &str)]; 8] = [
        &[("x-no", "status")],
        &[(":status", "200"), ("connection", "close")],
        &[(":status", "200"), ("transfer-encoding", "chunked")],
        &[(":status", "200"), ("upgrade", "x")],
        &[(":status", "200"), ("X-Upper", "case")],
        &[("x-first", "1"), (":status", "200")],
        &[(":status", "99")],
        &[(":status", "200"), ("x-a", "b\0c")],
    ];
    for fields in forbidden {
        let block: Vec<u8> = fields
            .iter()
            .flat_map(|(name, value)| frames::field(name, value))
            .collect();
        let mut wire = frames::headers(frames::END_HEADERS, &block);
        wire.extend_from_slice(&frames::data(frames::END_STREAM, b"body"));
        Pair::framed(wire).await.refuses("").await;
    }
}

#[tokio::test]
async fn row_120_lengths_that_differ_are_a_failure() {
    let block: Vec<u8> = [
        (":status", "200"),
        ("content-length", "4"),
        ("content-length", "5"),
    ]
    .iter()
    .flat_map(|(name, value)| frames::field(name, value))
    .collect();
    Pair::framed(frames::headers(frames::END_HEADERS, &block))
        .await
        .refuses("")
        .await;
}

#[tokio::test]
async fn row_129_a_switch_of_protocols_on_a_stream_is_a_failure() {
    let mut wire = frames::headers(frames::END_HEADERS, &frames::field(":status", "101"));
    wire.extend_from_slice(&frames::headers(
        frames::END_HEADERS,
        &frames::field(":status", "200"),
    ));
    wire.extend_from_slice(&frames::data(frames::END_STREAM, b"raw"));
    Pair::framed(wire).await.refuses("101").await;
}
