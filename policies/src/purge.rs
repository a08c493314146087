//! What an operator may want gone at once: one URL, everything below a URL prefix, or everything with a tag.
//!
//! Pure: a scope says what it covers and how it is written. How long it is remembered and who obeys it is the store's
//! business. URLs are compared in their normal form, which [`Target`] writes and which stored objects carry.

use crate::tags::TAG_BYTES_MAX;
use crate::target::{Target, TargetError};
use std::fmt;

/// A longer prefix is refused, bytes.
const PREFIX_BYTES_MAX: usize = 8 * 1024;

/// What a purge is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PurgeScope(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    Url(String),
    Prefix(String),
    Tag(String),
}

/// What becomes of the objects that a purge covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PurgeMode {
    /// They are gone, imported and pinned ones included.
    Remove,
    /// Their origin is asked before their next use, whatever their fields say. Behind a rule that says that they never
    /// change they are served meanwhile, and other bytes become a conflict, as ever. What an operator has imported is
    /// exempt: there is nobody to ask.
    Stale,
}

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// The prefix is not the beginning of a URL, host included.
    #[error("not the beginning of a URL, such as http://host/folder/: {0}")]
    Url(#[from] TargetError),
    /// The prefix is too long.
    #[error("a prefix of more than {PREFIX_BYTES_MAX} bytes")]
    TooLong,
    /// Not a tag as responses carry them.
    #[error("not a tag: 1 to {TAG_BYTES_MAX} visible ASCII characters without spaces and commas")]
    Tag,
}

impl PurgeScope {
    /// Exactly this URL, with all that is kept under it: every variant, what was found behind its redirects, parts,
    /// and bytes that contradict it.
    #[must_use]
    pub fn url(target: &Target) -> Self {
        Self(Kind::Url(target.to_string()))
    }

    /// Every URL that begins with `prefix`, compared byte by byte in normal form. Host and scheme are always whole:
    /// `http://host` covers the host and not `http://host.example`.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn prefix(prefix: &str) -> Result<Self, ScopeError> {
        if prefix.len() > PREFIX_BYTES_MAX {
            return Err(ScopeError::TooLong);
        }
        Ok(Self(Kind::Prefix(Target::parse(prefix)?.to_string())))
    }

    /// Every object whose response carried this Surrogate-Key or Cache-Tag; compared byte by byte.
    ///
    /// # Errors
    /// [`ScopeError::Tag`].
    pub fn tag(tag: &str) -> Result<Self, ScopeError> {
        if crate::tags::is_tag(tag) {
            Ok(Self(Kind::Tag(tag.to_owned())))
        } else {
            Err(ScopeError::Tag)
        }
    }

    /// Whether it is about an object with this normal URL and these tags.
    #[must_use]
    pub fn covers(&self, url: &str, tags: &[String]) -> bool {
        match &self.0 {
            Kind::Tag(tag) => tags.contains(tag),
            Kind::Url(_) | Kind::Prefix(_) => self.may_cover(url),
        }
    }

    /// Whether it may be about an object of this normal URL, whose tags are not known.
    #[must_use]
    pub fn may_cover(&self, url: &str) -> bool {
        match &self.0 {
            Kind::Url(own) => own == url,
            Kind::Prefix(prefix) => url.starts_with(prefix),
            Kind::Tag(_) => true,
        }
    }

    /// The normal URL, where it is about one URL only.
    #[must_use]
    pub fn one_url(&self) -> Option<&str> {
        match &self.0 {
            Kind::Url(url) => Some(url),
            Kind::Prefix(_) | Kind::Tag(_) => None,
        }
    }

    /// Whether it is about one URL only.
    #[must_use]
    pub fn is_one_url(&self) -> bool {
        self.one_url().is_some()
    }

    /// Its kind (`url`, `prefix` or `tag`) and its text; what [`Self::from_parts`] reads.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &str) {
        match &self.0 {
            Kind::Url(url) => ("url", url),
            Kind::Prefix(prefix) => ("prefix", prefix),
            Kind::Tag(tag) => ("tag", tag),
        }
    }

    /// The scope that [`Self::parts`] wrote; `None` for any other kind. The text is taken as it is.
    #[must_use]
    pub fn from_parts(kind: &str, text: &str) -> Option<Self> {
        let text = text.to_owned();
        match kind {
            "url" => Some(Self(Kind::Url(text))),
            "prefix" => Some(Self(Kind::Prefix(text))),
            "tag" => Some(Self(Kind::Tag(text))),
            _ => None,
        }
    }
}

