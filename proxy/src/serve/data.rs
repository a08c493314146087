//! The data folder, and what may run only while it is ours: the store, the commands, and the socket of an upgrade.
//!
//! Usually all of it is there before the first accept. In an upgrade the process before still owns the data: then it
//! comes later, and until then everything is passed through uncached.

use super::upgrade::{Predecessor, Successor};
use super::{Running, sources};
use crate::array::{self, Verdict};
use crate::control::{Control, socket};
use crate::readiness::{Readiness, State};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use weir_cache::device::file::FileDevice;
use weir_cache::events::Events;
use weir_cache::ports::{Clock, Device};
use weir_cache::store::report::{ArrayReport, DiskState};
use weir_cache::store::{OpenError, Store, StoreSettings};

/// Between two looks at the store for `/readyz`; a look reads numbers in memory.
const STORE_WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks whether the data is free.
const OWNED_PAUSE: Duration = Duration::from_millis(100);
/// How often whoever starts by itself looks again.
const ENDING_LOOKS: u32 = 10;
/// Between two attempts on data that cannot be opened.
const BROKEN_PAUSE: Duration = Duration::from_secs(5);

/// What it takes to open the store, perhaps more than once.
pub(super) struct Data {
    disks: Vec<PathBuf>,
    settings: StoreSettings,
    clock: Arc<dyn Clock>,
    events: Events,
}

/// Whose the data is at the start.
pub(super) enum Found {
    /// Ours.
    Opened(Arc<Store>),
    /// Another process's, as it was to be expected in an upgrade.
    Owned,
}

impl Data {
    pub(super) fn new(
        disks: &[PathBuf],
        settings: &StoreSettings,
        clock: &Arc<dyn Clock>,
        events: &Events,
    ) -> Self {
        Self {
            events: events.clone(),
            disks: disks.to_vec(),
            settings: settings.clone(),
            clock: Arc::clone(clock),
        }
    }

    /// The id of its pool, whoever owns it: the first that can be read, because any disk may be missing. Blocks.
    pub(super) fn pool_id(&self) -> Option<[u8; 16]> {
        let mut disks = self.disks.iter();
        disks.find_map(|disk| Store::pool_on(&FileDevice::new(disk)))
    }

