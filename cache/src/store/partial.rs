//! The part of a growing object that has been written, for readers that are behind the fill.
//!
//! Serves whole stripes (of copies: whole blocks) whose checksums are known, verified on every read; what comes behind
//! is not served before the commit (the fill still has it in memory). Holds the files open: reading goes on whatever
//! becomes of the writer.

use super::core::{Core, lock};
use super::fetch::{ShardRange, ShardSource};
use super::layout::ObjectName;
use super::shard::{BlockRange, ShardFault};
use super::stripe::StripeMap;
use super::{StoreError, UNIT_BYTES};
use crate::ports::{Device, DeviceFile};
use bytes::Bytes;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// Reads the part of a growing object that has been written. Clones are cheap.
#[derive(Debug, Clone)]
pub struct PartialObject {
    growing: Arc<Growing>,
}

/// Shared by the writer and the readers of the part.
#[derive(Debug)]
pub(crate) struct Growing {
    core: Weak<Core>,
    /// Set as soon as it is known where the object goes.
    placed: OnceLock<Arc<Placed>>,
    readable: AtomicU64,
    poisoned: AtomicBool,
}

/// A growing object that has its files.
#[derive(Debug)]
pub(crate) struct Placed {
    /// Its length is not known before the end; until then the longest there is.
    name: Mutex<ObjectName>,
    /// By index; `None`: lost.
    files: Vec<Option<Arc<dyn DeviceFile>>>,
    pub(crate) data_start: u64,
    /// Checksums of whole blocks, by index.
    tables: Mutex<Vec<Vec<u64>>>,
    bad: AtomicU16,
    core: Weak<Core>,
}

/// A length that no object has: everything up to it lies in whole stripes.
const UNKNOWN_LENGTH: u64 = 1 << 62;

impl Growing {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        Self {
            core: Arc::downgrade(core),
            placed: OnceLock::new(),
            readable: AtomicU64::new(0),
            poisoned: AtomicBool::new(false),
        }
    }

    /// The files are there.
    pub(crate) fn place(
        &self,
        name: ObjectName,
        files: Vec<Option<Arc<dyn DeviceFile>>>,
        data_start: u64,
    ) {
        let shards = files.len();
        let placed = Placed {
            name: Mutex::new(ObjectName {
                length: UNKNOWN_LENGTH,
                ..name
            }),
            bad: AtomicU16::new(bits(&files)),
            files,
            data_start,
            tables: Mutex::new(vec![Vec::new(); shards]),
            core: Weak::clone(&self.core),
        };
        // There is one writer, and it places its object once.
        self.placed.set(Arc::new(placed)).ok();
    }

    pub(crate) fn placed(&self) -> Option<&Arc<Placed>> {
        self.placed.get()
    }

    pub(crate) fn readable(&self) -> u64 {
        self.readable.load(Ordering::Acquire)
    }

    /// A reader found a block that is not what was written, and the object cannot do without it.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// The object can be read up to here.
    pub(crate) fn set_readable(&self, bytes: u64) {
        self.readable.store(bytes, Ordering::Release);
    }

    async fn read(&self, core: &Arc<Core>, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        let until = offset.checked_add(length);
        let placed = self
            .placed
            .get()
            .filter(|_| until.is_some_and(|until| until <= self.readable()));
        let Some(placed) = placed else {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "range outside of the object");
            return Err(core.store_error("read", source));
        };
        let fetched = core.fetch(placed, offset, length).await;
        if placed.is_beyond_repair() {
            self.poisoned.store(true, Ordering::Release);
        }
        fetched.map(|fetched| fetched.bytes)
    }
}

impl Placed {
    /// These blocks of a shard are written as a whole.
    pub(crate) fn extend(&self, index: u8, sums: &[u64]) {
        if let Some(table) = lock(&self.tables).get_mut(usize::from(index)) {
            table.extend_from_slice(sums);
        }
    }

