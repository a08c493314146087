//! The metadata log under crashes and damage, and its cleaning.

use super::amendment::{amendment, version};
use super::*;
use crate::device::memory::Survival;
use crate::object::Amendment;
use http::HeaderValue;
use std::collections::BTreeMap;

const CALLS_MAX: u64 = 500;

/// Seed of the body and version of the head; `None`: a miss.
type Answer = Option<(u64, i64)>;

/// What each key may answer, and everything it ever was.
#[derive(Clone)]
struct Ledger {
    may: BTreeMap<u8, Vec<Answer>>,
    ever: BTreeMap<u8, Vec<Answer>>,
}

impl Ledger {
    fn begin(&mut self, number: u8, answer: Answer) {
        self.may.entry(number).or_default().push(answer);
        self.ever.entry(number).or_default().push(answer);
    }

    fn done(&mut self, number: u8, answer: Answer) {
        self.may.insert(number, vec![answer]);
    }
}

/// An amendment whose record is large, so that few of them make cleaning pay.
pub(super) fn large(number: i64) -> Amendment {
    let mut amendment = amendment(number);
    let filler = HeaderValue::from_bytes(&vec![b'x'; 60_000]).unwrap();
    for _ in 0..3 {
        amendment.headers.append("x-filler", filler.clone());
    }
    amendment
}

enum Step {
    Fill(u8, u64),
    Amend(u8, i64),
    Large(u8, i64),
    Maintain,
}

async fn scenario(device: &Arc<MemoryDevice>, settings: StoreSettings) -> (Ledger, bool) {
    use Step::{Amend, Fill, Large, Maintain};
    let may = BTreeMap::from([1, 2].map(|number| (number, vec![None])));
    let mut ledger = Ledger {
        ever: may.clone(),
        may,
    };
    let Ok(store) = open_with(Arc::clone(device) as Arc<dyn Device>, settings).await else {
        return (ledger, false);
    };
    let steps = [
        Fill(1, 1),
        Fill(2, 2),
        Amend(1, 1),
        Amend(2, 2),
        Maintain,
        Amend(1, 3),
        Fill(1, 3),
        Amend(1, 4),
        Large(2, 5),
        Large(2, 6),
        Large(2, 7),
        Amend(2, 8),
        Maintain,
        Amend(1, 9),
    ];
    let mut bodies = BTreeMap::new();
    for step in steps {
        match step {
            Fill(number, seed) => {
                bodies.insert(number, seed);
                ledger.begin(number, Some((seed, 0)));
                if fill(&store, head(number), &body(seed, 500)).await.is_err() {
                    return (ledger, false);
                }
                ledger.done(number, Some((seed, 0)));
            }
            Amend(number, version) | Large(number, version) => {
                let wanted = match step {
                    Large(..) => large(version),
                    _ => amendment(version),
                };
                let answer = Some((bodies[&number], version));
                ledger.begin(number, answer);
                let Some(object) = store.lookup(&key(number)).await.into_iter().next() else {
                    return (ledger, false);
                };
                if !matches!(store.amend(&object, wanted).await, Ok(Some(_))) {
                    return (ledger, false);
                }
                ledger.done(number, answer);
            }
            Maintain => maintain(&store).await,
        }
    }
    let bytes = store.stats().metadata_log_bytes.get();
    assert!(
        bytes < 400_000 || device.has_crashed(),
        "nothing was cleaned"
    );
    store.close(CLOSE).await;
    (ledger, !device.has_crashed())
}

async fn answer(store: &Store, number: u8) -> Answer {
    let object = store.lookup(&key(number)).await.into_iter().next()?;
    let bytes = read_all(&object).await.unwrap();
    let seed = (1..10).find(|seed| body(*seed, 500) == bytes).unwrap();
    assert!(!object.head().invalidated, "a crash is no damage");
    Some((seed, version(&object)))
}

