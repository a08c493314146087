//! Fields that concern one connection only (RFC 9110 §7.6.1) and what Weir adds when it forwards.
//!
//! Invariant: fields that a hostile `Connection:` may not remove (Host, Via, credentials, X-Forwarded-For,
//! Content-Length, Cache-Control, Cookie, …) are protected.
//!
//! Framing is not decided here: who removes Transfer-Encoding has read the body by it.

#[cfg(test)]
mod tests;

use crate::credentials;
use http::HeaderMap;
use http::header::{CONNECTION, HeaderName, HeaderValue, VIA};

/// Fields of one connection, whether Connection names them or not.
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields that Connection may name in vain, besides credentials: whoever removed them would change what the message
/// means or who sent it.
const PROTECTED: [&str; 28] = [
    "age",
    "cache-control",
    "cdn-loop",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "cookie2",
    "date",
    "etag",
    "expires",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "pragma",
    "range",
    "set-cookie",
    "vary",
    "via",
    "www-authenticate",
];

/// Fields by which a request talks an origin into another URL, method or sender than the one that is cached.
///
/// `Proxy` becomes `HTTP_PROXY` in a CGI environment.
const TRICKS: [&str; 11] = [
    "forwarded",
    "proxy",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Fields of one client's request that have no place in a fetch for everybody, besides credentials.
const PERSONAL: [&str; 5] = ["cache-control", "cookie", "cookie2", "pragma", "range"];

/// Removes hop-by-hop fields, those named by Connection, Proxy-* credentials and upgrade offers. Works for both
/// directions. Transfer-Encoding, TE, Trailer, Keep-Alive, Proxy-Connection, Upgrade, HTTP2-Settings included.
pub fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = members(headers, &CONNECTION)
        .filter_map(|member| HeaderName::from_bytes(member).ok())
        .filter(|name| !is_protected(name.as_str()))
        .collect();
    for name in named {
        headers.remove(name);
    }
    remove_where(headers, |name| HOP_BY_HOP.contains(&name));
}

/// Appends `Via: 1.1 <name>` (RFC 9110 §7.6.3). `received` is the version the message came in by: "1.0", "1.1", "2".
pub fn append_via(headers: &mut HeaderMap, received: &str, name: &str) {
    // A name that is no field text is refused by the configuration; a head without Via is the lesser harm here.
    if let Ok(value) = HeaderValue::try_from(format!("{received} {name}")) {
        headers.append(VIA, value);
    }
}

/// Whether Via or CDN-Loop (RFC 8586) already names this node: a loop, 508.
#[must_use]
pub fn has_looped(headers: &HeaderMap, name: &str) -> bool {
    let cdn_loop = HeaderName::from_static("cdn-loop");
    // `1.1 name (comment)`; a comma inside a comment can only find a loop too many, never hide one.
    let via = members(headers, &VIA).filter_map(|member| {
        member
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .nth(1)
    });
    let cdn = members(headers, &cdn_loop).filter_map(|member| member.split(|b| *b == b';').next());
    via.chain(cdn)
        .any(|node| node.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}

/// The request fields for an upstream fetch shared by many clients: end-to-end fields of the leader without
/// conditionals (If-*), Range, credentials, Cookie, Host, Expect, body fields, X-Forwarded-*/method-override
/// tricks and Cache-Control/Pragma of the client (a shared fill is ours).
#[must_use]
pub fn shared_request(client: &HeaderMap) -> HeaderMap {
    let mut fields = private_request(client);
    remove_where(&mut fields, |name| {
        PERSONAL.contains(&name)
            || credentials::is_listed(name)
            || name.starts_with("if-")
            || name.starts_with("content-")
    });
    fields
}

/// The request fields for a fetch that serves just this client: end-to-end fields, without Host, Expect and the
/// tricks above; credentials, Cookie, conditionals and Range stay.
#[must_use]
pub fn private_request(client: &HeaderMap) -> HeaderMap {
    let mut fields = client.clone();
    strip(&mut fields);
    remove_where(&mut fields, |name| {
        matches!(name, "host" | "expect")
            || TRICKS.contains(&name)
            || name.starts_with("x-forwarded-")
            || name.starts_with("proxy-")
    });
    fields
}

fn is_protected(name: &str) -> bool {
    PROTECTED.contains(&name) || credentials::is_listed(name) || name.starts_with("x-forwarded-")
}

/// The members of every line of a list field, trimmed. Bytes, not text: one 8-bit character must not hide the others.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter();
    let members = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    members
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

fn remove_where(headers: &mut HeaderMap, doomed: impl Fn(&str) -> bool) {
    let names: Vec<HeaderName> = headers
        .keys()
        .filter(|name| doomed(name.as_str()))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}
