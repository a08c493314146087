//! Bytes of an object from its shards: read where they lie, or computed from the others.
//!
//! ```text
//! piece → its shard: read, verified → bytes
//!              └ fails, or its disk is out: the disk is named → copies: the next one
//!                                                             → stripes: the same range of k others → computed
//! ```
//! Whatever is computed comes from bytes that were compared with their checksums a moment before.
//!
//! Nothing is retried here: a shard that failed once is not asked again by who holds the object, and is queued for
//! repair.

use super::StoreError;
use super::array::disk::DiskFault;
use super::core::Core;
use super::layout::ObjectName;
use super::report::DiskSlot;
use super::shard::ShardFault;
use super::stripe::{Piece, StripeMap};
use crate::parity::{Coder, Shard as Role};
use crate::ports::Device;
use bytes::Bytes;
use futures::future::join_all;
use std::io;
use std::sync::Arc;

/// Bytes of one shard.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShardRange {
    pub(super) pool: [u8; 16],
    pub(super) index: u8,
    pub(super) offset: u64,
    pub(super) length: usize,
}

/// Where shards are read from: an object that is stored, or one that is being written.
pub(super) trait ShardSource: Send + Sync + 'static {
    /// The object. While it is being written its length is not its last.
    fn object(&self) -> ObjectName;
    /// Where its bytes lie.
    fn map(&self) -> StripeMap;
    /// Whether a shard has failed before, or was never written.
    fn is_bad(&self, index: u8) -> bool;
    /// A shard has failed.
    fn set_bad(&self, index: u8);
    /// Reads and verifies; on the disk's threads.
    fn read(&self, device: &dyn Device, range: ShardRange) -> Result<Bytes, ShardFault>;
    /// As [`Self::read`], from the file that is there now: a shard that has failed may have been written anew since.
    fn read_anew(&self, device: &dyn Device, range: ShardRange) -> Result<Bytes, ShardFault>;
}

/// How a shard is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// If it has not failed before.
    Usual,
    /// Although it has failed before, or was missing when the object was opened: the last resort.
    Anew,
}

/// Verified bytes of a range.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) bytes: Bytes,
    pub(super) from: Origin,
}

/// Where bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// From where they lie: the very files that a send would take them from are known to be good.
    TheirPlace,
    /// From a copy, or computed: nothing is known of the files where they lie.
    Others,
}

/// Why a shard has given nothing.
enum Trouble {
    /// Its disk is out, or it is known to be bad.
    Absent,
    /// The store is closed.
    Closed,
    /// It was read, and failed.
    Fault(ShardFault),
}

impl Core {
    /// Verified bytes of a range that may cross units.
    pub(super) async fn fetch<S: ShardSource>(
        self: &Arc<Self>,
        source: &Arc<S>,
        offset: u64,
        length: u64,
    ) -> Result<Fetched, StoreError> {
        let mut pieces = source.map().pieces(offset, length);
        let (first, second) = (pieces.next(), pieces.next());
        let (Some(first), Some(second)) = (first, second) else {
            return match first {
                Some(only) => self.fetch_piece(source, only).await,
                None => Ok(Fetched {
                    bytes: Bytes::new(),
                    from: Origin::TheirPlace,
                }),
            };
        };
        let all = [first, second].into_iter().chain(pieces);
        let fetched = join_all(all.map(|piece| self.fetch_piece(source, piece))).await;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        let mut from = Origin::TheirPlace;
        for part in fetched {
            let part = part?;
            bytes.extend_from_slice(&part.bytes);
            if part.from == Origin::Others {
                from = Origin::Others;
            }
        }
        Ok(Fetched {
            bytes: bytes.into(),
            from,
        })
    }

    async fn fetch_piece<S: ShardSource>(
        self: &Arc<Self>,
        source: &Arc<S>,
        piece: Piece,
    ) -> Result<Fetched, StoreError> {
        let geometry = source.object().placement.geometry;
        let mut fault = None;
        let shards = match geometry.is_striped() {
            true => 1,
            false => geometry.disks(),
        };
        let usual = (0..shards).map(|step| (step, Ask::Usual));
        let anew = (0..shards).map(|step| (step, Ask::Anew));
        let is_copied = !geometry.is_striped() && shards > 1;
        for (step, ask) in usual.chain(anew.filter(|_| is_copied)) {
            let index = (piece.index + step) % geometry.disks();
            let range = (piece.shard_offset, piece.bytes);
            match self.read_shard(source, index, range, ask).await {
                Ok(bytes) => {
                    let from = match (step, ask) {
                        (0, Ask::Usual) => Origin::TheirPlace,
                        _ => Origin::Others,
                    };
                    return Ok(Fetched { bytes, from });
                }
                Err(Trouble::Closed) => return Err(StoreError::Closed),
                Err(Trouble::Absent) => {}
                Err(Trouble::Fault(found)) => {
                    // What was wrong first says more than what came of it.
                    fault.get_or_insert((index, found));
                }
            }
        }
        if geometry.is_striped() {
            let bytes = self.compute(source, piece, fault).await?;
            let from = Origin::Others;
            return Ok(Fetched { bytes, from });
        }
        Err(self.unreadable(&source.object(), piece, fault))
    }

