//! One JSON object a line, with everything the record knows. Every key is always there, `null` where nothing is
//! known, so that a table can be made of it. Durations are seconds, sizes bytes.

use super::{FIELD_BYTES_MAX, URL_BYTES_MAX, append, escape, timestamp};
use crate::record::{Record, request_id};
use std::fmt::Display;
use std::time::Duration;
use weir_policies::outcome::Outcome;

pub(super) fn line(record: &Record) -> String {
    let mut object = Object(String::from("{"));
    object.text(
        "time",
        Some(&timestamp::rfc3339(record.started_at)),
        FIELD_BYTES_MAX,
    );
    object.text(
        "request_id",
        Some(&request_id(record.request_id)),
        FIELD_BYTES_MAX,
    );
    object.text(
        "client",
        Some(&record.client.ip().to_canonical().to_string()),
        FIELD_BYTES_MAX,
    );
    object.plain("client_port", record.client.port());
    request(&mut object, record);
    response(&mut object, record);
    object.0.push('}');
    object.0
}

fn request(object: &mut Object, record: &Record) {
    object.text("method", known(&record.method), FIELD_BYTES_MAX);
    object.text("url", known(&escape::scrubbed(&record.url)), URL_BYTES_MAX);
    object.text("version", known(record.version), FIELD_BYTES_MAX);
    object.text(
        "form",
        record.form.map(|form| form.as_str()),
        FIELD_BYTES_MAX,
    );
    object.text("rule", record.rule.as_deref(), FIELD_BYTES_MAX);
    let referer = record.referer.as_deref().map(escape::scrubbed);
    object.text("referer", referer.as_deref(), FIELD_BYTES_MAX);
    object.text("user_agent", record.user_agent.as_deref(), FIELD_BYTES_MAX);
}

fn response(object: &mut Object, record: &Record) {
    object.plain("status", record.status);
    object.text("outcome", Some(record.outcome.as_str()), FIELD_BYTES_MAX);
    object.text("detail", detail(record), FIELD_BYTES_MAX);
    object.text("media_type", record.media_type.as_deref(), FIELD_BYTES_MAX);
    object.plain("head_bytes", record.head_bytes);
    object.plain("body_bytes", record.body_bytes);
    object.plain("upload_bytes", record.upload_bytes);
    object.plain("complete", record.complete);
    object.plain("duration_seconds", seconds(record.duration));
    match record.first_byte {
        Some(first_byte) => object.plain("first_byte_seconds", seconds(first_byte)),
        None => object.plain("first_byte_seconds", "null"),
    }
    let upstream = record.upstream.map(|address| address.to_string());
    object.text("upstream", upstream.as_deref(), FIELD_BYTES_MAX);
}

/// The record's own word, else why the response was not stored.
fn detail(record: &Record) -> Option<&'static str> {
    record.detail.or(match record.outcome {
        Outcome::Uncached(reason) => Some(reason.as_str()),
        _ => None,
    })
}

fn known(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn seconds(duration: Duration) -> String {
    format!("{}.{:06}", duration.as_secs(), duration.subsec_micros())
}

/// An object being written; keys are our own words and need no escape.
struct Object(String);

impl Object {
    fn text(&mut self, key: &str, value: Option<&str>, bytes_max: usize) {
        let Some(value) = value else {
            return self.plain(key, "null");
        };
        self.key(key);
        self.0.push('"');
        escape::json(&mut self.0, value, bytes_max);
        self.0.push('"');
    }

    /// Numbers, booleans and `null`.
    fn plain(&mut self, key: &str, value: impl Display) {
        self.key(key);
        append(&mut self.0, format_args!("{value}"));
    }

    fn key(&mut self, key: &str) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        append(&mut self.0, format_args!("{comma}\"{key}\":"));
    }
}
