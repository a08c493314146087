//! One object being written.
//!
//! ```text
//! begin:   sequence → (known to be large: placed)
//! placed:  room reserved → tmp/<sequence>-<index> created on every member's disk → headers
//! append:  hash, digest and write in one job of the pool, as often as needed
//! commit:  no ban since → footers → (strict: fdatasync) → renames → (strict: fsync of the folders) → the lost disks
//!          known to the others → index
//! ```
//! The object becomes visible only whole; the index learns of it last. Whatever fails or is cancelled before that
//! leaves at most files in tmp/, which their own guard removes (in the pool, best effort) and every start empties.
//!
//! The first [`COPIED_OBJECT_BYTES_MAX`] bytes are kept in memory, unless it is known that more come: a small object
//! costs no thread before its commit, and there one job on each of its disks ([`whole`]).
//!
//! Cancellation: a future dropped in the middle leaves its job running. The writer then refuses to go on, because a
//! second job could overtake the first.

mod spread;
mod whole;

use super::StoreError;
use super::ban::BanWatch;
use super::core::{Core, lock};
use super::digest::{Digesting, Mismatch};
use super::layout::ObjectName;
use super::members::COPIED_OBJECT_BYTES_MAX;
use super::partial::{Growing, PartialObject};
use super::reader::Object;
use super::shard::Shard;
use super::shards::Shards;
use crate::object::{Digests, ObjectHead, Sequence};
use bytes::Bytes;
pub(super) use spread::Spread;
use std::io;
use std::sync::{Arc, Mutex};
use twox_hash::XxHash3_128;
use weir_policies::effect::ExpectedDigests;

/// One object being written. Dropping it before its commit removes its files.
#[derive(Debug)]
pub struct ObjectWriter {
    core: Arc<Core>,
    sequence: Sequence,
    growing: Arc<Growing>,
    state: Arc<Mutex<Writing>>,
    /// A job was started and its result never seen, or it failed.
    interrupted: bool,
}

/// What an object begins with.
#[derive(Debug, Clone)]
pub(super) struct Beginning {
    pub(super) head: ObjectHead,
    /// Of its body, where it is known.
    pub(super) length: Option<u64>,
    pub(super) expected: ExpectedDigests,
    pub(super) watch: Arc<BanWatch>,
}

/// An object of which everything is written but its name.
struct Complete {
    name: ObjectName,
    /// Checksums of all shards.
    tables: Vec<Vec<u64>>,
    digests: Digests,
}

/// What the pool's jobs work on.
#[derive(Debug)]
struct Writing {
    core: Arc<Core>,
    sequence: Sequence,
    growing: Arc<Growing>,
    head: ObjectHead,
    length_expected: Option<u64>,
    /// Bytes taken, those that are still in memory included.
    received: u64,
    /// What came before the object had its place; at most [`COPIED_OBJECT_BYTES_MAX`]. Copied together: pieces keep the
    /// buffers alive that they were received in.
    early: Vec<u8>,
    spread: Option<Spread>,
    digesting: Digesting,
    watch: Arc<BanWatch>,
}

impl ObjectWriter {
    /// Begins an object that is small, as far as is known, without a thread; `None` where that is not possible.
    pub(super) fn begin_small(core: &Arc<Core>, beginning: &Beginning) -> Option<Self> {
        if beginning.is_large() || core.pool.is_closed() {
            return None;
        }
        let sequence = core.sequences.take_reserved()?;
        Some(Self::new(core, sequence, beginning.clone()))
    }

    /// Pool only. Takes the sequence, and for an object that is known to be large, reserves the room, creates the files
    /// and writes the head.
    pub(super) fn begin(core: &Arc<Core>, beginning: Beginning) -> Result<Self, StoreError> {
        if !beginning.is_large() {
            let sequence = core.take_sequence()?;
            return Ok(Self::new(core, sequence, beginning));
        }
        let (head, length) = (beginning.head.clone(), beginning.length);
        let mut claim = core.claim(&head, length)?;
        let sequence = core.take_sequence()?;
        if core.are_any_retiring(claim.0.members) {
            // Its disk is waited for no longer: whoever moves everything off it waits for lower sequences only.
            let again = core.claim(&head, length);
            claim = again.inspect_err(|_| core.sequences.finish(sequence))?;
        }
        let writer = Self::new(core, sequence, beginning);
        let (placement, claim) = claim;
        lock(&writer.state).spread_out(placement, claim, length)?;
        Ok(writer)
    }

