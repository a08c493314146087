//! What the log says at the start of a store.
//!
//! ```text
//! files in order: header → records → places in the index; the first byte that is no record: cut, or damage
//! ```
//! Never fails: what cannot be read is damage, and log.rs says what follows from that. Nothing is removed here, apart
//! from the tail that a crash has torn: cleaning does that once everything else is safe.

use super::SEGMENT_BYTES_MAX;
use super::mirror::{Access, Mirror, MirrorFile};
use super::payload::{Bound, Doubt};
use super::record::{AMENDMENT, BAN, DOUBT, Piece, Record, SURVIVORS, Scan};
use super::segment::{self, Condition, HEADER_BYTES, LOG, Segment, check_header};
use crate::object::Sequence;
use crate::store::ban::record::{Ban, decode_survivors};
use crate::store::index::{Index, Place};
use crate::store::superblock::Superblock;
use crate::store::tlv::{FormatError, OPTIONAL};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// What was found.
#[derive(Debug, Default)]
pub(in crate::store) struct Replayed {
    pub(in crate::store) segments: BTreeMap<Sequence, Segment>,
    /// The file to go on with.
    pub(in crate::store) active: Option<Sequence>,
    pub(in crate::store) next_number: u64,
    pub(in crate::store) doubt: Option<Doubt>,
    /// Bans that are not over, by number.
    pub(in crate::store) bans: BTreeMap<u64, (Ban, Place)>,
    /// Where the newest record of survivors stands, and whom it names.
    pub(in crate::store) survivors: Option<(Place, Vec<u64>)>,
    /// Files that cannot be read at all.
    pub(in crate::store) unreadable: Vec<Sequence>,
    /// Something was lost, and no record says so yet.
    pub(in crate::store) damaged: bool,
    pub(in crate::store) problems: u64,
}

/// What is known of the crash that came before.
#[derive(Debug, Clone, Copy)]
struct Past {
    /// Up to here the log was on the platter.
    synced: (u64, u64),
    /// The machine may have died: what was not synced may have holes.
    lost_power: bool,
}

impl Past {
    /// Up to which offset of a file every byte must be a record.
    fn certain(self, log: Sequence) -> u64 {
        match log.0.cmp(&self.synced.0) {
            std::cmp::Ordering::Less => u64::MAX,
            std::cmp::Ordering::Equal => self.synced.1,
            std::cmp::Ordering::Greater => 0,
        }
    }
}

/// Reads all files and enters what they say into the index. The copies on several disks are equal by now (merge.rs).
pub(in crate::store) fn replay(
    mirror: &Arc<Mirror>,
    found: &Superblock,
    boot: &str,
    index: &mut Index,
) -> Replayed {
    let past = Past {
        synced: found.log,
        lost_power: !found.clean && found.boot != boot,
    };
    let mut replay = Replay {
        mirror,
        pool: found.pool,
        past,
        index,
        replayed: Replayed {
            next_number: 1,
            ..Replayed::default()
        },
        superfluous: Vec::new(),
    };
    replay.all_files();
    for place in std::mem::take(&mut replay.superfluous) {
        replay.replayed.release(Some(place));
    }
    replay.replayed.end_bans();
    replay.replayed
}

struct Replay<'a> {
    mirror: &'a Arc<Mirror>,
    pool: [u8; 16],
    past: Past,
    index: &'a mut Index,
    replayed: Replayed,
    /// Records of bans that a later one has taken the place of; released at the end, when all files are known.
    superfluous: Vec<Place>,
}

impl Replayed {
    /// Bytes of all files.
    pub(in crate::store) fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    /// Forgets the bans that did not survive.
    fn end_bans(&mut self) {
        let Some((at, survivors)) = &self.survivors else {
            return;
        };
        let is_over = |number: &u64| *number < at.number && !survivors.contains(number);
        let over: Vec<u64> = self.bans.keys().copied().filter(is_over).collect();
        for number in over {
            let place = self.bans.remove(&number).map(|(_, place)| place);
            self.release(place);
        }
    }

