//! Folders of objects from which something was removed that may not be off the platter yet.
//!
//! Who promises that something is gone syncs its folder when it is one of these. A sync of all disks takes out what was
//! noted before it began. At most as many as there are folders, which is 4096.

use super::core::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// See the module. Its lock is a leaf of the lock order.
#[derive(Debug, Default)]
pub(crate) struct Unlinked {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When each was noted last, counted.
    folders: BTreeMap<String, u64>,
    last: u64,
}

impl Unlinked {
    /// Something is removed there. To be noted before, for who comes meanwhile, and after, because a sync in between
    /// does not cover it.
    pub(crate) fn note<'a>(&self, folders: impl Iterator<Item = &'a str>) {
        let mut state = lock(&self.state);
        state.last = state.last.saturating_add(1);
        let last = state.last;
        for folder in folders {
            match state.folders.get_mut(folder) {
                Some(noted) => *noted = last,
                None => drop(state.folders.insert(folder.to_owned(), last)),
            }
        }
    }

    pub(crate) fn contains(&self, folder: &str) -> bool {
        lock(&self.state).folders.contains_key(folder)
    }

    /// To be asked before a sync of all disks; see [`Self::synced`].
    pub(crate) fn last(&self) -> u64 {
        lock(&self.state).last
    }

    /// A sync that began then has succeeded.
    pub(crate) fn synced(&self, last: u64) {
        lock(&self.state).folders.retain(|_, noted| *noted > last);
    }
}