async fn check_after(
    device: MemoryDevice,
    may: &BTreeMap<u8, Vec<Answer>>,
    settings: &StoreSettings,
    case: &str,
) {
    let device = Arc::new(device);
    for start in ["first", "second"] {
        let opened = open_with(Arc::clone(&device) as Arc<dyn Device>, settings.clone()).await;
        let store = opened.expect(case);
        for (number, may) in may {
            let found = answer(&store, *number).await;
            assert!(may.contains(&found), "{case}, {start}: {number}: {found:?}");
        }
        assert_eq!(store.stats().log_problems.get(), 0, "{case}, {start}");
        if let Some(object) = store.lookup(&key(2)).await.first() {
            let known = version(object);
            let again = amendment(known);
            store.amend(object, again).await.expect(case);
            maintain(&store).await;
        }
        // As if killed: the next one starts over what this one has written.
        device.unlock();
    }
}

async fn crash_everywhere(durability: Durability) {
    let settings = StoreSettings {
        durability,
        sha256: false,
        ..settings_for_tests()
    };
    for call in 1..CALLS_MAX {
        let device = Arc::new(MemoryDevice::new());
        device.crash_at(call);
        let (ledger, finished) = scenario(&device, settings.clone()).await;
        let case = format!("{durability:?}, kill at call {call}");
        let killed = device.surviving(Survival::Kill);
        check_after(killed, &ledger.may, &settings, &case).await;
        for seed in 0..8 {
            let seed = seed + call * 8;
            let case = format!("{durability:?}, power loss at call {call}, seed {seed}");
            let mut may = ledger.may.clone();
            if durability == Durability::Relaxed {
                may = ledger.ever.clone();
                may.values_mut().for_each(|may| may.push(None));
            }
            let after = device.surviving(Survival::PowerLoss { seed });
            check_after(after, &may, &settings, &case).await;
        }
        if finished {
            assert!(call > 60, "the scenario is too short: {call} calls");
            return;
        }
    }
    panic!("the scenario never ran through");
}

#[tokio::test]
async fn after_a_crash_at_any_call_a_head_is_old_or_new_and_of_its_own_bytes() {
    crash_everywhere(Durability::Relaxed).await;
}

#[tokio::test]
async fn strict_amendments_survive_power_loss_at_any_call() {
    crash_everywhere(Durability::Strict).await;
}

/// Two amended objects, one that is not, and one that an operator declared immutable.
async fn amended_store() -> Arc<MemoryDevice> {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    for number in 1..5 {
        let head = ObjectHead {
            immutable: number == 4,
            ..head(number)
        };
        fill(&store, head, &body(1, 100)).await.unwrap();
    }
    for number in [1, 2] {
        let object = store.lookup(&key(number)).await.remove(0);
        store.amend(&object, amendment(7)).await.unwrap();
    }
    store.close(CLOSE).await;
    Arc::new(device.surviving(Survival::Kill))
}

async fn marks(store: &Store) -> Vec<bool> {
    let mut marks = Vec::new();
    for number in 1..5 {
        let found = store.lookup(&key(number)).await.remove(0);
        marks.push(found.head().invalidated);
    }
    marks
}

type Damage = fn(&MemoryDevice, &str);

#[tokio::test]
async fn after_damage_everything_older_is_checked_with_its_origin_once() {
    let log = |device: &MemoryDevice| files_in(device, "log/").remove(0);
    let damages: [(&str, Damage); 4] = [
        ("first record", |device, path| {
            assert!(device.flip(path, 100))
        }),
        ("header", |device, path| assert!(device.flip(path, 3))),
        ("cut", |device, path| {
            let file = device.open(path, true).unwrap();
            file.truncate(70).unwrap();
        }),
        ("gone", |device, path| device.unlink(path).unwrap()),
    ];
    for (what, damage) in damages {
        let device = amended_store().await;
        damage(&device, &log(&device));
        let store = open(&device).await;
        assert_eq!(marks(&store).await, [true, true, true, false], "{what}");
        assert!(store.stats().log_problems.get() > 0, "{what}");
        // The origin has been asked, and something new was stored.
        let object = store.lookup(&key(2)).await.remove(0);
        store.amend(&object, amendment(9)).await.unwrap();
        fill(&store, head(1), &body(2, 100)).await.unwrap();
        assert_eq!(marks(&store).await, [false, false, true, false], "{what}");
        maintain(&store).await;
        let device = Arc::new(device.surviving(Survival::Kill));
        let store = open(&device).await;
        assert_eq!(marks(&store).await, [false, false, true, false], "{what}");
        assert_eq!(store.stats().log_problems.get(), 0, "{what}: said once");
        assert_eq!(version(&store.lookup(&key(2)).await[0]), 9, "{what}");
    }
}

