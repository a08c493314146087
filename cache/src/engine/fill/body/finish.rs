//! The end of a body: committed, refused by its digest, held against an immutable original, or given up.
//!
//! Invariant: nothing is put into the index that a change has overtaken, or that would replace what must stand.

use super::{Body, Purpose};
use crate::engine::fill::contradict::note_conflict;
use crate::engine::flight::Phase;
use crate::engine::growing::FillEnd;
use crate::engine::last::Fate;
use crate::engine::same_bytes;
use crate::engine::sources::without_query;
use crate::ports::OriginError;
use crate::store::{Object, ObjectWriter, StoreError};
use std::sync::Arc;

impl Body {
    pub(super) async fn complete(&mut self) {
        if self.pending_bytes > 0 {
            self.write().await;
        }
        // Readers have every byte already; a request that arrives now waits for the commit and is a hit.
        self.advance(Phase::Committing);
        let Some(writer) = self.writer.take() else {
            self.fill.listing.unlist();
            self.advance(Phase::Over);
            return self.give_up(FillEnd::Complete).await;
        };
        if self.held_back.is_none() {
            self.growing.finish(FillEnd::Complete);
        }
        let stands = if self.is_as_the_original(&writer).await {
            Some(Fate::Revalidated)
        } else if self.stands_already().await {
            Some(Fate::Kept)
        } else {
            None
        };
        if let Some(fate) = stands {
            self.remember(fate);
            self.growing.finish(FillEnd::Complete);
            writer.abandon().await;
        } else {
            self.commit(writer).await;
        }
        self.fill.listing.unlist();
        self.advance(Phase::Over);
    }

    /// What a change has overtaken is not stored: it would be found before it could be marked. Where its digest is
    /// expected the bytes are the right ones, and their readers wait for the end.
    async fn commit(&mut self, writer: ObjectWriter) {
        let flight = Arc::clone(&self.fill.listing.flight);
        let publishing = flight.publish();
        if publishing.is_none() && self.held_back.is_none() {
            tracing::debug!("overtaken by a change, not stored");
            self.remember(Fate::Overtaken);
            return writer.abandon().await;
        }
        let committed = writer.commit().await;
        let stored = committed.as_ref().ok().cloned();
        self.committed(committed).await;
        if let (None, Some(object)) = (publishing, stored) {
            self.fill.engine.mark(&object).await;
        }
    }

    async fn committed(&mut self, committed: Result<Arc<Object>, StoreError>) {
        let url = &self.growing.head().url;
        self.remember(match &committed {
            Ok(_) if matches!(self.purpose, Purpose::Part) => Fate::PartStored,
            Ok(_) => Fate::Stored,
            Err(error) => Fate::of_refusal(error),
        });
        let end = match &committed {
            Ok(_) => FillEnd::Complete,
            // Its readers get what they asked for.
            Err(StoreError::Purged) => FillEnd::Complete,
            Err(StoreError::Digest { .. }) => {
                self.fill.engine.stats.digest_mismatches.add(1);
                tracing::error!(
                    url = without_query(url),
                    "the digest is not the expected one; nothing was stored"
                );
                let request = &self.fill.request;
                let error = OriginError::Digest(request.resource.target.authority());
                self.fill.engine.tell_error(request, &error);
                FillEnd::Failed(error)
            }
            Err(error) => {
                self.fill.engine.note_store_refusal(error, url);
                // With an expected digest nobody has compared it then.
                match self.held_back {
                    Some(_) => FillEnd::Abandoned,
                    None => FillEnd::Complete,
                }
            }
        };
        if let (Some(piece), FillEnd::Complete) = (self.held_back.take(), &end) {
            self.growing.append(piece);
        }
        self.growing.finish(end);
        let Ok(object) = committed else { return };
        tracing::debug!(url = without_query(url), "stored");
        if let Purpose::Contradiction(original) = &self.purpose {
            self.contradicts(original, &object).await;
        }
    }

    /// The other bytes are stored. Where no digest could tell before, they are compared now.
    async fn contradicts(&self, original: &Arc<Object>, changed: &Arc<Object>) {
        let engine = &self.fill.engine;
        if same_bytes(original, changed).await.unwrap_or(false) {
            engine.store.forget(&changed.head().key).await;
            let head = self.growing.head();
            let fields = head.headers.clone();
            engine
                .update(original, fields, head.exchange, head.lifetime_max)
                .await;
            self.remember(Fate::Revalidated);
        } else {
            note_conflict(&self.fill, original, "the new bytes are kept beside it");
        }
    }

    /// Bytes that turn out to be those of the immutable object are no contradiction: it goes on with new fields.
    async fn is_as_the_original(&self, writer: &ObjectWriter) -> bool {
        let Purpose::Contradiction(original) = &self.purpose else {
            return false;
        };
        let sha256 = writer.sha256_so_far();
        let is_same = sha256.is_some() && sha256 == original.digests().sha256;
        if is_same {
            let head = self.growing.head();
            self.fill
                .engine
                .update(
                    original,
                    head.headers.clone(),
                    head.exchange,
                    head.lifetime_max,
                )
                .await;
        }
        is_same
    }

    async fn stands_already(&self) -> bool {
        let Purpose::Object = self.purpose else {
            return false;
        };
        let fill = &self.fill;
        let engine = &fill.engine;
        engine
            .stands_already(&fill.request, self.growing.head())
            .await
    }

    pub(super) async fn give_up(&mut self, end: FillEnd) {
        if let FillEnd::Failed(error) = &end {
            tracing::info!(url = without_query(&self.growing.head().url), %error, "fill broke off, nothing stored");
            self.fill.engine.tell_error(&self.fill.request, error);
        }
        // Without a store nothing was compared with the expected digest: then nobody gets the end of it.
        let end = match self.held_back.take() {
            Some(_) if end == FillEnd::Complete => FillEnd::Abandoned,
            _ => end,
        };
        self.growing.finish(end);
        self.fill.engine.stats.fills_abandoned.add(1);
        if let Some(writer) = self.writer.take() {
            writer.abandon().await;
        }
    }
}
