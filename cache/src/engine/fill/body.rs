//! A body on its way from the upstream to its readers and into the store.
//!
//! Bytes are published first and stored second. The store may fail at any point: then the object is lost and the
//! readers go on from memory.

use super::rate::Rate;
use crate::engine::ask::without_query;
use crate::engine::budget::MemoryShare;
use crate::engine::flight::{Listing, Phase};
use crate::engine::growing::{FillEnd, Growing};
use crate::engine::{Engine, OnAbandon};
use crate::ports::OriginResponse;
use crate::store::ObjectWriter;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;

/// A body on its way into the store.
pub(super) struct Body {
    engine: Arc<Engine>,
    growing: Arc<Growing>,
    writer: Option<ObjectWriter>,
    share: MemoryShare,
    /// Collected for the next write; small pieces together in `gathered`, which comes last.
    pending: Vec<Bytes>,
    gathered: BytesMut,
    pending_bytes: u64,
    received: u64,
}

/// Pieces below this size are copied together before they are written, bytes.
const SMALL_BYTES: usize = 4 * 1024;
/// How long a reader may hold up the others of a fill that has no store.
const SLOW_READER_PATIENCE: Duration = Duration::from_secs(5);

impl Body {
    /// `writer`: `None` when the store took no object; then the body lives in memory only.
    pub(super) fn new(
        engine: Arc<Engine>,
        growing: Arc<Growing>,
        writer: Option<ObjectWriter>,
        share: MemoryShare,
    ) -> Self {
        engine.stats.fills_active.add(1);
        match &writer {
            Some(writer) => growing.attach(writer.partial()),
            None => growing.detach(),
        }
        Self {
            engine,
            growing,
            writer,
            share,
            pending: Vec::new(),
            gathered: BytesMut::new(),
            pending_bytes: 0,
            received: 0,
        }
    }

    /// Runs to the end, whatever it is; afterwards the flight is out of the table.
    pub(super) async fn run(mut self, mut response: OriginResponse, listing: &mut Listing) {
        let end = self.receive(&mut response, listing).await;
        drop(response);
        match end {
            FillEnd::Complete => self.complete(listing).await,
            FillEnd::Failed(_) | FillEnd::Abandoned => self.give_up(end, listing).await,
        }
    }

    async fn receive(&mut self, response: &mut OriginResponse, listing: &Listing) -> FillEnd {
        let deadline = tokio::time::sleep(self.engine.settings.total_time);
        tokio::pin!(deadline);
        let mut rate = Rate::new(self.engine.settings.rate_min);
        loop {
            if self.writer.is_none() && self.growing.readers() == 0 {
                return FillEnd::Abandoned;
            }
            tokio::select! {
                biased;
                () = &mut deadline => return FillEnd::Abandoned,
                () = rate.too_slow() => return FillEnd::Abandoned,
                () = nobody_left(&self.growing), if self.engine.settings.on_abandon == OnAbandon::Stop => {
                    return FillEnd::Abandoned;
                }
                piece = response.body.next() => match piece {
                    Ok(Some(piece)) => {
                        rate.count(piece.len());
                        if self.is_last(&piece) {
                            // Before a reader can have it all: whoever comes back for more finds a hit, not us.
                            listing.flight.advance(Phase::Committing);
                        }
                        self.take(piece).await;
                    }
                    Ok(None) => return FillEnd::Complete,
                    Err(error) => return FillEnd::Failed(error),
                },
            }
        }
    }

    /// Whether nothing follows `piece`: known where the upstream said a length.
    fn is_last(&self, piece: &Bytes) -> bool {
        self.writer.is_some() && self.growing.length() == Some(self.received + piece.len() as u64)
    }

    async fn take(&mut self, piece: Bytes) {
        self.received += piece.len() as u64;
        self.engine.stats.fill_bytes.add(piece.len() as u64);
        self.growing.append(piece.clone());
        if self.writer.is_none() {
            return self.wait_for_readers().await;
        }
        self.pending_bytes += piece.len() as u64;
        if piece.len() < SMALL_BYTES {
            self.gathered.extend_from_slice(&piece);
        } else {
            self.flush_gathered();
            self.pending.push(piece);
        }
        if self.pending_bytes >= self.share.write_bytes {
            self.write().await;
        }
    }

    fn flush_gathered(&mut self) {
        if !self.gathered.is_empty() {
            self.pending.push(self.gathered.split().freeze());
        }
    }

    /// Hands what has been collected to the store. A store that fails is left behind: the clients go on from memory.
    async fn write(&mut self) {
        self.flush_gathered();
        let pieces = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let Some(writer) = self.writer.as_mut() else {
            return;
        };
        match writer.append(pieces).await {
            Ok(()) => self
                .growing
                .release(writer.readable(), self.share.keep_bytes),
            Err(error) => {
                self.engine
                    .note_store_refusal(&error, &self.growing.head().url);
                self.growing.detach();
                self.writer = None;
            }
        }
    }

    /// Without a store the tail is the only copy: go no further ahead of the slowest reader than the share allows. A
    /// reader that keeps the others waiting for too long is cut off.
    async fn wait_for_readers(&self) {
        let keep_bytes = self.share.write_bytes;
        let patience = tokio::time::sleep(SLOW_READER_PATIENCE);
        tokio::pin!(patience);
        while self.growing.release_passed() > keep_bytes && self.growing.readers() > 0 {
            tokio::select! {
                () = self.growing.readers_moved() => {}
                () = &mut patience => return self.growing.release_slow(keep_bytes),
            }
        }
    }

    async fn complete(mut self, listing: &mut Listing) {
        if self.pending_bytes > 0 {
            self.write().await;
        }
        let Some(writer) = self.writer.take() else {
            return self.give_up(FillEnd::Complete, listing).await;
        };
        // Readers have every byte already; a request that arrives now waits for the commit and is a hit.
        listing.flight.advance(Phase::Committing);
        self.growing.finish(FillEnd::Complete);
        match writer.commit().await {
            Ok(_) => tracing::debug!(url = without_query(&self.growing.head().url), "stored"),
            Err(error) => self
                .engine
                .note_store_refusal(&error, &self.growing.head().url),
        }
        listing.unlist();
        listing.flight.advance(Phase::Over);
    }

    async fn give_up(mut self, end: FillEnd, listing: &mut Listing) {
        if let FillEnd::Failed(error) = &end {
            tracing::info!(url = without_query(&self.growing.head().url), %error, "fill broke off, nothing stored");
        }
        // Out of the table first: whoever asks after seeing the failure starts anew.
        listing.unlist();
        listing.flight.advance(Phase::Over);
        self.growing.finish(end);
        self.engine.stats.fills_abandoned.add(1);
        if let Some(writer) = self.writer.take() {
            writer.abandon().await;
        }
    }
}

/// A fill that ends in any other way (a panic, an aborted task) must not leave its readers waiting.
impl Drop for Body {
    fn drop(&mut self) {
        self.growing.finish(FillEnd::Abandoned);
        self.engine.stats.fills_active.subtract(1);
    }
}

async fn nobody_left(growing: &Growing) {
    while growing.readers() > 0 {
        growing.readers_moved().await;
    }
}
