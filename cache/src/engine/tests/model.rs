//! Random interleavings of clients, origin behaviors, unsafe requests and crashes, held against a simple model.
//!
//! ```text
//! origin.rs  an origin with versions, validators, breaks and lies; writes down what it says
//! book.rs    what is true: every version, and everything that was said, in order
//! client.rs  what clients ask for and what they get
//! check.rs   the judge
//! ```
//! Whatever the engine does: a response has the bytes of the version that its head names, and only those; a cut one is
//! the beginning of it; it is not staler than origin, client and rule allow; what an unsafe request has overtaken is
//! never used again without asking; an error needs an origin that failed; behind an immutable URL the original is
//! served; what is stored is, head and bytes, what the origin once sent, also after a killed process.

mod book;
mod check;
mod client;
mod origin;

use super::world::{content, engine_settings, store_settings};
use crate::clock::ManualClock;
use crate::device::memory::{MemoryDevice, Survival};
use crate::engine::{Engine, EngineSettings, OnAbandon};
use crate::ports::{Clock, Device, Origin};
use crate::store::Store;
use book::{Book, LANGUAGES, Mode, Page, Saying, Validator, Version};
use bytes::Bytes;
use client::{Client, Got, Insists, Wish};
use http::{HeaderMap, Method, StatusCode};
use origin::ModelOrigin;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use weir_policies::outcome::Outcome;
use weir_policies::target::Target;

