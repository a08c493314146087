//! Bodies that go to one client past the store, held to what their rule says of them: an expected digest, a largest
//! size. What is stored is checked there.
//!
//! Invariant: with an expected digest the last piece is held back until the digest is known, so that no complete
//! response carries other bytes than expected.

use super::import::{Algorithms, BodyDigests, FoundDigests};
use crate::ports::{OriginBody, OriginError, OriginResponse};
use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use weir_policies::effect::{Effect, ExpectedDigests};
use weir_policies::target::Target;

/// The response as its rule allows it to be handed on.
pub(super) fn guarded(
    mut response: OriginResponse,
    effect: &Effect,
    source: &Target,
) -> OriginResponse {
    // Only a whole representation has the digest that is expected.
    let expected = (response.status == StatusCode::OK)
        .then_some(effect.verify)
        .filter(|expected| !expected.is_empty());
    if expected.is_none() && effect.size_max.is_none() {
        return response;
    }
    response.body = Box::new(GuardedBody {
        rest: response.body,
        host: source.authority(),
        expected,
        digests: Some(BodyDigests::new(Algorithms::Sha256AndMd5)),
        held_back: None,
        left_bytes: effect.size_max.map(|limit| (limit, limit)),
    });
    response
}

/// Whether digests are the expected ones.
pub(super) fn are_expected(found: &FoundDigests, expected: &ExpectedDigests) -> bool {
    expected.sha256.is_none_or(|sha256| sha256 == found.sha256)
        && expected.md5.is_none_or(|md5| Some(md5) == found.md5)
}

struct GuardedBody {
    rest: Box<dyn OriginBody>,
    host: String,
    expected: Option<ExpectedDigests>,
    /// `None` after the end.
    digests: Option<BodyDigests>,
    held_back: Option<Bytes>,
    /// What may still come, and what was allowed in all.
    left_bytes: Option<(u64, u64)>,
}

impl GuardedBody {
    fn count(&mut self, piece: &Bytes) -> Result<(), OriginError> {
        let Some((left, limit)) = &mut self.left_bytes else {
            return Ok(());
        };
        let left_after = left.checked_sub(piece.len() as u64);
        *left = left_after.ok_or_else(|| OriginError::TooLarge(self.host.clone(), *limit))?;
        Ok(())
    }

    /// The held piece, once everything is here and right.
    fn end(&mut self) -> Result<Option<Bytes>, OriginError> {
        let found = self.digests.take().map(BodyDigests::finish);
        match (&self.expected, found) {
            (Some(expected), Some(found)) if !are_expected(&found, expected) => {
                Err(OriginError::Digest(self.host.clone()))
            }
            _ => Ok(self.held_back.take()),
        }
    }
}

#[async_trait]
impl OriginBody for GuardedBody {
    async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        loop {
            let Some(piece) = self.rest.next().await? else {
                return self.end();
            };
            self.count(&piece)?;
            if self.expected.is_none() {
                return Ok(Some(piece));
            }
            if let Some(digests) = &mut self.digests {
                digests.update(&piece);
            }
            if let Some(earlier) = self.held_back.replace(piece) {
                return Ok(Some(earlier));
            }
        }
    }
}
