//! Shards that are lost, one by one or with a whole disk, and written anew: the same bytes as before.

mod accepting;
mod crashing;
mod meanwhile;
mod order;
mod retiring;

use super::*;
use crate::device::memory::{Operation, Survival};
use crate::events::Event;
use report::DiskSlot;
use std::collections::BTreeMap;

const CALLS_MAX: u64 = 600;
const MIB: usize = 1024 * 1024;

/// Files of all disks: their bytes by disk and path.
type Files = BTreeMap<(usize, String), Vec<u8>>;

/// A store and its disks.
struct Rig {
    store: Arc<Store>,
    disks: Vec<Arc<MemoryDevice>>,
    settings: StoreSettings,
    clock: Arc<ManualClock>,
}

fn settings(parity: u8) -> StoreSettings {
    StoreSettings {
        parity,
        sha256: false,
        ..settings_for_tests()
    }
}

async fn open_all(
    disks: &[Arc<MemoryDevice>],
    settings: &StoreSettings,
    clock: &Arc<ManualClock>,
) -> Result<Arc<Store>, OpenError> {
    let devices = disks.iter().map(|disk| Arc::clone(disk) as Arc<dyn Device>);
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Store::open_without_timer(devices.collect(), settings.clone(), clock).await
}

impl Rig {
    async fn new(disks: usize, parity: u8) -> Self {
        Self::with(MemoryDevice::group(disks), settings(parity)).await
    }

    async fn with(disks: Vec<Arc<MemoryDevice>>, settings: StoreSettings) -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = open_all(&disks, &settings, &clock).await.unwrap();
        Self {
            store,
            disks,
            settings,
            clock,
        }
    }

    /// The process is killed; another one opens the same disks.
    async fn restarted(self) -> Self {
        let disks = MemoryDevice::survivors(&self.disks, Survival::Kill);
        Self::with(disks, self.settings.clone()).await
    }

    async fn fill(&self, number: u8, body: &Bytes) {
        fill(&self.store, head(number), body).await.unwrap();
    }

    fn files(&self) -> Files {
        let mut files = Files::new();
        for (number, disk) in self.disks.iter().enumerate() {
            for path in files_in(disk, "ec/") {
                let bytes = disk.bytes(&path).unwrap();
                files.insert((number, path), bytes);
            }
        }
        files
    }

    /// Notes that shards are missing, as who looked at the disk would.
    fn note_missing(&self, lost: &[(usize, String)]) {
        for (disk, path) in lost {
            let shard = layout::ShardName::of_path(path).unwrap();
            let mut index = lock(&self.store.core.index);
            index.set_missing(shard.slot, shard.sequence, shard.index);
            let record = index.record(shard.slot, shard.sequence).unwrap();
            drop(index);
            assert!(record.missing_on().contains(slot(*disk)), "{path}");
            let stats = &self.store.core.array.get(slot(*disk)).unwrap().stats;
            let bytes = record.name().shard_footprint_bytes();
            stats.stored_bytes.subtract(bytes);
            self.store.core.queue_repair(&record.name());
        }
    }

    async fn remove(&self, lost: &[(usize, String)]) {
        for (disk, path) in lost {
            self.disks[*disk].unlink(path).unwrap();
        }
    }

    async fn repair(&self) {
        let core = Arc::clone(&self.store.core);
        core.clone()
            .pool
            .run(move || core.repair_now())
            .await
            .unwrap();
    }

    /// What these disks had is lost and repaired, byte by byte.
    async fn check_repaired(&self, before: &Files, disks: &[usize], case: &str) {
        let lost = shards_on(before, disks);
        self.remove(&lost).await;
        self.note_missing(&lost);
        self.repair().await;
        assert_eq!(differences(before, &self.files()), [], "{case}: {disks:?}");
    }

    fn stored(&self) -> Vec<u64> {
        let disks = self.store.stats().disks();
        disks.iter().map(|disk| disk.stored_bytes.get()).collect()
    }

    fn missing(&self) -> u32 {
        let index = lock(&self.store.core.index);
        index
            .records()
            .map(|record| record.missing.count_ones())
            .sum()
    }

    /// On the disks of the pool: one that was retired is nobody's business.
    fn temporary_files(&self) -> usize {
        let ours = self.store.core.array.slots();
        let disks = (0..).zip(&self.disks);
        disks
            .filter(|(number, _)| ours.contains(DiskSlot(*number)))
            .map(|(_, disk)| files_in(disk, "tmp/").len())
            .sum()
    }
}

