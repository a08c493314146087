//! Names and places: which folders a disk has and what a file name says.
//!
//! ```text
//! owner.lock                     locked by the process that owns the data
//! super.A  super.B               identity and sequences, written in turn        (superblock.rs)
//! scrub                          how far the scrub has come on this disk        (scrub/course.rs)
//! ec/<3 hex>/<name>.s            one shard of one object                        (header.rs, footer.rs)
//! tmp/<sequence 16>-<index>.t    shards that are being written; emptied at every start
//! ckpt/<sequence 16>.idx         the index as of a clean close                  (checkpoint.rs)
//! quarantine/<name>.s            a few files that did not read as written
//! log/<sequence 16>.lg           what became of heads afterwards                (log.rs)
//! pack/                          reserved: small objects
//!
//! <name> = <key 32>-<variant 16>-<sequence 16>-<geometry 4>-<index 1>-<length>     all lower-case hex
//! ```
//! The 3 hex digits are the first ones of the key. The length is the object's and has no leading zeros. A name says
//! everything the index needs, so a scan opens no file. Parsing is strict: a name that would be written differently
//! is not a name.

use super::checksum::ShardIdentity;
pub(crate) use super::geometry::Geometry;
#[cfg(test)]
use super::members::Members;
use super::members::Placement;
use super::report::DiskSlot;
use crate::object::Sequence;

/// Files and data start at multiples of this, bytes.
pub(crate) const ALIGNMENT_BYTES: u64 = 4096;
/// The lock file.
pub(crate) const OWNER_LOCK: &str = "owner.lock";
/// The two superblocks.
pub(crate) const SUPERBLOCKS: [&str; 2] = ["super.A", "super.B"];
/// All folders of a disk.
pub(crate) const FOLDERS: [&str; 6] = [OBJECTS, TEMPORARY, CHECKPOINTS, QUARANTINE, "log", "pack"];
/// Committed shards.
pub(crate) const OBJECTS: &str = "ec";
/// Shards being written.
pub(crate) const TEMPORARY: &str = "tmp";
/// Index checkpoints.
pub(crate) const CHECKPOINTS: &str = "ckpt";
/// Files that did not read as written.
pub(crate) const QUARANTINE: &str = "quarantine";
/// How far the scrub has come; its absence means nothing.
pub(crate) const SCRUB_COURSE: &str = "scrub";
/// What an empty file system may contain by itself.
pub(crate) const LOST_AND_FOUND: &str = "lost+found";

/// Identity of an object among all: what the index is keyed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot {
    /// The first 128 bits of the cache key.
    pub(crate) key: u128,
    /// Hash of the selecting request fields, 0 for none.
    pub(crate) variant: u64,
}

/// What a file name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShardName {
    pub(crate) slot: Slot,
    pub(crate) sequence: Sequence,
    pub(crate) geometry: Geometry,
    /// Place in the object's disk list, 0 on one disk.
    pub(crate) index: u8,
    /// Body length of the object, bytes.
    pub(crate) length: u64,
}

impl ShardName {
    /// Length of the shard's data, bytes.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.geometry.shard_bytes(self.length)
    }

    /// What its checksums are seeded with.
    pub(crate) fn identity(&self) -> ShardIdentity {
        ShardIdentity {
            sequence: self.sequence,
            geometry: self.geometry,
            index: self.index,
        }
    }

    /// The file name, without its folder.
    pub(crate) fn file_name(&self) -> String {
        format!(
            "{:032x}-{:016x}-{:016x}-{:04x}-{:x}-{:x}.s",
            self.slot.key,
            self.slot.variant,
            self.sequence.0,
            self.geometry.0,
            self.index,
            self.length
        )
    }

    /// Its folder: `ec/<3 hex>`.
    pub(crate) fn folder(&self) -> String {
        folder_of(self.slot.key)
    }

    /// Folder and name.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.folder(), self.file_name())
    }

    /// Reads a path; `None` unless it is exactly what [`Self::path`] writes.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let (_, file) = path.rsplit_once('/')?;
        Self::parse(file).filter(|name| name.path() == path)
    }

    /// Reads a file name; `None` unless it is exactly what [`Self::file_name`] writes.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".s")?.split('-');
        let mut hex = |digits_max: usize| parts.next().filter(|part| part.len() <= digits_max);
        let parsed = Self {
            slot: Slot {
                key: u128::from_str_radix(hex(32)?, 16).ok()?,
                variant: u64::from_str_radix(hex(16)?, 16).ok()?,
            },
            sequence: Sequence(u64::from_str_radix(hex(16)?, 16).ok()?),
            geometry: Geometry(u16::from_str_radix(hex(4)?, 16).ok()?),
            index: u8::from_str_radix(hex(1)?, 16).ok()?,
            length: u64::from_str_radix(hex(16)?, 16).ok()?,
        };
        // Writing it again catches signs, upper case, missing zeros and extra parts all at once.
        (parsed.file_name() == name).then_some(parsed)
    }
}

/// One generation of an object: what the names of all its shards have in common, and which disks they are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ObjectName {
    pub(crate) slot: Slot,
    pub(crate) sequence: Sequence,
    /// Body length, bytes.
    pub(crate) length: u64,
    pub(crate) placement: Placement,
}

