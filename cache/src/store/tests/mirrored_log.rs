//! The metadata log on three disks while one of them dies, and what each of them is good for afterwards.
//!
//! The objects are on a disk of their own that never fails: here it is only about what is known of them besides.

use super::amendment::{amendment, version};
use super::metadata_log::large;
use super::*;
use crate::device::memory::Survival;
use log::merge;
use log::mirror::Mirror;
use report::DiskSlot;
use weir_policies::purge::{PurgeMode, PurgeScope};

const CALLS_MAX: u64 = 400;

/// A store, the disk of its objects, and those of its log.
struct Rig {
    store: Arc<Store>,
    objects: Arc<MemoryDevice>,
    logs: Vec<Arc<MemoryDevice>>,
}

impl Rig {
    /// Two objects, one of them amended before the log goes to disks of its own.
    async fn new(count: u8) -> Self {
        let objects = Arc::new(MemoryDevice::new());
        let settings = StoreSettings {
            durability: Durability::Strict,
            sha256: false,
            ..settings_for_tests()
        };
        let device = Arc::clone(&objects) as Arc<dyn Device>;
        let store = open_with(device, settings).await.unwrap();
        let mut rig = Self {
            store,
            objects,
            logs: Vec::new(),
        };
        for number in 1..3 {
            fill(&rig.store, head(number), &body(1, 500)).await.unwrap();
        }
        rig.amend(1, amendment(1)).await;
        for slot in 1..=count {
            rig.add(slot);
        }
        assert!(rig.store.core.log.mirror.drop_replica(DiskSlot(0)));
        rig
    }

    fn add(&mut self, slot: u8) {
        let disk = Arc::new(MemoryDevice::new());
        let device = Arc::clone(&disk) as Arc<dyn Device>;
        let core = &self.store.core;
        core.log
            .add_replica(core.pool_id, DiskSlot(slot), device)
            .unwrap();
        self.logs.push(disk);
    }

    async fn amend(&self, number: u8, amendment: crate::object::Amendment) {
        let object = self.store.lookup(&key(number)).await.remove(0);
        self.store.amend(&object, amendment).await.unwrap().unwrap();
    }

    /// Amendments, purges and a cleaning; every one of them is acknowledged.
    async fn run(&self) {
        let _awaited = self.awaited();
        self.make_cleaning_pay().await;
        self.clean_and_go_on().await;
    }

    /// Keeps the ban of `one` from being over with the next pass.
    fn awaited(&self) -> BanWatch {
        self.store.watch("http://host/one/x")
    }

    async fn make_cleaning_pay(&self) {
        self.amend(2, amendment(2)).await;
        self.ban("over").await;
        self.ban("one").await;
        for version in 3..6 {
            self.amend(2, large(version)).await;
        }
        self.amend(2, amendment(6)).await;
    }

    async fn clean_and_go_on(&self) {
        maintain(&self.store).await;
        let bytes = self.store.stats().metadata_log_bytes.get();
        assert!(bytes < 300_000, "nothing was cleaned: {bytes}");
        self.ban("two").await;
        self.amend(1, amendment(7)).await;
    }

    async fn ban(&self, name: &str) {
        let scope = PurgeScope::prefix(&format!("http://host/{name}/")).unwrap();
        self.store
            .ban(&scope, PurgeMode::Remove, &[])
            .await
            .unwrap();
    }

    /// What a start finds that has this log.
    async fn check(&self, log: &MemoryDevice, case: &str) {
        let disk = Arc::new(self.objects.surviving(Survival::Kill));
        for path in files_in(&disk, "log/") {
            disk.unlink(&path).unwrap();
        }
        for path in files_in(log, "log/") {
            disk.plant(&path, &log.bytes(&path).unwrap());
        }
        let store = open(&disk).await;
        for (number, expected) in [(1, 7), (2, 6)] {
            let found = store.lookup(&key(number)).await.remove(0);
            assert_eq!(version(&found), expected, "{case}: {number}");
            assert!(!found.head().invalidated, "{case}: {number}");
        }
        assert_eq!(store.core.bans.in_force().len(), 2, "{case}");
        assert_eq!(store.stats().log_problems.get(), 0, "{case}");
    }

    /// What a start finds that has these logs.
    async fn check_merged(&self, logs: &[MemoryDevice], case: &str) {
        let logs: Vec<_> = logs
            .iter()
            .map(|log| Arc::new(log.surviving(Survival::Kill)))
            .collect();
        let replicas = (1..).zip(&logs);
        let replicas = replicas
            .map(|(slot, log)| (DiskSlot(slot), Arc::clone(log) as Arc<dyn Device>))
            .collect();
        let mirror = Mirror::new(replicas, Arc::new(NobodyIsLost));
        merge::reconcile(&mirror, self.store.core.pool_id).unwrap();
        for (number, log) in logs.iter().enumerate() {
            let contents = |log: &MemoryDevice| {
                let paths = files_in(log, "log/").into_iter();
                let contents = paths.map(|path| (log.bytes(&path), path));
                contents.collect::<Vec<_>>()
            };
            assert_eq!(contents(log), contents(&logs[0]), "{case}: {number}");
            self.check(log, case).await;
        }
    }

    fn surviving(&self) -> Vec<MemoryDevice> {
        let left = self.store.core.log.mirror.replicas();
        let slots = (1..).map(DiskSlot).zip(&self.logs);
        let logs = slots.filter(|(slot, _)| left.contains(slot));
        logs.map(|(_, log)| log.surviving(Survival::Kill)).collect()
    }
}

