//! What is known of a stored object besides its bytes: the head that is written in front of them.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::net::SocketAddr;
use std::time::SystemTime;
use weir_policies::freshness::{self, Adjust, Exchange};
use weir_policies::key::CacheKey;
use weir_policies::time::UnixSeconds;
use weir_policies::vary::Selection;

/// Generation, commit order and identity of one stored object: pool-wide, monotone, never reused; epoch in the high
/// 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

/// Everything stored with an object. Written once, when the fill starts; never changed in place.
#[derive(Debug, Clone)]
pub struct ObjectHead {
    /// Identity.
    pub key: CacheKey,
    /// What selected this representation; its hash stands in the file name.
    pub selection: Selection,
    /// The URL as the client wrote it.
    pub url_as_asked: String,
    /// The normal URL.
    pub url: String,
    /// Empty for now.
    pub namespace: String,
    /// Redirects that were followed, in order; empty for now.
    pub redirects: Vec<String>,
    /// Status of the response.
    pub status: StatusCode,
    /// Storable fields of the response, in order, bytes as received. Includes the upstream's Age where it had one.
    pub headers: HeaderMap,
    /// When it was requested and answered.
    pub exchange: Exchange,
    /// Who answered.
    pub upstream: Option<SocketAddr>,
    /// Configured origin or mirror id for quotas, 0 for none.
    pub origin_id: u16,
    /// Surrogate-Key tags.
    pub tags: Vec<String>,
    /// Never evicted.
    pub pinned: bool,
    /// Sequence of the object that this one contradicts.
    pub conflict_of: Option<Sequence>,
    /// Upper bound of its lifetime from the redirects that led to it, seconds; `None` without redirects.
    pub lifetime_max: Option<u64>,
    /// Imported by an operator: it never changes, whatever its fields say.
    pub immutable: bool,
    /// Not to be used without asking the origin; set later, by an amendment.
    pub invalidated: bool,
    /// Wall clock at the start of the fill (provenance).
    pub stored_at: SystemTime,
}

impl ObjectHead {
    /// `current_age` (RFC 9111 §4.2.3), seconds.
    #[must_use]
    pub fn age(&self, now: UnixSeconds) -> u64 {
        freshness::current_age(&self.headers, self.exchange, now)
    }

    /// Seconds of freshness left at `age`; negative when stale.
    #[must_use]
    pub fn ttl(&self, adjust: Adjust, age: u64) -> i64 {
        let lifetime =
            freshness::lifetime(self.status, &self.headers, self.exchange, adjust).seconds;
        let bound = self.lifetime_max.filter(|_| !adjust.immutable);
        let lifetime = bound.map_or(lifetime, |bound| lifetime.min(bound));
        let signed = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        signed(lifetime).saturating_sub(signed(age))
    }
}

/// What changes about a stored object without its bytes: kept in the metadata log, bound to key, variant and sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// All storable fields from now on.
    pub headers: HeaderMap,
    /// The exchange that they come from.
    pub exchange: Exchange,
    /// Not to be used without asking the origin.
    pub invalidated: bool,
    /// Never evicted.
    pub pinned: bool,
    /// What redirects leave of its lifetime from now on, seconds; as [`ObjectHead::lifetime_max`].
    pub lifetime_max: Option<u64>,
}

impl Amendment {
    /// The one that changes nothing about `head`: to change what is meant, and to keep the rest.
    #[must_use]
    pub fn of(head: &ObjectHead) -> Self {
        Self {
            headers: head.headers.clone(),
            exchange: head.exchange,
            invalidated: head.invalidated,
            pinned: head.pinned,
            lifetime_max: head.lifetime_max,
        }
    }
}

/// Digests of the whole body, known at commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests {
    /// sha256 where `digest = "sha256"`.
    pub sha256: Option<[u8; 32]>,
    /// md5 where an operator asked for it.
    pub md5: Option<[u8; 16]>,
}

/// A piece of a body.
pub type Piece = Bytes;