fn slot(disk: usize) -> DiskSlot {
    DiskSlot(u8::try_from(disk).unwrap())
}

fn differences(before: &Files, after: &Files) -> Vec<(usize, String)> {
    let names = before.keys().chain(after.keys());
    let mut different: Vec<_> = names
        .filter(|name| before.get(*name) != after.get(*name))
        .cloned()
        .collect();
    different.dedup();
    different
}

/// The shards that some disks have of everything.
fn shards_on(files: &Files, disks: &[usize]) -> Vec<(usize, String)> {
    let names = files.keys().filter(|(disk, _)| disks.contains(disk));
    names.cloned().collect()
}

/// Every pattern of one loss, and a few of two.
fn losses(disks: usize, parity: usize) -> Vec<Vec<usize>> {
    let mut losses: Vec<Vec<usize>> = (0..disks).map(|disk| vec![disk]).collect();
    if parity > 1 && disks > 2 {
        losses.extend((1..disks).map(|disk| vec![disk - 1, disk]));
        losses.push(vec![0, disks - 1]);
    }
    losses
}

async fn check_loss(disks: usize, parity: u8, lengths: &[usize]) {
    let rig = Rig::new(disks, parity).await;
    for (number, length) in (1_u8..).zip(lengths) {
        rig.fill(number, &body(u64::from(number), *length)).await;
    }
    let (before, stored) = (rig.files(), rig.stored());
    for lost in losses(disks, parity.into()) {
        let case = format!("{disks} disks, parity {parity}, without {lost:?}");
        rig.check_repaired(&before, &lost, &case).await;
        assert_eq!((rig.missing(), rig.temporary_files()), (0, 0), "{case}");
        assert_eq!(rig.stored(), stored, "{case}");
    }
}

const SMALL: [usize; 6] = [0, 1, 65_535, 65_536, 65_537, 300_000];

#[tokio::test]
async fn lost_copies_are_written_anew_byte_by_byte() {
    check_loss(2, 2, &SMALL).await;
    check_loss(3, 2, &SMALL).await;
    check_loss(2, 1, &SMALL).await;
}

#[tokio::test]
async fn lost_shards_of_stripes_are_written_anew_byte_by_byte() {
    for disks in [4, 5, 6] {
        check_loss(disks, 2, &SMALL).await;
    }
    for disks in [3, 4, 6] {
        check_loss(disks, 1, &SMALL).await;
    }
}

#[tokio::test]
async fn lost_shards_of_wide_arrays_are_written_anew_byte_by_byte() {
    check_loss(12, 2, &[100, 65_537, 1_000_000]).await;
    check_loss(14, 2, &[100, 65_537, 1_000_000]).await;
    check_loss(11, 1, &[100, 700_001]).await;
}

#[tokio::test]
async fn units_of_both_sizes_are_repaired() {
    let rig = Rig::new(4, 2).await;
    for (number, length) in [(1, 4 * MIB), (2, 4 * MIB + 1), (3, 5 * MIB + 77)] {
        rig.fill(number, &body(1, length)).await;
    }
    let before = rig.files();
    for lost in [[0, 1], [2, 3], [1, 3]] {
        rig.check_repaired(&before, &lost, "units").await;
    }
}

#[tokio::test]
async fn roles_that_rotate_within_an_object_are_repaired() {
    let rig = Rig::new(4, 2).await;
    // Of unknown length: small units, so that the second band begins after 32 MiB.
    let body = body(3, 33 * MIB + 5);
    let mut writer = rig.store.begin(head(1), None).await.unwrap();
    for piece in body.chunks(MIB) {
        writer.append(vec![body.slice_ref(piece)]).await.unwrap();
    }
    writer.commit().await.unwrap();
    let before = rig.files();
    for lost in [[0, 2], [1, 3]] {
        rig.check_repaired(&before, &lost, "roles").await;
    }
}

