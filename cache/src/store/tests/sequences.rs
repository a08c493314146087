//! Five sequences in which an array could serve what is gone, or lose what is not, each in every order that matters.
//!
//! They are those that a simple array gets wrong: an eviction that a hanging disk has missed; two halves of a pool that
//! have lived apart; a replacement that only some disks have seen; one that the power took; a purge that is forgotten
//! before all of it was carried out.

use super::amendment::amendment;
use super::*;
use crate::device::memory::{Fault, Operation, Survival};
use crate::store::array::disk::Absence;
use crate::store::report::DiskSlot;
use http::HeaderValue;
use weir_policies::purge::{PurgeMode, PurgeScope};
use weir_policies::target::Target;

type Disks = Vec<Arc<MemoryDevice>>;

const SMALL: usize = 5_000;
const LARGE: usize = 300_000;

fn settings(durability: Durability) -> StoreSettings {
    StoreSettings {
        durability,
        sha256: false,
        ..settings_for_tests()
    }
}

async fn start(disks: &Disks) -> Arc<Store> {
    start_with(disks, Durability::Relaxed).await
}

async fn start_with(disks: &Disks, durability: Durability) -> Arc<Store> {
    let devices = disks.iter().map(|disk| Arc::clone(disk) as _).collect();
    let clock = Arc::new(ManualClock::default());
    let opened = Store::open_without_timer(devices, settings(durability), clock).await;
    opened.unwrap()
}

fn killed(disks: &Disks) -> Disks {
    MemoryDevice::survivors(disks, Survival::Kill)
}

/// As [`killed`], and these are not there.
fn without(disks: &Disks, absent: &[usize]) -> Disks {
    let disks = killed(disks);
    absent.iter().for_each(|number| disks[*number].remove());
    disks
}

fn slot(number: usize) -> DiskSlot {
    DiskSlot(u8::try_from(number).unwrap())
}

/// All pairs out of so many.
fn pairs(count: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..count).flat_map(move |one| (one + 1..count).map(move |other| [one, other]))
}

/// The bytes, and whether its origin has to be asked.
async fn answer(store: &Store, number: u8) -> Option<(Bytes, bool)> {
    let object = store.lookup(&key(number)).await.into_iter().next()?;
    let bytes = read_all(&object).await.ok()?;
    Some((bytes, object.head().invalidated))
}

/// Whatever is found is one of these, and what is gone only with its origin's consent.
async fn check(store: &Store, number: u8, there: &[Bytes], gone: &[Bytes], case: &str) {
    if let Some((bytes, is_stale)) = answer(store, number).await {
        let is_gone = gone.contains(&bytes);
        assert!(
            is_gone || there.contains(&bytes),
            "{case}: key {number}: wrong bytes"
        );
        assert!(
            !is_gone || is_stale,
            "{case}: key {number}: it is gone, and served"
        );
    }
}

/// A pass, with all that it begins.
async fn pass(store: &Arc<Store>) {
    maintain(store).await;
    let core = Arc::clone(&store.core);
    let drain = tokio::task::spawn_blocking(move || core.pool.drain(CLOSE));
    assert!(drain.await.unwrap());
}

fn url_of(number: u8) -> PurgeScope {
    PurgeScope::url(&Target::parse(&format!("http://host/{number}")).unwrap())
}

#[tokio::test]
async fn what_was_evicted_while_a_disk_hung_does_not_come_back_with_it() {
    for count in [2, 3, 4, 6] {
        for hanging in 0..count {
            for is_restarted in [false, true] {
                let case = format!("{count} disks, {hanging} hangs, restarted {is_restarted}");
                evict_while_hanging(count, hanging, is_restarted, &case).await;
            }
        }
    }
}

