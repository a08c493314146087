//! How field names look on the wire: one rule for everything Weir writes.
//!
//! Names are case-insensitive (RFC 9110 §5.1), but scripts grep for them as people write them and some old origins
//! look for them that way: `Content-Type`, `X-Cache`, `ETag`.

/// Writes `name` with each of its words capitalized.
pub(crate) fn write_capitalized(out: &mut Vec<u8>, name: &str) {
    if name.eq_ignore_ascii_case("etag") {
        return out.extend_from_slice(b"ETag");
    }
    let mut starts_word = true;
    for byte in name.bytes() {
        out.push(if starts_word {
            byte.to_ascii_uppercase()
        } else {
            byte
        });
        starts_word = byte == b'-';
    }
}

#[cfg(test)]
mod tests {
    use super::write_capitalized;

    #[test]
    fn every_word_starts_with_a_capital() {
        let check = |name, expected: &str| {
            let mut out = Vec::new();
            write_capitalized(&mut out, name);
            assert_eq!(out, expected.as_bytes());
        };
        check("content-type", "Content-Type");
        check("etag", "ETag");
        check("x--odd-", "X--Odd-");
        check("via", "Via");
    }
}
