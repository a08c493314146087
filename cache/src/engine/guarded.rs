//! Bodies that go to one client past the store, held to what their rule says of them: an expected digest, a largest
//! size. What is stored is checked there.
//!
//! Invariant: with an expected digest the last piece is held back until the digest is known, so that no complete
//! response carries other bytes than expected.

use crate::ports::{OriginBody, OriginError, OriginResponse};
use crate::store::digest::Digesting;
use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use weir_policies::effect::Effect;
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
        digesting: expected.map(|expected| Digesting::new(expected, false)),
        held_back: None,
        left_bytes: effect.size_max.map(|limit| (limit, limit)),
    });
    response
}

struct GuardedBody {
    rest: Box<dyn OriginBody>,
    host: String,
    /// `None` where nothing is expected.
    digesting: Option<Digesting>,
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
        let compared = self.digesting.as_mut().map(Digesting::finish);
        if let Some(Err(_)) = compared {
            return Err(OriginError::Digest(self.host.clone()));
        }
        // Asked again behind the end, there is nothing left to compare.
        self.digesting = None;
        Ok(self.held_back.take())
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
            let Some(digesting) = &mut self.digesting else {
                return Ok(Some(piece));
            };
            digesting.update(&piece);
            if let Some(earlier) = self.held_back.replace(piece) {
                return Ok(Some(earlier));
            }
        }
    }
}
