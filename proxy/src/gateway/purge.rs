//! `PURGE`: a client that may removes what is stored for exactly the URL that it asks for, in whatever form.
//!
//! Every variant goes, what was found behind its redirects and parts included; a fetch that runs is not joined any more
//! and not stored. The answer comes when that holds over a power loss: 200 when there was something, 404 when there was
//! not. With `Soft-Purge: 1` nothing is removed, and the origin is asked before the next use. Nothing is forwarded.

use super::pages::Page;
use super::{Turn, Turned};
use crate::error_page::Cause;
use crate::front::conn::Conn;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use weir_cache::engine::{PurgeError, Purged};
use weir_policies::outcome::Outcome;
use weir_policies::purge::{PurgeMode, PurgeScope};
use weir_policies::target::Target;

/// Asks for a soft purge.
const SOFT_PURGE: &str = "soft-purge";

const NOTHING_STORED: Cause<'_> = Cause::with_advice(
    "nothing is stored for this URL",
    "weir explain URL shows what the gateway holds for it.",
);

impl Turn<'_> {
    pub(super) async fn purge(&mut self, conn: &mut Conn, target: &Target) -> Turned {
        let Some(mode) = mode(&self.request.headers) else {
            let cause = "Soft-Purge is 1, to have the origin asked, or 0, to remove";
            return self.refuse(conn, 400, "soft-purge", cause).await;
        };
        let scope = PurgeScope::url(target);
        let purged = self.gateway.engine.purge(&scope, mode).await;
        self.record.outcome = Outcome::Purged;
        self.note_first_byte();
        Turned::Answered(match purged {
            Ok(purged) if purged.objects == 0 && purged.flights == 0 && !purged.is_pending => {
                self.page(conn, 404, NOTHING_STORED).await
            }
            Ok(purged) => self.send(conn, done(target, mode, purged)).await,
            Err(error) => {
                self.record.detail = Some("purge");
                let status = match error {
                    PurgeError::TooMany { .. } => 503,
                    PurgeError::Store(_) | PurgeError::KnownToFew => 500,
                };
                self.page(conn, status, error.to_string().as_str()).await
            }
        })
    }
}

fn mode(headers: &HeaderMap) -> Option<PurgeMode> {
    let mut values = headers.get_all(SOFT_PURGE).iter();
    match (values.next().map(|value| value.as_bytes()), values.next()) {
        (None | Some(b"0"), None) => Some(PurgeMode::Remove),
        (Some(b"1"), None) => Some(PurgeMode::Stale),
        _ => None,
    }
}

fn done(target: &Target, mode: PurgeMode, purged: Purged) -> Page {
    let soft = mode == PurgeMode::Stale;
    let body = json!({
        "url": target.to_string(),
        "soft": soft,
        "objects": purged.objects,
        "bytes": purged.bytes,
        "fetches": purged.flights,
    });
    Page {
        status: StatusCode::OK,
        media_type: "application/json",
        body: format!("{body}\n").into_bytes(),
        extra: vec![
            ("cache-control", "no-store".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_1_is_soft() {
        let check = |values: &[&str], expected| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SOFT_PURGE, value.parse().unwrap());
            }
            assert_eq!(mode(&headers), expected, "{values:?}");
        };
        check(&[], Some(PurgeMode::Remove));
        check(&["0"], Some(PurgeMode::Remove));
        check(&["1"], Some(PurgeMode::Stale));
        check(&["yes"], None);
        check(&[""], None);
        check(&["1", "1"], None);
        check(&["0", "1"], None);
    }
}
