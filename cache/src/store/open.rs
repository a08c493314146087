//! Opening a store: the disks that belong together, recovery, then everything that runs, put together.
//!
//! ```text
//! devices, each on its own threads: examined, locked → assembled (or: formatted) → recovery on the coordinator's pool
//! → core → superblocks → (timer)
//! ```
//! Which folders make up the pool is [`super::assembly`]'s business, what is found on them [`recovery`]'s; how a run
//! ends is [`super::close`]'s.

mod candidates;

use super::amend::Amending;
use super::array::Array;
use super::array::disk::Absence;
use super::assembly::{self, Assembled, Assembly, ParityChoice};
use super::ban::Bans;
use super::core::{Core, lock};
use super::handles::handle_cache;
use super::health::Health;
use super::index::Index;
use super::log::MetadataLog;
use super::log::mirror::ReplicaLoss;
use super::loss::Losses;
use super::members::{Members, Policy};
use super::pool::Pool;
use super::recovery::{self, Recovered, Start};
use super::repair::{Repairs, start_repairer};
use super::replaced::ReplacedFiles;
use super::report::DiskSlot;
use super::retire::Retirement;
use super::scrub::Scrubbing;
use super::sequence::Sequences;
use super::superblock::Superblock;
use super::unlinked::Unlinked;
use super::{OpenError, Store, StoreSettings, scrub, sync};
use crate::events::Events;
use crate::metrics::StoreStats;
use crate::ports::{Clock, Device};
use candidates::{
    Candidates, attach, examine_all, format, has_diverged, start_pool, tell, unsynced_on_stale,
    warn_of_shared,
};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};
use std::thread;
use std::time::Duration;

/// Threads of the coordinator's pool at most; most of the time they wait for disks.
const COORDINATORS_MAX: usize = 64;
/// Between two looks at disks that may hang.
const WATCH_INTERVAL_MIN: Duration = Duration::from_millis(10);

impl Store {
    /// Opens (or formats) the disks, recovers, and starts the background work.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        devices: Vec<Arc<dyn Device>>,
        settings: StoreSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        Self::open_telling(devices, settings, clock, Events::default()).await
    }

    /// As [`Self::open`]; `events` hears of damage and of disks that are full or fail.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_telling(
        devices: Vec<Arc<dyn Device>>,
        settings: StoreSettings,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> Result<Arc<Self>, OpenError> {
        let store = Self::recovered(devices, settings, clock, events).await?;
        let (sender, receiver) = sync_channel(1);
        sync::start_timer(Arc::downgrade(&store.core), receiver).map_err(|error| {
            unusable(
                &store.core.name(),
                format!("cannot start a thread: {error}"),
            )
        })?;
        scrub::start_scrubber(&store.core).map_err(|error| {
            unusable(
                &store.core.name(),
                format!("cannot start a thread: {error}"),
            )
        })?;
        *lock(&store.timer) = Some(sender);
        start_repairer(&store.core).map_err(|error| {
            unusable(
                &store.core.name(),
                format!("cannot start a thread: {error}"),
            )
        })?;
        Ok(store)
    }

    /// The id of the pool on `device`, whoever owns it now; `None` where there is none that can be read. Blocks.
    #[must_use]
    pub fn pool_on(device: &dyn Device) -> Option<[u8; 16]> {
        Superblock::load(device).map(|superblock| superblock.pool)
    }

    /// As [`Self::open`], but nothing happens by itself: tests decide when to sync.
    #[cfg(test)]
    pub(super) async fn open_without_timer(
        devices: Vec<Arc<dyn Device>>,
        settings: StoreSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        Self::recovered(devices, settings, clock, Events::default()).await
    }

    async fn recovered(
        devices: Vec<Arc<dyn Device>>,
        settings: StoreSettings,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> Result<Arc<Self>, OpenError> {
        let candidates = examine_all(devices, &settings).await?;
        let opened = open_pool(candidates, settings, clock, events).await?;
        Ok(Arc::new(Self {
            core: opened,
            timer: Mutex::new(None),
        }))
    }
}

