//! Every way to get a head wrong, by its row in the catalogue of hostile inputs.

use super::super::scan::HeadScanner;
use super::*;

const LIMITS: HeadLimits = HeadLimits {
    bytes_max: 64 * 1024,
    fields_max: 100,
    target_bytes_max: 16 * 1024,
};

/// Scanner and parser together, as a connection uses them.
fn read(head: &[u8]) -> Result<Request, u16> {
    let whole = HeadScanner::new(LIMITS)
        .advance(head)
        .map_err(|refusal| refusal.status)?
        .unwrap_or_else(|| panic!("not a whole head: {:?}", String::from_utf8_lossy(head)));
    let head = Bytes::copy_from_slice(&head[whole]);
    parse(&head, &LIMITS, Duration::ZERO).map_err(|refusal| refusal.status)
}

fn check(head: &[u8], expected: u16) {
    let found = read(head).map(|request| request.target);
    assert_eq!(found, Err(expected), "{:?}", String::from_utf8_lossy(head));
}

/// A POST with these lines besides Host.
fn check_fields(lines: &str, expected: u16) {
    check(
        format!("POST / HTTP/1.1\r\nHost: h\r\n{lines}\r\n\r\n").as_bytes(),
        expected,
    );
}

fn request(head: &str) -> Request {
    read(head.as_bytes()).unwrap_or_else(|status| panic!("{status}: {head:?}"))
}

#[test]
fn a_request_is_read_as_it_was_sent() {
    let request = request(
        "POST http://h/%2f?q HTTP/1.1\r\nHost: h:80\r\nX: a\r\nX:b \r\nContent-Length: 5\r\n\r\n",
    );
    assert_eq!(request.method, Method::POST);
    assert_eq!(request.target, "http://h/%2f?q");
    assert_eq!(request.version, Version::Http11);
    assert_eq!(request.body, BodyFraming::Length(5));
    assert!(request.keep_alive);
    let values: Vec<_> = request.headers.get_all("x").iter().collect();
    assert_eq!(values, ["a", "b"]);
}

#[test]
fn keep_alive_follows_version_and_connection() {
    let check = |version: &str, connection: &str, expected: bool| {
        let head = format!("GET / {version}\r\nHost: h\r\n{connection}\r\n\r\n");
        assert_eq!(request(&head).keep_alive, expected, "{head:?}");
    };
    check("HTTP/1.1", "X: y", true);
    check("HTTP/1.1", "Connection: Close", false);
    check("HTTP/1.1", "Connection: keep-alive, close", false);
    check(
        "HTTP/1.1",
        "Connection: keep-alive\r\nConnection: close",
        false,
    );
    check("HTTP/1.0", "X: y", false);
    check("HTTP/1.0", "Connection: x, Keep-Alive", true);
}

#[test]
fn row_1_length_and_transfer_encoding() {
    check_fields("Content-Length: 4\r\nTransfer-Encoding: chunked", 400);
    check_fields("Transfer-Encoding: chunked\r\nContent-Length: 0", 400);
}

#[test]
fn rows_2_and_3_two_lengths() {
    check_fields("Content-Length: 4\r\nContent-Length: 5", 400);
    check_fields("Content-Length: 4\r\nContent-Length: 4", 400);
    check_fields("Content-Length: 4, 4", 400);
}

#[test]
fn row_4_lengths_that_are_not_plain_numbers() {
    for value in [
        "+4",
        "-4",
        "0x4",
        "4_0",
        "1e1",
        "4.0",
        "",
        "4 4",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999",
    ] {
        check_fields(&format!("Content-Length: {value}"), 400);
    }
}

