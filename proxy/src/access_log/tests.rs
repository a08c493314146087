//! Every format against the literal line it must give, for an ordinary request and for hostile ones.

use super::*;
use crate::record::request_id;
use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};
use weir_policies::outcome::Outcome;
use weir_policies::storability::NotStored;
use weir_policies::target::Form;

fn ordinary() -> Record {
    let client: SocketAddr = "192.0.2.7:50123".parse().unwrap();
    let started_at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_042);
    Record {
        duration: Duration::from_micros(87_654),
        first_byte: Some(Duration::from_micros(1_234)),
        method: "GET".to_owned(),
        url: "http://deb.example/pool/a_1.0.deb?x=1".to_owned(),
        version: "HTTP/1.1",
        form: Some(Form::Forward),
        status: 200,
        outcome: Outcome::Miss,
        head_bytes: 300,
        body_bytes: 5_000,
        complete: true,
        upstream: Some("198.51.100.4:80".parse().unwrap()),
        user_agent: Some("Wget/1.21".to_owned()),
        media_type: Some("application/octet-stream".to_owned()),
        ..Record::new(42, client, started_at, Duration::ZERO)
    }
}

fn hostile() -> Record {
    Record {
        method: "GE\rT".to_owned(),
        url: "http://user:secret@h/a b\"\r\n1700000000.000 0 forged".to_owned(),
        outcome: Outcome::Refused,
        status: 400,
        upstream: None,
        referer: Some("http://me:secret@h/\x1b]0;x\x07".to_owned()),
        user_agent: Some("\" \"-\" \\ \u{fc}\n".to_owned()),
        media_type: Some("text/\u{202e} plain".to_owned()),
        ..ordinary()
    }
}

/// A head that could not be read, from a client that left at once.
fn unreadable() -> Record {
    let client: SocketAddr = "[::ffff:192.0.2.9]:1".parse().unwrap();
    Record::new(1, client, UNIX_EPOCH, Duration::ZERO)
}

fn check(format: Format, record: &Record, expected: &str) {
    let line = format.line(record);
    assert_eq!(line, format!("{expected}\n"));
    assert!(
        line.trim_end_matches('\n')
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte))
    );
    assert!(!line.contains("secret"));
}

#[test]
fn squid_lines() {
    check(
        Format::Squid,
        &ordinary(),
        "1700000000.042     87 192.0.2.7 TCP_MISS/200 5300 GET http://deb.example/pool/a_1.0.deb?x=1 \
         - HIER_DIRECT/198.51.100.4 application/octet-stream",
    );
    check(
        Format::Squid,
        &hostile(),
        "1700000000.042     87 192.0.2.7 TCP_DENIED/400 5300 GE%0DT http://h/a%20b%22%0D \
         - HIER_NONE/- text/%E2%80%AE%20plain",
    );
    check(
        Format::Squid,
        &unreadable(),
        "0.000      0 192.0.2.9 TCP_MISS_ABORTED/000 0 - - - HIER_NONE/- -",
    );
}

#[test]
fn squid_marks_what_was_cut_short_and_names_no_upstream_for_a_hit() {
    let hit = Record {
        outcome: Outcome::Hit,
        ..ordinary()
    };
    assert!(Format::Squid.line(&hit).contains(" TCP_HIT/200 "));
    assert!(Format::Squid.line(&hit).contains(" HIER_NONE/- "));
    let cut = Record {
        complete: false,
        ..hit
    };
    assert!(Format::Squid.line(&cut).contains(" TCP_HIT_ABORTED/200 "));
    let refused = Record {
        outcome: Outcome::Refused,
        complete: false,
        ..ordinary()
    };
    assert!(Format::Squid.line(&refused).contains(" TCP_DENIED/200 "));
}

/// Of a tunnel that the end of the drain has cut.
fn tunnel() -> Record {
    Record {
        method: "CONNECT".to_owned(),
        url: "deb.example:443".to_owned(),
        form: None,
        outcome: Outcome::Tunnel,
        detail: Some("shutdown"),
        upload_bytes: 700,
        complete: false,
        media_type: None,
        ..ordinary()
    }
}

#[test]
fn a_tunnel_names_its_far_end_and_both_directions() {
    check(
        Format::Squid,
        &tunnel(),
        "1700000000.042     87 192.0.2.7 TCP_TUNNEL_ABORTED/200 5300 CONNECT deb.example:443 \
         - HIER_DIRECT/198.51.100.4 -",
    );
    let json = Format::Json.line(&tunnel());
    assert!(json.contains("\"outcome\":\"tunnel\",\"detail\":\"shutdown\""));
    assert!(json.contains("\"body_bytes\":5000,\"upload_bytes\":700,\"complete\":false"));
}

#[test]
fn combined_lines() {
    check(
        Format::Combined,
        &ordinary(),
        "192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] \
         \"GET http://deb.example/pool/a_1.0.deb?x=1 HTTP/1.1\" 200 5000 \"-\" \"Wget/1.21\"",
    );
    check(
        Format::Combined,
        &hostile(),
        "192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] \
         \"GE\\x0DT http://h/a b\\\"\\x0D HTTP/1.1\" 400 5000 \
         \"http://h/\\x1B]0;x\\x07\" \"\\\" \\\"-\\\" \\\\ \\xC3\\xBC\\x0A\"",
    );
    check(
        Format::Combined,
        &unreadable(),
        "192.0.2.9 - - [01/Jan/1970:00:00:00 +0000] \"-\" 000 0 \"-\" \"-\"",
    );
}