    /// The highest sequence of a ban.
    pub(in crate::store) fn highest_ban(&self) -> u64 {
        let sequences = self.bans.values().map(|(ban, _)| ban.sequence.0);
        sequences.max().unwrap_or(0)
    }

    pub(in crate::store) fn release(&mut self, place: Option<Place>) {
        let segment = place.and_then(|place| Some((place, self.segments.get_mut(&place.log)?)));
        if let Some((place, segment)) = segment {
            segment.release(place.bytes);
        }
    }

    /// Takes a ban, or the list of those that are not over. The copy that cleaning has made counts, as good as the
    /// other.
    fn take_ban(
        &mut self,
        place: Place,
        record: &Record<'_>,
    ) -> Result<Option<Place>, FormatError> {
        if record.kind == BAN {
            let ban = Ban::decode(record.number, record.payload)?;
            let known = self.bans.insert(record.number, (ban, place));
            return Ok(known.map(|(_, place)| place));
        }
        let survivors = decode_survivors(record.payload)?;
        if self
            .survivors
            .as_ref()
            .is_some_and(|(known, _)| known.number > record.number)
        {
            return Ok(Some(place));
        }
        let known = self.survivors.replace((place, survivors));
        Ok(known.map(|(place, _)| place))
    }

    /// Draws the consequence of damage: everything before `next`, the first sequence of this run, is in doubt.
    pub(in crate::store) fn doubt_everything_before(&mut self, next: u64) {
        if !self.damaged {
            return;
        }
        let all = Doubt {
            sequence: Sequence(next),
            number: self.next_number.saturating_sub(1),
        };
        self.doubt = Some(self.doubt.map_or(all, |doubt| doubt.wider(all)));
    }
}

