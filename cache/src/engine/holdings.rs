//! What the index holds for a URL: every entry that one URL can have, looked up and nothing more.
//!
//! For commands that explain and change what is stored. No freshness is decided here, nothing is fetched, and no use
//! is counted: looking at an object does not keep it from being evicted.

use super::Engine;
use crate::object::ObjectHead;
use crate::store::Object;
use std::sync::Arc;
use weir_policies::key::CacheKey;
use weir_policies::reuse::Stored;
use weir_policies::target::Target;

/// The namespace of objects that contradict an immutable original.
pub const CONFLICT_NAMESPACE: &str = "conflict";

/// Under which of its two identities a URL is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// What the URL itself answered, redirects included.
    Plain,
    /// What was found behind the redirects that Weir followed.
    Followed,
}

/// Everything stored under one URL. Each list has one object a variant, the newest first.
#[derive(Debug)]
pub struct Holdings {
    /// Under [`Entry::Plain`].
    pub plain: Vec<Arc<Object>>,
    /// Under [`Entry::Followed`].
    pub followed: Vec<Arc<Object>>,
    /// Contradicting objects of both entries.
    pub conflicting: Vec<(Entry, Arc<Object>)>,
}

impl Entry {
    /// Both, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Followed];

    /// The key of `target` in this entry.
    #[must_use]
    pub fn key(self, target: &Target) -> CacheKey {
        CacheKey::of("", self == Self::Followed, target)
    }

    /// The key under which an object waits that contradicts the one under [`Self::key`].
    #[must_use]
    pub fn conflict_key(self, target: &Target) -> CacheKey {
        CacheKey::of(CONFLICT_NAMESPACE, self == Self::Followed, target)
    }

    /// The key under which parts of `target` are kept.
    pub(super) fn parts_key(self, target: &Target) -> CacheKey {
        CacheKey::of("part", self == Self::Followed, target)
    }

    /// The word for messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Followed => "followed",
        }
    }
}

impl Engine {
    /// Looks up everything that is stored under `target`.
    pub async fn holdings(&self, target: &Target) -> Holdings {
        let mut conflicting = Vec::new();
        for entry in Entry::ALL {
            let found = self.store.lookup(&entry.conflict_key(target)).await;
            conflicting.extend(found.into_iter().map(|object| (entry, object)));
        }
        Holdings {
            plain: self.store.lookup(&Entry::Plain.key(target)).await,
            followed: self.store.lookup(&Entry::Followed.key(target)).await,
            conflicting,
        }
    }
}

impl ObjectHead {
    /// What decisions about reuse need of it.
    #[must_use]
    pub fn stored(&self) -> Stored<'_> {
        Stored {
            status: self.status,
            headers: &self.headers,
            exchange: self.exchange,
            selection: &self.selection,
            invalidated: self.invalidated,
            immutable: self.immutable,
            lifetime_max: self.lifetime_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_entries_of_a_url_share_a_key() {
        let target = Target::parse("http://host/file").unwrap();
        let mut keys: Vec<CacheKey> = Entry::ALL
            .iter()
            .flat_map(|entry| {
                let kept = [entry.conflict_key(&target), entry.parts_key(&target)];
                std::iter::once(entry.key(&target)).chain(kept)
            })
            .collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 6);
    }
}
