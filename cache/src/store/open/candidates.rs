//! The configured folders on the way to becoming disks: looked at, locked, put in their slots.
//!
//! Each is looked at on threads of its own, so that one that hangs keeps no other waiting. A folder that is not used gives
//! its lock back.

use super::{OpenError, StoreSettings, unusable};
use crate::ports::Device;
use crate::store::array::disk::Disk;
use crate::store::assembly::{self, Assembled, Found, FoundState, ParityChoice, Place};
use crate::store::examine::examine;
use crate::store::members::Members;
use crate::store::pool::Pool;
use crate::store::report::DiskSlot;
use crate::store::sequence::COUNTER_BITS;
use crate::store::superblock::{Lineage, Superblock};
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How much longer than a call a look at a folder may take: it reads whole folders.
const EXAMINATION_DEADLINES: u32 = 4;

/// A configured folder with its threads.
pub(super) struct Candidate {
    pub(super) device: Arc<dyn Device>,
    pool: Pool,
    boot: String,
    /// Number of its file system.
    pub(super) system: Option<u64>,
}

/// What all folders are. Dropping it gives the locks back of those that are not used.
pub(super) struct Candidates {
    pub(super) devices: Vec<Arc<dyn Device>>,
    pub(super) list: Vec<Option<Candidate>>,
    pub(super) found: Vec<Found>,
}

impl Drop for Candidates {
    fn drop(&mut self) {
        for candidate in self.list.iter().flatten() {
            candidate.device.unlock();
        }
    }
}

pub(super) async fn examine_all(
    devices: Vec<Arc<dyn Device>>,
    settings: &StoreSettings,
) -> Result<Candidates, OpenError> {
    let deadline = match devices.len() {
        // There is nothing to go on without.
        0 | 1 => None,
        _ => Some(settings.disk_deadline * EXAMINATION_DEADLINES),
    };
    let looks = (0..).zip(devices.iter().cloned());
    let looks = looks.map(|(number, device)| examine_one(number, device, settings, deadline));
    let (list, found) = join_all(looks)
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    Ok(Candidates {
        devices,
        list,
        found,
    })
}

async fn examine_one(
    number: usize,
    device: Arc<dyn Device>,
    settings: &StoreSettings,
    deadline: Option<Duration>,
) -> Result<(Option<Candidate>, Found), OpenError> {
    let folder = device.name().to_owned();
    let threads_name = format!("weir-disk{number}");
    let pool = start_pool(&folder, &threads_name, settings.threads_per_disk, settings)?;
    let job_device = Arc::clone(&device);
    let look = pool.run(move || {
        let state = examine(job_device.as_ref());
        let boot = job_device.boot_id().unwrap_or_default();
        (state, boot, job_device.file_system().ok())
    });
    let looked = match deadline {
        None => look.await.ok(),
        Some(deadline) => tokio::time::timeout(deadline, look)
            .await
            .ok()
            .and_then(Result::ok),
    };
    let Some((state, boot, system)) = looked else {
        let state = FoundState::Unreadable("it does not answer; check the disk".to_owned());
        return Ok((None, Found { folder, state }));
    };
    let is_locked = matches!(state, FoundState::Ours(_) | FoundState::Empty);
    let candidate = Candidate {
        device,
        pool,
        boot,
        system,
    };
    if !is_locked {
        candidate.device.unlock();
    }
    let candidate = is_locked.then_some(candidate);
    Ok((candidate, Found { folder, state }))
}

pub(super) fn start_pool(
    disk: &str,
    threads_name: &str,
    threads: usize,
    settings: &StoreSettings,
) -> Result<Pool, OpenError> {
    Pool::start(threads_name, threads, settings.queue_per_disk).map_err(|error| {
        unusable(
            disk,
            format!("cannot start the threads of the disk: {error}"),
        )
    })
}

/// What an operator should know about the disks that were found.
pub(super) fn tell(found: &[Found], assembled: &Assembled) {
    for (number, reason) in &assembled.strangers {
        let folder = found.get(*number).map(|disk| disk.folder.as_str());
        tracing::error!(folder, reason, "a configured folder is not used");
    }
    for (slot, place) in &assembled.places {
        match place {
            Place::Current(_) => {}
            Place::Stale { found: number, .. } => {
                let folder = found.get(*number).map(|disk| disk.folder.as_str());
                tracing::warn!(
                    folder,
                    %slot,
                    "a disk has missed something; what the others do not know of is removed from it"
                );
            }
            Place::Missing => {
                tracing::error!(%slot, "a disk is missing; what it has is computed from the others. See `weir disks`");
            }
        }
    }
    if !assembled.has_majority {
        tracing::error!(
            "most of the disks are missing: what is stored is used only after its origin was asked. Mount them, or run \
             `weir disks accept`"
        );
    }
    if let ParityChoice::Changed { stored, configured } = assembled.parity {
        tracing::info!(
            stored,
            configured,
            "the parity is another one now; what is stored keeps what it has"
        );
    }
}

