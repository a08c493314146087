//! The part of a growing object that has been written, for readers that are behind the fill.
//!
//! Serves whole blocks whose checksums are known, verified on every read; the last, unfinished block is not served
//! before the commit (the fill still has it in memory). Holds the file open: reading goes on whatever becomes of the
//! writer.

use super::checksum::ShardIdentity;
use super::core::{Core, lock};
use super::shard::{BlockRange, ShardFault};
use super::{BLOCK_BYTES, StoreError, UNIT_BYTES};
use crate::ports::DeviceFile;
use bytes::Bytes;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// Reads the part of a growing object that has been written. Clones are cheap.
#[derive(Debug, Clone)]
pub struct PartialObject {
    growing: Arc<Growing>,
}

/// Shared by the writer and the readers of the part.
#[derive(Debug)]
pub(crate) struct Growing {
    core: Weak<Core>,
    file: Arc<dyn DeviceFile>,
    identity: ShardIdentity,
    data_start: u64,
    table: Mutex<Vec<u64>>,
    readable: AtomicU64,
    poisoned: AtomicBool,
}

impl Growing {
    pub(crate) fn new(
        core: &Arc<Core>,
        file: Arc<dyn DeviceFile>,
        identity: ShardIdentity,
        data_start: u64,
    ) -> Self {
        Self {
            core: Arc::downgrade(core),
            file,
            identity,
            data_start,
            table: Mutex::default(),
            readable: AtomicU64::new(0),
            poisoned: AtomicBool::new(false),
        }
    }

    pub(crate) fn identity(&self) -> ShardIdentity {
        self.identity
    }

    /// Where the body starts in the file, bytes.
    pub(crate) fn data_start(&self) -> u64 {
        self.data_start
    }

    pub(crate) fn readable(&self) -> u64 {
        self.readable.load(Ordering::Acquire)
    }

    /// A reader found a block that is not what was written.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// These blocks are written as a whole.
    pub(crate) fn extend(&self, sums: &[u64]) {
        let mut table = lock(&self.table);
        table.extend_from_slice(sums);
        self.readable.store(
            (table.len() as u64).saturating_mul(BLOCK_BYTES),
            Ordering::Release,
        );
    }

    /// The body is complete: the short block at the end counts as well. Returns the whole table.
    pub(crate) fn finish(&self, last: Option<u64>, length: u64) -> Vec<u64> {
        let mut table = lock(&self.table);
        table.extend(last);
        self.readable.store(length, Ordering::Release);
        table.clone()
    }

    fn read(&self, core: &Core, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        let read = self.read_verified(offset, length);
        read.map_err(|fault| {
            if matches!(fault, ShardFault::Block(_)) {
                self.poisoned.store(true, Ordering::Release);
                core.disk().corrupt_blocks.add(1);
                core.tell_corrupt(self.name(), None);
            }
            self.error(core, fault)
        })
    }

    fn read_verified(&self, offset: u64, length: usize) -> Result<Bytes, ShardFault> {
        let blocks = BlockRange::covering(offset, length, self.readable())?;
        let sums = lock(&self.table)
            .get(blocks.table_range())
            .map(<[u64]>::to_vec)
            .unwrap_or_default();
        blocks.read(self.file.as_ref(), self.data_start, self.identity, &sums)
    }

    fn name(&self) -> String {
        format!("{:016x} (being written)", self.identity.sequence.0)
    }

    fn error(&self, core: &Core, fault: ShardFault) -> StoreError {
        match fault {
            ShardFault::Block(block) => StoreError::Corrupt {
                disk: core.device.name().to_owned(),
                block,
                object: self.name(),
            },
            ShardFault::Io(source) => core.disk_error("read", source),
            ShardFault::Format(error) => {
                core.disk_error("read", io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }
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
        let length = length.min(usize::try_from(UNIT_BYTES).unwrap_or(usize::MAX));
        let (growing, shared) = (Arc::clone(&self.growing), Arc::clone(&core));
        core.on_reading_pool(move || growing.read(&shared, offset, length))
            .await?
    }
}
