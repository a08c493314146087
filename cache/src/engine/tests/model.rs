//! Random interleavings of clients, origin behaviors and crashes, held against a simple model.
//!
//! The model knows every version a URL ever had and when it was replaced. Whatever the engine does, a whole response
//! must be one of those versions, not staler than its max-age allows; a cut one must be the beginning of one; an
//! error needs an origin that failed; and what was once seen in the store survives a killed process.

use super::origin::{Script, ScriptedOrigin};
use super::world::{Got, World, content, engine_settings, read, stored};
use crate::clock::ManualClock;
use crate::device::memory::{MemoryDevice, Survival};
use crate::engine::Answer;
use crate::ports::Clock;
use http::StatusCode;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const MAX_AGE_SECONDS: u64 = 60;
const URLS: [&str; 3] = [
    "http://a.test/one-1",
    "http://a.test/two-2",
    "http://b.test/one-1",
];
const STEPS: usize = 400;

#[derive(Default)]
struct Truth {
    versions: Vec<Version>,
    broke: bool,
    failed: bool,
}

struct Version {
    body: Vec<u8>,
    replaced: Option<Duration>,
}

struct Client {
    url: usize,
    started: Duration,
    got: Got,
    /// Stopped reading on its own.
    left: bool,
    /// Age and time of look-up, when it was served from the store.
    stored: Option<(u64, Duration)>,
}

struct Model {
    random: SmallRng,
    world: World,
    gate: Arc<Semaphore>,
    truth: [Truth; URLS.len()],
    clients: JoinSet<Client>,
    /// When the object that was last seen in the store for a URL stops being fresh.
    fresh_until: [Duration; URLS.len()],
}

impl Model {
    async fn new(seed: u64) -> Self {
        let clock = Arc::new(ManualClock::starting_at(
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        ));
        let origin = Arc::new(ScriptedOrigin::default());
        let world = World::on(
            Arc::new(MemoryDevice::new()),
            clock,
            origin,
            engine_settings(),
        )
        .await;
        let mut model = Self {
            random: SmallRng::seed_from_u64(seed),
            world,
            gate: Arc::new(Semaphore::new(0)),
            truth: Default::default(),
            clients: JoinSet::new(),
            fresh_until: Default::default(),
        };
        for url in 0..URLS.len() {
            model.publish(url);
        }
        model
    }

    async fn run(&mut self) {
        for _ in 0..STEPS {
            match self.random.random_range(0..100) {
                0..45 => self.start_client(),
                45..70 => self.gate.add_permits(self.random.random_range(1..8)),
                70..80 => self.change_origin(),
                80..88 => self.turn(),
                88..97 => {
                    self.settle().await;
                    self.world
                        .clock
                        .advance(Duration::from_secs(self.random.random_range(0..40)));
                }
                _ => self.kill().await,
            }
            for _ in 0..self.random.random_range(0..6) {
                tokio::task::yield_now().await;
            }
            while let Some(client) = self.clients.try_join_next() {
                self.check(client.expect("no client panics"));
            }
        }
        self.heal().await;
    }

    fn now(&self) -> Duration {
        self.world.clock.elapsed()
    }

    /// A new version at the origin, whole and reachable.
    fn publish(&mut self, url: usize) {
        let now = self.now();
        let length = [0, 1, 70_000, 300_000, 1_000_000][self.random.random_range(0..5)];
        let body = content(self.random.random(), length);
        if let Some(last) = self.truth[url].versions.last_mut() {
            last.replaced = Some(now);
        }
        self.truth[url].versions.push(Version {
            body,
            replaced: None,
        });
        self.turn_to(url, |script| script);
    }

    fn turn_to(&mut self, url: usize, change: impl FnOnce(Script) -> Script) {
        let body = self.truth[url]
            .versions
            .last()
            .expect("published")
            .body
            .clone();
        let mut script = Script::body(body);
        script.gate = Some(Arc::clone(&self.gate));
        script.chunked = self.random.random();
        self.world.script(URLS[url], change(script));
    }

    fn change_origin(&mut self) {
        let url = self.random.random_range(0..URLS.len());
        self.publish(url);
    }

    /// The origin turns well, broken or sick, with the version it has.
    fn turn(&mut self) {
        let url = self.random.random_range(0..URLS.len());
        let length = self.truth[url]
            .versions
            .last()
            .expect("published")
            .body
            .len();
        match self.random.random_range(0..4) {
            0 if length > 1 => {
                self.truth[url].broke = true;
                let breaks_at = Some(self.random.random_range(1..length));
                self.turn_to(url, |script| Script {
                    breaks_at,
                    ..script
                });
            }
            1 => {
                self.truth[url].failed = true;
                self.turn_to(url, |script| Script {
                    unreachable: true,
                    ..script
                });
            }
            2 => {
                self.truth[url].failed = true;
                let status = StatusCode::BAD_GATEWAY;
                self.turn_to(url, |script| Script {
                    status,
                    headers: Vec::new(),
                    ..script
                });
            }
            _ => self.turn_to(url, |script| script),
        }
    }