async fn evict_while_hanging(count: usize, hanging: usize, is_restarted: bool, case: &str) {
    let disks = MemoryDevice::group(count);
    let store = start(&disks).await;
    for number in [1, 2] {
        let body = body(number.into(), LARGE);
        fill(&store, head(number), &body).await.unwrap();
    }
    pass(&store).await;
    disks[hanging].hang();
    let core = Arc::clone(&store.core);
    let evict = move || core.evict(EvictionCause::Watermark, None, 1);
    let core = Arc::clone(&store.core);
    let evicting = tokio::spawn(async move { core.on_pool("evict", evict).await.unwrap() });
    tokio::task::yield_now().await;
    assert!(disks[hanging].wait_until_hanging(1), "{case}");
    assert!(
        store.core.lose(slot(hanging), Absence::Hung, "it hangs"),
        "{case}"
    );
    evicting.await.unwrap();
    let mut gone = Vec::new();
    for number in [1, 2] {
        let found = answer(&store, number).await;
        match found {
            None => gone.push(number),
            Some((bytes, _)) => assert_eq!(bytes, body(number.into(), LARGE), "{case}"),
        }
    }
    assert_eq!(gone.len(), 1, "{case}");
    let (store, disks) = if is_restarted {
        let after = killed(&disks);
        disks[hanging].release();
        (start(&after).await, after)
    } else {
        disks[hanging].release();
        (store, disks)
    };
    for when in ["at once", "after a pass", "after a restart"] {
        for number in [1, 2] {
            let found = answer(&store, number).await.map(|(bytes, _)| bytes);
            let whole = Some(body(number.into(), LARGE));
            let is_gone = gone.contains(&number);
            // Nobody asked for it to go: a crash before anything was acknowledged may bring it back, whole.
            let may_be_back = is_gone && is_restarted && found == whole;
            let expected = if is_gone { None } else { whole };
            assert!(
                may_be_back || found == expected,
                "{case}: key {number} {when}"
            );
        }
        if when == "at once" {
            pass(&store).await;
        }
    }
    let store = start(&killed(&disks)).await;
    let found = answer(&store, gone[0]).await.map(|(bytes, _)| bytes);
    assert!(
        found.is_none() || is_restarted,
        "{case}: back after a restart"
    );
}

#[tokio::test]
async fn what_one_half_has_purged_is_not_served_when_the_other_half_has_lived_without_it() {
    for out in pairs(4) {
        for mode in [PurgeMode::Remove, PurgeMode::Stale] {
            for is_swept in [false, true] {
                for refills in [0_u8, 1, 2] {
                    let case =
                        format!("{out:?} out, {mode:?}, swept {is_swept}, {refills} refilled");
                    live_apart(out, mode, is_swept, refills, &case).await;
                }
            }
        }
    }
}

async fn live_apart(out: [usize; 2], mode: PurgeMode, is_swept: bool, refills: u8, case: &str) {
    let others: Vec<usize> = (0..4).filter(|number| !out.contains(number)).collect();
    let sizes = [LARGE, SMALL];
    let (old, new) = (
        |key: u8| body(key.into(), sizes[usize::from(key - 1)]),
        body(9, 70_000),
    );
    let disks = MemoryDevice::group(4);
    let store = start(&disks).await;
    for number in [1, 2] {
        fill(&store, head(number), &old(number)).await.unwrap();
    }
    pass(&store).await;
    out.iter().for_each(|number| disks[*number].remove());
    for number in out {
        store
            .core
            .lose(slot(number), Absence::Missing, "it is gone");
    }
    for number in [1, 2] {
        let keys = [key(number)];
        store.ban(&url_of(number), mode, &keys).await.unwrap();
        check(
            &store,
            number,
            &[],
            &[old(number)],
            &format!("{case}, purged"),
        )
        .await;
    }
    if is_swept {
        pass(&store).await;
    }
    let disks = without(&disks, &others);
    let store = start(&disks).await;
    for number in [1, 2] {
        check(
            &store,
            number,
            &[],
            &[old(number)],
            &format!("{case}, the other half"),
        )
        .await;
    }
    let mut there = [Vec::new(), Vec::new()];
    for number in 1..=refills {
        fill(&store, head(number), &new).await.unwrap();
        there[usize::from(number - 1)].push(new.clone());
    }
    others.iter().for_each(|number| disks[*number].restore());
    pass(&store).await;
    check_all(
        &store,
        &there,
        &old,
        &format!("{case}, all back while it runs"),
    )
    .await;
    // Whoever goes on with all disks has what was stored by it. A start may choose the other half, and drop this.
    for (number, there) in (1..).zip(&there) {
        let found = answer(&store, number).await.map(|(bytes, _)| bytes);
        let is_lost = !there.is_empty() && found.as_ref() != there.last();
        assert!(!is_lost, "{case}: key {number}: lost while it runs");
    }
    let mut disks = killed(&disks);
    for start_number in 1..4 {
        let store = start(&disks).await;
        check_all(
            &store,
            &there,
            &old,
            &format!("{case}, all back, start {start_number}"),
        )
        .await;
        pass(&store).await;
        check_all(
            &store,
            &there,
            &old,
            &format!("{case}, all back, after a pass"),
        )
        .await;
        disks = killed(&disks);
    }
}

