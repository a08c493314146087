//! kill -9 at any moment: what was committed is still a hit, everything served is byte-identical, and
//! nothing half-written is left.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use rand::Rng;
use rand::rngs::SmallRng;
use tokio::sync::watch;

use crate::stage::FRESH;
use weir_tests::client::{RawClient, forward};
use weir_tests::deadline::within;
use weir_tests::seed::{is_long, seeded};
use weir_tests::{Content, Gateway, Origin, Script};

const OBJECTS: usize = 48;
const CLIENTS: usize = 6;
const KILLS: usize = 10;
const KILLS_LONG: usize = 50;

/// Objects of all sizes, each with its own bytes.
struct Shelf {
    origin: Origin,
    contents: Vec<Content>,
}

impl Shelf {
    async fn new(random: &mut SmallRng) -> Self {
        let origin = Origin::start().await;
        let contents: Vec<Content> = (0_u64..)
            .take(OBJECTS)
            .map(|index| {
                // From empty to beyond several blocks, with small ones as frequent as large ones.
                let magnitude = random.random_range(0..=20);
                Content::new(index, random.random_range(0..=1_usize << magnitude))
            })
            .collect();
        for (index, content) in contents.iter().enumerate() {
            origin.on(&path(index), Script::ok(FRESH, &content.bytes()));
        }
        Self { origin, contents }
    }

    /// Asks for an object; whether it came whole from the store.
    async fn fetch(&self, gateway: std::net::SocketAddr, index: usize, fields: &str) -> Fetched {
        let Some(mut client) = RawClient::try_connect(gateway).await else {
            return Fetched::Nothing;
        };
        client
            .send(forward("GET", &self.origin.url(&path(index)), fields))
            .await;
        let Ok(head) = client.try_head().await else {
            return Fetched::Nothing;
        };
        if head.status != 200 {
            return Fetched::Nothing;
        }
        let content = &self.contents[index];
        let (mut received, mut wrong) = (0, false);
        let sink = |bytes: &[u8]| {
            wrong |= !content.holds_at(received, bytes);
            received += bytes.len();
        };
        let ending = client.body(&head, "GET", sink).await;
        assert!(!wrong, "object {index}: other bytes than the origin's");
        if !ending.is_clean() {
            return Fetched::Nothing;
        }
        assert_eq!(
            received,
            content.length(),
            "object {index}: passed off as complete"
        );
        match head.field("x-cache") {
            Some("HIT") => Fetched::Hit,
            _ => Fetched::Whole,
        }
    }
}

/// What a request yielded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetched {
    /// No answer, a refusal, or a body that ended early.
    Nothing,
    /// The whole object from upstream.
    Whole,
    /// The whole object from the store.
    Hit,
}

fn path(index: usize) -> String {
    format!("/object/{index}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_every_hit_is_identical_and_committed_objects_are_hits() {
    let (mut random, seed) = seeded("crash");
    let shelf = Arc::new(Shelf::new(&mut random).await);
    let home = Gateway::builder().home();
    let mut committed = BTreeSet::new();
    let kills = if is_long() { KILLS_LONG } else { KILLS };
    for kill in 0..kills {
        let gateway = home.start().await;
        let left = gateway.temporary_files();
        assert!(left.is_empty(), "seed {seed}, kill {kill}: {left:?}");
        check_store(
            &shelf,
            &gateway,
            &committed,
            &format!("seed {seed}, kill {kill}"),
        )
        .await;
        committed.extend(load_and_kill(&shelf, gateway, &mut random).await);
    }
    let gateway = home.start().await;
    check_store(
        &shelf,
        &gateway,
        &committed,
        &format!("seed {seed}, at the end"),
    )
    .await;
    assert!(
        !committed.is_empty(),
        "seed {seed}: nothing was ever committed"
    );
    gateway.finish_with_warnings().await;
}

/// What is stored is identical (checked by `fetch`), what was committed is stored.
async fn check_store(shelf: &Shelf, gateway: &Gateway, committed: &BTreeSet<usize>, when: &str) {
    let before = shelf.origin.requests();
    for index in 0..OBJECTS {
        let only = "Cache-Control: only-if-cached\r\n";
        let fetched = shelf.fetch(gateway.proxy(), index, only).await;
        if committed.contains(&index) {
            assert_eq!(
                fetched,
                Fetched::Hit,
                "{when}: committed object {index} is lost"
            );
        }
    }
    assert_eq!(
        shelf.origin.requests(),
        before,
        "{when}: only-if-cached asked the origin"
    );
}

/// Lets clients ask at random and kills the gateway in the middle of it; returns the objects that
/// were seen to be committed, because they came from the store.
async fn load_and_kill(
    shelf: &Arc<Shelf>,
    gateway: Gateway,
    random: &mut SmallRng,
) -> BTreeSet<usize> {
    let answers = Arc::new(watch::Sender::new(0_usize));
    let address = gateway.proxy();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let order: Vec<usize> = (0..400).map(|_| random.random_range(0..OBJECTS)).collect();
            let (shelf, answers) = (Arc::clone(shelf), Arc::clone(&answers));
            tokio::spawn(async move {
                let mut hits = BTreeSet::new();
                for index in order {
                    match shelf.fetch(address, index, "").await {
                        // The gateway has gone, or breaks off: the next attempt will tell.
                        Fetched::Nothing => break,
                        Fetched::Whole => {}
                        Fetched::Hit => {
                            hits.insert(index);
                        }
                    }
                    answers.send_modify(|count| *count += 1);
                }
                hits
            })
        })
        .collect();
    let until = random.random_range(1..OBJECTS * 2);
    let mut count = answers.subscribe();
    within("some answers", count.wait_for(|count| *count >= until))
        .await
        .expect("clients run");
    gateway.kill().await;
    let hits = join_all(clients).await.into_iter();
    hits.flat_map(|client| client.expect("no client saw a wrong byte"))
        .collect()
}

#[tokio::test]
async fn a_second_gateway_on_the_same_data_gives_up_and_names_the_first() {
    let gateway = Gateway::start().await;
    let run = gateway.home().start_in_vain().await;
    run.assert_code(1);
    let pid = gateway.pid().to_string();
    assert!(
        run.stderr.contains(&pid),
        "{pid} is not named: {}",
        run.stderr
    );
    // The first is not disturbed.
    gateway.ready().await;
    gateway.finish().await;
}

#[tokio::test]
async fn data_of_a_killed_gateway_can_be_used_at_once() {
    let gateway = Gateway::start().await;
    let home = gateway.kill().await;
    let again = home.start().await;
    again.ready().await;
    again.finish_with_warnings().await;
}