impl Replay<'_> {
    fn all_files(&mut self) {
        let names = self.mirror.read_dir(LOG).unwrap_or_else(|error| {
            self.damage(LOG, &error.to_string());
            Vec::new()
        });
        let mut logs: Vec<Sequence> = names
            .iter()
            .filter_map(|name| segment::parse(name))
            .collect();
        logs.sort_unstable();
        let (synced, _) = self.past.synced;
        if synced != 0 && !logs.contains(&Sequence(synced)) {
            self.damage(&segment::path(Sequence(synced)), "the file is gone");
        }
        for log in logs {
            self.one_file(log);
        }
        let last = self.replayed.segments.last_key_value();
        self.replayed.active = last
            .filter(|(_, segment)| segment.condition == Condition::Sound)
            .map(|(log, _)| *log);
    }

    fn one_file(&mut self, log: Sequence) {
        let path = segment::path(log);
        let (file, bytes) = match read_whole(self.mirror, &path) {
            Ok(read) => read,
            Err(error) => {
                self.damage(&path, &error.to_string());
                self.replayed.unreadable.push(log);
                return;
            }
        };
        let mut segment = Segment {
            file,
            bytes: bytes.len() as u64,
            kept_bytes: 0,
            condition: Condition::Sound,
        };
        if let Err(error) = check_header(&bytes, self.pool, log) {
            let is_unsynced = self.past.certain(log) == 0;
            if is_unsynced && (self.past.lost_power || segment.bytes < HEADER_BYTES) {
                // It was being begun: nothing in it was promised to anybody.
                self.unlink(&path);
                return;
            }
            self.damage(&path, &error.to_string());
            segment.condition = Condition::Damaged;
        }
        self.records(log, &bytes, &mut segment);
        self.replayed.segments.insert(log, segment);
    }

    fn records(&mut self, log: Sequence, bytes: &[u8], segment: &mut Segment) {
        let path = segment::path(log);
        let certain = self.past.certain(log);
        let start = usize::try_from(HEADER_BYTES).unwrap_or(usize::MAX);
        for piece in Scan::new(bytes, log, start) {
            match piece {
                Piece::Record {
                    offset,
                    bytes,
                    record,
                } => {
                    if !self.record(log, offset, bytes, &record, segment) {
                        self.damage(&path, "a record that cannot be read");
                        segment.condition = Condition::Damaged;
                    }
                }
                Piece::Gap {
                    offset,
                    record_follows,
                } => {
                    if offset < certain || (record_follows && !self.past.lost_power) {
                        self.damage(&path, "bytes that are no record");
                        segment.condition = Condition::Damaged;
                    } else {
                        self.cut(&path, offset, segment);
                        break;
                    }
                }
            }
        }
        if certain != u64::MAX && segment.bytes < certain {
            self.damage(&path, "the file is shorter than it was");
            segment.condition = Condition::Damaged;
        }
    }

    /// Takes a record; `false` when it must be understood and cannot be.
    fn record(
        &mut self,
        log: Sequence,
        offset: u64,
        bytes: u32,
        record: &Record<'_>,
        segment: &mut Segment,
    ) -> bool {
        let next = record.number.saturating_add(1);
        self.replayed.next_number = self.replayed.next_number.max(next);
        if record.kind != AMENDMENT {
            segment.kept_bytes = segment.kept_bytes.saturating_add(u64::from(bytes));
        }
        match record.kind {
            AMENDMENT => {
                let (Ok(bound), Ok(offset)) =
                    (Bound::decode(record.payload), u32::try_from(offset))
                else {
                    return false;
                };
                let place = Place {
                    log,
                    number: record.number,
                    offset,
                    bytes,
                };
                self.index
                    .amend(bound.slot, bound.sequence, place, bound.amendment.pinned);
                true
            }
            BAN | SURVIVORS => {
                let Ok(offset) = u32::try_from(offset) else {
                    return false;
                };
                let place = Place {
                    log,
                    number: record.number,
                    offset,
                    bytes,
                };
                match self.replayed.take_ban(place, record) {
                    Ok(superfluous) => {
                        self.superfluous.extend(superfluous);
                        true
                    }
                    Err(_) => false,
                }
            }
            DOUBT => Doubt::decode(record.payload).is_ok_and(|doubt| {
                let known = self.replayed.doubt;
                self.replayed.doubt = Some(known.map_or(doubt, |known| known.wider(doubt)));
                true
            }),
            unknown => {
                if unknown & OPTIONAL == 0 {
                    self.replayed.problems += 1;
                    tracing::warn!(
                        disk = self.mirror.name(),
                        kind = unknown,
                        "the log has records of a newer version; they are kept and not obeyed"
                    );
                }
                true
            }
        }
    }

    /// Takes away the tail that a crash has torn. Where that fails nothing is appended to the file any more.
    fn cut(&mut self, path: &str, offset: u64, segment: &mut Segment) {
        let torn_bytes = segment.bytes.saturating_sub(offset);
        tracing::info!(
            disk = self.mirror.name(),
            path,
            torn_bytes,
            "the log ends in the middle of a record"
        );
        let cut = segment.file.truncate(offset);
        if let Err(error) = cut.and_then(|()| segment.file.sync_data()) {
            self.replayed.problems += 1;
            tracing::warn!(disk = self.mirror.name(), path, %error, "cannot cut a log file");
            segment.condition = Condition::Stuck;
        }
        segment.bytes = offset;
    }

    fn damage(&mut self, path: &str, why: &str) {
        self.replayed.problems += 1;
        self.replayed.damaged = true;
        tracing::warn!(
            disk = self.mirror.name(),
            path,
            why,
            "the metadata log is damaged; objects stored before are checked with their origins before their next use"
        );
    }

    fn unlink(&mut self, path: &str) {
        if let Err(error) = self.mirror.unlink(path) {
            tracing::warn!(disk = self.mirror.name(), path, %error, "cannot remove a log file");
        }
    }
}

/// All of a file, opened for writing where that is possible.
fn read_whole(mirror: &Arc<Mirror>, path: &str) -> io::Result<(Arc<MirrorFile>, Vec<u8>)> {
    let file = match mirror.open(path, Access::Write) {
        Err(_) => mirror.open(path, Access::Read)?,
        Ok(file) => file,
    };
    let length = file.length()?;
    if length > SEGMENT_BYTES_MAX.saturating_mul(2) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "larger than any log file",
        ));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok((file, bytes))
}