async fn check_all(store: &Store, there: &[Vec<Bytes>; 2], old: &impl Fn(u8) -> Bytes, case: &str) {
    for (number, there) in (1..).zip(there) {
        check(store, number, there, &[old(number)], case).await;
    }
}

/// How a replacement misses two disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misses {
    /// They fail, and are out.
    Failing,
    /// They have no room, and are live.
    Full,
}

#[tokio::test]
async fn what_was_replaced_on_four_of_six_disks_is_not_served_when_two_of_the_four_die() {
    for misses in [Misses::Failing, Misses::Full] {
        for missing in pairs(6) {
            replace_on_four(misses, missing).await;
        }
    }
}

async fn replace_on_four(misses: Misses, missing: [usize; 2]) {
    let disks = MemoryDevice::group(6);
    let store = start(&disks).await;
    let (old, new) = (body(1, LARGE), body(2, LARGE));
    fill(&store, head(1), &old).await.unwrap();
    pass(&store).await;
    for number in missing {
        let operation = match misses {
            Misses::Failing => Operation::Rename,
            Misses::Full => Operation::Create,
        };
        let errno = match misses {
            Misses::Failing => libc::EIO,
            Misses::Full => libc::ENOSPC,
        };
        disks[number].add_fault(Fault {
            operation,
            path_contains: "tmp/".to_owned(),
            errno,
            times: 100,
        });
    }
    fill(&store, head(1), &new).await.unwrap();
    let (there, gone) = ([new.clone()], [old]);
    let four: Vec<usize> = (0..6).filter(|number| !missing.contains(number)).collect();
    for [one, other] in pairs(4) {
        let dead = [four[one], four[other]];
        let case = format!("{misses:?} {missing:?}, dead {dead:?}");
        let disks = without(&disks, &dead);
        let store = start(&disks).await;
        check(&store, 1, &there, &gone, &case).await;
        pass(&store).await;
        check(&store, 1, &there, &gone, &case).await;
        // The two were only absent.
        let disks = killed(&disks);
        let store = start(&disks).await;
        let all_back = format!("{case}, all back");
        check(&store, 1, &there, &gone, &all_back).await;
        let found = answer(&store, 1).await.map(|(bytes, _)| bytes);
        assert!(found == Some(new.clone()), "{case}: nothing was lost");
    }
}

#[tokio::test]
async fn a_replacement_that_the_power_takes_leaves_the_old_or_the_new() {
    for (count, sizes) in [1, 2, 3, 4, 6, 13].into_iter().zip([[SMALL, LARGE]; 6]) {
        for size in sizes {
            for seed in 0..12 {
                lose_power(count, size, seed, Durability::Relaxed).await;
            }
            for seed in 0..4 {
                lose_power(count, size, seed, Durability::Strict).await;
            }
        }
    }
}