#[tokio::test]
async fn what_a_reader_finds_rotten_is_repaired() {
    let rig = Rig::new(6, 2).await;
    let body = body(1, 600_000);
    rig.fill(1, &body).await;
    let before = rig.files();
    let rotten: Vec<_> = before.keys().take(2).cloned().collect();
    for (disk, path) in &rotten {
        assert!(rig.disks[*disk].flip_page(path, 4096));
    }
    assert_eq!(get(&rig.store, 1).await, Some(body.clone()));
    rig.repair().await;
    // Parity is not read as long as the data is there.
    let unseen = differences(&before, &rig.files());
    assert!(unseen.len() < 2, "{unseen:?}");
    rig.note_missing(&unseen);
    rig.repair().await;
    assert_eq!(differences(&before, &rig.files()), []);
    assert_eq!(get(&rig.store, 1).await, Some(body));
    assert_eq!(rig.missing(), 0);
}

/// The shard's file with a footer that tells other digests of the tables.
fn contradicting(bytes: &[u8], disk: &Arc<MemoryDevice>, path: &str, pool: [u8; 16]) -> Vec<u8> {
    let name = layout::ShardName::of_path(path).unwrap();
    let opened = shard::Shard::open(disk.as_ref(), pool, name).unwrap();
    let footer = footer::Footer {
        table: opened.shard.table,
        length: name.data_bytes(),
        digests: opened.digests,
        table_digests: opened
            .table_digests
            .iter()
            .map(|digest| digest ^ 1)
            .collect(),
    };
    let data_start = opened.shard.data_start;
    let end = footer::footer_start(data_start, name.data_bytes());
    let mut bytes = bytes[..usize::try_from(end).unwrap()].to_vec();
    bytes.extend(footer.encode(name.identity(), data_start));
    bytes
}

#[tokio::test]
async fn a_shard_that_the_others_do_not_vouch_for_gets_no_name() {
    let rig = Rig::new(4, 2).await;
    rig.fill(1, &body(1, 300_000)).await;
    for ((disk, path), bytes) in rig.files() {
        let device = &rig.disks[disk];
        let bytes = contradicting(&bytes, device, &path, rig.store.core.pool_id);
        device.plant(&path, &bytes);
    }
    let lost = shards_on(&rig.files(), &[0]);
    rig.remove(&lost).await;
    rig.note_missing(&lost);
    let left = rig.files();
    rig.repair().await;
    assert_eq!(differences(&left, &rig.files()), []);
    assert_eq!((rig.missing(), rig.temporary_files()), (1, 0));
    assert_eq!(rig.store.stats().contradicted_shards.get(), 1);
}

#[tokio::test]
async fn an_object_with_too_few_shards_stays_as_it_is() {
    let rig = Rig::new(4, 2).await;
    rig.fill(1, &body(1, 300_000)).await;
    let before = rig.files();
    let lost = shards_on(&before, &[0, 1, 2]);
    rig.remove(&lost).await;
    rig.note_missing(&lost);
    let left = rig.files();
    rig.store.core.request_rebuild(slot(0));
    rig.repair().await;
    assert_eq!(differences(&left, &rig.files()), []);
    assert_eq!(rig.missing(), 3);
    assert_eq!(rig.store.core.rebuild_progress(slot(0)), None);
}

/// All files of a disk vanish while nobody looks.
fn empty(disk: &MemoryDevice) {
    for path in files_in(disk, "ec/") {
        disk.unlink(&path).unwrap();
    }
}

