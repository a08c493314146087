//! The course of a pass: begun, paused, ended by a crash or a close, gone on with, and begun by itself.

use super::watched::Watched;
use super::*;
use crate::device::memory::Survival;
use std::sync::Mutex as StdMutex;

const HOUR: Duration = Duration::from_secs(3600);

/// One watched disk, the objects 1 … 8 on it, and its clock.
async fn watched(
    disk: &Arc<MemoryDevice>,
    settings: StoreSettings,
) -> (Arc<Watched>, Arc<ManualClock>, Arc<Store>) {
    let watched = Watched::new(disk);
    let clock = Arc::new(ManualClock::default());
    let devices = vec![Arc::clone(&watched) as Arc<dyn Device>];
    let store = Store::open_without_timer(devices, settings, Arc::clone(&clock) as _)
        .await
        .unwrap();
    if files_in(disk, "ec/").is_empty() {
        for number in 1..=8 {
            fill(&store, head(number), &body(1, 1000)).await.unwrap();
        }
    }
    (watched, clock, store)
}

fn folders(numbers: std::ops::RangeInclusive<u8>) -> Vec<String> {
    numbers.map(|number| format!("ec/0{number}0")).collect()
}

#[tokio::test]
async fn after_a_crash_a_pass_goes_on_where_it_was() {
    let disk = Arc::new(MemoryDevice::new());
    let (watch, clock, store) = watched(&disk, settings_for_tests()).await;
    let survivor = Arc::new(StdMutex::new(None));
    let (keep, dying) = (Arc::clone(&survivor), Arc::clone(&disk));
    // The eleventh second, and then the machine dies while it reads the sixth folder.
    let (ticking, later) = (Arc::clone(&clock), Arc::clone(&watch));
    watch.before("ec/030", move || {
        ticking.advance(Duration::from_secs(11));
        later.before("ec/060", move || {
            *keep.lock().unwrap() = Some(dying.surviving(Survival::PowerLoss { seed: 1 }));
        });
    });
    maintain(&store).await;
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(watch.take_folders(), folders(1..=8));
    let disk = Arc::new(survivor.lock().unwrap().take().unwrap());
    let (watch, _, store) = watched(&disk, settings_for_tests()).await;
    assert_eq!(store.scrub().state, ScrubState::Running);
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(watch.take_folders(), folders(4..=8));
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(watch.take_folders(), folders(1..=8), "another pass");
}

#[tokio::test]
async fn after_a_close_a_pass_goes_on_at_the_very_folder() {
    let disk = Arc::new(MemoryDevice::new());
    let (watch, _, store) = watched(&disk, settings_for_tests()).await;
    let core = Arc::clone(&store.core);
    watch.before("ec/050", move || core.stop_scrub());
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(watch.take_folders(), folders(1..=5));
    store.close(CLOSE).await;
    let (watch, _, store) = watched(&disk, settings_for_tests()).await;
    assert_eq!(store.scrub().state, ScrubState::Running);
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(watch.take_folders(), folders(5..=8));
    assert_eq!(store.scrub().state, ScrubState::Idle);
}

#[tokio::test]
async fn a_damaged_course_starts_over() {
    let disk = Arc::new(MemoryDevice::new());
    let (watch, _, store) = watched(&disk, settings_for_tests()).await;
    let core = Arc::clone(&store.core);
    watch.before("ec/050", move || core.stop_scrub());
    store.core.scrub_now(ScrubDepth::Blocks);
    store.close(CLOSE).await;
    assert!(disk.flip("scrub", 20));
    let (watch, _, store) = watched(&disk, settings_for_tests()).await;
    assert_eq!(store.scrub().state, ScrubState::Idle);
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(watch.take_folders(), folders(1..=8));
}

