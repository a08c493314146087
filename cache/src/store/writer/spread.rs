//! Where an object goes, and how its bytes get there.
//!
//! The place is chosen when its length is known, or as soon as it is clear that it is no small one.

use super::{Writing, digest_of};
use crate::object::{Digests, ObjectHead};
use crate::ports::DeviceFile;
use crate::store::checksum::BlockHasher;
use crate::store::claim::Claim;
use crate::store::core::Core;
use crate::store::footer::{Footer, footer_start};
use crate::store::header::Header;
use crate::store::layout::{ObjectName, Slot};
use crate::store::members::Placement;
use crate::store::partial::{Growing, Placed};
use crate::store::stripes::Stripes;
use crate::store::temporary::{Allotment, TemporaryShards};
use crate::store::{BLOCK_BYTES, StoreError};
use bytes::Bytes;
use std::io::{self, IoSlice};
use std::sync::Arc;

/// A length that no object has, for names of objects whose length is not known yet.
const UNKNOWN_LENGTH: u64 = 1 << 62;

/// An object that has its place, and how its bytes get there.
#[derive(Debug)]
pub(in crate::store) struct Spread {
    pub(super) name: ObjectName,
    pub(super) placed: Arc<Placed>,
    pub(in crate::store) files: TemporaryShards,
    pub(super) claim: Claim,
    layer: Layer,
}

#[derive(Debug)]
enum Layer {
    /// Every shard gets everything as it comes; a hasher for each.
    Copies(Vec<BlockHasher>),
    Stripes(Box<Stripes>),
}

impl Core {
    /// Chooses where an object goes and reserves its room. Pool only.
    pub(super) fn claim(
        self: &Arc<Self>,
        head: &ObjectHead,
        length: Option<u64>,
    ) -> Result<(Placement, Claim), StoreError> {
        let slots = self.slots_to_fill();
        let live = self.array.live().intersection(slots);
        let placement = self.policy.place(head.key.short(), length, slots, live);
        let placement = placement.ok_or_else(|| {
            let source = io::Error::other("too many disks are out to store anything");
            self.store_error("begin", source)
        })?;
        let bytes = placement.geometry.footprint_bytes(length.unwrap_or(0));
        let needed = placement.geometry.data_shards();
        let claim = self.reserve(placement.members.intersection(live), bytes, needed)?;
        Ok((placement, claim))
    }
}

impl Writing {
    /// Gives the object its files.
    pub(super) fn spread_out(
        &mut self,
        placement: Placement,
        mut claim: Claim,
        length: Option<u64>,
    ) -> Result<(), StoreError> {
        let name = self.named(placement, length.unwrap_or(UNKNOWN_LENGTH));
        let (head, headers) = self.headers(&name, length)?;
        self.head = head;
        let data_start = headers.first().map_or(0, Vec::len) as u64;
        let bytes = length.map(|length| placement.geometry.footprint_bytes(length));
        let place = Allotment {
            placement,
            on: claim.members(),
            bytes,
        };
        let files = TemporaryShards::create(&self.core, self.sequence, place, headers)?;
        claim.allocated();
        let growing = &self.growing;
        let spread = Spread::new(&self.core, growing, name, files, claim, data_start)?;
        self.spread = Some(spread);
        Ok(())
    }

    /// Its name under a placement.
    pub(super) fn named(&self, placement: Placement, length: u64) -> ObjectName {
        ObjectName {
            slot: Slot {
                key: self.head.key.short(),
                variant: self.head.selection.variant(),
            },
            sequence: self.sequence,
            length,
            placement,
        }
    }

    /// The first bytes of every shard, and the head back.
    pub(super) fn headers(
        &self,
        name: &ObjectName,
        length: Option<u64>,
    ) -> Result<(ObjectHead, Vec<Vec<u8>>), StoreError> {
        let mut header = Header {
            pool: self.core.pool_id,
            identity: name.shard(0).identity(),
            geometry: name.placement.geometry,
            length,
            head: self.head.clone(),
            unknown: Vec::new(),
        };
        let mut headers = Vec::new();
        for (_, shard) in name.shards() {
            header.identity = shard.identity();
            let bytes = header.encode().map_err(|error| {
                let source = io::Error::new(io::ErrorKind::InvalidData, error);
                self.core.store_error("encode header", source)
            })?;
            headers.push(bytes);
        }
        Ok((header.head, headers))
    }
}

