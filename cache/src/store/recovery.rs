//! From a folder to a running store: whose it is, what it holds, and what of it may be believed.
//!
//! ```text
//! look → lock → superblocks → folders → empty tmp/ → checkpoint, or scan the names → superblock: unclean, ours
//! ```
//! A clean close left a checkpoint; it is used only then and only if it is whole. Otherwise the names are read: per
//! (key, variant) the highest sequence wins and the others are removed. After an unclean end under another boot id the
//! machine may have died: what was not synced is verified as a whole before its first use, and where such an object
//! replaced an older one it is verified right now, while the older one still exists.
//!
//! Foreign data is never touched: a folder that is neither empty nor ours is refused.

use super::checkpoint;
use super::index::{Index, Inserted, Record};
use super::layout::{
    FOLDERS, Geometry, LOST_AND_FOUND, OBJECTS, OWNER_LOCK, QUARANTINE, SUPERBLOCKS, ShardName,
    TEMPORARY, footprint_bytes, temporary_sequence,
};
use super::log;
use super::sequence::{COUNTER_BITS, RESERVE_AT_ONCE};
use super::shard::Shard;
use super::superblock::Superblock;
use super::{OpenError, StoreSettings};
use crate::object::Sequence;
use crate::ports::Device;
use std::collections::HashMap;
use std::io;

/// What recovery found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) superblock: Superblock,
    pub(super) index: Index,
    pub(super) stored_bytes: u64,
    pub(super) log: log::replay::Replayed,
    /// First sequence to hand out.
    pub(super) next: u64,
    /// Count of use to continue at.
    pub(super) use_base: u32,
    pub(super) quarantined: u32,
    /// Paths of outdated objects that could not be removed.
    pub(super) left: Vec<String>,
}

/// Opens a disk. Runs on its pool before anything else does.
pub(super) fn recover(
    device: &dyn Device,
    settings: &StoreSettings,
) -> Result<Recovered, OpenError> {
    let disk = device.name();
    let fail = |what: &str, error: &io::Error| {
        unusable(disk, format!("{what}: {error}; {}", advice(error)))
    };
    device
        .mkdir("")
        .map_err(|error| fail("cannot create the folder", &error))?;
    let names = device
        .read_dir("")
        .map_err(|error| fail("cannot read the folder", &error))?;
    refuse_foreign(disk, &names)?;
    take_ownership(device)?;
    let boot = device.boot_id().unwrap_or_default();
    let opened = open_owned(device, settings, boot);
    if opened.is_err() {
        device.unlock();
    }
    opened
}

fn open_owned(
    device: &dyn Device,
    settings: &StoreSettings,
    boot: String,
) -> Result<Recovered, OpenError> {
    let disk = device.name();
    let fail = |what: &str, error: &io::Error| {
        unusable(disk, format!("{what}: {error}; {}", advice(error)))
    };
    let found = match Superblock::load(device) {
        Some(found) => found,
        None => format(device)?,
    };
    if found.disks != 1 || found.slot != 0 {
        return Err(unusable(
            disk,
            "the disk belongs to a pool of several disks; list all of them".to_owned(),
        ));
    }
    for folder in FOLDERS {
        device
            .mkdir(folder)
            .map_err(|error| fail("cannot create a folder", &error))?;
    }
    let highest_temporary =
        empty_temporary(device).map_err(|error| fail("cannot empty tmp/", &error))?;
    let quarantined = device
        .read_dir(QUARANTINE)
        .map_or(0, |names| u32::try_from(names.len()).unwrap_or(u32::MAX));
    let mut superblock = Superblock {
        owner: std::process::id(),
        ..found.clone()
    };
    if !found.clean && found.boot != boot {
        superblock.doubt = widened(found.doubt, found.synced, found.reserved);
    }
    superblock.boot.clone_from(&boot);
    let mut contents = read_contents(device, settings, &found, &superblock)
        .map_err(|error| fail("cannot read the objects", &error))?;
    let mut log = log::replay::replay(device, &found, &boot, &mut contents.index);
    let highest_log = log.segments.last_key_value().map_or(0, |(log, _)| log.0);
    let highest = contents.highest.max(highest_temporary).max(highest_log);
    let highest = highest.max(log.highest_ban());
    let next = found.reserved.max(highest.saturating_add(1));
    log.doubt_everything_before(next);
    superblock.clean = false;
    superblock.reserved = next.saturating_add(RESERVE_AT_ONCE);
    if !contents.index.records().any(|record| record.unverified) {
        superblock.doubt = (0, 0);
    }
    superblock
        .store(device)
        .map_err(|error| fail("cannot write the superblock", &error))?;
    // From here on a checkpoint would be out of date.
    checkpoint::remove_all(device);
    let stored_bytes = contents
        .index
        .records()
        .map(|record| footprint_bytes(record.length))
        .sum();
    let (index, use_base, left) = (contents.index, contents.use_base, contents.left);
    Ok(Recovered {
        superblock,
        index,
        stored_bytes,
        log,
        next,
        use_base,
        quarantined,
        left,
    })
}

