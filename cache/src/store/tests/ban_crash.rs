//! Purges under a crash at every device call: of the purge, of its sweep, and of the log's cleaning.
//!
//! Each of the four tests runs its scenario for every scope, and crashes it at each of its calls in turn; every crash is
//! looked at as a kill and as one power loss, and each of these by two starts, before and after a sweep.
//!
//! Once a purge was acknowledged, nothing older that it covers is ever found again, or only marked; what it does not
//! cover survives; nothing is torn.

use super::amendment::amendment;
use super::bans::{purge, purgeable, scopes};
use super::ledger::Answers;
use super::*;
use crate::device::memory::Survival;
use http::HeaderValue;
use weir_policies::purge::{PurgeMode, PurgeScope};

const CALLS_MAX: u64 = 600;

/// Seed of the body, and whether it is marked; `None`: a miss.
type Answer = Option<(u64, bool)>;
type Ledger = super::ledger::Ledger<Answer>;

struct Case {
    scope: PurgeScope,
    covered: Vec<u8>,
    mode: PurgeMode,
    durability: Durability,
    /// Something that was asked for before keeps the ban alive to the end.
    is_held: bool,
    /// Which of the cases it is.
    number: u64,
}

impl Case {
    fn settings(&self) -> StoreSettings {
        StoreSettings {
            durability: self.durability,
            sha256: false,
            threads_per_disk: 1,
            ..settings_for_tests()
        }
    }

    fn purged(&self, number: u8) -> Answer {
        match self.mode {
            PurgeMode::Remove => None,
            PurgeMode::Stale => Some((number.into(), number != 4)),
        }
    }

    async fn open(&self, device: &Arc<MemoryDevice>) -> Result<Arc<Store>, OpenError> {
        open_with(Arc::clone(device) as Arc<dyn Device>, self.settings()).await
    }

    /// Fills, purges, fills again, sweeps and cleans; stops at the crash.
    async fn run(&self, device: &Arc<MemoryDevice>, ledger: &mut Ledger) -> Option<()> {
        let store = self.open(device).await.ok()?;
        for number in 1..5 {
            self.fill(&store, ledger, number, number.into()).await?;
        }
        maintain(&store).await;
        (!device.has_crashed()).then_some(())?;
        ledger.synced();
        let watch = self.is_held.then(|| store.watch("http://host/b/3"));
        let other = self.is_held.then(|| store.watch("http://host/a/1"));
        for number in &self.covered {
            ledger.begin(*number, &self.purged(*number));
        }
        purge(&store, &self.scope, self.mode).await.ok()?;
        for number in &self.covered {
            ledger.purged(*number, &self.purged(*number));
        }
        let again = *self.covered.first()?;
        self.fill(&store, ledger, again, 9).await?;
        self.outgrow_log(&store).await?;
        for _ in 0..2 {
            maintain(&store).await;
        }
        (!device.has_crashed()).then_some(())?;
        ledger.synced();
        assert!(
            store.stats().metadata_log_bytes.get() < 100_000,
            "nothing was cleaned"
        );
        assert_eq!(store.stats().bans.get(), u64::from(self.is_held));
        store.close(CLOSE).await;
        drop((watch, other));
        (!device.has_crashed()).then_some(())
    }

    async fn fill(&self, store: &Store, ledger: &mut Ledger, number: u8, seed: u64) -> Option<()> {
        let answer = Some((seed, false));
        ledger.begin(number, &answer);
        fill(store, purgeable(number), &body(seed, 500))
            .await
            .ok()?;
        ledger.stored(number, &answer);
        Some(())
    }

    /// Amends an object that is not covered until cleaning pays; what is left of that is small, and quickly read by all
    /// the starts that follow.
    async fn outgrow_log(&self, store: &Store) -> Option<()> {
        let mut large = amendment(1);
        let filler = HeaderValue::from_bytes(&vec![b'x'; 53_000]).unwrap();
        for _ in 0..5 {
            large.headers.append("x-filler", filler.clone());
        }
        for amendment in [large, amendment(2)] {
            let object = store.lookup(&key(2)).await.into_iter().next()?;
            store.amend(&object, amendment).await.ok()??;
        }
        Some(())
    }

    async fn check(&self, device: MemoryDevice, may: &Answers<Answer>, when: &str) {
        let device = Arc::new(device);
        for start in ["first", "second"] {
            let store = self.open(&device).await.expect(when);
            for pass in ["before", "after"] {
                for (number, may) in may {
                    let found = answer(&store, *number).await;
                    assert!(
                        may.contains(&found),
                        "{:?} {} {when}, {start} start, {pass} the sweep: {number}: {found:?}, not {may:?}",
                        self.mode,
                        self.scope
                    );
                }
                maintain(&store).await;
            }
            assert_eq!(store.stats().bans.get(), 0, "{when}");
            assert_eq!(store.stats().log_problems.get(), 0, "{when}");
            // As if killed.
            device.unlock();
        }
    }

    async fn crash_everywhere(&self) {
        for call in 1..CALLS_MAX {
            let device = Arc::new(MemoryDevice::new());
            device.crash_at(call);
            let mut ledger = Ledger::new(self.durability, &None);
            let finished = self.run(&device, &mut ledger).await.is_some();
            let killed = device.surviving(Survival::Kill);
            let when = format!("{:?}, kill at call {call}", self.durability);
            self.check(killed, &ledger.after_kill, &when).await;
            // The seed chooses one of four moods: another for each call, and for the same call of another case.
            let seed = call * 5 + self.number;
            let after = device.surviving(Survival::PowerLoss { seed });
            let when = format!(
                "{:?}, power loss at call {call}, seed {seed}",
                self.durability
            );
            self.check(after, &ledger.after_power_loss, &when).await;
            if finished {
                assert!(call > 60, "the scenario is too short: {call} calls");
                return;
            }
        }
        panic!("the scenario never ran through");
    }
}

async fn answer(store: &Store, number: u8) -> Answer {
    let object = store.lookup(&key(number)).await.into_iter().next()?;
    let bytes = read_all(&object).await.unwrap();
    let seed = (1..10).find(|seed| body(*seed, 500) == bytes).unwrap();
    Some((seed, object.head().invalidated))
}

async fn check_all(mode: PurgeMode, durability: Durability) {
    // With one durability or the other each scope is once held and once not.
    let is_relaxed = durability == Durability::Relaxed;
    let held = [is_relaxed, !is_relaxed, is_relaxed];
    for (number, ((scope, covered), is_held)) in (0..).zip(scopes().into_iter().zip(held)) {
        let case = Case {
            scope,
            covered,
            mode,
            durability,
            is_held,
            number,
        };
        case.crash_everywhere().await;
    }
}

#[tokio::test]
async fn what_a_purge_removed_stays_away_after_a_crash_at_any_call() {
    check_all(PurgeMode::Remove, Durability::Relaxed).await;
}

#[tokio::test]
async fn what_a_purge_removed_stays_away_after_a_crash_at_any_call_of_a_strict_store() {
    check_all(PurgeMode::Remove, Durability::Strict).await;
}

#[tokio::test]
async fn what_a_purge_marked_stays_marked_after_a_crash_at_any_call() {
    check_all(PurgeMode::Stale, Durability::Relaxed).await;
}

#[tokio::test]
async fn what_a_purge_marked_stays_marked_after_a_crash_at_any_call_of_a_strict_store() {
    check_all(PurgeMode::Stale, Durability::Strict).await;
}