    fn new(core: &Arc<Core>, sequence: Sequence, beginning: Beginning) -> Self {
        let growing = Arc::new(Growing::new(core));
        let Beginning {
            head,
            length,
            expected,
            watch,
        } = beginning;
        let writing = Writing {
            core: Arc::clone(core),
            sequence,
            growing: Arc::clone(&growing),
            head,
            length_expected: length,
            received: 0,
            early: Vec::new(),
            spread: None,
            digesting: Digesting::new(expected, core.settings.sha256),
            watch,
        };
        Self {
            core: Arc::clone(core),
            sequence,
            growing,
            state: Arc::new(Mutex::new(writing)),
            interrupted: false,
        }
    }

    /// Its sequence.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Appends pieces: hashes, digests and writes them in one job of the pool. Returns when written, or when it is clear
    /// that the object may still be a small one.
    ///
    /// # Errors
    /// After an error the writer can only be dropped.
    pub async fn append(&mut self, pieces: Vec<Bytes>) -> Result<(), StoreError> {
        self.claim_turn()?;
        if lock(&self.state).keep(&pieces) {
            self.interrupted = false;
            return Ok(());
        }
        let state = Arc::clone(&self.state);
        self.core
            .on_pool("append", move || lock(&state).append(pieces))
            .await??;
        self.interrupted = false;
        Ok(())
    }

    /// Gives the object up; when this returns its file is gone. Dropping the writer does the same a moment later.
    pub async fn abandon(self) {
        let state = Arc::clone(&self.state);
        let removed = self
            .core
            .on_pool("abandon", move || lock(&state).remove())
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
        let state = Arc::clone(&self.state);
        self.core
            .on_pool("commit", move || lock(&state).commit())
            .await?
    }

    fn claim_turn(&mut self) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.interrupted, true) {
            let source = io::Error::other("an earlier step failed or was abandoned");
            return Err(self.core.store_error("append", source));
        }
        Ok(())
    }
}

impl Beginning {
    fn is_large(&self) -> bool {
        self.length
            .is_some_and(|length| length > COPIED_OBJECT_BYTES_MAX)
    }
}

impl Writing {
    /// Keeps pieces in memory as long as the object may be a small one; `false` when it is not, and nothing was done.
    fn keep(&mut self, pieces: &[Bytes]) -> bool {
        let bytes = bytes_of(pieces);
        let received = self.received.saturating_add(bytes);
        if self.spread.is_some() || received > COPIED_OBJECT_BYTES_MAX {
            return false;
        }
        if self.early.is_empty() {
            let length = self.length_expected.unwrap_or(bytes);
            self.early
                .reserve_exact(usize::try_from(length).unwrap_or(0));
        }
        for piece in pieces {
            self.digesting.update(piece);
            self.early.extend_from_slice(piece);
        }
        self.received = received;
        true
    }

    fn append(&mut self, pieces: Vec<Bytes>) -> Result<(), StoreError> {
        if self.spread.is_none() {
            self.spread_early(None)?;
        }
        for piece in &pieces {
            self.digesting.update(piece);
        }
        self.received = self.received.saturating_add(bytes_of(&pieces));
        self.write(pieces)
    }

    /// Gives what is in memory its place and its files.
    fn spread_early(&mut self, length: Option<u64>) -> Result<(), StoreError> {
        let (placement, claim) = self.core.claim(&self.head, length)?;
        self.spread_out(placement, claim, length)?;
        let early = std::mem::take(&mut self.early);
        if early.is_empty() {
            return Ok(());
        }
        self.write(vec![Bytes::from(early)])
    }

    fn write(&mut self, pieces: Vec<Bytes>) -> Result<(), StoreError> {
        let Some(spread) = &mut self.spread else {
            return Err(StoreError::Closed);
        };
        let footprint = spread
            .name
            .placement
            .geometry
            .footprint_bytes(self.received);
        spread.claim.grow(footprint);
        let full = self.core.stay_within_budget(spread.files.members())?;
        for slot in full.iter() {
            spread.files.leave_out(slot)?;
            spread.claim.leave_out(slot);
        }
        let bytes = bytes_of(&pieces);
        let before = self.received.saturating_sub(bytes);
        let readable = spread.write(pieces, before, bytes)?;
        self.growing.set_readable(readable);
        Ok(())
    }

    fn commit(&mut self) -> Result<Arc<Object>, StoreError> {
        self.check_complete()?;
        let complete = match self.spread {
            Some(_) => self.complete()?,
            None => self.write_whole()?,
        };
        let name = complete.name;
        let missing = self.publish(&name)?;
        let shards = self.shards(name, missing, complete.tables, complete.digests);
        let object = self.core.admit(shards, missing);
        if let Err(purged) = self.obey_bans() {
            // It came while the files were renamed and has a higher sequence, so nobody finds this object; but its
            // sweep may have been here already.
            self.core.remove_banned(&name);
            return Err(purged);
        }
        Ok(object)
    }

