//! Which folders are opened, and what a start trusts.

use super::*;
use crate::device::file::FileDevice;
use crate::device::memory::Survival;

async fn refusal(device: Arc<dyn Device>) -> String {
    open_with(device, settings_for_tests())
        .await
        .unwrap_err()
        .to_string()
}

#[tokio::test]
async fn an_absent_and_an_empty_folder_are_formatted() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("deep/er"), folder.path().join("empty")] {
        if path.ends_with("empty") {
            std::fs::create_dir(&path).unwrap();
        }
        open_with(Arc::new(FileDevice::new(&path)), settings_for_tests())
            .await
            .unwrap();
        assert!(path.join("super.A").exists() || path.join("super.B").exists());
        for name in layout::FOLDERS {
            assert!(path.join(name).is_dir(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_folder_with_other_data_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), "dear").unwrap();
    let text = refusal(Arc::new(FileDevice::new(folder.path()))).await;
    assert!(
        text.contains("thesis.tex") && text.contains("use an empty or absent folder"),
        "{text}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_file_in_place_of_the_folder_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "x").unwrap();
    let text = refusal(Arc::new(FileDevice::new(&path))).await;
    assert!(text.contains("use another folder"), "{text}");
}

#[tokio::test]
async fn a_stray_file_among_the_objects_and_a_folder_in_tmp_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let reopen = || {
        open_with(
            Arc::new(FileDevice::new(folder.path())),
            settings_for_tests(),
        )
    };
    let store = reopen().await.unwrap();
    fill(&store, head(1), &body(1, 1000)).await.unwrap();
    // Not closed: the next start has to read the names.
    store.core.array.unlock();
    let stray = [
        folder.path().join("ec/notes.txt"),
        folder.path().join("tmp/mine"),
    ];
    std::fs::write(&stray[0], "dear").unwrap();
    std::fs::create_dir(&stray[1]).unwrap();
    let store = reopen().await.unwrap();
    assert_eq!(get(&store, 1).await, Some(body(1, 1000)));
    assert!(stray.iter().all(|path| path.exists()));
}

#[tokio::test]
async fn a_read_only_disk_cannot_be_opened() {
    let device = MemoryDevice::new();
    device.remount_read_only();
    let text = refusal(Arc::new(device)).await;
    assert!(text.contains("mount it writable"), "{text}");
}

#[tokio::test]
async fn a_second_owner_is_told_who_the_first_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let first = open_with(
        Arc::new(FileDevice::new(folder.path())),
        settings_for_tests(),
    )
    .await
    .unwrap();
    let second = open_with(
        Arc::new(FileDevice::new(folder.path())),
        settings_for_tests(),
    )
    .await;
    assert!(matches!(second, Err(OpenError::Owned { pid, .. }) if pid == std::process::id()));
    first.close(CLOSE).await;
    open_with(
        Arc::new(FileDevice::new(folder.path())),
        settings_for_tests(),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn no_disk_is_refused_and_several_are_opened() {
    for count in [0, 2, 3] {
        let devices = (0..count)
            .map(|_| Arc::new(MemoryDevice::new()) as Arc<dyn Device>)
            .collect();
        let opened = Store::open_without_timer(
            devices,
            settings_for_tests(),
            Arc::new(ManualClock::default()),
        )
        .await;
        match opened {
            Ok(store) => assert_eq!(store.stats().disks().len(), count),
            Err(error) => {
                assert!(matches!(error, OpenError::Unusable { .. }), "{error}");
                assert_eq!(count, 0);
            }
        }
    }
}

#[tokio::test]
async fn lost_superblocks_above_objects_are_never_formatted_over() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    fill(&store, head(1), &body(1, 10)).await.unwrap();
    let device = device.surviving(Survival::Kill);
    for path in files_in(&device, "super") {
        device.flip(&path, 20);
    }
    let files = device.paths().len();
    let device = Arc::new(device);
    let text = refusal(Arc::clone(&device) as Arc<dyn Device>).await;
    assert!(text.contains("both superblocks are damaged"), "{text}");
    assert!(device.paths().len() <= files + 1);
}

#[tokio::test]
async fn a_clean_close_leaves_a_checkpoint_that_makes_the_next_start_read_no_names() {
    let device = Arc::new(MemoryDevice::new());
    let store = open(&device).await;
    for number in 0..50 {
        fill(&store, head(number), &body(1, 10)).await.unwrap();
    }
    store.close(CLOSE).await;
    let (clean, killed) = (
        Arc::new(device.surviving(Survival::Kill)),
        device.surviving(Survival::Kill),
    );
    assert_eq!(files_in(&clean, "ckpt/").len(), 1);
    let store = open(&clean).await;
    assert_eq!(store.stats().objects.get(), 50);
    assert!(
        files_in(&clean, "ckpt/").is_empty(),
        "out of date from now on"
    );
    let with_checkpoint = clean.calls();
    let checkpoint = files_in(&killed, "ckpt/").remove(0);
    killed.flip(&checkpoint, 90);
    let killed = Arc::new(killed);
    let store = open(&killed).await;
    assert_eq!(
        store.stats().objects.get(),
        50,
        "a damaged checkpoint means a scan"
    );
    assert!(killed.calls() > with_checkpoint + 40);
    assert_eq!(get(&store, 7).await, Some(body(1, 10)));
}

#[tokio::test]
async fn the_last_use_survives_a_clean_restart() {
    let device = Arc::new(MemoryDevice::new());
    let clock = Arc::new(ManualClock::default());
    let open = async |settings| {
        let devices = vec![Arc::clone(&device) as Arc<dyn Device>];
        Store::open_without_timer(devices, settings, Arc::clone(&clock) as Arc<dyn Clock>)
            .await
            .unwrap()
    };
    let store = open(settings_for_tests()).await;
    for number in 0..6 {
        fill(&store, head(number), &body(1, 10)).await.unwrap();
    }
    clock.advance(Duration::from_secs(100));
    store.lookup(&key(0)).await[0].touch();
    store.close(CLOSE).await;
    drop(store);
    let store = open(StoreSettings {
        objects_max: 6,
        ..settings_for_tests()
    })
    .await;
    // Eviction looks at a sample: as long as half of the objects are older, one of them is practically always in it.
    for number in 10..13 {
        fill(&store, head(number), &body(1, 10)).await.unwrap();
    }
    assert!(get(&store, 0).await.is_some());
}

#[tokio::test]
async fn a_file_with_a_strange_name_is_left_alone() {
    let device = Arc::new(MemoryDevice::new());
    open(&device).await.close(CLOSE).await;
    let device = device.surviving(Survival::Kill);
    for path in files_in(&device, "ckpt/") {
        device.flip(&path, 3);
    }
    device.mkdir("ec/010").unwrap();
    device.plant("ec/010/README", b"hello");
    let device = Arc::new(device);
    assert_eq!(open(&device).await.stats().objects.get(), 0);
    assert_eq!(
        device.bytes("ec/010/README").as_deref(),
        Some(&b"hello"[..])
    );
}
