//! Squid's native format, which log analyzers have read for decades:
//! `seconds.millis duration-ms client CODE/status bytes method URL user HIERARCHY/upstream media-type`.
//!
//! Fields end at a space, so everything that could hold one is percent-encoded, and an empty field is `-`.

use super::{FIELD_BYTES_MAX, URL_BYTES_MAX, append, escape, timestamp};
use crate::metrics::ByteSource;
use crate::record::Record;
use weir_policies::outcome::Outcome;

/// Squid's mark for a client that went away, or an upstream that broke off, in the middle of a response.
const ABORTED: &str = "_ABORTED";

pub(super) fn line(record: &Record) -> String {
    let mut line = timestamp::unix(record.started_at);
    let code = record.outcome.squid_code();
    let aborted = if is_cut_short(record) && !code.ends_with(ABORTED) {
        ABORTED
    } else {
        ""
    };
    let (duration_ms, client) = (
        record.duration.as_millis(),
        record.client.ip().to_canonical(),
    );
    let (status, bytes) = (
        record.status,
        record.head_bytes.saturating_add(record.body_bytes),
    );
    append(
        &mut line,
        format_args!(" {duration_ms:6} {client} {code}{aborted}/{status:03} {bytes} "),
    );
    field(&mut line, &record.method, FIELD_BYTES_MAX);
    line.push(' ');
    field(&mut line, &escape::scrubbed(&record.url), URL_BYTES_MAX);
    line.push_str(" - ");
    hierarchy(&mut line, record);
    line.push(' ');
    field(
        &mut line,
        record.media_type.as_deref().unwrap_or_default(),
        FIELD_BYTES_MAX,
    );
    line
}

/// An answer of the gateway's own is short and either arrives or does not; squid marks only what it relays.
fn is_cut_short(record: &Record) -> bool {
    !record.complete && ByteSource::of(record.outcome) != ByteSource::Local
}

/// Which way this request went. A hit names no upstream, although its object once came from one.
fn hierarchy(line: &mut String, record: &Record) {
    let asked_upstream = match record.outcome {
        Outcome::Miss
        | Outcome::Stale
        | Outcome::Revalidated
        | Outcome::Uncached(_)
        | Outcome::Bypass
        | Outcome::Pass
        | Outcome::Tunnel
        | Outcome::Failed => record.upstream,
        Outcome::Hit
        | Outcome::StaleWhileRevalidate
        | Outcome::StaleIfError
        | Outcome::Redirected
        | Outcome::Joined
        | Outcome::Local
        | Outcome::Purged
        | Outcome::Refused
        | Outcome::NotCached
        | Outcome::Aborted => None,
    };
    match asked_upstream {
        Some(address) => {
            append(
                line,
                format_args!("HIER_DIRECT/{}", address.ip().to_canonical()),
            );
        }
        None => line.push_str("HIER_NONE/-"),
    }
}

fn field(line: &mut String, text: &str, bytes_max: usize) {
    if text.is_empty() {
        line.push('-');
    } else {
        escape::percent(line, text, bytes_max);
    }
}
