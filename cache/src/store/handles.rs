//! The open files of the store, kept for the next reader.
//!
//! Open files are a budget of the whole process: connections come out of the same one, so the store keeps at most a
//! quarter of what the process may open, and lets go of everything when it runs out. Files that readers and writers
//! hold are theirs and not counted here.

use super::core::{Core, lock};
use super::index::{Index, Record};
use super::layout::Slot;
use super::reader::Object;
use crate::object::Sequence;
use moka::sync::Cache;
use rustix::process::{Resource, getrlimit};
use std::io;
use std::sync::{Arc, Mutex};
use weir_policies::key::CacheKey;

/// Handles kept at most. One of a small object counts 1; checksum tables count extra.
const HANDLES_MAX: u64 = 4096;
/// Handles kept at least, however few files the process may open.
const HANDLES_MIN: u64 = 16;
/// The store keeps one in so many of the files that the process may open.
const SHARE_OF_FILES: u64 = 4;
/// A handle counts 1 for every so many bytes it holds in memory.
const HANDLE_WEIGHT_BYTES: usize = 16 * 1024;

/// Names one generation of one object.
pub(crate) type HandleKey = (Slot, Sequence);
/// Bounded by weight.
pub(crate) type Handles = Cache<HandleKey, Arc<Object>>;

/// How many handles are kept when the process may have so many files open; `None`: as many as it likes.
fn handles_max(files_max: Option<u64>) -> u64 {
    files_max.map_or(HANDLES_MAX, |files| {
        (files / SHARE_OF_FILES).clamp(HANDLES_MIN, HANDLES_MAX)
    })
}

/// A cache sized for this process, which has raised its limit of open files by now if it wants to.
pub(crate) fn handle_cache(index: &Arc<Mutex<Index>>) -> Handles {
    bounded(index, handles_max(getrlimit(Resource::Nofile).current))
}

/// Writes the last use back to the index when it lets go of a handle.
fn bounded(index: &Arc<Mutex<Index>>, handles: u64) -> Handles {
    let index = Arc::clone(index);
    Cache::builder()
        .max_capacity(handles)
        .weigher(|_, object: &Arc<Object>| {
            u32::try_from(object.open_files().max(1) + object.memory_bytes() / HANDLE_WEIGHT_BYTES)
                .unwrap_or(u32::MAX)
        })
        .eviction_listener(move |key: Arc<HandleKey>, object: Arc<Object>, _| {
            lock(&index).set_last_use(key.0, object.last_use());
        })
        .build()
}

impl Core {
    /// Already open handles of all variants; `None` when a file has to be opened first.
    pub(crate) fn warm(&self, key: &CacheKey, records: &[Record]) -> Option<Vec<Arc<Object>>> {
        let mut found = Vec::with_capacity(records.len());
        for record in records {
            let object = self.handles.get(&(record.slot, record.sequence))?;
            // 128 bits stand in the index; the whole key stands in the header.
            if object.head().key == *key {
                found.extend(self.under_bans(object));
            }
        }
        Some(found)
    }

    /// Keeps a handle for the next reader, unless the object was evicted or replaced meanwhile: then it would hold the
    /// space of a file that nobody finds any more. Nor when it was amended meanwhile: the next reader gets the new
    /// head.
    pub(crate) fn keep_handle(&self, object: &Arc<Object>) {
        let (slot, sequence) = (object.name().slot, object.sequence());
        self.handles.insert((slot, sequence), Arc::clone(object));
        if !self.is_current(object) {
            self.handles.invalidate(&(slot, sequence));
        }
        // The cache would let go in batches, and one batch can be more than a small bound.
        self.handles.run_pending_tasks();
    }

    /// Whether the index knows this generation under this head.
    pub(crate) fn is_current(&self, object: &Object) -> bool {
        let (slot, sequence) = (object.name().slot, object.sequence());
        let index = lock(&self.index);
        let place = index.place(slot, sequence);
        index.contains(slot, sequence) && place.map_or(0, |place| place.number) == object.amendment
    }

    /// Lets go of all handles when the process or the system has no file left to open; `true`: worth another try.
    pub(super) fn has_freed_files(&self, error: &io::Error) -> bool {
        if !matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
            return false;
        }
        tracing::warn!(
            disk = self.name(),
            handles = self.handles.entry_count(),
            "too many open files; the store closes those nobody reads. Raise the limit (ulimit -n)"
        );
        // One by one: discarding all at once would be done some time later.
        for (key, _) in &self.handles {
            self.handles.invalidate(&*key);
        }
        self.handles.run_pending_tasks();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::file::FileDevice;
    use crate::store::settings_for_tests;
    use crate::store::tests::{body, fill, head, open_with};

    /// Objects below the folder that this process has open.
    fn open_files(folder: &std::path::Path) -> usize {
        let targets = std::fs::read_dir("/proc/self/fd").unwrap();
        targets
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.starts_with(folder.join("ec")))
            .count()
    }

    #[tokio::test]
    async fn no_more_files_are_kept_open_than_the_bound_and_none_when_they_run_out() {
        let folder = tempfile::tempdir().unwrap();
        let device = Arc::new(FileDevice::new(folder.path()));
        let store = open_with(device, settings_for_tests()).await.unwrap();
        for number in 0..100 {
            fill(&store, head(number), &body(1, 10)).await.unwrap();
        }
        let small = bounded(&store.core.index, HANDLES_MIN);
        for (key, object) in &store.core.handles {
            small.insert(*key, object);
            small.run_pending_tasks();
        }
        let exhausted = io::Error::from_raw_os_error(libc::EMFILE);
        assert!(store.core.has_freed_files(&exhausted));
        let kept = usize::try_from(small.entry_count()).unwrap();
        assert!((1..=16).contains(&kept), "{kept}");
        // The cache frees memory, and with it files, once no other thread is inside of it.
        let closed = (0..1000).any(|_| {
            store.core.handles.run_pending_tasks();
            open_files(folder.path()) == kept
        });
        assert!(closed, "{} for {kept}", open_files(folder.path()));
    }

    #[test]
    fn the_bound_is_a_quarter_of_the_files_within_limits() {
        let check = |files, expected| assert_eq!(handles_max(files), expected, "{files:?}");
        check(Some(0), 16);
        check(Some(64), 16);
        check(Some(256), 64);
        check(Some(1024), 256);
        check(Some(1 << 20), 4096);
        check(None, 4096);
    }
}
