//! What a call on all replicas comes to: whose error it is, and who goes.
//!
//! The rules are the invariants of mirror.rs; every changing call of the mirror and of its files ends here.

use super::{Mirror, Replica};
use crate::store::core::is_no_space;
use std::io;
use std::sync::{Arc, PoisonError};

/// What one call came to on each replica.
pub(in crate::store::log) type Outcomes<T> = Vec<(Arc<Replica>, io::Result<T>)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removal {
    Removed,
    /// Another call has lost it first.
    WasGone,
    /// Who has succeeded is gone meanwhile.
    IsLast,
}

impl Mirror {
    /// Makes one call on each.
    pub(in crate::store::log) fn each<T>(
        &self,
        call: impl Fn(&Replica) -> io::Result<T>,
    ) -> Outcomes<T> {
        let list = self.list();
        let outcomes = list
            .iter()
            .map(|replica| (Arc::clone(replica), call(replica)));
        outcomes.collect()
    }

    /// What a call came to as a whole; see the invariants above.
    pub(in crate::store::log) fn settle<T>(
        &self,
        operation: &'static str,
        mut outcomes: Outcomes<T>,
    ) -> io::Result<Vec<(Arc<Replica>, T)>> {
        let is_refused = |outcome: &(_, io::Result<T>)| outcome.1.as_ref().is_err_and(is_blameless);
        if let Some(at) = outcomes.iter().position(is_refused)
            && let (_, Err(error)) = outcomes.swap_remove(at)
        {
            return Err(error);
        }
        self.blame(operation, outcomes)
    }

    /// As [`Self::settle`], where every error is one of the disk.
    pub(in crate::store::log) fn blame<T>(
        &self,
        operation: &'static str,
        outcomes: Outcomes<T>,
    ) -> io::Result<Vec<(Arc<Replica>, T)>> {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for (replica, outcome) in outcomes {
            match outcome {
                Ok(value) => done.push((replica, value)),
                Err(error) => failed.push((replica, error)),
            }
        }
        if failed.is_empty() && !done.is_empty() {
            return Ok(done);
        }
        if done.is_empty() {
            return Err(failed
                .into_iter()
                .next()
                .map_or_else(none_left, |(_, error)| error));
        }
        for (replica, error) in failed {
            match self.remove(&replica, &done) {
                Removal::Removed => self.loss.lost(replica.slot, operation, &error),
                Removal::WasGone => {}
                Removal::IsLast => return Err(error),
            }
        }
        Ok(done)
    }

    /// Takes a replica out, unless none of those that have succeeded would stay.
    fn remove<T>(&self, lost: &Arc<Replica>, done: &[(Arc<Replica>, T)]) -> Removal {
        let mut list = self
            .replicas
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if !list.iter().any(|replica| Arc::ptr_eq(replica, lost)) {
            return Removal::WasGone;
        }
        let has_succeeded =
            |replica: &Arc<Replica>| done.iter().any(|(other, _)| Arc::ptr_eq(other, replica));
        if !list.iter().any(has_succeeded) {
            return Removal::IsLast;
        }
        let left = list.iter().filter(|replica| !Arc::ptr_eq(replica, lost));
        let left = Arc::new(left.cloned().collect());
        let before = std::mem::replace(&mut *list, left);
        drop(list);
        drop(before);
        Removal::Removed
    }
}

/// Who does not have a file has nothing to open, rename or remove, as long as somebody does.
pub(super) fn without_absent<T>(mut outcomes: Outcomes<T>) -> Outcomes<T> {
    if outcomes.iter().any(|(_, outcome)| outcome.is_ok()) {
        let is_absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        outcomes.retain(|(_, outcome)| !outcome.as_ref().is_err_and(is_absent));
    }
    outcomes
}

/// Whether an error says nothing about the disk: it is full, or this process has no descriptors or memory left.
fn is_blameless(error: &io::Error) -> bool {
    is_no_space(error)
        || matches!(
            error.raw_os_error(),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)
        )
}

pub(super) fn none_left() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "no disk has the metadata log")
}