impl ObjectName {
    /// The name of an object of a one-disk store.
    #[cfg(test)]
    pub(crate) fn on_one_disk(slot: Slot, sequence: Sequence, length: u64) -> Self {
        let placement = Placement {
            geometry: Geometry::ONE_DISK,
            members: Members::of(DiskSlot(0)),
        };
        Self {
            slot,
            sequence,
            length,
            placement,
        }
    }

    /// The name of one shard.
    pub(crate) fn shard(&self, index: u8) -> ShardName {
        ShardName {
            slot: self.slot,
            sequence: self.sequence,
            geometry: self.placement.geometry,
            index,
            length: self.length,
        }
    }

    /// All shards, by index, and the disk of each.
    pub(crate) fn shards(&self) -> impl Iterator<Item = (DiskSlot, ShardName)> + use<> {
        let name = *self;
        let members = self.placement.members.iter();
        (0_u8..)
            .zip(members)
            .map(move |(index, disk)| (disk, name.shard(index)))
    }

    /// What it is called in messages: the name of its first shard.
    pub(crate) fn file_name(&self) -> String {
        self.shard(0).file_name()
    }

    /// Folder and name of its first shard.
    #[cfg(test)]
    pub(crate) fn path(&self) -> String {
        self.shard(0).path()
    }

    /// What each of its shards is accounted with, bytes.
    pub(crate) fn shard_footprint_bytes(&self) -> u64 {
        self.placement.geometry.footprint_bytes(self.length)
    }

    /// What all of it is accounted with, bytes.
    pub(crate) fn footprint_bytes(&self) -> u64 {
        let shards = u64::from(self.placement.geometry.disks());
        self.shard_footprint_bytes().saturating_mul(shards)
    }
}

/// The folder of all files of a key: `ec/<3 hex>`.
pub(crate) fn folder_of(key: u128) -> String {
    format!("{OBJECTS}/{:03x}", key >> 116)
}

/// The path of a shard that is being written.
pub(crate) fn temporary_path(sequence: Sequence, index: u8) -> String {
    format!("{TEMPORARY}/{:016x}-{index:x}.t", sequence.0)
}

/// The path of a shard that is written anew: another one than that of the object's writer, which may have left its
/// file behind on a disk that did not answer.
pub(crate) fn renewed_path(shard: &ShardName) -> String {
    let (sequence, geometry, index) = (shard.sequence.0, shard.geometry.0, shard.index);
    format!("{TEMPORARY}/{sequence:016x}-{geometry:04x}-{index:x}.t")
}

/// The sequence in the name of a temporary file.
pub(crate) fn temporary_sequence(name: &str) -> Option<Sequence> {
    let (sequence, _) = name.strip_suffix(".t")?.split_once('-')?;
    u64::from_str_radix(sequence, 16).ok().map(Sequence)
}

/// Rounds up to [`ALIGNMENT_BYTES`]; saturates.
pub(crate) fn aligned(bytes: u64) -> u64 {
    bytes
        .checked_next_multiple_of(ALIGNMENT_BYTES)
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAME: &str =
        "00112233445566778899aabbccddeeff-0000000000000000-0001000000000007-0006-0-1f40.s";

    #[test]
    fn a_name_says_everything() {
        let slot = Slot {
            key: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
            variant: 0,
        };
        let name = ObjectName::on_one_disk(slot, Sequence(0x0001_0000_0000_0007), 8000).shard(0);
        assert_eq!(name.file_name(), NAME);
        assert_eq!(name.path(), format!("ec/001/{NAME}"));
        assert_eq!(ShardName::parse(NAME), Some(name));
    }

    #[test]
    fn a_name_in_any_other_spelling_is_refused() {
        let refused = [
            "",
            ".s",
            "x.s",
            &NAME.to_uppercase(),
            &NAME.replace("-1f40", "-01f40"),
            &NAME.replace("-1f40", "-+1f40"),
            &NAME.replace("-1f40", ""),
            &NAME.replace("-1f40", "-1f40-0"),
            &NAME.replace("-0006", "-006"),
            &NAME.replace(".s", ".t"),
            &NAME.replace("00112233", "0011é233"),
        ];
        for name in refused {
            assert_eq!(ShardName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn temporary_names_carry_their_sequence() {
        let path = temporary_path(Sequence(0xabc), 0);
        assert_eq!(path, "tmp/0000000000000abc-0.t");
        assert_eq!(
            temporary_sequence("0000000000000abc-0.t"),
            Some(Sequence(0xabc))
        );
        let renewed = ShardName::parse(NAME).unwrap();
        let path = renewed_path(&renewed);
        assert_eq!(path, "tmp/0001000000000007-0006-0.t");
        assert_eq!(
            temporary_sequence("0001000000000007-0006-0.t"),
            Some(renewed.sequence)
        );
        assert_eq!(temporary_sequence("probe"), None);
    }

    proptest! {
        #[test]
        fn every_name_is_read_back(
            key: u128,
            variant: u64,
            sequence: u64,
            geometry: u16,
            index in 0_u8..16,
            length: u64,
        ) {
            let name = ShardName {
                slot: Slot { key, variant }, sequence: Sequence(sequence), geometry: Geometry(geometry), index, length,
            };
            prop_assert_eq!(ShardName::parse(&name.file_name()), Some(name));
        }

        #[test]
        fn garbage_is_never_a_name_and_never_panics(text in "\\PC{0,100}") {
            if let Some(name) = ShardName::parse(&text) {
                prop_assert_eq!(name.file_name(), text);
            }
        }
    }
}
