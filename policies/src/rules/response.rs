//! Conditions on a response: its size and its media type.
//!
//! What a response does not say, no condition holds for: a rule about large files does not speak for a response whose
//! length nobody knows.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap};

/// What a response must be like. The default is met by every response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseConditions {
    /// At least this long, bytes.
    pub size_min: Option<u64>,
    /// At most this long, bytes.
    pub size_max: Option<u64>,
    /// Of one of these types; an empty list matches everything.
    pub media_type: Vec<MediaPattern>,
}

/// What rules look at in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResponseFacts<'a> {
    /// Length of the whole representation, bytes.
    pub length: Option<u64>,
    /// `type/subtype`, without parameters.
    pub media_type: Option<&'a str>,
}

/// `application/x-rpm`, `video/*` or `*/*` (RFC 9110 §12.5.1). Case does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPattern {
    /// `None` for `*`.
    main: Option<String>,
    /// `None` for `*`.
    sub: Option<String>,
}

impl ResponseConditions {
    /// Whether nothing is asked of the response.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size_min.is_none() && self.size_max.is_none() && self.media_type.is_empty()
    }

    /// Whether the response is as it must be.
    #[must_use]
    pub fn hold(&self, response: &ResponseFacts<'_>) -> bool {
        let size = |bound: Option<u64>, fits: fn(u64, u64) -> bool| {
            bound.is_none_or(|bound| response.length.is_some_and(|length| fits(length, bound)))
        };
        let of_type = |media_type: &str| {
            let mut patterns = self.media_type.iter();
            patterns.any(|pattern| pattern.matches(media_type))
        };
        size(self.size_min, |length, least| length >= least)
            && size(self.size_max, |length, most| length <= most)
            && (self.media_type.is_empty() || response.media_type.is_some_and(of_type))
    }
}

impl<'a> ResponseFacts<'a> {
    /// What the fields of a response tell. Of a part (206) the length of the whole counts.
    #[must_use]
    pub fn of(response: &'a HeaderMap) -> Self {
        let text = |name| response.get(name).and_then(|value| value.to_str().ok());
        let length = match text(CONTENT_RANGE) {
            Some(range) => range.rsplit_once('/').map(|(_, complete)| complete),
            None => text(CONTENT_LENGTH),
        };
        let essence = text(CONTENT_TYPE).map(|value| {
            let end = value.find(';').unwrap_or(value.len());
            value.get(..end).unwrap_or_default().trim()
        });
        Self {
            length: length.and_then(|digits| digits.trim().parse().ok()),
            media_type: essence.filter(|essence| !essence.is_empty()),
        }
    }
}

impl MediaPattern {
    /// Reads `type/subtype`, where the subtype or both may be `*`. `None` for anything else.
    #[must_use]
    pub fn parse(written: &str) -> Option<Self> {
        let (main, sub) = written.split_once('/')?;
        let part = |text: &str| match text {
            "*" => Some(None),
            _ if is_token(text) => Some(Some(text.to_ascii_lowercase())),
            _ => None,
        };
        let (main, sub) = (part(main)?, part(sub)?);
        // `*/rpm` would look as if it meant something (RFC 9110 §12.5.1 has no such range).
        (main.is_some() || sub.is_none()).then_some(Self { main, sub })
    }

    fn matches(&self, media_type: &str) -> bool {
        let Some((main, sub)) = media_type.split_once('/') else {
            return false;
        };
        let fits = |wanted: &Option<String>, text: &str| {
            let wanted = wanted.as_deref();
            wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(text))
        };
        fits(&self.main, main) && fits(&self.sub, sub)
    }
}

/// RFC 9110 §5.6.2, without the star, which stands for anything here.
fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(pairs: &[(&'static str, &'static str)]) -> (Option<u64>, Option<String>) {
        let mut fields = HeaderMap::new();
        for (name, value) in pairs {
            fields.append(*name, http::HeaderValue::from_static(value));
        }
        let facts = ResponseFacts::of(&fields);
        (facts.length, facts.media_type.map(str::to_owned))
    }

    #[test]
    fn the_fields_tell_length_and_type() {
        assert_eq!(facts(&[]), (None, None));
        assert_eq!(facts(&[("content-length", "7")]), (Some(7), None));
        assert_eq!(facts(&[("content-length", "-7")]), (None, None));
        let part = [("content-length", "2"), ("content-range", "bytes 0-1/9")];
        assert_eq!(facts(&part), (Some(9), None));
        let unknown = [("content-length", "2"), ("content-range", "bytes 0-1/*")];
        assert_eq!(facts(&unknown), (None, None));
        let typed = |value| facts(&[("content-type", value)]).1;
        assert_eq!(
            typed("text/html ; charset=utf-8").as_deref(),
            Some("text/html")
        );
        assert_eq!(typed("; charset=utf-8"), None);
    }

    #[test]
    fn patterns_match_types_without_case() {
        let check = |pattern: &str, media_type: &str, expected: bool| {
            let pattern = MediaPattern::parse(pattern).unwrap();
            assert_eq!(
                pattern.matches(media_type),
                expected,
                "{pattern:?} {media_type}"
            );
        };
        check("application/X-RPM", "Application/x-rpm", true);
        check("application/x-rpm", "application/x-rpm2", false);
        check("video/*", "video/mp4", true);
        check("video/*", "audio/mp4", false);
        check("*/*", "a/b", true);
        check("*/*", "nothing", false);
        for wrong in [
            "", "video", "video/", "/mp4", "*/mp4", "vi*/mp4", "a/b;q=1", "a/b c",
        ] {
            assert_eq!(MediaPattern::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_not_said_meets_no_condition() {
        let large = ResponseConditions {
            size_min: Some(10),
            ..ResponseConditions::default()
        };
        let of = |length| ResponseFacts {
            length,
            media_type: None,
        };
        assert!(large.hold(&of(Some(10))));
        assert!(!large.hold(&of(Some(9))));
        assert!(!large.hold(&of(None)));
        let small = ResponseConditions {
            size_max: Some(10),
            ..ResponseConditions::default()
        };
        assert!(small.hold(&of(Some(10))));
        assert!(!small.hold(&of(Some(11))));
        assert!(!small.hold(&of(None)));
        let typed = ResponseConditions {
            media_type: vec![MediaPattern::parse("*/*").unwrap()],
            ..ResponseConditions::default()
        };
        assert!(!typed.hold(&of(Some(10))));
        assert!(ResponseConditions::default().hold(&of(None)));
    }
}
