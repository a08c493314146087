//! Field names of passed responses.
//!
//! Responses that are handed through are spelled like those from the store, whatever the upstream wrote and whoever
//! added the field. Pingora left alone capitalizes a dozen names and writes the others in lower case.

use crate::field_name::write_capitalized;
use http::{HeaderMap, HeaderName, StatusCode};
use pingora::Result;
use pingora::http::ResponseHeader;

/// A head with these fields, in this order, each word of a name capitalized.
///
/// # Errors
/// A status that is none, or more fields than a head can hold.
pub(super) fn spelled(
    status: impl TryInto<StatusCode>,
    headers: &HeaderMap,
) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(status, Some(headers.len()))?;
    for (name, value) in headers {
        head.append_header(capitalized(name), value)?;
    }
    Ok(head)
}

fn capitalized(name: &HeaderName) -> String {
    let mut written = Vec::with_capacity(name.as_str().len());
    write_capitalized(&mut written, name.as_str());
    String::from_utf8_lossy(&written).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn every_word_of_a_name_is_capitalized_and_values_keep_their_order() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("etag", "\"e\""),
            ("VIA", "1.1 a"),
            ("x-cache", "MISS"),
            ("x--odd-", "1"),
            ("via", "1.1 b"),
        ] {
            let name = HeaderName::try_from(name).unwrap();
            headers.append(name, HeaderValue::from_static(value));
        }
        let mut wire = Vec::new();
        spelled(200, &headers).unwrap().header_to_h1_wire(&mut wire);
        assert_eq!(
            String::from_utf8(wire).unwrap(),
            "ETag: \"e\"\r\nVia: 1.1 a\r\nVia: 1.1 b\r\nX-Cache: MISS\r\nX--Odd-: 1\r\n"
        );
    }
}