/// URL, whether it varies, and whether it is immutable by rule.
const PAGES: [(&str, bool, bool); 4] = [
    ("http://a.test/plain", false, false),
    ("http://a.test/varies", true, false),
    ("http://b.test/plain", false, false),
    ("http://c.test/immutable-1.0", false, true),
];
const STEPS: usize = 300;
/// So many steps are shown when something is wrong.
const STEPS_SHOWN: usize = 30;
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
    steps: VecDeque<String>,
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
            steps: VecDeque::new(),
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
            0..45 => self.start_client(page),
            45..65 => self
                .origin
                .gate
                .add_permits(self.random.random_range(1..12)),
            65..70 => self.publish(page),
            70..77 => self.turn(page),
            77..80 => self.tear(page),
            80..85 => self.invalidate(page),
            85..87 => self.warm(page),
            87..90 => self.pass(),
            90..97 => {
                self.settle().await;
                self.pass();
            }
            _ => self.kill().await,
        }
    }

    fn note(&mut self, step: String) {
        let tick = self.book.lock().tick();
        self.steps.push_back(format!("{tick:>6}  {step}"));
        if self.steps.len() > STEPS_SHOWN {
            self.steps.pop_front();
        }
    }

    fn pass(&mut self) {
        let seconds = self.random.random_range(0..40);
        self.note(format!("{seconds} seconds pass"));
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn saying(&mut self) -> Saying {
        let random = &mut self.random;
        let window = |random: &mut SmallRng| {
            let seconds = random.random_range(1..60);
            random.random_bool(0.3).then_some(seconds)
        };
        Saying {
            max_age: [0, 10, 30, 60][random.random_range(0..4)],
            while_revalidating: window(random),
            if_error: window(random),
            must_revalidate: random.random_bool(0.15),
            no_cache: random.random_bool(0.1),
            public: random.random_bool(0.5),
        }
    }

    /// A new version at the origin, whole and reachable.
    fn publish(&mut self, page: usize) {
        let length = [0, 9, 5_000, 70_000, 300_000, 700_000][self.random.random_range(0..6)];
        let validator = match self.random.random_range(0..8) {
            0 => Validator::None,
            1 => Validator::Weak,
            2 => Validator::Date,
            _ => Validator::Strong,
        };
        let seed: u64 = self.random.random();
        let bodies = [0, 1].map(|language| Bytes::from(content(seed + language, length)));
        let mut book = self.book.lock();
        let there = &mut book.pages[page];
        there.versions.push(Version { bodies, validator });
        there.breaks.clear();
        let version = there.versions.len() - 1;
        drop(book);
        self.note(format!(
            "page {page}: version {version} of {length} bytes, {validator:?}"
        ));
    }

    /// The origin turns well, sick, silent or dishonest, with the version it has; or says something else of it.
    fn turn(&mut self, page: usize) {
        let saying = self.saying();
        let mode = match self.random.random_range(0..9) {
            0 => Mode::Unreachable,
            1 => Mode::Sick(502),
            2 => Mode::Sick(503),
            3 => Mode::Lying,
            _ => Mode::Well,
        };
        let [chunked, terse] = [self.random.random(), self.random.random()];
        let ranges = self.random.random_bool(0.8);
        let mut book = self.book.lock();
        let there = &mut book.pages[page];
        there.mode = mode;
        (there.chunked, there.terse, there.ranges) = (chunked, terse, ranges);
        there.saying = saying;
        drop(book);
        let saying = saying.field();
        self.note(format!(
            "page {page}: {mode:?}, chunked {chunked}, ranges {ranges}, terse {terse}, {saying}"
        ));
    }

    /// Bodies of this page are going to break.
    fn tear(&mut self, page: usize) {
        let count = self.random.random_range(1..4);
        let mut breaks: Vec<usize> = (0..count)
            .map(|_| self.random.random_range(0..300_000))
            .collect();
        breaks.sort_unstable();
        if self.random.random_bool(0.2) {
            breaks = vec![breaks[0]; 4];
        }
        self.note(format!("page {page}: breaks at {breaks:?}"));
        self.book.lock().pages[page].breaks = breaks.into();
    }

    /// An unsafe request is carried out by the origin and answered through the engine.
    fn invalidate(&mut self, page: usize) {
        if self.random.random_bool(0.7) {
            self.publish(page);
        }
        self.note(format!("page {page}: PUT"));
        let number = self.book.lock().begin_invalidation(page);
        let (engine, book) = (Arc::clone(&self.world.engine), Arc::clone(&self.book));
        let target = Target::parse(PAGES[page].0).expect("a URL");
        self.others.spawn(async move {
            let none = HeaderMap::new();
            engine
                .answered_unsafe(&Method::PUT, &target, StatusCode::NO_CONTENT, &none)
                .await;
            book.lock().end_invalidation(number);
        });
    }

    fn warm(&mut self, page: usize) {
        let wish = self.plain(page, 0);
        self.note(format!("page {page}: warmed"));
        let engine = Arc::clone(&self.world.engine);
        self.others.spawn(async move {
            drop(engine.warm(&wish.request()).await);
        });
    }

    fn plain(&self, page: usize, language: usize) -> Wish {
        let (url, _, immutable) = PAGES[page];
        Wish {
            immutable,
            ..Wish::plain(page, url, language)
        }
    }

    fn start_client(&mut self, page: usize) {
        let (url, _, immutable) = PAGES[page];
        let mut wish = Wish::random(&mut self.random, page, url);
        wish.immutable = immutable;
        self.note(format!("{wish:?}"));
        let client = self.client(wish);
        self.clients
            .spawn(client.run(Arc::clone(&self.world.engine)));
    }

    fn client(&self, wish: Wish) -> Client {
        let mut book = self.book.lock();
        let started = book.tick();
        Client::new(wish, started, self.clock.elapsed(), book.idle)
    }

    fn arrived(&mut self, client: Client) {
        self.check(&client);
        if client.went_alone() {
            self.book.lock().alone.insert(client.wish.page);
        }
        let (Some(ttl), Some(told)) = (client.ttl, client.told) else {
            return;
        };
        let page = told.page;
        if client.wish.immutable {
            let now = self.book.lock().tick();
            self.originals[page].get_or_insert((told.version, now));
        }
        if client.outcome != Some(Outcome::Hit) || ttl <= 0 {
            return;
        }
        let lasting = Duration::from_secs(ttl.unsigned_abs());
        self.seen[page][told.language] = Some(Seen {
            version: told.version,
            idle: client.idle,
            fresh_until: client.at + lasting,
        });
    }

    /// Lets every client and fill come to its end.
    async fn settle(&mut self) {
        self.note("everything comes to its end".to_owned());
        self.origin.gate.add_permits(1_000_000);
        while let Some(client) = self.clients.join_next().await {
            self.arrived(client.expect("no client panics"));
        }
        while let Some(other) = self.others.join_next().await {
            other.expect("nobody panics");
        }
        let engine = &self.world.engine;
        engine.tasks().idle().await;
        self.origin.gate.forget_permits(usize::MAX);
        assert_eq!(engine.stats().fills_active.get(), 0);
        assert_eq!(engine.memory_taken_bytes(), 0);
        assert_eq!(engine.tasks().counts().panics, 0);
        let doubled = self.book.lock().comes_to_rest();
        assert!(doubled.is_empty(), "two fetches at once: {doubled:?}");
        self.check_stored().await;
    }

    /// kill -9: whatever the system calls have done stays, everything else is gone.
    async fn kill(&mut self) {
        self.note("killed".to_owned());
        self.clients.abort_all();
        while self.clients.join_next().await.is_some() {}
        self.others.abort_all();
        while self.others.join_next().await.is_some() {}
        let device = Arc::new(self.world.device.surviving(Survival::Kill));
        // What the dead process would still do happens on the disk that nobody looks at any more.
        let engine = &self.world.engine;
        engine.close(Duration::ZERO).await;
        engine.tasks().idle().await;
        self.world = Running::on(device, &self.clock, &self.origin, &self.settings).await;
        // What was cut down in the middle proves nothing.
        self.book.lock().comes_to_rest();
        self.check_stored().await;
        self.check_survivors().await;
        let paths = self.world.device.paths().into_iter();
        let left: Vec<_> = paths.filter(|path| path.starts_with("tmp/")).collect();
        assert!(left.is_empty(), "left behind in tmp: {left:?}");
    }

    /// What was seen in the store is still there, if nothing has happened that may have changed it.
    async fn check_survivors(&mut self) {
        for page in 0..PAGES.len() {
            for language in 0..LANGUAGES {
                let Some(seen) = self.seen[page][language] else {
                    continue;
                };
                let untouched = self.book.lock().is_untouched(page, seen.idle);
                if !untouched || self.clock.elapsed() >= seen.fresh_until {
                    continue;
                }
                let wish = Wish {
                    insists: Insists::OnlyIfCached,
                    ..self.plain(page, language)
                };
                let client = self.client(wish);
                let client = client.run(Arc::clone(&self.world.engine)).await;
                let found = client.told.map(|told| told.version);
                assert_eq!(found, Some(seen.version), "page {page}: lost by a kill");
                self.arrived(client);
            }
        }
    }

    /// With a well origin everything is right again.
    async fn heal(&mut self) {
        self.settle().await;
        self.clock.advance(LONG);
        self.note("healed".to_owned());
        for there in &mut self.book.lock().pages {
            there.mode = Mode::Well;
            there.breaks.clear();
        }
        for (page, (_, _, immutable)) in PAGES.into_iter().enumerate() {
            for language in 0..LANGUAGES {
                self.origin.gate.add_permits(1_000_000);
                let client = self.client(self.plain(page, language));
                let client = client.run(Arc::clone(&self.world.engine)).await;
                assert!(matches!(client.got, Got::Body(_)), "{client:?}");
                let latest = self.book.lock().pages[page].versions.len() - 1;
                let version = client.told.map(|told| told.version);
                if !immutable {
                    assert_eq!(version, Some(latest), "page {page}");
                }
                self.arrived(client);
                self.settle().await;
            }
        }
    }
}

/// A seed and the steps before it help whoever looks for the reason.
impl Drop for Model {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the last steps:");
            for step in &self.steps {
                println!("{step}");
            }
        }
    }
}

/// Seeds of every run; `WEIR_LONG` takes more, from anywhere.
const ROUNDS: u64 = 30;
const ROUNDS_LONG: u64 = 1000;

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