#[test]
fn json_lines() {
    let id = request_id(42);
    check(
        Format::Json,
        &ordinary(),
        &format!(
            "{{\"time\":\"2023-11-14T22:13:20.042Z\",\"request_id\":\"{id}\",\
             \"client\":\"192.0.2.7\",\"client_port\":50123,\
             \"method\":\"GET\",\"url\":\"http://deb.example/pool/a_1.0.deb?x=1\",\
             \"version\":\"HTTP/1.1\",\"form\":\"forward\",\"rule\":null,\
             \"referer\":null,\"user_agent\":\"Wget/1.21\",\
             \"status\":200,\"outcome\":\"miss\",\"detail\":null,\
             \"media_type\":\"application/octet-stream\",\
             \"head_bytes\":300,\"body_bytes\":5000,\"upload_bytes\":0,\"complete\":true,\
             \"duration_seconds\":0.087654,\"first_byte_seconds\":0.001234,\
             \"upstream\":\"198.51.100.4:80\"}}"
        ),
    );
    check(
        Format::Json,
        &hostile(),
        &format!(
            "{{\"time\":\"2023-11-14T22:13:20.042Z\",\"request_id\":\"{id}\",\
             \"client\":\"192.0.2.7\",\"client_port\":50123,\
             \"method\":\"GE\\u000dT\",\"url\":\"http://h/a b\\\"\\u000d\",\
             \"version\":\"HTTP/1.1\",\"form\":\"forward\",\"rule\":null,\
             \"referer\":\"http://h/\\u001b]0;x\\u0007\",\
             \"user_agent\":\"\\\" \\\"-\\\" \\\\ \\u00fc\\u000a\",\
             \"status\":400,\"outcome\":\"refused\",\"detail\":null,\
             \"media_type\":\"text/\\u202e plain\",\
             \"head_bytes\":300,\"body_bytes\":5000,\"upload_bytes\":0,\"complete\":true,\
             \"duration_seconds\":0.087654,\"first_byte_seconds\":0.001234,\
             \"upstream\":null}}"
        ),
    );
}

#[test]
fn json_tells_why_a_response_was_not_stored() {
    let record = Record {
        outcome: Outcome::Uncached(NotStored::VaryStar),
        ..ordinary()
    };
    let line = Format::Json.line(&record);
    assert!(
        line.contains("\"outcome\":\"uncached\",\"detail\":\"vary-star\""),
        "{line}"
    );
    let line = Format::Json.line(&unreadable());
    assert!(
        line.contains("\"method\":null,\"url\":null,\"version\":null"),
        "{line}"
    );
    assert!(line.contains("\"first_byte_seconds\":null"), "{line}");
}

#[test]
fn words_of_the_configuration() {
    assert_eq!("squid".parse::<Format>().unwrap(), Format::Squid);
    assert_eq!(
        "clf".parse::<Format>().unwrap_err().to_string(),
        "unknown access log format \"clf\": use squid, combined or json"
    );
    assert_eq!(Destination::from("off"), Destination::Off);
    let path = PathBuf::from("/var/log/weir/access.log");
    assert_eq!(
        Destination::from("/var/log/weir/access.log"),
        Destination::File(path)
    );
}

#[tokio::test]
async fn a_file_is_appended_to_reopened_and_flushed_at_close() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    std::fs::write(&path, "before\n").unwrap();
    let log = AccessLog::start(&Destination::File(path.clone()), Format::Squid).unwrap();
    log.log(&ordinary());
    log.close().await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("before\n{}", Format::Squid.line(&ordinary())));

    let log = AccessLog::start(&Destination::File(path.clone()), Format::Combined).unwrap();
    std::fs::rename(&path, folder.path().join("access.log.1")).unwrap();
    log.reopen();
    log.log(&hostile());
    log.close().await;
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        Format::Combined.line(&hostile())
    );
}

#[tokio::test]
async fn a_log_that_is_off_takes_lines_and_closes() {
    let log = AccessLog::start(&Destination::Off, Format::Json).unwrap();
    log.log(&ordinary());
    log.reopen();
    log.close().await;
}

#[tokio::test]
async fn a_log_that_is_switched_loses_no_line_and_mixes_no_formats() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let log = AccessLog::start(&Destination::Off, Format::Json).unwrap();
    log.log(&ordinary());
    let expected = [("squid", Format::Squid), ("combined", Format::Combined)];
    for (name, format) in expected {
        log.switch(AccessLog::open(&Destination::File(path(name)), format).unwrap());
        log.log(&ordinary());
        log.log(&hostile());
    }
    log.switch(AccessLog::open(&Destination::Off, Format::Json).unwrap());
    log.log(&ordinary());
    log.close().await;
    let lines: Vec<String> = expected
        .iter()
        .flat_map(|(_, format)| [format.line(&ordinary()), format.line(&hostile())])
        .collect();
    let written: String = ["squid", "combined"]
        .iter()
        .map(|name| std::fs::read_to_string(path(name)).unwrap())
        .collect();
    assert_eq!(written, lines.concat());
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent/access.log");
    let opened = AccessLog::start(&Destination::File(path.clone()), Format::Json);
    let error = opened.err().expect("an error");
    let expected = format!(
        "cannot open the access log {} for appending",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
}
