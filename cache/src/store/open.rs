//! Opening a store: recovery on the disk's own pool, then everything that runs, put together.
//!
//! ```text
//! the one device → its pool → recovery, probe of the page cache → core → (timer)
//! ```
//! What is found on the disk is [`recovery`]'s business; how a run ends is [`super::close`]'s.

use super::amend::Amending;
use super::ban::Bans;
use super::core::{Core, lock};
use super::handles::handle_cache;
use super::index::Index;
use super::log::MetadataLog;
use super::pool::Pool;
use super::recovery::{self, Recovered};
use super::replaced::ReplacedFiles;
use super::retire::Retirement;
use super::sequence::Sequences;
use super::superblock::Superblock;
use super::{OpenError, Store, StoreSettings, Verify, send, sync};
use crate::events::Events;
use crate::metrics::{Gauge, StoreStats};
use crate::ports::{Clock, Device};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, RwLock};

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
                store.core.device.name(),
                format!("cannot start a thread: {error}"),
            )
        })?;
        *lock(&store.timer) = Some(sender);
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
        let device = only_device(devices)?;
        let disk = device.name().to_owned();
        let pool = Pool::start(0, settings.threads_per_disk, settings.queue_per_disk).map_err(
            |error| {
                unusable(
                    &disk,
                    format!("cannot start the threads of the disk: {error}"),
                )
            },
        )?;
        let (job_device, job_settings) = (Arc::clone(&device), settings.clone());
        let start = move || {
            let recovered = recovery::recover(job_device.as_ref(), &job_settings)?;
            Ok((
                recovered,
                observe_page_cache(job_device.as_ref(), &job_settings),
            ))
        };
        let (recovered, resident) = pool
            .run(start)
            .await
            .unwrap_or_else(|_| Err(unusable(&disk, "recovery panicked".to_owned())))?;
        let mut core = assemble(device, pool, settings, clock, recovered, resident);
        core.events = events;
        Ok(Arc::new(Self {
            core: Arc::new(core),
            timer: Mutex::new(None),
        }))
    }
}

fn only_device(devices: Vec<Arc<dyn Device>>) -> Result<Arc<dyn Device>, OpenError> {
    let names: Vec<&str> = devices.iter().map(|device| device.name()).collect();
    let names = names.join(", ");
    let mut devices = devices.into_iter();
    match (devices.next(), devices.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(unusable(
            "store",
            "no disk is configured; name one folder".to_owned(),
        )),
        (Some(_), Some(_)) => Err(unusable(
            &names,
            "several disks are not yet available; name one folder".to_owned(),
        )),
    }
}

/// Whether ranges may be sent after a look at the page cache; says once why not.
fn observe_page_cache(device: &dyn Device, settings: &StoreSettings) -> bool {
    if settings.verify == Verify::Always {
        return false;
    }
    match send::probe(device) {
        Ok(()) => true,
        Err(reason) => {
            tracing::info!(
                disk = device.name(),
                reason,
                "every read is verified (verify = \"always\")"
            );
            false
        }
    }
}

fn assemble(
    device: Arc<dyn Device>,
    pool: Pool,
    settings: StoreSettings,
    clock: Arc<dyn Clock>,
    mut recovered: Recovered,
    resident: bool,
) -> Core {
    let bans = restore_bans(&mut recovered);
    let stats = Arc::new(StoreStats::new(&[device.name()]));
    if let Some(disk) = stats.disks.first() {
        disk.stored_bytes.set(recovered.stored_bytes);
    }
    stats.objects.set(recovered.index.len() as u64);
    stats.metadata_log_bytes.set(recovered.log.bytes());
    stats.log_problems.add(recovered.log.problems);
    stats.bans.set(bans.in_force().len() as u64);
    let index: Arc<Mutex<Index>> = Arc::new(Mutex::new(recovered.index));
    // The count of use continues where the last run ended, whatever the clock shows.
    let elapsed = u32::try_from(clock.elapsed().as_secs()).unwrap_or(u32::MAX);
    Core {
        settings,
        clock,
        device,
        pool,
        pool_id: recovered.superblock.pool,
        sequences: Sequences::new(recovered.next, recovered.superblock.reserved),
        superblock: Mutex::new(recovered.superblock),
        handles: handle_cache(&index),
        index,
        replaced: ReplacedFiles::default(),
        log: MetadataLog::new(recovered.log),
        amending: Amending::default(),
        bans,
        leftovers: Mutex::default(),
        unallocated_bytes: Gauge::default(),
        stats,
        events: Events::default(),
        use_base: recovered.use_base.saturating_sub(elapsed),
        resident,
        suspect: AtomicBool::new(false),
        unsynced: AtomicBool::new(true),
        maintaining: AtomicBool::new(false),
        quarantined: AtomicU32::new(recovered.quarantined),
        forgets: AtomicU64::new(0),
        removals: RwLock::default(),
        retirement: Retirement::default(),
    }
}

/// The bans that were in force, and what is known to be on the disk although it should not.
fn restore_bans(recovered: &mut Recovered) -> Arc<Bans> {
    let log = &mut recovered.log;
    let found = std::mem::take(&mut log.bans).into_values().collect();
    let survivors = log.survivors.take().map(|(place, _)| place);
    let (bans, superseded) = Bans::restored(found, survivors);
    for place in superseded {
        log.release(Some(place));
    }
    for path in &recovered.left {
        bans.note_left(path);
    }
    bans
}

fn unusable(disk: &str, reason: String) -> OpenError {
    OpenError::Unusable {
        disk: disk.to_owned(),
        reason,
    }
}
