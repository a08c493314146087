//! The index as a file, written by a clean close and read by the next start: a scan of names takes 10 µs an object,
//! this takes a fraction of it, and it also knows the last uses.
//!
//! ```text
//! 0   8  magic "WEIRIDX1"
//! 8   2  version, u16 LE, 2;  10 6 zeros
//! 16 16  pool uuid
//! 32  8  sequence: equal to `reserved` of the superblock that says "clean", u64 LE
//! 40  8  number of records, u64 LE
//! 48  4  count of use, u32 LE;  52 12 zeros
//! 64 60·n  records: key 16 (LE), variant 8, sequence 8, length 8, last use 4, owner 2, flags 2, members 8, geometry 2,
//!         missing 2       (flags: 1 pinned, 2 unverified, 4 owner and pin not known)
//! …  16  XXH3-128 of everything before
//! ```
//! Used only when the superblock is clean and names this very sequence. Damaged in any way: the names are scanned.

use super::index::Record;
use super::layout::{CHECKPOINTS, Geometry, Slot, TEMPORARY};
use super::members::{Members, Placement};
use super::tlv::{Cursor, FormatError};
use crate::object::Sequence;
use crate::ports::Device;
use std::io::{self, IoSlice};
use twox_hash::XxHash3_128;

const MAGIC: &[u8; 8] = b"WEIRIDX1";
const VERSION: u16 = 2;
const HEAD_BYTES: u64 = 64;
const RECORD_BYTES: u64 = 60;
const PINNED: u16 = 1;
const UNVERIFIED: u16 = 2;
const HEAD_UNKNOWN: u16 = 4;

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) use_now: u32,
    pub(super) records: Vec<Record>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckpointError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Format(#[from] FormatError),
}

impl Checkpoint {
    fn encode(&self, pool: [u8; 16], sequence: Sequence) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 6]);
        bytes.extend_from_slice(&pool);
        bytes.extend_from_slice(&sequence.0.to_le_bytes());
        bytes.extend_from_slice(&(self.records.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&self.use_now.to_le_bytes());
        bytes.extend_from_slice(&[0; 12]);
        for record in &self.records {
            bytes.extend_from_slice(&record.slot.key.to_le_bytes());
            for number in [record.slot.variant, record.sequence.0, record.length] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(&record.last_use.to_le_bytes());
            bytes.extend_from_slice(&record.owner.to_le_bytes());
            let pinned = if record.pinned { PINNED } else { 0 };
            let unverified = if record.unverified { UNVERIFIED } else { 0 };
            let head_unknown = if record.head_known { 0 } else { HEAD_UNKNOWN };
            bytes.extend_from_slice(&(pinned | unverified | head_unknown).to_le_bytes());
            bytes.extend_from_slice(&record.placement.members.0.to_le_bytes());
            bytes.extend_from_slice(&record.placement.geometry.0.to_le_bytes());
            bytes.extend_from_slice(&record.missing.to_le_bytes());
        }
        let sum = XxHash3_128::oneshot(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8], pool: [u8; 16], sequence: Sequence) -> Result<Self, FormatError> {
        let (summed, sum) = bytes
            .split_last_chunk::<16>()
            .ok_or(FormatError::Malformed("length"))?;
        if u128::from_le_bytes(*sum) != XxHash3_128::oneshot(summed) {
            return Err(FormatError::Mismatch("checkpoint checksum"));
        }
        let mut cursor = Cursor::new(summed);
        if cursor.take(8)? != MAGIC || cursor.u16()? != VERSION {
            return Err(FormatError::Mismatch("checkpoint version"));
        }
        cursor.take(6)?;
        if cursor.array::<16>()? != pool || cursor.u64()? != sequence.0 {
            return Err(FormatError::Mismatch("checkpoint identity"));
        }
        let count = cursor.u64()?;
        let use_now = cursor.u32()?;
        cursor.take(12)?;
        let expected = count
            .checked_mul(RECORD_BYTES)
            .and_then(|bytes| bytes.checked_add(HEAD_BYTES));
        if expected != Some(summed.len() as u64) {
            return Err(FormatError::Malformed("length"));
        }
        let mut records = Vec::new();
        while !cursor.is_empty() {
            records.push(decode_record(&mut cursor)?);
        }
        Ok(Self { use_now, records })
    }
}

