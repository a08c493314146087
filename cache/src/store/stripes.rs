//! The body of an object on its way into stripes: collected until a stripe is full, then parity is computed and every
//! unit goes to its disk, all at once.
//!
//! Bounded: one stripe in memory for each object being written, 3 MiB at most, counted while it is there.

use super::StoreError;
use super::checksum::BlockHasher;
use super::layout::ObjectName;
use super::partial::Placed;
use super::stripe::StripeMap;
use super::temporary::TemporaryShards;
use crate::metrics::{Gauge, StoreStats};
use crate::parity::Coder;
use crate::ports::DeviceFile;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(crate) struct Stripes {
    map: StripeMap,
    name: ObjectName,
    coder: Coder,
    /// Data of the stripe that is being collected.
    data: Vec<u8>,
    /// Stripes written.
    stripe: u64,
    /// By index.
    hashers: Vec<BlockHasher>,
    stats: Arc<StoreStats>,
    held_bytes: u64,
}

/// One whole stripe on its way to the disks: data, then parity, by role.
#[derive(Debug)]
struct Stripe {
    bytes: Vec<u8>,
    unit: usize,
}

impl Stripe {
    fn unit(&self, role: u8) -> Range<usize> {
        let start = usize::from(role).saturating_mul(self.unit);
        start..start.saturating_add(self.unit)
    }
}

impl Stripes {
    /// `name` is that of the object with the longest length there is: all its stripes are whole.
    pub(crate) fn new(name: ObjectName, stats: &Arc<StoreStats>) -> Result<Self, String> {
        let geometry = name.placement.geometry;
        let codec = geometry.codec().ok_or("copies are not striped")?;
        let coder = Coder::new(codec, geometry.data_shards().into());
        let shards = 0..geometry.disks();
        let held_bytes = geometry
            .unit_bytes()
            .saturating_mul(geometry.disks().into());
        gauge(stats).add(held_bytes);
        Ok(Self {
            map: StripeMap::new(geometry, name.slot.key, name.length),
            name,
            coder: coder.map_err(|error| error.to_string())?,
            data: Vec::new(),
            stripe: 0,
            hashers: shards
                .map(|index| BlockHasher::new(name.shard(index).identity()))
                .collect(),
            stats: Arc::clone(stats),
            held_bytes,
        })
    }

    /// Takes a piece, and writes the stripes that it completes.
    pub(crate) fn append(
        &mut self,
        mut piece: &[u8],
        files: &mut TemporaryShards,
        placed: &Placed,
    ) -> Result<(), StoreError> {
        let full = usize::try_from(self.name.placement.geometry.stripe_bytes()).unwrap_or(0);
        if self.data.capacity() == 0 {
            let all = usize::try_from(self.held_bytes).unwrap_or(0);
            self.data.reserve_exact(all);
        }
        while !piece.is_empty() {
            let room = full.saturating_sub(self.data.len());
            let (now, later) = piece.split_at(room.min(piece.len()));
            self.data.extend_from_slice(now);
            piece = later;
            if self.data.len() == full {
                let unit = self.name.placement.geometry.unit_bytes();
                self.write(unit, files, placed)?;
            }
        }
        Ok(())
    }

    /// Bytes of the object in the stripes that are written.
    pub(crate) fn written(&self) -> u64 {
        self.map.stripe_start(self.stripe).0
    }

    /// Writes what is left: the object has this length.
    pub(crate) fn finish(
        &mut self,
        length: u64,
        files: &mut TemporaryShards,
        placed: &Placed,
    ) -> Result<(), StoreError> {
        if !self.data.is_empty() {
            let geometry = self.name.placement.geometry;
            let map = StripeMap::new(geometry, self.name.slot.key, length);
            self.write(map.unit_bytes(self.stripe), files, placed)?;
        }
        for (index, hasher) in (0_u8..).zip(&mut self.hashers) {
            if let Some(last) = hasher.finish() {
                placed.extend(index, &[last]);
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        unit_bytes: u64,
        files: &mut TemporaryShards,
        placed: &Placed,
    ) -> Result<(), StoreError> {
        let stripe = Arc::new(self.encoded(unit_bytes)?);
        let number = self.stripe;
        let shards = self.name.placement.geometry.disks();
        let mut completed = vec![Vec::new(); usize::from(shards)];
        for ((index, hasher), sums) in (0_u8..).zip(&mut self.hashers).zip(&mut completed) {
            let role = self.map.role_of(index, number);
            hasher.update(
                stripe.bytes.get(stripe.unit(role)).unwrap_or_default(),
                sums,
            );
        }
        let (_, start) = self.map.stripe_start(number);
        let (map, writing) = (self.map, Arc::clone(&stripe));
        let write = move |index: u8, file: &dyn DeviceFile, at: u64| {
            let unit = writing.unit(map.role_of(index, number));
            let bytes = writing.bytes.get(unit).ok_or(io::ErrorKind::InvalidInput)?;
            file.write_all_at(&[IoSlice::new(bytes)], at)
        };
        files.write(
            "append",
            placed.data_start.saturating_add(start),
            unit_bytes,
            write,
        )?;
        placed.set_lost(files.lost());
        for (index, sums) in (0_u8..).zip(&completed) {
            placed.extend(index, sums);
        }
        self.stripe += 1;
        // A disk that hangs still has the stripe: then the next one gets a buffer of its own.
        self.data = Arc::try_unwrap(stripe).map_or_else(|_| Vec::new(), |stripe| stripe.bytes);
        self.data.clear();
        Ok(())
    }

    /// The stripe that was collected, padded, with its parity.
    fn encoded(&mut self, unit_bytes: u64) -> Result<Stripe, StoreError> {
        let geometry = self.name.placement.geometry;
        let unit = usize::try_from(unit_bytes).unwrap_or(0).max(1);
        let (data_shards, shards) = (geometry.data_shards(), geometry.disks());
        let mut bytes = std::mem::take(&mut self.data);
        bytes.resize(unit.saturating_mul(shards.into()), 0);
        let (data, parity) = bytes.split_at_mut(unit.saturating_mul(data_shards.into()));
        let data: Vec<&[u8]> = data.chunks_exact(unit).collect();
        let mut parity: Vec<&mut [u8]> = parity.chunks_exact_mut(unit).collect();
        self.coder
            .encode(&data, &mut parity)
            .map_err(|error| StoreError::Disk {
                disk: "all".to_owned(),
                operation: "compute parity",
                source: io::Error::other(error),
            })?;
        Ok(Stripe { bytes, unit })
    }
}

fn gauge(stats: &StoreStats) -> &Gauge {
    &stats.stripe_bytes
}

impl Drop for Stripes {
    fn drop(&mut self) {
        gauge(&self.stats).subtract(self.held_bytes);
    }
}