#[derive(Debug)]
struct NobodyIsLost;

impl log::mirror::ReplicaLoss for NobodyIsLost {
    fn lost(&self, slot: DiskSlot, operation: &'static str, error: &std::io::Error) {
        panic!("{slot} is lost: {operation}: {error}");
    }
}

#[tokio::test]
async fn whichever_disk_dies_at_whichever_call_the_others_have_what_was_acknowledged() {
    for victim in 0..3 {
        let mut finished = false;
        for call in 1..CALLS_MAX {
            let rig = Rig::new(3).await;
            let disk = &rig.logs[victim];
            disk.crash_at(disk.calls() + call);
            rig.run().await;
            let case = format!("disk {victim} dies at call {call}");
            let left = rig.surviving();
            finished = !disk.has_crashed();
            // Each step ends with a change, which a dead disk does not take.
            assert_eq!(left.len(), if finished { 3 } else { 2 }, "{case}");
            for log in &left {
                rig.check(log, &case).await;
            }
            rig.check_merged(&left, &case).await;
            if finished {
                assert!(call > 15, "the scenario is too short: {call} calls");
                break;
            }
        }
        assert!(finished, "the scenario never ran through");
    }
}

#[tokio::test]
async fn what_one_machine_loses_with_its_power_another_still_has() {
    for victim in 0..3 {
        for seed in 0..16 {
            let rig = Rig::new(3).await;
            rig.run().await;
            let mut logs = rig.surviving();
            logs[victim] = rig.logs[victim].surviving(Survival::PowerLoss { seed });
            rig.check_merged(&logs, &format!("disk {victim}, seed {seed}"))
                .await;
        }
    }
}

#[tokio::test]
async fn a_disk_that_came_later_is_enough_when_the_others_are_gone() {
    for is_late in [false, true] {
        let mut rig = Rig::new(2).await;
        if !is_late {
            rig.add(3);
        }
        for log in &rig.logs[..2] {
            log.crash_at(log.calls() + if is_late { CALLS_MAX } else { 5 });
        }
        rig.run().await;
        if is_late {
            rig.add(3);
        }
        let case = format!("added late: {is_late}");
        rig.check(&rig.logs[2].surviving(Survival::Kill), &case)
            .await;
    }
}

/// The claim of merge.rs: numbers decide, not places.
#[tokio::test]
async fn a_file_that_comes_back_after_it_was_cleaned_away_changes_nothing() {
    for back in [&[0][..], &[1], &[1, 2]] {
        let rig = Rig::new(3).await;
        let _awaited = rig.awaited();
        rig.make_cleaning_pay().await;
        let path = files_in(&rig.logs[0], "log/").remove(0);
        let cleaned = rig.logs[0].bytes(&path).unwrap();
        rig.clean_and_go_on().await;
        assert!(rig.logs[0].bytes(&path).is_none());
        let logs = rig.surviving();
        for disk in back {
            logs[*disk].plant(&path, &cleaned);
        }
        rig.check_merged(&logs, &format!("back on {back:?}")).await;
    }
}

/// Flips a bit in every file of one log.
fn spoil(log: &MemoryDevice, from_end: u64) -> usize {
    let paths = files_in(log, "log/");
    let flipped = paths.iter().filter(|path| {
        let length = log.file_length(path).unwrap();
        log.flip(path, length.saturating_sub(from_end))
    });
    flipped.count()
}

#[tokio::test]
async fn a_flipped_bit_on_one_disk_is_read_from_another_and_repaired() {
    let rig = Rig::new(3).await;
    rig.amend(1, amendment(3)).await;
    let path = files_in(&rig.logs[0], "log/").remove(0);
    let whole = rig.logs[0].bytes(&path).unwrap();
    for disks in [&[0][..], &[0, 1]] {
        for disk in disks {
            assert_eq!(spoil(&rig.logs[*disk], 40), 1);
        }
        rig.store.core.handles.invalidate_all();
        let found = rig.store.lookup(&key(1)).await.remove(0);
        assert_eq!(version(&found), 3);
        assert!(!found.head().invalidated);
        assert_eq!(rig.store.stats().log_problems.get(), 0);
        for log in &rig.logs {
            assert!(log.bytes(&path).unwrap() == whole, "{disks:?}");
        }
    }
    for log in &rig.logs {
        spoil(log, 40);
    }
    rig.store.core.handles.invalidate_all();
    let found = rig.store.lookup(&key(1)).await.remove(0);
    assert!(
        found.head().invalidated,
        "nobody knows: its origin is asked"
    );
}

#[tokio::test]
async fn cleaning_takes_each_record_from_the_disk_that_has_it() {
    let rig = Rig::new(3).await;
    for (disk, place) in [(0, 70), (1, 90)] {
        let path = files_in(&rig.logs[disk], "log/").remove(0);
        assert!(rig.logs[disk].flip(&path, place));
    }
    for number in 3..6 {
        rig.amend(2, large(number)).await;
    }
    spoil(&rig.logs[2], 1000);
    rig.amend(2, amendment(6)).await;
    maintain(&rig.store).await;
    assert!(rig.store.stats().metadata_log_bytes.get() < 300_000);
    assert_eq!(rig.store.stats().log_problems.get(), 0);
    rig.amend(1, amendment(7)).await;
    for name in ["one", "two"] {
        rig.ban(name).await;
    }
    for log in rig.surviving() {
        rig.check(&log, "after cleaning").await;
    }
}