fn decode_record(cursor: &mut Cursor<'_>) -> Result<Record, FormatError> {
    let slot = Slot {
        key: u128::from_le_bytes(cursor.array()?),
        variant: cursor.u64()?,
    };
    let (sequence, length) = (Sequence(cursor.u64()?), cursor.u64()?);
    let (last_use, owner, flags) = (cursor.u32()?, cursor.u16()?, cursor.u16()?);
    let members = Members(cursor.u64()?);
    let (geometry, missing) = (Geometry(cursor.u16()?), cursor.u16()?);
    Ok(Record {
        slot,
        sequence,
        length,
        placement: Placement { geometry, members },
        missing,
        last_use,
        owner,
        pinned: flags & PINNED != 0,
        unverified: flags & UNVERIFIED != 0,
        head_known: flags & HEAD_UNKNOWN == 0,
    })
}

fn path(sequence: Sequence) -> String {
    format!("{CHECKPOINTS}/{:016x}.idx", sequence.0)
}

/// Writes, syncs and names a checkpoint.
pub(super) fn save(
    device: &dyn Device,
    pool: [u8; 16],
    sequence: Sequence,
    checkpoint: &Checkpoint,
) -> io::Result<()> {
    let temporary = format!("{TEMPORARY}/checkpoint");
    match device.unlink(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = device.create(&temporary)?;
    file.write_all_at(&[IoSlice::new(&checkpoint.encode(pool, sequence))], 0)?;
    file.sync_data()?;
    device.rename(&temporary, &path(sequence))?;
    device.sync_dir(CHECKPOINTS)
}

/// Reads the checkpoint of a clean close.
pub(super) fn load(
    device: &dyn Device,
    pool: [u8; 16],
    sequence: Sequence,
) -> Result<Checkpoint, CheckpointError> {
    let file = device.open(&path(sequence), false)?;
    let length = usize::try_from(file.length()?).map_err(|_| FormatError::Malformed("length"))?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Checkpoint::decode(&bytes, pool, sequence)?)
}

/// Removes all checkpoints, best effort: one that stays is never used, its sequence is in the past.
pub(super) fn remove_all(device: &dyn Device) {
    for name in device.read_dir(CHECKPOINTS).unwrap_or_default() {
        if let Err(error) = device.unlink(&format!("{CHECKPOINTS}/{name}")) {
            tracing::warn!(disk = device.name(), %error, "cannot remove an old checkpoint");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POOL: [u8; 16] = [9; 16];

    fn record() -> impl Strategy<Value = Record> {
        (
            any::<u128>(),
            any::<u64>(),
            any::<u64>(),
            any::<u64>(),
            any::<u32>(),
            any::<u16>(),
            any::<[bool; 3]>(),
            any::<(u64, u16, u16)>(),
        )
            .prop_map(
                |(
                    key,
                    variant,
                    sequence,
                    length,
                    last_use,
                    owner,
                    [pinned, unverified, head_known],
                    (members, geometry, missing),
                )| Record {
                    slot: Slot { key, variant },
                    sequence: Sequence(sequence),
                    length,
                    placement: Placement {
                        geometry: Geometry(geometry),
                        members: Members(members),
                    },
                    missing,
                    last_use,
                    owner,
                    pinned,
                    unverified,
                    head_known,
                },
            )
    }

    proptest! {
        #[test]
        fn records_are_read_back(records in proptest::collection::vec(record(), 0..20), use_now: u32) {
            let checkpoint = Checkpoint { use_now, records };
            let bytes = checkpoint.encode(POOL, Sequence(5));
            prop_assert_eq!(Checkpoint::decode(&bytes, POOL, Sequence(5)), Ok(checkpoint));
            prop_assert!(Checkpoint::decode(&bytes, POOL, Sequence(6)).is_err());
            prop_assert!(Checkpoint::decode(&bytes, [8; 16], Sequence(5)).is_err());
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Checkpoint::decode(&bytes, POOL, Sequence(5)).is_err());
        }
    }
}