async fn open_pool(
    mut candidates: Candidates,
    settings: StoreSettings,
    clock: Arc<dyn Clock>,
    events: Events,
) -> Result<Arc<Core>, OpenError> {
    let assembled = match assembly::assemble(&candidates.found, settings.parity)? {
        Assembly::Pool(assembled) => *assembled,
        Assembly::Format => format(&candidates, settings.parity)?,
    };
    tell(&candidates.found, &assembled);
    let has_diverged = has_diverged(&candidates.found, &assembled);
    let unsynced = unsynced_on_stale(&candidates.found, &assembled);
    let systems: Vec<_> = candidates
        .list
        .iter()
        .flatten()
        .map(|candidate| (candidate.device.name().to_owned(), candidate.system))
        .collect();
    let (disks, boot) = attach(&mut candidates, &assembled);
    warn_of_shared(&disks, &systems);
    let strangers = assembled.strangers.iter();
    let unattached = strangers.filter_map(|(number, _)| candidates.devices.get(*number).cloned());
    let unattached = unattached.collect();
    let array = Array::new(disks);
    let threads = match array.disks().len() {
        1 => settings.threads_per_disk,
        disks => settings
            .threads_per_disk
            .saturating_mul(disks)
            .min(COORDINATORS_MAX),
    };
    let name = array.name();
    let pool = start_pool(&name, "weir-store", threads, &settings)?;
    let watch = watch_start(&array, &settings)?;
    let start = Opening {
        array,
        assembled,
        settings,
        clock,
        events,
        boot,
        unattached,
        has_diverged,
        unsynced,
    };
    // The core owns the pool that opens it, so it is put together behind.
    let opened = pool.run(move || start.recover()).await;
    let (opening, recovered, loss) =
        opened.unwrap_or_else(|_| Err(unusable(&name, "recovery panicked".to_owned())))?;
    drop(watch);
    let core = Arc::new(opening.assemble(pool, recovered));
    loss.set(Arc::downgrade(&core)).ok();
    let job = Arc::clone(&core);
    let watched = Arc::downgrade(&core);
    let interval = sync::watch_interval(&core);
    let _watch = every(interval, move || {
        if let Some(core) = watched.upgrade() {
            core.watch_disks();
        }
    })
    .map_err(|error| unusable(&name, format!("cannot start a thread: {error}")))?;
    let begun = core.pool.run(move || job.begin(has_diverged)).await;
    match begun {
        Ok(Ok(())) => Ok(core),
        Ok(Err(error)) => {
            core.array.unlock();
            let reason = format!("cannot write the superblock: {error}; check the disk");
            Err(unusable(&name, reason))
        }
        Err(_) => {
            core.array.unlock();
            Err(unusable(&name, "recovery panicked".to_owned()))
        }
    }
}

/// Takes out disks that hang while a store begins, as far as it can do without them: the timer that does so afterwards
/// does not run yet.
fn watch_start(
    array: &Array,
    settings: &StoreSettings,
) -> Result<Option<SyncSender<()>>, OpenError> {
    if array.only().is_some() {
        return Ok(None);
    }
    let (disks, deadline) = (array.disks(), settings.disk_deadline);
    let spare = usize::from(settings.parity);
    let look = move || {
        for disk in disks.iter().filter(|disk| disk.is_stuck(deadline)) {
            let out = disks.iter().filter(|other| !other.is_live()).count();
            if disk.is_live() && out < spare {
                let why = format!("it left a call unanswered for {} s", deadline.as_secs_f32());
                tracing::error!(disk = disk.name, slot = %disk.slot, why, "a disk is out; what it has is computed from the others. See `weir disks`");
                disk.set_out(Absence::Hung, &why);
            }
        }
    };
    let interval = (deadline / 4).max(WATCH_INTERVAL_MIN);
    every(interval, look)
        .map(Some)
        .map_err(|error| unusable(&array.name(), format!("cannot start a thread: {error}")))
}

/// Does something again and again on a thread of its own, until what is returned is dropped.
fn every(interval: Duration, look: impl Fn() + Send + 'static) -> io::Result<SyncSender<()>> {
    let (sender, receiver) = sync_channel(1);
    let work = move || {
        while receiver.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            look();
        }
    };
    thread::Builder::new()
        .name("weir-watch".to_owned())
        .spawn(work)
        .map(|_| sender)
}

/// Whoever hears of a disk that lost its copy of the log before there is a core.
#[derive(Debug, Default)]
struct LossOfCopies(OnceLock<Weak<Core>>);

impl LossOfCopies {
    fn set(&self, core: Weak<Core>) -> Result<(), Weak<Core>> {
        self.0.set(core)
    }
}

impl ReplicaLoss for LossOfCopies {
    fn lost(&self, slot: DiskSlot, operation: &'static str, error: &io::Error) {
        tracing::warn!(%slot, operation, %error, "a disk has lost its copy of the metadata log");
        let Some(core) = self.0.get().and_then(Weak::upgrade) else {
            return;
        };
        let why = format!("{operation} of the metadata log failed: {error}");
        if core.lose(slot, Absence::Failed, &why)
            && let Err(error) = core.settle_losses()
        {
            tracing::error!(%error, "cannot note that a disk is out");
        }
    }
}

/// Everything that a store is made of, before it is one.
struct Opening {
    array: Array,
    assembled: Assembled,
    settings: StoreSettings,
    clock: Arc<dyn Clock>,
    events: Events,
    boot: String,
    /// Configured folders that are not used.
    unattached: Vec<Arc<dyn Device>>,
    /// Some disk has a history of its own: something may have been purged there that is not known here.
    has_diverged: bool,
    /// What stale disks may have lost.
    unsynced: Option<(u64, u64)>,
}

