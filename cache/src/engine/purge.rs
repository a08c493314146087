//! What an operator wants gone: bans in the store, and the running fetches that they concern.
//!
//! ```text
//! ban durable ─► flights taken out of the table ─► failures forgotten ─► acknowledged
//! ```
//! The ban comes first: from then on nothing that is stored is found, and what a flight that asked before brings is
//! refused by the store at its commit, so a flight only has to be kept from being joined. Its readers get their bytes.
//! A flight whose tags are not known yet is not joined either; it is stored all the same when its tags turn out not to
//! be meant.

use super::flight::{Flight, Phase};
use super::{Engine, Entry};
use crate::object::Amendment;
use crate::store::{BanError, StoreError, SurveyCursor};
use weir_policies::key::CacheKey;
use weir_policies::purge::{PurgeMode, PurgeScope};
use weir_policies::target::Target;

/// Objects looked at between two chances to be dropped.
const WALK_PAGE: usize = 256;

/// What a purge came to. It holds from now on, also over a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Objects that were removed or marked at once: all of them for one URL. Of a prefix or a tag they are found as
    /// they are looked up, and removed in the background.
    pub objects: u64,
    /// What they took on the disk, bytes.
    pub bytes: u64,
    /// Running fetches that nobody can join any more.
    pub flights: usize,
    /// More may be found in the background.
    pub is_pending: bool,
}

/// What a purge would concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WouldPurge {
    /// Objects.
    pub objects: u64,
    /// Their bodies, bytes.
    pub bytes: u64,
}

/// Why nothing was purged.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// Earlier purges are not worked off.
    #[error(
        "{pending} purges are still being worked off: try again in a minute, or purge a prefix instead of many URLs"
    )]
    TooMany {
        /// How many.
        pending: usize,
    },
    /// It is in force, and most of the disks are out and know nothing of it.
    #[error(
        "purged on the disks that are here, but most are out, and would bring it back if they were started without \
         these: purge again when they are back"
    )]
    KnownToFew,
    /// The ban could not be written.
    #[error("the purge could not be made durable, nothing was purged: {0}")]
    Store(#[from] StoreError),
}

/// What becomes of a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinning {
    /// Never evicted from now on.
    Pin,
    /// Evicted like any other.
    Unpin,
}

impl Engine {
    /// Purges. When it returns nothing that was asked of an upstream before is found any more, or not without asking
    /// again; it is durable.
    ///
    /// # Errors
    /// [`PurgeError`]; then nothing was purged, unless that says otherwise.
    pub async fn purge(&self, scope: &PurgeScope, mode: PurgeMode) -> Result<Purged, PurgeError> {
        let keys = keys_of(scope);
        let banned = self.store.opened()?.ban(scope, mode, &keys).await?;
        let flights = self.flights.pass_over(|flight| is_concerned(flight, scope));
        match keys.first() {
            Some(plain) => self.hold_down.forget(plain),
            // Failures know neither URL nor tags; each costs one request.
            None => self.hold_down.forget_all(),
        }
        for key in &keys {
            self.rejected.invalidate(key);
        }
        if banned.is_known_to_few {
            return Err(PurgeError::KnownToFew);
        }
        Ok(Purged {
            objects: banned.objects,
            bytes: banned.bytes,
            flights,
            is_pending: banned.is_pending,
        })
    }

    /// What [`Self::purge`] would concern now. Of a prefix or a tag it walks through everything that is stored, a page
    /// at a time; dropping it ends that.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn would_purge(&self, scope: &PurgeScope) -> Result<WouldPurge, StoreError> {
        let mut would = WouldPurge::default();
        let keys = keys_of(scope);
        for key in &keys {
            for object in self.store.lookup(key).await {
                would.add(object.length());
            }
        }
        let mut cursor = keys.is_empty().then(SurveyCursor::default);
        while let Some(from) = cursor {
            let page = self.survey(Some(from), WALK_PAGE).await?;
            let covered = page
                .listed
                .iter()
                .filter(|listed| listed.is_covered_by(scope));
            covered.for_each(|listed| would.add(listed.length));
            cursor = page.next;
        }
        Ok(would)
    }

    /// Pins or unpins every variant of both entries of `target`, durably; how many there are.
    ///
    /// # Errors
    /// [`StoreError`]; some may be changed then.
    pub async fn pin(&self, target: &Target, pinning: Pinning) -> Result<usize, StoreError> {
        let mut count = 0;
        for entry in Entry::ALL {
            for object in self.store.lookup(&entry.key(target)).await {
                let amendment = Amendment {
                    pinned: pinning == Pinning::Pin,
                    ..Amendment::of(object.head())
                };
                let amended = self.store.amend(&object, amendment).await?;
                count += usize::from(amended.is_some());
            }
        }
        Ok(count)
    }
}

impl WouldPurge {
    fn add(&mut self, bytes: u64) {
        self.objects = self.objects.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Of everything that one URL can have, the plain one first; empty for other scopes.
fn keys_of(scope: &PurgeScope) -> Vec<CacheKey> {
    let target = scope.one_url().and_then(|url| Target::parse(url).ok());
    let Some(target) = target else {
        return Vec::new();
    };
    let kept = |entry: Entry| {
        [
            entry.key(&target),
            entry.conflict_key(&target),
            entry.parts_key(&target),
        ]
    };
    Entry::ALL.into_iter().flat_map(kept).collect()
}

/// Whether a flight brings, or may bring, what a scope covers.
fn is_concerned(flight: &Flight, scope: &PurgeScope) -> bool {
    match flight.phase() {
        Phase::Body(growing) => scope.covers(&flight.url, &growing.head().tags),
        Phase::Validated(object, _) => scope.covers(&flight.url, &object.head().tags),
        _ => scope.may_cover(&flight.url),
    }
}

impl From<BanError> for PurgeError {
    fn from(error: BanError) -> Self {
        match error {
            BanError::TooMany(pending) => Self::TooMany { pending },
            BanError::Store(error) => Self::Store(error),
        }
    }
}
