//! A body on its way from the upstream to its readers and into the store.
//!
//! Bytes are published first and stored second. The store may fail at any point: then the object is lost and the
//! readers go on from memory.

mod extent;
mod finish;

pub(super) use extent::Extent;

use super::rate::Rate;
use super::resume::{Resume, Resumed};
use super::{Asked, Fill};
use crate::engine::OnAbandon;
use crate::engine::budget::MemoryShare;
use crate::engine::flight::Phase;
use crate::engine::growing::{FillEnd, Growing};
use crate::engine::last::Fate;
use crate::ports::{OriginBody, OriginError};
use crate::store::{Object, ObjectWriter};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What the bytes are for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Readers, and the store.
    Object,
    /// A range of it, for readers and the store.
    Part,
    /// To be held against an immutable object, and kept only if they differ.
    Contradiction(Arc<Object>),
}

/// A body on its way into the store.
pub(super) struct Body {
    pub(super) fill: Fill,
    growing: Arc<Growing>,
    writer: Option<ObjectWriter>,
    share: MemoryShare,
    purpose: Purpose,
    /// Collected for the next write; small pieces together in `gathered`, which comes last.
    pending: Vec<Bytes>,
    gathered: BytesMut,
    pending_bytes: u64,
    received: u64,
    /// Which bytes of the representation these are.
    extent: Extent,
    /// With an expected digest: the last piece, which nobody gets before the digest is known.
    held_back: Option<Bytes>,
    _active: Active,
}

/// Counts a fill as active while it lives, and lets no reader wait for one that has died.
struct Active {
    engine: Arc<crate::engine::Engine>,
    growing: Arc<Growing>,
}

/// How receiving ended.
enum Received {
    Ended(FillEnd),
    /// The origin has another representation now.
    Replaced(Box<Asked>),
}

/// Pieces below this size are copied together before they are written, bytes.
const SMALL_BYTES: usize = 4 * 1024;
/// How often an object may be replaced by another one while it is being received.
const REPLACEMENTS_MAX: u32 = 2;
/// How long a reader may hold up the others of a fill that has no store.
const SLOW_READER_PATIENCE: Duration = Duration::from_secs(5);

impl Body {
    /// `writer`: `None` when the store took no object; then the body lives in memory only.
    pub(super) fn new(
        fill: Fill,
        growing: Arc<Growing>,
        writer: Option<ObjectWriter>,
        share: MemoryShare,
        purpose: Purpose,
    ) -> Self {
        match &writer {
            Some(writer) => growing.attach(writer.partial()),
            None => growing.detach(),
        }
        Self {
            _active: Active::new(&fill.engine, &growing),
            extent: Extent::of(&growing),
            fill,
            growing,
            writer,
            share,
            purpose,
            pending: Vec::new(),
            gathered: BytesMut::new(),
            pending_bytes: 0,
            received: 0,
            held_back: None,
        }
    }

    /// Runs to the end, whatever it is. Gives the fill back, with the response that took the place of this one, if one
    /// did; otherwise the flight is out of the table.
    pub(super) async fn run(mut self, asked: Asked) -> (Fill, Option<Asked>) {
        match self.receive(asked).await {
            Received::Ended(FillEnd::Complete) => self.complete().await,
            Received::Ended(end) => {
                // Before anybody is told that it is over: they ask why.
                self.remember_end(&end);
                self.fill.listing.unlist();
                self.advance(Phase::Over);
                self.give_up(end).await;
            }
            Received::Replaced(asked) => {
                // Who comes now waits for the head of the new one.
                self.advance(Phase::Waiting);
                self.give_up(FillEnd::Failed(OriginError::Truncated(
                    asked.source.authority(),
                    "the object changed during the download",
                )))
                .await;
                return (self.fill, Some(*asked));
            }
        }
        (self.fill, None)
    }

    /// Says for those who ask later what became of it.
    fn remember(&self, fate: Fate) {
        self.fill.remember(Some(self.growing.head().status), fate);
    }

