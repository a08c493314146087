//! Apache's and nginx's `combined` format:
//! `client - - [time] "request line" status body-bytes "referer" "user-agent"`.

use super::{FIELD_BYTES_MAX, URL_BYTES_MAX, append, escape, timestamp};
use crate::record::Record;

pub(super) fn line(record: &Record) -> String {
    let mut line = format!(
        "{} - - [{}] \"",
        record.client.ip().to_canonical(),
        timestamp::common(record.started_at)
    );
    request_line(&mut line, record);
    append(
        &mut line,
        format_args!("\" {:03} {} ", record.status, record.body_bytes),
    );
    // A Referer may hold a URL with credentials as well.
    let referer = record.referer.as_deref().map(escape::scrubbed);
    quoted_field(&mut line, referer.as_deref());
    line.push(' ');
    quoted_field(&mut line, record.user_agent.as_deref());
    line
}

/// What is known of it: a head that could not be read has neither method nor version.
fn request_line(line: &mut String, record: &Record) {
    let url = escape::scrubbed(&record.url);
    let parts = [
        (record.method.as_str(), FIELD_BYTES_MAX),
        (url.as_ref(), URL_BYTES_MAX),
        (record.version, FIELD_BYTES_MAX),
    ];
    let mut known = parts
        .into_iter()
        .filter(|(text, _)| !text.is_empty())
        .peekable();
    if known.peek().is_none() {
        line.push('-');
    }
    while let Some((text, bytes_max)) = known.next() {
        escape::quoted(line, text, bytes_max);
        if known.peek().is_some() {
            line.push(' ');
        }
    }
}

fn quoted_field(line: &mut String, text: Option<&str>) {
    line.push('"');
    match text.filter(|text| !text.is_empty()) {
        Some(text) => escape::quoted(line, text, FIELD_BYTES_MAX),
        None => line.push('-'),
    }
    line.push('"');
}
