//! The header work of handing a request through, in both directions. Pure functions on heads; the callbacks in
//! [`super`] only call them.
//!
//! Upstream sees an origin-form request with exactly the framing that the front has read. The client sees a response
//! with exactly the framing that Pingora's writer will use.

use crate::front::{BodyFraming, Request, Version};
use crate::record::request_id;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, MAX_FORWARDS,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, Method, StatusCode};
use weir_policies::hop;
use weir_policies::outcome::Outcome;
use weir_policies::target::Target;

/// RFC 8586.
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");
/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// What people and scripts look for.
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// Finds the request in the logs.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The head that Pingora's session reads in place of the client's, CRLF CRLF included.
///
/// The session decides from this head alone whether the client's connection stays, so `keep_alive` is said here, and
/// taken out again by [`super::Pass`] before the request goes upstream.
pub(crate) fn request_head(
    request: &Request,
    target: &Target,
    keep_alive: bool,
    node: &str,
) -> Bytes {
    let headers = upstream_fields(request, node);
    let mut head = format!(
        "{} {} {}\r\nhost: {}\r\n",
        request.method,
        target.path_and_query(),
        request.version.as_str(),
        target.authority(),
    )
    .into_bytes();
    for (name, value) in &headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    match request.body {
        BodyFraming::Length(length) => {
            head.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
        }
        BodyFraming::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        // An upload of nothing says so: some origins answer 411 else.
        BodyFraming::None if request.headers.contains_key(CONTENT_LENGTH) => {
            head.extend_from_slice(b"content-length: 0\r\n");
        }
        BodyFraming::None => {}
    }
    let keep_alive = if keep_alive { "keep-alive" } else { "close" };
    head.extend_from_slice(format!("connection: {keep_alive}\r\n\r\n").as_bytes());
    Bytes::from(head)
}

/// The end-to-end fields of a request and what this hop adds; without Host and framing, which are written anew.
fn upstream_fields(request: &Request, node: &str) -> HeaderMap {
    let mut headers = request.headers.clone();
    hop::strip(&mut headers);
    headers.remove(HOST);
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONNECTION);
    let received = match request.version {
        Version::Http10 => {
            // HTTP/1.0 knows no expectations (RFC 9110 §10.1.1).
            headers.remove(EXPECT);
            "1.0"
        }
        Version::Http11 => "1.1",
    };
    hop::append_via(&mut headers, received, node);
    if let Ok(node) = HeaderValue::from_str(node) {
        headers.append(CDN_LOOP, node);
    }
    if request.method == Method::OPTIONS || request.method == Method::TRACE {
        decrement_max_forwards(&mut headers);
    }
    headers
}

/// RFC 9110 §7.6.2. A value of 0 was answered by the gateway; what is not a number stays as it is.
fn decrement_max_forwards(headers: &mut HeaderMap) {
    let hops = headers
        .get(MAX_FORWARDS)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(hops) = hops {
        headers.insert(MAX_FORWARDS, HeaderValue::from(hops.saturating_sub(1)));
    }
}

/// How the body of a response reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseFraming {
    /// There is none, whatever the head says: HEAD, 204, 304.
    Bodiless,
    /// Content-Length, or chunked.
    Delimited,
    /// Until the connection ends: the upstream did the same, and the client must see the same ambiguity; or the client
    /// speaks HTTP/1.0 and the length is not known.
    UntilClose,
}

/// What is wrong with the framing of an upstream's response: a 502. `Ok`: how it is delimited.
pub(super) fn upstream_framing(
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<ResponseFraming, &'static str> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next();
    let is_chunked = coding.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if coding.is_some() && (!is_chunked || codings.next().is_some()) {
        return Err("the response has a transfer coding other than chunked");
    }
    if method == Method::HEAD || matches!(status.as_u16(), 204 | 304) {
        return Ok(ResponseFraming::Bodiless);
    }
    if is_chunked || headers.contains_key(CONTENT_LENGTH) {
        return Ok(ResponseFraming::Delimited);
    }
    Ok(ResponseFraming::UntilClose)
}

