//! Fields that concern one connection only (RFC 9110 §7.6.1) and what Weir adds when it forwards.
//!
//! Invariant: fields that a hostile `Connection:` may not remove (Host, Via, Authorization, X-Forwarded-For,
//! Content-Length, Cache-Control, Cookie, …) are protected.

use http::HeaderMap;

/// Removes hop-by-hop fields, those named by Connection, Proxy-* credentials and upgrade offers. Works for both
/// directions. Transfer-Encoding, TE, Trailer, Keep-Alive, Proxy-Connection, Upgrade, HTTP2-Settings included.
pub fn strip(headers: &mut HeaderMap) {
    let _ = headers;
    unimplemented!()
}

/// Appends `Via: 1.1 <name>` (RFC 9110 §7.6.3). `received` is the version the message came in by: "1.0", "1.1", "2".
pub fn append_via(headers: &mut HeaderMap, received: &str, name: &str) {
    let _ = (headers, received, name);
    unimplemented!()
}

/// Whether Via or CDN-Loop (RFC 8586) already names this node: a loop, 508.
#[must_use]
pub fn has_looped(headers: &HeaderMap, name: &str) -> bool {
    let _ = (headers, name);
    unimplemented!()
}

/// The request fields for an upstream fetch shared by many clients: end-to-end fields of the leader without
/// conditionals (If-*), Range, Authorization, Cookie, Host, Expect, body fields, X-Forwarded-*/method-override
/// tricks and Cache-Control/Pragma of the client (a shared fill is ours).
#[must_use]
pub fn shared_request(client: &HeaderMap) -> HeaderMap {
    let _ = client;
    unimplemented!()
}

/// The request fields for a fetch that serves just this client: end-to-end fields, without Host, Expect and the
/// tricks above; Authorization, Cookie, conditionals and Range stay.
#[must_use]
pub fn private_request(client: &HeaderMap) -> HeaderMap {
    let _ = client;
    unimplemented!()
}