/// For people: without the query of a URL, which may be a signature.
impl fmt::Display for PurgeScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, text) = self.parts();
        let (shown, query) = text.split_at(text.find('?').unwrap_or(text.len()));
        let cut = if query.is_empty() { "" } else { "?…" };
        write!(f, "{kind} {shown}{cut}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_do_not_see_signatures() {
        let check = |url: &str, shown: &str| {
            let scope = PurgeScope::url(&Target::parse(url).unwrap());
            assert_eq!(scope.to_string(), shown);
        };
        check("http://h/p?X-Amz-Signature=secret", "url http://h/p?…");
        check("http://h/p", "url http://h/p");
    }

    fn check(scope: &PurgeScope, url: &str, expected: bool) {
        assert_eq!(scope.covers(url, &[]), expected, "{scope} and {url}");
    }

    #[test]
    fn a_url_covers_itself_in_any_spelling_and_nothing_else() {
        let target = Target::parse("HTTP://Host:80/a").unwrap();
        let scope = PurgeScope::url(&target);
        check(&scope, "http://host/a", true);
        check(&scope, "http://host/a/", false);
        check(&scope, "http://host/a?b", false);
        check(&scope, "https://host/a", false);
    }

    #[test]
    fn a_prefix_ends_anywhere_in_the_path_and_nowhere_in_the_host() {
        let whole = PurgeScope::prefix("http://host").unwrap();
        check(&whole, "http://host/", true);
        check(&whole, "http://host/any?thing", true);
        check(&whole, "http://host.example/", false);
        check(&whole, "http://host:8080/", false);
        let folder = PurgeScope::prefix("http://host/dir/").unwrap();
        check(&folder, "http://host/dir/", true);
        check(&folder, "http://host/dir/file", true);
        check(&folder, "http://host/dir", false);
        check(&folder, "http://host/directory", false);
        let name = PurgeScope::prefix("http://host/file-1.").unwrap();
        check(&name, "http://host/file-1.deb", true);
        check(&name, "http://host/file-2.deb", false);
    }

    #[test]
    fn what_is_no_url_is_no_prefix() {
        for text in ["", "/dir/", "host/dir/", "http://", "gopher://host/"] {
            assert!(PurgeScope::prefix(text).is_err(), "{text}");
        }
        let long = format!("http://host/{}", "a".repeat(PREFIX_BYTES_MAX));
        assert_eq!(PurgeScope::prefix(&long), Err(ScopeError::TooLong));
    }

    #[test]
    fn a_tag_covers_what_carries_it() {
        let scope = PurgeScope::tag("release-9").unwrap();
        let tags = ["release-9".to_owned(), "x".to_owned()];
        assert!(scope.covers("http://any/", &tags));
        assert!(!scope.covers("http://any/", &tags[1..]));
        assert!(scope.may_cover("http://any/"));
        for text in ["", "a b", "a,b", "ä"] {
            assert_eq!(PurgeScope::tag(text), Err(ScopeError::Tag), "{text}");
        }
    }

    #[test]
    fn scopes_are_read_back_from_their_parts() {
        let target = Target::parse("http://host/a").unwrap();
        let scopes = [
            PurgeScope::url(&target),
            PurgeScope::prefix("http://host/a").unwrap(),
            PurgeScope::tag("a").unwrap(),
        ];
        for scope in scopes {
            let (kind, text) = scope.parts();
            assert_eq!(PurgeScope::from_parts(kind, text).as_ref(), Some(&scope));
        }
        assert_eq!(PurgeScope::from_parts("host", "a"), None);
    }
}
