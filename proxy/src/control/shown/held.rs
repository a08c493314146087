//! What `weir ls`, `pin` and `purge` say of what is stored.

use serde::{Deserialize, Serialize};

/// One object of a walk through everything that is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListedObject {
    /// The normal URL.
    pub(crate) url: String,
    /// `plain`, `followed` (found behind redirects), `conflict` (contradicts an immutable one) or `part` (a range).
    pub(crate) kind: String,
    /// Of the response.
    pub(crate) status: u16,
    /// Of the body.
    pub(crate) length_bytes: u64,
    /// Its identity.
    pub(crate) sequence: u64,
    /// When its transfer began.
    pub(crate) stored_at: String,
    /// Seconds since then, whatever the upstream says of its age.
    pub(crate) age_seconds: u64,
    /// Seconds since its last use.
    pub(crate) unused_seconds: u64,
    /// Never evicted.
    pub(crate) pinned: bool,
    /// Imported: never changes.
    pub(crate) immutable: bool,
    /// Not used without asking the upstream.
    pub(crate) invalidated: bool,
    /// Surrogate-Key and Cache-Tag.
    pub(crate) tags: Vec<String>,
    /// Of the response.
    pub(crate) content_type: Option<String>,
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    /// Objects that were listed.
    pub(crate) objects: u64,
    /// Their bodies.
    pub(crate) bytes: u64,
    /// Whether nothing was left out because of a limit.
    pub(crate) is_whole: bool,
}

/// What a purge came to. It holds from now on, also over a power loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Purged {
    /// `url`, `prefix` or `tag`.
    pub(crate) by: String,
    /// The normal form of the URL or of its beginning, or the tag.
    pub(crate) scope: String,
    /// `removed`, or `stale`: the upstream is asked before the next use.
    pub(crate) outcome: String,
    /// That were removed or marked at once: all of one URL.
    pub(crate) objects: u64,
    /// What these took on the disk.
    pub(crate) bytes: u64,
    /// Running fetches that nobody can join any more.
    pub(crate) fetches: u64,
    /// What else is covered is found, and not served, as it is asked for, and worked off in the background.
    pub(crate) is_pending: bool,
}

/// What a purge would concern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WouldPurge {
    /// As in [`Purged`].
    pub(crate) by: String,
    /// As in [`Purged`].
    pub(crate) scope: String,
    /// That are stored.
    pub(crate) objects: u64,
    /// Their bodies.
    pub(crate) bytes: u64,
}

/// What is pinned, or not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pinned {
    /// The normal form of the URL.
    pub(crate) target: String,
    /// How many; 0: nothing is stored.
    pub(crate) variants: u64,
}