/// Turns an upstream's response fields into those for the client. `is_chunked`: Pingora will write chunks unless the
/// head says otherwise.
pub(super) fn response_fields(
    headers: &mut HeaderMap,
    status: StatusCode,
    framing: ResponseFraming,
    node: &str,
) {
    let is_chunked = headers.contains_key(TRANSFER_ENCODING);
    hop::strip(headers);
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    match framing {
        ResponseFraming::Bodiless if matches!(status.as_u16(), 204 | 304) => {
            headers.remove(CONTENT_LENGTH);
        }
        ResponseFraming::Delimited if is_chunked => {
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        ResponseFraming::UntilClose => {
            headers.remove(CONTENT_LENGTH);
        }
        ResponseFraming::Bodiless | ResponseFraming::Delimited => {}
    }
    collapse_content_length(headers);
    hop::append_via(headers, "1.1", node);
    mark_outcome(headers, Outcome::Pass, Some(status.as_u16()), node);
}

/// Fields of a 1xx: only the hop-by-hop ones go.
pub(super) fn informational_fields(headers: &mut HeaderMap) {
    hop::strip(headers);
    headers.remove(CONNECTION);
}

/// Cache-Status and X-Cache, where the outcome has them.
pub(super) fn mark_outcome(
    headers: &mut HeaderMap,
    outcome: Outcome,
    forwarded_status: Option<u16>,
    node: &str,
) {
    let status = outcome.cache_status(node, None, forwarded_status, false);
    if let Some(status) = status.and_then(|status| HeaderValue::try_from(status).ok()) {
        headers.append(CACHE_STATUS, status);
    }
    if let Some(word) = outcome.x_cache() {
        headers.insert(X_CACHE, HeaderValue::from_static(word));
    }
}

/// X-Request-Id: ours, also when the upstream has one, because our logs know the request by it.
pub(super) fn mark_request(headers: &mut HeaderMap, number: u64) {
    if let Ok(text) = HeaderValue::try_from(request_id(number)) {
        headers.insert(X_REQUEST_ID, text);
    }
}

/// `4` and `4`, or `4, 4`, say it once (RFC 9110 §8.6). Differing values never get here: Pingora refuses them.
fn collapse_content_length(headers: &mut HeaderMap) {
    let Some(value) = headers.get(CONTENT_LENGTH) else {
        return;
    };
    let first = value.as_bytes().split(|byte| *byte == b',').next();
    if let Some(Ok(first)) = first.map(|first| HeaderValue::from_bytes(first.trim_ascii())) {
        headers.insert(CONTENT_LENGTH, first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn request(version: Version, method: Method, fields: &[(&str, &str)]) -> Request {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        Request {
            method,
            target: "http://Upstream:80/a//b?c".into(),
            version,
            headers,
            body: BodyFraming::None,
            keep_alive: true,
            arrived: Duration::ZERO,
        }
    }

    fn head(request: &Request) -> String {
        let target = Target::parse(&request.target).unwrap();
        String::from_utf8(request_head(request, &target, true, "node").to_vec()).unwrap()
    }

    #[test]
    fn rows_24_and_26_the_upstream_sees_origin_form_and_its_own_host() {
        let request = request(Version::Http11, Method::POST, &[("Host", "other")]);
        let head = head(&request);
        assert!(
            head.starts_with("POST /a//b?c HTTP/1.1\r\nhost: upstream\r\n"),
            "{head}"
        );
        assert!(!head.contains("other"), "{head}");
        assert!(head.ends_with("connection: keep-alive\r\n\r\n"), "{head}");
    }

    #[test]
    fn rows_34_to_37_nothing_of_this_hop_goes_upstream() {
        let request = request(
            Version::Http11,
            Method::POST,
            &[
                ("Host", "upstream"),
                ("Connection", "X-Secret, Upgrade, HTTP2-Settings, Via"),
                ("X-Secret", "1"),
                ("Upgrade", "h2c"),
                ("HTTP2-Settings", "x"),
                ("Proxy-Authorization", "Basic x"),
                ("Proxy-Connection", "keep-alive"),
                ("Keep-Alive", "5"),
                ("TE", "trailers"),
                ("Trailer", "X"),
                ("Via", "1.0 before"),
                ("Authorization", "Basic y"),
            ],
        );
        let head = head(&request);
        for gone in [
            "secret",
            "upgrade",
            "settings",
            "proxy-",
            "keep-alive:",
            "\r\nte:",
            "trailer",
        ] {
            assert!(!head.contains(gone), "{gone} in {head}");
        }
        assert!(head.contains("authorization: Basic y\r\n"), "{head}");
        assert!(head.contains("1.0 before"), "{head}");
        assert!(head.contains("1.1 node"), "{head}");
        assert!(head.contains("cdn-loop: node\r\n"), "{head}");
    }

    #[test]
    fn the_framing_is_written_anew() {
        let mut post = request(Version::Http11, Method::POST, &[("Content-Length", "5")]);
        post.body = BodyFraming::Length(5);
        assert_eq!(head(&post).matches("content-length: 5\r\n").count(), 1);
        let mut post = request(
            Version::Http11,
            Method::POST,
            &[("Transfer-Encoding", "chunked")],
        );
        post.body = BodyFraming::Chunked;
        assert_eq!(
            head(&post)
                .matches("transfer-encoding: chunked\r\n")
                .count(),
            1
        );
        let empty = request(Version::Http11, Method::POST, &[("Content-Length", "0")]);
        assert_eq!(head(&empty).matches("content-length: 0\r\n").count(), 1);
    }

    #[test]
    fn row_41_max_forwards_counts_down() {
        let options = request(Version::Http11, Method::OPTIONS, &[("Max-Forwards", "3")]);
        assert!(head(&options).contains("max-forwards: 2\r\n"));
        let post = request(Version::Http11, Method::POST, &[("Max-Forwards", "3")]);
        assert!(head(&post).contains("max-forwards: 3\r\n"));
    }

    #[test]
    fn an_expectation_of_http_1_0_is_ignored() {
        let fields = [("Expect", "100-continue")];
        assert!(!head(&request(Version::Http10, Method::POST, &fields)).contains("expect"));
        assert!(head(&request(Version::Http11, Method::POST, &fields)).contains("expect"));
    }

    fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_static(value),
            );
        }
        headers
    }

    #[test]
    fn rows_122_and_123_how_an_upstream_delimits() {
        let check =
            |method: Method, status: u16, given: &[(&'static str, &'static str)], expected| {
                let status = StatusCode::from_u16(status).unwrap();
                let found = upstream_framing(&method, status, &fields(given)).map_err(|_| ());
                assert_eq!(found, expected, "{method} {status} {given:?}");
            };
        let chunked = ("transfer-encoding", "Chunked");
        let length = ("content-length", "4");
        check(Method::POST, 200, &[length], Ok(ResponseFraming::Delimited));
        check(
            Method::POST,
            200,
            &[chunked],
            Ok(ResponseFraming::Delimited),
        );
        check(
            Method::POST,
            200,
            &[chunked, length],
            Ok(ResponseFraming::Delimited),
        );
        check(Method::POST, 200, &[], Ok(ResponseFraming::UntilClose));
        check(Method::POST, 204, &[length], Ok(ResponseFraming::Bodiless));
        check(Method::HEAD, 200, &[length], Ok(ResponseFraming::Bodiless));
        check(
            Method::POST,
            200,
            &[("transfer-encoding", "identity"), length],
            Err(()),
        );
        check(
            Method::POST,
            200,
            &[("transfer-encoding", "gzip, chunked")],
            Err(()),
        );
        check(Method::POST, 200, &[chunked, chunked], Err(()));
    }

    #[test]
    fn row_128_a_response_without_body_says_no_length() {
        let mut headers = fields(&[("content-length", "4"), ("transfer-encoding", "chunked")]);
        response_fields(
            &mut headers,
            StatusCode::NO_CONTENT,
            ResponseFraming::Bodiless,
            "node",
        );
        assert!(!headers.contains_key(CONTENT_LENGTH));
        assert!(!headers.contains_key(TRANSFER_ENCODING));
    }

    #[test]
    fn fields_named_by_the_upstreams_connection_are_stripped() {
        let mut headers = fields(&[
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("x-end", "1"),
            ("content-length", "4, 4"),
        ]);
        response_fields(
            &mut headers,
            StatusCode::OK,
            ResponseFraming::Delimited,
            "node",
        );
        assert!(!headers.contains_key("x-hop"));
        assert!(headers.contains_key("x-end"));
        assert_eq!(headers.get(CONTENT_LENGTH).unwrap(), "4");
        assert!(headers.contains_key("via"));
        assert!(headers.contains_key(CACHE_STATUS));
    }
}
