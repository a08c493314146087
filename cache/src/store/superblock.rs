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
//! 152  …  zeros
//! 4088 8  XXH3-64 of the 4088 bytes before
//! ```
//! The copies are written alternately and each write is synced before its numbers are used, so a torn write loses
//! only what nobody has relied on.

use super::layout::{ALIGNMENT_BYTES, SUPERBLOCKS};
use super::tlv::{Cursor, FormatError};
use crate::ports::Device;
use std::io::{self, IoSlice};
use twox_hash::XxHash3_64;

const MAGIC: &[u8; 8] = b"WEIRSUP1";
const VERSION: u16 = 1;
const SUMMED_BYTES: usize = 4088;
const BOOT_ID_BYTES: usize = 36;
const CLEAN: u16 = 1;

/// What a superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) pool: [u8; 16],
    pub(crate) disk: [u8; 16],
    pub(crate) slot: u16,
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
}

impl Superblock {
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
        bytes.resize(SUMMED_BYTES, 0);
        let sum = XxHash3_64::oneshot(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
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
        Ok(Self {
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
        })
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

    /// Writes the next copy and syncs it. The numbers may be relied on when this has returned.
    pub(crate) fn store(&mut self, device: &dyn Device) -> io::Result<()> {
        let next = Self {
            writes: self.writes.wrapping_add(1),
            ..self.clone()
        };
        let [even, odd] = SUPERBLOCKS;
        let path = if next.writes.is_multiple_of(2) {
            even
        } else {
            odd
        };
        let file = match device.open(path, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = device.create(path)?;
                device.sync_dir("")?;
                file
            }
            other => other?,
        };
        file.write_all_at(&[IoSlice::new(&next.encode())], 0)?;
        file.sync_data()?;
        debug_assert_eq!(next.encode().len() as u64, ALIGNMENT_BYTES);
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
mod tests {
    use super::*;
    use crate::device::memory::{MemoryDevice, Survival};
    use proptest::prelude::*;

    fn superblock() -> Superblock {
        Superblock {
            pool: [1; 16],
            disk: [2; 16],
            slot: 0,
            disks: 1,
            writes: 0,
            clean: false,
            epoch: 1,
            reserved: 70_000,
            synced: 17,
            doubt: (3, 9),
            owner: 4711,
            boot: "5e3a1c52-7b0f-4b52-9c0b-2f2d7f6d9a10".into(),
            log: (12, 4096),
        }
    }

    #[test]
    fn everything_is_read_back() {
        let superblock = superblock();
        assert_eq!(superblock.encode().len(), 4096);
        assert_eq!(Superblock::decode(&superblock.encode()), Ok(superblock));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let bytes = superblock().encode();
        for place in (0..bytes.len()).step_by(3) {
            let mut rotten = bytes.clone();
            rotten[place] ^= 4;
            assert!(Superblock::decode(&rotten).is_err(), "{place}");
        }
    }

    #[test]
    fn the_newer_readable_copy_counts() {
        let device = MemoryDevice::new();
        let mut superblock = superblock();
        for reserved in [10, 20, 30] {
            superblock.reserved = reserved;
            superblock.store(&device).unwrap();
        }
        assert_eq!(
            Superblock::load(&device).map(|found| found.reserved),
            Some(30)
        );
        assert!(device.flip("super.B", 64));
        assert_eq!(
            Superblock::load(&device).map(|found| found.reserved),
            Some(20)
        );
        assert!(device.flip("super.A", 64));
        assert_eq!(Superblock::load(&device), None);
    }

    #[test]
    fn a_stored_number_survives_power_loss_at_any_later_call() {
        for (call, seed) in (1..12).flat_map(|call| (0..8).map(move |seed| (call, seed))) {
            let device = MemoryDevice::new();
            let mut superblock = superblock();
            superblock.store(&device).unwrap();
            superblock.store(&device).unwrap();
            device.crash_at(device.calls() + call);
            superblock.reserved = 80_000;
            let stored = superblock.store(&device).is_ok();
            let after = device.surviving(Survival::PowerLoss { seed });
            let found = Superblock::load(&after).unwrap().reserved;
            assert!(
                found == 80_000 || (found == 70_000 && !stored),
                "call {call} seed {seed}"
            );
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
            prop_assert!(Superblock::decode(&bytes).is_err());
        }
    }
}
