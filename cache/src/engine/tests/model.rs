//! Random interleavings of clients, origin behaviors, unsafe requests and crashes, held against a simple model.
//!
//! ```text
//! origin.rs  an origin with versions, validators, breaks and lies; writes down what it says
//! book.rs    what is true: every version, and everything that was said, in order
//! client.rs  what clients ask for and what they get
//! purges.rs  what was purged, and what may still be used
//! steps.rs   what happens in one step
//! rest.rs    nothing runs: at rest, after a kill, at the end
//! check.rs   the judge
//! ```
//! Whatever the engine does: a response has the bytes of the version that its head names, and only those; a cut one is
//! the beginning of it; it is not staler than origin, client and rule allow; what an unsafe request has overtaken is
//! never used again without asking; what a purge has removed is never seen again, and what it has marked not without
//! asking; an error needs an origin that failed; behind an immutable URL the original is
//! served; what is stored is, head and bytes, what the origin once sent, also after a killed process.

mod book;
mod check;
mod client;
mod origin;
mod purges;
mod rest;
mod steps;

use super::world::{engine_settings, store_settings};
use crate::clock::ManualClock;
use crate::device::memory::MemoryDevice;
use crate::engine::{Engine, EngineSettings, OnAbandon};
use crate::ports::{Clock, Device, Origin};
use crate::seeds::seeds;
use crate::store::Store;
use book::{Book, LANGUAGES, Mode, Page};
use client::Client;
use origin::ModelOrigin;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// URL, whether it varies, and whether it is immutable by rule.
const PAGES: [(&str, bool, bool); 4] = [
    ("http://a.test/plain", false, false),
    ("http://a.test/varies", true, false),
    ("http://b.test/plain", false, false),
    ("http://c.test/immutable-1.0", false, true),
];
const STEPS: usize = 300;
/// Longer than anything may be served stale, or an origin left alone.
const LONG: Duration = Duration::from_secs(3600);

/// One engine over one disk.
struct Running {
    device: Arc<MemoryDevice>,
    engine: Arc<Engine>,
}

/// What was seen in the store and must survive a kill.
#[derive(Clone, Copy)]
struct Seen {
    version: usize,
    /// When nothing ran for the last time before: whatever was said since may have been stored later.
    idle: u64,
    fresh_until: Duration,
}

struct Model {
    random: SmallRng,
    world: Running,
    settings: EngineSettings,
    stops_unread: bool,
    clock: Arc<ManualClock>,
    start: Duration,
    origin: Arc<ModelOrigin>,
    book: Arc<Mutex<Book>>,
    clients: JoinSet<Client>,
    others: JoinSet<()>,
    seen: [[Option<Seen>; LANGUAGES]; PAGES.len()],
    /// The version behind an immutable URL that was seen in the store, and when.
    originals: [Option<(usize, u64)>; PAGES.len()],
}

impl Running {
    async fn on(
        device: Arc<MemoryDevice>,
        clock: &Arc<ManualClock>,
        origin: &Arc<ModelOrigin>,
        settings: &EngineSettings,
    ) -> Self {
        let disk: Arc<dyn Device> = Arc::clone(&device) as _;
        let time: Arc<dyn Clock> = Arc::clone(clock) as _;
        let store = Store::open(vec![disk], store_settings(), Arc::clone(&time)).await;
        let from: Arc<dyn Origin> = Arc::clone(origin) as _;
        let engine = Engine::new(store.expect("a store"), from, time, settings.clone());
        Self { device, engine }
    }
}

impl Model {
    async fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let start = Duration::from_secs(1_800_000_000);
        let clock = Arc::new(ManualClock::starting_at(SystemTime::UNIX_EPOCH + start));
        let book = Arc::new(Mutex::new(Book::default()));
        let origin = Arc::new(ModelOrigin {
            book: Arc::clone(&book),
            clock: Arc::clone(&clock),
            gate: Arc::new(Semaphore::new(0)),
        });
        let stops_unread = random.random_bool(0.2);
        let settings = EngineSettings {
            on_abandon: if stops_unread {
                OnAbandon::Stop
            } else {
                OnAbandon::Finish
            },
            // Pauses are real time.
            retries_max: 1,
            ..engine_settings()
        };
        let device = Arc::new(MemoryDevice::new());
        let world = Running::on(device, &clock, &origin, &settings).await;
        let mut model = Self {
            random,
            world,
            settings,
            stops_unread,
            clock,
            start,
            origin,
            book,
            clients: JoinSet::new(),
            others: JoinSet::new(),
            seen: Default::default(),
            originals: Default::default(),
        };
        for (url, varies, _) in PAGES {
            let saying = model.saying();
            model.book.lock().pages.push(Page {
                url,
                varies,
                versions: Vec::new(),
                saying,
                mode: Mode::Well,
                chunked: false,
                ranges: true,
                slow: false,
                terse: false,
                breaks: VecDeque::new(),
            });
        }
        for page in 0..PAGES.len() {
            model.publish(page);
        }
        model
    }

    async fn run(&mut self) {
        for _ in 0..STEPS {
            self.step().await;
            for _ in 0..self.random.random_range(0..6) {
                tokio::task::yield_now().await;
            }
            while let Some(client) = self.clients.try_join_next() {
                self.arrived(client.expect("no client panics"));
            }
            while let Some(other) = self.others.try_join_next() {
                other.expect("nobody panics");
            }
        }
        self.heal().await;
    }

    async fn step(&mut self) {
        let page = self.random.random_range(0..PAGES.len());
        match self.random.random_range(0..100) {
            0..42 => self.start_client(page),
            42..62 => self
                .origin
                .gate
                .add_permits(self.random.random_range(1..12)),
            62..67 => self.publish(page),
            67..74 => self.turn(page),
            74..77 => self.tear(page),
            77..82 => self.invalidate(page),
            82..87 => self.purge(page),
            87..89 => self.warm(page),
            89..91 => self.maintain(),
            91..93 => self.pass(),
            93..97 => {
                self.settle().await;
                self.pass();
            }
            _ => self.kill().await,
        }
    }

    fn note(&mut self, step: String) {
        self.book.lock().note(step);
    }
}

/// A seed and what happened before it help whoever looks for the reason.
impl Drop for Model {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("what happened last:");
            for note in &self.book.lock().journal {
                println!("{note}");
            }
        }
    }
}

/// Seeds of every run.
const ROUNDS: u64 = 30;

#[test]
fn random_interleavings_agree_with_the_model() {
    for seed in seeds(ROUNDS) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async { Model::new(seed).await.run().await });
    }
}
