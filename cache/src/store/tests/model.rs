//! Random operations, crashes, losses and damage on one to thirteen disks, held against a simple model.
//!
//! ```text
//! book.rs    what is true: every generation of every key, and which of them may answer
//! writes.rs  how objects come in
//! steps.rs   what else happens in one step
//! disks.rs   what is wrong with which disk
//! damage.rs  bytes that go bad
//! ends.rs    closes, kills, power losses, crashes in the middle; which disks the next start finds
//! check.rs   the judge
//! ```
//! Whatever happens: every byte that is returned is that generation's; what was acknowledged is found as long as no more
//! of it was hurt than its geometry survives; what was purged, forgotten or replaced never answers again, or only as
//! something that its origin is asked about, where the disks that are here cannot know better.

mod book;
mod check;
mod damage;
mod disks;
mod ends;
mod steps;
mod writes;

use super::*;
use crate::object::Sequence;
use crate::seeds::seeds;
use crate::store::members::Members;
use book::Shelf;
use disks::{DISKS_MAX, Disk};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;

/// The field that says which generation a head belongs to.
const VERSION: &str = "x-version";
const KEYS: u8 = 12;
const STEPS: usize = 150;
/// So much of what happened is kept.
const NOTES_MAX: usize = 100;

/// What the test has seen, so that it cannot pass by missing everything.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    lookups: u64,
    required: u64,
    hits: u64,
}

struct Model {
    random: SmallRng,
    settings: StoreSettings,
    parity: usize,
    clock: Arc<ManualClock>,
    disks: Vec<Disk>,
    next_disk: usize,
    store: Option<Arc<Store>>,
    shelves: Vec<Shelf>,
    next_id: u32,
    held: Vec<(u8, Arc<Object>)>,
    /// The first sequence of this run.
    started: Sequence,
    /// This run cannot know whether what it has still counts.
    is_doubting: bool,
    /// Some run could not, and the disks may have been through different lives since.
    has_diverged: bool,
    /// As that, ever.
    has_ever_diverged: bool,
    /// The disks that were out, or as good as out, when the last run ended.
    behind: Members,
    tally: Tally,
    notes: VecDeque<String>,
}

impl Model {
    async fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let count = [1, 2, 3, 4, 4, 6, 6, DISKS_MAX][random.random_range(0..8)];
        let parity: u8 = random.random_range(1..=2);
        let durability = if random.random_bool(0.35) {
            Durability::Strict
        } else {
            Durability::Relaxed
        };
        let settings = StoreSettings {
            parity,
            durability,
            sha256: false,
            // The clock stands still while it reads.
            scrub_bytes_per_second: u64::MAX,
            ..settings_for_tests()
        };
        let disks = MemoryDevice::group(count).into_iter().map(Disk::new);
        let mut model = Self {
            random,
            settings,
            parity: parity.into(),
            clock: Arc::new(ManualClock::default()),
            disks: disks.collect(),
            next_disk: count,
            store: None,
            shelves: (0..KEYS).map(|_| Shelf::default()).collect(),
            next_id: 1,
            held: Vec::new(),
            started: Sequence(0),
            is_doubting: false,
            has_diverged: false,
            has_ever_diverged: false,
            behind: Members::EMPTY,
            tally: Tally::default(),
            notes: VecDeque::new(),
        };
        model.note(format!("{count} disks, parity {parity}, {durability:?}"));
        model.open().await;
        model.stock().await;
        model
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("a store is open")
    }

    fn shelf(&self, number: u8) -> &Shelf {
        &self.shelves[usize::from(number)]
    }

    fn shelf_mut(&mut self, number: u8) -> &mut Shelf {
        &mut self.shelves[usize::from(number)]
    }

    fn note(&mut self, step: String) {
        self.notes.push_back(step);
        let excess = self.notes.len().saturating_sub(NOTES_MAX);
        self.notes.drain(..excess);
    }

    async fn run(&mut self) -> Tally {
        for _ in 0..STEPS {
            self.step().await;
        }
        self.come_to_rest().await;
        self.tally
    }
}

/// A seed and what happened before it help whoever looks for the reason.
impl Drop for Model {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("what happened last:");
            for note in &self.notes {
                println!("{note}");
            }
        }
        for disk in &self.disks {
            disk.device.release();
        }
    }
}

/// Seeds of every run.
const ROUNDS: u64 = 40;

#[test]
fn random_histories_agree_with_the_model() {
    let (mut all, mut rounds) = (Tally::default(), 0);
    for seed in seeds(ROUNDS) {
        rounds += 1;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let tally = runtime.block_on(async { Model::new(seed).await.run().await });
        println!("{tally:?}");
        all.lookups += tally.lookups;
        all.required += tally.required;
        all.hits += tally.hits;
    }
    if rounds > 10 {
        assert!(
            3 * all.required > all.lookups,
            "it asks for little: {all:?}"
        );
        assert!(all.hits >= all.required, "{all:?}");
    }
}
