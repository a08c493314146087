//! One object being written.
//!
//! ```text
//! begin:   room reserved → sequence → tmp/<sequence> created → header
//! append:  hash, digest and write in one job of the pool, as often as needed
//! commit:  no ban since → footer → (strict: fdatasync) → rename → (strict: fsync of the folder) → index
//! ```
//! The file becomes visible only whole; the index learns of it last. Whatever fails or is cancelled before that leaves
//! at most a file in tmp/, which the file's own guard removes (in the pool, best effort) and every start empties.
//!
//! Cancellation: a future dropped in the middle leaves its job running. The writer then refuses to go on, because a
//! second job could overtake the first.

use super::ban::BanWatch;
use super::checksum::{BlockHasher, ShardIdentity};
use super::core::Core;
use super::digest::{Digesting, Mismatch};
use super::footer::{Footer, footer_start};
use super::header::Header;
use super::layout::{Geometry, ShardName, Slot, footprint_bytes, temporary_path};
use super::partial::{Growing, PartialObject};
use super::reader::Object;
use super::shard::Shard;
use super::temporary::TemporaryFile;
use super::{Durability, StoreError};
use crate::object::{Digests, ObjectHead, Sequence};
use bytes::Bytes;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};
use weir_policies::effect::ExpectedDigests;

use super::core::lock;

/// Shard index on a one-disk store.
const INDEX: u8 = 0;

/// One object being written. Dropping it before its commit removes its file.
#[derive(Debug)]
pub struct ObjectWriter {
    core: Arc<Core>,
    sequence: Sequence,
    growing: Arc<Growing>,
    state: Arc<Mutex<Writing>>,
    /// A job was started and its result never seen, or it failed.
    interrupted: bool,
}

/// What the pool's jobs work on.
#[derive(Debug)]
struct Writing {
    file: TemporaryFile,
    growing: Arc<Growing>,
    head: ObjectHead,
    length_expected: Option<u64>,
    written: u64,
    hasher: BlockHasher,
    digesting: Digesting,
    watch: Arc<BanWatch>,
}

impl ObjectWriter {
    /// Pool only. Reserves the room, takes the sequence, creates the file and writes the head.
    pub(super) fn begin(
        core: &Arc<Core>,
        head: ObjectHead,
        length: Option<u64>,
        expected: ExpectedDigests,
        watch: Arc<BanWatch>,
    ) -> Result<Self, StoreError> {
        let claim = core.reserve(footprint_bytes(length.unwrap_or(0)))?;
        let sequence = core.take_sequence()?;
        let path = temporary_path(sequence, INDEX);
        let mut file = TemporaryFile::create(core, sequence, path, claim)?;
        let identity = ShardIdentity {
            sequence,
            index: INDEX,
        };
        let header = Header {
            pool: core.pool_id,
            identity,
            geometry: Geometry::ONE_DISK,
            length,
            head,
            unknown: Vec::new(),
        };
        let bytes = header.encode().map_err(|error| {
            core.disk_error(
                "encode header",
                io::Error::new(io::ErrorKind::InvalidData, error),
            )
        })?;
        if let Some(length) = length {
            core.with_room(footprint_bytes(length), "allocate", || {
                file.handle.allocate(footprint_bytes(length))
            })?;
        }
        core.with_room(bytes.len() as u64, "write header", || {
            file.handle.write_all_at(&[IoSlice::new(&bytes)], 0)
        })?;
        file.claim.allocated();
        let growing = Arc::new(Growing::new(
            core,
            Arc::clone(&file.handle),
            identity,
            bytes.len() as u64,
        ));
        let writing = Writing {
            file,
            growing: Arc::clone(&growing),
            head: header.head,
            length_expected: length,
            written: 0,
            hasher: BlockHasher::new(identity),
            digesting: Digesting::new(expected, core.settings.sha256),
            watch,
        };
        let state = Arc::new(Mutex::new(writing));
        Ok(Self {
            core: Arc::clone(core),
            sequence,
            growing,
            state,
            interrupted: false,
        })
    }

    /// Its sequence.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Appends pieces: hashes, digests and writes them in one job of the disk's pool. Returns when written.
    ///
    /// # Errors
    /// After an error the writer can only be dropped.
    pub async fn append(&mut self, pieces: Vec<Bytes>) -> Result<(), StoreError> {
        self.claim_turn()?;
        let (core, state) = (Arc::clone(&self.core), Arc::clone(&self.state));
        self.core
            .on_pool("append", move || lock(&state).append(&core, &pieces))
            .await??;
        self.interrupted = false;
        Ok(())
    }

    /// Gives the object up; when this returns its file is gone. Dropping the writer does the same a moment later.
    pub async fn abandon(self) {
        let (core, state) = (Arc::clone(&self.core), Arc::clone(&self.state));
        let removed = self
            .core
            .on_pool("abandon", move || lock(&state).file.remove(&core))
            .await;
        if let Err(error) = removed {
            tracing::debug!(%error, "an abandoned file is left to the next start");
        }
    }

    /// Bytes that [`PartialObject::read`] can serve: whole verified blocks on disk (the tail block stays with the
    /// caller).
    #[must_use]
    pub fn readable(&self) -> u64 {
        self.growing.readable()
    }

    /// A reader of the written part.
    #[must_use]
    pub fn partial(&self) -> PartialObject {
        PartialObject::new(Arc::clone(&self.growing))
    }

    /// sha256 of what was appended so far; `None` when it is not computed, or while a step is under way or has failed.
    #[must_use]
    pub fn sha256_so_far(&self) -> Option<[u8; 32]> {
        // Without a step under way nobody holds the lock.
        let settled = !self.interrupted;
        settled.then(|| lock(&self.state).digesting.sha256_so_far())?
    }

