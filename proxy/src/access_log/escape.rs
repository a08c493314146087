//! Makes what a client sent safe to write: no line feed can start a line, no quote can end a field, no escape
//! sequence reaches a terminal, and no password reaches the disk.
//!
//! Output is always visible ASCII and spaces. Every function cuts its input at a given length first.

use super::{URL_BYTES_MAX, append};
use std::borrow::Cow;

/// Stands where a field was cut.
const CUT: &str = "...";

/// Percent-encodes whatever is not visible ASCII, and quotes: for fields that end at a space, as squid writes URLs.
pub(super) fn percent(line: &mut String, text: &str, bytes_max: usize) {
    each(line, text, bytes_max, |line, byte| match byte {
        b'"' | b'<' | b'>' | b'\\' => hex(line, "%", byte),
        b'!'..=b'~' => line.push(char::from(byte)),
        _ => hex(line, "%", byte),
    });
}

/// `\"`, `\\` and `\xHH`: for fields between quotes, as Apache writes them.
pub(super) fn quoted(line: &mut String, text: &str, bytes_max: usize) {
    each(line, text, bytes_max, |line, byte| match byte {
        b'"' => line.push_str("\\\""),
        b'\\' => line.push_str("\\\\"),
        b' '..=b'~' => line.push(char::from(byte)),
        _ => hex(line, "\\x", byte),
    });
}

/// The inside of a JSON string (RFC 8259 §7), with everything outside visible ASCII as `\u` and four hex digits.
pub(super) fn json(line: &mut String, text: &str, bytes_max: usize) {
    let kept = cut(text, bytes_max);
    for unit in kept.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'"') => line.push_str("\\\""),
            Ok(b'\\') => line.push_str("\\\\"),
            Ok(byte @ b' '..=b'~') => line.push(char::from(byte)),
            _ => append(line, format_args!("\\u{unit:04x}")),
        }
    }
    if kept.len() < text.len() {
        line.push_str(CUT);
    }
}

/// The URL of a request without what must not be kept: userinfo of every authority in it, and, of a request that
/// could not be read, everything after its first line, where its credentials may stand.
pub(super) fn scrubbed(url: &str) -> Cow<'_, str> {
    let first_line = url.split_once('\n').map_or(url, |(first, _)| first);
    // Cut before the search, so that its cost is bounded; one byte more, so that the writer still marks the cut.
    let text = cut(first_line, URL_BYTES_MAX + 1);
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = authority_start(rest) {
        let (before, after) = rest.split_at(start);
        let end = after.find(is_authority_end).unwrap_or(after.len());
        // A colon at the end may belong to the next scheme: `http://http://user@host`.
        let end = after
            .get(..end)
            .map_or(end, |authority| authority.trim_end_matches(':').len());
        let (authority, beyond) = after.split_at(end);
        kept.push_str(before);
        kept.push_str(
            authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host),
        );
        rest = beyond;
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// Where the next authority begins: behind `://` (or what a path normalizer left of it, `:/`), or behind the scheme
/// of the path form `/https/host/…`.
fn authority_start(text: &str) -> Option<usize> {
    let marks = [":/", "/http/", "/https/", "/ftp/"];
    let after_mark = |mark: &&str| text.find(mark).map(|at| at + mark.len());
    let start = marks.iter().filter_map(after_mark).min()?;
    let slashes = text
        .bytes()
        .skip(start)
        .take_while(|byte| *byte == b'/')
        .count();
    Some(start + slashes)
}

fn is_authority_end(c: char) -> bool {
    matches!(c, '/' | '\\' | '?' | '#' | ' ' | '"') || c.is_control()
}

fn each(line: &mut String, text: &str, bytes_max: usize, write: impl Fn(&mut String, u8)) {
    let kept = cut(text, bytes_max);
    kept.bytes().for_each(|byte| write(line, byte));
    if kept.len() < text.len() {
        line.push_str(CUT);
    }
}

/// At most `bytes_max` bytes of the text, never half a character.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn hex(line: &mut String, mark: &str, byte: u8) {
    append(line, format_args!("{mark}{byte:02X}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One hostile text, as each of the three escapes writes it.
    fn check(text: &str, as_percent: &str, as_quoted: &str, as_json: &str) {
        for (escape, expected) in [
            (percent as fn(&mut String, &str, usize), as_percent),
            (quoted, as_quoted),
            (json, as_json),
        ] {
            let mut line = String::new();
            escape(&mut line, text, 100);
            assert_eq!(line, expected, "{text:?}");
            assert!(
                line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{line:?}"
            );
        }
    }

    #[test]
    fn what_a_client_sends_cannot_leave_its_field() {
        check(
            "/plain?a=b&c",
            "/plain?a=b&c",
            "/plain?a=b&c",
            "/plain?a=b&c",
        );
        check("a\r\nb", "a%0D%0Ab", "a\\x0D\\x0Ab", "a\\u000d\\u000ab");
        check("\x1b[31m", "%1B[31m", "\\x1B[31m", "\\u001b[31m");
        check("a\" b", "a%22%20b", "a\\\" b", "a\\\" b");
        check("a\\\"", "a%5C%22", "a\\\\\\\"", "a\\\\\\\"");
        check(
            "\0\t\x7f",
            "%00%09%7F",
            "\\x00\\x09\\x7F",
            "\\u0000\\u0009\\u007f",
        );
        check("ü", "%C3%BC", "\\xC3\\xBC", "\\u00fc");
        check("\u{9b}31m", "%C2%9B31m", "\\xC2\\x9B31m", "\\u009b31m");
        check("\u{202e}x", "%E2%80%AEx", "\\xE2\\x80\\xAEx", "\\u202ex");
        check(
            "😀",
            "%F0%9F%98%80",
            "\\xF0\\x9F\\x98\\x80",
            "\\ud83d\\ude00",
        );
        check("", "", "", "");
    }

    #[test]
    fn long_fields_are_cut_between_characters() {
        for escape in [percent as fn(&mut String, &str, usize), quoted, json] {
            let mut line = String::new();
            escape(&mut line, "abü", 3);
            assert_eq!(line, "ab...");
        }
    }

    #[test]
    fn userinfo_is_never_written() {
        let check = |url, expected| assert_eq!(scrubbed(url), expected);
        check("http://user:secret@h/p", "http://h/p");
        check("ftp://user:se@cret@h/p@q", "ftp://h/p@q");
        check("http://user:secret@h", "http://h");
        check("http://h/p?mail=a@b", "http://h/p?mail=a@b");
        check("/download/https://u:p@h/x", "/download/https://h/x");
        check("/https/u:p@h/x", "/https/h/x");
        check(
            "/download/?u=http://u:p@h&v=ftp://w:x@i/",
            "/download/?u=http://h&v=ftp://i/",
        );
        check("http://http://u:p@h/", "http://http://h/");
        check("/download/https:/u:p@h/x", "/download/https:/h/x");
        check("http://h//@scope/name", "http://h//@scope/name");
        check("/plain@path", "/plain@path");
        check("GET http://u:p@h/ HTTP/9", "GET http://h/ HTTP/9");
        check(
            "GET / HTTP/1.1\r\nAuthorization: Basic c2VjcmV0",
            "GET / HTTP/1.1\r",
        );
    }

    #[test]
    fn a_very_long_url_is_cut_and_still_marked() {
        let url = format!("http://u:p@h/{}", "x".repeat(100_000));
        let mut line = String::new();
        percent(&mut line, &scrubbed(&url), URL_BYTES_MAX);
        assert!(line.len() <= URL_BYTES_MAX + CUT.len());
        assert!(line.starts_with("http://h/xxx"));
    }
}
