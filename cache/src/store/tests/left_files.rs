//! Files that nobody finds any more and that the disk would not remove, over ends and starts of the store: as long as
//! one is there its ban stays, and no start may forget it.

use super::bans::purge;
use super::*;
use crate::device::memory::{Fault, Operation, Survival};
use crate::object::Sequence;
use superblock::Superblock;
use weir_policies::purge::{PurgeMode, PurgeScope};

/// How the first generation of object 1 comes to be on the disk without an entry in the index.
#[derive(Debug, Clone, Copy)]
enum Stray {
    /// Another one has taken its place.
    Replaced,
    /// As before, and there were too many to wait for a sync.
    ReplacedAndDropped,
    /// It did not read as written.
    Corrupt,
    /// Somebody asked for it to be forgotten.
    Forgotten,
}

impl Stray {
    const ALL: [Self; 4] = [
        Self::Replaced,
        Self::ReplacedAndDropped,
        Self::Corrupt,
        Self::Forgotten,
    ];

    async fn make(self, store: &Store, device: &MemoryDevice, object: &Object) {
        match self {
            Self::Replaced => replace(store, 1).await,
            Self::ReplacedAndDropped => {
                replace(store, 1).await;
                crowd(store);
                device.add_fault(fault(Operation::Write, "super."));
                fill(store, head(2), &body(2, 10)).await.unwrap();
                replace(store, 2).await;
                assert_eq!(store.core.replaced.take(object.name().slot), []);
            }
            Self::Corrupt => {
                assert!(device.flip(&object.name().path(), 200_000));
                read_all(object).await.unwrap_err();
            }
            Self::Forgotten => store.forget(&key(1)).await,
        }
    }
}

/// When the disk does again what it is asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Healing {
    BeforeTheEnd,
    BeforeTheStart,
    AfterTheSweep,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Close,
    Retire,
}

fn fault(operation: Operation, path: &str) -> Fault {
    Fault {
        operation,
        path_contains: path.to_owned(),
        errno: libc::EIO,
        times: u64::MAX,
    }
}

async fn replace(store: &Store, number: u8) {
    fill(store, head(number), &body(9, 20)).await.unwrap();
}

/// Lets so many files wait for a sync that the next one is too many.
fn crowd(store: &Store) {
    let waiting = &store.core.replaced;
    let slot = layout::Slot { key: 7, variant: 7 };
    for number in 0.. {
        if waiting.len() + 1 >= replaced::WAITING_MAX {
            return;
        }
        waiting.add(index::Record::on_one_disk(slot, Sequence(number), 0));
    }
}

async fn check(stray: Stray, healing: Healing, end: End) {
    let when = format!("{stray:?}, heals {healing:?}, {end:?}");
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    let object = fill(&store, head(1), &body(1, 300_000)).await.unwrap();
    let path = object.name().path();
    device.add_fault(fault(Operation::Unlink, &path));
    device.add_fault(fault(Operation::Rename, &path));
    stray.make(&store, &device, &object).await;
    drop(object);
    let everything = PurgeScope::prefix("http://host/").unwrap();
    device.clear_faults();
    device.add_fault(fault(Operation::Unlink, &path));
    purge(&store, &everything, PurgeMode::Remove).await.unwrap();
    if healing == Healing::BeforeTheEnd {
        device.clear_faults();
    }
    match end {
        End::Close => store.close(CLOSE).await,
        End::Retire => store.retire(CLOSE).await,
    }
    let is_there = || device.paths().contains(&path);
    assert_eq!(is_there(), healing != Healing::BeforeTheEnd, "{when}");
    let is_clean = Superblock::load(device.as_ref()).unwrap().clean;
    assert_eq!(is_clean, !is_there(), "{when}");
    if healing == Healing::BeforeTheStart {
        device.clear_faults();
    }
    let store = open(&device).await;
    maintain(&store).await;
    maintain(&store).await;
    assert_eq!(store.stats().bans.get(), u64::from(is_there()), "{when}");
    assert_eq!(is_there(), healing == Healing::AfterTheSweep, "{when}");
    assert!(store.lookup(&key(1)).await.is_empty(), "{when}");

    let killed = Arc::new(device.surviving(Survival::Kill));
    let store = open(&killed).await;
    assert!(store.lookup(&key(1)).await.is_empty(), "{when}, killed");
    maintain(&store).await;
    maintain(&store).await;
    assert_eq!(store.stats().bans.get(), 0, "{when}, killed");
    assert_eq!(files_in(&killed, "ec/"), [""; 0], "{when}, killed");
}

#[tokio::test]
async fn what_could_not_be_removed_does_not_come_back_after_an_end_and_a_crash() {
    for stray in Stray::ALL {
        for healing in [
            Healing::BeforeTheEnd,
            Healing::BeforeTheStart,
            Healing::AfterTheSweep,
        ] {
            for end in [End::Close, End::Retire] {
                check(stray, healing, end).await;
            }
        }
    }
}

#[tokio::test]
async fn a_replaced_file_that_an_end_removes_does_not_come_back_when_the_machine_dies() {
    for seed in 0..32 {
        let device = Arc::new(MemoryDevice::new());
        let store = open(&device).await;
        fill(&store, head(1), &body(1, 10)).await.unwrap();
        replace(&store, 1).await;
        store.close(CLOSE).await;
        let after = Arc::new(device.surviving(Survival::PowerLoss { seed }));
        assert_eq!(files_in(&after, "ec/").len(), 1, "seed {seed}");
        assert!(Superblock::load(after.as_ref()).unwrap().clean);
    }
}

#[tokio::test]
async fn a_store_that_does_not_know_what_is_left_on_the_disk_is_not_marked_clean() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    for number in 0..=ban::LEFT_MAX {
        store
            .core
            .bans
            .note_left(report::DiskSlot(0), &format!("ec/00/{number}"));
    }
    store.close(CLOSE).await;
    assert!(!Superblock::load(device.as_ref()).unwrap().clean);
    // The next start looks, and knows.
    let store = open(&device).await;
    store.close(CLOSE).await;
    assert!(Superblock::load(device.as_ref()).unwrap().clean);
}
