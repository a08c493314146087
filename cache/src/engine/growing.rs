//! An object that is being fetched, as its readers see it.
//!
//! The fill appends; any number of readers follow, each at its own pace. Recent bytes come from a bounded tail in
//! memory, older ones from the written part of the store's file, verified. Readers never slow the fill, with one
//! exception: once the store has failed, the tail is the only copy, and the fill waits for the slowest reader
//! (whose own send deadline ends it if it stalls).
//!
//! Invariants:
//! - the tail always covers everything that the store cannot yet serve.
//! - a reader sees the end only after every byte before it; a failed fill never looks like an end.

use super::tail::Tail;
use crate::allowance::Taken;
use crate::object::ObjectHead;
use crate::ports::OriginError;
use crate::store::{PartialObject, StoreError, UNIT_BYTES};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How a fill ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FillEnd {
    /// Every byte the upstream promised is here.
    Complete,
    /// The body is truncated.
    Failed(OriginError),
    /// The fill was given up: shutdown, deadline, nobody left.
    Abandoned,
}

/// Why a reader cannot go on. Whatever it has sent so far must not look complete.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The upstream broke off.
    #[error("fill failed: {0}")]
    Origin(#[from] OriginError),
    /// The fill was given up.
    #[error("fill was given up")]
    Abandoned,
    /// The written part cannot be read back.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reader asks for bytes that left memory after the store had failed.
    #[error("bytes at {0} are gone: the store failed during the fill")]
    Gone(u64),
}

/// Shared between one fill and its readers.
#[derive(Debug)]
pub(crate) struct Growing {
    head: ObjectHead,
    length: Option<u64>,
    state: Mutex<State>,
    /// Bumped at every change that a reader may wait for.
    progress: watch::Sender<u64>,
    /// Told when a reader moves or leaves.
    readers_moved: Notify,
    started: tokio::time::Instant,
}

#[derive(Debug, Default)]
struct State {
    tail: Tail,
    end: Option<FillEnd>,
    partial: Option<PartialObject>,
    readable: u64,
    detached: bool,
    positions: HashMap<u64, u64>,
    next_reader: u64,
}

/// Where a reader's next bytes are.
enum Place {
    Memory(Bytes),
    Disk(PartialObject, usize),
    Ahead,
    End(FillEnd),
    Gone,
}

impl Growing {
    pub(crate) fn new(head: ObjectHead, length: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            head,
            length,
            state: Mutex::default(),
            progress: watch::Sender::new(0),
            readers_moved: Notify::new(),
            started: tokio::time::Instant::now(),
        })
    }

    pub(crate) fn head(&self) -> &ObjectHead {
        &self.head
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Makes the written part available to readers that fall behind the tail.
    pub(crate) fn attach(&self, partial: PartialObject) {
        self.state.lock().partial = Some(partial);
    }

    /// Appends a piece and wakes the readers.
    pub(crate) fn append(&self, piece: Bytes) {
        self.state.lock().tail.append(piece);
        self.progress.send_modify(|version| *version += 1);
    }

    /// Records how much the store can serve and lets go of tail pieces below it, keeping up to `keep_bytes` of them
    /// for readers close behind.
    pub(crate) fn release(&self, readable: u64, keep_bytes: u64) {
        let mut state = self.state.lock();
        state.readable = readable;
        let floor = readable.min(state.tail.end().saturating_sub(keep_bytes));
        state.tail.drop_below(floor);
    }

    /// After the store has failed: lets go of what every reader has passed and returns the bytes still held.
    pub(crate) fn release_passed(&self) -> u64 {
        let mut state = self.state.lock();
        let held_from = state.tail.start();
        let readable = state.readable;
        let needed = |position: u64| {
            if position >= held_from {
                return Some(position);
            }
            // It still reads what was written; then it goes on here. One that lost its place is about to find out, and
            // nothing is kept for it.
            (position < readable && held_from <= readable).then_some(readable)
        };
        let waiting = state.positions.values().copied().filter_map(needed);
        let slowest = waiting.min().unwrap_or(state.tail.end());
        state.tail.drop_below(slowest);
        state.tail.end() - state.tail.start()
    }

    /// How far the reader is that is furthest behind.
    pub(crate) fn slowest(&self) -> Option<u64> {
        self.state.lock().positions.values().copied().min()
    }

    /// After the store has failed: lets go of all but the last `keep_bytes`. Readers further behind are cut off.
    pub(crate) fn release_slow(&self, keep_bytes: u64) {
        let mut state = self.state.lock();
        let floor = state.tail.end().saturating_sub(keep_bytes);
        state.tail.drop_below(floor);
    }

    /// The store has failed: the tail is the only copy from here on.
    pub(crate) fn detach(&self) {
        self.state.lock().detached = true;
    }

    /// Whether a new reader can still start at the beginning.
    pub(crate) fn is_whole(&self) -> bool {
        let state = self.state.lock();
        !state.detached || state.tail.start() <= state.readable
    }

    /// Ends the fill for its readers. The first call wins.
    pub(crate) fn finish(&self, end: FillEnd) {
        self.state.lock().end.get_or_insert(end);
        self.progress.send_modify(|version| *version += 1);
    }

    /// Bytes that have arrived so far.
    pub(crate) fn arrived_bytes(&self) -> u64 {
        self.state.lock().tail.end()
    }

    /// Time since the first byte could arrive.
    pub(crate) fn running_for(&self) -> Duration {
        self.started.elapsed()
    }

    /// Resolves with the next change; `true` when the fill has ended.
    pub(crate) async fn changed(&self) -> bool {
        let mut progress = self.progress.subscribe();
        if self.state.lock().end.is_some() {
            return true;
        }
        // The sender lives in `self`: waiting cannot fail.
        drop(progress.changed().await);
        self.state.lock().end.is_some()
    }

    pub(crate) fn readers(&self) -> usize {
        self.state.lock().positions.len()
    }

    /// Resolves when a reader has moved or left since the call before.
    pub(crate) async fn readers_moved(&self) {
        self.readers_moved.notified().await;
    }

    fn place(&self, reader: u64, position: u64, length_max: usize) -> Place {
        let mut state = self.state.lock();
        state.positions.insert(reader, position);
        if position >= state.tail.end() {
            return state.end.clone().map_or(Place::Ahead, Place::End);
        }
        if position >= state.tail.start() {
            return state
                .tail
                .read(position, length_max)
                .map_or(Place::Gone, Place::Memory);
        }
        match &state.partial {
            Some(partial) if position < state.readable => {
                let unit_left = UNIT_BYTES - position % UNIT_BYTES;
                let available = (state.readable - position).min(unit_left);
                Place::Disk(
                    partial.clone(),
                    usize::try_from(available)
                        .unwrap_or(usize::MAX)
                        .min(length_max),
                )
            }
            _ => Place::Gone,
        }
    }
}

