//! Making the copies of the log equal again after a crash: what any of them has whole, all of them have.
//!
//! ```text
//! every file that any disk has: all copies read → equal? next one
//!                               → header, then record by record from whichever copy has it whole → written where different
//! ```
//! A record is bound to file and offset by its checksum, so it may be taken from any copy. Where several are whole and
//! differ, the one with the higher number is newer: an append that failed everywhere was cut off, and after a power
//! loss the cut may be undone on one disk. Where none is whole, and one is further on, the gap stays: the replay decides
//! whether that is damage. Behind the last record of any copy nothing stays.
//!
//! # Why a file may come back that was cleaned away
//!
//! Cleaning removes a file from one disk after the other. A crash in between, or a copy to a new disk at the same time,
//! leaves it on some, and the superblock does not say which files there are. So it is copied back to all. That changes
//! nothing, because a file is removed only after everything that made its records superfluous is synced:
//!
//! - **Amendments.** Either the record was copied, with its number, or a later one of the same object has a higher
//!   number, or the generation of the object is gone from the platter, and sequences are never used twice. Cleaning
//!   copies whatever is live, so there is a record of that or a higher number as long as the object is there, whichever
//!   files have gone since. Numbers decide, not places.
//! - **Bans.** One that was in force was copied. One that was over is not named by a record of survivors with a higher
//!   number; that one is live until the next takes its place, which does not name it either. One that a stronger ban
//!   has replaced is replaced again, or over with it. Even a ban that were obeyed again could only remove what is older
//!   than itself, all of which is gone, or ask about what has no later record, and all that was asked about has one.
//! - **Survivors.** The highest number counts; an older one names more bans than are left and is passed over.
//! - **Doubts.** The wider one counts, and an earlier one is never wider than the one that took its place.
//! - **Which file is appended to.** The one with the highest sequence. A file is removed only when a later one was
//!   begun and synced, so one that comes back is never the last.
//! - **Damage.** A file that was put aside because it was damaged is damage again: everything is asked about once more.
//!   That costs requests and is safe.
//!
//! A disk that missed a removal because it was lost is another matter: it is not current, and not merged.

use super::mirror::{Mirror, MirrorFile, Replica, read_copy, write_copy};
use super::record::{Piece, Scan};
use super::segment::{self, HEADER_BYTES, check_header};
use crate::object::Sequence;
use crate::store::report::DiskSlot;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// What was wrong with a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Flaw {
    /// There was no such file.
    Absent,
    /// It ended earlier or in the middle of a record, as a crash leaves it.
    Torn,
    /// It had bytes before its end that are no record, or no header.
    Damaged,
    /// It could not be read.
    Unreadable,
}

/// A copy that was written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Repair {
    pub(in crate::store) slot: DiskSlot,
    pub(in crate::store) log: Sequence,
    pub(in crate::store) flaw: Flaw,
}

/// Makes the copies of all disks equal. Before the replay; the disks are all current.
///
/// A disk whose folder cannot be read, or that does not take a copy (also for want of space: nothing can be evicted
/// yet), is lost to the mirror.
///
/// # Errors
/// When that is so of all disks.
pub(in crate::store) fn reconcile(mirror: &Mirror, pool: [u8; 16]) -> io::Result<Vec<Repair>> {
    let mut repairs = Vec::new();
    if mirror.list().len() < 2 {
        return Ok(repairs);
    }
    let listed = mirror.each(|replica| match replica.device.read_dir(segment::LOG) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    });
    let listed = mirror.blame("read the log folder", listed)?;
    let names = listed.iter().flat_map(|(_, names)| names);
    let logs: BTreeSet<Sequence> = names.filter_map(|name| segment::parse(name)).collect();
    for log in logs {
        repairs.extend(reconcile_file(mirror, pool, log)?);
    }
    Ok(repairs)
}

fn reconcile_file(mirror: &Mirror, pool: [u8; 16], log: Sequence) -> io::Result<Vec<Repair>> {
    let copies = mirror.each(|replica| read_copy(replica.device.as_ref(), log));
    let readable: Vec<&[u8]> = copies
        .iter()
        .filter_map(|(_, copy)| copy.as_ref().ok()?.as_deref())
        .collect();
    let Some(first) = readable.first() else {
        return Ok(Vec::new()); // the replay finds that nobody can read it
    };
    if readable.len() == copies.len() && readable.iter().all(|copy| copy == first) {
        return Ok(Vec::new());
    }
    let content = merged(&readable, pool, log);
    let mut repairs = Vec::new();
    let mut outcomes = Vec::new();
    for (replica, copy) in &copies {
        let Some(flaw) = flaw(copy.as_ref(), &content, log) else {
            outcomes.push((Arc::clone(replica), Ok(())));
            continue;
        };
        let written = write_copy(replica.device.as_ref(), log, &content);
        if written.is_ok() {
            let slot = replica.slot;
            repairs.push(Repair { slot, log, flaw });
            tell(mirror, replica, log, flaw);
        }
        outcomes.push((Arc::clone(replica), written));
    }
    mirror.blame("write a copy of the log", outcomes)?;
    Ok(repairs)
}

