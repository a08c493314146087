//! Writes one response head. The only place where a status line and fields become bytes.
//!
//! Invariants: framing, Age, X-Cache and connection fields come from here alone, whatever the stored fields say, so
//! that a lying origin cannot smuggle a second framing past us. Upstream Cache-Status and Via stay and ours follow
//! (RFC 9211 §2, RFC 9110 §7.6.3).

use crate::field_name::write_capitalized;
use crate::front::Version;
use http::header::{self, HeaderName};
use http::{HeaderMap, StatusCode};
use std::time::SystemTime;

/// How the client finds the end of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// The status has no body and says no length (1xx, 204, 304).
    None,
    /// Content-Length; on HEAD only the field is sent.
    Length(u64),
    /// Chunked coding.
    Chunked,
    /// The connection closes.
    Close,
}

/// What is sent besides the stored fields.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) status: StatusCode,
    /// Fields of the representation.
    pub(crate) fields: &'a HeaderMap,
    /// The body's end; `Close` also closes the connection.
    pub(crate) end: BodyEnd,
    /// The client's version: 1.0 has to be told that the connection stays.
    pub(crate) version: Version,
    pub(crate) keep_alive: bool,
    /// Age, seconds, for responses that were not fetched for this request.
    pub(crate) age: Option<u64>,
    /// `Content-Range` and the like: replaces the field of the same name.
    pub(crate) replaced: Vec<(&'static str, String)>,
    /// Node name for Via.
    pub(crate) node: &'a str,
    pub(crate) x_cache: Option<&'static str>,
    pub(crate) cache_status: Option<String>,
    pub(crate) request_id: &'a str,
    /// For a Date the upstream did not send (RFC 9110 §6.6.1).
    pub(crate) now: SystemTime,
}

const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Head<'_> {
    /// The head as bytes, empty line included.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        let reason = self.status.canonical_reason().unwrap_or("Unknown");
        out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", self.status.as_u16()).as_bytes());
        for (name, value) in self.fields {
            if !self.is_ours(name) {
                put(&mut out, name.as_str(), value.as_bytes());
            }
        }
        self.put_ours(&mut out);
        out.extend_from_slice(b"\r\n");
        out
    }

    fn is_ours(&self, name: &HeaderName) -> bool {
        let framing = [
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::CONNECTION,
            header::TRAILER,
        ];
        framing.contains(name)
            || *name == X_CACHE
            || *name == X_REQUEST_ID
            || (*name == header::AGE && self.age.is_some())
            || self.replaced.iter().any(|(replaced, _)| name == replaced)
    }

    fn put_ours(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.replaced {
            put(out, name, value.as_bytes());
        }
        match self.end {
            BodyEnd::None | BodyEnd::Close => {}
            BodyEnd::Length(length) => put(out, "content-length", length.to_string().as_bytes()),
            BodyEnd::Chunked => put(out, "transfer-encoding", b"chunked"),
        }
        if !self.fields.contains_key(header::DATE) {
            put(out, "date", httpdate::fmt_http_date(self.now).as_bytes());
        }
        if let Some(age) = self.age {
            put(out, "age", age.to_string().as_bytes());
        }
        put(out, "via", format!("1.1 {}", self.node).as_bytes());
        if let Some(status) = &self.cache_status {
            put(out, "cache-status", status.as_bytes());
        }
        if let Some(x_cache) = self.x_cache {
            put(out, "x-cache", x_cache.as_bytes());
        }
        put(out, "x-request-id", self.request_id.as_bytes());
        match (self.stays_open(), self.version) {
            (false, _) => put(out, "connection", b"close"),
            (true, Version::Http10) => put(out, "connection", b"keep-alive"),
            (true, Version::Http11) => {}
        }
    }

    /// Whether the connection can serve another request after this response.
    pub(crate) fn stays_open(&self) -> bool {
        self.keep_alive && self.end != BodyEnd::Close
    }
}

/// An interim response (RFC 9110 §15.2): a head without a body.
pub(crate) fn interim_head(status: StatusCode, fields: &HeaderMap) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or("Unknown");
    let mut out = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in fields {
        put(&mut out, name.as_str(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn put(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    write_capitalized(out, name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn written(fields: &HeaderMap, end: BodyEnd, version: Version) -> String {
        let head = Head {
            status: StatusCode::OK,
            fields,
            end,
            version,
            keep_alive: true,
            age: Some(7),
            replaced: Vec::new(),
            node: "node",
            x_cache: Some("HIT"),
            cache_status: Some("node; hit".to_owned()),
            request_id: "r1",
            now: SystemTime::UNIX_EPOCH,
        };
        String::from_utf8(head.to_bytes()).expect("ASCII")
    }

    #[test]
    fn stored_framing_and_age_never_reach_the_client() {
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("content-length", "99"),
            ("transfer-encoding", "chunked"),
            ("age", "1"),
            ("x-cache", "HIT from x"),
        ] {
            fields.insert(name, HeaderValue::from_static(value));
        }
        let head = written(&fields, BodyEnd::Length(3), Version::Http11);
        assert!(head.contains("Content-Length: 3\r\n"), "{head}");
        assert!(head.contains("\r\nAge: 7\r\n"), "{head}");
        for lie in ["99", "chunked", "Age: 1\r\n", "from x"] {
            assert!(!head.contains(lie), "{lie} in {head}");
        }
    }

    #[test]
    fn upstream_via_and_cache_status_stay_before_ours() {
        let mut fields = HeaderMap::new();
        fields.insert("via", HeaderValue::from_static("1.1 other"));
        fields.insert("cache-status", HeaderValue::from_static("other; hit"));
        let head = written(&fields, BodyEnd::Chunked, Version::Http11);
        let place = |needle: &str| {
            head.find(needle)
                .unwrap_or_else(|| panic!("{needle} in {head}"))
        };
        assert!(place("Via: 1.1 other") < place("Via: 1.1 node"));
        assert!(place("Cache-Status: other") < place("Cache-Status: node; hit"));
        assert!(head.contains("Date: Thu, 01 Jan 1970"), "{head}");
    }

    #[test]
    fn an_old_client_is_told_that_the_connection_stays_and_a_new_one_that_it_closes() {
        let fields = HeaderMap::new();
        assert!(
            written(&fields, BodyEnd::Length(0), Version::Http10)
                .contains("Connection: keep-alive")
        );
        assert!(!written(&fields, BodyEnd::Length(0), Version::Http11).contains("Connection:"));
        assert!(written(&fields, BodyEnd::Close, Version::Http11).contains("Connection: close"));
    }
}
