//! Adding records: at the end of the active file, under the lock of the writer.
//!
//! ```text
//! (active file full: fdatasync, closed) → (none: sequence, file, header, fsync of the folder) → write → (fdatasync)
//! ```
//! A write or sync that fails is cut off again; if even that fails, the log takes nothing more until the next start,
//! which cuts or keeps what was not acknowledged.

use super::SEGMENT_BYTES_MAX;
use super::mirror::MirrorFile;
use super::record::{AMENDMENT, Record};
use super::segment::{self, Condition, LOG, Segment};
use crate::object::Sequence;
use crate::store::StoreError;
use crate::store::core::{Core, lock};
use crate::store::index::Place;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What may be appended to.
#[derive(Debug)]
pub(in crate::store) struct Writer {
    pub(super) active: Option<Sequence>,
    pub(in crate::store) next_number: u64,
    /// The doubt in memory is also in the log.
    pub(super) doubt_recorded: bool,
    /// Files that could not be read at the start; they go once the doubt is recorded.
    pub(super) unreadable: Vec<Sequence>,
    /// The end of the active file is not known any more.
    pub(super) broken: bool,
}

/// When what was appended must be on the platter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Sync {
    /// With the next sync pass.
    Later,
    /// Before the call returns.
    Now,
}

/// A record to be written.
#[derive(Debug)]
pub(in crate::store) struct NewRecord {
    pub(in crate::store) kind: u16,
    pub(in crate::store) number: u64,
    pub(in crate::store) payload: Vec<u8>,
}

impl Writer {
    /// The number of the next record.
    pub(in crate::store) fn take_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        number
    }

    /// Appends all records in one write; all of them or none. Pool only.
    pub(in crate::store) fn append(
        &mut self,
        core: &Core,
        records: &[NewRecord],
        sync: Sync,
    ) -> Result<Vec<Place>, StoreError> {
        let (log, file, end) = self.writable(core)?;
        let encoded = encode(log, end, records);
        let (bytes, places) = encoded.map_err(|error| {
            core.store_error(
                "encode record",
                io::Error::new(io::ErrorKind::InvalidData, error),
            )
        })?;
        let length = bytes.len() as u64;
        let written = core
            .with_room(length, "append to the log", || {
                file.write_all_at(&[IoSlice::new(&bytes)], end)
            })
            .and_then(|()| match sync {
                Sync::Later => Ok(()),
                Sync::Now => core.synced("fdatasync of the log", file.sync_data()),
            });
        if let Err(error) = written {
            self.broken = file.truncate(end).is_err();
            return Err(error);
        }
        let kept = records.iter().zip(&places);
        let kept_bytes = kept
            .filter(|(record, _)| record.kind != AMENDMENT)
            .map(|(_, place)| u64::from(place.bytes))
            .sum::<u64>();
        if let Some(segment) = lock(&core.log.segments).get_mut(&log) {
            segment.bytes = end.saturating_add(length);
            segment.kept_bytes = segment.kept_bytes.saturating_add(kept_bytes);
        }
        core.stats.metadata_log_bytes.set(core.log.bytes());
        // After the write: a pass that began before it has not covered it.
        core.unsynced.store(true, Ordering::Release);
        Ok(places)
    }

    /// The file to append to, and where.
    pub(super) fn writable(
        &mut self,
        core: &Core,
    ) -> Result<(Sequence, Arc<MirrorFile>, u64), StoreError> {
        if self.broken {
            let source =
                io::Error::other("an earlier write could not be taken back; restart to go on");
            return Err(core.store_error("append to the log", source));
        }
        if let Some((log, segment)) = self.active_segment(core) {
            if segment.bytes < SEGMENT_BYTES_MAX {
                return Ok((log, segment.file, segment.bytes));
            }
            self.seal(core)?;
        }
        self.create(core)
    }

    fn active_segment(&self, core: &Core) -> Option<(Sequence, Segment)> {
        let log = self.active?;
        let segment = lock(&core.log.segments).get(&log).cloned()?;
        Some((log, segment))
    }

    /// Closes the active file: whatever is in it is on the platter.
    pub(super) fn seal(&mut self, core: &Core) -> Result<(), StoreError> {
        self.sync_active(core)?;
        self.active = None;
        Ok(())
    }

    /// Syncs the active file.
    pub(super) fn sync_active(&self, core: &Core) -> Result<(), StoreError> {
        match self.active_segment(core) {
            Some((_, segment)) => core.synced("fdatasync of the log", segment.file.sync_data()),
            None => Ok(()),
        }
    }

    fn create(&mut self, core: &Core) -> Result<(Sequence, Arc<MirrorFile>, u64), StoreError> {
        let log = core.take_sequence()?;
        core.sequences.finish(log);
        let path = segment::path(log);
        let created = core.with_room(segment::HEADER_BYTES, "create a log file", || {
            let file = core.create_log_file(&path)?;
            let header = segment::encode_header(core.pool_id, log);
            let written = file.write_all_at(&[IoSlice::new(&header)], 0);
            if written.is_err() {
                core.unlink_log_file(&path);
            }
            written.map(|()| file)
        })?;
        core.synced("fsync of a folder", core.log.mirror.sync_dir(LOG))?;
        let segment = Segment {
            file: Arc::clone(&created),
            bytes: segment::HEADER_BYTES,
            kept_bytes: 0,
            condition: Condition::Sound,
        };
        lock(&core.log.segments).insert(log, segment);
        self.active = Some(log);
        Ok((log, created, segment::HEADER_BYTES))
    }
}

impl Core {
    fn create_log_file(&self, path: &str) -> io::Result<Arc<MirrorFile>> {
        match self.log.mirror.create(path) {
            Err(error) if self.has_freed_files(&error) => self.log.mirror.create(path),
            other => other,
        }
    }
}

fn encode(
    log: Sequence,
    end: u64,
    records: &[NewRecord],
) -> Result<(Vec<u8>, Vec<Place>), crate::store::tlv::FormatError> {
    let (mut bytes, mut places) = (Vec::new(), Vec::with_capacity(records.len()));
    for new in records {
        let offset = end.saturating_add(bytes.len() as u64);
        let record = Record {
            kind: new.kind,
            number: new.number,
            payload: &new.payload,
        };
        let framed = record.encode(log, offset, &mut bytes)?;
        places.push(Place {
            log,
            number: new.number,
            offset: u32::try_from(offset)
                .map_err(|_| crate::store::tlv::FormatError::Malformed("log length"))?,
            bytes: framed,
        });
    }
    Ok((bytes, places))
}
