//! The open files of one object: opened one by one, as they are needed.
//!
//! The first one that could be opened has told the head; the others are believed as far as their own frame and blocks
//! fit. A shard that failed once is not asked again by those who hold this object.

use super::fetch::{ShardRange, ShardSource};
use super::index::Record;
use super::layout::ObjectName;
use super::report::DiskSlot;
use super::shard::{OpenedShard, Shard, ShardFault};
use super::stripe::StripeMap;
use crate::object::{Digests, ObjectHead};
use crate::ports::Device;
use bytes::Bytes;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};

/// See the module.
#[derive(Debug)]
pub(crate) struct Shards {
    pub(crate) name: ObjectName,
    /// The head as it was stored.
    pub(crate) head: ObjectHead,
    pub(crate) digests: Digests,
    pub(crate) map: StripeMap,
    /// By index.
    opened: Box<[OnceLock<Arc<Shard>>]>,
    /// A bit for each index that is not to be asked.
    bad: AtomicU16,
    /// Ranges may be sent after a look at the page cache.
    resident: bool,
}

impl Shards {
    /// An object of which one shard is open.
    pub(crate) fn new(record: &Record, first: OpenedShard, resident: bool) -> Self {
        let (name, missing) = (record.name(), record.missing);
        let shards = Self::unopened(name, missing, first.head, first.digests, resident);
        shards.keep(first.shard);
        shards
    }

    /// An object of which no shard is open yet.
    pub(crate) fn unopened(
        name: ObjectName,
        missing: u16,
        head: ObjectHead,
        digests: Digests,
        resident: bool,
    ) -> Self {
        let shards = name.placement.geometry.disks();
        Self {
            name,
            head,
            digests,
            map: StripeMap::new(name.placement.geometry, name.slot.key, name.length),
            opened: (0..shards).map(|_| OnceLock::new()).collect(),
            bad: AtomicU16::new(missing),
            resident,
        }
    }

    /// Keeps an open shard; the first one stays.
    pub(crate) fn keep(&self, shard: Shard) {
        if self.resident {
            super::send::prepare(shard.file.as_ref());
        }
        if let Some(place) = self.opened.get(usize::from(shard.name.index)) {
            // Another thread may have opened the same file: either is as good.
            place.set(Arc::new(shard)).ok();
        }
    }

    /// The disk of a shard.
    pub(crate) fn disk(&self, index: u8) -> Option<DiskSlot> {
        self.name.placement.members.slot_at(index)
    }

    /// An open shard.
    pub(crate) fn opened(&self, index: u8) -> Option<&Arc<Shard>> {
        self.opened.get(usize::from(index))?.get()
    }

    /// Open files.
    pub(crate) fn open_files(&self) -> usize {
        let opened = self.opened.iter();
        opened.filter(|place| place.get().is_some()).count()
    }

    /// Checksums held in memory.
    pub(crate) fn checksums(&self) -> usize {
        let opened = self.opened.iter().filter_map(OnceLock::get);
        opened.map(|shard| shard.table.len()).sum()
    }

    /// Indices that have not failed, the ones that hold the first bytes first.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = u8> + '_ {
        let count = self.name.placement.geometry.disks();
        let roles = 0..count;
        roles
            .map(|role| self.map.index_of(role, 0))
            .filter(|index| !self.is_bad(*index))
    }

    /// The shard, opened on its disk if it is not open yet. On the disk's threads.
    pub(crate) fn open(
        &self,
        device: &dyn Device,
        pool: [u8; 16],
        index: u8,
    ) -> Result<Arc<Shard>, ShardFault> {
        if let Some(shard) = self.opened(index) {
            return Ok(Arc::clone(shard));
        }
        let opened = Shard::open(device, pool, self.name.shard(index))?;
        self.keep(opened.shard);
        self.opened(index).cloned().ok_or_else(|| {
            let source = std::io::Error::other("the object has no such shard");
            ShardFault::Io(source)
        })
    }
}

impl ShardSource for Shards {
    fn object(&self) -> ObjectName {
        self.name
    }

    fn map(&self) -> StripeMap {
        self.map
    }

    fn is_bad(&self, index: u8) -> bool {
        self.bad.load(Ordering::Acquire) & bit(index) != 0
    }

    fn set_bad(&self, index: u8) {
        self.bad.fetch_or(bit(index), Ordering::AcqRel);
    }

    fn read(&self, device: &dyn Device, range: ShardRange) -> Result<Bytes, ShardFault> {
        let shard = self.open(device, range.pool, range.index)?;
        shard.read(range.offset, range.length)
    }

    fn read_anew(&self, device: &dyn Device, range: ShardRange) -> Result<Bytes, ShardFault> {
        let opened = Shard::open(device, range.pool, self.name.shard(range.index))?;
        opened.shard.read(range.offset, range.length)
    }
}

fn bit(index: u8) -> u16 {
    1_u16.checked_shl(index.into()).unwrap_or(0)
}
