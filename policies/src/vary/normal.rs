//! Selecting fields in normal form (RFC 9111 §4.1): values that ask for the same are spelled the same.
//!
//! Invariants: normalizing twice is normalizing once; values that may select differently stay different. What is not
//! well-formed, or a field nobody here knows, keeps its words and loses only the whitespace around commas.

use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE};

/// Fields whose commas separate nothing: a date, a comment, a name.
const NO_LISTS: [&str; 9] = [
    "authorization",
    "cookie",
    "date",
    "from",
    "host",
    "origin",
    "proxy-authorization",
    "referer",
    "user-agent",
];

/// Normalizes the joined lines of field `name` (lower-case).
pub(super) fn normal(name: &str, value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii();
    if NO_LISTS.contains(&name) {
        return value.to_vec();
    }
    let known = if name == ACCEPT_ENCODING {
        codings(value)
    } else if name == ACCEPT_LANGUAGE {
        languages(value)
    } else if name == ACCEPT {
        return spaced(value, b",;");
    } else {
        None
    };
    known.unwrap_or_else(|| spaced(value, b","))
}

/// A member of a list with weights, lower-case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Weighted {
    name: String,
    /// Thousandths (RFC 9110 §12.4.2).
    weight: u16,
}

/// Accept-Encoding (RFC 9110 §12.5.3). The order means nothing. Nothing but `identity` says as much as an empty field:
/// no coding is wanted. A coding refused by `q=0` is one that was not listed, unless `*` stands for those.
fn codings(value: &[u8]) -> Option<Vec<u8>> {
    let mut members = weighted(value)?;
    for member in &mut members {
        // §8.4.1.1, §8.4.1.3: equivalent names.
        if let Some(plain @ ("gzip" | "compress")) = member.name.strip_prefix("x-") {
            member.name = plain.to_owned();
        }
    }
    let open = members.iter().any(|member| member.name == "*");
    members.retain(|member| member.weight > 0 || open || member.name == "identity");
    let members = unique(members)?;
    let only_plain = |member: &Weighted| member.name == "identity" && member.weight > 0;
    Some(if members.iter().all(only_plain) {
        b"identity".to_vec()
    } else {
        written(&members)
    })
}

/// Accept-Language (§12.5.4): ranges are case-insensitive, and their order cannot be relied upon.
fn languages(value: &[u8]) -> Option<Vec<u8>> {
    Some(written(&unique(weighted(value)?)?))
}

/// Sorted, each once; `None` when one name has two weights, which means nothing that is written down anywhere.
fn unique(mut members: Vec<Weighted>) -> Option<Vec<Weighted>> {
    members.sort_unstable();
    members.dedup();
    let mut pairs = members.iter().zip(members.iter().skip(1));
    (!pairs.any(|(one, next)| one.name == next.name)).then_some(members)
}

fn written(members: &[Weighted]) -> Vec<u8> {
    let member = |member: &Weighted| match member.weight {
        1000 => member.name.clone(),
        0 => format!("{};q=0", member.name),
        weight => {
            let digits = format!("{weight:03}");
            format!("{};q=0.{}", member.name, digits.trim_end_matches('0'))
        }
    };
    let members: Vec<String> = members.iter().map(member).collect();
    members.join(", ").into_bytes()
}

/// Every member of the list; `None` when one is not `name` or `name;q=weight`.
fn weighted(value: &[u8]) -> Option<Vec<Weighted>> {
    let members = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    members
        .filter(|member| !member.is_empty())
        .map(member)
        .collect()
}

fn member(text: &[u8]) -> Option<Weighted> {
    let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
    let (name, weight) = match text.split_once(';') {
        Some((name, weight)) => (name.trim_ascii(), thousandths(weight.trim_ascii())?),
        None => (text.as_str(), 1000),
    };
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let valid = !name.is_empty() && name.bytes().all(word);
    valid.then(|| Weighted {
        name: name.to_owned(),
        weight,
    })
}

/// `q=0.5` (§12.4.2).
fn thousandths(text: &str) -> Option<u16> {
    let number = text.strip_prefix("q=")?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let legal = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let rest: u16 = format!("{fraction:0<3}").parse().ok().filter(|_| legal)?;
    match whole {
        "0" => Some(rest),
        "1" if rest == 0 => Some(1000),
        _ => None,
    }
}

/// Without whitespace around these separators, except within quotes; a comma is followed by one space.
fn spaced(value: &[u8], separators: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((byte, behind)) = rest.split_first() {
        if separators.contains(byte) {
            text.truncate(text.trim_ascii_end().len());
            text.push(*byte);
            if *byte == b',' {
                text.push(b' ');
            }
            rest = behind.trim_ascii_start();
        } else if let Some((quoted, behind)) = quoted(rest) {
            text.extend_from_slice(quoted);
            rest = behind;
        } else {
            text.push(*byte);
            rest = behind;
        }
    }
    text
}

/// The quoted string at the front of `text`, and what is behind it; what is never closed quotes nothing.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 1;
    text.strip_prefix(b"\"")?;
    loop {
        match text.get(at)? {
            b'"' => return text.split_at_checked(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