#[tokio::test]
async fn a_pause_ends_the_reading_and_survives_everything() {
    let disk = Arc::new(MemoryDevice::new());
    let (watch, _, store) = watched(&disk, settings_for_tests()).await;
    let core = Arc::clone(&store.core);
    watch.before("ec/040", move || core.pause_scrub());
    store.core.scrub_now(ScrubDepth::Parity);
    assert_eq!(watch.take_folders(), folders(1..=4));
    assert_eq!(store.scrub().state, ScrubState::Paused);
    assert!(store.core.pool.drain(CLOSE), "the disk is told");
    let disk = Arc::new(disk.surviving(Survival::PowerLoss { seed: 1 }));
    let (_, _, store) = watched(&disk, settings_for_tests()).await;
    assert_eq!(store.scrub().state, ScrubState::Paused);
    store.close(CLOSE).await;
    let (watch, clock, store) = watched(&disk, due_hourly()).await;
    clock.advance(100 * HOUR);
    store.core.start_scrub_if_due();
    assert_eq!(store.scrub().state, ScrubState::Paused, "nor by itself");
    assert_eq!(store.scrub().depth, ScrubDepth::Parity);
    store.core.scrub_now(ScrubDepth::Blocks);
    assert_eq!(watch.take_folders(), folders(4..=8), "it goes on");
}

#[tokio::test]
async fn objects_that_vanish_or_change_during_the_pass_are_nothing() {
    let disk = Arc::new(MemoryDevice::new());
    let (watch, _, store) = watched(&disk, settings_for_tests()).await;
    let mut events = store.events().subscribe();
    let (core, planted) = (Arc::clone(&store.core), Arc::clone(&disk));
    watch.before("ec/050", move || {
        for number in [5, 6] {
            let record = lock(&core.index).find(key(number).short())[0];
            core.remove_object(&record.name(), EvictionCause::Purged);
        }
        planted.plant("ec/070/left", b"by somebody");
    });
    store.core.scrub_now(ScrubDepth::Blocks);
    let found = store.core.scrub_findings();
    assert_eq!((found.bad_shards, found.unread_files), (0, 0));
    assert_eq!(corrupt_blocks(&store), [0]);
    assert_eq!(events.waiting(), None);
    assert_eq!(store.stats().objects.get(), 6);
}

#[tokio::test]
async fn progress_is_files_of_files_and_the_time_that_is_left() {
    let disk = Arc::new(MemoryDevice::new());
    let (watch, clock, store) = watched(&disk, settings_for_tests()).await;
    assert_eq!(store.core.scrub_progress(report::DiskSlot(0)), None);
    let (core, seen) = (Arc::clone(&store.core), Arc::new(StdMutex::new(None)));
    let keep = Arc::clone(&seen);
    watch.before("ec/030", move || {
        clock.advance(Duration::from_secs(10));
        let of_disk = core.scrub_progress(report::DiskSlot(0)).unwrap();
        *keep.lock().unwrap() = Some((of_disk, core.scrub_report()));
    });
    store.core.scrub_now(ScrubDepth::Blocks);
    let (of_disk, report) = seen.lock().unwrap().take().unwrap();
    let expected = report::Progress {
        done: 2,
        total: 8,
        left: Some(Duration::from_secs(30)),
    };
    assert_eq!(of_disk, expected);
    assert_eq!(report.progress, expected);
    assert_eq!(report.state, ScrubState::Running);
    assert_eq!(store.core.scrub_progress(report::DiskSlot(0)), None);
}

fn due_hourly() -> StoreSettings {
    StoreSettings {
        scrub_interval: Some(HOUR),
        ..settings_for_tests()
    }
}

/// Whether a pass begins by itself; if so it is read.
fn is_due(store: &Store) -> bool {
    store.core.start_scrub_if_due();
    let is_due = store.scrub().state == ScrubState::Running;
    if is_due {
        store.core.scrub_now(ScrubDepth::Blocks);
    }
    is_due
}