    async fn read_shard<S: ShardSource>(
        self: &Arc<Self>,
        source: &Arc<S>,
        index: u8,
        (offset, length): (u64, usize),
        ask: Ask,
    ) -> Result<Bytes, Trouble> {
        let object = source.object();
        let disk = object.placement.members.slot_at(index);
        let disk = disk.and_then(|slot| self.array.get(slot));
        let Some(disk) = disk.filter(|_| source.is_bad(index) == (ask == Ask::Anew)) else {
            return Err(Trouble::Absent);
        };
        let reading = Arc::clone(source);
        let range = ShardRange {
            pool: self.pool_id,
            index,
            offset,
            length,
        };
        let read = move |device: &dyn Device| {
            Ok(match ask {
                Ask::Usual => reading.read(device, range),
                Ask::Anew => reading.read_anew(device, range),
            })
        };
        match disk.run(read).await {
            Ok(Ok(bytes)) => {
                disk.note_read(true);
                Ok(bytes)
            }
            Ok(Err(fault)) => {
                let is_passing = self.is_passing(&fault);
                let blamed = self.blame(object, index, fault).await;
                // Where the disk is at fault, another may be in its place before this reader is done.
                if !is_passing && disk.is_readable() {
                    source.set_bad(index);
                }
                blamed.map_err(Trouble::Fault)
            }
            Err(DiskFault::Closed) => Err(Trouble::Closed),
            Err(DiskFault::Out) => Err(Trouble::Absent),
            Err(DiskFault::Io(error)) => Err(Trouble::Fault(error.into())),
        }
    }

    /// Draws the consequences where the system may be asked, and gives the fault back.
    async fn blame(
        self: &Arc<Self>,
        object: ObjectName,
        index: u8,
        fault: ShardFault,
    ) -> Result<Bytes, ShardFault> {
        if self.retirement.has_begun() {
            // The coordinator takes nothing any more, and nothing is changed.
            self.judge(&object, index, &fault);
            return Err(fault);
        }
        let core = Arc::clone(self);
        let judge = move || {
            core.judge(&object, index, &fault);
            fault
        };
        match self.on_pool("judge", judge).await {
            Ok(fault) => Err(fault),
            Err(error) => Err(io::Error::other(error.to_string()).into()),
        }
    }

    /// The bytes of a piece, from the same range of as many other shards as there is data.
    async fn compute<S: ShardSource>(
        self: &Arc<Self>,
        source: &Arc<S>,
        piece: Piece,
        fault: Option<(u8, ShardFault)>,
    ) -> Result<Bytes, StoreError> {
        let geometry = source.object().placement.geometry;
        let wanted = usize::from(geometry.data_shards());
        let all = 0..geometry.disks();
        let others = all.clone().filter(|index| *index != piece.index);
        let usual = others.map(|index| (index, Ask::Usual));
        let mut left = usual.chain(all.map(|index| (index, Ask::Anew)));
        let mut found: Vec<(u8, Bytes)> = Vec::with_capacity(wanted);
        while found.len() < wanted {
            let next: Vec<(u8, Ask)> = left.by_ref().take(wanted - found.len()).collect();
            if next.is_empty() {
                return Err(self.unreadable(&source.object(), piece, fault));
            }
            let read = |(index, ask)| async move {
                let range = (piece.shard_offset, piece.bytes);
                (index, self.read_shard(source, index, range, ask).await)
            };
            for (index, result) in join_all(next.into_iter().map(read)).await {
                match result {
                    // Written anew since it failed.
                    Ok(bytes) if index == piece.index => return Ok(bytes),
                    Ok(bytes) => found.push((index, bytes)),
                    Err(Trouble::Closed) => return Err(StoreError::Closed),
                    Err(Trouble::Absent | Trouble::Fault(_)) => {}
                }
            }
        }
        self.stats.computed_units.add(1);
        let (map, object) = (source.map(), source.object());
        let compute = move || computed(&map, &object, piece, &found);
        let computed = self.on_pool("compute", compute).await?;
        computed.map_err(|reason| self.store_error("compute", io::Error::other(reason)))
    }

    fn unreadable(
        &self,
        object: &ObjectName,
        piece: Piece,
        fault: Option<(u8, ShardFault)>,
    ) -> StoreError {
        match fault {
            Some((index, fault)) => self.read_error(
                &object.shard(index),
                self.disk_of(object, index),
                piece.shard_offset,
                fault,
            ),
            None => {
                let source = io::Error::other("too many disks or shards are missing");
                self.store_error("read", source)
            }
        }
    }

    /// The folder of the disk that has a shard, for messages.
    pub(super) fn disk_of(&self, object: &ObjectName, index: u8) -> String {
        let slot = object.placement.members.slot_at(index);
        self.folder_of(slot.unwrap_or(DiskSlot(0)))
    }
}

fn computed(
    map: &StripeMap,
    object: &ObjectName,
    piece: Piece,
    found: &[(u8, Bytes)],
) -> Result<Bytes, String> {
    let geometry = object.placement.geometry;
    let codec = geometry.codec().ok_or("copies are not computed")?;
    let coder =
        Coder::new(codec, geometry.data_shards().into()).map_err(|error| error.to_string())?;
    let mut bytes = vec![0; piece.bytes];
    let mut roles: Vec<Role<'_>> = (0..geometry.disks()).map(|_| Role::Absent).collect();
    for (index, present) in found {
        let role = usize::from(map.role_of(*index, piece.stripe));
        if let Some(place) = roles.get_mut(role) {
            *place = Role::Present(present);
        }
    }
    let role = usize::from(map.role_of(piece.index, piece.stripe));
    if let Some(place) = roles.get_mut(role) {
        *place = Role::Wanted(&mut bytes);
    }
    coder
        .reconstruct(&mut roles)
        .map_err(|error| error.to_string())?;
    drop(roles);
    Ok(bytes.into())
}
