//! A store that has given its data away: its readers go on, and it leaves the disk alone.

use super::*;
use crate::device::memory::Operation;
use crate::ports::{DeviceFile, Space};
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// A disk as one process sees it: counts what this process changes, and opens.
#[derive(Debug)]
struct Watched {
    disk: Arc<MemoryDevice>,
    changes: Arc<AtomicU64>,
    opened: AtomicU64,
}

#[derive(Debug)]
struct WatchedFile {
    file: Arc<dyn DeviceFile>,
    changes: Arc<AtomicU64>,
}

impl Watched {
    fn new(disk: &Arc<MemoryDevice>) -> Arc<Self> {
        Arc::new(Self {
            disk: Arc::clone(disk),
            changes: Arc::default(),
            opened: AtomicU64::new(0),
        })
    }

    fn touched(&self) -> (u64, u64) {
        let changes = self.changes.load(Ordering::SeqCst);
        (changes, self.opened.load(Ordering::SeqCst))
    }

    fn change(&self) -> &MemoryDevice {
        self.changes.fetch_add(1, Ordering::SeqCst);
        &self.disk
    }

    fn watched(&self, file: Arc<dyn DeviceFile>) -> Arc<dyn DeviceFile> {
        let changes = Arc::clone(&self.changes);
        Arc::new(WatchedFile { file, changes })
    }
}

impl Device for Watched {
    fn name(&self) -> &'static str {
        "watched"
    }
    fn create(&self, path: &str) -> io::Result<Arc<dyn DeviceFile>> {
        self.change().create(path).map(|file| self.watched(file))
    }
    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn DeviceFile>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.disk.open(path, write).map(|file| self.watched(file))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change().rename(from, to)
    }
    fn unlink(&self, path: &str) -> io::Result<()> {
        self.change().unlink(path)
    }
    fn mkdir(&self, path: &str) -> io::Result<()> {
        self.change().mkdir(path)
    }
    fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        self.disk.read_dir(path)
    }
    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.change().sync_dir(path)
    }
    fn sync_all(&self) -> io::Result<()> {
        self.change().sync_all()
    }
    fn space(&self) -> io::Result<Space> {
        self.disk.space()
    }
    fn lock(&self, path: &str) -> io::Result<bool> {
        self.disk.lock(path)
    }
    fn unlock(&self) {
        self.disk.unlock();
    }
    fn boot_id(&self) -> io::Result<String> {
        self.disk.boot_id()
    }
}

impl WatchedFile {
    fn change(&self) -> &dyn DeviceFile {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.file.as_ref()
    }
}

impl DeviceFile for WatchedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> bool {
        self.file.read_resident_at(buffer, offset)
    }
    fn write_all_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.change().write_all_at(buffers, offset)
    }
    fn allocate(&self, length: u64) -> io::Result<()> {
        self.change().allocate(length)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.change().truncate(length)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.change().sync_data()
    }
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }
}

async fn watched_store(disk: &Arc<MemoryDevice>) -> (Arc<Watched>, Arc<Store>) {
    let device = Watched::new(disk);
    let store = open_with(Arc::clone(&device) as _, settings_for_tests())
        .await
        .unwrap();
    (device, store)
}

/// A writer with a few blocks of `body` behind it.
async fn begun(store: &Store, number: u8, body: &Bytes) -> ObjectWriter {
    let length = Some(2 * body.len() as u64);
    let mut writer = store.begin(head(number), length).await.unwrap();
    writer.append(vec![body.clone()]).await.unwrap();
    writer
}

#[tokio::test]
async fn open_objects_are_read_on_whatever_the_next_owner_does() {
    let disk = Arc::new(MemoryDevice::new());
    let (_, old) = watched_store(&disk).await;
    let bytes = body(1, 700_000);
    let object = fill(&old, head(1), &bytes).await.unwrap();
    old.retire(CLOSE).await;
    let new = open(&disk).await;
    assert_eq!(get(&new, 1).await, Some(bytes.clone()), "found by the next");
    new.forget(&key(1)).await;
    fill(&new, head(1), &body(2, 10)).await.unwrap();
    maintain(&new).await;
    assert_eq!(read_all(&object).await.unwrap(), bytes);
    assert_eq!(get(&new, 1).await, Some(body(2, 10)));
}

