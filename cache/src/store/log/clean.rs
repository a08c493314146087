//! Taking back space: the records of a file that still count are appended to the active one, then the file goes.
//!
//! ```text
//! victim chosen → (active: closed) → live records copied in batches → half-done removals awaited → syncfs → superblock
//! → file removed
//! ```
//! A crash in between leaves records twice, with the same number: either is as good. The writer's lock is given away
//! between batches, so amendments do not wait for a whole file. Pool only, in the maintenance pass.

use super::append::{NewRecord, Sync};
use super::merge;
use super::payload::{Doubt, generation_in};
use super::record::{AMENDMENT, BAN, DOUBT, Piece, Record, SURVIVORS, Scan};
use super::segment::{self, Condition, HEADER_BYTES, Segment};
use crate::object::Sequence;
use crate::store::StoreError;
use crate::store::core::{Core, lock};
use crate::store::index::Place;
use crate::store::layout::QUARANTINE;
use std::io;
use std::sync::atomic::Ordering;

/// Less is not worth a pass, bytes.
const DEAD_BYTES_MIN: u64 = 256 * 1024;
/// Copied under one lock, bytes.
const BATCH_BYTES: u64 = 1024 * 1024;

/// A record of the victim, as it may be copied.
struct Candidate {
    place: Place,
    new: NewRecord,
}

impl Core {
    /// Removes what pays. At most once for each file that is there now.
    pub(in crate::store) fn clean_log(&self) {
        if self.suspect.load(Ordering::Acquire) {
            return; // nothing may be removed that was synced before
        }
        let files = lock(&self.log.segments).len();
        let mut cleaned = self.record_doubt();
        for _ in 0..files {
            let Some(log) = self.log_victim().filter(|_| cleaned.is_ok()) else {
                break;
            };
            cleaned = self.clean_file(log);
        }
        if let Err(error) = cleaned {
            tracing::warn!(disk = self.name(), %error, "cannot clean the metadata log");
        }
    }

    /// Makes the doubt outlive the damage that it comes from.
    pub(in crate::store) fn record_doubt(&self) -> Result<(), StoreError> {
        let mut writer = lock(&self.log.writer);
        if writer.doubt_recorded {
            return Ok(());
        }
        // A file of its own: the superblock may count on one that is gone, and only a later one replaces it there.
        writer.seal(self)?;
        let doubt = *lock(&self.log.doubt);
        if let Some(doubt) = doubt {
            let new = NewRecord {
                kind: DOUBT,
                number: writer.take_number(),
                payload: doubt.encode(),
            };
            writer.append(self, &[new], Sync::Now)?;
        }
        self.claim_log()?;
        writer.doubt_recorded = true;
        for log in std::mem::take(&mut writer.unreadable) {
            self.put_aside(log, 0);
        }
        Ok(())
    }

    fn claim_log(&self) -> Result<(), StoreError> {
        let end = self.log.end();
        self.update_superblock(|superblock| superblock.log = superblock.log.max(end))
    }

    /// The damaged file, or the one with the most dead bytes if they are more than the live ones.
    pub(in crate::store) fn log_victim(&self) -> Option<Sequence> {
        let segments = lock(&self.log.segments).clone();
        let sound = segments
            .iter()
            .filter(|(_, segment)| segment.condition != Condition::Stuck);
        let weighed = sound.filter_map(|(log, segment)| {
            if segment.condition == Condition::Damaged {
                return Some((u64::MAX, *log));
            }
            let live = lock(&self.index)
                .live_log_bytes(*log)
                .saturating_add(segment.kept_bytes);
            let dead = segment
                .bytes
                .saturating_sub(HEADER_BYTES.saturating_add(live));
            (dead > live.max(DEAD_BYTES_MIN)).then_some((dead, *log))
        });
        weighed.max().map(|(_, log)| log)
    }

