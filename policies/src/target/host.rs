//! Authorities: hosts and ports, read one way only (RFC 3986 §3.2).
//!
//! Invariants: a normal host is a lower-case name of letters, digits, `-`, `_` and `.`, a strict dotted quad, or a
//! bracketed IPv6 literal in its shortest spelling. Shorthand and numeric IPv4 (`127.1`, `0xa9fea9fe`, `2852039166`,
//! octal) is refused: WHATWG parsers read an address there and others a name. The `url` crate is asked for IDN only.

use super::TargetError::{self, Malformed};
use std::net::{Ipv4Addr, Ipv6Addr};

/// RFC 1035 §2.3.4: a name in text form, bytes.
const HOST_BYTES_MAX: usize = 253;
/// RFC 1035 §2.3.4: one label, bytes.
const LABEL_BYTES_MAX: usize = 63;

/// A host and the port that was written behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    /// Normal host.
    pub(super) host: String,
    /// `None` when no port was written, or an empty one (RFC 3986 §3.2.3).
    pub(super) port: Option<u16>,
}

/// Reads `host[:port]`; userinfo has been taken off or refused by the caller.
pub(super) fn authority(text: &str) -> Result<Authority, TargetError> {
    let (host, port) = split_port(text)?;
    Ok(Authority {
        host: normal_host(host)?,
        port: parse_port(port)?,
    })
}

/// Splits at the colon behind the host, which is not one inside brackets.
fn split_port(text: &str) -> Result<(&str, &str), TargetError> {
    if !text.starts_with('[') {
        return Ok(text.split_once(':').unwrap_or((text, "")));
    }
    let (literal, rest) = text
        .split_once(']')
        .ok_or(Malformed("unclosed IPv6 literal"))?;
    let host = text
        .get(..literal.len() + 1)
        .ok_or(Malformed("unclosed IPv6 literal"))?;
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, port)),
        None if rest.is_empty() => Ok((host, "")),
        None => Err(Malformed("text behind an IPv6 literal")),
    }
}

/// 1..=65535 in plain decimal.
fn parse_port(text: &str) -> Result<Option<u16>, TargetError> {
    if text.is_empty() {
        return Ok(None);
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if !plain {
        return Err(Malformed("port is not a decimal number from 1 to 65535"));
    }
    text.parse()
        .map(Some)
        .map_err(|_| Malformed("port is not a decimal number from 1 to 65535"))
}

/// One host in normal form, read as in an authority without a port.
///
/// # Errors
/// [`TargetError`] for anything that two readers could read in two ways.
pub fn normal_host(text: &str) -> Result<String, TargetError> {
    if let Some(literal) = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let address: Ipv6Addr = literal
            .parse()
            .map_err(|_| Malformed("not an IPv6 address in brackets"))?;
        return Ok(format!("[{address}]"));
    }
    let name = punycode(text)?;
    let name = name.strip_suffix('.').unwrap_or(&name);
    check_name(name)?;
    Ok(name.to_owned())
}

/// Lower case; names that need IDNA (UTS 46) go through it, all others never touch the WHATWG host parser.
fn punycode(text: &str) -> Result<String, TargetError> {
    let lower = text.to_ascii_lowercase();
    let plain = lower.is_ascii() && !lower.split('.').any(|label| label.starts_with("xn--"));
    if plain {
        return Ok(lower);
    }
    if text.contains('%') {
        return Err(Malformed("percent-encoding in a host"));
    }
    match url::Host::parse(&lower) {
        Ok(url::Host::Domain(name)) => Ok(name),
        Ok(_) => Err(Malformed("a number that some would read as an address")),
        Err(_) => Err(Malformed("not an internationalized domain name")),
    }
}

fn check_name(name: &str) -> Result<(), TargetError> {
    if name.is_empty() {
        return Err(Malformed("empty host"));
    }
    if name.len() > HOST_BYTES_MAX {
        return Err(Malformed("host longer than 253 bytes"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.bytes().all(allowed) {
        return Err(Malformed("character that no host name has"));
    }
    if name
        .split('.')
        .any(|label| label.is_empty() || label.len() > LABEL_BYTES_MAX)
    {
        return Err(Malformed("empty or overlong label in a host"));
    }
    if looks_numeric(name) && name.parse::<Ipv4Addr>().is_err() {
        return Err(Malformed("a number that some would read as an address"));
    }
    Ok(())
}

/// Whether a WHATWG parser or inet_aton would try to read an IPv4 address here: the last label is a number.
fn looks_numeric(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits(last) || last.strip_prefix("0x").is_some_and(hex)
}

/// Whether a Host field value is one host with an optional port (RFC 9110 §7.2): no userinfo, list, space, `<`,
/// control or 8-bit byte, not empty.
///
/// Only the grammar is judged here: which upstream is meant comes from the target.
#[must_use]
pub fn host_is_valid(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let Ok((host, port)) = split_port(text) else {
        return false;
    };
    if parse_port(port).is_err() {
        return false;
    }
    match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(literal) => literal.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_reg_name_byte),
    }
}

/// RFC 3986 §3.2.2 reg-name without percent-encoding, and without the comma that would make it a list.
fn is_reg_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte)
}
