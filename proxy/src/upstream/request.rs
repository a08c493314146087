//! The bytes of a request to an upstream.
//!
//! Origin-form target, `Host` from the target (whatever the client said), `Via` and `CDN-Loop` with this node. No
//! body, no `Connection` (HTTP/1.1 keeps alive by itself), no `TE`.
//!
//! Cannot be made to smuggle: a [`weir_policies::target::Target`] holds only visible ASCII, a `HeaderMap` no CR, LF
//! or NUL, and framing fields are dropped here even if a caller left one in.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use weir_cache::ports::OriginRequest;
use weir_policies::hop;

/// Loop detection between caches (RFC 8586).
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Never sent on: `Host` is ours, and a request without a body has no framing and expects nothing.
const NOT_OURS: [HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::EXPECT,
    header::TRAILER,
];

/// Writes the head of `request` (RFC 9112 §3), its end included.
pub(super) fn serialize(request: &OriginRequest, node_name: &str) -> Vec<u8> {
    let headers = outgoing(&request.headers, node_name);
    let target = &request.target;
    let mut message = Vec::with_capacity(1024);
    for part in [
        request.method.as_str(),
        " ",
        target.path_and_query(),
        " HTTP/1.1\r\nHost: ",
    ] {
        message.extend_from_slice(part.as_bytes());
    }
    message.extend_from_slice(target.authority().as_bytes());
    message.extend_from_slice(b"\r\n");
    for (name, value) in &headers {
        write_name(&mut message, name);
        message.extend_from_slice(b": ");
        message.extend_from_slice(value.as_bytes());
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"\r\n");
    message
}

fn outgoing(end_to_end: &HeaderMap, node_name: &str) -> HeaderMap {
    let mut headers = end_to_end.clone();
    hop::strip(&mut headers);
    for name in NOT_OURS {
        headers.remove(name);
    }
    // The fetch is this node's own: it was received by no other protocol version.
    hop::append_via(&mut headers, "1.1", node_name);
    if let Ok(value) = HeaderValue::from_str(node_name) {
        headers.append(CDN_LOOP, value);
    }
    headers
}

/// Writes a name in its customary capitals: names are case-insensitive, but not to every old origin.
fn write_name(message: &mut Vec<u8>, name: &HeaderName) {
    let mut starts_word = true;
    for byte in name.as_str().bytes() {
        message.push(if starts_word {
            byte.to_ascii_uppercase()
        } else {
            byte
        });
        starts_word = byte == b'-';
    }
}