    /// Footer, trailer, rename, index. The object becomes a hit when this returns, and not before.
    ///
    /// # Errors
    /// [`StoreError::Purged`] when a purge since the writer's [`BanWatch`] concerns it; the body is as expected then.
    /// On error nothing is visible and the file is removed; with [`StoreError::Digest`] it goes to quarantine/ as long
    /// as that has room.
    pub async fn commit(mut self) -> Result<Arc<Object>, StoreError> {
        self.claim_turn()?;
        let (core, state) = (Arc::clone(&self.core), Arc::clone(&self.state));
        self.core
            .on_pool("commit", move || lock(&state).commit(&core))
            .await?
    }

    fn claim_turn(&mut self) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.interrupted, true) {
            let source = io::Error::other("an earlier step failed or was abandoned");
            return Err(self.core.disk_error("append", source));
        }
        Ok(())
    }
}

impl Writing {
    fn append(&mut self, core: &Arc<Core>, pieces: &[Bytes]) -> Result<(), StoreError> {
        let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let bytes = pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        if bytes == 0 {
            return Ok(());
        }
        let mut completed = Vec::new();
        for piece in pieces {
            self.hasher.update(piece, &mut completed);
            self.digesting.update(piece);
        }
        let end = self.written.saturating_add(bytes);
        self.file.claim.grow(footprint_bytes(end));
        core.stay_within_budget()?;
        let at = self.growing.data_start().saturating_add(self.written);
        core.with_room(bytes, "append", || {
            self.file.handle.write_all_at(&slices, at)
        })?;
        self.written = end;
        self.growing.extend(&completed);
        Ok(())
    }

    fn commit(&mut self, core: &Arc<Core>) -> Result<Arc<Object>, StoreError> {
        self.check_complete(core)?;
        let table = self.growing.finish(self.hasher.finish(), self.written);
        let name = self.name();
        let digests = self
            .digesting
            .finish()
            .map_err(|mismatch| self.refuse(core, &name, mismatch))?;
        self.obey_bans(core)?;
        self.write_footer(core, &table, &digests)?;
        self.publish(core, &name)?;
        let shard = Shard {
            name,
            file: Arc::clone(&self.file.handle),
            head: self.head.clone(),
            data_start: self.growing.data_start(),
            table,
            digests,
        };
        let object = core.admit(shard);
        if let Err(purged) = self.obey_bans(core) {
            // It came while the file was renamed and has a higher sequence, so nobody finds this object; but its sweep
            // may have been here already.
            core.remove_banned(&name);
            return Err(purged);
        }
        Ok(object)
    }

    /// What was purged since it was asked for does not become visible.
    fn obey_bans(&self, core: &Core) -> Result<(), StoreError> {
        if core.bans.forbid(&self.head, &self.watch) {
            return Err(StoreError::Purged);
        }
        Ok(())
    }

    fn name(&self) -> ShardName {
        let slot = Slot {
            key: self.head.key.short(),
            variant: self.head.selection.variant(),
        };
        ShardName::on_one_disk(slot, self.file.sequence(), self.written)
    }

    /// Keeps what is not what was published for inspection, within bounds. It has no trailer, so nothing ever takes it
    /// for an object.
    fn refuse(&mut self, core: &Core, name: &ShardName, mismatch: Mismatch) -> StoreError {
        let Mismatch { expected, found } = mismatch;
        let object = name.file_name();
        core.stats.digest_mismatches.add(1);
        tracing::warn!(
            disk = core.device.name(),
            object,
            expected,
            found,
            "the body is not what was published; refused"
        );
        self.file.quarantine(core, name);
        StoreError::Digest {
            object,
            expected,
            found,
        }
    }

    /// A body that is shorter than promised, or that was seen rotting while it grew, is never made visible.
    fn check_complete(&self, core: &Core) -> Result<(), StoreError> {
        let promised = self
            .length_expected
            .is_none_or(|length| length == self.written);
        if promised && !self.growing.is_poisoned() {
            return Ok(());
        }
        let why = if promised {
            "a written block was found corrupt"
        } else {
            "the body has another length than promised"
        };
        Err(core.disk_error("commit", io::Error::new(io::ErrorKind::InvalidData, why)))
    }

    fn write_footer(
        &self,
        core: &Core,
        table: &[u64],
        digests: &Digests,
    ) -> Result<(), StoreError> {
        let header_bytes = self.growing.data_start();
        let footer = Footer {
            table: table.to_vec(),
            length: self.written,
            digests: digests.clone(),
        };
        let bytes = footer.encode(self.growing.identity(), header_bytes);
        let at = footer_start(header_bytes, self.written);
        core.with_room(bytes.len() as u64, "write footer", || {
            self.file.handle.write_all_at(&[IoSlice::new(&bytes)], at)
        })
    }

    /// Gives the file its name. In strict mode it is on the platter before and its name afterwards.
    fn publish(&mut self, core: &Core, name: &ShardName) -> Result<(), StoreError> {
        let strict = core.settings.durability == Durability::Strict;
        if strict {
            core.synced("fdatasync", self.file.handle.sync_data())?;
        }
        self.file.rename(core, name)?;
        if strict
            && let Err(error) =
                core.synced("fsync of a folder", core.device.sync_dir(&name.folder()))
        {
            // Not acknowledged, so it must not be found later either.
            core.unlink_uncounted(&name.path());
            return Err(error);
        }
        Ok(())
    }
}
