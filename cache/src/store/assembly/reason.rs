//! What an operator is told of folders that are not taken, and of a start that is refused: what, where, what to do.
//!
//! The reasons of a single folder come from whoever looked into it and are passed on as they are.

use super::{Assembled, Found, FoundState, Place};
use crate::store::OpenError;
use crate::store::superblock::SLOTS_MAX;

/// Why a configured folder is not among the places of the pool, and what to do.
pub(super) fn why_not_taken(disk: &Found, pool: &Assembled) -> String {
    let lacks_a_disk = pool
        .places
        .iter()
        .any(|(_, place)| *place == Place::Missing);
    match &disk.state {
        FoundState::Ours(other) if other.pool != pool.base.pool => {
            "belongs to another pool; remove the folder from the configuration".to_owned()
        }
        FoundState::Ours(copy) if pool.base.slot_of(&copy.disk).is_some() => {
            "is a copy of another disk of the pool; remove it from the configuration".to_owned()
        }
        FoundState::Ours(_) => {
            "was replaced or retired; empty the folder before it is used again".to_owned()
        }
        FoundState::Empty if lacks_a_disk => {
            "is empty where a disk of the pool was expected; mount the disk, or replace it by this folder with \
             `weir disks replace`"
                .to_owned()
        }
        FoundState::Empty => {
            "is empty and no disk of the pool is missing; add it with `weir disks add`".to_owned()
        }
        FoundState::Foreign(reason) | FoundState::Unreadable(reason) => reason.clone(),
        FoundState::Owned(pid) => format!("is in use by process {pid}"),
    }
}

/// Why there is nothing to start with.
pub(super) fn refusal(found: &[Found]) -> OpenError {
    let unusable = |disk: String, reason: String| OpenError::Unusable { disk, reason };
    if found.is_empty() {
        let reason = "no disk is configured; name one folder";
        return unusable("store".to_owned(), reason.to_owned());
    }
    if found.len() > SLOTS_MAX {
        let reason = format!(
            "{} folders are configured and none is a disk of a pool; a new pool has at most {SLOTS_MAX}",
            found.len()
        );
        return unusable("store".to_owned(), reason);
    }
    if let [only] = found {
        return unusable(only.folder.clone(), why_unusable(&only.state));
    }
    let folders: Vec<&str> = found.iter().map(|disk| disk.folder.as_str()).collect();
    let reasons: Vec<String> = found
        .iter()
        .map(|disk| format!("{}: {}", disk.folder, why_unusable(&disk.state)))
        .collect();
    let advice = "mount the disks of the pool; a new pool is made only when all folders are empty";
    unusable(
        folders.join(", "),
        format!(
            "no folder holds a disk of a pool ({}); {advice}",
            reasons.join("; ")
        ),
    )
}

fn why_unusable(state: &FoundState) -> String {
    match state {
        FoundState::Foreign(reason) | FoundState::Unreadable(reason) => reason.clone(),
        FoundState::Empty => "empty".to_owned(),
        FoundState::Owned(pid) => format!("in use by process {pid}"),
        FoundState::Ours(_) => "a disk of a pool".to_owned(),
    }
}
