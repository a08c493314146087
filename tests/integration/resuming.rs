//! Rows 131, 134 and 137–139: bodies that break off are continued where that is safe, and other sources are asked.

mod changing;
mod deaths;
mod fallback;
mod mirrors;
mod peace;

use weir_tests::origin::Seen;
use weir_tests::{Content, Script};

/// Where a request continues; none when it asks for everything.
fn continued_at(seen: &Seen) -> Option<usize> {
    let range = seen.values("range");
    let start = range.first()?.strip_prefix("bytes=")?.strip_suffix('-')?;
    start.parse().ok()
}

/// The head of the whole, or of what is left of it from where the request continues.
fn head_of(seen: &Seen, length: usize, fields: &str) -> String {
    match continued_at(seen) {
        Some(start) => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{length}\r\n\
             Content-Length: {}\r\n{fields}\r\n",
            length - 1,
            length - start
        ),
        None => format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{fields}\r\n"),
    }
}

/// The whole content, or the rest of it.
fn rest_of(seen: &Seen, content: &Content, fields: &str) -> Script {
    let start = continued_at(seen).unwrap_or_default();
    let head = head_of(seen, content.length(), fields);
    Script::of(head).then(content.slice(start, content.length()))
}

/// The first `count` bytes of a whole answer, then RST.
fn cut_at(content: &Content, fields: &str, count: usize) -> Script {
    let length = content.length();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{fields}\r\n");
    Script::of(head).then(content.slice(0, count)).reset()
}