    /// Writes what is missing at the end of files that are there.
    fn complete(&mut self) -> Result<Complete, StoreError> {
        let tables = self.finish()?;
        let name = self.name()?;
        let digests = self
            .digesting
            .finish()
            .map_err(|mismatch| self.refuse(mismatch))?;
        self.obey_bans()?;
        if let Some(spread) = &mut self.spread {
            spread.write_footers(&name, &tables, &digests)?;
        }
        Ok(Complete {
            name,
            tables,
            digests,
        })
    }

    /// Writes what is still in memory; the checksums of all shards.
    fn finish(&mut self) -> Result<Vec<Vec<u64>>, StoreError> {
        let Some(spread) = &mut self.spread else {
            return Err(StoreError::Closed);
        };
        let tables = spread.finish(self.received)?;
        self.growing.set_readable(self.received);
        Ok(tables)
    }

    /// What was purged since it was asked for does not become visible.
    fn obey_bans(&self) -> Result<(), StoreError> {
        if self.core.bans.forbid(&self.head, &self.watch) {
            return Err(StoreError::Purged);
        }
        Ok(())
    }

    /// Its name, now that its length is known.
    fn name(&self) -> Result<ObjectName, StoreError> {
        let spread = self.spread.as_ref().ok_or(StoreError::Closed)?;
        Ok(ObjectName {
            length: self.received,
            ..spread.name
        })
    }

    /// Keeps what is not what was published for inspection, within bounds. It has no trailer, so nothing ever takes it
    /// for an object.
    fn refuse(&mut self, mismatch: Mismatch) -> StoreError {
        let Mismatch { expected, found } = mismatch;
        let name = self.name();
        let object = match &name {
            Ok(name) => name.file_name(),
            Err(_) => format!("{:016x} (in memory)", self.sequence.0),
        };
        self.core.stats.digest_mismatches.add(1);
        tracing::warn!(
            disk = self.core.name(),
            object,
            expected,
            found,
            "the body is not what was published; refused"
        );
        if let (Some(spread), Ok(name)) = (&mut self.spread, name) {
            spread.files.quarantine(&name.shard(0));
        }
        StoreError::Digest {
            object,
            expected,
            found,
        }
    }

    /// A body that is shorter than promised, or that was seen rotting while it grew, is never made visible.
    fn check_complete(&self) -> Result<(), StoreError> {
        let promised = self
            .length_expected
            .is_none_or(|length| length == self.received);
        if promised && !self.growing.is_poisoned() {
            return Ok(());
        }
        let why = if promised {
            "a written block was found corrupt"
        } else {
            "the body has another length than promised"
        };
        let source = io::Error::new(io::ErrorKind::InvalidData, why);
        Err(self.core.store_error("commit", source))
    }

    /// Gives the files their names; the shards that are missing, a bit each. When this returns, no disk that misses
    /// any of it can come back unnoticed.
    fn publish(&mut self, name: &ObjectName) -> Result<u16, StoreError> {
        let Some(spread) = &mut self.spread else {
            return Err(StoreError::Closed);
        };
        let bad = spread.placed.bad();
        spread.files.publish(|index| name.shard(index))?;
        let settled = self.core.settle_losses();
        if let Err(error) = settled {
            let paths = name.shards().map(|(disk, shard)| (disk, shard.path()));
            self.core.remove_files(&paths.collect::<Vec<_>>());
            return Err(error);
        }
        Ok(spread.files.lost() | bad)
    }

    fn shards(
        &self,
        name: ObjectName,
        missing: u16,
        tables: Vec<Vec<u64>>,
        digests: Digests,
    ) -> Shards {
        let head = self.head.clone();
        let shards = Shards::unopened(name, missing, head, digests, self.core.resident);
        let Some(spread) = &self.spread else {
            return shards;
        };
        for (index, table) in (0_u8..).zip(tables) {
            let handle = spread.files.handle(index).cloned();
            if let Some(file) =
                handle.filter(|_| missing & 1_u16.checked_shl(index.into()).unwrap_or(0) == 0)
            {
                shards.keep(Shard {
                    name: name.shard(index),
                    file,
                    data_start: spread.placed.data_start,
                    table,
                });
            }
        }
        shards
    }

    fn remove(&mut self) {
        if let Some(spread) = &mut self.spread {
            spread.files.remove();
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.core.sequences.finish(self.sequence);
    }
}

fn bytes_of(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

/// What the other shards know of a table.
pub(super) fn digest_of(table: &[u64]) -> u128 {
    let bytes: Vec<u8> = table.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    XxHash3_128::oneshot(&bytes)
}
