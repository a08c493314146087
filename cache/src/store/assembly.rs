//! Which of the configured folders make up the pool, and how far each of them may be believed. Decided purely.
//!
//! ```text
//! what was found → one pool → groups by (epoch, tag) → the base group → a place for every slot, strangers
//! ```
//! A disk is known by its uuid, never by its folder or the order of folders. Disks of one pool that have the same
//! newest epoch form a group. One group is the base; its table of disks and its numbers count:
//!
//! 1. A group whose newest epoch is in the past of another one is superseded by it, whatever their sizes: whoever
//!    began an epoch did so because the others were gone.
//! 2. Among groups that have diverged a strict majority of its own slots wins, then the higher epoch, then the
//!    more disks, the more writes, the smaller uuid.
//!
//! Invariants
//! - Whatever is configured, the same disks in any order give the same base.
//! - Nothing is formatted by itself unless all folders are empty or were never stored to: an empty folder among ours is a disk that is not
//!   mounted.
//! - A disk that is not of the base's epoch supplies only what epochs in common have made ([`Place::Stale`]), unless a
//!   crash came before the epoch reached it: then it has missed nothing.
//!
//! What the caller owes for this to hold:
//! - A run that starts on less than all slots begins a new epoch before its first write, on all it writes to: else two
//!   runs apart from each other write under one epoch.
//! - The table of disks changes only together with the epoch, and only while a strict majority of the old table is
//!   live: else an old majority could overlook the change. An operator who goes on without the others owes it himself.
//! - A disk that returns while the pool runs is decided here, too, together with the live ones, and rejoins only if
//!   the base is still the epoch of those.
//!
//! This reads no disk and writes none.

mod base;
mod reason;

use super::OpenError;
use super::report::DiskSlot;
use super::superblock::{SLOTS_MAX, Superblock};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The epoch of a pool of several disks until all of them have a superblock: nothing is stored in it, so that a format
/// that was cut short can be begun again.
pub(super) const UNBORN: u64 = 0;

/// A configured folder and what is there.
#[derive(Debug)]
pub(crate) struct Found {
    /// As configured.
    pub(crate) folder: String,
    pub(crate) state: FoundState,
}

impl Found {
    /// Nothing was ever stored there: it is empty, or the format of a pool was cut short.
    fn is_blank(&self) -> bool {
        match &self.state {
            FoundState::Empty => true,
            FoundState::Ours(superblock) => superblock.epoch == UNBORN,
            _ => false,
        }
    }
}

/// What is in a folder.
#[derive(Debug)]
pub(crate) enum FoundState {
    /// A disk of some pool.
    Ours(Box<Superblock>),
    /// Nothing, or no folder at all.
    Empty,
    /// Other data, or objects without a readable superblock. With what to do.
    Foreign(String),
    /// The system refuses. With what to do.
    Unreadable(String),
    /// Another process holds the lock.
    Owned(u32),
}

/// What to start with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Assembly {
    /// All folders are empty, or no more than a format that was cut short: a new pool of all of them.
    Format,
    /// A pool that exists.
    Pool(Box<Assembled>),
}

/// A pool, as far as it is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assembled {
    /// What the current disks agree on. `disk`, `slot`, `writes` and `owner` are those of one of them.
    pub(crate) base: Superblock,
    /// All slots that are not vacant, ascending.
    pub(crate) places: Vec<(DiskSlot, Place)>,
    /// No epoch that most of the disks have seen can be missing here.
    pub(crate) has_majority: bool,
    /// Configured folders that are not taken, and why.
    pub(crate) strangers: Vec<(usize, String)>,
    /// What new objects get.
    pub(crate) parity: ParityChoice,
}

/// Where the disk of a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Number among what was found; of the base's epoch.
    Current(usize),
    /// There, but it missed something.
    Stale {
        /// Number among what was found.
        found: usize,
        /// The last epoch it shares with the base, 0 for none: shards of later ones on it are foreign.
        common: u64,
    },
    /// Not among what was found.
    Missing,
}

/// The parity of the pool beside the configured one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParityChoice {
    /// They are the same, or the pool has had no use for one so far.
    AsStored,
    /// Stored objects keep theirs, new ones get the configured one.
    Changed {
        /// What the disks say.
        stored: u8,
        /// What the configuration says.
        configured: u8,
    },
}

/// One of our disks.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    found: usize,
    superblock: &'a Superblock,
}

