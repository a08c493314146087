//! The response head, as far as a benchmark has to understand it: the status, the length, and whether it stays open.

/// Most bytes of a head.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A whole head at the front of what was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of the head, with the empty line.
    pub(crate) bytes: usize,
    /// The `Content-Length` field.
    pub(crate) length: u64,
    /// Whether another request may follow on this connection.
    pub(crate) may_be_reused: bool,
}

/// Reads the head; `None` when it is not complete yet. Anything but 200 with a length is a failure.
pub(crate) fn parse(received: &[u8]) -> Result<Option<Head>, String> {
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
        return match received.len() {
            bytes if bytes > HEAD_BYTES_MAX => Err("the response head has no end".to_owned()),
            _ => Ok(None),
        };
    };
    let text = String::from_utf8_lossy(received.get(..end).unwrap_or_default()).into_owned();
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("answered {status:?}"));
    }
    let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let field = |name: &str| {
        let found = fields
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    };
    let length = field("content-length").and_then(|value| value.parse().ok());
    let closes = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(Some(Head {
        bytes: end + 4,
        length: length.ok_or("answered without a length")?,
        may_be_reused: !closes,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_where_its_body_begins() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 3\r\nConnection: close\r\n\r\n";
        let expected = Head {
            bytes: head.len(),
            length: 3,
            may_be_reused: false,
        };
        let received = [head.as_slice(), b"abc"].concat();
        assert_eq!(parse(&received), Ok(Some(expected)));
        assert_eq!(parse(&head[..head.len() - 1]), Ok(None));
    }

    #[test]
    fn errors_are_not_taken_for_objects() {
        for (head, named) in [
            ("HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\n", "503"),
            ("HTTP/1.1 200 OK\r\n\r\n", "length"),
        ] {
            let problem = parse(head.as_bytes()).expect_err(head);
            assert!(problem.contains(named), "{problem}");
        }
        assert!(parse(&[b'a'; HEAD_BYTES_MAX + 1]).is_err());
    }
}
