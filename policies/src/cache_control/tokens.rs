//! One Cache-Control line as a list of directives (RFC 9110 §5.6.1, §5.6.4).
//!
//! A quoted string hides commas; one that is never closed hides nothing, so that a stray `"` cannot swallow the
//! `no-store` behind it. Linear in the length of the line.

use std::borrow::Cow;

/// `name` or `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    /// Lower-case; may be any text, which then matches no known directive.
    pub(super) name: String,
    /// Unquoted; `None` without `=`.
    pub(super) value: Option<Cow<'a, [u8]>>,
}

/// Every directive of a line, empty members left out.
pub(super) fn directives(line: &[u8]) -> impl Iterator<Item = Directive<'_>> {
    let mut rest = Some(line);
    // Found missing once, a closing quote is missing for the rest of the line too: no second search.
    let mut quotes = Quotes::Balanced;
    let members = std::iter::from_fn(move || {
        let (member, behind) = split_member(rest?, &mut quotes);
        rest = behind;
        Some(member)
    });
    members
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
        .map(directive)
}

/// Whether a quote may still find its partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Balanced,
    Broken,
}

/// Splits at the first comma outside quotes.
fn split_member<'a>(text: &'a [u8], quotes: &mut Quotes) -> (&'a [u8], Option<&'a [u8]>) {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b',' => return (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
            b'"' if *quotes == Quotes::Balanced => match closing_quote(text, at) {
                Some(end) => at = end,
                None => *quotes = Quotes::Broken,
            },
            _ => {}
        }
        at += 1;
    }
    (text, None)
}

/// Where the string that opens at `open` closes; a backslash takes the next byte with it.
fn closing_quote(text: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn directive(member: &[u8]) -> Directive<'_> {
    let equals = member.iter().position(|byte| *byte == b'=');
    let (name, value) = match equals.and_then(|at| member.split_at_checked(at)) {
        Some((name, rest)) => (name, rest.get(1..)),
        None => (member, None),
    };
    Directive {
        name: String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase(),
        value: value.map(|value| unquoted(value.trim_ascii())),
    }
}

fn unquoted(value: &[u8]) -> Cow<'_, [u8]> {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let Some(inner) = inner else {
        return Cow::Borrowed(value);
    };
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        plain.extend(if *byte == b'\\' {
            bytes.next()
        } else {
            Some(byte)
        });
    }
    Cow::Owned(plain)
}
