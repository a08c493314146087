//! A disk that tells when a scrub opens a file: tests count what is read, and let things happen in the middle of a pass.

use crate::device::memory::MemoryDevice;
use crate::ports::{Device, DeviceFile, Space};
use std::io;
use std::sync::{Arc, Mutex};

type Happening = Box<dyn FnOnce() + Send>;

/// See the module.
pub(super) struct Watched {
    disk: Arc<MemoryDevice>,
    opened: Mutex<Vec<String>>,
    /// What happens when a file is opened whose path contains this.
    happening: Mutex<Option<(String, Happening)>>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl Watched {
    pub(super) fn new(disk: &Arc<MemoryDevice>) -> Arc<Self> {
        Arc::new(Self {
            disk: Arc::clone(disk),
            opened: Mutex::default(),
            happening: Mutex::default(),
        })
    }

    /// Once, before a file whose path contains `path` is opened.
    pub(super) fn before(&self, path: &str, happening: impl FnOnce() + Send + 'static) {
        *self.happening.lock().unwrap() = Some((path.to_owned(), Box::new(happening)));
    }

    /// Folders of the files that were opened so far, in their order, forgotten by this.
    pub(super) fn take_folders(&self) -> Vec<String> {
        let opened = std::mem::take(&mut *self.opened.lock().unwrap());
        let folder = |path: &String| path.rsplit_once('/').unwrap().0.to_owned();
        opened.iter().map(folder).collect()
    }
}

impl Device for Watched {
    fn name(&self) -> &str {
        self.disk.name()
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DeviceFile>> {
        self.disk.create(path)
    }

    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn DeviceFile>> {
        self.disk.open(path, write)
    }

    fn open_unbuffered(&self, path: &str) -> io::Result<Arc<dyn DeviceFile>> {
        let mut waiting = self.happening.lock().unwrap();
        let happening = waiting.take_if(|(part, _)| path.contains(part.as_str()));
        drop(waiting);
        if let Some((_, happening)) = happening {
            happening();
        }
        self.opened.lock().unwrap().push(path.to_owned());
        self.disk.open_unbuffered(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        self.disk.unlink(path)
    }

    fn mkdir(&self, path: &str) -> io::Result<()> {
        self.disk.mkdir(path)
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        self.disk.read_dir(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.disk.sync_all()
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

    fn file_system(&self) -> io::Result<u64> {
        self.disk.file_system()
    }
}
