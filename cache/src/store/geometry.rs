//! How an object is spread over disks: which code, over how many disks, in which units, and how long its shards are.
//!
//! 16 bits that stand in every file name and header, so that an object keeps its geometry when the array grows or
//! shrinks. [`super::members`] chooses one for a new object, [`super::stripe`] says where in it a byte lies.
//!
//! Invariants
//! - What a value means never changes: files carry it.
//! - Any 16 bits and any length are survived without a panic. [`Geometry::is_valid`] says whether a value found on
//!   a disk may be used; what the other calls say of an invalid one means nothing.
//!
//! Deliberately absent: which disks. A geometry is the same for all objects of its kind.

use super::layout::{ALIGNMENT_BYTES, aligned};
use crate::parity::{Codec, DATA_SHARDS_MAX};

/// Most disks of one object.
pub(crate) const DISKS_MAX: u8 = 12;
/// Objects up to this length have small units, bytes: more of their disks share the work.
const SMALL_UNIT_OBJECT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// What the trailer's field with the digests of all shards' tables has per further shard, bytes.
const TABLE_DIGEST_BYTES: u64 = 16;
/// Codec id of whole copies.
const COPIES: u8 = 0;

/// How an object is spread over disks, as it stands in its name.
///
/// ```text
/// bits 15..12  codec: 0 copies, else the number of the code         (parity.rs)
/// bits 11..8   number of disks − 1
/// bits  7..4   number of data shards − 1
/// bits  3..0   log2(stripe unit ÷ 4 KiB)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry(pub(crate) u16);

/// How many bytes of an object lie on one disk before the next disk's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StripeUnit {
    /// 64 KiB.
    Small,
    /// 256 KiB.
    Large,
}

impl StripeUnit {
    /// The unit of an object of this length; `None`: not known yet.
    pub(crate) fn for_length(length: Option<u64>) -> Self {
        match length {
            Some(length) if length > SMALL_UNIT_OBJECT_BYTES_MAX => Self::Large,
            _ => Self::Small,
        }
    }

    /// log2 of the unit in pages, as it stands in a geometry.
    const fn exponent(self) -> u8 {
        match self {
            Self::Small => 4,
            Self::Large => 6,
        }
    }
}

impl Geometry {
    /// One disk, one copy, 256 KiB units.
    pub(crate) const ONE_DISK: Self = Self(0x0006);

    /// The object as a whole on each of `n` disks.
    pub(crate) fn copies(n: u8) -> Self {
        Self::pack(COPIES, n, 1, StripeUnit::Large)
    }

    /// Data and parity over `n` disks.
    pub(crate) fn striped(codec: Codec, n: u8, unit: StripeUnit) -> Self {
        let data_shards = n.saturating_sub(parity_shards_of(codec));
        Self::pack(codec.id(), n, data_shards, unit)
    }

    /// Counts that do not fit are brought into 1 … 16, where [`Self::is_valid`] refuses what is not a geometry.
    fn pack(codec_id: u8, n: u8, data_shards: u8, unit: StripeUnit) -> Self {
        let less_one = |count: u8| u16::from(count.clamp(1, 16) - 1);
        Self(
            u16::from(codec_id & 0xF) << 12
                | less_one(n) << 8
                | less_one(data_shards) << 4
                | u16::from(unit.exponent()),
        )
    }

    /// The code; `None` for copies (and for codes of a later version, which are not valid).
    pub(crate) fn codec(self) -> Option<Codec> {
        Codec::from_id(self.nibble(12))
    }

    /// Number of disks, n.
    pub(crate) fn disks(self) -> u8 {
        self.nibble(8) + 1
    }

    /// Number of data shards, k: so many shards are enough to read the object.
    pub(crate) fn data_shards(self) -> u8 {
        self.nibble(4) + 1
    }

    /// How many shards may be lost, n − k: parities, or further copies.
    pub(crate) fn parity_shards(self) -> u8 {
        self.disks().saturating_sub(self.data_shards())
    }

    /// The stripe unit, bytes.
    pub(crate) fn unit_bytes(self) -> u64 {
        ALIGNMENT_BYTES << self.nibble(0)
    }

    /// Bytes of an object in a full stripe: k units.
    pub(crate) fn stripe_bytes(self) -> u64 {
        self.unit_bytes() * u64::from(self.data_shards())
    }

    /// Whether shards are parts of the object rather than copies of it.
    pub(crate) fn is_striped(self) -> bool {
        self.nibble(12) != COPIES
    }

    /// Whether this version could have written it. There is one spelling of everything: copies have large units, and
    /// one data shard with parities is no geometry but copies.
    pub(crate) fn is_valid(self) -> bool {
        let exponent = self.nibble(0);
        let is_unit = |unit: StripeUnit| unit.exponent() == exponent;
        let fits = match self.codec() {
            Some(codec) => {
                (2..=DATA_SHARDS_MAX).contains(&usize::from(self.data_shards()))
                    && self.data_shards() + parity_shards_of(codec) == self.disks()
                    && (is_unit(StripeUnit::Small) || is_unit(StripeUnit::Large))
            }
            None => !self.is_striped() && self.data_shards() == 1 && is_unit(StripeUnit::Large),
        };
        fits && self.disks() <= DISKS_MAX
    }

    /// Bytes of data in every shard of an object of this length: all shards of an object are equally long.
    ///
    /// Stripes are padded with zeros to whole pages per shard; copies are as long as the object. Saturates.
    pub(crate) fn shard_bytes(self, length: u64) -> u64 {
        let stripe_bytes = self.stripe_bytes();
        if !self.is_striped() {
            return length;
        }
        (length / stripe_bytes)
            .saturating_mul(self.unit_bytes())
            .saturating_add(self.tail_unit_bytes(length % stripe_bytes))
    }

    /// The unit of a last stripe that has only so many bytes of the object, 0 for none.
    pub(super) fn tail_unit_bytes(self, tail_bytes: u64) -> u64 {
        if self.is_striped() {
            aligned(tail_bytes.div_ceil(u64::from(self.data_shards())))
        } else {
            tail_bytes
        }
    }

    /// Bytes **one** shard file of an object of this length is accounted with: its data, the usual 4 KiB header and
    /// its footer, in whole pages.
    ///
    /// A function of the length alone, as [`super::layout::footprint_bytes`] is, which it equals on one disk. Saturates.
    pub(crate) fn footprint_bytes(self, length: u64) -> u64 {
        let data = self.shard_bytes(length);
        let table = data.div_ceil(super::BLOCK_BYTES).saturating_mul(8);
        let digests = TABLE_DIGEST_BYTES * u64::from(self.disks() - 1);
        let footer = table
            .saturating_add(super::footer::FOOTER_FIXED_BYTES_MAX)
            .saturating_add(digests);
        ALIGNMENT_BYTES
            .saturating_add(aligned(data))
            .saturating_add(aligned(footer))
    }

    /// The four bits from here up.
    fn nibble(self, lowest_bit: u32) -> u8 {
        let [low, _] = (self.0 >> lowest_bit & 0xF).to_le_bytes();
        low
    }
}

fn parity_shards_of(codec: Codec) -> u8 {
    u8::try_from(codec.parity_shards()).unwrap_or(u8::MAX)
}

#[cfg(test)]
#[path = "geometry_tests.rs"]
mod tests;
