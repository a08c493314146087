//! What became of the last response to each URL: stored, or why not. For those who ask afterwards.
//!
//! Written where a fetch ends, never by a hit. It is a memory of a process, bounded in number; a forgotten or unknown
//! URL has no answer. It decides nothing: a request never looks at it.

use super::{Engine, FetchRequest};
use crate::store::StoreError;
use http::StatusCode;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use weir_policies::key::CacheKey;
use weir_policies::outcome::Outcome;
use weir_policies::storability::NotStored;
use weir_policies::time::UnixSeconds;

/// URLs whose last response is remembered, some hundred bytes each; the one that was fetched longest ago goes first.
const REMEMBERED_MAX: u64 = 10_000;

/// What became of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is committed.
    Stored,
    /// It was a range, which is kept until the rest is here.
    PartStored,
    /// The origin said that the stored one still holds.
    Revalidated,
    /// It may not be stored.
    NotStored(NotStored),
    /// It did not come, or not whole; the `reason` label of upstream errors.
    Failed(&'static str),
    /// The store did not take it: `full`, `disk`, `closed` and the like.
    StoreRefused(&'static str),
    /// A bound of the gateway was reached, so it was streamed to its client alone.
    Bypassed,
    /// It has other bytes than the immutable object, which stays: a conflict.
    Contradicts,
    /// Meanwhile something had come that it must not replace.
    Kept,
    /// A change of the same URL, or a purge, overtook it.
    Overtaken,
    /// The fill was given up: nobody read, too slow, its time was over, or the gateway stopped.
    GivenUp,
}

/// The last response to a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastResponse {
    /// When its fate was settled.
    pub at: UnixSeconds,
    /// Its status, where it had one.
    pub status: Option<StatusCode>,
    /// What became of it.
    pub fate: Fate,
}

impl Fate {
    /// The word for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::PartStored => "part-stored",
            Self::Revalidated => "revalidated",
            Self::NotStored(_) => "not-stored",
            Self::Failed(_) => "failed",
            Self::StoreRefused(_) => "store-refused",
            Self::Bypassed => "bypassed",
            Self::Contradicts => "contradicts",
            Self::Kept => "kept",
            Self::Overtaken => "overtaken",
            Self::GivenUp => "given-up",
        }
    }

    /// A second word where there is one: why it is not stored, what failed, what the store said.
    #[must_use]
    pub fn detail(self) -> Option<&'static str> {
        match self {
            Self::NotStored(reason) => Some(reason.as_str()),
            Self::Failed(reason) | Self::StoreRefused(reason) => Some(reason),
            _ => None,
        }
    }

    /// The words for people, to stand behind a status.
    #[must_use]
    pub fn in_words(self) -> String {
        match self {
            Self::Stored => "stored".to_owned(),
            Self::PartStored => "a range of it stored".to_owned(),
            Self::Revalidated => "the stored object still holds".to_owned(),
            Self::NotStored(reason) => format!("not stored: {}", reason.in_words()),
            Self::Failed(reason) => format!("failed: {reason}"),
            Self::StoreRefused(reason) => format!("not stored: the store refused it ({reason})"),
            Self::Bypassed => "not stored: too many fills, or no fill memory left".to_owned(),
            Self::Contradicts => {
                "not used: other bytes than the immutable object (see weir conflict)".to_owned()
            }
            Self::Kept => "not stored: what stands there must not be replaced".to_owned(),
            Self::Overtaken => "not stored: a change of the URL or a purge overtook it".to_owned(),
            Self::GivenUp => "not stored: its fill was given up".to_owned(),
        }
    }

    /// What the outcome of a response for one client says of storing it.
    pub(super) fn of_unshared(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Uncached(reason) => Self::NotStored(reason),
            _ => Self::Bypassed,
        }
    }

    pub(super) fn of_refusal(error: &StoreError) -> Self {
        match error {
            StoreError::Full { .. } => Self::StoreRefused("full"),
            StoreError::Disk { .. } => Self::StoreRefused("disk"),
            StoreError::Corrupt { .. } => Self::StoreRefused("corrupt"),
            StoreError::Digest { .. } => Self::Failed("digest"),
            StoreError::Closed => Self::StoreRefused("closed"),
            StoreError::Purged => Self::Overtaken,
        }
    }
}

/// The last responses, by the plain key of their URL.
#[derive(Debug)]
pub(super) struct LastResponses(Cache<CacheKey, LastResponse>);

impl Default for LastResponses {
    fn default() -> Self {
        // What was fetched last is what is asked about: the newcomer always has its place.
        let bounded = Cache::builder()
            .max_capacity(REMEMBERED_MAX)
            .eviction_policy(EvictionPolicy::lru());
        Self(bounded.build())
    }
}

impl Engine {
    /// What became of the last response to a URL, by its plain key.
    #[must_use]
    pub fn last_response(&self, plain: &CacheKey) -> Option<LastResponse> {
        self.last_responses.0.get(plain)
    }

    pub(super) fn remember(&self, request: &FetchRequest, status: Option<StatusCode>, fate: Fate) {
        let at = self.now();
        let last = LastResponse { at, status, fate };
        self.last_responses.0.insert(request.key, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_policies::target::Target;

    #[test]
    fn the_newest_are_remembered_and_no_more_than_the_bound() {
        let last = LastResponses::default();
        let response = LastResponse {
            at: UnixSeconds(1),
            status: None,
            fate: Fate::Stored,
        };
        let key = |number: u64| {
            let target = Target::parse(&format!("http://h/{number}"));
            CacheKey::of("", false, &target.unwrap())
        };
        let many = REMEMBERED_MAX + 500;
        for number in 0..many {
            last.0.insert(key(number), response);
        }
        last.0.run_pending_tasks();
        assert!(last.0.entry_count() <= REMEMBERED_MAX);
        assert_eq!(last.0.get(&key(many - 1)), Some(response));
        assert_eq!(last.0.get(&key(0)), None);
    }
}