    /// The body is complete: its length is known now. Returns the tables.
    pub(crate) fn finish(&self, length: u64) -> Vec<Vec<u64>> {
        lock(&self.name).length = length;
        lock(&self.tables).clone()
    }

    /// These shards are lost, a bit each: nobody is to look for what was not written to them.
    pub(crate) fn set_lost(&self, lost: u16) {
        if lost & !self.bad() != 0 {
            self.bad.fetch_or(lost, Ordering::AcqRel);
        }
    }

    /// Shards that are lost or were seen rotting, a bit each.
    pub(crate) fn bad(&self) -> u16 {
        self.bad.load(Ordering::Acquire)
    }

    fn is_beyond_repair(&self) -> bool {
        let parity = lock(&self.name).placement.geometry.parity_shards();
        self.bad().count_ones() > u32::from(parity)
    }
}

impl ShardSource for Placed {
    fn object(&self) -> ObjectName {
        *lock(&self.name)
    }

    fn map(&self) -> StripeMap {
        let name = *lock(&self.name);
        StripeMap::new(name.placement.geometry, name.slot.key, name.length)
    }

    fn is_bad(&self, index: u8) -> bool {
        self.bad() & bit(index) != 0
    }

    fn set_bad(&self, index: u8) {
        self.bad.fetch_or(bit(index), Ordering::AcqRel);
    }

    fn read(&self, _device: &dyn Device, range: ShardRange) -> Result<Bytes, ShardFault> {
        let ShardRange {
            index,
            offset,
            length,
            ..
        } = range;
        let name = lock(&self.name).shard(index);
        let file = self.files.get(usize::from(index)).and_then(Option::as_ref);
        let file = file.ok_or_else(|| io::Error::other("the shard is lost"))?;
        let blocks = BlockRange::covering(offset, length, name.data_bytes())?;
        let sums = lock(&self.tables)
            .get(usize::from(index))
            .and_then(|table| table.get(blocks.table_range()))
            .map(<[u64]>::to_vec)
            .unwrap_or_default();
        let read = blocks.read(file.as_ref(), self.data_start, name.identity(), &sums);
        read.inspect_err(|fault| self.tell(index, fault))
    }

    /// Nothing of a growing object is ever written anew.
    fn read_anew(&self, _device: &dyn Device, _range: ShardRange) -> Result<Bytes, ShardFault> {
        Err(io::Error::other("the shard is lost").into())
    }
}

impl Placed {
    /// It has no name yet that anybody could judge.
    fn tell(&self, index: u8, fault: &ShardFault) {
        let Some(core) = self.core.upgrade() else {
            return;
        };
        let name = *lock(&self.name);
        let slot = name.placement.members.slot_at(index);
        if let (ShardFault::Block(_), Some(slot)) = (fault, slot) {
            let object = format!("{:016x} (being written)", name.sequence.0);
            core.tell_corrupt(slot, object, None);
        }
    }
}

fn bits(files: &[Option<Arc<dyn DeviceFile>>]) -> u16 {
    let lost = (0_u8..).zip(files).filter(|(_, file)| file.is_none());
    lost.fold(0, |bits, (index, _)| bits | bit(index))
}

fn bit(index: u8) -> u16 {
    1_u16.checked_shl(index.into()).unwrap_or(0)
}

impl PartialObject {
    pub(super) fn new(growing: Arc<Growing>) -> Self {
        Self { growing }
    }

    /// Reads and verifies up to `length` (at most [`UNIT_BYTES`]) bytes at `offset`; all of it must be below
    /// `readable`.
    ///
    /// # Errors
    /// [`StoreError`]; the bytes are never returned unverified.
    pub async fn read(&self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        let core = self.growing.core.upgrade().ok_or(StoreError::Closed)?;
        let length = (length as u64).min(UNIT_BYTES);
        self.growing.read(&core, offset, length).await
    }
}
