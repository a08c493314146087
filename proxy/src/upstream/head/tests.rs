//! Response heads as hostile.md section E sends them, over in-memory streams.

use super::*;
use tokio::io::AsyncWriteExt;

const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Reads a head from `wire`, which then closes; also returns what was left behind it.
async fn read_all(method: &Method, wire: &[u8]) -> (Result<Head, HeadError>, BytesMut) {
    let mut buffer = BytesMut::new();
    let mut stream = wire;
    let head = read(
        &mut stream,
        &mut buffer,
        method,
        HEAD_BYTES_MAX,
        &mut InterimRelay::default(),
    )
    .await;
    (head, buffer)
}

async fn head(wire: &str) -> Result<Head, HeadError> {
    read_all(&Method::GET, wire.as_bytes()).await.0
}

/// The head of a 200 with these fields.
async fn with_fields(fields: &str) -> Result<Head, HeadError> {
    head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).await
}

async fn refused(wire: &str) {
    match head(wire).await {
        Err(HeadError::Protocol(_)) => {}
        other => panic!("{:?} gave {other:?}", wire.get(..200).unwrap_or(wire)),
    }
}

#[tokio::test]
async fn row_120_duplicate_or_malformed_content_length_is_refused() {
    for fields in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 5\r\n",
        "Content-Length: -4\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 4_0\r\n",
        "Content-Length: 1e1\r\n",
        "Content-Length: 4 4\r\n",
        "Content-Length:\r\n",
        "Content-Length: 4,\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 99999999999999999999999\r\n",
    ] {
        refused(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).await;
    }
}

#[tokio::test]
async fn row_120_identical_content_lengths_become_one() {
    for fields in [
        "Content-Length: 4\r\nContent-Length: 4\r\n",
        "Content-Length: 4, 04\r\n",
    ] {
        let head = with_fields(fields).await.unwrap();
        assert_eq!(head.framing, Framing::Length(4));
        let values: Vec<_> = head.headers.get_all("content-length").iter().collect();
        assert_eq!(values, ["4"]);
        assert_eq!(head.persistence, Persistence::Keep);
    }
}

#[tokio::test]
async fn row_121_chunked_wins_over_content_length_and_ends_the_connection() {
    let head = with_fields("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n")
        .await
        .unwrap();
    assert_eq!(head.framing, Framing::Chunked);
    assert_eq!(head.persistence, Persistence::Close);
    assert!(head.headers.get("content-length").is_none());
    assert!(head.headers.get("transfer-encoding").is_none());
}

#[tokio::test]
async fn row_122_codings_other_than_chunked_are_refused() {
    for coding in [
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, chunked",
        "chunked;q=1",
        "xchunked",
        "",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: identity",
    ] {
        refused(&format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n"
        ))
        .await;
    }
    refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let head = with_fields("Transfer-Encoding: CHUNKED\r\n").await.unwrap();
    assert_eq!(
        (head.framing, head.persistence),
        (Framing::Chunked, Persistence::Keep)
    );
}

#[tokio::test]
async fn row_123_without_framing_the_body_ends_with_the_connection() {
    let head = with_fields("").await.unwrap();
    assert_eq!(
        (head.framing, head.persistence),
        (Framing::UntilClose, Persistence::Close)
    );
}

#[tokio::test]
async fn rows_124_and_125_control_bytes_folds_and_spaces_are_refused() {
    for fields in [
        "A: b\0c\r\n",
        "A: b\rc\r\n",
        "A\0: b\r\n",
        "A : b\r\n",
        "A: b\r\n c\r\n",
        "A: b\r\n\tc\r\n",
        " A: b\r\n",
        "A\r\n",
        ": b\r\n",
        "A(: b\r\n",
        "A: b\x7f\r\n",
    ] {
        refused(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).await;
    }
}

#[tokio::test]
async fn row_126_statuses_and_versions_that_are_none_are_refused() {
    for line in [
        "HTTP/1.1 099 Low",
        "HTTP/1.1 1000 High",
        "HTTP/1.1 20 Short",
        "HTTP/1.1 2x0 Odd",
        "HTTP/1.1 -20 Odd",
        "HTTP/1.1  200 Spaces",
        "HTTP/2.0 200 OK",
        "HTTP/1.9 200 OK",
        "HTTP/11 200 OK",
        "ICY 200 OK",
        "<html>hello</html>",
        "",
    ] {
        refused(&format!("{line}\r\nContent-Length: 0\r\n\r\n")).await;
    }
}

#[tokio::test]
async fn row_126_garbage_is_refused_at_its_first_byte() {
    let (mut stream, mut origin) = tokio::io::duplex(64);
    origin.write_all(b"h").await.unwrap();
    let mut buffer = BytesMut::new();
    let head = read(
        &mut stream,
        &mut buffer,
        &Method::GET,
        HEAD_BYTES_MAX,
        &mut InterimRelay::default(),
    )
    .await;
    assert!(matches!(head, Err(HeadError::Protocol(_))), "{head:?}");
}