async fn lose_power(count: usize, size: usize, seed: u64, durability: Durability) {
    let disks = MemoryDevice::group(count);
    let store = start_with(&disks, durability).await;
    let (old, new) = (body(1, size), body(2, size + 1));
    fill(&store, head(1), &old).await.unwrap();
    pass(&store).await;
    fill(&store, head(1), &new).await.unwrap();
    let case = format!("{count} disks, {size} bytes, {durability:?}, seed {seed}");
    for absent in 0..=count.min(2) {
        let after = MemoryDevice::survivors(&disks, Survival::PowerLoss { seed });
        let is_whole = absent == count.min(2);
        if !is_whole {
            after[(seed as usize + absent) % count].remove();
        }
        if count == 1 && !is_whole {
            continue;
        }
        let store = start_with(&after, durability).await;
        let found = answer(&store, 1).await.map(|(bytes, _)| bytes);
        match durability {
            // One disk less is what every geometry of these survives.
            Durability::Strict => {
                assert!(found == Some(new.clone()), "{case}, absent {absent}");
            }
            Durability::Relaxed if is_whole => {
                let is_either = found
                    .as_ref()
                    .is_some_and(|found| *found == old || *found == new);
                assert!(
                    is_either,
                    "{case}: neither: {:?}",
                    found.map(|found| found.len())
                );
            }
            Durability::Relaxed => {
                assert!(
                    found.is_none_or(|found| found == old || found == new),
                    "{case}"
                );
                // Perhaps too little of the new one was here to say whether it counts; with all disks it is clear.
                let store = start(&killed(&after)).await;
                let found = answer(&store, 1).await;
                let is_either = found.is_some_and(|(found, _)| found == old || found == new);
                assert!(is_either, "{case}, absent {absent}, all back");
            }
        }
    }
}

#[tokio::test]
async fn a_purge_is_not_forgotten_while_a_file_of_it_could_not_be_removed() {
    for count in [1, 2, 4, 6] {
        for clinging in 0..count {
            for times in [1, 3, 1000] {
                for is_power_loss in [false, true] {
                    forget_early(count, clinging, times, is_power_loss).await;
                }
            }
        }
    }
}

async fn forget_early(count: usize, clinging: usize, times: u64, is_power_loss: bool) {
    let case = format!("{count} disks, {clinging} clings {times} times, power {is_power_loss}");
    let disks = MemoryDevice::group(count);
    let store = start(&disks).await;
    for number in [1, 2] {
        fill(&store, head(number), &body(number.into(), LARGE))
            .await
            .unwrap();
    }
    pass(&store).await;
    disks[clinging].add_fault(Fault {
        operation: Operation::Unlink,
        path_contains: "ec/".to_owned(),
        errno: libc::EIO,
        times,
    });
    store
        .ban(&url_of(1), PurgeMode::Remove, &[key(1)])
        .await
        .unwrap();
    outgrow_log(&store).await;
    for when in ["once", "twice", "again"] {
        assert!(answer(&store, 1).await.is_none(), "{case}: {when}");
        pass(&store).await;
    }
    let survival = match is_power_loss {
        true => Survival::PowerLoss {
            seed: times + clinging as u64,
        },
        false => Survival::Kill,
    };
    let mut disks = MemoryDevice::survivors(&disks, survival);
    for start_number in 1..3 {
        let store = start(&disks).await;
        assert!(
            answer(&store, 1).await.is_none(),
            "{case}: start {start_number}"
        );
        let other = answer(&store, 2).await.map(|(bytes, _)| bytes);
        assert!(
            other == Some(body(2, LARGE)),
            "{case}: start {start_number}"
        );
        pass(&store).await;
        assert!(
            answer(&store, 1).await.is_none(),
            "{case}: pass {start_number}"
        );
        assert_eq!(store.stats().bans.get(), 0, "{case}");
        disks = killed(&disks);
    }
}

/// Amends another object until the log is cleaned.
async fn outgrow_log(store: &Store) {
    let mut large = amendment(1);
    let filler = HeaderValue::from_bytes(&vec![b'x'; 53_000]).unwrap();
    for _ in 0..5 {
        large.headers.append("x-filler", filler.clone());
    }
    for amendment in [large, amendment(2)] {
        let object = store.lookup(&key(2)).await.remove(0);
        store.amend(&object, amendment).await.unwrap().unwrap();
    }
}
