//! A folder at the start: whose it is, and what it says of itself.
//!
//! Foreign data is never touched: a folder that is neither empty nor ours is told of and left alone. One disk's threads
//! only; nothing is written but the lock file.

use super::assembly::FoundState;
use super::layout::{FOLDERS, LOST_AND_FOUND, OBJECTS, OWNER_LOCK, SCRUB_COURSE, SUPERBLOCKS};
use super::superblock::Superblock;
use crate::ports::Device;
use std::io;

/// Looks at a folder and takes its lock. Whoever does not use what was found gives the lock back.
pub(super) fn examine(device: &dyn Device) -> FoundState {
    let fail = |what: &str, error: &io::Error| {
        FoundState::Unreadable(format!("{what}: {error}; {}", advice(error)))
    };
    if let Err(error) = device.mkdir("") {
        return fail("cannot create the folder", &error);
    }
    let names = match device.read_dir("") {
        Ok(names) => names,
        Err(error) => return fail("cannot read the folder", &error),
    };
    if let Some(foreign) = foreign_name(&names) {
        return FoundState::Foreign(format!(
            "the folder holds other data ({foreign}) and no superblock; use an empty or absent folder"
        ));
    }
    match device.lock(OWNER_LOCK) {
        Ok(true) => {}
        Ok(false) => {
            let pid = Superblock::load(device).map_or(0, |found| found.owner);
            return FoundState::Owned(pid);
        }
        Err(error) => return fail("cannot lock the folder", &error),
    }
    match Superblock::load(device) {
        Some(found) => FoundState::Ours(Box::new(found)),
        None if has_objects(device) => FoundState::Foreign(
            "both superblocks are damaged although there are objects; restore super.A or super.B, or empty the folder \
             to start over"
                .to_owned(),
        ),
        None => FoundState::Empty,
    }
}

/// Something that makes a folder neither empty nor ours.
fn foreign_name(names: &[String]) -> Option<&String> {
    let is_named = |path: &&str| names.iter().any(|name| name == path);
    if SUPERBLOCKS.iter().any(is_named) {
        return None;
    }
    let files = [OWNER_LOCK, LOST_AND_FOUND, SCRUB_COURSE];
    let ours = |name: &str| files.contains(&name) || FOLDERS.contains(&name);
    names.iter().find(|name| !ours(name))
}

fn has_objects(device: &dyn Device) -> bool {
    device
        .read_dir(OBJECTS)
        .is_ok_and(|folders| !folders.is_empty())
}

/// What to do about an error of a folder.
pub(super) fn advice(error: &io::Error) -> &'static str {
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
