//! Paths and queries in normal form (RFC 3986 §5.2.4, §6.2.2).
//!
//! Invariants: a normal path starts with `/`, has no dot-segment (`.`, `..`, also percent-encoded), spells every
//! unreserved character plainly and every other escape as it was written, and keeps `//`. `%2F` stays an escape:
//! it never separates segments here, nor in the key, nor upstream. The query is not touched.

use super::TargetError::{self, Malformed};

/// What `..` above the root of a path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AboveRoot {
    /// The root itself (RFC 3986 §5.2.4).
    Stay,
    /// An attempt to leave a mirror's base.
    Refuse,
}

/// Path and query of a URL; `text` starts with `/` or `?` or is empty.
pub(super) fn normal_path_and_query(text: &str, above: AboveRoot) -> Result<String, TargetError> {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let mut normal = normal_path(path, above)?;
    if let Some(query) = query {
        check_visible(query)?;
        normal.push('?');
        normal.push_str(query);
    }
    Ok(normal)
}

/// A path alone; an empty one is `/`.
pub(super) fn normal_path(path: &str, above: AboveRoot) -> Result<String, TargetError> {
    check_visible(path)?;
    if path.contains('\\') {
        return Err(Malformed("backslash in a path"));
    }
    let unescaped = unescape_unreserved(path)?;
    remove_dot_segments(&unescaped, above)
}

/// Refuses what no URL may contain: spaces, controls, 8-bit characters, and a fragment.
pub(super) fn check_visible(text: &str) -> Result<(), TargetError> {
    if text.contains('#') {
        return Err(Malformed("fragment"));
    }
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Malformed("space, control or 8-bit character"))
}

/// Refuses escapes that would become control characters in an FTP command (`%0d%0aDELE`).
pub(super) fn check_no_escaped_controls(text: &str) -> Result<(), TargetError> {
    let escaped = text.split('%').skip(1).filter_map(|rest| rest.get(..2));
    let mut values = escaped.filter_map(|digits| u8::from_str_radix(digits, 16).ok());
    if values.any(|byte| byte.is_ascii_control()) {
        return Err(Malformed("escaped control character in an ftp path"));
    }
    Ok(())
}

/// Whether a reader that takes `%2F` and `%5C` for separators would see a `..` segment.
pub(super) fn hides_dot_dot(path: &str) -> bool {
    let plain = path
        .to_ascii_uppercase()
        .replace("%2F", "/")
        .replace("%5C", "/");
    plain.split('/').any(|segment| segment == "..")
}

/// Decodes escapes of unreserved characters (RFC 3986 §2.3). The others stay as they were written, digits included:
/// an origin may tell `%2f` from `%2F` (signed URLs do).
fn unescape_unreserved(path: &str) -> Result<String, TargetError> {
    let mut pieces = path.split('%');
    let mut normal = String::with_capacity(path.len());
    normal.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (digits, rest) = piece
            .split_at_checked(2)
            .ok_or(Malformed("stray % in a path"))?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Malformed("stray % in a path"));
        }
        let byte = u8::from_str_radix(digits, 16).map_err(|_| Malformed("stray % in a path"))?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            normal.push(char::from(byte));
        } else {
            normal.push('%');
            normal.push_str(digits);
        }
        normal.push_str(rest);
    }
    Ok(normal)
}

/// RFC 3986 §5.2.4 by segments; `a/..` leaves the trailing slash that the algorithm there leaves.
fn remove_dot_segments(path: &str, above: AboveRoot) -> Result<String, TargetError> {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." if kept.pop().is_none() && above == AboveRoot::Refuse => {
                return Err(Malformed("dot-segments climb out of the base"));
            }
            ".." => {}
            _ => kept.push(segment),
        }
        if last && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    Ok(format!("/{}", kept.join("/")))
}
