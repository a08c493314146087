//! The metadata log: what became of heads after their objects were written.
//!
//! ```text
//! log/<sequence 16>.lg      segments.rs: 64 bytes of header, then records (record.rs) with payloads (payload.rs)
//! ```
//! On several disks these files are the same, byte for byte ([`mirror`]); after a crash they are made so again
//! ([`merge`]).
//!
//! Append-only files, one of which is being written; at [`SEGMENT_BYTES_MAX`] the next one begins. In memory there is
//! no head: per amended object the index knows where its newest record stands ([`Place`]), and the record is read and
//! verified when the object is opened. [`replay`] finds the places at the start, [`append`] adds records, [`clean`]
//! takes back the space of records that nobody needs any more.
//!
//! Invariants
//! - A record is bound to key, variant and sequence. It never says anything of another generation, and one whose object
//!   is gone is dead: the place goes with the index entry, under the same lock.
//! - Of two records of an object the one with the higher number counts, wherever they stand. Numbers grow in the order
//!   in which amendments were published.
//! - A file is begun only when the one before is synced, and removed only when everything that is needed of it is
//!   synced elsewhere and the superblock no longer counts on it. The superblock says up to which place of which file
//!   the log is surely on the platter.
//! - Behind that place a start cuts the file at the first byte that is no record: that is what a crash leaves.
//!   Before that place, or between records without a power loss, such bytes are **damage**.
//! - Damage never keeps a store from opening. What was lost may have been the mark that an object must not be used
//!   without asking its origin; whose mark is not known. The safe side is to ask: from then on every object begun
//!   before, unless it is amended again or was declared immutable by an operator, counts as invalidated. That costs one
//!   conditional request each and serves nothing that was taken back. A lost pin is lost: its object may be evicted.
//!   The decision is itself a record (a [`Doubt`]), so it outlives the damaged file, which goes to quarantine/.
//! - A record that cannot be read when its object is opened is treated alike, for that object.
//! - A ban is on the platter before its purge is acknowledged. It counts until a later record of **survivors** does not
//!   name it, and that is written only when everything the ban has removed is gone from the platter (ban.rs). A ban
//!   that was lost with a damaged part is covered by the doubt: what it had removed and a crash brings back is asked
//!   about.
//!
//! Deliberately not here: last-use hints, whose kind is reserved.

pub(super) mod append;
pub(super) mod clean;
pub(super) mod merge;
pub(super) mod mirror;
pub(super) mod payload;
pub(super) mod record;
pub(super) mod replay;
pub(super) mod segment;

use super::core::{Core, lock};
use super::index::Place;
use super::report::DiskSlot;
use super::tlv::FormatError;
use crate::object::Sequence;
use crate::ports::Device;
use append::Writer;
use mirror::Mirror;
use payload::{Bound, Doubt};
use record::Record;
use replay::Replayed;
use segment::Segment;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

/// A file of the log is closed when it has grown to this, bytes: the unit of cleaning, and what a start reads at once.
const SEGMENT_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogFault {
    /// Its file was cleaned meanwhile: the record stands elsewhere.
    #[error("the log file is gone")]
    Gone,
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not what was written.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// The log of a running store.
///
/// Lock order: `writer` → everything that a write may touch (index, superblock, sequences, handles). `segments` and
/// `doubt` are leaves, and so is what `mirror` locks. The writer is locked on pool threads only: it is held across device calls.
#[derive(Debug)]
pub(crate) struct MetadataLog {
    /// The disks that the files are on.
    pub(super) mirror: Arc<Mirror>,
    pub(super) writer: Mutex<Writer>,
    pub(super) segments: Mutex<BTreeMap<Sequence, Segment>>,
    pub(super) doubt: Mutex<Option<Doubt>>,
}

impl MetadataLog {
    /// `mirror`: what was replayed.
    pub(super) fn new(replayed: Replayed, mirror: Arc<Mirror>) -> Self {
        Self {
            mirror,
            writer: Mutex::new(Writer {
                active: replayed.active,
                next_number: replayed.next_number,
                doubt_recorded: !replayed.damaged,
                unreadable: replayed.unreadable,
                broken: false,
            }),
            segments: Mutex::new(replayed.segments),
            doubt: Mutex::new(replayed.doubt),
        }
    }

    /// Reads and verifies one record. A copy that is damaged where another is not is repaired. Pool only.
    pub(super) fn read(&self, place: Place) -> Result<Bound, LogFault> {
        let file = lock(&self.segments)
            .get(&place.log)
            .map(|segment| Arc::clone(&segment.file))
            .ok_or(LogFault::Gone)?;
        let (length, offset) = (
            usize::try_from(place.bytes).unwrap_or(0),
            u64::from(place.offset),
        );
        file.read_checked(length, offset, |bytes| {
            let (record, _) = Record::decode(bytes, place.log, offset)?;
            if record.kind != record::AMENDMENT || record.number != place.number {
                return Err(FormatError::Mismatch("record number").into());
            }
            Ok(Bound::decode(record.payload)?)
        })
    }

    /// Copies the log to one more disk; nothing is appended meanwhile. See [`Mirror::add_replica`]. Pool only.
    pub(super) fn add_replica(
        &self,
        pool: [u8; 16],
        slot: DiskSlot,
        device: Arc<dyn Device>,
    ) -> io::Result<()> {
        let writer = lock(&self.writer);
        let added = self.mirror.add_replica(pool, slot, device);
        drop(writer);
        added
    }

    /// A record that is no amendment does not count any more.
    pub(super) fn release(&self, place: Place) {
        if let Some(segment) = lock(&self.segments).get_mut(&place.log) {
            segment.release(place.bytes);
        }
    }

    /// The end of what was written: file and offset. Ordered like the log itself.
    pub(super) fn end(&self) -> (u64, u64) {
        let segments = lock(&self.segments);
        let last = segments.last_key_value();
        last.map_or((0, 0), |(sequence, segment)| (sequence.0, segment.bytes))
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        let segments = lock(&self.segments);
        segments.values().map(|segment| segment.bytes).sum()
    }
}

impl Core {
    /// Removes a file of the log; one that stays is superfluous, and harmless.
    fn unlink_log_file(&self, path: &str) {
        match self.log.mirror.unlink(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let disk = self.log.mirror.name();
                tracing::warn!(disk, path, %error, "cannot remove a file");
            }
            Ok(()) | Err(_) => {}
        }
    }
}
