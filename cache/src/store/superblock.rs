//! The identity of a disk and the numbers that must survive: two copies, written in turn.
//!
//! ```text
//! 0    8  magic "WEIRSUP1"
//! 8    2  version, u16 LE, 1
//! 10   2  slot of this disk, u16 LE
//! 12   2  number of disks, u16 LE
//! 14   2  flags, u16 LE: bit 0 = closed cleanly
//! 16   8  write counter, u64 LE: the copy with the higher one counts
//! 24  16  pool uuid
//! 40  16  disk uuid
//! 56   8  epoch, u64 LE
//! 64   8  reserved: no sequence below this one may be handed out again after a restart, u64 LE
//! 72   8  synced: every committed object below it is on the platter, u64 LE
//! 80   8  doubt from, 88 8 doubt until: objects in between were not synced when a machine died, u64 LE
//! 96   4  process id of the owner, u32 LE
//! 100 36  boot id, text, zero-padded
//! 136  8  metadata log: the files before this sequence are on the platter as a whole, u64 LE …
//! 144  8  … and this one up to here, bytes, u64 LE (both 0: nothing known)
//! 152  2  number of slots, u16 LE, 1 to 64; 0: written before arrays, the pool has slot 0 alone and the rest is zeros
//! 154  2  zeros
//! 156  1  parity: shards of an object that may be lost, 1 or 2
//! 157  1  number of epochs in the lineage, 1 to 64
//! 158  2  zeros
//! 160  1024  uuids of the disks by slot, 16 each; zeros: vacant
//! 1184 1024  lineage, 16 each                                                          (superblock/lineage.rs)
//! 2208 8  slots that were live when the epoch began, a bit each, u64 LE; 0: not known
//! 2216 8  slots whose disks are being retired, a bit each, u64 LE
//! 2224 …  zeros
//! 4088 8  XXH3-64 of the 4088 bytes before
//! ```
//! Only what would be written exactly so is read: this disk stands in the table at its slot, the number of disks is
//! that of the slots that are not vacant, no disk stands there twice, the newest epoch of the lineage is the epoch.
//!
//! The copies are written alternately and each write is synced before its numbers are used, so a torn write loses
//! only what nobody has relied on.

mod lineage;

#[cfg(test)]
pub(crate) use lineage::EpochMark;
pub(crate) use lineage::Lineage;

use super::layout::{ALIGNMENT_BYTES, SUPERBLOCKS};
use super::members::Members;
use super::report::DiskSlot;
use super::tlv::{Cursor, FormatError};
use crate::ports::Device;
use std::collections::HashSet;
use std::io::{self, IoSlice};
use twox_hash::XxHash3_64;

const MAGIC: &[u8; 8] = b"WEIRSUP1";
const VERSION: u16 = 1;
const SUMMED_BYTES: usize = 4088;
const BOOT_ID_BYTES: usize = 36;
const CLEAN: u16 = 1;
/// Slots of a pool.
pub(crate) const SLOTS_MAX: usize = 64;
/// Where the part begins that was zeros before there were arrays.
const POOL_PART: usize = 152;
const LINEAGE_PART: usize = 1184;
const TOLD_PART: usize = 2208;
const VACANT: [u8; 16] = [0; 16];
/// What counts for superblocks that say nothing of it.
pub(crate) const PARITY_BEFORE_ARRAYS: u8 = 2;
const PARITY_MAX: u8 = 2;

/// What a superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) pool: [u8; 16],
    pub(crate) disk: [u8; 16],
    pub(crate) slot: u16,
    /// Slots that are not vacant.
    pub(crate) disks: u16,
    pub(crate) writes: u64,
    pub(crate) clean: bool,
    pub(crate) epoch: u64,
    /// First sequence that was never reserved.
    pub(crate) reserved: u64,
    /// Committed objects with a sequence below this one are on the platter.
    pub(crate) synced: u64,
    /// Objects with a sequence in this range are verified as a whole before their first use.
    pub(crate) doubt: (u64, u64),
    pub(crate) owner: u32,
    pub(crate) boot: String,
    /// File and offset up to which the metadata log is on the platter.
    pub(crate) log: (u64, u64),
    /// The disks of the pool by slot number, this one among them; `None`: vacant.
    pub(crate) slots: Vec<Option<[u8; 16]>>,
    /// Shards of an object that may be lost.
    pub(crate) parity: u8,
    /// The epochs that led here; its newest one is `epoch`.
    pub(crate) lineage: Lineage,
    /// Disks that were live when the epoch began. Nothing is acknowledged before all of them have it or are known to be
    /// out by a later one, so one of them that has the epoch before has missed nothing. Empty: not known.
    pub(crate) told: Members,
    /// Disks whose shards are being moved to the others, until nothing is left on them.
    pub(crate) retiring: Members,
}

