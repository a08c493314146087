//! Making one object of parts that cover everything.

use super::Assembly;
use crate::engine::flight::Flight;
use crate::engine::last::Fate;
use crate::engine::{Engine, FetchRequest};
use crate::object::ObjectHead;
use crate::store::{BanWatch, StoreError, UNIT_BYTES};
use http::StatusCode;
use std::sync::Arc;
use weir_policies::effect::ExpectedDigests;
use weir_policies::range::ByteRange;

impl Engine {
    /// Makes one object of the parts, when they are all there and no change has overtaken the last one of them.
    pub(in crate::engine) async fn combine(&self, request: &FetchRequest, flight: &Flight) {
        let Some(_publishing) = flight.publish() else {
            return;
        };
        let watch = self.store.watch(&flight.url);
        let Some(parts) = self.parts(request).await else {
            return;
        };
        let everything = ByteRange {
            start: 0,
            end: parts.total,
        };
        let Some(assembly) = parts.assemble(everything) else {
            return;
        };
        let url = assembly.head.url.clone();
        match self.copy_together(request, assembly, watch).await {
            Ok(was_needed) => {
                self.stats.combined.add(u64::from(was_needed));
                if was_needed {
                    self.remember(request, Some(StatusCode::OK), Fate::Stored);
                }
                self.store.forget(&request.parts_key()).await;
            }
            Err(StoreError::Purged) => {}
            Err(error) => self.note_store_refusal(&error, &url),
        }
    }

    async fn copy_together(
        &self,
        request: &FetchRequest,
        assembly: Assembly,
        watch: Option<Arc<BanWatch>>,
    ) -> Result<bool, StoreError> {
        let head = ObjectHead {
            key: if assembly.head.redirects.is_empty() {
                request.key
            } else {
                request.followed_key()
            },
            namespace: String::new(),
            ..assembly.head.clone()
        };
        let mut writer = self
            .store
            .begin_watched(
                head.clone(),
                Some(assembly.length),
                ExpectedDigests::default(),
                watch,
            )
            .await?;
        for (object, from, to) in assembly.slices(0, assembly.length) {
            let mut at = from;
            while at < to {
                let left = (to - at).min(UNIT_BYTES - at % UNIT_BYTES);
                let bytes = object
                    .read(at, usize::try_from(left).unwrap_or(usize::MAX))
                    .await?;
                at += bytes.len() as u64;
                writer.append(vec![bytes]).await?;
            }
        }
        if self.stands_already(request, &head).await || self.has_newer(&head).await {
            writer.abandon().await;
            return Ok(false);
        }
        writer.commit().await.map(|_| true)
    }

    /// Whether the whole was fetched meanwhile, later than the parts.
    async fn has_newer(&self, head: &ObjectHead) -> bool {
        let stored = self.store.lookup(&head.key).await;
        let mut same = stored
            .iter()
            .filter(|object| object.head().selection == head.selection);
        same.any(|object| object.head().exchange.requested >= head.exchange.requested)
    }
}
