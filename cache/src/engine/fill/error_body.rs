//! Bodies of errors: short ones are kept so that they can be repeated to everybody who waits.

use crate::ports::{OriginBody, OriginError, OriginResponse};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use std::time::Duration;
use weir_policies::freshness::{self, Adjust};

/// The longest error body that is repeated, bytes.
const SHARED_ERROR_BYTES_MAX: usize = 64 * 1024;
/// The longest an error body may take before only its status is repeated.
const SHARED_ERROR_TIME_MAX: Duration = Duration::from_secs(3);

/// Whether an error is for everybody.
pub(super) fn is_shareable(headers: &HeaderMap, adjust: Adjust) -> bool {
    let directives = freshness::directives(headers, adjust);
    !(directives.private || directives.no_store || headers.contains_key(http::header::SET_COOKIE))
}

/// The body of an error, as far as it is kept for sharing.
pub(super) enum ErrorBody {
    Whole(BytesMut),
    /// So much was read; the rest is still to come.
    TooLong(BytesMut),
    Broken(OriginError),
}

/// Reads an error's body as far as it may be kept.
pub(super) async fn error_body(response: &mut OriginResponse) -> ErrorBody {
    let mut body = BytesMut::new();
    let deadline = tokio::time::Instant::now() + SHARED_ERROR_TIME_MAX;
    while body.len() <= SHARED_ERROR_BYTES_MAX {
        let next = tokio::time::timeout_at(deadline, response.body.next());
        // Too slow is as good as too long: everybody else is waiting for this.
        let Ok(next) = next.await else { break };
        match next {
            Ok(None) => return ErrorBody::Whole(body),
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Err(error) => return ErrorBody::Broken(error),
        }
    }
    ErrorBody::TooLong(body)
}

/// A body of which the beginning was read already.
pub(super) struct Continued {
    pub(super) read: Bytes,
    pub(super) rest: Box<dyn OriginBody>,
}

#[async_trait]
impl OriginBody for Continued {
    async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        if self.read.is_empty() {
            return self.rest.next().await;
        }
        Ok(Some(std::mem::take(&mut self.read)))
    }
}
