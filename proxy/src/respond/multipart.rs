//! multipart/byteranges (RFC 9110 §14.6): the text around the parts, and its length before anything is sent.

use http::HeaderMap;
use weir_policies::range::ByteRange;

/// The parts of one response with the text that precedes each.
#[derive(Debug)]
pub(crate) struct Multipart {
    boundary: String,
    /// Text and range, in order.
    pub(crate) parts: Vec<(String, ByteRange)>,
    /// Text after the last part.
    pub(crate) tail: String,
}

impl Multipart {
    /// `unique` makes the boundary one of its kind: the request id.
    pub(crate) fn new(ranges: &[ByteRange], fields: &HeaderMap, length: u64, unique: &str) -> Self {
        let boundary = format!("weir-{unique}");
        let media_type = fields
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let part = |range: &ByteRange| {
            let media_type = media_type.map_or(String::new(), |media_type| {
                format!("Content-Type: {media_type}\r\n")
            });
            let (first, last) = (range.start, range.end - 1);
            let text = format!(
                "\r\n--{boundary}\r\n{media_type}Content-Range: bytes {first}-{last}/{length}\r\n\r\n"
            );
            (text, *range)
        };
        let parts = ranges.iter().map(part).collect();
        let tail = format!("\r\n--{boundary}--\r\n");
        Self {
            boundary,
            parts,
            tail,
        }
    }

    pub(crate) fn media_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// Content-Length of the whole body.
    pub(crate) fn length(&self) -> u64 {
        let parts: u64 = self
            .parts
            .iter()
            .map(|(text, range)| text.len() as u64 + range.end - range.start)
            .sum();
        parts + self.tail.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announced_length_is_that_of_the_text_and_the_parts() {
        let ranges = [
            ByteRange { start: 0, end: 10 },
            ByteRange { start: 20, end: 21 },
        ];
        let mut fields = HeaderMap::new();
        fields.insert("content-type", http::HeaderValue::from_static("text/plain"));
        let multipart = Multipart::new(&ranges, &fields, 100, "1");
        let mut body = String::new();
        for (text, range) in &multipart.parts {
            body.push_str(text);
            body.extend((range.start..range.end).map(|_| 'x'));
        }
        body.push_str(&multipart.tail);
        assert_eq!(multipart.length(), body.len() as u64);
        assert!(
            body.contains("Content-Range: bytes 20-20/100\r\n\r\nx\r\n--weir-1--"),
            "{body}"
        );
    }
}