    /// Opens the store.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(super) async fn open(&self) -> Result<Arc<Store>, OpenError> {
        let devices = self.disks.iter();
        let devices = devices
            .map(|disk| Arc::new(FileDevice::new(disk)) as Arc<dyn Device>)
            .collect();
        let (settings, clock) = (self.settings.clone(), Arc::clone(&self.clock));
        Store::open_telling(devices, settings, clock, self.events.clone()).await
    }

    /// Opens the store, unless the process before has it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) async fn find(&self, predecessor: Option<&Predecessor>) -> Result<Found, OpenError> {
        let mut looks = 0;
        loop {
            match self.open().await {
                Ok(store) => return Ok(Found::Opened(store)),
                Err(OpenError::Owned { .. }) if predecessor.is_some() => return Ok(Found::Owned),
                // One that has just died may still be closing its files.
                Err(OpenError::Owned { .. }) if looks < ENDING_LOOKS => looks += 1,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(OWNED_PAUSE).await;
        }
    }

    /// Opens the store as soon as the process before has released it. What fails then is tried again for ever: the
    /// clients are served meanwhile.
    pub(super) async fn open_after(
        self,
        predecessor: Predecessor,
        readiness: Arc<Readiness>,
    ) -> Arc<Store> {
        predecessor.released().await;
        loop {
            let pause = match self.open().await {
                Ok(store) => return store,
                Err(OpenError::Owned { .. }) => OWNED_PAUSE,
                Err(error) => {
                    tracing::error!(%error, "the store cannot be opened: everything is passed through uncached");
                    readiness.raise("store", error.to_string());
                    BROKEN_PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}

impl Running {
    /// The data comes when `predecessor` has released it.
    pub(super) fn await_data(&mut self, data: Data, predecessor: Predecessor) {
        self.readiness.raise("store", "waiting for the data folder");
        let opening = data.open_after(predecessor, Arc::clone(&self.readiness));
        self.arriving.spawn(opening);
    }

    /// Waits for the data no longer. The store, where it has come and nobody has taken it: it is to be closed.
    pub(super) async fn await_no_data(&mut self) -> Option<Arc<Store>> {
        self.arriving.abort_all();
        let arrived = self.arriving.join_next().await?;
        arrived.ok()
    }

    /// The data is ours from now on.
    pub(super) fn own(&mut self, store: Arc<Store>) {
        store.tell_findings();
        self.shared.engine.install(Arc::clone(&store));
        sources::watch_store(&self.metrics, &store);
        let folders = usable(&self.disks, &store.disks());
        for folder in &folders {
            start_control(folder, &self.control, &mut self.control_tasks);
        }
        if let Some(folder) = folders.first() {
            self.upgrades = upgrade_socket(folder, self.upgrade_socket.as_deref());
        }
        self.readiness.clear("store");
        judge_store(&store, &self.readiness);
        self.background
            .spawn(watch_store(store, Arc::clone(&self.readiness)));
        self.readiness.advance(State::Ready);
    }

    /// Offers everything to the process at the other end of `stream`, beside whatever else is to be done.
    pub(super) fn offer(&mut self, stream: UnixStream) {
        self.offering
            .spawn(Successor::offer(stream, self.sockets()));
    }

    /// Second descriptors of everything that is listened on.
    fn sockets(&self) -> Vec<OwnedFd> {
        self.listeners
            .sockets()
            .chain(self.admin.socket())
            .collect()
    }
}

/// The folders that sockets can be in. In the place of a disk that is out there may be an empty mount point: a socket in
/// it would be on the wrong device, and hidden as soon as the right one is mounted over it.
fn usable<'d>(disks: &'d [PathBuf], report: &ArrayReport) -> Vec<&'d PathBuf> {
    let is_out = |folder: &PathBuf| {
        let shown = folder.display().to_string();
        let mut reported = report.disks.iter();
        reported.any(|disk| disk.state == DiskState::Out && disk.folder == shown)
    };
    disks.iter().filter(|disk| !is_out(disk)).collect()
}

/// Commands are a convenience: a file system that knows no sockets does not keep the gateway from serving.
fn start_control(folder: &Path, control: &Arc<Control>, tasks: &mut JoinSet<()>) {
    match socket::Bound::make(folder) {
        Ok(socket) => {
            tasks.spawn(Arc::clone(control).serve(socket));
        }
        Err(error) => {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "no control socket: commands cannot reach this gateway");
        }
    }
}

fn upgrade_socket(folder: &Path, path: Option<&Path>) -> Option<socket::Bound> {
    let path = folder.join(path?);
    let shown = path.display().to_string();
    match socket::Bound::at(path) {
        Ok(socket) => Some(socket),
        Err(error) => {
            tracing::warn!(path = shown, %error, "no upgrade socket: `weir serve --upgrade` cannot take over");
            None
        }
    }
}

/// A store that is unwell is a reason to send no traffic here; `/readyz` says which.
async fn watch_store(store: Arc<Store>, readiness: Arc<Readiness>) {
    let mut every = tokio::time::interval(STORE_WATCH_INTERVAL);
    loop {
        every.tick().await;
        judge_store(&store, &readiness);
    }
}

fn judge_store(store: &Store, readiness: &Readiness) {
    match store.problem() {
        Some(problem) => readiness.raise("store", problem),
        None => readiness.clear("store"),
    }
    let (degraded, failed) = match array::judge(&store.disks()) {
        Verdict::Healthy => (None, None),
        Verdict::Degraded(words) => (Some(words), None),
        Verdict::Failed(words) => (None, Some(words)),
    };
    readiness.note("degraded", degraded);
    match failed {
        Some(words) => readiness.raise("failed", words),
        None => readiness.clear("failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::tests::{disk, report};
    use weir_cache::store::report::ArrayState;

    #[test]
    fn sockets_are_made_where_a_disk_is() {
        let disks = ["/a", "/b", "/c"].map(PathBuf::from);
        let reported = vec![
            disk(0, "/a", DiskState::Out, "not mounted"),
            disk(1, "/b", DiskState::ReadOnly, ""),
            disk(2, "/c", DiskState::Live, ""),
        ];
        let report = report(ArrayState::Degraded, reported);
        assert_eq!(usable(&disks, &report), [Path::new("/b"), Path::new("/c")]);
    }
}