#[tokio::test]
async fn a_pass_begins_by_itself_whatever_the_wall_clock_does() {
    let disk = Arc::new(MemoryDevice::new());
    let (_, clock, store) = watched(&disk, due_hourly()).await;
    assert!(!is_due(&store));
    for year in [0_u32, 40 * 365 * 24, 56 * 365 * 24, 100 * 365 * 24] {
        clock.set_wall(SystemTime::UNIX_EPOCH + year * HOUR);
        assert!(!is_due(&store), "{year}");
        clock.advance(HOUR / 2);
        assert!(!is_due(&store), "{year}");
        clock.advance(HOUR / 2);
        assert!(is_due(&store), "{year}");
        assert!(!is_due(&store), "{year}");
        assert_eq!(store.scrub().since_last_pass, Some(Duration::ZERO));
    }
    let never = StoreSettings {
        scrub_interval: None,
        ..settings_for_tests()
    };
    let (_, clock, store) = watched(&Arc::new(MemoryDevice::new()), never).await;
    clock.advance(1_000_000 * HOUR);
    assert!(!is_due(&store));
}

#[tokio::test]
async fn the_interval_goes_on_over_a_restart() {
    let check = async |seconds_between: i64, is_due_then: bool, is_due_in_an_hour: bool| {
        let disk = Arc::new(MemoryDevice::new());
        let (_, clock, store) = watched(&disk, due_hourly()).await;
        store.core.scrub_now(ScrubDepth::Blocks);
        let ended = clock.wall();
        store.close(CLOSE).await;
        let devices = vec![Arc::clone(&disk) as Arc<dyn Device>];
        let between = Duration::from_secs(seconds_between.unsigned_abs());
        let start = match seconds_between < 0 {
            true => ended - between,
            false => ended + between,
        };
        let clock = Arc::new(ManualClock::starting_at(start));
        let store = Store::open_without_timer(devices, due_hourly(), Arc::clone(&clock) as _)
            .await
            .unwrap();
        assert_eq!(is_due(&store), is_due_then, "{seconds_between}");
        clock.advance(HOUR);
        assert_eq!(is_due(&store), is_due_in_an_hour, "{seconds_between}");
    };
    check(60, false, true).await;
    check(3601, true, true).await;
    check(-1_000_000, false, true).await;
    check(1_000_000_000, true, true).await;
}

#[tokio::test]
async fn a_disk_that_hangs_holds_up_neither_the_others_nor_a_pause_nor_the_end() {
    let (disks, store) = filled(4, 2, settings_for_tests()).await;
    disks[2].hold(Operation::OpenUnbuffered);
    assert!(disks[1].flip(&path_on(&disks[1], 1), 5000));
    store.core.start_scrub(ScrubDepth::Blocks);
    scrub::start_scrubber(&store.core).unwrap();
    assert!(disks[2].wait_until_hanging(1));
    store.core.await_findings(|found| found.files == 6);
    assert_eq!(store.scrub().state, ScrubState::Running);
    assert_eq!(missing(&store, 1), 1 << 1);
    store.core.pause_scrub();
    assert_eq!(store.scrub().state, ScrubState::Paused);
    store.close(CLOSE).await;
    assert_eq!(disks[2].hanging(), 1, "its thread is left behind");
    let calls = disks[0].calls();
    disks[2].release();
    let store = open_disks(&disks, settings_for_tests()).await;
    assert!(disks[0].calls() > calls);
    assert_eq!(store.scrub().state, ScrubState::Paused);
}

#[tokio::test]
async fn a_store_that_runs_reads_all_disks_at_once() {
    let (disks, store) = filled(4, 3, settings_for_tests()).await;
    drop(store);
    let disks = MemoryDevice::survivors(&disks, Survival::Kill);
    let devices = disks.iter().map(|disk| Arc::clone(disk) as Arc<dyn Device>);
    let clock = Arc::new(ManualClock::default());
    let store = Store::open(devices.collect(), settings_for_tests(), clock)
        .await
        .unwrap();
    for disk in &disks {
        disk.hold(Operation::OpenUnbuffered);
    }
    store.start_scrub(ScrubDepth::Blocks);
    for disk in &disks {
        assert!(disk.wait_until_hanging(1), "each has a thread of its own");
    }
    for disk in &disks {
        disk.release();
    }
    store.core.await_findings(|found| found.files == 12);
    store.close(CLOSE).await;
}