#[test]
fn rows_5_and_18_and_19_field_lines_that_two_readers_read_differently() {
    check_fields("Content-Length : 4", 400);
    check_fields("X: a\r\n folded", 400);
    check_fields("X: a\r\n\tfolded", 400);
    check_fields("no colon", 400);
    check_fields(": no name", 400);
    check(b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400);
    check(b" GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
}

#[test]
fn rows_6_and_7_transfer_codings_other_than_chunked() {
    check_fields("Transfer-Encoding: xchunked", 501);
    check_fields("Transfer-Encoding: identity", 501);
    for value in [
        "chunked, identity",
        "identity, chunked",
        "chunked, chunked",
        "",
        "\"chunked\"",
    ] {
        check_fields(&format!("Transfer-Encoding: {value}"), 400);
    }
    check_fields(
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        400,
    );
    check_fields(
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        400,
    );
}

#[test]
fn row_8_transfer_encoding_in_http_1_0() {
    check(
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    );
}

#[test]
fn row_9_control_bytes_in_transfer_encoding() {
    for byte in ["\u{b}", "\u{c}", "\0"] {
        check_fields(&format!("Transfer-Encoding: {byte}chunked"), 400);
        check_fields(&format!("Transfer-Encoding: chunked{byte}"), 400);
    }
}

#[test]
fn rows_16_and_17_bare_line_ends_and_nul() {
    check(b"GET / HTTP/1.1\nHost: h\n\n", 400);
    check(b"GET / HTTP/1.1\r\nHost: h\n\r\n", 400);
    check_fields("X: a\rb", 400);
    check_fields("X: a\0b", 400);
    check(b"GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", 400);
}

#[test]
fn rows_20_to_22_host_is_one_host() {
    check(b"GET / HTTP/1.1\r\n\r\n", 400);
    check(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    for host in [&b""[..], b"a b", b"a<b", b"a, b", b"a\xff", b"u@a", b"a/b"] {
        check(
            &[b"GET / HTTP/1.1\r\nHost: ", host, b"\r\n\r\n"].concat(),
            400,
        );
    }
    check(b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400);
    assert_eq!(request("GET / HTTP/1.0\r\n\r\n").version, Version::Http10);
    assert_eq!(request("CONNECT h:443 HTTP/1.0\r\n\r\n").target, "h:443");
}

#[test]
fn row_30_bytes_that_do_not_belong_into_a_target() {
    check(b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    check(b"GET /a\0 HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    check(b"GET /\xe4 HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    check(b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    check(b"GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    check(b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
}

#[test]
fn row_32_other_versions() {
    check(b"GET / HTTP/1.9\r\nHost: h\r\n\r\n", 505);
    check(b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505);
    check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    check(b"GET / HTTP/11.1\r\nHost: h\r\n\r\n", 400);
    check(b"GET / http/1.1\r\nHost: h\r\n\r\n", 400);
    check(b"GET /\r\n\r\n", 400);
    check(b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400);
}

#[test]
fn row_33_methods() {
    check(b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    check(b"GET\xff / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    let unknown = request("BREW / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(unknown.method.as_str(), "BREW", "for the gateway to refuse");
}

#[test]
fn row_59_connect_with_a_body() {
    check(
        b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n",
        400,
    );
    check(
        b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        400,
    );
    check(
        b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    );
}

#[test]
fn row_102_too_much_of_everything() {
    let fields = |count: usize| {
        (0..count)
            .map(|n| format!("\r\nX{n}: y"))
            .collect::<String>()
    };
    check_fields(&format!("Y: z{}", fields(99)), 431);
    let most = format!("GET / HTTP/1.1\r\nHost: h{}\r\n\r\n", fields(99));
    assert_eq!(request(&most).headers.len(), 100);
    check_fields(&format!("X: {}", "y".repeat(64 * 1024)), 431);
    check_fields(&format!("X: {}", "y".repeat(1024 * 1024)), 431);
    let target = |length: usize| {
        format!(
            "GET /{} HTTP/1.1\r\nHost: h\r\n\r\n",
            "x".repeat(length - 1)
        )
    };
    check(target(16 * 1024 + 1).as_bytes(), 414);
    check(target(64 * 1024).as_bytes(), 414);
    assert_eq!(request(&target(16 * 1024)).target.len(), 16 * 1024);
}

#[test]
fn no_input_makes_the_parser_panic() {
    // Every prefix, and every single-byte change of a plain head, must end in a verdict.
    let head = b"POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTE: x\r\n\r\n";
    for position in 0..head.len() {
        for byte in 0..=u8::MAX {
            let mut changed = *head;
            changed[position] = byte;
            if let Ok(Some(whole)) = HeadScanner::new(LIMITS).advance(&changed) {
                drop(parse(
                    &Bytes::copy_from_slice(&changed[whole]),
                    &LIMITS,
                    Duration::ZERO,
                ));
            }
        }
    }
}