/// Decides what to start with. `found` is in the order of the configuration, `parity` the configured one.
///
/// # Errors
/// A disk that another process owns; or no disk of ours while not all folders are empty.
pub(crate) fn assemble(found: &[Found], parity: u8) -> Result<Assembly, OpenError> {
    for Found { folder, state } in found {
        if let FoundState::Owned(pid) = state {
            return Err(OpenError::Owned {
                disk: folder.clone(),
                pid: *pid,
            });
        }
    }
    let all_blank = found.iter().all(Found::is_blank);
    if all_blank && (1..=SLOTS_MAX).contains(&found.len()) {
        return Ok(Assembly::Format);
    }
    let pools = pools_among(found);
    let assembled = pools
        .values()
        .filter_map(|disks| assemble_pool(found, disks, parity));
    // Which of several pools was meant: the one that is there with the most disks, then the first one configured.
    let chosen = assembled.max_by_key(|pool| (pool.taken().count(), Reverse(pool.taken().min())));
    match chosen {
        Some(pool) => Ok(Assembly::Pool(Box::new(pool))),
        None => Err(reason::refusal(found)),
    }
}

impl Assembled {
    /// The folders that are taken, current or stale.
    fn taken(&self) -> impl Iterator<Item = usize> {
        self.places.iter().filter_map(|(_, place)| match place {
            Place::Current(found) | Place::Stale { found, .. } => Some(*found),
            Place::Missing => None,
        })
    }
}

fn pools_among(found: &[Found]) -> BTreeMap<[u8; 16], Vec<Candidate<'_>>> {
    let mut pools: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (found, disk) in found.iter().enumerate() {
        if let FoundState::Ours(superblock) = &disk.state {
            let candidate = Candidate { found, superblock };
            pools.entry(superblock.pool).or_default().push(candidate);
        }
    }
    pools
}

fn assemble_pool(found: &[Found], disks: &[Candidate<'_>], parity: u8) -> Option<Assembled> {
    let unique = without_copies(disks);
    let base = base::choose(&unique)?;
    let places = base
        .occupied()
        .map(|(slot, uuid)| (slot, place_of(slot, uuid, &base, &unique)))
        .collect::<Vec<_>>();
    let is_current = |place: &&(DiskSlot, Place)| matches!(place.1, Place::Current(_));
    let current = places.iter().filter(is_current).count();
    let mut assembled = Assembled {
        has_majority: 2 * current > places.len(),
        parity: parity_choice(&base, parity),
        base,
        places,
        strangers: Vec::new(),
    };
    assembled.strangers = strangers(found, &assembled);
    Some(assembled)
}

/// Of several copies of one disk the one that was written last; of equal ones the first.
fn without_copies<'a>(disks: &[Candidate<'a>]) -> Vec<Candidate<'a>> {
    let mut unique: BTreeMap<[u8; 16], Candidate<'a>> = BTreeMap::new();
    for disk in disks {
        let kept = unique.entry(disk.superblock.disk).or_insert(*disk);
        if disk.superblock.writes > kept.superblock.writes {
            *kept = *disk;
        }
    }
    unique.into_values().collect()
}

fn place_of(slot: DiskSlot, uuid: &[u8; 16], base: &Superblock, disks: &[Candidate<'_>]) -> Place {
    let Some(disk) = disks.iter().find(|disk| disk.superblock.disk == *uuid) else {
        return Place::Missing;
    };
    let lineage = &disk.superblock.lineage;
    if lineage.newest() == base.lineage.newest() || base.was_to_reach(slot, lineage) {
        return Place::Current(disk.found);
    }
    Place::Stale {
        found: disk.found,
        common: base.lineage.last_in_common(lineage).unwrap_or(0),
    }
}

fn parity_choice(base: &Superblock, configured: u8) -> ParityChoice {
    // One disk holds whole objects: no parity was ever put to use.
    if base.parity == configured || base.disks == 1 {
        return ParityChoice::AsStored;
    }
    ParityChoice::Changed {
        stored: base.parity,
        configured,
    }
}

fn strangers(found: &[Found], pool: &Assembled) -> Vec<(usize, String)> {
    let taken: Vec<usize> = pool.taken().collect();
    let left = (0..)
        .zip(found)
        .filter(|(number, _)| !taken.contains(number));
    left.map(|(number, disk)| (number, reason::why_not_taken(disk, pool)))
        .collect()
}

#[cfg(test)]
mod tests;