/// Reads objects over and over until told to stop.
async fn read_until(
    object: Arc<Object>,
    partial: PartialObject,
    reads: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) {
    while !stop.load(Ordering::SeqCst) {
        assert_eq!(read_all(&object).await.unwrap().len(), 1000);
        assert_eq!(partial.read(0, 1000).await.unwrap().len(), 1000);
        reads.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_is_cut_off_by_the_retiring_itself() {
    for _ in 0..50 {
        let disk = Arc::new(MemoryDevice::new());
        let (_, store) = watched_store(&disk).await;
        let object = fill(&store, head(1), &body(1, 1000)).await.unwrap();
        let writer = begun(&store, 2, &body(2, 65_536)).await;
        let (reads, stop): (Arc<AtomicU64>, Arc<AtomicBool>) = Default::default();
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (reads, stop) = (Arc::clone(&reads), Arc::clone(&stop));
                tokio::spawn(read_until(
                    Arc::clone(&object),
                    writer.partial(),
                    reads,
                    stop,
                ))
            })
            .collect();
        let more_reads = async |count| {
            let wanted = reads.load(Ordering::SeqCst) + count;
            while reads.load(Ordering::SeqCst) < wanted
                && !readers.iter().any(|reader| reader.is_finished())
            {
                tokio::task::yield_now().await;
            }
        };
        more_reads(8).await;
        store.retire(CLOSE).await;
        more_reads(8).await;
        stop.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_written_of_an_object_is_read_on_and_never_completed() {
    let disk = Arc::new(MemoryDevice::new());
    let (_, old) = watched_store(&disk).await;
    let bytes = body(3, 8 * 65_536);
    let mut writer = begun(&old, 3, &bytes).await;
    let partial = writer.partial();
    old.retire(CLOSE).await;
    let failed = writer.append(vec![bytes.clone()]).await;
    assert!(matches!(failed, Err(StoreError::Closed)), "{failed:?}");
    drop(writer);
    let new = open(&disk).await;
    assert!(
        files_in(&disk, "tmp/").is_empty(),
        "the next start empties tmp/"
    );
    let part = partial.read(65_536, 100_000).await.unwrap();
    assert_eq!(part, bytes.slice(65_536..165_536));
    assert_eq!(get(&new, 3).await, None);
}

#[tokio::test]
async fn nothing_is_changed_or_opened_once_the_lock_is_given_back() {
    let disk = Arc::new(MemoryDevice::new());
    let (device, old) = watched_store(&disk).await;
    let object = fill(&old, head(1), &body(1, 300_000)).await.unwrap();
    let rotten = fill(&old, head(2), &body(2, 300_000)).await.unwrap();
    let (writer, waiting) = (
        begun(&old, 3, &body(3, 65_536)).await,
        begun(&old, 4, &body(4, 9)).await,
    );
    old.retire(CLOSE).await;
    let touched = device.touched();
    let new = open(&disk).await;

    assert!(disk.flip(&rotten.name().path(), 200_000));
    let failed = read_all(&rotten).await;
    assert!(
        matches!(failed, Err(StoreError::Corrupt { .. })),
        "{failed:?}"
    );
    assert!(writer.commit().await.is_err());
    waiting.abandon().await;
    assert!(matches!(
        old.begin(head(5), None).await,
        Err(StoreError::Closed)
    ));
    let amendment = crate::object::Amendment {
        headers: HeaderMap::new(),
        exchange: object.head().exchange,
        invalidated: true,
        pinned: true,
        lifetime_max: None,
    };
    let amended = old.amend(&object, amendment).await;
    assert!(matches!(amended, Err(StoreError::Closed)), "{amended:?}");
    old.forget(&key(1)).await;
    old.forget_variant(&object).await;
    assert!(old.lookup(&key(1)).await.is_empty());
    old.core.request_maintenance();
    old.retire(CLOSE).await;
    old.close(CLOSE).await;
    drop((old, object));

    assert_eq!(device.touched(), touched);
    assert_eq!(get(&new, 1).await, Some(body(1, 300_000)));
}

#[tokio::test]
async fn what_was_under_way_is_in_the_checkpoint_of_a_clean_end() {
    let disk = Arc::new(MemoryDevice::new());
    let (_, old) = watched_store(&disk).await;
    let writer = begun(&old, 1, &Bytes::new()).await;
    drop(writer);
    let mut writer = old.begin(head(2), Some(1000)).await.unwrap();
    writer.append(vec![body(2, 1000)]).await.unwrap();
    disk.hold(Operation::Rename);
    let calls = disk.calls();
    let committing = tokio::spawn(writer.commit());
    concurrency::reached(&disk, calls + 2, || false).await;
    let retiring = {
        let old = Arc::clone(&old);
        tokio::spawn(async move { old.retire(CLOSE).await })
    };
    while !old.has_retired() {
        tokio::task::yield_now().await;
    }
    disk.release();
    retiring.await.unwrap();
    let object = committing.await.unwrap().unwrap();
    assert_eq!(read_all(&object).await.unwrap(), body(2, 1000));
    let new = open(&disk).await;
    assert_eq!(get(&new, 2).await, Some(body(2, 1000)));
}
