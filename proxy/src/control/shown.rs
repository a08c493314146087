//! What replies carry, and what `--json` prints: the names here are promises. Added to, never renamed.
//!
//! Times are RFC 3339 in UTC, digests and keys lower-case hexadecimal digits. URLs are shown whole, their queries
//! included: whoever reads this owns the data. Credentials of requests are not stored, so they cannot be shown.

use serde::{Deserialize, Serialize};

/// What would happen to a GET, and what there is to answer it with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Explanation {
    /// As asked for.
    pub(crate) url: String,
    /// `forward`, `download`, `path` or `mirror`.
    pub(crate) form: String,
    /// The normal form.
    pub(crate) target: String,
    /// Where it is fetched from, in order.
    pub(crate) upstreams: Vec<String>,
    /// `shared`, `alone`, `pass` or `refuse`.
    pub(crate) decision: String,
    /// Of a refusal or of `alone`.
    pub(crate) reason: Option<String>,
    /// Whether redirects are followed for the client: then the followed entry is looked at first.
    pub(crate) follows_redirects: bool,
    /// The rule that matched.
    pub(crate) rule: Rule,
    /// `plain` and `followed`.
    pub(crate) entries: Vec<Entry>,
    /// What contradicts them.
    pub(crate) conflicts: Vec<Conflict>,
}

/// A rule and what it does differently from the standard, each as a line of configuration would say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rule {
    /// `None`: no rule matched.
    pub(crate) name: Option<String>,
    /// Empty: nothing.
    pub(crate) effects: Vec<String>,
    /// Rules that may speak instead once length and type of the response are known, in their order.
    #[serde(default)]
    pub(crate) waiting: Vec<String>,
}

/// One of the identities of a URL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// `plain` or `followed`.
    pub(crate) entry: String,
    /// Its cache key.
    pub(crate) key: String,
    /// One a variant, the newest first.
    pub(crate) objects: Vec<StoredObject>,
}

/// Two objects that claim to be the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Conflict {
    /// `plain` or `followed`.
    pub(crate) entry: String,
    /// The key under which the changed object waits.
    pub(crate) key: String,
    /// What is served; none when it is gone.
    pub(crate) original: Option<StoredObject>,
    /// What came later.
    pub(crate) changed: StoredObject,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredObject {
    /// Its identity: grows with time, never reused.
    pub(crate) sequence: u64,
    /// Of the response.
    pub(crate) status: u16,
    /// Of the body.
    pub(crate) length_bytes: u64,
    /// The URL as the first client wrote it.
    pub(crate) url_as_asked: String,
    /// When its transfer began.
    pub(crate) stored_at: String,
    /// When the upstream was asked for it, or last said that it holds.
    pub(crate) requested_at: String,
    /// When the upstream answered that.
    pub(crate) responded_at: String,
    /// Who answered; none for what was imported.
    pub(crate) upstream: Option<String>,
    /// Seconds.
    pub(crate) age_seconds: u64,
    /// How long it is fresh; 0 for what was imported, which is fresh forever.
    pub(crate) lifetime_seconds: u64,
    /// `s-maxage`, `max-age`, `expires`, `heuristic`, `rule`, `redirects`, `imported`, or `none`.
    pub(crate) lifetime_source: String,
    /// `fresh`, `stale`, or `mismatch` when the request selects another variant.
    pub(crate) verdict: String,
    /// Of `stale`: `response-forbids`, `invalidated`, `response-no-cache`, `expired` or `request-directive`.
    pub(crate) stale_reason: Option<String>,
    /// May be served while it is revalidated.
    pub(crate) stale_while_revalidate: bool,
    /// May be served when its upstream fails.
    pub(crate) stale_if_error: bool,
    /// Validator.
    pub(crate) etag: Option<String>,
    /// Validator.
    pub(crate) last_modified: Option<String>,
    /// Of the body.
    pub(crate) sha256: Option<String>,
    /// Of the body.
    pub(crate) md5: Option<String>,
    /// Redirects that led to it, in order.
    pub(crate) redirects: Vec<String>,
    /// Never evicted.
    pub(crate) pinned: bool,
    /// Imported: never changes.
    pub(crate) immutable: bool,
    /// Not used without asking the upstream.
    pub(crate) invalidated: bool,
    /// The sequence it contradicts.
    pub(crate) conflict_of: Option<u64>,
    /// The request fields that select it (Vary).
    pub(crate) selection: Vec<SelectingField>,
    /// Surrogate-Key tags.
    pub(crate) tags: Vec<String>,
    /// The response fields as stored, name and value.
    pub(crate) fields: Vec<(String, String)>,
}

/// One field of the requests that an object is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SelectingField {
    /// Lower-case.
    pub(crate) name: String,
    /// None: the request must not have it.
    pub(crate) value: Option<String>,
}

/// The conflicts of a URL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Conflicts {
    /// The normal form.
    pub(crate) target: String,
    /// None, or one an entry and variant.
    pub(crate) conflicts: Vec<Conflict>,
}

/// What a decision about conflicts did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Decided {
    /// The normal form.
    pub(crate) target: String,
    /// What is served from now on, one a conflict; none where there was no original to go back to.
    pub(crate) served: Vec<StoredObject>,
    /// How many conflicts there were.
    pub(crate) conflicts: u64,
}

/// A file that is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// `stored`, or `same` when these bytes were there already and kept.
    pub(crate) outcome: String,
    /// The normal form of its URL.
    pub(crate) target: String,
    /// The object.
    pub(crate) object: StoredObject,
}

/// A reload that was not refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reloaded {
    /// The keys that have other values now; none when nothing differs.
    pub(crate) changed: Vec<String>,
}