#[tokio::test]
async fn an_emptied_disk_is_rebuilt_and_told_of() {
    let rig = Rig::new(5, 2).await;
    let mut events = rig.store.events().subscribe();
    for number in 1..=20 {
        rig.fill(number, &body(number.into(), 20_000 * usize::from(number)))
            .await;
    }
    let before = rig.files();
    let on_it = shards_on(&before, &[2]).len() as u64;
    empty(&rig.disks[2]);
    // Nobody has noted that anything is missing: the recount finds it.
    rig.store.core.request_rebuild(slot(2));
    rig.repair().await;
    assert_eq!(differences(&before, &rig.files()), []);
    let done = Event::RebuildDone {
        disk: "memory-2".to_owned(),
        slot: slot(2),
        shards: on_it,
    };
    assert_eq!(events.waiting(), Some(done));
    assert_eq!(rig.store.core.rebuild_progress(slot(2)), None);
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_rebuild_goes_on_with_it() {
    let rig = Rig::new(4, 2).await;
    for number in 1..=10 {
        rig.fill(number, &body(number.into(), 100_000)).await;
    }
    maintain(&rig.store).await;
    let before = rig.files();
    let lost = shards_on(&before, &[1]);
    rig.remove(&lost).await;
    rig.note_missing(&lost);
    // Only the queue's first objects.
    for _ in 0..4 {
        let core = Arc::clone(&rig.store.core);
        let repair = move || assert!(core.repair_next());
        rig.store.core.pool.run(repair).await.unwrap();
    }
    assert_eq!(rig.missing(), 6);
    let rig = rig.restarted().await;
    assert_eq!(rig.missing(), 6);
    let progress = rig.store.core.rebuild_progress(slot(1)).unwrap();
    assert_eq!((progress.done, progress.total), (0, 6));
    rig.repair().await;
    assert_eq!(differences(&before, &rig.files()), []);
    // A clean end keeps what is missing too.
    let lost = shards_on(&before, &[3]);
    rig.remove(&lost).await;
    rig.note_missing(&lost);
    rig.store.close(CLOSE).await;
    let rig = rig.restarted().await;
    assert_eq!(rig.store.core.rebuild_progress(slot(3)).unwrap().total, 10);
    rig.repair().await;
    assert_eq!(differences(&before, &rig.files()), []);
}

/// What a client would get of each of these must be what was filled.
async fn check_bodies(store: &Store, bodies: &[(u8, Bytes)], case: &str) {
    for (number, body) in bodies {
        assert_eq!(
            get(store, *number).await.as_ref(),
            Some(body),
            "{case}: {number}"
        );
    }
}

/// Objects of all kinds, synced.
async fn filled(
    disks: usize,
    settings: &StoreSettings,
    lengths: &[usize],
) -> (Rig, Vec<(u8, Bytes)>) {
    let rig = Rig::with(MemoryDevice::group(disks), settings.clone()).await;
    let mut bodies = Vec::new();
    for (number, length) in (1_u8..).zip(lengths) {
        let body = body(number.into(), *length);
        rig.fill(number, &body).await;
        bodies.push((number, body));
    }
    maintain(&rig.store).await;
    (rig, bodies)
}

#[tokio::test]
async fn progress_names_the_time_that_is_left() {
    let rig = Rig::new(4, 2).await;
    for number in 1..=4 {
        rig.fill(number, &body(1, 100_000)).await;
    }
    let lost = shards_on(&rig.files(), &[1]);
    rig.remove(&lost).await;
    rig.note_missing(&lost);
    rig.store.core.request_rebuild(slot(1));
    let core = Arc::clone(&rig.store.core);
    let repair = move || assert!(core.repair_next());
    rig.store.core.pool.run(repair).await.unwrap();
    rig.clock.advance(Duration::from_secs(10));
    let progress = rig.store.core.rebuild_progress(slot(1)).unwrap();
    assert_eq!((progress.done, progress.total), (1, 4));
    assert_eq!(progress.left, Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn objects_beyond_the_queue_are_found_by_a_walk() {
    let rig = Rig::new(4, 2).await;
    rig.fill(1, &body(1, 100_000)).await;
    let before = rig.files();
    let lost = shards_on(&before, &[1]);
    rig.remove(&lost).await;
    let record = lock(&rig.store.core.index).records().next().unwrap();
    for sequence in 0..repair::QUEUE_MAX as u64 {
        let mut name = record.name();
        name.sequence = crate::object::Sequence(sequence);
        rig.store.core.queue_repair(&name);
    }
    rig.note_missing(&lost);
    assert_eq!(rig.store.stats().repair_queue_full.get(), 1);
    rig.repair().await;
    assert_eq!(differences(&before, &rig.files()), []);
}