/// Only an empty folder, or one of ours, is opened.
fn refuse_foreign(disk: &str, names: &[String]) -> Result<(), OpenError> {
    if SUPERBLOCKS
        .iter()
        .any(|path| names.iter().any(|name| name == path))
    {
        return Ok(());
    }
    let ours = |name: &str| name == OWNER_LOCK || name == LOST_AND_FOUND || FOLDERS.contains(&name);
    match names.iter().find(|name| !ours(name)) {
        None => Ok(()),
        Some(foreign) => Err(unusable(
            disk,
            format!(
                "the folder holds other data ({foreign}) and no superblock; use an empty or absent folder"
            ),
        )),
    }
}

fn take_ownership(device: &dyn Device) -> Result<(), OpenError> {
    let disk = device.name();
    match device.lock(OWNER_LOCK) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let pid = Superblock::load(device).map_or(0, |found| found.owner);
            Err(OpenError::Owned {
                disk: disk.to_owned(),
                pid,
            })
        }
        Err(error) => Err(unusable(
            disk,
            format!("cannot lock the folder: {error}; {}", advice(&error)),
        )),
    }
}

/// Makes a new pool of one disk. Refused when there are objects: then both superblocks were lost, and formatting would
/// give away their numbers.
fn format(device: &dyn Device) -> Result<Superblock, OpenError> {
    let disk = device.name();
    let empty = device
        .read_dir(OBJECTS)
        .map_or(true, |folders| folders.is_empty());
    if !empty {
        let reason = "both superblocks are damaged although there are objects; restore super.A or super.B, or empty \
                      the folder to start over";
        return Err(unusable(disk, reason.to_owned()));
    }
    let random = || {
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map(|()| id)
            .map_err(|error| unusable(disk, format!("the system gives no random numbers: {error}")))
    };
    let epoch = 1;
    Ok(Superblock {
        pool: random()?,
        disk: random()?,
        slot: 0,
        disks: 1,
        writes: 0,
        clean: false,
        epoch,
        reserved: (epoch << COUNTER_BITS) | 1,
        synced: epoch << COUNTER_BITS,
        doubt: (0, 0),
        owner: std::process::id(),
        boot: device.boot_id().unwrap_or_default(),
        log: (0, 0),
    })
}

/// Removes what was being written; returns the highest sequence among it.
fn empty_temporary(device: &dyn Device) -> io::Result<u64> {
    let mut highest = 0;
    for name in device.read_dir(TEMPORARY)? {
        highest = highest.max(temporary_sequence(&name).map_or(0, |sequence| sequence.0));
        let path = format!("{TEMPORARY}/{name}");
        match device.unlink(&path) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                tracing::warn!(
                    disk = device.name(),
                    path,
                    "a folder that is not ours was left alone"
                );
            }
            other => other?,
        }
    }
    Ok(highest)
}

fn widened(doubt: (u64, u64), from: u64, until: u64) -> (u64, u64) {
    if doubt.0 == doubt.1 {
        (from, until)
    } else {
        (doubt.0.min(from), doubt.1.max(until))
    }
}

struct Contents {
    index: Index,
    highest: u64,
    use_base: u32,
    left: Vec<String>,
}

fn read_contents(
    device: &dyn Device,
    settings: &StoreSettings,
    found: &Superblock,
    now: &Superblock,
) -> io::Result<Contents> {
    if found.clean {
        match checkpoint::load(device, found.pool, Sequence(found.reserved)) {
            Ok(loaded) => return Ok(from_checkpoint(loaded)),
            Err(error) => {
                tracing::warn!(disk = device.name(), %error, "no usable checkpoint; scanning the objects");
            }
        }
    }
    let scanned = scan(device, found.pool, now.doubt)?;
    if scanned.index.len() > settings.objects_max {
        tracing::warn!(
            disk = device.name(),
            objects = scanned.index.len(),
            "more objects than objects_max"
        );
    }
    Ok(scanned)
}