impl Opening {
    /// Coordinator's threads only.
    fn recover(self) -> Result<(Self, Recovered, Arc<LossOfCopies>), OpenError> {
        let loss = Arc::new(LossOfCopies::default());
        let start = Start {
            array: &self.array,
            assembled: &self.assembled,
            settings: &self.settings,
            boot: self.boot.clone(),
            has_diverged: self.has_diverged,
            unsynced: self.unsynced,
        };
        match start.recover(Arc::clone(&loss) as Arc<dyn ReplicaLoss>) {
            Ok(recovered) => Ok((self, recovered, loss)),
            Err(error) => {
                self.array.unlock();
                Err(error)
            }
        }
    }

    fn assemble(self, pool: Pool, mut recovered: Recovered) -> Core {
        let bans = restore_bans(&mut recovered);
        let (slots, live) = (self.array.slots(), self.array.live());
        // Disks that have missed something know of no epoch that is not known here, unless they have diverged.
        let has_majority = self.assembled.has_majority || live.len() * 2 > slots.len();
        let losses = Losses::new(&recovered, has_majority && !self.has_diverged);
        let stats = Arc::new(StoreStats::default());
        for (slot, bytes) in recovery::stored_bytes(&recovered.index) {
            if let Some(disk) = self.array.get(slot) {
                disk.stats.stored_bytes.set(bytes);
            }
        }
        stats.set_disks(
            self.array
                .disks()
                .iter()
                .map(|disk| Arc::clone(&disk.stats)),
        );
        stats.objects.set(recovered.index.len() as u64);
        stats.metadata_log_bytes.set(recovered.log.bytes());
        stats.log_problems.add(recovered.log.problems);
        stats.bans.set(bans.in_force().len() as u64);
        let index: Arc<Mutex<Index>> = Arc::new(Mutex::new(recovered.index));
        // The count of use continues where the last run ended, whatever the clock shows.
        let elapsed = u32::try_from(self.clock.elapsed().as_secs()).unwrap_or(u32::MAX);
        let resident = self.array.disks().iter().any(|disk| disk.is_resident());
        let parity = match self.assembled.parity {
            ParityChoice::AsStored => self.settings.parity,
            ParityChoice::Changed { configured, .. } => configured,
        };
        Core {
            policy: Policy { parity },
            settings: self.settings,
            clock: self.clock,
            array: self.array,
            pool,
            pool_id: recovered.superblock.pool,
            sequences: Sequences::new(recovered.next, recovered.superblock.reserved),
            superblock: Mutex::new(recovered.superblock),
            handles: handle_cache(&index),
            index,
            replaced: ReplacedFiles::default(),
            log: MetadataLog::new(recovered.log, recovered.mirror),
            amending: Amending::default(),
            bans,
            leftovers: Mutex::default(),
            unlinked: Unlinked::default(),
            stats,
            events: self.events,
            use_base: recovered.use_base.saturating_sub(elapsed),
            resident,
            suspect: AtomicBool::new(false),
            unsynced: AtomicBool::new(true),
            maintaining: AtomicBool::new(false),
            quarantined: AtomicU32::new(recovered.quarantined),
            forgets: AtomicU64::new(0),
            removals: RwLock::default(),
            retirement: Retirement::default(),
            losses,
            repairs: Repairs::default(),
            scrubbing: Scrubbing::default(),
            health: Health::new(self.unattached),
            changing: Mutex::default(),
        }
    }
}

impl Core {
    /// The first thing a store does: from here on the disks are ours, and a checkpoint would be out of date.
    fn begin(self: &Arc<Self>, has_diverged: bool) -> Result<(), super::StoreError> {
        if has_diverged {
            // Before their superblocks say the same: the next start would not know that they had lived apart.
            self.record_doubt()?;
        }
        let is_unborn = lock(&self.superblock).epoch == assembly::UNBORN;
        if is_unborn || self.losses.is_settled() {
            self.update_superblock(|_| {})?;
        }
        if is_unborn {
            // All disks of the new pool know each other.
            self.begin_epoch(|_| {})?;
        }
        // Disks are missing, or have missed something: their absence is known before anything is written.
        self.settle_losses()?;
        let jobs = self.array.live().iter().map(|slot| {
            let remove = |device: &dyn Device| {
                super::checkpoint::remove_all(device);
                Ok(())
            };
            (slot, remove)
        });
        self.array.on_each(jobs.collect());
        self.resume_rebuilds();
        self.resume_retirements();
        self.leave_slots(Members::EMPTY);
        self.restore_scrub();
        Ok(())
    }
}

/// The bans that were in force, and what is known to be on the disks although it should not.
fn restore_bans(recovered: &mut Recovered) -> Arc<Bans> {
    let log = &mut recovered.log;
    let found = std::mem::take(&mut log.bans).into_values().collect();
    let survivors = log.survivors.take().map(|(place, _)| place);
    let (bans, superseded) = Bans::restored(found, survivors);
    for place in superseded {
        log.release(Some(place));
    }
    for (disk, path) in &recovered.left {
        bans.note_left(*disk, path);
    }
    bans
}

fn unusable(disk: &str, reason: String) -> OpenError {
    OpenError::Unusable {
        disk: disk.to_owned(),
        reason,
    }
}