#[tokio::test]
async fn rot_in_the_synced_part_costs_no_other_record_even_after_a_power_loss() {
    for seed in 0..8 {
        let device = Arc::new(MemoryDevice::new());
        let store = open(&device).await;
        for number in 1..4 {
            let object = fill(&store, head(number), &body(1, 100)).await.unwrap();
            store.amend(&object, amendment(7)).await.unwrap();
        }
        maintain(&store).await;
        assert!(device.flip(&files_in(&device, "log/")[0], 100));
        let device = Arc::new(device.surviving(Survival::PowerLoss { seed }));
        let store = open(&device).await;
        for (number, expected) in [(1, 0), (2, 7), (3, 7)] {
            let found = store.lookup(&key(number)).await.remove(0);
            assert_eq!(version(&found), expected, "seed {seed}: {number}");
            assert!(found.head().invalidated, "seed {seed}: {number}");
        }
    }
}

#[tokio::test]
async fn an_unreadable_log_keeps_no_store_from_opening() {
    let device = amended_store().await;
    device.add_fault(crate::device::memory::Fault {
        operation: crate::device::memory::Operation::Read,
        path_contains: "log/".into(),
        errno: libc::EIO,
        times: 1,
    });
    let store = open(&device).await;
    assert_eq!(marks(&store).await, [true, true, true, false]);
    assert_eq!(get(&store, 1).await, Some(body(1, 100)));
}

#[tokio::test]
async fn a_record_that_rots_later_is_not_believed() {
    let device = amended_store().await;
    let store = open(&device).await;
    let path = files_in(&device, "log/").remove(0);
    assert!(device.flip(&path, 100));
    assert_eq!(marks(&store).await, [true, false, false, false]);
    assert_eq!(version(&store.lookup(&key(1)).await[0]), 0);
}

#[tokio::test]
async fn the_log_stays_small_however_often_objects_are_amended() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let mut object = fill(&store, head(1), &body(1, 100)).await.unwrap();
    fill(&store, head(2), &body(1, 100)).await.unwrap();
    let other = store.lookup(&key(2)).await.remove(0);
    store.amend(&other, amendment(1)).await.unwrap();
    for number in 1..40 {
        object = store.amend(&object, large(number)).await.unwrap().unwrap();
        maintain(&store).await;
        let bytes = store.stats().metadata_log_bytes.get();
        assert!(bytes < 1_000_000, "{number}: {bytes}");
    }
    assert_eq!(store.stats().amendments.get(), 40);
    store.forget(&key(1)).await;
    store.core.handles.invalidate_all();
    assert_eq!(version(&store.lookup(&key(2)).await[0]), 1, "it was copied");
    maintain(&store).await;
    let bytes: u64 = files_in(&device, "log/")
        .iter()
        .map(|path| device.file_length(path).unwrap())
        .sum();
    assert_eq!(bytes, store.stats().metadata_log_bytes.get());
}

#[tokio::test]
async fn records_of_a_newer_version_are_kept_through_cleaning() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let mut object = fill(&store, head(1), &body(1, 100)).await.unwrap();
    let core = Arc::clone(&store.core);
    let unknown = move || {
        let new = log::append::NewRecord {
            kind: 0x8004,
            number: 1,
            payload: b"hints".to_vec(),
        };
        let mut writer = lock(&core.log.writer);
        writer.append(&core, &[new], log::append::Sync::Later)
    };
    store.core.pool.run(unknown).await.unwrap().unwrap();
    let first = files_in(&device, "log/").remove(0);
    for number in 1..8 {
        object = store.amend(&object, large(number)).await.unwrap().unwrap();
    }
    maintain(&store).await;
    let path = files_in(&device, "log/").remove(0);
    assert_ne!(path, first, "nothing was cleaned");
    let bytes = device.bytes(&path).unwrap();
    assert!(bytes.windows(5).any(|part| part == b"hints"));
}