fn tell(mirror: &Mirror, replica: &Replica, log: Sequence, flaw: Flaw) {
    let path = segment::path(log);
    match flaw {
        Flaw::Damaged | Flaw::Unreadable => mirror.tell_repaired(replica, &path),
        Flaw::Absent | Flaw::Torn => {
            let disk = replica.device.name();
            tracing::info!(
                disk,
                path,
                ?flaw,
                "a copy of the metadata log was completed"
            );
        }
    }
}

/// What distinguishes a copy from what it should be; `None`: nothing.
fn flaw(copy: Result<&Option<Vec<u8>>, &io::Error>, content: &[u8], log: Sequence) -> Option<Flaw> {
    let bytes = match copy {
        Err(_) => return Some(Flaw::Unreadable),
        Ok(None) => return Some(Flaw::Absent),
        Ok(Some(bytes)) => bytes,
    };
    if bytes == content {
        return None;
    }
    let pairs = bytes.iter().zip(content);
    let agreed = pairs.take_while(|(one, other)| one == other).count() as u64;
    let is_torn =
        agreed >= HEADER_BYTES.min(bytes.len() as u64) && records_end(bytes, log) <= agreed;
    Some(if is_torn { Flaw::Torn } else { Flaw::Damaged })
}

/// Where the last record ends.
fn records_end(bytes: &[u8], log: Sequence) -> u64 {
    let records = Scan::new(bytes, log, header_bytes()).filter_map(|piece| match piece {
        Piece::Record { offset, bytes, .. } => Some(offset.saturating_add(u64::from(bytes))),
        Piece::Gap { .. } => None,
    });
    records.last().unwrap_or(0)
}

/// What a file is, as far as any of these disks knows; `None` when none has it. One that nobody can read is a header
/// that is none: whoever starts with that copy alone learns that something is lost.
pub(super) fn content(replicas: &[Arc<Replica>], pool: [u8; 16], log: Sequence) -> Option<Vec<u8>> {
    let read = replicas.iter();
    let copies: Vec<_> = read
        .map(|replica| read_copy(replica.device.as_ref(), log))
        .filter(|copy| !matches!(copy, Ok(None)))
        .collect();
    let readable: Vec<&[u8]> = copies
        .iter()
        .filter_map(|copy| copy.as_ref().ok()?.as_deref())
        .collect();
    match (copies.is_empty(), readable.is_empty()) {
        (true, _) => None,
        (false, true) => Some(vec![0; header_bytes()]),
        (false, false) => Some(merged(&readable, pool, log)),
    }
}

/// All of an open file that nobody appends to any more; copies that differ are overwritten.
pub(super) fn read_repaired(
    file: &MirrorFile,
    pool: [u8; 16],
    log: Sequence,
    length: u64,
) -> io::Result<Vec<u8>> {
    let copies = file.read_copies(length);
    if copies.is_empty() {
        return Err(io::Error::other("no copy of the file can be read"));
    }
    let readable: Vec<&[u8]> = copies.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let mut content = merged(&readable, pool, log);
    // What is missing at the end was there: zeros are no record.
    content.resize(usize::try_from(length).unwrap_or(0), 0);
    for (replica, bytes) in &copies {
        if *bytes != content {
            file.repair(replica, &content, 0);
        }
    }
    Ok(content)
}

fn header_bytes() -> usize {
    usize::try_from(HEADER_BYTES).unwrap_or(usize::MAX)
}

/// The best of all copies of one file. Pure.
pub(super) fn merged(copies: &[&[u8]], pool: [u8; 16], log: Sequence) -> Vec<u8> {
    let mut content = header(copies, pool, log);
    if content.len() < header_bytes() {
        return content;
    }
    let scans: Vec<Scan<'_>> = copies
        .iter()
        .map(|copy| Scan::new(copy, log, header_bytes()))
        .collect();
    loop {
        let at = content.len();
        if let Some(record) = newest_at(copies, &scans, at) {
            content.extend_from_slice(record);
            continue;
        }
        let further = scans.iter().zip(copies);
        let further = further.filter_map(|(scan, copy)| Some((scan.next_record(at)?, copy)));
        match further.min_by_key(|(next, _)| *next) {
            Some((next, copy)) => content.extend_from_slice(copy.get(at..next).unwrap_or_default()),
            None => return content,
        }
    }
}

/// The bytes of the record at an offset that has the highest number.
fn newest_at<'a>(copies: &[&'a [u8]], scans: &[Scan<'a>], at: usize) -> Option<&'a [u8]> {
    let mut newest: Option<(u64, &'a [u8])> = None;
    for (scan, copy) in scans.iter().zip(copies) {
        let Some((record, bytes)) = scan.record_at(at) else {
            continue;
        };
        let end = at.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        let is_newer = newest.is_none_or(|(number, _)| record.number > number);
        if let (true, Some(bytes)) = (is_newer, copy.get(at..end)) {
            newest = Some((record.number, bytes));
        }
    }
    newest.map(|(_, bytes)| bytes)
}

/// The header that is one; else as much as there is of any.
fn header(copies: &[&[u8]], pool: [u8; 16], log: Sequence) -> Vec<u8> {
    let whole = copies
        .iter()
        .find(|copy| check_header(copy, pool, log).is_ok());
    let longest = || copies.iter().rev().max_by_key(|copy| copy.len());
    let best = whole.or_else(longest).copied().unwrap_or_default();
    best.get(..header_bytes()).unwrap_or(best).to_vec()
}

#[cfg(test)]
pub(in crate::store::log) mod tests;