fn from_checkpoint(loaded: checkpoint::Checkpoint) -> Contents {
    let mut index = Index::new();
    let mut highest = 0;
    for record in loaded.records {
        highest = highest.max(record.sequence.0);
        index.insert(record);
    }
    Contents {
        index,
        highest,
        use_base: loaded.use_now,
        left: Vec::new(),
    }
}

/// Reads all names.
fn scan(device: &dyn Device, pool: [u8; 16], doubt: (u64, u64)) -> io::Result<Contents> {
    let mut index = Index::new();
    let mut highest = 0;
    let mut strange = 0_u64;
    let mut left = Vec::new();
    for folder in device.read_dir(OBJECTS)? {
        let path = format!("{OBJECTS}/{folder}");
        let mut contenders: HashMap<super::layout::Slot, Vec<ShardName>> = HashMap::new();
        for file in names_in(device, &path)? {
            match ShardName::parse(&file).filter(|name| is_ours(name, &path)) {
                Some(name) => contenders.entry(name.slot).or_default().push(name),
                None => strange += 1,
            }
        }
        for mut names in contenders.into_values() {
            names.sort_by_key(|name| std::cmp::Reverse((name.sequence, name.length)));
            highest = names
                .first()
                .map_or(highest, |name| highest.max(name.sequence.0));
            if let Some(record) = settle(device, pool, doubt, &names, &mut left) {
                let inserted = index.insert(record);
                debug_assert_eq!(inserted, Inserted::New);
            }
        }
    }
    if strange > 0 {
        tracing::warn!(
            disk = device.name(),
            files = strange,
            "files with unknown names or geometry were left alone"
        );
    }
    Ok(Contents {
        index,
        highest,
        use_base: 0,
        left,
    })
}

/// What a folder of objects holds; nothing where a stray file has taken its place.
fn names_in(device: &dyn Device, path: &str) -> io::Result<Vec<String>> {
    match device.read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            tracing::warn!(
                disk = device.name(),
                path,
                "a file that is not ours was left alone"
            );
            Ok(Vec::new())
        }
        other => other,
    }
}

fn is_ours(name: &ShardName, folder: &str) -> bool {
    name.geometry == Geometry::ONE_DISK && name.index == 0 && name.folder() == folder
}

/// Chooses among the files of one (key, variant), newest first, and removes the others.
fn settle(
    device: &dyn Device,
    pool: [u8; 16],
    doubt: (u64, u64),
    names: &[ShardName],
    left: &mut Vec<String>,
) -> Option<Record> {
    let is_doubtful = |name: &ShardName| (doubt.0..doubt.1).contains(&name.sequence.0);
    let mut winner = None;
    for name in names {
        let contested = names.len() > 1;
        let keeps =
            winner.is_none() && !(contested && is_doubtful(name) && !is_whole(device, pool, *name));
        if keeps {
            let unverified = is_doubtful(name) && !contested;
            winner = Some(record_of(name, unverified));
        } else if let Err(error) = device.unlink(&name.path()) {
            tracing::warn!(disk = device.name(), %error, "cannot remove an outdated object");
            left.push(name.path());
        }
    }
    winner
}

fn is_whole(device: &dyn Device, pool: [u8; 16], name: ShardName) -> bool {
    Shard::open(device, pool, name).is_ok_and(|shard| shard.verify_all().is_ok())
}

fn record_of(name: &ShardName, unverified: bool) -> Record {
    Record {
        slot: name.slot,
        sequence: name.sequence,
        length: name.length,
        last_use: 0,
        owner: 0,
        pinned: false,
        unverified,
        head_known: false,
    }
}

fn unusable(disk: &str, reason: String) -> OpenError {
    OpenError::Unusable {
        disk: disk.to_owned(),
        reason,
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "give this user write permission, or use another folder",
        io::ErrorKind::ReadOnlyFilesystem => "mount it writable, or use another folder",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file is in the way; use another folder"
        }
        io::ErrorKind::StorageFull => "free some space, or use another folder",
        _ => "check the disk, or use another folder",
    }
}
