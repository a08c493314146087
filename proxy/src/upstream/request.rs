//! The bytes of a request to an upstream.
//!
//! Origin-form target, `Host` from the target (whatever the client said), `Via` and `CDN-Loop` with this node. No
//! body, no `Connection` (HTTP/1.1 keeps alive by itself), no `TE`.
//!
//! Cannot be made to smuggle: a [`weir_policies::target::Target`] holds only visible ASCII, a `HeaderMap` no CR, LF
//! or NUL, and framing fields are dropped here even if a caller left one in.

use crate::field_name::write_capitalized;
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
        write_capitalized(&mut message, name.as_str());
        message.extend_from_slice(b": ");
        message.extend_from_slice(value.as_bytes());
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"\r\n");
    message
}

/// The fields that go out, in any version.
pub(super) fn outgoing(end_to_end: &HeaderMap, node_name: &str) -> HeaderMap {
    let mut headers = end_to_end.clone();
    hop::strip(&mut headers);
    for name in NOT_OURS {
        headers.remove(name);
    }
    join_cookies(&mut headers);
    // The fetch is this node's own: it was received by no other protocol version.
    hop::append_via(&mut headers, "1.1", node_name);
    if let Ok(value) = HeaderValue::from_str(node_name) {
        headers.append(CDN_LOOP, value);
    }
    headers
}

/// A client of HTTP/2 may have sent its cookies one by one; HTTP/1.1 servers expect one line (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use weir_policies::target::Target;

    /// The request as it goes over the wire, without `Via` and `CDN-Loop` of this node.
    fn wire(url: &str, fields: &[(&'static str, &'static str)]) -> String {
        let headers = fields
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        let target = Target::parse(url).unwrap();
        let request = OriginRequest {
            method: Method::GET,
            target,
            headers,
            interim: None,
        };
        String::from_utf8(serialize(&request, "node-1")).unwrap()
    }

    #[test]
    fn row_26_the_target_is_in_origin_form_and_host_is_the_targets() {
        assert_eq!(
            wire(
                "http://h.test:8080/a//b?q=1%2F",
                &[("host", "evil.test"), ("accept", "*/*")]
            ),
            "GET /a//b?q=1%2F HTTP/1.1\r\nHost: h.test:8080\r\nAccept: */*\r\n\
             Via: 1.1 node-1\r\nCdn-Loop: node-1\r\n\r\n"
        );
        assert!(wire("https://h.test/", &[]).contains("\r\nHost: h.test\r\n"));
    }

    #[test]
    fn rows_54_and_55_others_loop_marks_are_kept() {
        let wire = wire(
            "http://h.test/",
            &[("via", "1.0 other"), ("cdn-loop", "other")],
        );
        for kept in [
            "1.0 other",
            "1.1 node-1",
            "Cdn-Loop: other\r\n",
            "Cdn-Loop: node-1\r\n",
        ] {
            assert!(wire.contains(kept), "{kept} in {wire}");
        }
    }

    #[test]
    fn cookies_go_out_in_one_line() {
        let wire = wire("http://h.test/", &[("cookie", "a=1"), ("cookie", "b=2")]);
        assert!(wire.contains("\r\nCookie: a=1; b=2\r\n"), "{wire}");
    }

    #[test]
    fn nothing_about_this_connection_or_a_body_goes_out() {
        let wire = wire(
            "http://h.test/",
            &[
                ("connection", "x-hop"),
                ("x-hop", "1"),
                ("te", "trailers"),
                ("transfer-encoding", "chunked"),
                ("content-length", "5"),
                ("expect", "100-continue"),
                ("upgrade", "h2c"),
            ],
        );
        assert_eq!(
            wire,
            "GET / HTTP/1.1\r\nHost: h.test\r\nVia: 1.1 node-1\r\nCdn-Loop: node-1\r\n\r\n"
        );
    }
}
