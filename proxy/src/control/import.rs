//! `weir import`, the gateway's side: an announced file is judged, asked for, and taken piece by piece.

use super::describe::Viewer;
use super::dialog::{Dialog, DialogError};
use super::protocol::{Announced, OtherBytes, Reply};
use super::shown::Stored;
use super::{Refused, media_type, subject};
use crate::gateway::Gateway;
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncWrite};
use weir_cache::engine::{Import, ImportOrder, Known, OnOther, from_hex};
use weir_cache::store::Object;
use weir_policies::target::Form;

/// Takes a file. An error ends the connection without an answer; a refusal is the answer.
pub(super) async fn import<S>(
    gateway: &Gateway,
    announced: Announced,
    dialog: &mut Dialog<S>,
) -> Result<Result<Stored, Refused>, DialogError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let order = match order(gateway, &announced) {
        Ok(order) => order,
        Err(refused) => return Ok(Err(refused)),
    };
    let target = order.target.to_string();
    let stored = |outcome: &str, object: &Object| Stored {
        outcome: outcome.to_owned(),
        target: target.clone(),
        object: viewer(gateway).object(object),
    };
    let import = match gateway.engine.import(order).await {
        Ok(Known::Same(object)) => return Ok(Ok(stored("same", &object))),
        Ok(Known::Wanted(import)) => import,
        Err(error) => return Ok(Err(error.to_string())),
    };
    dialog.say(&Reply::<()>::Ready).await?;
    let taken = take(import, announced.body_bytes, dialog).await?;
    Ok(taken.map(|object| stored("stored", &object)))
}

/// Reads the body into the store. A connection that breaks drops the import, and with it what was written.
async fn take<S>(
    mut import: Box<Import>,
    body_bytes: u64,
    dialog: &mut Dialog<S>,
) -> Result<Result<Arc<Object>, Refused>, DialogError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut left = body_bytes;
    while left > 0 {
        let piece = dialog.piece(left).await?;
        left = left.saturating_sub(piece.len() as u64);
        if let Err(error) = import.append(piece).await {
            return Ok(Err(error.to_string()));
        }
    }
    Ok(import.finish().await.map_err(|error| error.to_string()))
}

fn order(gateway: &Gateway, announced: &Announced) -> Result<ImportOrder, Refused> {
    let resource = subject::read(&announced.url, Form::Forward, &gateway.forms)?;
    let content_type = match &announced.content_type {
        Some(written) => {
            HeaderValue::from_str(written).map_err(|_| format!("{written:?}: not a media type"))?
        }
        None => HeaderValue::from_static(media_type::of_path(resource.target.path())),
    };
    let modified = announced
        .modified_unix_seconds
        .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    let md5 = announced.md5.as_deref().map(|md5| digest("md5", md5));
    Ok(ImportOrder {
        content_type,
        modified,
        length: announced.body_bytes,
        sha256: digest("sha256", &announced.sha256)?,
        md5: md5.transpose()?,
        on_other: match announced.other {
            OtherBytes::Refuse => OnOther::Refuse,
            OtherBytes::Replace => OnOther::Replace,
        },
        url_as_asked: resource.as_asked,
        target: resource.target,
    })
}

/// Reads a digest of `N` bytes.
fn digest<const N: usize>(algorithm: &str, digits: &str) -> Result<[u8; N], Refused> {
    from_hex(digits).ok_or_else(|| {
        let wanted = N * 2;
        format!("{digits:?}: {algorithm} has {wanted} hexadecimal digits")
    })
}

/// As a bare GET sees it, by the standard.
fn viewer(gateway: &Gateway) -> Viewer {
    Viewer {
        headers: HeaderMap::new(),
        request: None,
        now: gateway.clock.wall(),
    }
}
