//! `weir pin` and `weir unpin`: every variant of a URL, in whatever form it was asked for.

use super::protocol::Subject;
use super::shown::Pinned;
use super::{Refused, subject};
use crate::gateway::Gateway;
use weir_cache::engine::Pinning;
use weir_policies::target::Form;

pub(super) async fn pin(
    gateway: &Gateway,
    subject: &Subject,
    pinning: Pinning,
) -> Result<Pinned, Refused> {
    let target = subject::read(&subject.url, Form::Forward, &gateway.forms)?.target;
    let variants = gateway.engine.pin(&target, pinning).await;
    let variants = variants.map_err(|error| format!("{target}: {error}"))?;
    Ok(Pinned {
        target: target.to_string(),
        variants: variants as u64,
    })
}
