//! A crash of the machine at device calls of a scenario, by kill and by power loss, on four and on six disks.
//!
//! Every disk has its own threads, so which call is the n-th differs from run to run: each run shows one order of many.
//! The ledger therefore says what each key may answer, as the scenario itself saw it, and never which call was hit.

use super::*;
use crate::store::tests::bans::purgeable;
use crate::store::tests::ledger::Answers;
use weir_policies::purge::{PurgeMode, PurgeScope};
use weir_policies::target::Target;

type Answer = Option<Bytes>;
type Ledger = crate::store::tests::ledger::Ledger<Answer>;

async fn put(
    store: &Store,
    ledger: &mut Ledger,
    number: u8,
    seed: u64,
    length: usize,
) -> Option<()> {
    let bytes = body(seed, length);
    let answer = Some(bytes.clone());
    ledger.begin(number, &answer);
    fill(store, purgeable(number), &bytes).await.ok()?;
    ledger.stored(number, &answer);
    Some(())
}

/// Fills, replaces, syncs, purges, forgets, fills again, closes; stops at the crash.
async fn scenario(rig: &Rig, ledger: &mut Ledger) -> Option<()> {
    let alive = || (!rig.disks[0].has_crashed()).then_some(());
    let all: Vec<usize> = (0..rig.disks.len()).collect();
    let store = rig.try_open_some(&all).await.ok()?;
    put(&store, ledger, 1, 1, 70_000).await?;
    put(&store, ledger, 2, 2, 300).await?;
    put(&store, ledger, 1, 3, 140_000).await?;
    put(&store, ledger, 3, 4, 66_000).await?;
    maintain(&store).await;
    alive()?;
    ledger.synced();
    put(&store, ledger, 3, 5, 2_000).await?;
    put(&store, ledger, 2, 6, 80_000).await?;
    let scope = PurgeScope::url(&Target::parse("http://host/a/1").unwrap());
    ledger.begin(1, &None);
    store.ban(&scope, PurgeMode::Remove, &[key(1)]).await.ok()?;
    ledger.purged(1, &None);
    ledger.begin(2, &None);
    store.forget(&key(2)).await;
    alive()?;
    ledger.purged(2, &None);
    put(&store, ledger, 1, 7, 90_000).await?;
    maintain(&store).await;
    alive()?;
    ledger.synced();
    store.close(CLOSE).await;
    alive()
}

async fn check_after(rig: &Rig, may: &Answers<Answer>, case: &str) {
    for start in ["first", "second"] {
        let store = rig.open().await;
        for number in 0..rig.disks.len() {
            assert!(files_in(&rig.disks[number], "tmp").is_empty(), "{case}");
            assert_eq!(standing(&store, number), Standing::Live, "{case}: {number}");
        }
        for (number, may) in may {
            let found = try_get(&store, *number).await;
            let found =
                found.unwrap_or_else(|error| panic!("{case}, {start} start: {number}: {error}"));
            assert!(
                may.contains(&found),
                "{case}, {start} start: {number} answered {:?} bytes, not {:?}",
                found.map(|body| body.len()),
                may.iter()
                    .map(|answer| answer.as_ref().map(Bytes::len))
                    .collect::<Vec<_>>(),
            );
        }
        let fresh = body(99, 70_001);
        let object = fill(&store, head(9), &fresh).await.expect(case);
        for number in 1..5 {
            for other in store.lookup(&key(number)).await {
                assert!(object.sequence() > other.sequence(), "{case}");
            }
        }
        assert_eq!(get(&store, 9).await, Some(fresh), "{case}");
        maintain(&store).await;
        // As if killed.
        for disk in &rig.disks {
            disk.unlock();
        }
    }
}

/// What is there after a kill, and after one power loss.
async fn check_both(rig: &Rig, ledger: &Ledger, call: u64) {
    let (disks, durability) = (rig.disks.len(), rig.settings.durability);
    let case = format!("{disks} disks, {durability:?}, kill at call {call}");
    check_after(&rig.killed(), &ledger.after_kill, &case).await;
    // The seed chooses one of four moods.
    let seed = call * 5;
    let case = format!("{disks} disks, {durability:?}, power loss at call {call}, seed {seed}");
    let after = rig.surviving(Survival::PowerLoss { seed });
    check_after(&after, &ledger.after_power_loss, &case).await;
}

/// Crashes at every `step`-th call from `first` on until the scenario runs through.
async fn crash_at_every(disks: usize, durability: Durability, first: u64, step: u64) {
    let mut call = first;
    loop {
        let mut rig = Rig::new(disks, 2);
        rig.settings.durability = durability;
        rig.disks[0].crash_at(call);
        let mut ledger = Ledger::new(durability, &None);
        let finished = scenario(&rig, &mut ledger).await.is_some();
        check_both(&rig, &ledger, call).await;
        if finished {
            assert!(call > 300, "the scenario is too short: {call} calls");
            return;
        }
        call += step;
        assert!(call < 5000, "the scenario never ran through");
    }
}

#[tokio::test]
async fn four_disks_keep_what_was_acknowledged() {
    crash_at_every(4, Durability::Relaxed, 1, 5).await;
}

#[tokio::test]
async fn four_strict_disks_keep_what_was_acknowledged() {
    crash_at_every(4, Durability::Strict, 2, 5).await;
}

#[tokio::test]
async fn six_disks_keep_what_was_acknowledged() {
    crash_at_every(6, Durability::Relaxed, 1, 13).await;
}

#[tokio::test]
async fn six_strict_disks_keep_what_was_acknowledged() {
    crash_at_every(6, Durability::Strict, 3, 13).await;
}

/// A disk dies, the others go on: a crash at every call around it, and the disk back afterwards.
async fn lose_and_crash(disks: usize, durability: Durability) {
    for call in 1.. {
        let mut rig = Rig::new(disks, 2);
        rig.settings.durability = durability;
        let mut ledger = Ledger::new(durability, &None);
        let store = rig.open().await;
        for number in 1..4 {
            let length = if number == 2 { 300 } else { 70_000 };
            let stored = put(&store, &mut ledger, number, number.into(), length).await;
            stored.unwrap();
        }
        maintain(&store).await;
        ledger.synced();
        rig.disks[1].die();
        rig.disks[0].crash_at(rig.disks[0].calls() + call * 2);
        let finished = async {
            put(&store, &mut ledger, 1, 11, 80_000).await?;
            ledger.begin(2, &None);
            store.forget(&key(2)).await;
            (!rig.disks[0].has_crashed()).then_some(())?;
            ledger.purged(2, &None);
            put(&store, &mut ledger, 4, 14, 500).await
        };
        let finished = finished.await.is_some();
        rig.disks[1].restore();
        check_both(&rig, &ledger, call).await;
        if finished {
            assert!(call > 20, "the scenario is too short: {call}");
            return;
        }
    }
}

#[tokio::test]
async fn a_crash_while_a_disk_is_lost_loses_nothing_more() {
    lose_and_crash(4, Durability::Relaxed).await;
    lose_and_crash(4, Durability::Strict).await;
    lose_and_crash(6, Durability::Strict).await;
}
