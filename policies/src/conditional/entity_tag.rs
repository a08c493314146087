//! Entity tags and lists of them (RFC 9110 §8.8.3, §13.1.1).
//!
//! Some origins send tags without quotes and clients repeat them; they are compared as they stand.

use http::HeaderMap;
use http::header::{ETAG, HeaderName};

/// One tag; borrowed from its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntityTag<'a> {
    /// With its quotes, so that `"a"` and `a` differ.
    opaque: &'a [u8],
    strength: Strength,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strength {
    Strong,
    Weak,
}

impl<'a> EntityTag<'a> {
    /// The one ETag of a response.
    pub(crate) fn of(response: &'a HeaderMap) -> Option<Self> {
        let mut lines = response.get_all(ETAG).iter();
        let line = lines.next()?;
        if lines.next().is_some() {
            return None;
        }
        Self::parse(line.as_bytes())
    }

    /// A whole field value.
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::split(value.trim_ascii())?;
        rest.is_empty().then_some(tag)
    }

    /// The tag that `text` starts with, and what follows it.
    fn split(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (strength, rest) = match text.strip_prefix(b"W/") {
            Some(rest) => (Strength::Weak, rest),
            None => (Strength::Strong, text),
        };
        let end = match rest.strip_prefix(b"\"") {
            Some(inner) => inner.iter().position(|byte| *byte == b'"')? + 2,
            None => rest
                .iter()
                .position(|byte| *byte == b',')
                .unwrap_or(rest.len()),
        };
        let (opaque, rest) = rest.split_at_checked(end)?;
        let opaque = opaque.trim_ascii();
        (!opaque.is_empty()).then_some((Self { opaque, strength }, rest))
    }

    /// §8.8.3.2: both strong and equal.
    pub(crate) fn matches_strongly(&self, other: &Self) -> bool {
        self.strength == Strength::Strong && self == other
    }

    /// Written as the standard has it: in quotes, of visible or 8-bit characters.
    pub(crate) fn is_well_formed(&self) -> bool {
        let inner = self
            .opaque
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""));
        inner.is_some_and(|inner| {
            let legal = |byte: &u8| byte.is_ascii_graphic() || *byte >= 0x80;
            inner.iter().all(|byte| legal(byte) && *byte != b'"')
        })
    }

    /// Byte for byte the same whenever it is the same (§8.8.1).
    pub(crate) fn is_strong(&self) -> bool {
        self.strength == Strength::Strong
    }

    /// §8.8.3.2: equal, weak or not.
    pub(crate) fn matches_weakly(&self, other: &Self) -> bool {
        self.opaque == other.opaque
    }
}

/// `*` or a list. What stands behind something unreadable is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EntityTags<'a> {
    /// Whatever exists.
    Any,
    /// Listed tags.
    Listed(Vec<EntityTag<'a>>),
}

impl<'a> EntityTags<'a> {
    /// Reads every line of `name`.
    pub(crate) fn of(request: &'a HeaderMap, name: HeaderName) -> Self {
        let mut listed = Vec::new();
        for line in request.get_all(name) {
            let mut rest = line.as_bytes().trim_ascii();
            if rest == b"*" {
                return Self::Any;
            }
            while let Some((tag, behind)) = EntityTag::split(rest) {
                listed.push(tag);
                rest = skip_separators(behind);
            }
        }
        Self::Listed(listed)
    }

    /// If-Match: strong comparison; `*` holds, for a representation is at hand.
    pub(crate) fn any_strong(&self, current: Option<&EntityTag<'_>>) -> bool {
        self.any(current, |listed, current| listed.matches_strongly(current))
    }

    /// If-None-Match: weak comparison.
    pub(crate) fn any_weak(&self, current: Option<&EntityTag<'_>>) -> bool {
        self.any(current, |listed, current| listed.matches_weakly(current))
    }

    fn any(
        &self,
        current: Option<&EntityTag<'_>>,
        same: impl Fn(&EntityTag<'_>, &EntityTag<'_>) -> bool,
    ) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => {
                current.is_some_and(|current| tags.iter().any(|tag| same(tag, current)))
            }
        }
    }
}

fn skip_separators(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| !matches!(byte, b',' | b' ' | b'\t'));
    start
        .and_then(|start| text.get(start..))
        .unwrap_or_default()
}