    fn remember_end(&self, end: &FillEnd) {
        match end {
            FillEnd::Failed(error) => self.remember(Fate::Failed(error.as_str())),
            // Without a writer the store's refusal is why.
            FillEnd::Abandoned if self.writer.is_some() => self.remember(Fate::GivenUp),
            FillEnd::Abandoned | FillEnd::Complete => {}
        }
    }

    /// Who comes while an immutable object is contradicted gets the original and waits for nothing.
    fn advance(&self, phase: Phase) {
        if !matches!(self.purpose, Purpose::Contradiction(_)) {
            self.fill.listing.flight.advance(phase);
        }
    }

    /// Receives, and resumes where the upstream breaks off.
    async fn receive(&mut self, asked: Asked) -> Received {
        let deadline = tokio::time::sleep_until(self.fill.deadline);
        tokio::pin!(deadline);
        let mut resume = Resume::new(asked.source);
        let (mut body, mut skip) = (asked.response.body, 0);
        loop {
            let end = tokio::select! {
                biased;
                () = &mut deadline => FillEnd::Abandoned,
                end = self.pump(body.as_mut(), skip) => end,
            };
            let FillEnd::Failed(error) = end else {
                return Received::Ended(end);
            };
            drop(body);
            let at = self.extent.start + self.received;
            let resumed = tokio::select! {
                biased;
                () = &mut deadline => return Received::Ended(FillEnd::Abandoned),
                resumed = resume.run(&self.fill, self.growing.head(), self.extent, at, error) => resumed,
            };
            match resumed {
                Resumed::Continues(asked, already_here) => {
                    self.fill.engine.stats.fills_resumed.add(1);
                    self.extent.learn(&asked.response);
                    (body, skip) = (asked.response.body, already_here);
                }
                Resumed::Complete => return Received::Ended(FillEnd::Complete),
                Resumed::Replaced(asked) => return self.replaced(asked),
                Resumed::Failed(error) => return Received::Ended(FillEnd::Failed(error)),
            }
        }
    }

    /// A new object, unless the origin has had its chances: two nodes that disagree and both break off would go on for
    /// ever. Of a part there is nothing to start over with.
    fn replaced(&mut self, asked: Box<Asked>) -> Received {
        self.fill.replacements += 1;
        let is_part = matches!(self.purpose, Purpose::Part);
        if is_part || self.fill.replacements > REPLACEMENTS_MAX {
            let error =
                OriginError::Truncated(asked.source.authority(), "the object keeps changing");
            return Received::Ended(FillEnd::Failed(error));
        }
        Received::Replaced(asked)
    }

    /// Takes what one response brings, without its first `skip` bytes.
    async fn pump(&mut self, body: &mut dyn OriginBody, mut skip: u64) -> FillEnd {
        let growing = Arc::clone(&self.growing);
        let settings = Arc::clone(&self.fill.settings);
        let stops_unread = settings.on_abandon == OnAbandon::Stop && !self.fill.goes_on_unread;
        let mut rate = Rate::new(settings.rate_min);
        loop {
            if self.writer.is_none() && growing.readers() == 0 {
                return FillEnd::Abandoned;
            }
            tokio::select! {
                biased;
                () = rate.too_slow() => return FillEnd::Abandoned,
                () = nobody_left(&growing), if stops_unread => return FillEnd::Abandoned,
                piece = body.next() => match piece {
                    Ok(Some(mut piece)) => {
                        rate.count(piece.len());
                        let known = skip.min(piece.len() as u64);
                        skip -= known;
                        drop(piece.split_to(usize::try_from(known).unwrap_or(piece.len())));
                        if piece.is_empty() {
                            continue;
                        }
                        if let Some(end) = self.past_limit(piece.len()) {
                            return end;
                        }
                        let is_past = piece.len() > self.room();
                        if is_past && !matches!(self.purpose, Purpose::Part) {
                            return FillEnd::Failed(self.too_long());
                        }
                        // A broken part may be continued by the whole, from an origin that does no ranges any more.
                        piece.truncate(self.room());
                        if self.is_last(&piece) {
                            // Before a reader can have it all: whoever comes back for more finds a hit, not us.
                            self.advance(Phase::Committing);
                        }
                        self.take(piece).await;
                        if is_past {
                            return FillEnd::Complete;
                        }
                    }
                    Ok(None) if skip == 0 && !self.is_short() => return FillEnd::Complete,
                    Ok(None) => return FillEnd::Failed(self.too_short()),
                    Err(error) => return FillEnd::Failed(error),
                },
            }
        }
    }

