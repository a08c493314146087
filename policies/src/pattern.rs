//! Which URLs an operator wants to see: a text in which `*` stands for anything.
//!
//! Not the globs of rules: `?`, `[` and `{` are ordinary letters of URLs, and nothing here is compiled. The time is
//! linear in URL and pattern whatever they are, as each piece is taken where it first fits.

/// A longer pattern is refused, bytes.
const PATTERN_BYTES_MAX: usize = 8 * 1024;

/// A pattern for normal URLs, compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPattern {
    /// What the URL begins with.
    first: String,
    /// What follows somewhere, in this order; between any two there may be anything.
    middle: Vec<String>,
    /// What it ends with.
    last: String,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is too long.
    #[error("a pattern of more than {PATTERN_BYTES_MAX} bytes")]
    TooLong,
}

impl UrlPattern {
    /// `*` stands for anything, slashes and nothing included; a text without `*` is the beginning of a URL.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong);
        }
        let mut pieces = text.split('*').map(str::to_owned);
        let first = pieces.next().unwrap_or_default();
        let last = pieces.next_back().unwrap_or_default();
        let middle = pieces.filter(|piece| !piece.is_empty()).collect();
        Ok(Self {
            first,
            middle,
            last,
        })
    }

    /// Whether a normal URL fits.
    #[must_use]
    pub fn matches(&self, url: &str) -> bool {
        let Some(mut rest) = url.strip_prefix(self.first.as_str()) else {
            return false;
        };
        for piece in &self.middle {
            match rest.split_once(piece.as_str()) {
                Some((_, behind)) => rest = behind,
                None => return false,
            }
        }
        rest.ends_with(self.last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_does() {
        let check = |pattern: &str, url: &str, expected: bool| {
            let pattern = UrlPattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(url), expected, "{pattern:?} {url}");
        };
        check("", "http://h/a", true);
        check("*", "http://h/a", true);
        check("http://h/", "http://h/a/b?c", true);
        check("http://h/a", "http://h/", false);
        check("http://h/*.deb", "http://h/pool/a.deb", true);
        check("http://h/*.deb", "http://h/pool/a.deb?x", false);
        check("*/dists/*", "http://h/debian/dists/x/InRelease", true);
        check("*a*a*", "http://h/a", false);
        check("*a*a*", "http://h/aa", true);
        check("*ab*b", "http://h/ab", false);
        check("*ab*b", "http://h/abb", true);
        check("http://h/**x", "http://h/x", true);
        check("http://h/a?b*", "http://h/a?b=1", true);
        check("http://h/a?b*", "http://h/axb=1", false);
        check("http://h/[a]{b}*", "http://h/[a]{b}", true);
        // The end does not take again what the beginning has taken.
        check("http://h/ab*b", "http://h/ab", false);
    }

    #[test]
    fn a_pattern_has_a_bound() {
        let check = |length, expected| {
            let parsed = UrlPattern::parse(&"*".repeat(length)).map(drop);
            assert_eq!(parsed, expected);
        };
        check(PATTERN_BYTES_MAX, Ok(()));
        check(PATTERN_BYTES_MAX + 1, Err(PatternError::TooLong));
    }
}