    fn start_client(&mut self) {
        let url = self.random.random_range(0..URLS.len());
        let leaves_after = self
            .random
            .random_bool(0.2)
            .then(|| self.random.random_range(0..400_000));
        let (engine, started) = (Arc::clone(&self.world.engine), self.now());
        let request = super::world::request(http::Method::GET, URLS[url], &[]);
        self.clients.spawn(async move {
            let answer = engine.fetch(&request).await;
            let mut client = Client {
                url,
                started,
                got: Got::NotCached,
                left: false,
                stored: None,
            };
            match (answer, leaves_after) {
                (Answer::Stored { object, age, .. }, _) => {
                    client.stored = Some((age, started));
                    client.got = Got::Whole(stored(&object).await);
                }
                (Answer::Growing { mut reader, .. }, Some(leaves_after)) => {
                    let mut body = Vec::new();
                    while let Ok(Some(piece)) = reader.next(50_000).await {
                        body.extend_from_slice(&piece);
                        if body.len() >= leaves_after {
                            break;
                        }
                    }
                    (client.left, client.got) = (true, Got::Cut(body));
                }
                (answer, _) => client.got = read(answer).await,
            }
            client
        });
    }

    fn check(&mut self, client: Client) {
        let truth = &self.truth[client.url];
        let oldest = client
            .started
            .saturating_sub(Duration::from_secs(MAX_AGE_SECONDS + 1));
        let current =
            |version: &&Version| version.replaced.is_none_or(|replaced| replaced >= oldest);
        let mut candidates = truth.versions.iter().filter(current);
        match &client.got {
            Got::Whole(body) => assert!(
                candidates.any(|v| v.body == *body),
                "not a current version: {} bytes",
                body.len()
            ),
            Got::Cut(body) => {
                assert!(client.left || truth.broke, "cut without a reason");
                assert!(
                    candidates.any(|v| v.body.starts_with(body)),
                    "not the beginning of a current version"
                );
            }
            Got::Failed(_) | Got::Status(502) => assert!(truth.failed, "failed without a reason"),
            other => panic!("unexpected answer {other:?}"),
        }
        if let Some((age, at)) = client.stored {
            let fresh_for = Duration::from_secs(MAX_AGE_SECONDS.saturating_sub(age));
            self.fresh_until[client.url] = self.fresh_until[client.url].max(at + fresh_for);
        }
    }

    /// Lets every client and fill come to its end.
    async fn settle(&mut self) {
        self.gate.add_permits(100_000);
        while let Some(client) = self.clients.join_next().await {
            self.check(client.expect("no client panics"));
        }
        self.world.engine.tasks().idle().await;
        self.gate.forget_permits(usize::MAX);
    }

    /// kill -9: whatever the system calls have done stays, everything else is gone.
    async fn kill(&mut self) {
        self.clients.abort_all();
        while self.clients.join_next().await.is_some() {}
        let device = Arc::new(self.world.device.surviving(Survival::Kill));
        // What the dead process would still do happens on the disk that nobody looks at any more.
        self.world.engine.close(Duration::ZERO).await;
        self.world.engine.tasks().idle().await;
        let (clock, origin) = (
            Arc::clone(&self.world.clock),
            Arc::clone(&self.world.origin),
        );
        self.world = World::on(device, clock, origin, engine_settings()).await;
        for (url, name) in URLS.iter().enumerate() {
            if self.now() + Duration::from_secs(1) < self.fresh_until[url] {
                let asked = self.world.origin.asked(name).gets;
                let started = self.now();
                let (got, _) = self.world.get(name).await;
                assert_eq!(
                    self.world.origin.asked(URLS[url]).gets,
                    asked,
                    "a committed object was lost"
                );
                self.check(Client {
                    url,
                    started,
                    got,
                    left: false,
                    stored: None,
                });
            }
        }
        let left: Vec<_> = self
            .world
            .device
            .paths()
            .into_iter()
            .filter(|path| path.starts_with("tmp/"))
            .collect();
        assert!(left.is_empty(), "left behind in tmp: {left:?}");
    }

    /// With a well origin everything is right again.
    async fn heal(&mut self) {
        self.settle().await;
        self.gate.add_permits(100_000);
        self.world
            .clock
            .advance(Duration::from_secs(2 * MAX_AGE_SECONDS));
        for (url, name) in URLS.iter().enumerate() {
            self.turn_to(url, |script| script);
            let expected = self.truth[url]
                .versions
                .last()
                .expect("published")
                .body
                .clone();
            assert!(self.world.get(name).await.0 == Got::Whole(expected));
            assert!(
                self.world.origin.asked(name).running_max <= 1,
                "two fetches of one object at once"
            );
        }
    }
}

/// Seeds of every run; `WEIR_LONG` takes more, from anywhere.
const ROUNDS: u64 = 30;
const ROUNDS_LONG: u64 = 300;

#[test]
fn random_interleavings_agree_with_the_model() {
    let named = std::env::var("WEIR_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let is_long = std::env::var_os("WEIR_LONG").is_some();
    let (first, rounds): (u64, u64) = match (named, is_long) {
        (Some(seed), _) => (seed, 1),
        (None, false) => (1, ROUNDS),
        (None, true) => (SmallRng::from_os_rng().random::<u32>().into(), ROUNDS_LONG),
    };
    for seed in first..first + rounds {
        println!("seed {seed} (WEIR_SEED={seed} repeats it)");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async { Model::new(seed).await.run().await });
    }
}