    /// A body without a length that turns out larger than its rule allows.
    fn past_limit(&self, piece_bytes: usize) -> Option<FillEnd> {
        let limit = self.fill.request.plan.effect.size_max?;
        let host = || self.fill.request.resource.target.authority();
        (self.received + piece_bytes as u64 > limit)
            .then(|| FillEnd::Failed(OriginError::TooLarge(host(), limit)))
    }

    /// How many bytes may still come.
    fn room(&self) -> usize {
        let at = self.extent.start + self.received;
        let room = self.extent.end.map(|end| end.saturating_sub(at));
        room.and_then(|room| usize::try_from(room).ok())
            .unwrap_or(usize::MAX)
    }

    /// Whether bytes are missing at an end that one response's framing calls clean: what continues a broken body may
    /// bring less than its rest.
    fn is_short(&self) -> bool {
        let at = self.extent.start + self.received;
        self.extent.end.is_some_and(|end| at < end)
    }

    fn too_short(&self) -> OriginError {
        let host = self.fill.request.resource.target.authority();
        OriginError::Truncated(host, "less than it announced")
    }

    /// What continues a broken body may bring more than its rest, where it says no length itself: then it is not the same.
    fn too_long(&self) -> OriginError {
        let host = self.fill.request.resource.target.authority();
        OriginError::Truncated(host, "more than it had announced")
    }

    /// Whether nothing follows `piece`: known where the upstream said a length.
    fn is_last(&self, piece: &Bytes) -> bool {
        self.writer.is_some() && self.growing.length() == Some(self.received + piece.len() as u64)
    }

    async fn take(&mut self, piece: Bytes) {
        self.received += piece.len() as u64;
        self.fill.engine.stats.fill_bytes.add(piece.len() as u64);
        self.publish(piece.clone());
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

    fn publish(&mut self, piece: Bytes) {
        let piece = if self.fill.request.plan.effect.verify.is_empty() {
            Some(piece)
        } else {
            self.held_back.replace(piece)
        };
        if let Some(piece) = piece {
            self.growing.append(piece);
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
                self.fill
                    .engine
                    .note_store_refusal(&error, &self.growing.head().url);
                self.remember(Fate::of_refusal(&error));
                self.growing.detach();
                self.writer = None;
            }
        }
    }

    /// Without a store the tail is the only copy: go no further ahead of the slowest reader than the share allows. A
    /// reader that keeps the others waiting for too long is cut off; the only one keeps nobody waiting. When the data
    /// was given away only one that does not move at all: it may have relied on the store for a long way, and
    /// everything ends with the drain anyway.
    async fn wait_for_readers(&self) {
        let keep_bytes = self.share.write_bytes;
        let gives_time = self.fill.engine.has_retired();
        let mut slowest = self.growing.slowest();
        let patience = tokio::time::sleep(SLOW_READER_PATIENCE);
        tokio::pin!(patience);
        while self.growing.release_passed() > keep_bytes && self.growing.readers() > 0 {
            tokio::select! {
                () = self.growing.readers_moved() => {}
                () = &mut patience => {
                    let before = std::mem::replace(&mut slowest, self.growing.slowest());
                    let is_in_the_way = !gives_time || slowest == before;
                    if is_in_the_way && self.growing.readers() > 1 {
                        return self.growing.release_slow(keep_bytes);
                    }
                    patience.as_mut().reset(Instant::now() + SLOW_READER_PATIENCE);
                }
            }
        }
    }
}

impl Active {
    fn new(engine: &Arc<crate::engine::Engine>, growing: &Arc<Growing>) -> Self {
        engine.stats.fills_active.add(1);
        Self {
            engine: Arc::clone(engine),
            growing: Arc::clone(growing),
        }
    }
}

/// A fill that ends in any other way (a panic, an aborted task) must not leave its readers waiting.
impl Drop for Active {
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
