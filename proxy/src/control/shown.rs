//! What replies carry, and what `--json` prints: the names here are promises. Added to, never renamed.
//!
//! Times are RFC 3339 in UTC, digests and keys lower-case hexadecimal digits. URLs are shown whole, their queries
//! included: whoever reads this owns the data. Credentials of requests are not stored, so they cannot be shown.

mod disks;
mod held;

pub(crate) use disks::{Advance, Disk, Disks, DisksChanged, Scrub};
pub(crate) use held::{Listed, ListedObject, Pinned, Purged, WouldPurge};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// What became of the last response, whoever asked; none since the start, or long ago.
    #[serde(default)]
    pub(crate) last_response: Option<LastResponse>,
}

/// What became of a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LastResponse {
    /// When that was settled.
    pub(crate) at: String,
    /// Seconds since then.
    pub(crate) age_seconds: u64,
    /// Its status; none when it had none.
    pub(crate) status: Option<u16>,
    /// `stored`, `part-stored`, `revalidated`, `not-stored`, `failed`, `store-refused`, `bypassed`, `contradicts`,
    /// `kept`, `overtaken` or `given-up`.
    pub(crate) fate: String,
    /// Why it is not stored, what failed, or what the store said, in a word of the log.
    pub(crate) reason: Option<String>,
    /// The same for people.
    pub(crate) words: String,
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
    /// Whether `[cache_proxy]` has the last word; its effects are among the others.
    #[serde(default)]
    pub(crate) cache_proxy: bool,
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
    /// A rule says that what is stored under its URL never changes.
    #[serde(default)]
    pub(crate) immutable_by_rule: bool,
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
    /// The file that was read: the one the gateway was started with. None: it was started without.
    #[serde(default)]
    pub(crate) file: Option<String>,
}

/// What came of having a URL stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ensured {
    /// `cached`, `revalidated` and `fetched`: it is here and may be used. `stale`: it is here, too old, and its upstream
    /// could not be asked. `failed`: it is not here.
    pub(crate) outcome: String,
    /// The normal form of its URL.
    pub(crate) target: String,
    /// Of the stored object.
    pub(crate) length_bytes: Option<u64>,
    /// Of `stale` and `failed`.
    pub(crate) reason: Option<String>,
}

/// What the gateway holds and does. Names are those of the metrics without `weir_`; counters count since the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Of the running program.
    pub(crate) version: String,
    /// Its process.
    pub(crate) pid: u32,
    /// Since it has been serving.
    pub(crate) uptime_seconds: u64,
    /// Why no traffic should be sent to it, as `/readyz` says; empty: ready.
    pub(crate) problems: Vec<String>,
    /// Objects in the store.
    pub(crate) store_objects: u64,
    /// Their bytes, headers and checksums included.
    pub(crate) store_bytes: u64,
    /// What they may take, as last measured; none before that.
    pub(crate) store_budget_bytes: Option<u64>,
    /// `healthy`, `degraded` or `failed`, of all disks together; none while the data is another process's.
    #[serde(default)]
    pub(crate) store_state: Option<String>,
    /// What is missing where that is not `healthy`, in words.
    #[serde(default)]
    pub(crate) store_state_reason: Option<String>,
    /// Objects that have fewer copies or less parity than configured.
    #[serde(default)]
    pub(crate) store_underprotected_objects: u64,
    /// Objects that are never evicted; no metric says it.
    #[serde(default)]
    pub(crate) store_pinned_objects: u64,
    /// Purges that are being worked off.
    #[serde(default)]
    pub(crate) store_bans: u64,
    /// Objects that purges have removed or marked.
    #[serde(default)]
    pub(crate) store_purged_objects_total: u64,
    /// Fills running now.
    pub(crate) fill_active: u64,
    /// Client connections open now.
    pub(crate) client_connections: u64,
    /// Tunnels open now.
    pub(crate) tunnel_active: u64,
    /// Read from upstreams by fills.
    pub(crate) fill_bytes_total: u64,
    /// Removed from the store, for whatever cause.
    pub(crate) store_evicted_bytes_total: u64,
    /// Requests by result.
    pub(crate) requests_total: BTreeMap<String, u64>,
    /// Body bytes to clients by where they came from.
    pub(crate) response_bytes_total: BTreeMap<String, u64>,
    /// Requests for which the cache was asked. Hits were answered from the store, stale ones included.
    pub(crate) requests: Ratio,
    /// Body bytes: hits came from the store, misses from an upstream.
    pub(crate) response_bytes: Ratio,
}

/// How often the cache helped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ratio {
    /// It did.
    pub(crate) hits: u64,
    /// It did not.
    pub(crate) misses: u64,
    /// 0 to 1; none before the first of either.
    pub(crate) hit_ratio: Option<f64>,
}