impl Superblock {
    /// From here on it is the next epoch. `tag` is random; `told` are the disks that are live.
    pub(crate) fn begin_epoch(&mut self, tag: u64, told: Members) {
        self.epoch = self.epoch.saturating_add(1);
        self.lineage.begin(self.epoch, tag);
        self.told = told;
    }

    /// Whether a disk with the lineage `other` was to be told of this epoch, and a crash came first.
    pub(crate) fn was_to_reach(&self, slot: DiskSlot, other: &Lineage) -> bool {
        self.told.contains(slot) && self.lineage.before_newest() == Some(other.newest())
    }

    /// The slot of a disk; `None` when it is not one of the pool, or no longer.
    pub(crate) fn slot_of(&self, disk: &[u8; 16]) -> Option<DiskSlot> {
        let mut occupied = self.occupied();
        occupied.find_map(|(slot, found)| (found == disk).then_some(slot))
    }

    /// The slots that are not vacant.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = (DiskSlot, &[u8; 16])> {
        let numbered = (0..=u8::MAX).map(DiskSlot).zip(&self.slots);
        numbered.filter_map(|(slot, disk)| Some((slot, disk.as_ref()?)))
    }

    /// What the pool agrees on, for one of its disks, which keeps its own count of writes.
    pub(crate) fn on_disk(&self, slot: DiskSlot, disk: [u8; 16], writes: u64) -> Self {
        Self {
            slot: u16::from(slot.0),
            disk,
            writes,
            ..self.clone()
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4096);
        bytes.extend_from_slice(MAGIC);
        for number in [
            VERSION,
            self.slot,
            self.disks,
            if self.clean { CLEAN } else { 0 },
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.writes.to_le_bytes());
        bytes.extend_from_slice(&self.pool);
        bytes.extend_from_slice(&self.disk);
        for number in [
            self.epoch,
            self.reserved,
            self.synced,
            self.doubt.0,
            self.doubt.1,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.owner.to_le_bytes());
        bytes.extend(
            self.boot
                .bytes()
                .chain(std::iter::repeat(0))
                .take(BOOT_ID_BYTES),
        );
        for number in [self.log.0, self.log.1] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.encode_pool(&mut bytes);
        bytes.resize(SUMMED_BYTES, 0);
        let sum = XxHash3_64::oneshot(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn encode_pool(&self, bytes: &mut Vec<u8>) {
        let slots = u16::try_from(self.slots.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&slots.to_le_bytes());
        bytes.extend_from_slice(&[0, 0, self.parity, self.lineage.count(), 0, 0]);
        for disk in self.slots.iter().take(SLOTS_MAX) {
            bytes.extend_from_slice(&disk.unwrap_or(VACANT));
        }
        bytes.resize(LINEAGE_PART, 0);
        self.lineage.encode_into(bytes);
        bytes.resize(TOLD_PART, 0);
        for members in [self.told, self.retiring] {
            bytes.extend_from_slice(&members.0.to_le_bytes());
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(bytes);
        let summed = cursor.take(SUMMED_BYTES)?;
        if cursor.u64()? != XxHash3_64::oneshot(summed) {
            return Err(FormatError::Mismatch("superblock checksum"));
        }
        let mut cursor = Cursor::new(summed);
        if cursor.take(8)? != MAGIC {
            return Err(FormatError::Mismatch("superblock magic"));
        }
        if cursor.u16()? != VERSION {
            return Err(FormatError::Mismatch("superblock version"));
        }
        let (slot, disks, flags) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
        let mut decoded = Self {
            slot,
            disks,
            clean: flags & CLEAN != 0,
            writes: cursor.u64()?,
            pool: cursor.array()?,
            disk: cursor.array()?,
            epoch: cursor.u64()?,
            reserved: cursor.u64()?,
            synced: cursor.u64()?,
            doubt: (cursor.u64()?, cursor.u64()?),
            owner: cursor.u32()?,
            boot: decode_boot(cursor.take(BOOT_ID_BYTES)?)?,
            log: (cursor.u64()?, cursor.u64()?),
            slots: Vec::new(),
            parity: PARITY_BEFORE_ARRAYS,
            lineage: Lineage::starting(0),
            told: Members::EMPTY,
            retiring: Members::EMPTY,
        };
        let is_before_arrays = decoded.decode_pool(&mut cursor)?;
        let mut cursor = Cursor::new(summed);
        cursor.take(TOLD_PART)?;
        decoded.told = Members(cursor.u64()?);
        decoded.retiring = Members(cursor.u64()?);
        decoded.check(summed, is_before_arrays)?;
        Ok(decoded)
    }

    /// Reads what concerns the pool; tells whether it was written before there were arrays.
    fn decode_pool(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, FormatError> {
        let slots = cursor.u16()?;
        cursor.take(2)?;
        let (parity, epochs) = (cursor.u8()?, cursor.u8()?);
        if slots == 0 {
            self.slots = vec![Some(self.disk)];
            self.lineage = Lineage::starting(self.epoch);
            return Ok(true);
        }
        self.parity = parity;
        cursor.take(2)?;
        for number in 0..SLOTS_MAX {
            let disk = cursor.array()?;
            if number < usize::from(slots) {
                self.slots.push((disk != VACANT).then_some(disk));
            }
        }
        self.lineage = Lineage::decode(cursor, epochs)?;
        Ok(false)
    }

    /// Whether its parts fit each other, and would be written exactly as they stand in `summed`.
    fn check(&self, summed: &[u8], is_before_arrays: bool) -> Result<(), FormatError> {
        let uuids: HashSet<_> = self.slots.iter().flatten().collect();
        let is_here = self.slots.get(usize::from(self.slot)) == Some(&Some(self.disk));
        if !is_here
            || uuids.len() != usize::from(self.disks)
            || self.occupied().count() != uuids.len()
        {
            return Err(FormatError::Malformed("table of disks"));
        }
        if self.lineage.newest().epoch != self.epoch {
            return Err(FormatError::Malformed("lineage"));
        }
        if !(1..=PARITY_MAX).contains(&self.parity) {
            return Err(FormatError::Malformed("parity"));
        }
        let mut expected = self.encode();
        if is_before_arrays {
            expected.truncate(POOL_PART);
            expected.resize(SUMMED_BYTES, 0);
        }
        // Writing it again catches unknown flags, too many slots and whatever stands where zeros should.
        match expected.get(..SUMMED_BYTES) == Some(summed) {
            true => Ok(()),
            false => Err(FormatError::Malformed("superblock")),
        }
    }

    /// The newer of the two copies that can be read.
    pub(crate) fn load(device: &dyn Device) -> Option<Self> {
        let copies = SUPERBLOCKS.iter().filter_map(|path| {
            let mut bytes = vec![0; 4096];
            device
                .open(path, false)
                .ok()?
                .read_exact_at(&mut bytes, 0)
                .ok()?;
            Self::decode(&bytes).ok()
        });
        copies.max_by_key(|copy| copy.writes)
    }

    /// Whether a folder is that of this very disk: below a mount point whose disk is gone there is another one.
    pub(crate) fn is_of(device: &dyn Device, uuid: [u8; 16]) -> bool {
        Self::load(device).is_some_and(|found| found.disk == uuid)
    }

    /// Writes the next copy and syncs it. The numbers may be relied on when this has returned.
    pub(crate) fn store(&mut self, device: &dyn Device) -> io::Result<()> {
        let next = Self {
            writes: self.writes.wrapping_add(1),
            ..self.clone()
        };
        let [even, odd] = SUPERBLOCKS;
        let (path, other) = if next.writes.is_multiple_of(2) {
            (even, odd)
        } else {
            (odd, even)
        };
        let bytes = next.encode();
        // What could not be read back must not replace what can.
        Self::decode(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let file = match device.open(path, true) {
            // Neither copy is there although some were written: the disk is not, and its mount point is left alone.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && self.writes > 0
                    && device.open(other, false).is_err() =>
            {
                return Err(error);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = device.create(path)?;
                device.sync_dir("")?;
                file
            }
            other => other?,
        };
        debug_assert_eq!(bytes.len() as u64, ALIGNMENT_BYTES);
        file.write_all_at(&[IoSlice::new(&bytes)], 0)?;
        file.sync_data()?;
        self.writes = next.writes;
        Ok(())
    }
}

fn decode_boot(bytes: &[u8]) -> Result<String, FormatError> {
    let text: Vec<u8> = bytes
        .iter()
        .copied()
        .take_while(|byte| *byte != 0)
        .collect();
    String::from_utf8(text).map_err(|_| FormatError::Malformed("boot id"))
}

#[cfg(test)]
mod tests;