impl Spread {
    /// `data_start`: how long the headers are.
    pub(in crate::store) fn new(
        core: &Core,
        growing: &Growing,
        name: ObjectName,
        files: TemporaryShards,
        claim: Claim,
        data_start: u64,
    ) -> Result<Self, StoreError> {
        let geometry = name.placement.geometry;
        let shards = 0..geometry.disks();
        let handles = shards.clone().map(|index| files.handle(index).cloned());
        growing.place(name, handles.collect(), data_start);
        let placed = growing.placed().cloned().ok_or(StoreError::Closed)?;
        let layer = if geometry.is_striped() {
            let endless = ObjectName {
                length: UNKNOWN_LENGTH,
                ..name
            };
            let stripes = Stripes::new(endless, &core.stats)
                .map_err(|reason| core.store_error("begin", io::Error::other(reason)))?;
            Layer::Stripes(Box::new(stripes))
        } else {
            let hasher = |index| BlockHasher::new(name.shard(index).identity());
            Layer::Copies(shards.map(hasher).collect())
        };
        Ok(Self {
            name,
            placed,
            files,
            claim,
            layer,
        })
    }

    /// Writes what is still in memory of an object that has this length; the checksums of all shards.
    pub(in crate::store) fn finish(&mut self, length: u64) -> Result<Vec<Vec<u64>>, StoreError> {
        match &mut self.layer {
            Layer::Copies(hashers) => {
                for (index, hasher) in (0_u8..).zip(hashers) {
                    if let Some(last) = hasher.finish() {
                        self.placed.extend(index, &[last]);
                    }
                }
            }
            Layer::Stripes(stripes) => {
                stripes.finish(length, &mut self.files, &self.placed)?;
            }
        }
        Ok(self.placed.finish(length))
    }

    pub(in crate::store) fn write_footers(
        &mut self,
        name: &ObjectName,
        tables: &[Vec<u64>],
        digests: &Digests,
    ) -> Result<(), StoreError> {
        let header_bytes = self.placed.data_start;
        let length = name.shard(0).data_bytes();
        let footers = footers(name, header_bytes, tables, digests);
        let footers: Arc<Vec<Vec<u8>>> = Arc::new(footers);
        let bytes = footers.first().map_or(0, Vec::len) as u64;
        let write = move |index: u8, file: &dyn DeviceFile, at: u64| {
            let footer = footers.get(usize::from(index));
            let footer = footer.ok_or(io::ErrorKind::InvalidInput)?;
            file.write_all_at(&[IoSlice::new(footer)], at)
        };
        let at = footer_start(header_bytes, length);
        self.files.write("write footer", at, bytes, write)
    }

    /// Writes pieces that come at `offset`; up to where the object can be read now.
    pub(in crate::store) fn write(
        &mut self,
        pieces: Vec<Bytes>,
        offset: u64,
        bytes: u64,
    ) -> Result<u64, StoreError> {
        match &mut self.layer {
            Layer::Copies(hashers) => {
                let mut completed = vec![Vec::new(); hashers.len()];
                for (hasher, sums) in hashers.iter_mut().zip(&mut completed) {
                    for piece in &pieces {
                        hasher.update(piece, sums);
                    }
                }
                let pieces = Arc::new(pieces);
                let write = move |_: u8, file: &dyn DeviceFile, at: u64| {
                    let slices: Vec<IoSlice<'_>> =
                        pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                    file.write_all_at(&slices, at)
                };
                let at = self.placed.data_start.saturating_add(offset);
                self.files.write("append", at, bytes, write)?;
                self.placed.set_lost(self.files.lost());
                for (index, sums) in (0_u8..).zip(&completed) {
                    self.placed.extend(index, sums);
                }
                let end = offset.saturating_add(bytes);
                Ok(end / BLOCK_BYTES * BLOCK_BYTES)
            }
            Layer::Stripes(stripes) => {
                for piece in &pieces {
                    stripes.append(piece, &mut self.files, &self.placed)?;
                }
                Ok(stripes.written())
            }
        }
    }
}

/// What stands behind the data of every shard, all of whose headers are that long.
pub(super) fn footers(
    name: &ObjectName,
    header_bytes: u64,
    tables: &[Vec<u64>],
    digests: &Digests,
) -> Vec<Vec<u8>> {
    let table_digests: Vec<u128> = tables.iter().map(|table| digest_of(table)).collect();
    let footers = name.shards().zip(tables).map(|((_, shard), table)| {
        let footer = Footer {
            table: table.clone(),
            length: shard.data_bytes(),
            digests: digests.clone(),
            table_digests: table_digests.clone(),
        };
        footer.encode(shard.identity(), header_bytes)
    });
    footers.collect()
}
