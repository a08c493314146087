//! Where the bytes of an object lie: which shard, and where in it.
//!
//! ```text
//! object  | stripe 0: k units          | stripe 1: k units          | … | tail: what is left |
//! shard   | unit of stripe 0 | unit of stripe 1 | … | tail unit |       every shard, equally long
//! ```
//! In a stripe the role r < k holds bytes r × u … (r + 1) × u of its data, u being the unit, or in the tail a k-th of
//! the tail in whole pages; what lies behind the object's end is zeros. Roles from k up are parity. The roles rotate:
//!
//! ```text
//! role = (index + base + band) mod n        base = key mod n        band = stripe ÷ 256
//! ```
//! The base spreads first units and parities of different objects over the disks. The band does so within a large
//! object, and leaves each disk runs of 256 units that are read in one go.
//!
//! Of copies, every shard has everything: stripes are units of the object, and the unit that ends it is as short as it
//! is, unpadded. The role of a copy is only an order of preference; the one of role 0 is read first.
//!
//! Invariants
//! - Every byte of the object is in exactly one data unit.
//! - Nothing is allocated, and no offset or length panics: what is outside of the object is not there.

use super::geometry::Geometry;

/// Stripes with the same roles.
const BAND_STRIPES: u64 = 256;

/// Where the bytes of one object lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StripeMap {
    geometry: Geometry,
    /// Of the object, bytes.
    length: u64,
    /// Rotation of its first band.
    base: u8,
    /// Stripes that are not the tail.
    full_stripes: u64,
    /// Bytes of the object in the tail.
    tail_bytes: u64,
    /// Bytes of a shard in the tail.
    tail_unit_bytes: u64,
}

/// Bytes of an object that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// In which shard. Of copies: the one to be read first; each of the others has the same bytes at the same offset.
    pub(crate) index: u8,
    /// Where in its data, bytes.
    pub(crate) shard_offset: u64,
    /// How many; never 0, never across the end of a unit.
    pub(crate) bytes: usize,
    /// In which stripe.
    pub(crate) stripe: u64,
}

impl StripeMap {
    /// For the object with this key and length.
    pub(crate) fn new(geometry: Geometry, key: u128, length: u64) -> Self {
        let stripe_bytes = geometry.stripe_bytes();
        let tail_bytes = length % stripe_bytes;
        Self {
            geometry,
            length,
            base: u8::try_from(key % u128::from(geometry.disks())).unwrap_or(0),
            full_stripes: length / stripe_bytes,
            tail_bytes,
            tail_unit_bytes: geometry.tail_unit_bytes(tail_bytes),
        }
    }

    /// What a range of the object consists of, in its order. What of the range is outside of the object is left out.
    pub(crate) fn pieces(&self, offset: u64, length: u64) -> Pieces {
        Pieces {
            map: *self,
            position: offset,
            end: offset.saturating_add(length).min(self.length),
        }
    }

    /// What the shard with this index is in a stripe: data 0 … k−1, parity k … n−1.
    pub(crate) fn role_of(&self, index: u8, stripe: u64) -> u8 {
        let n = self.geometry.disks();
        (index % n + self.turn(stripe)) % n
    }

    /// Which shard has this role in a stripe.
    pub(crate) fn index_of(&self, role: u8, stripe: u64) -> u8 {
        let n = self.geometry.disks();
        (role % n + n - self.turn(stripe)) % n
    }

    /// Number of stripes, the tail included.
    pub(crate) fn stripes(&self) -> u64 {
        self.full_stripes + u64::from(self.tail_bytes > 0)
    }

    /// The stripe of a place in a shard. (Behind the end of the shard it is one that is not there.)
    #[cfg(test)]
    pub(crate) fn stripe_at(&self, shard_offset: u64) -> u64 {
        shard_offset / self.geometry.unit_bytes()
    }

    /// Bytes of each shard in a stripe: fewer in the tail, 0 where there is no such stripe.
    pub(crate) fn unit_bytes(&self, stripe: u64) -> u64 {
        self.in_stripe(stripe, self.geometry.unit_bytes(), self.tail_unit_bytes)
    }

    /// Bytes of the object in a stripe: fewer in the tail, 0 where there is no such stripe.
    pub(crate) fn data_bytes(&self, stripe: u64) -> u64 {
        self.in_stripe(stripe, self.geometry.stripe_bytes(), self.tail_bytes)
    }

    /// Where a stripe starts: (in the object, in every shard), bytes. Saturates.
    pub(crate) fn stripe_start(&self, stripe: u64) -> (u64, u64) {
        (
            stripe.saturating_mul(self.geometry.stripe_bytes()),
            stripe.saturating_mul(self.geometry.unit_bytes()),
        )
    }

    fn in_stripe(&self, stripe: u64, full: u64, tail: u64) -> u64 {
        match stripe.cmp(&self.full_stripes) {
            std::cmp::Ordering::Less => full,
            std::cmp::Ordering::Equal => tail,
            std::cmp::Ordering::Greater => 0,
        }
    }

    /// How far the roles have rotated in a stripe, below n.
    fn turn(&self, stripe: u64) -> u8 {
        let n = self.geometry.disks();
        let band = u8::try_from(stripe / BAND_STRIPES % u64::from(n)).unwrap_or(0);
        (self.base + band) % n
    }
}

/// The pieces of a range, made as they are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Pieces {
    map: StripeMap,
    /// In the object, bytes.
    position: u64,
    end: u64,
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let left = self
            .end
            .checked_sub(self.position)
            .filter(|left| *left > 0)?;
        let stripe = self.position / self.map.geometry.stripe_bytes();
        let (object_start, shard_start) = self.map.stripe_start(stripe);
        let in_stripe = self.position - object_start;
        // Not 0: the position is inside of the object, so the stripe has data.
        let unit_bytes = self.map.unit_bytes(stripe).max(1);
        let in_unit = in_stripe % unit_bytes;
        let bytes = left.min(unit_bytes - in_unit);
        self.position += bytes;
        let role = u8::try_from(in_stripe / unit_bytes).unwrap_or(u8::MAX);
        Some(Piece {
            index: self.map.index_of(role, stripe),
            shard_offset: shard_start.saturating_add(in_unit),
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            stripe,
        })
    }
}

#[cfg(test)]
#[path = "stripe_tests.rs"]
mod tests;