/// Whether some disk of the pool was in use without those that count now, and they without it.
pub(super) fn has_diverged(found: &[Found], assembled: &Assembled) -> bool {
    let lineage = &assembled.base.lineage;
    assembled.places.iter().any(|(_, place)| {
        let Place::Stale { found: number, .. } = place else {
            return false;
        };
        match found.get(*number).map(|found| &found.state) {
            Some(FoundState::Ours(other)) => !lineage.follows(other.lineage.newest()),
            _ => false,
        }
    })
}

/// What stale disks wrote last, from one sequence up to, not including, another: they may have lost their power with it,
/// whatever became of the others.
pub(super) fn unsynced_on_stale(found: &[Found], assembled: &Assembled) -> Option<(u64, u64)> {
    let stale = assembled
        .places
        .iter()
        .filter_map(|(_, place)| match place {
            Place::Stale { found: number, .. } => found.get(*number),
            Place::Current(_) | Place::Missing => None,
        });
    let unsynced = stale.filter_map(|found| match &found.state {
        FoundState::Ours(other) if other.synced < other.reserved => {
            Some((other.synced, other.reserved))
        }
        _ => None,
    });
    unsynced.reduce(|all, own| (all.0.min(own.0), all.1.max(own.1)))
}

/// Two disks on one file system are lost together.
pub(super) fn warn_of_shared(disks: &[Arc<Disk>], systems: &[(String, Option<u64>)]) {
    for disk in disks {
        let own = systems.iter().find(|(folder, _)| *folder == disk.name);
        let Some((_, Some(system))) = own else {
            continue;
        };
        let other = systems
            .iter()
            .take_while(|(folder, _)| *folder != disk.name)
            .find(|(_, known)| *known == Some(*system));
        if let Some((other, _)) = other {
            tracing::warn!(
                disk = disk.name,
                other,
                "two disks are on the same file system: they are lost together"
            );
        }
    }
}

/// The disks in their slots, and the boot of this machine.
pub(super) fn attach(
    candidates: &mut Candidates,
    assembled: &Assembled,
) -> (Vec<Arc<Disk>>, String) {
    let (mut disks, mut boot) = (Vec::new(), String::new());
    for (slot, uuid) in assembled.base.occupied() {
        let place = assembled.places.iter().find(|(other, _)| *other == slot);
        let number = match place {
            Some((_, Place::Current(found) | Place::Stale { found, .. })) => Some(*found),
            _ => None,
        };
        let candidate = number.and_then(|number| candidates.list.get_mut(number)?.take());
        let Some(candidate) = candidate else {
            let why = "it is not among the configured folders, or does not answer";
            let missing = Disk::missing(slot, *uuid, format!("slot {slot}"), why);
            disks.push(Arc::new(missing));
            continue;
        };
        boot.clone_from(&candidate.boot);
        let writes = number.and_then(|number| match &candidates.found.get(number)?.state {
            FoundState::Ours(superblock) => Some(superblock.writes),
            _ => None,
        });
        let disk = Disk::attached(slot, *uuid, candidate.device, candidate.pool);
        disk.superblock_writes
            .store(writes.unwrap_or(0), Ordering::Release);
        disk.set_live();
        disks.push(Arc::new(disk));
    }
    (disks, boot)
}

/// A new pool of all folders.
pub(super) fn format(candidates: &Candidates, parity: u8) -> Result<Assembled, OpenError> {
    let random = || {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map(|()| id).map_err(|error| {
            unusable(
                "store",
                format!("the system gives no random numbers: {error}"),
            )
        })
    };
    let epoch = match candidates.found.len() {
        1 => 1,
        _ => assembly::UNBORN,
    };
    let mut slots = Vec::new();
    for _ in &candidates.found {
        slots.push(Some(random()?));
    }
    let places = (0_u8..).map(DiskSlot).zip(0..slots.len());
    let base = Superblock {
        pool: random()?,
        disk: slots.first().copied().flatten().unwrap_or_default(),
        slot: 0,
        disks: u16::try_from(slots.len()).unwrap_or(u16::MAX),
        writes: 0,
        clean: false,
        epoch,
        reserved: (epoch << COUNTER_BITS) | 1,
        synced: epoch << COUNTER_BITS,
        doubt: (0, 0),
        owner: std::process::id(),
        boot: String::new(),
        log: (0, 0),
        slots,
        parity,
        told: Members::EMPTY,
        retiring: Members::EMPTY,
        lineage: Lineage::starting(epoch),
    };
    Ok(Assembled {
        base,
        places: places
            .map(|(slot, number)| (slot, Place::Current(number)))
            .collect(),
        has_majority: true,
        strangers: Vec::new(),
        parity: ParityChoice::AsStored,
    })
}