/// One reader of a growing object.
#[derive(Debug)]
pub struct FlightReader {
    growing: Arc<Growing>,
    progress: watch::Receiver<u64>,
    id: u64,
    position: u64,
    /// Its place under the bound on readers; the first reader of a fill may be without.
    _seat: Option<Taken>,
}

impl FlightReader {
    /// A reader of a fill that others caused; `None` when it lost its beginning.
    pub(crate) fn join(growing: Arc<Growing>, seat: Taken) -> Option<Self> {
        // Registered first: from here on the fill keeps what we have not read.
        let reader = Self::new(growing, Some(seat));
        reader.growing.is_whole().then_some(reader)
    }

    pub(crate) fn new(growing: Arc<Growing>, seat: Option<Taken>) -> Self {
        let progress = growing.progress.subscribe();
        let id = {
            let mut state = growing.state.lock();
            state.next_reader += 1;
            let id = state.next_reader;
            state.positions.insert(id, 0);
            id
        };
        Self {
            growing,
            progress,
            id,
            position: 0,
            _seat: seat,
        }
    }

    pub(crate) fn growing(&self) -> &Arc<Growing> {
        &self.growing
    }

    /// The head of the response.
    #[must_use]
    pub fn head(&self) -> &ObjectHead {
        self.growing.head()
    }

    /// Body length, bytes, where the upstream said it.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.growing.length()
    }

    /// Whether the object will be in the store, as far as is known.
    #[must_use]
    pub fn is_being_stored(&self) -> bool {
        !self.growing.state.lock().detached
    }

    /// Continues at `position`, which may lie ahead of the fill.
    pub fn seek(&mut self, position: u64) {
        self.position = position;
    }

    /// The next bytes (at most `length_max`), waiting for the fill where needed; `None` at the end.
    ///
    /// Cancel-safe: the position moves only when bytes are returned.
    ///
    /// # Errors
    /// [`ReadError`]: the response must be aborted.
    pub async fn next(&mut self, length_max: usize) -> Result<Option<Bytes>, ReadError> {
        loop {
            // Mark first, look second: a change in between wakes the wait below.
            self.progress.mark_unchanged();
            let bytes = match self.growing.place(self.id, self.position, length_max) {
                Place::Memory(bytes) => bytes,
                Place::Disk(partial, length) => partial.read(self.position, length).await?,
                Place::End(FillEnd::Complete) => return Ok(None),
                Place::End(FillEnd::Failed(error)) => return Err(error.into()),
                Place::End(FillEnd::Abandoned) => return Err(ReadError::Abandoned),
                Place::Gone => return Err(ReadError::Gone(self.position)),
                Place::Ahead => {
                    self.growing.readers_moved.notify_one();
                    // The sender lives in `growing`, which we hold: this cannot fail.
                    if self.progress.changed().await.is_err() {
                        return Err(ReadError::Abandoned);
                    }
                    continue;
                }
            };
            self.position += bytes.len() as u64;
            return Ok(Some(bytes));
        }
    }
}

impl Drop for FlightReader {
    fn drop(&mut self) {
        self.growing.state.lock().positions.remove(&self.id);
        self.growing.readers_moved.notify_one();
    }
}
