//! Row 131: an origin that dies again and again, and clients that notice nothing.

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use rand::Rng;
use rand::rngs::SmallRng;
use sha2::{Digest, Sha256};

use super::{continued_at, cut_at, head_of, rest_of};
use crate::stage::{FRESH, Stage};
use weir_tests::client::{RawClient, forward};
use weir_tests::content::piece;
use weir_tests::deadline::within;
use weir_tests::origin::Seen;
use weir_tests::response::Framing;
use weir_tests::seed::seeded;
use weir_tests::{Content, Script};

/// Name of the object: nothing about it says that it is immutable.
const PATH: &str = "/image.bin";
const LENGTH: usize = 200 * 1024 * 1024;
const DEATHS: usize = 200;
const TAGGED: &str = "Cache-Control: max-age=600\r\nETag: \"strong\"\r\n";

/// An origin that never lives longer than to its next death.
struct Mortal {
    seed: u64,
    /// Where it dies, in order, and whether by RST.
    deaths: Mutex<Vec<(usize, bool)>>,
}

impl Mortal {
    fn new(random: &mut SmallRng, seed: u64) -> Self {
        let mut points = std::collections::BTreeSet::new();
        while points.len() < DEATHS {
            points.insert(random.random_range(1..LENGTH));
        }
        let deaths = points.into_iter().map(|at| (at, random.random()));
        Self {
            seed,
            deaths: Mutex::new(deaths.collect()),
        }
    }

    /// Everything from where the request continues to the next death behind that, which is used up.
    fn answer(&self, seen: &Seen) -> Script {
        let start = continued_at(seen).unwrap_or_default();
        let mut deaths = self.deaths.lock().expect("no panic");
        let next = deaths.iter().position(|(at, _)| *at > start);
        let script = Script::of(head_of(seen, LENGTH, TAGGED));
        match next.map(|index| deaths.remove(index)) {
            Some((at, true)) => script.then(piece(self.seed, start, at)).reset(),
            Some((at, false)) => script.then(piece(self.seed, start, at)).close(),
            None => script.then(piece(self.seed, start, LENGTH)),
        }
    }

    fn left(&self) -> usize {
        self.deaths.lock().expect("no panic").len()
    }
}

/// Asks and reads to the end; the digest of a body that came whole.
async fn digest(mut client: RawClient, url: &str) -> String {
    client.send(forward("GET", url, "")).await;
    let head = client.head().await;
    assert_eq!(head.status, 200, "{head:?}");
    assert_eq!(head.framing("GET"), Ok(Framing::Length(LENGTH)));
    let mut digest = Sha256::new();
    let ending = client
        .body(&head, "GET", |bytes| digest.update(bytes))
        .await;
    assert!(ending.is_clean(), "noticed a death: {ending:?}");
    hexadecimal(digest)
}

fn hexadecimal(digest: Sha256) -> String {
    let bytes = digest.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What everybody must get.
fn expected(seed: u64) -> String {
    let mut digest = Sha256::new();
    let step = 1024 * 1024;
    for start in (0..LENGTH).step_by(step) {
        digest.update(piece(seed, start, (start + step).min(LENGTH)));
    }
    hexadecimal(digest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_131_two_hundred_deaths_of_an_origin_are_noticed_by_no_client() {
    let (mut random, seed) = seeded("two hundred deaths");
    let stage = Stage::new().await;
    let mortal = Arc::new(Mortal::new(&mut random, seed));
    let answering = Arc::clone(&mortal);
    stage
        .origin
        .on_request(PATH, move |seen| answering.answer(seen));
    let url = stage.origin.url(PATH);
    let mut clients = Vec::new();
    for _ in 0..3 {
        let (client, url) = (stage.gateway.connect().await, url.clone());
        clients.push(tokio::spawn(async move { digest(client, &url).await }));
    }
    stage
        .origin
        .wait_for("half of the deaths", |record| {
            record.requests.len() > DEATHS / 2
        })
        .await;
    let late = digest(stage.gateway.connect().await, &url).await;
    let whole = expected(seed);
    assert_eq!(late, whole, "seed {seed}: the late client");
    for client in join_all(clients).await {
        assert_eq!(client.expect("no client fails"), whole, "seed {seed}");
    }
    assert_eq!(mortal.left(), 0, "seed {seed}: deaths that did not happen");
    check_traces(&stage, seed).await;
    stage.gateway.finish_with_warnings().await;
}

/// Every death led to one conditional range request, and all of it to one object.
async fn check_traces(stage: &Stage, seed: u64) {
    stage.gateway.settled().await;
    let record = stage.origin.record();
    let (first, resumed) = record.requests.split_first().expect("requests");
    assert!(first.values("range").is_empty());
    assert!(resumed.len() >= DEATHS, "seed {seed}: {}", resumed.len());
    let mut reached = 0;
    for seen in resumed {
        let at = continued_at(seen).expect("a range to the end");
        assert_eq!(seen.values("if-range"), ["\"strong\""], "seed {seed}");
        assert!(at >= reached, "seed {seed}: from {reached} back to {at}");
        reached = at;
    }
    let metric = |name| stage.gateway.metric(name);
    let resumptions = metric("weir_fill_resumed_total").await;
    let deaths = u32::try_from(resumed.len()).expect("a number");
    assert_eq!(resumptions, f64::from(deaths), "seed {seed}");
    assert_eq!(metric("weir_store_objects").await, 1.0, "seed {seed}");
    assert!(stage.gateway.temporary_files().is_empty());
    let last = format!("Range: bytes={}-\r\n", LENGTH - 10);
    let hit = stage.get_with(PATH, &last).await;
    hit.assert_is(206, &piece(seed, LENGTH - 10, LENGTH));
    assert!(hit.is_hit());
    assert_eq!(stage.origin.requests(), record.requests.len());
}

#[tokio::test]
async fn row_131_two_readers_of_a_broken_body_see_all_of_it() {
    for validator in [
        "ETag: \"strong\"\r\n",
        "Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT\r\n",
    ] {
        let stage = Stage::new().await;
        let content = Content::new(131, 700_000);
        let fields = format!("{FRESH}{validator}");
        let (own, own_fields) = (content.clone(), fields.clone());
        stage.origin.on_request("/x", move |seen| {
            if continued_at(seen).is_none() {
                cut_at(&own, &own_fields, 300_000)
            } else {
                rest_of(seen, &own, &own_fields)
            }
        });
        let (one, other) = futures::join!(stage.get("/x"), stage.get("/x"));
        one.assert_is(200, &content.bytes());
        other.assert_is(200, &content.bytes());
        assert_eq!(stage.origin.requests(), 2);
        stage.assert_hit("/x", &content.bytes()).await;
        stage.gateway.finish_with_warnings().await;
    }
}

#[tokio::test]
async fn row_131_what_has_no_strong_validator_is_cut_off() {
    for validator in ["", "ETag: W/\"weak\"\r\n"] {
        let stage = Stage::new().await;
        let content = Content::new(132, 300_000);
        let fields = format!("{FRESH}{validator}");
        stage.origin.on_each(
            "/x",
            [
                cut_at(&content, &fields, 100_000),
                Script::ok(&fields, &content.bytes()),
            ],
        );
        let cut = within("an end", stage.get("/x")).await;
        assert!(!cut.ending.is_clean(), "{validator:?}");
        assert!(content.holds_at(0, &cut.body));
        stage.gateway.settled().await;
        let whole = stage.assert_fetched("/x").await;
        whole.assert_is(200, &content.bytes());
        assert!(stage.origin.record().requests[1].values("range").is_empty());
        stage.gateway.finish_with_warnings().await;
    }
}
