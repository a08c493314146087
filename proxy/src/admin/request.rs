//! Reads and judges the head of an admin request.

use super::page::Body;
use std::net::{IpAddr, Ipv6Addr};

/// Most fields of a head.
const FIELDS_MAX: usize = 64;

/// A request that may be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'h> {
    /// Without its query.
    pub(super) path: &'h str,
    /// Whether the body is sent (GET) or only announced (HEAD).
    pub(super) body: Body,
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400
    Malformed,
    /// 405
    Method,
    /// 421 (RFC 9110 §15.5.20): not a name of this listener.
    Misdirected,
    /// 431
    TooLarge,
}

/// Whether the head has arrived, or can never become one.
pub(super) fn is_complete(head: &[u8]) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    !matches!(
        httparse::Request::new(&mut fields).parse(head),
        Ok(httparse::Status::Partial)
    )
}

/// Reads a head that is as complete as it gets.
pub(super) fn parse<'h>(head: &'h [u8], hosts: &[String]) -> Result<Request<'h>, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if head.len() >= super::HEAD_BYTES_MAX => {
            return Err(Refusal::TooLarge);
        }
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLarge),
        Ok(httparse::Status::Partial) | Err(_) => return Err(Refusal::Malformed),
    }
    let body = match request.method {
        Some("GET") => Body::Sent,
        Some("HEAD") => Body::Announced,
        _ => return Err(Refusal::Method),
    };
    check_host(request.headers, request.version, hosts)?;
    let target = request
        .path
        .filter(|target| target.starts_with('/'))
        .ok_or(Refusal::Malformed)?;
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    Ok(Request { path, body })
}

/// Exactly one Host, which only HTTP/1.0 may leave out (RFC 9112 §3.2).
fn check_host(
    fields: &[httparse::Header<'_>],
    version: Option<u8>,
    hosts: &[String],
) -> Result<(), Refusal> {
    let mut values = fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("host"));
    match (values.next(), values.next()) {
        (Some(host), None) if is_ours(host.value, hosts) => Ok(()),
        (Some(_), None) => Err(Refusal::Misdirected),
        (None, _) if version == Some(0) => Ok(()),
        (None, _) | (Some(_), Some(_)) => Err(Refusal::Malformed),
    }
}

/// An address, `localhost` or a configured name, with or without a port.
fn is_ours(value: &[u8], hosts: &[String]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else {
        return false;
    };
    if let Some(rest) = value.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(literal, port)| {
            literal.parse::<Ipv6Addr>().is_ok()
                && (port.is_empty() || is_port(port.strip_prefix(':')))
        });
    }
    let (host, has_good_port) = match value.split_once(':') {
        Some((host, port)) => (host, is_port(Some(port))),
        None => (value, true),
    };
    let host = host.to_ascii_lowercase();
    has_good_port
        && (host == "localhost" || host.parse::<IpAddr>().is_ok() || hosts.contains(&host))
}

fn is_port(text: Option<&str>) -> bool {
    text.is_some_and(|text| {
        text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, expected: Result<(&str, Body), Refusal>) {
        let hosts = ["weir.example".to_owned()];
        let parsed = parse(head.as_bytes(), &hosts).map(|request| (request.path, request.body));
        assert_eq!(parsed, expected, "{head:?}");
    }

    #[test]
    fn reads_of_pages_are_understood() {
        check(
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            Ok(("/", Body::Sent)),
        );
        check(
            "HEAD /metrics?x=1 HTTP/1.1\r\nhost: 127.0.0.1:8081\r\n\r\n",
            Ok(("/metrics", Body::Announced)),
        );
        check("GET /readyz HTTP/1.0\r\n\r\n", Ok(("/readyz", Body::Sent)));
    }

    #[test]
    fn everything_else_is_refused() {
        let host = "HTTP/1.1\r\nHost: localhost\r\n\r\n";
        check(&format!("POST / {host}"), Err(Refusal::Method));
        check(&format!("DELETE /metrics {host}"), Err(Refusal::Method));
        check(&format!("CONNECT h:80 {host}"), Err(Refusal::Method));
        check(
            &format!("GET http://localhost/ {host}"),
            Err(Refusal::Malformed),
        );
        check(&format!("GET * {host}"), Err(Refusal::Malformed));
        check("GET / HTTP/1.1\r\n\r\n", Err(Refusal::Malformed));
        check(
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            Err(Refusal::Malformed),
        );
        check(
            "GET / HTTP/1.1\r\nHost: localhost\r\n",
            Err(Refusal::Malformed),
        );
        check("\x16\x03\x01\x02\x00\x01", Err(Refusal::Malformed));
        check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Err(Refusal::Malformed));
        let fields = "A: b\r\n".repeat(FIELDS_MAX + 1);
        check(
            &format!("GET / HTTP/1.1\r\n{fields}\r\n"),
            Err(Refusal::TooLarge),
        );
        let long = "x".repeat(super::super::HEAD_BYTES_MAX);
        check(&format!("GET /{long}"), Err(Refusal::TooLarge));
    }

    #[test]
    fn only_addresses_and_known_names_are_hosts() {
        let check = |host: &str, ours| {
            let hosts = ["weir.example".to_owned()];
            assert_eq!(is_ours(host.as_bytes(), &hosts), ours, "{host:?}");
        };
        for host in [
            "localhost",
            "LOCALHOST:8081",
            "127.0.0.1",
            "192.0.2.7:80",
            "[::1]",
            "[::1]:8081",
        ] {
            check(host, true);
        }
        check("Weir.Example:8081", true);
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "user@localhost",
        ] {
            check(host, false);
        }
        for host in [
            "localhost:",
            "localhost:+1",
            "localhost:99999",
            "[::1]x",
            "[::1",
            "[evil]",
            "::1",
            "\u{e9}",
        ] {
            check(host, false);
        }
    }
}