    pub(in crate::store) fn clean_file(&self, log: Sequence) -> Result<(), StoreError> {
        let Some(segment) = self.closed(log)? else {
            return Ok(());
        };
        let Some(candidates) = self.candidates(log, &segment) else {
            return Ok(());
        };
        let mut batch = Vec::new();
        let mut bytes = 0_u64;
        for candidate in candidates {
            bytes = bytes.saturating_add(u64::from(candidate.place.bytes));
            batch.push(candidate);
            if bytes >= BATCH_BYTES {
                self.copy_live(std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        self.copy_live(batch)?;
        if self.is_dead(log, &segment) {
            self.settle_copies()?;
            self.remove_file(log, &segment);
        }
        Ok(())
    }

    /// Whether nobody will ever ask for a record of this file again. Not yet when an eviction has failed meanwhile and
    /// brought its object back: the next turn copies its record. Of a damaged file what can be had was copied, and the
    /// doubt covers the rest.
    fn is_dead(&self, log: Sequence, segment: &Segment) -> bool {
        // One that is half done has taken the record out of sight, and its object may still stay.
        self.await_removals();
        segment.condition == Condition::Damaged || lock(&self.index).live_log_bytes(log) == 0
    }

    /// Brings onto the platter what makes a cleaned file superfluous: the copies, and the removals and replacements
    /// that made the other records die. Otherwise a power loss would bring an object back without its amendment.
    fn settle_copies(&self) -> Result<(), StoreError> {
        self.sync_disks()?;
        self.settle_losses()?;
        let mut writer = lock(&self.log.writer);
        // Also where nothing was copied: the superblock must name a file that stays.
        writer.writable(self)?;
        writer.sync_active(self)?;
        if self.suspect.load(Ordering::Acquire) {
            // The system tells of a failure once, and it may have told somebody else.
            let source = io::Error::other("an earlier sync failed");
            return Err(self.store_error("clean the log", source));
        }
        self.claim_log()
    }

    /// The file, to which nothing is appended any more: it may have grown since it was chosen.
    fn closed(&self, log: Sequence) -> Result<Option<Segment>, StoreError> {
        let mut writer = lock(&self.log.writer);
        if writer.active == Some(log) {
            writer.seal(self)?;
        }
        Ok(lock(&self.log.segments).get(&log).cloned())
    }

    /// All records of a file; `None`, and the file is left alone, when it does not read as it was written.
    fn candidates(&self, log: Sequence, segment: &Segment) -> Option<Vec<Candidate>> {
        let bytes = match self.whole_file(log, segment) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.leave_alone(log, &error.to_string());
                return None;
            }
        };
        let mut candidates = Vec::new();
        for piece in pieces(&bytes, log) {
            match piece {
                Piece::Record {
                    offset,
                    bytes,
                    record,
                } => candidates.extend(candidate(log, offset, bytes, &record)),
                Piece::Gap { .. } if segment.condition == Condition::Damaged => {}
                Piece::Gap { .. } => {
                    self.leave_alone(log, "bytes that are no record");
                    return None;
                }
            }
        }
        Some(candidates)
    }

    /// The bytes of a file, from several copies where the first is damaged.
    fn whole_file(&self, log: Sequence, segment: &Segment) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(segment.bytes).unwrap_or(0)];
        let read = segment.file.read_exact_at(&mut bytes, 0);
        let is_gap = |piece: Piece<'_>| matches!(piece, Piece::Gap { .. });
        let is_whole = read.is_ok() && !pieces(&bytes, log).any(is_gap);
        if is_whole || segment.file.copies() < 2 {
            return read.map(|()| bytes);
        }
        merge::read_repaired(&segment.file, self.pool_id, log, segment.bytes)
    }

    fn leave_alone(&self, log: Sequence, why: &str) {
        self.stats.log_problems.add(1);
        self.tell_log_damage();
        let path = segment::path(log);
        tracing::warn!(
            disk = self.name(),
            path,
            why,
            "a log file is damaged; the next start draws the consequences"
        );
        if let Some(segment) = lock(&self.log.segments).get_mut(&log) {
            segment.condition = Condition::Stuck;
        }
    }

    fn copy_live(&self, candidates: Vec<Candidate>) -> Result<(), StoreError> {
        let mut writer = lock(&self.log.writer);
        // Under the writer's lock nothing is amended: what is live now at most dies meanwhile.
        let live: Vec<Candidate> = candidates
            .into_iter()
            .filter(|candidate| self.is_live(candidate))
            .collect();
        if live.is_empty() {
            return Ok(());
        }
        let (from, new): (Vec<Place>, Vec<NewRecord>) = live
            .into_iter()
            .map(|candidate| (candidate.place, candidate.new))
            .unzip();
        let places = writer.append(self, &new, Sync::Later)?;
        for ((from, to), record) in from.into_iter().zip(places).zip(&new) {
            match (record.kind, generation_in(&record.payload)) {
                (AMENDMENT, Ok((slot, sequence))) => {
                    lock(&self.index).relocate(slot, sequence, from, to);
                }
                (BAN | SURVIVORS, _) => self.bans.relocate(from, to),
                _ => {}
            }
        }
        Ok(())
    }

    fn is_live(&self, candidate: &Candidate) -> bool {
        match candidate.new.kind {
            // One that could not be read was never given a place.
            AMENDMENT => generation_in(&candidate.new.payload).is_ok_and(|(slot, sequence)| {
                lock(&self.index).place(slot, sequence) == Some(candidate.place)
            }),
            DOUBT => Doubt::decode(&candidate.new.payload).ok() == *lock(&self.log.doubt),
            BAN | SURVIVORS => self.bans.stands_at(candidate.place),
            // Of a newer version: it will know.
            _ => true,
        }
    }

    fn remove_file(&self, log: Sequence, segment: &Segment) {
        lock(&self.log.segments).remove(&log);
        self.stats.metadata_log_bytes.set(self.log.bytes());
        match segment.condition {
            Condition::Damaged => self.put_aside(log, segment.bytes),
            Condition::Sound | Condition::Stuck => self.unlink_log_file(&segment::path(log)),
        }
    }

    /// Keeps a damaged file for inspection where there is room for it.
    fn put_aside(&self, log: Sequence, bytes: u64) {
        let path = segment::path(log);
        let target = format!("{QUARANTINE}/{}", segment::file_name(log));
        let kept =
            self.has_room_in_quarantine(bytes) && self.log.mirror.rename(&path, &target).is_ok();
        if !kept {
            self.unlink_log_file(&path);
        }
    }
}

fn pieces(bytes: &[u8], log: Sequence) -> Scan<'_> {
    let start = usize::try_from(HEADER_BYTES).unwrap_or(usize::MAX);
    Scan::new(bytes, log, start)
}

fn candidate(log: Sequence, offset: u64, bytes: u32, record: &Record<'_>) -> Option<Candidate> {
    let place = Place {
        log,
        number: record.number,
        offset: u32::try_from(offset).ok()?,
        bytes,
    };
    let new = NewRecord {
        kind: record.kind,
        number: record.number,
        payload: record.payload.to_vec(),
    };
    Some(Candidate { place, new })
}