#[tokio::test]
async fn row_127_size_and_number_of_fields_are_bounded() {
    let long = "x".repeat(2 * 1024 * 1024);
    refused(&format!("HTTP/1.1 200 OK\r\nA: {long}\r\n\r\n")).await;
    let fields = |count| "A: b\r\n".repeat(count);
    refused(&format!(
        "HTTP/1.1 200 OK\r\n{}\r\n",
        fields(FIELDS_MAX + 1)
    ))
    .await;
    refused(&format!("HTTP/1.1 200 OK\r\n{}\r\n", fields(3000))).await;
    assert_eq!(
        with_fields(&fields(FIELDS_MAX))
            .await
            .unwrap()
            .headers
            .len(),
        FIELDS_MAX
    );
}

#[tokio::test]
async fn row_128_messages_without_body_have_none() {
    async fn check(method: Method, wire: &str, length: Option<&str>, persistence: Persistence) {
        let head = read_all(&method, wire.as_bytes()).await.0.unwrap();
        assert_eq!(head.framing, Framing::None, "{wire}");
        let value = head
            .headers
            .get("content-length")
            .map(|value| value.to_str().unwrap());
        assert_eq!(value, length, "{wire}");
        assert_eq!(head.persistence, persistence, "{wire}");
    }
    use Persistence::{Close, Keep};
    let get = || Method::GET;
    check(get(), "HTTP/1.1 204 No\r\n\r\n", None, Keep).await;
    check(
        get(),
        "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello",
        None,
        Close,
    )
    .await;
    check(
        get(),
        "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
        None,
        Close,
    )
    .await;
    check(
        get(),
        "HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n",
        Some("5"),
        Keep,
    )
    .await;
    check(
        Method::HEAD,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        Some("5"),
        Keep,
    )
    .await;
    check(Method::HEAD, "HTTP/1.1 200 OK\r\n\r\n", None, Keep).await;
}

#[tokio::test]
async fn row_129_switching_protocols_unasked_is_refused() {
    refused("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
        .await;
}

#[tokio::test]
async fn row_114_ten_interim_responses_are_skipped_and_no_more() {
    let interim = |count| "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(count);
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let head = head(&format!("{}{last}", interim(10))).await.unwrap();
    assert_eq!(head.status, 200);
    assert!(head.headers.get("link").is_none());
    refused(&format!("{}{last}", interim(11))).await;
}

#[tokio::test]
async fn silence_is_told_from_a_broken_head() {
    assert_eq!(head("").await.unwrap_err(), HeadError::Silent);
    assert_eq!(
        head("HTTP/1.1 200 OK\r\nA: b").await.unwrap_err(),
        HeadError::Closed
    );
    let interim_only = "HTTP/1.1 100 Continue\r\n\r\n";
    assert_eq!(head(interim_only).await.unwrap_err(), HeadError::Closed);
}

#[tokio::test]
async fn persistence_follows_version_and_connection() {
    async fn check(wire: &str, expected: Persistence) {
        assert_eq!(head(wire).await.unwrap().persistence, expected, "{wire}");
    }
    use Persistence::{Close, Keep};
    check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Keep).await;
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n",
        Close,
    )
    .await;
    check("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", Close).await;
    check(
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n",
        Keep,
    )
    .await;
}

#[tokio::test]
async fn hop_by_hop_fields_are_stripped() {
    let head =
        with_fields("Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nETag: \"e\"\r\n")
            .await
            .unwrap();
    let names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["etag"]);
}

#[tokio::test]
async fn a_head_reads_the_same_however_it_was_split() {
    let wire = b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\n\r\nhello";
    for split in 0..=wire.len() {
        let (first, second) = wire.split_at(split);
        let mut stream = two_reads(first, second);
        let mut buffer = BytesMut::new();
        let head = read(
            &mut stream,
            &mut buffer,
            &Method::GET,
            HEAD_BYTES_MAX,
            &mut InterimRelay::default(),
        )
        .await
        .unwrap();
        assert_eq!(
            (head.status.as_u16(), head.framing),
            (200, Framing::Length(5)),
            "{split}"
        );
        let mut rest = buffer.to_vec();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"hello", "{split}");
    }
    // And byte by byte.
    let (mut stream, mut origin) = tokio::io::duplex(1);
    let mut buffer = BytesMut::new();
    let mut relay = InterimRelay::default();
    let (head, sent) = tokio::join!(
        read(
            &mut stream,
            &mut buffer,
            &Method::GET,
            HEAD_BYTES_MAX,
            &mut relay
        ),
        origin.write_all(wire.get(..wire.len() - 5).unwrap()),
    );
    sent.unwrap();
    assert_eq!(head.unwrap().framing, Framing::Length(5));
}

/// Two reads, one after the other.
fn two_reads<'a>(first: &'a [u8], second: &'a [u8]) -> impl AsyncRead + Unpin + 'a {
    AsyncReadExt::chain(first, second)
}

#[test]
fn the_end_of_a_head_is_found_at_every_border() {
    for wire in [
        &b"a\r\nb\r\n\r\nrest"[..],
        b"a\nb\n\nrest",
        b"a\r\nb\n\r\nrest",
    ] {
        let end = wire.len() - 4;
        for scanned in 0..end {
            assert_eq!(head_end(wire, scanned), Some(end), "{scanned}");
        }
        for length in 0..end {
            assert_eq!(head_end(wire.get(..length).unwrap(), 0), None, "{length}");
        }
    }
}
